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
