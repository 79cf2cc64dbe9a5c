"""Packed files: as much of them as fits, and no more."""

import gzip
import io
import zipfile

import numpy as np
import pytest

from gnnkit.data import read_own
from gnnkit.data.arrays import check_headers, read_arrays
from gnnkit.data.packed import check_gzip, most_unpacked, unpack_gzip

SAID = "more than 1,000 bytes when it is unpacked; if it is meant, set GNNKIT_MAX_UNPACKED to a larger number of bytes"


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setenv("GNNKIT_MAX_UNPACKED", "1000")


def test_the_limit_is_half_of_the_memory_or_what_is_said(monkeypatch):
    monkeypatch.delenv("GNNKIT_MAX_UNPACKED", raising=False)
    assert 2**20 < most_unpacked() <= 2**34
    monkeypatch.setenv("GNNKIT_MAX_UNPACKED", "77")
    assert most_unpacked() == 77
    for wrong in ("0", "-1", "many", "1.5"):
        monkeypatch.setenv("GNNKIT_MAX_UNPACKED", wrong)
        with pytest.raises(ValueError, match=f"GNNKIT_MAX_UNPACKED is '{wrong}'; give a number of bytes above 0"):
            most_unpacked()


def test_a_gzip_file_is_unpacked_up_to_the_limit(small, tmp_path):
    assert unpack_gzip(gzip.compress(b"x" * 1000), "a.gz") == b"x" * 1000
    bomb = gzip.compress(b"0" * 10**6)
    assert len(bomb) < 1100
    with pytest.raises(ValueError, match=f"a.gz: {SAID}"):
        unpack_gzip(bomb, "a.gz")
    (tmp_path / "s.csv.gz").write_bytes(bomb)
    with pytest.raises(ValueError, match=rf"s.csv.gz: {SAID}"):
        read_own(tmp_path / "s.csv.gz")
    with pytest.raises(ValueError, match=rf"s.csv.gz: {SAID}"):
        check_gzip(tmp_path / "s.csv.gz")
    (tmp_path / "s.csv.gz").write_bytes(bomb[:500])
    with pytest.raises(ValueError, match=r"s.csv.gz: (not a whole gzip file \(.*\)|more than 1,000 bytes)"):
        check_gzip(tmp_path / "s.csv.gz")


def test_a_gzip_file_of_several_parts_is_one(small):
    assert unpack_gzip(gzip.compress(b"a") + gzip.compress(b"b"), "a.gz") == b"ab"
    with pytest.raises(ValueError, match="more than 1,000 bytes"):
        unpack_gzip(gzip.compress(b"a" * 600) * 2, "a.gz")


def test_arrays_are_read_up_to_the_limit(small, tmp_path):
    path = tmp_path / "a.npz"
    np.savez_compressed(path, data=np.zeros(10))
    assert read_arrays(path)["data"].tolist() == [0] * 10
    np.savez_compressed(path, data=np.zeros(10**5))
    for read in (read_arrays, check_headers):
        with pytest.raises(ValueError, match=f"^a.npz: {SAID}"):
            read(path)


def test_an_archive_in_an_archive_is_no_array(tmp_path):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("data.npy", b"0" * 100)
    with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
        archive.writestr("data.npz", inner.getvalue())
        archive.writestr("../outside.npy", b"x")
    for read in (read_arrays, check_headers):
        with pytest.raises(ValueError, match="not an NPZ file of plain arrays"):
            read(tmp_path / "a.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["a.npz"]
    assert not (tmp_path.parent / "outside.npy").exists()
