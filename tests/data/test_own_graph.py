import re

import numpy as np
import pytest
import scipy.sparse

from gnnkit.data.own_graph import read_graph

NAMES = ["a", "b", "c", "d"]
MATRIX = np.array([[0, 2.0, 0, 0], [0, 0, 0.5, 0], [0, 0, 1, 0], [3, 0, 0, 0]])
EDGES = {(0, 1): 2.0, (1, 2): 0.5, (2, 2): 1.0, (3, 0): 3.0}


def edges(path, names=NAMES, graph_format="auto", **options) -> dict:
    edge_index, weight = read_graph(path, names, graph_format, **options)
    return dict(zip(map(tuple, edge_index.T.tolist()), weight.tolist(), strict=True))


def write(folder, text, name="graph.csv"):
    path = folder / name
    path.write_text(text)
    return path


def rows(matrix) -> list[str]:
    return [",".join(map(str, row)) for row in matrix.tolist()]


def test_matrix(tmp_path):
    assert edges(write(tmp_path, "\n".join(rows(MATRIX)))) == EDGES


def test_matrix_with_names_in_another_order(tmp_path):
    order = [2, 0, 3, 1]
    shuffled = MATRIX[np.ix_(order, order)]
    names = [NAMES[node] for node in order]
    head = ",".join(names)
    both = [f"x,{head}", *(f"{name},{row}" for name, row in zip(names, rows(shuffled), strict=True))]
    assert edges(write(tmp_path, "\n".join(both))) == EDGES
    assert edges(write(tmp_path, "\n".join([head, *rows(shuffled)]))) == EDGES
    column = [f"{name},{row}" for name, row in zip(names, rows(shuffled), strict=True)]
    assert edges(write(tmp_path, "\n".join(column))) == EDGES


def test_matrix_whose_lines_and_columns_are_in_two_orders(tmp_path):
    down, across = [1, 0, 2, 3], [3, 2, 1, 0]
    head = "," + ",".join(NAMES[node] for node in across)
    lines = [f"{NAMES[node]},{row}" for node, row in zip(down, rows(MATRIX[np.ix_(down, across)]), strict=True)]
    assert edges(write(tmp_path, "\n".join([head, *lines]))) == EDGES


def test_matrix_with_the_row_numbers_of_a_data_frame(tmp_path):
    text = "\n".join([",0,1,2,3", *(f"{node},{row}" for node, row in enumerate(rows(MATRIX)))])
    assert edges(write(tmp_path, text)) == EDGES


@pytest.mark.parametrize("head", ["", "source,target,weight\n", "from,to,km\n", "SRC,DST,W\n"])
@pytest.mark.parametrize("named", [True, False])
def test_edge_list(tmp_path, head, named):
    lines = [f"{NAMES[i] if named else i},{NAMES[j] if named else j},{w}" for (i, j), w in EDGES.items()]
    assert edges(write(tmp_path, head + "\n".join(lines)), weights="similarity") == EDGES


def test_edge_list_without_weights_and_without_edges(tmp_path):
    assert edges(write(tmp_path, "source,target\na,b\nd,a\n")) == {(0, 1): 1.0, (3, 0): 1.0}
    assert edges(write(tmp_path, "source,target\n")) == {}
    assert edges(write(tmp_path, "source,target,weight\na,b,0\nb,c,2\n")) == {(1, 2): 2.0}


def test_two_nodes_are_a_matrix_unless_told(tmp_path):
    path = write(tmp_path, "0,1\n1,0\n")
    assert edges(path, ["0", "1"]) == {(0, 1): 1.0, (1, 0): 1.0}
    path = write(tmp_path, "0,1\n0,0\n")
    assert edges(path, ["0", "1"], "edges") == {(0, 1): 1.0, (0, 0): 1.0}


def test_numbers_that_are_names_mean_names(tmp_path):
    path = write(tmp_path, "source,target\n717,716\n")
    assert edges(path, ["716", "717"]) == {(1, 0): 1.0}


@pytest.mark.parametrize("kind", ["sparse", "edges", "edges without weights", "matrix"])
def test_npz(tmp_path, kind):
    path = tmp_path / "graph.npz"
    index = np.array(list(EDGES)).T
    if kind == "sparse":
        scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(MATRIX))
    elif kind == "matrix":
        np.savez(path, adjacency=MATRIX)
    elif kind == "edges":
        np.savez(path, edge_index=index, edge_weight=list(EDGES.values()))
    else:
        np.savez(path, edge_index=index)
    assert edges(path) == (EDGES if "without" not in kind else dict.fromkeys(EDGES, 1.0))


def test_no_graph_is_no_edges():
    edge_index, weight = read_graph(None, NAMES)
    assert edge_index.shape == (2, 0)
    assert weight.shape == (0,)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1,0,0,0,0\n" * 5 + "1,0,0,0,0\n", "the graph has 6 × 5 cells, but the series has 4 nodes"),
        ("0.5,0,1\n" * 3, "the graph has 3 × 3 cells, but the series has 4 nodes"),
        ("a,b,c,x\n" + "1,0,0,0\n" * 4, "first line: 'x' is no node of the series"),
        ("a,b,c,c\n" + "1,0,0,0\n" * 4, "first line: the node 'c' comes twice"),
        ("0,1,0,0\n0,0,-2,0\n0,0,0,0\n0,0,0,0\n", "the weight from 'b' to 'c' is negative"),
        ("0,1,0,0\n0,0,,0\n0,0,0,0\n0,0,0,0\n", "the weight from 'b' to 'c' is missing"),
        ("0,1,0,0\n0,0,inf,0\n0,0,0,0\n0,0,0,0\n", "line 2, column 3: 'inf' is infinite"),
        ("0,1,0,0\n0,0,x,0\n0,0,0,0\n0,0,0,0\n", "line 2, column 3: 'x' is not a number"),
        ("a,b,c,d\n1,0,0,0\n1,0,0,0\n1,0,0,0\n", "a line of names and 3 rows"),
        ("0,1,0,0\n0,0\n", "line 2 has 2 cells"),
        ("source,target\na,b\nb,z\n", "line 3: 'z' is no node of the series"),
        ("source,target\n0,1\n1,7\n", r"line 3: '7' is no node of .* from 0 to 3, for it has 4 nodes"),
        ("source,target,weight\na,b,-1\n", "the weight from 'a' to 'b' is negative"),
        (
            "source,target,weight\na,b,\n",
            "graph.csv: line 2 has no weight; give one to every edge, or leave the column",
        ),
    ],
)
def test_what_does_not_fit_gets_one_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message) as caught:
        edges(write(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert str(caught.value).startswith("graph.csv")


def test_npz_that_does_not_fit(tmp_path):
    path = tmp_path / "graph.npz"
    for arrays, message in [
        ({"m": np.zeros((3, 3))}, "the shape 3 × 3, but the series has 4 nodes"),
        ({"m": np.zeros(3)}, "expected a matrix of numbers"),
        ({"m": np.zeros((4, 4)), "n": np.zeros(2)}, "has the arrays m, n"),
        (
            {"edge_index": np.array([[0], [4]])},
            r"graph.npz: edge_index\[1, 0\] is 4; allowed are 0 to 3, for there are 4 nodes",
        ),
        ({"edge_index": np.array([[0, 1], [1, -1]])}, r"edge_index\[1, 1\] is -1; allowed are 0 to 3"),
        ({"edge_index": np.zeros((2, 1))}, "whole numbers of shape"),
        ({"edge_index": np.array([[0], [1]]), "edge_weight": np.ones(2)}, "edge_weight must be 1 numbers"),
        ({"m": np.array([[object()]])}, "not an NPZ file of plain arrays"),
    ]:
        np.savez(path, **arrays)
        with pytest.raises(ValueError, match=message):
            edges(path)
    scipy.sparse.save_npz(path, scipy.sparse.eye(5, format="csr"))
    with pytest.raises(ValueError, match="the shape 5 × 5, but the series has 4 nodes"):
        edges(path)


@pytest.mark.parametrize("layout", ["csr", "csc", "bsr", "coo", "dia"])
def test_npz_of_every_sparse_layout(tmp_path, layout):
    path = tmp_path / "graph.npz"
    for kind in ("array", "matrix"):
        scipy.sparse.save_npz(path, getattr(scipy.sparse, f"{layout}_{kind}")(MATRIX))
        assert edges(path) == EDGES


def test_npz_of_a_sparse_matrix_with_a_wrong_number(tmp_path):
    path = tmp_path / "graph.npz"
    scipy.sparse.save_npz(path, scipy.sparse.csr_matrix(MATRIX))
    sound = dict(np.load(path))
    wrong = [
        ({"indptr": np.array([0, 10**8, 2, 3, 4])}, r"^graph.npz: indptr\[1\] is 100000000; allowed are 0 to 4"),
        ({"indptr": np.array([0, -(10**8), 2, 3, 4])}, r"^graph.npz: indptr\[1\] is -100000000"),
        ({"indices": np.array([1, 2, 10**6, 0])}, r"^graph.npz: indices\[2\] is 1000000; allowed are 0 to 3"),
        ({"data": sound["data"][:3]}, r"^graph.npz: indices has shape \[4\], but data has 3 entries"),
        ({"data": np.array([1, np.nan, 1, 1])}, "^graph.npz: the weight from 'b' to 'c' is missing or infinite"),
        ({"data": np.array([1, 1, -2.0, 1])}, "^graph.npz: the weight from 'c' to 'c' is negative"),
        ({"shape": np.array([4, 2**40])}, "^graph.npz: the graph has the shape 4 × 1099511627776"),
        ({"shape": np.array(["4", "4"])}, "^graph.npz: shape must be two whole numbers"),
        ({"format": np.array("lil")}, "^graph.npz: unknown sparse layout 'lil'"),
        ({"format": np.array([b"csr"])}, "^graph.npz: format must be the name of a sparse layout"),
        ({"format": np.array(7)}, "^graph.npz: format must be the name of a sparse layout"),
    ]
    for changed, message in wrong:
        np.savez(path, **(sound | changed))
        with pytest.raises(ValueError, match=message):
            edges(path)


def test_wrong_file_or_format(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"graph .*: there is no such file"):
        edges(tmp_path / "graph.csv")
    with pytest.raises(ValueError, match=r"unknown ending '.json'; give a .csv or .npz file"):
        edges(write(tmp_path, "1", "graph.json"))
    with pytest.raises(ValueError, match="graph_format='dense': give one of auto, matrix, edges"):
        read_graph(None, NAMES, "dense")
    np.savez(tmp_path / "graph.npz", m=MATRIX)
    with pytest.raises(ValueError, match="graph_format='edges'"):
        edges(tmp_path / "graph.npz", graph_format="edges")


ROWS = [("a", "b", 2.0), ("b", "c", 0.5), ("c", "c", 1.0), ("d", "a", 3.0)]


@pytest.mark.parametrize(
    "titles",
    [
        "from,to,weight", "src,dst,w", "node1,node2,value", "node_1,node_2,weight", "i,j,w", "start,end,weight",
        "origin,destination,trips", "Origin ID,Destination ID,Flow", "from_station_id,to_station_id,volume",
        "station_a,station_b,weight", "u,v,weight", "Source Node,Target Node,Weight", "upstream,downstream,x",
        "foo,bar,x",
    ],
)  # fmt: skip
def test_edge_lists_of_other_titles(tmp_path, titles):
    lines = [",".join(map(str, row)) for row in ROWS]
    assert edges(write(tmp_path, "\n".join([titles, *lines]))) == EDGES
    numbered = [f"{number},{line}" for number, line in enumerate(lines)]
    for before in ("", "Unnamed: 0", "id"):  # a data frame's row numbers
        assert edges(write(tmp_path, "\n".join([f"{before},{titles}", *numbered]))) == EDGES


def test_columns_in_another_order_and_more_of_them(tmp_path):
    lines = [f"{weight},{target},{source},A8" for source, target, weight in ROWS]
    notes = []
    path = write(tmp_path, "\n".join(["weight,target,source,road", *lines]))
    edge_index, weight = read_graph(path, NAMES, notes=notes)
    assert dict(zip(map(tuple, edge_index.T.tolist()), weight.tolist(), strict=True)) == EDGES
    assert notes == ["graph.csv: 'weight' is the weight; 'road' not read."]
    assert edges(write(tmp_path, "0,a,b,2\n1,b,c,0.5\n2,c,c,1\n3,d,a,3\n")) == EDGES
    assert edges(write(tmp_path, ",source,target\n0,a,b\n1,b,c\n")) == {(0, 1): 1.0, (1, 2): 1.0}
    assert edges(write(tmp_path, "from;to;weight\na;b;0,5\n")) == {(0, 1): 0.5}
    with pytest.raises(
        ValueError, match="the columns 'foo', 'bar' could each be the weight of an edge; call one of them"
    ):
        edges(write(tmp_path, "from,to,foo,bar\na,b,1,2\n"))
    with pytest.raises(ValueError, match=r"column 1 .'time'. holds times like '2024-01-01': a graph for each time"):
        edges(write(tmp_path, "time,from,to,weight\n2024-01-01,a,b,1\n"))


def test_weights_that_may_be_distances_are_told_of(tmp_path):
    def notes(text):
        found = []
        read_graph(write(tmp_path, text), NAMES, notes=found)
        return found

    for title in ("cost", "distance", "dist_km", "length (m)", "travel_time"):
        with pytest.raises(
            ValueError,
            match=re.escape(
                f"graph.csv: the weights stand under {title!r} and go from 120.5 to 9800, as distances do; give "
                f"--graph-weights distance, which makes similarities of them, or --graph-weights similarity to take "
                f"them as they are, larger is nearer"
            ),
        ):
            notes(f"from,to,{title}\na,b,120.5\nb,c,9800\na,a,0\n")
    assert notes("from,to,weight\na,b,0.5\nb,c,2\n") == []
    assert (
        "the weights go from 1 to 500; they are taken as similarities, larger is nearer: if they are"
        in notes("from,to,x\na,b,1\nb,c,500\n")[0]
    )
    far = np.abs(np.subtract.outer(np.arange(4), np.arange(4))) / 10
    with pytest.raises(
        ValueError, match=r"the weights go from 0\.1 to 0\.3, join each node with all others but not with"
    ):
        notes("\n".join(rows(far)))
    assert notes("\n".join(rows(1 - far))) == []
    assert "numbers from 1 to 3, counted from 0: 1 is 'b'" in notes("1,2\n2,3\n3,2\n1,3\n2,1\n")[0]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (("x", "2"), r"line 2, column 3: 'x' is not a number; write one, 0 where there is no edge$"),
        (
            ("1,161", "2,043"),
            r"'1,161' on line 2 can be 1161 or 1\.161, .*tells which; write the numbers without separators",
        ),
    ],
)
def test_options_of_a_series_are_not_offered_for_a_graph(tmp_path, weights, message):
    with pytest.raises(ValueError, match=message) as caught:
        edges(write(tmp_path, f"source;target;weight\na;b;{weights[0]}\nb;c;{weights[1]}\n"))
    assert "--" not in str(caught.value)
