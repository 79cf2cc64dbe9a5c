import math

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import kernel_graph, load, metr_la, pems_bay
from tests.data.test_pandas_hdf5 import write_fixed_frame

NAMES = ["773869", "767541", "767542"]
DISTANCES = [("773869", "767541", 300.0), ("767541", "767542", 600.0), ("767542", "773869", 5000.0)]
DISTANCES += [(name, name, 0.0) for name in NAMES] + [("773869", "999", 1.0)]


def write_distances(path, header, pairs=DISTANCES):
    lines = ["from,to,cost"] if header else []
    path.write_text("\n".join(lines + [f"{a},{b},{d}" for a, b, d in pairs]) + "\n")
    return path


@pytest.mark.parametrize("header", [True, False])
def test_weights_are_the_kernel_of_distance_over_deviation(header, tmp_path):
    edge_index, weight = kernel_graph(write_distances(tmp_path / "d.csv", header), NAMES)
    known = [300.0, 600.0, 5000.0, 0.0, 0.0, 0.0]  # the sensor that is not in the series counts for nothing
    mean = sum(known) / 6
    sigma = math.sqrt(sum((d - mean) ** 2 for d in known) / 6)
    expected = {(0, 0): 1.0, (1, 1): 1.0, (2, 2): 1.0}
    expected |= {(0, 1): math.exp(-((300 / sigma) ** 2)), (1, 2): math.exp(-((600 / sigma) ** 2))}
    assert math.exp(-((5000 / sigma) ** 2)) < 0.1  # and so no edge from 767542 to 773869
    found = dict(zip(zip(*edge_index.tolist(), strict=True), weight, strict=True))
    assert found == pytest.approx(expected, rel=1e-12)
    assert list(found) == sorted(found)
    lower = kernel_graph(tmp_path / "d.csv", NAMES, threshold=0.0)[1]
    assert len(lower) == 6


def series_files(folder, speeds, distances, *, columns=NAMES, key="df", rows=400):
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    times = pd.date_range("2012-03-01", periods=rows, freq="5min")
    frame = pd.DataFrame(60 + rng.normal(size=(rows, 3)), index=times, columns=columns)
    frame.iloc[5, 1] = 0.0
    frame = frame.drop(frame.index[100:112])
    write_fixed_frame(folder / speeds, frame, key)
    write_distances(folder / distances, True)
    return frame


def test_metr_la(tmp_path, monkeypatch):
    frame = series_files(tmp_path / "metr-la", "metr-la.h5", "distances_la_2012.csv")
    series = metr_la(tmp_path)
    assert series.values.shape == (400, 3, 1)
    assert series.node_names == tuple(NAMES)
    assert series.start == pd.Timestamp("2012-03-01")
    gaps = series.values[..., 0].isnan()
    assert gaps[100:112].all()  # rows that the file leaves out
    assert gaps[5, 1]  # a zero is no report
    assert int(gaps.sum()) == 12 * 3 + 1
    seen = torch.tensor(frame.to_numpy(dtype="float32", copy=True))
    assert torch.equal(series.values[112:, :, 0], seen[100:])
    assert (series.step_minutes, series.season, series.unit) == (5.0, 288, "mph")
    assert series.split.label == "70/10/20 by time"
    assert series.edge_index.size(1) == 5
    monkeypatch.setenv("GNNKIT_DATA", str(tmp_path))
    assert load("metr-la").digest() == series.digest() == metr_la(tmp_path / "metr-la").digest()
    assert load("metr-la", tmp_path, threshold=0.0).edge_index.size(1) == 6


def test_pems_bay_has_numbers_as_names(tmp_path):
    numbers = [int(name) for name in NAMES]
    series_files(tmp_path / "pems-bay", "pems-bay.h5", "distances_bay_2017.csv", columns=numbers, key="speed")
    series = pems_bay(tmp_path)
    assert series.name == "pems-bay"
    assert series.node_names == tuple(NAMES)
    assert series.edge_index.size(1) == 5


def test_files_that_are_not_there(tmp_path, monkeypatch):
    monkeypatch.delenv("GNNKIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    by_hand = r"not on this machine, and github.com/liyaguang/DCRNN has links to fetch them by hand"
    with pytest.raises(FileNotFoundError, match=rf"^metr-la: metr-la.h5 and distances_la_2012.csv are {by_hand}"):
        load("metr-la")
    with pytest.raises(FileNotFoundError, match=rf"^pems-bay: pems-bay.h5 and distances_bay_2017.csv are {by_hand}"):
        pems_bay(tmp_path)
    series_files(tmp_path / "metr-la", "metr-la.h5", "distances_la_2012.csv")
    (tmp_path / "metr-la/distances_la_2012.csv").unlink()
    with pytest.raises(FileNotFoundError, match=rf"^metr-la: distances_la_2012.csv is {by_hand}; put it into"):
        metr_la(tmp_path)


def test_distances_that_do_not_fit(tmp_path):
    (tmp_path / "d.csv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"d\.csv: 2 columns; expected three, from, to and distance"):
        kernel_graph(tmp_path / "d.csv", NAMES)
    write_distances(tmp_path / "d.csv", True, [("1", "2", 3.0)])
    with pytest.raises(ValueError, match="no differing distances between the 3 sensors"):
        kernel_graph(tmp_path / "d.csv", NAMES)
