"""Planetoid from raw files, and what is refused in them."""

import json
import shutil

import pytest
import torch

from gnnkit.cli import main
from gnnkit.data import files
from gnnkit.data.nodes import NODE_DATASETS, load_nodes, planetoid, row_normalize
from tests.data.planetoid_toy import toy_parts, write_parts


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


def test_files_are_fetched_where_they_are_missing(tmp_path, monkeypatch):
    source = write_parts(tmp_path / "source", "pubmed", toy_parts())

    def download(url, output, pooch):
        shutil.copyfile(source / url.rsplit("/")[-1], output)

    monkeypatch.setattr("gnnkit.data.downloads.Resumed.__call__", lambda self, *words: download(*words))
    monkeypatch.setattr("pooch.HTTPDownloader", lambda *_, **__: download)
    monkeypatch.setattr(files, "RETRIES", 0)
    with pytest.raises(ValueError, match=r"ind.pubmed.x: what is sent from there is not the published file"):
        planetoid("pubmed", tmp_path / "root")
    data = planetoid("pubmed", tmp_path / "root", unverified=True)
    assert data.num_nodes == 516
    raw = tmp_path / "root" / "PubMed" / "raw"
    assert sorted(path.name for path in raw.iterdir()) == sorted(path.name for path in source.iterdir())


@pytest.mark.parametrize("name", ["citeseer", "pubmed"])
def test_files_of_the_same_layout_load_and_train_by_the_same_command(name, tmp_path, capsys):
    folder = write_parts(tmp_path / name, name, toy_parts(name))
    with pytest.raises(ValueError, match=rf"ind.{name}.x: its SHA-256"):
        load_nodes(name, folder)
    data = load_nodes(name, folder, unverified=True)
    numbers = [514, 512, 517 if name == "citeseer" else 515, 513]
    assert data.num_nodes == max(numbers) + 1
    assert (data.num_features, data.num_classes) == (6, 3)
    assert [int(data[f"{part}_mask"].sum()) for part in ("train", "val", "test")] == [9, 500, 4]
    assert data.y[numbers].tolist() == [512 % 3, 513 % 3, 514 % 3, 515 % 3]
    assert sorted(data.edge_index.t().tolist()) == [[0, 1], [1, 0], [1, 514], [514, 1]]
    out = tmp_path / "out"
    words = ["nodes", "train", "--data", name, "--data-root", str(folder), "--model", "gat", "--seeds", "2"]
    with pytest.raises(SystemExit) as end:
        main([*words, "--unverified", "--set", "epochs=3", "--device", "cpu", "--out", str(out)])
    assert end.value.code == 0
    assert "over 2 seeds" in capsys.readouterr().out
    heads = json.loads((out / "run.json").read_text())["model"].get("out_heads", 1)
    assert heads == (8 if name == "pubmed" else 1)


def test_names():
    with pytest.raises(ValueError, match="did you mean 'cora'"):
        load_nodes("corra")
    with pytest.raises(ValueError, match="unverified=True: data set 'ogbn-arxiv' takes meta_dict, trust_pickles"):
        load_nodes("ogbn-arxiv", unverified=True)
    with pytest.raises(ValueError, match="choose one of cora, citeseer, pubmed"):
        planetoid("ogbn-arxiv")
    assert next(iter(NODE_DATASETS)) == "cora"


def test_rows_of_zeros_stay():
    assert row_normalize(torch.tensor([[2.0, 2.0], [0.0, 0.0]])).tolist() == [[0.5, 0.5], [0.0, 0.0]]
