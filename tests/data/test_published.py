"""Published series on graphs: read from their sources' files, and as they lie in the folder of data."""

import gzip
import json

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import DATASETS, load, published
from tests.data.test_pandas_hdf5 import write_fixed_frame

# Name: rows, nodes, features, edges, season; sum of the values and of the weights of the edges.
LAID_OUT = {
    "state-flu": (360, 49, 1, 255, 52, 3935654.0, 255.0),
    "japan-flu": (348, 47, 1, 219, 52, 10718201.0, 219.0),
    "region-flu": (785, 10, 1, 42, 52, 7920025.0, 42.0),
    "spain-covid": (122, 52, 1, 222, 7, 241615.0, 222.0),
    "beijing-metro": (1800, 276, 1, 630, 72, 129173554.0, 630.0),
    "uk-wind": (721, 102, 1, 202, 24, 149029.6605772, 202.0),
    "pedalme": (35, 15, 1, 225, 52, 8.37136816, 64.61521334),
    "france-mobility": (78, 94, 1, 690, 7, 40043.0, 153524.0),
    "beijing-air": (17544, 12, 6, 60, 24, 15574798.3, 36.1692234),
    "danube": (41352, 31, 1, 30, 7, 234155128.0, 30.0),
}


@pytest.mark.parametrize("name", LAID_OUT)
def test_what_lies_in_the_folder_of_data_is_read_by_its_name(name, data_root):
    series = load(name, data_root)
    rows, nodes, features, edges, season, values, weights = LAID_OUT[name]
    assert (*series.values.shape, series.edge_index.size(1), series.season) == (rows, nodes, features, edges, season)
    assert series.values[..., 0].double().nansum().item() == pytest.approx(values, rel=1e-6)
    assert series.edge_weight.double().sum().item() == pytest.approx(weights, rel=1e-6)
    record = DATASETS[name]
    assert (series.name, series.unit, series.source) == (name, record.unit, record.source)


def test_a_table_without_titles_and_its_matrix(tmp_path):
    folder = tmp_path / "state-flu"
    folder.mkdir()
    table = np.arange(24.0).reshape(12, 2)
    np.savetxt(folder / "series.txt", table, delimiter=",")
    np.savetxt(folder / "turned.txt", table.T, delimiter=",")
    np.savetxt(folder / "graph.txt", [[1, 0], [0.5, 0]], delimiter=",")
    one = published.read_tables("toy", "series.txt", "graph.txt", "n", folder, step_minutes=60.0, season=4)
    other = published.read_tables(
        "toy", "turned.txt", "graph.txt", "n", folder, nodes_first=True, step_minutes=60.0, season=4
    )
    assert one.values[..., 0].tolist() == table.tolist()
    assert one.digest() == other.digest()
    assert (one.node_names, one.season, one.step_minutes) == (("n0", "n1"), 4, 60.0)
    assert one.edge_index.tolist() == [[0, 1], [0, 0]]
    assert one.edge_weight.tolist() == [1.0, 0.5]


def test_a_file_that_is_not_the_published_one_is_refused(tmp_path):
    (tmp_path / "state360.txt").write_text("1,2\n")
    (tmp_path / "state-adj.txt").write_text("0,1\n1,0\n")
    with pytest.raises(ValueError, match=r"state360\.txt'?: its SHA-256 is .* replace it with the original from https"):
        load("state-flu", tmp_path)


def test_pedalme_from_its_json(tmp_path):
    document = {"edges": [[0, 0], [0, 1], [1, 0]], "weights": [1.0, 0.25, 0.5], "X": [[1.0, 2.0]] * 9 + [[3.0, 4.0]]}
    (tmp_path / "pedalme_london.json").write_text(json.dumps(document))
    series = published.read_pedalme(tmp_path)
    assert series.edge_index.tolist() == [[0, 0, 1], [0, 1, 0]]
    assert series.edge_weight.tolist() == [1.0, 0.25, 0.5]
    assert series.values[-1, :, 0].tolist() == [3.0, 4.0]


def test_mobility_is_the_mean_of_the_training_days_and_of_no_later_one(tmp_path):
    days = pd.date_range("2020-03-10", periods=10).strftime("%Y-%m-%d")
    pd.DataFrame([[1] * 10, [2] * 10], index=pd.Index(["ain", "var"], name="name"), columns=days).to_csv(
        tmp_path / "france_labels.csv"
    )
    (tmp_path / "graphs").mkdir()
    for day, people in zip(days[:8], (10, 20, 30, 40, 50, 60, 70, 9000), strict=True):  # the eighth is no training day
        (tmp_path / "graphs" / f"FR_{day}.csv").write_text(f"ain,var,{people}.0\nain,ain,5.0\n")
    series = published.read_mobility(tmp_path)
    assert series.split.train == range(7)
    assert series.edge_index.tolist() == [[0], [1]]
    assert series.edge_weight.tolist() == [40.0]
    assert series.start == pd.Timestamp("2020-03-10")


def test_names_that_repeat_are_told_apart(tmp_path, monkeypatch):
    objects = {
        "vswindts": np.arange(24.0).reshape(8, 3),
        "vswindnames": np.array(["EAST", "RHYL ", "EAST"]),
        "vswindnet": {"edges": [np.array([2.0, 3.0]), np.array([1.0]), np.array([])]},
    }
    monkeypatch.setattr(published, "_rda", lambda path: objects)
    series = published.read_wind(tmp_path)
    assert series.node_names == ("EAST", "RHYL", "EAST 2")
    assert series.edge_index.tolist() == [[0, 0, 1], [1, 2, 0]]


def test_a_file_of_r_is_read(tmp_path):
    rdata = pytest.importorskip("rdata")
    objects = {"vswindts": np.arange(24.0).reshape(8, 3), "vswindnames": np.array(["A", "B", "C"])}
    rdata.write_rda(tmp_path / "vswind.rda", objects)
    found = published._rda(tmp_path / "vswind.rda")
    assert np.asarray(found["vswindts"]).tolist() == objects["vswindts"].tolist()
    assert list(found["vswindnames"]) == ["A", "B", "C"]


def test_exchange_rates_are_split_as_published(tmp_path):
    with gzip.open(tmp_path / "exchange_rate.txt.gz", "wt") as file:
        np.savetxt(file, 1 + np.arange(7588 * 2).reshape(7588, 2) / 7588, delimiter=",")
    series = published.read_exchange(tmp_path)
    assert [len(part) for part in series.split.parts.values()] == [4552, 1518, 1518]
    assert (series.season, series.edge_index.size(1), series.node_names[1]) == (None, 0, "currency 1")


def test_electricity_is_split_by_months_of_thirty_days(tmp_path):
    times = pd.date_range("2016-07-01", periods=14500, freq="h")
    frame = pd.DataFrame(np.random.default_rng(0).normal(size=(14500, 2)), index=times, columns=["HUFL", "OT"])
    frame.to_csv(tmp_path / "ETTh1.csv", index_label="date")
    series = published.read_electricity("ETTh1", 1, tmp_path)
    assert [len(part) for part in series.split.parts.values()] == [8640, 2880, 2880]
    assert (series.name, series.node_names, series.season) == ("etth1", ("HUFL", "OT"), 24)


def pems(folder, name, detectors, pairs, names=None):
    folder.mkdir(exist_ok=True)
    np.savez(folder / f"{name}.npz", data=np.arange(40.0 * detectors * 3).reshape(40, detectors, 3))
    (folder / f"{name}.csv").write_text("from,to,cost\n" + "".join(f"{one},{other},9.5\n" for one, other in pairs))
    if names:
        (folder / f"{name}.txt").write_text("\n".join(names))


def test_flow_of_pems_and_its_roads(tmp_path):
    pems(tmp_path / "pems08", "PEMS08", 3, [(0, 1), (1, 2), (2, 1), (2, 2)])
    series = load("pems08", tmp_path)
    assert series.values[:2, :, 0].tolist() == [[0, 3, 6], [9, 12, 15]]
    assert series.edge_index.tolist() == [[0, 1, 1, 2], [1, 0, 2, 1]]
    assert (series.start, series.season, series.unit) == (pd.Timestamp("2016-07-01"), 288, "vehicles")
    assert [len(part) for part in series.split.parts.values()] == [24, 8, 8]


def test_detectors_of_pems03_have_names(tmp_path):
    pems(tmp_path / "pems03", "PEMS03", 2, [(317842, 318711)], ["318711", "317842"])
    series = load("pems03", tmp_path)
    assert series.node_names == ("318711", "317842")
    assert series.edge_index.tolist() == [[0, 1], [1, 0]]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda folder: pems(folder, "PEMS08", 2, [(0, 7)]), "joins a detector '7', which PEMS08.npz has not"),
        (lambda folder: np.savez(folder / "PEMS08.npz", flow=np.zeros((9, 2, 1))), "holds no array 'data'"),
        (lambda folder: np.savez(folder / "PEMS08.npz", data=np.zeros((9, 2))), r"of shape \[9, 2\]; expected numbers"),
        (lambda folder: (folder / "PEMS08.csv").write_text("a,b\n0,1\n"), "expected from, to"),
        (lambda folder: (folder / "PEMS08.txt").write_text("x y z"), "names 3 detectors, and PEMS08.npz has 2"),
    ],
)
def test_files_of_pems_are_checked(change, text, tmp_path):
    pems(tmp_path, "PEMS08", 2, [(0, 1)])
    change(tmp_path)
    with pytest.raises(ValueError, match=text):
        load("pems08", tmp_path)


def test_a_region_of_largest(tmp_path):
    times = pd.date_range("2019-01-01", periods=50, freq="15min")
    frame = pd.DataFrame(np.arange(100.0).reshape(50, 2), index=times, columns=["1100", "1103"])
    write_fixed_frame(tmp_path / "sd_his_2019.h5", frame.drop(times[7]), "t")
    np.save(tmp_path / "sd_rn_adj.npy", np.array([[1.0, 0.5], [0.0, 1.0]]))
    series = load("largest-sd", tmp_path)
    assert series.values[7].isnan().all()
    assert series.values[8, :, 0].tolist() == [16.0, 17.0]
    assert (series.edge_index.tolist(), series.edge_weight.tolist()) == ([[0], [1]], [0.5])
    assert (series.step_minutes, series.season, series.node_names) == (15.0, 96, ("1100", "1103"))
    np.save(tmp_path / "sd_rn_adj.npy", np.eye(3))
    with pytest.raises(ValueError, match=r"of shape \[3, 3\], and sd_his_2019\.h5 has 2 detectors"):
        load("largest-sd", tmp_path)


def test_the_folder_of_data_comes_before_a_download(data_root, monkeypatch):
    monkeypatch.setenv("GNNKIT_DATA", str(data_root))
    monkeypatch.setattr("requests.get", lambda *_, **__: pytest.fail("asked for a download"))
    assert load("region-flu").num_nodes == 10
    assert torch.equal(load("region-flu").values, load("region-flu", data_root / "graphs" / "region-flu").values)
