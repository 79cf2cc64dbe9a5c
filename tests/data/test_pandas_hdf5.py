import h5py
import numpy as np
import pandas as pd
import pytest

from gnnkit.data.pandas_hdf5 import read_fixed_frame


def write_fixed_frame(path, frame, key, *, blocks=None, kind="datetime64"):
    """The layout of `DataFrame.to_hdf`, as pandas and PyTables write it."""
    with h5py.File(path, "w") as file:
        group = file.create_group(key)
        group.attrs["pandas_type"] = b"frame"
        names = np.array(list(frame.columns))
        names = names.astype("S") if names.dtype.kind == "U" else names
        group.create_dataset("axis0", data=names).attrs["kind"] = b"string" if names.dtype.kind == "S" else b"integer"
        times = group.create_dataset("axis1", data=frame.index.as_unit("ns").asi8)
        times.attrs["kind"] = kind
        for number, columns in enumerate(blocks or [range(frame.shape[1])]):
            columns = list(columns)
            group.create_dataset(f"block{number}_items", data=names[columns])
            group.create_dataset(f"block{number}_values", data=frame.to_numpy()[:, columns])
    return path


def frame(columns):
    times = pd.date_range("2012-03-01", periods=5, freq="5min")
    return pd.DataFrame(np.arange(15.0).reshape(5, 3), index=times, columns=columns)


@pytest.mark.parametrize("columns", [["773869", "767541", "767542"], [400001, 400017, 400030]])
@pytest.mark.parametrize("blocks", [None, [[1], [2, 0]]])
def test_a_table_comes_back(columns, blocks, tmp_path):
    expected = frame(columns)
    found = read_fixed_frame(write_fixed_frame(tmp_path / "a.h5", expected, "df", blocks=blocks))
    assert list(found.columns) == [str(column) for column in columns]
    assert (found.index == expected.index).all()
    assert np.array_equal(found.to_numpy(), expected.to_numpy())


def test_other_units_and_deeper_groups(tmp_path):
    path = write_fixed_frame(tmp_path / "a.h5", frame(["a", "b", "c"]), "deep/speed", kind="datetime64[ns]")
    assert read_fixed_frame(path).index[1] == pd.Timestamp("2012-03-01 00:05")


def test_other_files_are_refused(tmp_path):
    (tmp_path / "text.h5").write_text("no")
    with pytest.raises(ValueError, match=r"text\.h5: not an HDF5 file"):
        read_fixed_frame(tmp_path / "text.h5")
    with h5py.File(tmp_path / "empty.h5", "w"):
        pass
    with pytest.raises(ValueError, match=r"empty\.h5: 0 tables of pandas' fixed layout; expected one"):
        read_fixed_frame(tmp_path / "empty.h5")
    path = write_fixed_frame(tmp_path / "a.h5", frame(["a", "b", "c"]), "df")
    with h5py.File(path, "a") as file:
        del file["df/axis0"]
        file["df"].create_dataset("axis0", (1,), dtype=h5py.vlen_dtype("uint8"))
    with pytest.raises(ValueError, match=r"a\.h5: /df/axis0 is pickled, and nothing is unpickled"):
        read_fixed_frame(path)


def changed(path, change):
    """A whole table, after a change of its group."""
    write_fixed_frame(path, frame(["1", "2", "3"]), "df")
    with h5py.File(path, "r+") as file:
        change(file["df"])
    return path


def without(name):
    def change(group):
        del group[name]

    return change


def instead(name, value):
    def change(group):
        del group[name]
        group[name] = value

    return change


@pytest.mark.parametrize("name", ["axis1", "block0_items"])
def test_a_table_without_a_part_is_told(tmp_path, name):
    with pytest.raises(ValueError, match=rf"a.h5: no whole table of pandas' fixed layout \(.*{name}"):
        read_fixed_frame(changed(tmp_path / "a.h5", without(name)))


@pytest.mark.parametrize(
    "value", [h5py.ExternalLink("b.h5", "/df/axis1"), h5py.SoftLink("/df/axis0"), h5py.SoftLink("/nowhere")]
)
def test_nothing_is_read_from_where_a_link_leads(tmp_path, value):
    write_fixed_frame(tmp_path / "b.h5", frame(["1", "2", "3"]), "df")
    with pytest.raises(ValueError, match=r"a.h5: axis1 is no table in this file; nothing is read from where it leads"):
        read_fixed_frame(changed(tmp_path / "a.h5", instead("axis1", value)))


def test_nothing_is_read_from_raw_files_and_other_tables(tmp_path):
    secret = tmp_path / "secret"
    secret.write_bytes(bytes(range(120)))

    def raw(group):
        del group["block0_values"]
        group.create_dataset("block0_values", (5, 3), "f8", external=[(str(secret), 0, 120)])

    def virtual(group):
        del group["block0_values"]
        layout = h5py.VirtualLayout((5, 3), "f8")
        layout[:] = h5py.VirtualSource(str(tmp_path / "b.h5"), "df/block0_values", (5, 3))
        group.create_virtual_dataset("block0_values", layout)

    write_fixed_frame(tmp_path / "b.h5", frame(["1", "2", "3"]), "df")
    for change in (raw, virtual):
        with pytest.raises(ValueError, match="block0_values is no table in this file"):
            read_fixed_frame(changed(tmp_path / "a.h5", change))


def test_a_table_that_says_to_be_larger_than_memory_is_not_read(tmp_path):
    def huge(group):
        del group["block0_values"]
        group.create_dataset("block0_values", (2**40, 3), "f8", chunks=(5, 3))

    with pytest.raises(
        ValueError, match=r"block0_values says to have 26,388,279,066,624 bytes, more than this machine"
    ):
        read_fixed_frame(changed(tmp_path / "a.h5", huge))
