"""OGB's raw files of graphs: values by hand, ogb's own reader, its evaluators, and damage."""

import contextlib
import gzip
import io
import random
import shutil

import numpy as np
import pytest
import torch

from gnnkit.data.graphs import load_graphs
from gnnkit.data.ogb_graphs import graph_evaluator, read_ogb_graphs
from tests.data.graph_files import made_graphs, write_ogb, write_tu

TWO = [(2, [(0, 1)], 0), (3, [(0, 1), (1, 2)], 1), (1, [], 1)]
SPLIT = {"train": [0], "valid": [1], "test": [2]}


def test_all_parts_by_hand(tmp_path):
    features = [(3, 0.5), (0, 1), (1, 1), (2, 2), (0, 0), (0, 7)]
    folder = write_ogb(tmp_path / "mine", TWO, split=SPLIT, node_feat=features, edge_feat=[(1,), (2,), (0,)])
    found = load_graphs(folder)
    assert found.edge_counts.tolist() == [2, 4, 0]
    assert found.edge_index.tolist() == [[0, 1, 0, 1, 1, 2], [1, 0, 1, 0, 2, 1]]
    assert found.edge_categories.flatten().tolist() == [1, 1, 2, 2, 0, 0]
    assert found.remarks == ("each edge was added in the other direction, too",)
    assert (found.categories.flatten().tolist(), found.category_sizes) == ([3, 0, 1, 2, 0, 0], (4,))
    assert found.x.flatten().tolist() == [0.5, 1, 1, 2, 0, 7]
    assert (found.y.tolist(), found.task, found.metric) == ([[0], [1], [1]], "yes-or-no", "rocauc")
    assert found.split is not None
    assert [rows.tolist() for rows in found.split] == [[0], [1], [2]]
    assert read_ogb_graphs(folder, both_ways=False).edge_counts.tolist() == [1, 2, 0]


def test_edges_that_go_both_ways_are_left_as_they_are(tmp_path):
    both = [(2, [(0, 1), (1, 0)], 0), (2, [(0, 1), (1, 0)], 1)]
    assert load_graphs(write_ogb(tmp_path, both)).edge_counts.tolist() == [2, 2]


@pytest.mark.parametrize(
    ("labels", "task", "metric"),
    [
        ([(0,), (4,), (2,)], "classes", "acc"),
        ([(0.5,), (4,), (2,)], "numbers", "rmse"),
        ([(0, None), (1, 1), (None, 0)], "yes-or-no", "rocauc"),
        ([(0, 3), (1, 1), (1, 0)], "numbers", "rmse"),
    ],
)
def test_the_task_is_told_by_the_labels(tmp_path, labels, task, metric):
    found = load_graphs(write_ogb(tmp_path, TWO, labels))
    assert (found.task, found.metric) == (task, metric)
    if labels[0] == (0, None):
        assert found.y.isnan().tolist() == [[False, True], [False, False], [True, False]]


def test_ogbs_names_say_metric_and_classes(tmp_path):
    assert load_graphs(write_ogb(tmp_path / "ogbg_molpcba", TWO)).metric == "ap"
    assert load_graphs(write_ogb(tmp_path / "ogbg_molesol", TWO)).task == "numbers"
    found = load_graphs(write_ogb(tmp_path / "ogbg_ppa", TWO))
    assert (found.task, found.metric, found.num_classes) == ("classes", "acc", 37)
    with pytest.raises(ValueError, match="its task is subtoken prediction"):
        load_graphs(write_ogb(tmp_path / "ogbg_code2", TWO))


def test_it_is_what_ogb_reads(tmp_path):
    from ogb.io.read_graph_raw import read_csv_graph_raw

    graphs = made_graphs(12)
    nodes, edges = sum(size for size, *_ in graphs), sum(len(each) for _, each, _ in graphs)
    draw = np.random.default_rng(0)
    folder = write_ogb(
        tmp_path / "ogbg_molhiv",
        graphs,
        node_feat=draw.integers(0, 5, (nodes, 3)).tolist(),
        edge_feat=draw.integers(0, 3, (edges, 2)).tolist(),
    )
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        theirs = read_csv_graph_raw(str(folder / "raw"), add_inverse_edge=True)
    found = load_graphs(folder)
    for number, each in enumerate(theirs):
        batch = found.batch(torch.tensor([number]))
        assert batch.edge_index.tolist() == each["edge_index"].tolist()
        assert batch.categories.tolist() == each["node_feat"].tolist()
        assert batch.edge_categories.tolist() == each["edge_feat"].tolist()


def test_evaluators_are_ogbs():
    y, scores = torch.tensor([[1.0], [0.0], [1.0], [float("nan")]]), torch.tensor([[0.9], [0.5], [0.2], [0.0]])
    asked = {"y_true": y.numpy(), "y_pred": scores.numpy()}
    assert graph_evaluator("rocauc", 1).eval(asked)["rocauc"] == 0.5
    assert graph_evaluator("ap", 1).eval(asked)["ap"] == pytest.approx((1 + 2 / 3) / 2)
    assert graph_evaluator("rmse", 1).eval(asked)["rmse"] == pytest.approx(((0.01 + 0.25 + 0.64) / 3) ** 0.5)
    assert graph_evaluator("acc", 1).eval({**asked, "y_pred": y.numpy()})["acc"] == 1.0


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        ({"num_node_list": [(2,), (3,)]}, r"num-edge-list.csv.gz has 3 rows, and 2 belong there"),
        ({"num_node_list": [(3,), (2,), (1,)]}, "an edge of graph 1 runs from 1 to 2"),
        ({"num_node_list": [(2,), (-3,), (1,)]}, "row 2, column 1 is -3"),
        ({"num_edge_list": [(1,), (3,), (0,)]}, "edge.csv.gz has 3 rows, and 4 belong there"),
        ({"edge": [(0, 1), (0, 1), (1, 9)]}, "row 3, column 2 is 9"),
        ({"node_feat": [(1,)]}, "node-feat.csv.gz has 1 rows, and 6 belong there"),
    ],
)
def test_what_does_not_fit_is_named(tmp_path, extra, message):
    with pytest.raises(ValueError, match=message):
        load_graphs(write_ogb(tmp_path, TWO, **extra))


def test_a_split_that_names_a_graph_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"test.csv.gz: row 1, column 1 is 3"):
        load_graphs(write_ogb(tmp_path, TWO, split={**SPLIT, "test": [3]}))


@pytest.mark.parametrize("layout", ["tu", "ogb"])
def test_damage_of_any_file_is_an_error_of_one_line_or_graphs(tmp_path, layout):
    graphs, draw = made_graphs(6), random.Random(0)
    nodes = [(i % 4,) for i in range(sum(size for size, *_ in graphs))]
    if layout == "tu":
        whole = write_tu(tmp_path / "whole", graphs, node_labels=[label for (label,) in nodes])
    else:
        split = {"train": [0, 1], "valid": [2, 3], "test": [4, 5]}
        whole = write_ogb(tmp_path / "whole", graphs, node_feat=nodes, split=split)
    said = []
    for file in sorted(path.relative_to(whole) for path in whole.rglob("*") if path.is_file()):
        content = (whole / file).read_bytes()
        variants = [b"", content[: len(content) // 2], content + b"garbage", b"\xff\xfe" + content, bytes(len(content))]
        variants += [gzip.compress(b"1\n99999999999999999999\n"), b"1,2,3\n4\n", b"-1,1e300\n"]
        for _ in range(3):
            flipped = bytearray(content)
            flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
            variants.append(bytes(flipped))
        for variant in variants:
            shutil.rmtree(tmp_path / "damaged", ignore_errors=True)
            shutil.copytree(whole, tmp_path / "damaged")
            (tmp_path / "damaged" / file).write_bytes(variant)
            try:
                load_graphs(tmp_path / "damaged")
            except (ValueError, FileNotFoundError) as error:
                said.append(str(error))
    assert len(said) > 20
    assert all(len(text.splitlines()) == 1 for text in said)
