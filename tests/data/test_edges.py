"""A graph from a list of edges."""

import pytest

from gnnkit.data.edges import read_edges


def write(tmp_path, text):
    path = tmp_path / "edges.csv"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("head", ["", "source,target\n", "from;to\n"])
def test_names_in_the_order_in_which_they_come(tmp_path, head):
    separator = ";" if ";" in head else ","
    graph = read_edges(write(tmp_path, head + f"b{separator}a\na{separator}c\n"))
    assert graph.node_names == ("b", "a", "c")
    assert graph.edge_index.tolist() == [[0, 1], [1, 2]]
    assert graph.edge_weight.tolist() == [1.0, 1.0]
    assert graph.num_nodes == 3


def test_numbers_in_their_order_and_weights(tmp_path):
    graph = read_edges(write(tmp_path, "\ufeffsource\ttarget\tweight\n10\t2\t0.5\n2\t7\t3\n"))
    assert graph.node_names == (2, 7, 10)
    assert graph.edge_index.tolist() == [[2, 0], [0, 1]]
    assert graph.edge_weight.tolist() == [0.5, 3.0]


def test_undirected_adds_what_is_missing(tmp_path):
    graph = read_edges(write(tmp_path, "0,1,2\n1,0,5\n1,2,3\n2,2,1\n"), undirected=True)
    assert graph.edge_index.tolist() == [[0, 1, 1, 2, 2], [1, 0, 2, 2, 1]]
    assert graph.edge_weight.tolist() == [2, 5, 3, 1, 3]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "the file is empty"),
        ("a,b,c,d\n", "found 4 columns; give source,target"),
        ("source,target\n", "there is no edge in it"),
        ("source,target,weight\na,b,1\na,c,x\n", "line 3: the weight 'x' must be a number from 0 on"),
        ("a,b,1\na,c,-1\n", "line 2: the weight '-1'"),
        ("a,b\na,\n", "line 2: an end of the edge has no name"),
        ("a,b\na,b,c\n", "every row needs 2 cells"),
    ],
)
def test_bad_files_are_named_with_the_line(tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read_edges(write(tmp_path, text))


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="there is no such file"):
        read_edges(tmp_path / "no.csv")


def test_titles_of_other_kinds(tmp_path):
    path = tmp_path / "edges.csv"
    for text in (
        "from,to,weight\na,b,0.5\nb,c,2\n",
        ",node1,node2,w\n0,a,b,0.5\n1,b,c,2\n",
        "weight;target node;source node\n0.5;b;a\n2;c;b\n",
    ):
        path.write_text(text)
        data = read_edges(path)
        assert data.edge_index.tolist() == [[0, 1], [1, 2]]
        assert data.edge_weight.tolist() == [0.5, 2.0]
        assert data.node_names == ("a", "b", "c")
