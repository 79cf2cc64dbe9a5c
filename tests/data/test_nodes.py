"""Planetoid from raw files, and what is refused in them."""

import collections
import json
import pickle
import shutil

import numpy as np
import pytest
import scipy.sparse as sp
import torch

from gnnkit.cli import main
from gnnkit.data.nodes import NODE_DATASETS, load_nodes, planetoid, row_normalize


@pytest.fixture
def cora_files(data_root):
    folder = data_root / "planetoid"
    if not (folder / "ind.cora.x").is_file():
        pytest.skip(f"no Cora: {folder} has no ind.cora.x")
    return folder


def test_cora_is_the_published_one(cora_files, monkeypatch):
    monkeypatch.setenv("GNNKIT_DATA", str(cora_files.parent))
    data = load_nodes("cora")
    assert (data.num_nodes, data.num_edges, data.num_features, data.num_classes) == (2708, 10556, 1433, 7)
    masks = [int(data[f"{part}_mask"].sum()) for part in ("train", "val", "test")]
    assert masks == [140, 500, 1000]
    assert torch.bincount(data.y[data.train_mask]).tolist() == [20] * 7
    assert data.is_undirected()
    assert data.x.layout == torch.sparse_csr
    assert data.x.values().numel() == 49216
    torch.testing.assert_close(data.x.to_dense().sum(1), torch.ones(2708))


def test_files_in_any_of_the_places_dense_and_as_they_are(cora_files, tmp_path):
    raw = tmp_path / "Cora" / "raw"
    shutil.copytree(cora_files, raw)
    data = planetoid("cora", tmp_path, normalize=False, sparse=False)
    assert data.x.layout == torch.strided
    assert set(data.x.unique().tolist()) == {0.0, 1.0}
    assert sorted(path.name for path in (tmp_path / "Cora").iterdir()) == ["raw"]  # nothing is written beside them


class Evil:
    def __reduce__(self):
        return (print, ("it ran",))


def test_a_pickle_that_would_run_something_is_refused(cora_files, tmp_path, capsys):
    for path in cora_files.glob("ind.cora.*"):
        shutil.copy(path, tmp_path / path.name)
    (tmp_path / "ind.cora.graph").chmod(0o644)
    (tmp_path / "ind.cora.graph").write_bytes(pickle.dumps(Evil(), protocol=2))
    with pytest.raises(ValueError, match=r"ind.cora.graph: loading it would run '__builtin__ print'"):
        planetoid("cora", tmp_path)
    (tmp_path / "ind.cora.graph").write_bytes(pickle.dumps(Evil(), protocol=4))
    with pytest.raises(ValueError, match=r"ind.cora.graph: loading it would run 'STACK_GLOBAL'"):
        planetoid("cora", tmp_path)
    (tmp_path / "ind.cora.graph").write_bytes(b"no pickle")
    with pytest.raises(ValueError, match=r"ind.cora.graph: not a Planetoid file"):
        planetoid("cora", tmp_path)
    assert "it ran" not in capsys.readouterr().out


@pytest.mark.parametrize("name", ["citeseer", "pubmed"])
@pytest.mark.parametrize("part", ["x", "tx", "allx"])
def test_a_matrix_with_a_wrong_index_is_refused_before_it_is_made_dense(name, part, planetoid_files):
    folder, _ = planetoid_files(name)
    path = folder / f"ind.{name}.{part}"
    for changed, place, value, message in (
        ("indptr", 1, -(10**8), r"indptr\[1\] is -100000000; allowed are 0 to "),
        ("indptr", -2, 10**8, r"indptr\[\d+\] is 100000000"),
        ("indices", 2, 10**6, r"indices\[2\] is 1000000; allowed are 0 to 5, for there are 6 columns"),
        ("indices", 0, -1, r"indices\[0\] is -1"),
        ("data", 1, np.nan, r"data\[1\] is nan"),
    ):
        whole = path.read_bytes()
        matrix = pickle.loads(whole)
        getattr(matrix, changed)[place] = value
        path.write_bytes(pickle.dumps(matrix, protocol=3))
        with pytest.raises(ValueError, match=f"^ind.{name}.{part}: {message}"):
            planetoid(name, folder)
        path.write_bytes(whole)


def test_files_that_are_nowhere_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr("torch_geometric.datasets.planetoid.fs.cp", _no_network)
    with pytest.raises(FileNotFoundError, match=r"citeseer: its files are not on this machine .* set GNNKIT_DATA"):
        planetoid("citeseer", tmp_path)


def _no_network(*_):
    raise OSError("no network")


@pytest.mark.parametrize("name", ["citeseer", "pubmed"])
def test_files_of_the_same_layout_load_and_train_by_the_same_command(name, planetoid_files, tmp_path, capsys):
    folder, truth = planetoid_files(name)
    data = load_nodes(name, folder)
    assert data.num_nodes == truth["num_nodes"]
    assert (data.num_features, data.num_classes) == (6, 3)
    assert [int(data[f"{part}_mask"].sum()) for part in ("train", "val", "test")] == [9, 500, 4]
    for node, label in truth["labels"].items():
        assert int(data.y[node]) == label
    assert sorted(data.edge_index.t().tolist()) == truth["edges"]
    out = tmp_path / "out"
    words = ["nodes", "train", "--data", name, "--data-root", str(folder), "--model", "gat", "--seeds", "2"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--set", "epochs=3", "--device", "cpu", "--out", str(out)])
    assert end.value.code == 0
    assert "over 2 seeds" in capsys.readouterr().out
    heads = json.loads((out / "run.json").read_text())["model"].get("out_heads", 1)
    assert heads == (8 if name == "pubmed" else 1)


@pytest.fixture
def planetoid_files(tmp_path):
    """Writes the eight files of a small data set as they are published: two of CiteSeer's nodes have no row."""

    def write(name):
        folder, draw = tmp_path / name, np.random.default_rng(0)
        folder.mkdir()
        known = 9 + 500 + 3  # training, validation, and others
        numbers = [known + 2, known, known + 3, known + 1]  # of the tests, in the order of their rows
        if name == "citeseer":
            numbers[2] = known + 5  # known + 3 and known + 4 are nowhere
        labels = np.arange(known + len(numbers)) % 3
        features = sp.csr_matrix((draw.random((labels.size, 6)) < 0.5).astype(np.float32))
        once = np.eye(3, dtype=np.int32)[labels]
        graph = collections.defaultdict(list, {0: [1], 1: [0, numbers[0]], numbers[0]: [1]})
        parts = {
            "x": features[:9],
            "y": once[:9],
            "allx": features[:known],
            "ally": once[:known],
            "tx": features[known:],
            "ty": once[known:],
            "graph": graph,
        }
        for part, value in parts.items():
            (folder / f"ind.{name}.{part}").write_bytes(pickle.dumps(value, protocol=3))
        (folder / f"ind.{name}.test.index").write_text("\n".join(map(str, numbers)) + "\n")
        edges = sorted([[0, 1], [1, 0], [1, numbers[0]], [numbers[0], 1]])
        found = {number: int(label) for number, label in zip(numbers, labels[known:], strict=True)}
        return folder, {"num_nodes": max(numbers) + 1, "edges": edges, "labels": found}

    return write


def test_names():
    with pytest.raises(ValueError, match="did you mean 'cora'"):
        load_nodes("corra")
    with pytest.raises(ValueError, match="choose one of cora, citeseer, pubmed"):
        planetoid("ogbn-arxiv")
    assert next(iter(NODE_DATASETS)) == "cora"


def test_rows_of_zeros_stay():
    assert row_normalize(torch.tensor([[2.0, 2.0], [0.0, 0.0]])).tolist() == [[0.5, 0.5], [0.0, 0.0]]
