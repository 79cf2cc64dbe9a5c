"""OGB's format: a small data set by ogb's own saver, and raw CSV, both read back."""

import gzip
import os

import numpy as np
import pytest
import torch

from gnnkit.data.ogb_nodes import _damage_named, load_ogb, ogb_evaluator

SPLIT = {"train": np.array([0, 1, 2]), "valid": np.array([3]), "test": np.array([4, 5])}
GRAPH = {
    "edge_index": np.array([[0, 1, 2, 3, 4], [1, 2, 3, 4, 5]]),
    "num_nodes": 6,
    "node_feat": np.arange(12, dtype=np.float32).reshape(6, 2),
}
LABELS = np.array([[0], [1], [2], [0], [1], [2]])


@pytest.fixture
def saved(tmp_path, monkeypatch):
    """A data set as `ogb.io.DatasetSaver` writes it, and its `meta_dict`."""
    from ogb.io import DatasetSaver

    monkeypatch.chdir(tmp_path)
    saver = DatasetSaver("ogbn-tiny", False, version=1, root="made")
    saver.save_graph_list([dict(GRAPH)])
    saver.save_target_labels(LABELS)
    saver.save_split(SPLIT, split_name="order")
    (tmp_path / "mapping").mkdir()
    (tmp_path / "mapping" / "README.md").write_text("none")
    saver.copy_mapping_dir("mapping")
    saver.save_task_info("multiclass classification", "acc", num_classes=3)
    return saver.get_meta_dict()


def check(data):
    assert data.edge_index.tolist() == GRAPH["edge_index"].tolist()
    assert data.x.tolist() == GRAPH["node_feat"].tolist()
    assert data.y.tolist() == [0, 1, 2, 0, 1, 2]
    assert (data.num_nodes, data.num_classes, data.name) == (6, 3, "ogbn-tiny")
    assert data.train_mask.tolist() == [True] * 3 + [False] * 3
    assert data.val_mask.nonzero().tolist() == [[3]]
    assert data.test_mask.nonzero().view(-1).tolist() == [4, 5]


def test_ogbs_own_class_with_the_opt_in(saved):
    check(load_ogb("ogbn-tiny", meta_dict=saved, trust_pickles=True))
    assert "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD" not in os.environ


def test_the_same_without_unpickling(saved, monkeypatch):
    loaded = []
    original = torch.load

    def watched(*args, **options):
        loaded.append(options.get("weights_only"))
        return original(*args, **options)

    monkeypatch.setattr(torch, "load", watched)
    check(load_ogb("ogbn-tiny", meta_dict=saved))
    assert loaded == []  # the split is read without torch's loader


def test_a_split_that_would_run_something_is_refused(saved):
    class Evil:
        def __reduce__(self):
            return (print, ("it ran",))

    path = os.path.join(saved["dir_path"], "split", "order", "split_dict.pt")
    torch.save({"train": Evil()}, path)
    with pytest.raises(
        Exception, match=r"split_dict.pt: loading it would run '__builtin__ print'; nothing is unpickled"
    ):
        load_ogb("ogbn-tiny", meta_dict=saved)


def write_csv(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    with gzip.open(path, "wt") as file:
        file.writelines(",".join(map(str, row)) + "\n" for row in rows)


def test_raw_csv_by_its_name(tmp_path):
    place = tmp_path / "ogbn_arxiv"
    write_csv(place / "raw" / "edge.csv.gz", GRAPH["edge_index"].T)
    write_csv(place / "raw" / "num-node-list.csv.gz", [[6]])
    write_csv(place / "raw" / "num-edge-list.csv.gz", [[5]])
    write_csv(place / "raw" / "node-feat.csv.gz", GRAPH["node_feat"])
    write_csv(place / "raw" / "node-label.csv.gz", LABELS)
    write_csv(place / "raw" / "node_year.csv.gz", [[2000 + i] for i in range(6)])
    for part, nodes in SPLIT.items():
        write_csv(place / "split" / "time" / f"{part}.csv.gz", nodes[:, None])
    data = load_ogb("ogbn-arxiv", tmp_path)
    assert data.num_classes == 40
    assert data.x.tolist() == GRAPH["node_feat"].tolist()
    assert data.node_year.view(-1).tolist() == [2000, 2001, 2002, 2003, 2004, 2005]
    assert data.test_mask.nonzero().view(-1).tolist() == [4, 5]


def test_proteins_take_the_mean_of_their_edges_and_many_tasks(tmp_path):
    place = tmp_path / "ogbn_proteins"
    write_csv(place / "raw" / "edge.csv.gz", [[0, 1], [1, 2]])
    write_csv(place / "raw" / "num-node-list.csv.gz", [[3]])
    write_csv(place / "raw" / "num-edge-list.csv.gz", [[2]])
    write_csv(place / "raw" / "edge-feat.csv.gz", [[0.5, 1.0], [0.25, 2.0]])
    write_csv(place / "raw" / "node_species.csv.gz", [[1], [1], [2]])
    write_csv(place / "raw" / "node-label.csv.gz", [[0, 1], [1, 1], [0, 0]])
    for part, node in (("train", 0), ("valid", 1), ("test", 2)):
        write_csv(place / "split" / "species" / f"{part}.csv.gz", [[node]])
    data = load_ogb("ogbn-proteins", tmp_path)
    assert data.edge_index.size(1) == 4  # both directions
    assert data.x.tolist() == [[0.5, 1.0], [0.375, 1.5], [0.25, 2.0]]
    assert data.y.tolist() == [[0, 1], [1, 1], [0, 0]]
    assert data.num_classes == 2


def test_evaluators(saved):
    truth = LABELS
    assert ogb_evaluator("ogbn-tiny", saved).eval({"y_true": truth, "y_pred": truth}) == {"acc": 1.0}
    wrong = truth.copy()
    wrong[:3] = (wrong[:3] + 1) % 3
    assert ogb_evaluator("ogbn-arxiv").eval({"y_true": truth, "y_pred": wrong}) == {"acc": 0.5}


def test_mistakes_are_named(tmp_path):
    with pytest.raises(ValueError, match="OGB has no such data set; choose one of ogbn-proteins"):
        load_ogb("ogbn-arxif", tmp_path)
    with pytest.raises(ValueError, match="several kinds of nodes"):
        load_ogb("ogbn-mag", tmp_path)
    with pytest.raises(
        FileNotFoundError, match=r"edge.csv.gz is not there; unpack OGB's archive .* trust_pickles=True"
    ):
        load_ogb("ogbn-arxiv", tmp_path)


@pytest.mark.parametrize("keep", [0.5, 0.0])
def test_a_file_that_was_cut_off_is_named(tmp_path, keep):
    raw = tmp_path / "raw"
    raw.mkdir()
    whole = gzip.compress(b"0,1\n1,2\n" * 50)
    (raw / "edge.csv.gz").write_bytes(whole)
    (raw / "node-feat.csv.gz").write_bytes(whole[: int(keep * len(whole))] or b"no archive")

    def read():
        with _damage_named(raw):
            gzip.decompress((raw / "node-feat.csv.gz").read_bytes())

    with pytest.raises(ValueError, match=r"node-feat.csv.gz is damaged \(\w+: .*\); fetch OGB's archive"):
        read()
