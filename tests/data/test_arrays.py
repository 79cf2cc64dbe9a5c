"""Arrays from files that are not what they say: each is refused with its name and place, before anything indexes."""

import contextlib
import io
import zipfile

import numpy as np
import pytest
import scipy.sparse as sp

from gnnkit.data.arrays import check_ids, check_numbers, read_arrays, sparse_from_arrays

LAYOUTS = ["csr", "csc", "bsr", "coo", "dia"]
# Two rows, an empty one, and an entry of zero; 4 × 6, so that blocks of 2 × 3 fit.
MATRIX = np.array([[0, 2.0, 0, 0, 0, 1], [0] * 6, [5, 0, 0, -1, 0, 0], [0, 0, 0, 0, 7, 0]])


def parts_of(layout: str, matrix=MATRIX, **options) -> dict:
    made = getattr(sp, f"{layout}_array")(matrix, **options)
    names = {"coo": ("data", "row", "col"), "dia": ("data", "offsets")}.get(layout, ("data", "indices", "indptr"))
    return {name: getattr(made, name).copy() for name in names}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("dtype", [np.float64, np.float16, ">f4", np.int8, np.uint64, bool])
def test_sound_matrices_of_all_layouts_and_types(layout, dtype):
    matrix = np.abs(MATRIX).astype(dtype)
    parts = parts_of(layout, np.abs(MATRIX), **({"blocksize": (2, 3)} if layout == "bsr" else {}))
    parts["data"] = parts["data"].astype(dtype)
    for wide in (np.int32, np.int64, np.uint16, ">i8"):
        if layout == "dia" and wide == np.uint16:
            continue  # offsets below the diagonal are negative
        typed = {name: part if name == "data" else part.astype(wide) for name, part in parts.items()}
        read = sparse_from_arrays(layout, np.array([4, 6]), typed)
        assert read.data.dtype == np.float64
        np.testing.assert_array_equal(read.toarray(), matrix.astype(np.float64))


def test_room_behind_the_entries_is_no_entry():
    parts = parts_of("csr")
    longer = {"data": np.append(parts["data"], 9.0), "indices": np.append(parts["indices"], 10**6)}
    np.testing.assert_array_equal(sparse_from_arrays("csr", (4, 6), parts | longer).toarray(), MATRIX)


@pytest.mark.parametrize(
    ("layout", "name", "place", "value", "message"),
    [
        ("csr", "indptr", 1, 10**8, r"indptr\[1\] is 100000000; allowed are 0 to 5"),
        ("csr", "indptr", 1, -5, r"indptr\[1\] is -5; allowed are 0 to 5"),
        ("csr", "indptr", 1, -(10**8), r"indptr\[1\] is -100000000"),
        ("csr", "indptr", 2, 1, r"indptr\[2\] is 1; allowed are 2 to 5"),
        ("csr", "indptr", 0, 1, r"indptr\[0\] is 1; allowed are 0 to 0"),
        ("csr", "indptr", 4, 6, r"indptr\[4\] is 6; allowed are 4 to 5"),
        ("csc", "indptr", 3, 50, r"indptr\[3\] is 50; allowed are 2 to 5"),
        ("bsr", "indptr", 1, -1, r"indptr\[1\] is -1"),
        ("csr", "indices", 4, 6, r"indices\[4\] is 6; allowed are 0 to 5, for there are 6 columns"),
        ("csr", "indices", 0, -1, r"indices\[0\] is -1; allowed are 0 to 5"),
        ("csc", "indices", 1, 4, r"indices\[1\] is 4; allowed are 0 to 3, for there are 4 rows"),
        ("bsr", "indices", 0, 2, r"indices\[0\] is 2; allowed are 0 to 1, for there are 2 columns of blocks"),
        ("coo", "row", 2, 4, r"row\[2\] is 4; allowed are 0 to 3"),
        ("coo", "col", 2, -(2**31), r"col\[2\] is -2147483648; allowed are 0 to 5"),
        ("dia", "offsets", 0, 6, r"offsets\[0\] is 6; a matrix of 4 × 6 has diagonals -3 to 5"),
        ("dia", "offsets", 0, -(2**31), r"offsets\[0\] is -2147483648"),
        ("csr", "data", 3, np.nan, r"data\[3\] is nan; give a finite number"),
        ("dia", "data", (1, 2), np.inf, r"data\[1, 2\] is inf"),
    ],
)
def test_a_number_out_of_range_is_named_with_its_place(layout, name, place, value, message):
    parts = parts_of(layout, **({"blocksize": (2, 3)} if layout == "bsr" else {}))
    parts[name][place] = value
    with pytest.raises(ValueError, match=f"^g.npz: {message}"):
        sparse_from_arrays(layout, (4, 6), parts, "g.npz: ")


@pytest.mark.parametrize(
    ("layout", "changed", "message"),
    [
        ("csr", {"indptr": np.zeros(4, dtype=np.int32)}, r"indptr has 4 numbers; 4 rows need 5"),
        ("csr", {"indptr": np.zeros(0, dtype=np.int32)}, r"indptr has 0 numbers"),
        ("csr", {"indptr": np.zeros((5, 1), dtype=np.int32)}, r"indptr must be whole numbers in one dimension"),
        ("csr", {"indptr": np.array([0.0, 2, 2, 4, 5])}, r"indptr must be whole numbers in one dimension, got float64"),
        ("csr", {"indptr": [0, 2, 2, 4, 5]}, r"indptr must be whole numbers in one dimension, got list"),
        ("csr", {"indices": np.zeros(4, dtype=np.int32)}, r"indices has shape \[4\], but data has 5 entries"),
        ("csr", {"indices": np.zeros((5, 1), dtype=np.int32)}, r"indices has shape \[5, 1\]"),
        ("csr", {"indices": np.zeros(5)}, r"indices must be whole numbers, got float64"),
        ("csr", {"indices": None}, r"indices must be whole numbers, got NoneType"),
        ("csr", {"data": np.ones(5, dtype=complex)}, r"data must be numbers, got complex128"),
        ("csr", {"data": np.array(["1"] * 5)}, r"data must be numbers"),
        ("csr", {"data": np.ones((5, 1, 1))}, r"data must have 1 dimensions"),
        ("bsr", {"data": np.ones(5)}, r"data must have 3 dimensions"),
        ("bsr", {"data": np.ones((2, 3, 3))}, r"blocks of 3 × 3, which do not fill the shape 4 × 6"),
        ("bsr", {"data": np.ones((2, 0, 3))}, r"blocks of 0 × 3"),
        ("coo", {"col": np.zeros(4, dtype=np.int32)}, r"col has shape \[4\]"),
        ("dia", {"offsets": np.zeros(3, dtype=np.int32)}, r"offsets names a diagonal twice"),
        ("dia", {"offsets": np.zeros(5, dtype=np.int32)}, r"offsets has shape \[5\]"),
    ],
)
def test_arrays_of_another_length_or_type(layout, changed, message):
    parts = parts_of(layout, **({"blocksize": (2, 3)} if layout == "bsr" else {}))
    with pytest.raises(ValueError, match=message):
        sparse_from_arrays(layout, (4, 6), parts | changed)


@pytest.mark.parametrize("shape", [None, (4,), (4, 6, 1), (-4, 6), np.array([4.0, 6]), np.array(4), (2**70, 6), "46"])
def test_shapes_that_are_none(shape):
    with pytest.raises(ValueError, match="shape must be two whole numbers"):
        sparse_from_arrays("csr", shape, parts_of("csr"))


def test_a_huge_shape_reserves_nothing():
    read = sparse_from_arrays("coo", (2**60, 2**60), parts_of("coo"))
    assert (read.shape, read.nnz) == ((2**60, 2**60), 5)
    with pytest.raises(ValueError, match="indptr has 5 numbers; 1152921504606846976 rows need"):
        sparse_from_arrays("csr", (2**60, 6), parts_of("csr"))


def test_a_layout_that_is_none_or_lacks_an_array():
    with pytest.raises(ValueError, match="unknown sparse layout 'lil'; choose one of csr, csc, bsr, coo, dia"):
        sparse_from_arrays("lil", (4, 6), {})
    parts = parts_of("csr")
    del parts["indptr"]
    with pytest.raises(ValueError, match="a csr matrix has the arrays data, indices, indptr; no indptr here"):
        sparse_from_arrays("csr", (4, 6), parts)


def test_ids_and_numbers_keep_shape_and_order():
    ids = np.array([[0, 3], [2, 1]], dtype=">u2")
    assert check_ids(ids, 4, "f: ids").tolist() == ids.tolist()
    with pytest.raises(ValueError, match=r"f: ids\[0, 1\] is 3; allowed are 0 to 2, for there are 3 drugs"):
        check_ids(ids, 3, "f: ids", of="drugs")
    assert check_ids(np.zeros((2, 0), dtype=int), 0, "f: ids").shape == (2, 0)
    with pytest.raises(ValueError, match=r"f: ids\[0\] is 0; none is allowed, for there are 0 nodes"):
        check_ids(np.zeros(1, dtype=int), 0, "f: ids")
    with pytest.raises(ValueError, match=r"is 18446744073709551615"):
        check_ids(np.array([2**64 - 1], dtype=np.uint64), 3, "f: ids")
    assert np.isnan(check_numbers(np.array([np.nan]), "f: w", finite=False)).all()
    with pytest.raises(ValueError, match=r"f: w must be numbers, got object of shape \[1\]"):
        check_numbers(np.array([None]), "f: w")


def header(shape: str, descr: str = "'<f8'") -> bytes:
    text = f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}, }}".encode()
    text += b" " * (63 - (10 + len(text)) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def test_read_arrays_reads_what_numpy_wrote(tmp_path):
    path = tmp_path / "a.npz"
    arrays = {
        "f": np.asfortranarray(MATRIX),
        "s": np.array(b"csr"),
        "e": np.zeros((0, 3)),
        "i": np.arange(4, dtype=">i2"),
    }
    for write in (np.savez, np.savez_compressed):
        write(path, **arrays)
        read = read_arrays(path)
        assert list(read) == list(arrays)
        for name, array in arrays.items():
            assert read[name].dtype == array.dtype
            np.testing.assert_array_equal(read[name], array)


@pytest.mark.parametrize(
    "content",
    [
        header("(1000000000000,)") + bytes(8),
        header("(-1,)") + bytes(8),
        header("(2,)") + bytes(24),
        header("(2,)") + bytes(8),
        header("(9223372036854775807, 9223372036854775807)") + bytes(8),
        header("(1,)", "'|O'") + bytes(8),
        header("'x'") + bytes(8),
        header("(1,)", "'<f17'") + bytes(8),
        b"\x93NUMPY\x09\x09",
        b"no array",
        b"",
    ],
)
def test_members_that_are_not_the_array_that_they_say(tmp_path, content):
    path = tmp_path / "a.npz"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("m.npy", content)
    with pytest.raises(ValueError, match=r"^a.npz: not an NPZ file of plain arrays \(.+\)$"):
        read_arrays(path)


def test_files_that_are_cut_or_flipped(tmp_path):
    path, whole = tmp_path / "a.npz", io.BytesIO()
    np.savez_compressed(whole, m=np.arange(100.0))
    blob = whole.getvalue()
    for length in (0, 1, 100, len(blob) - 1):
        path.write_bytes(blob[:length])
        with pytest.raises(ValueError, match=r"a.npz: not an NPZ file of plain arrays"):
            read_arrays(path)
    for place in range(0, len(blob), 7):
        path.write_bytes(blob[:place] + bytes([blob[place] ^ 16]) + blob[place + 1 :])
        # A few bits say nothing of the content: a date, the array's name. All others are noticed.
        with contextlib.suppress(ValueError):
            np.testing.assert_array_equal(next(iter(read_arrays(path).values())), np.arange(100.0))
    np.save(tmp_path / "a.npy", MATRIX)
    with pytest.raises(ValueError, match="not an NPZ file"):
        read_arrays(tmp_path / "a.npy")
