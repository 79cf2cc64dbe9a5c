import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse
import torch
from torch_geometric.data import Data

from gnnkit.data.own_graph import read_graph

NAMES = ["a", "b", "c", "d"]
MATRIX = np.array([[0, 2.0, 0, 0], [0, 0, 0.5, 0], [0, 0, 1, 0], [3, 0, 0, 0]])
EDGES = {(0, 1): 2.0, (1, 2): 0.5, (2, 2): 1.0, (3, 0): 3.0}
LIST = [(NAMES[i], NAMES[j], weight) for (i, j), weight in EDGES.items()]
INDEX = torch.tensor(list(EDGES)).T
WEIGHT = torch.tensor(list(EDGES.values()))


def edges(graph):
    edge_index, weight = read_graph(graph, NAMES)
    return dict(zip(map(tuple, edge_index.T.tolist()), weight.tolist(), strict=True))


def directed():
    graph = nx.DiGraph()
    graph.add_weighted_edges_from(LIST)
    return graph


@pytest.mark.parametrize(
    "graph",
    [
        directed(),
        nx.from_numpy_array(MATRIX, create_using=nx.DiGraph),
        nx.to_pandas_edgelist(directed()),
        pd.DataFrame(LIST, columns=["from", "to", "weight"]),
        pd.DataFrame(LIST, columns=["from", "to", "weight"], index=[7, 3, 2, 9]),
        pd.DataFrame(MATRIX),
        pd.DataFrame(MATRIX, index=NAMES, columns=NAMES).iloc[::-1, [2, 0, 3, 1]],
        MATRIX,
        torch.tensor(MATRIX),
        torch.tensor(MATRIX.T).to_sparse(),  # PyG's adj_t: row is the target
        scipy.sparse.csr_matrix(MATRIX),
        scipy.sparse.coo_array(MATRIX),
        (INDEX, WEIGHT),
        Data(edge_index=INDEX, edge_weight=WEIGHT, num_nodes=4),
        Data(edge_index=INDEX, edge_attr=WEIGHT[:, None], num_nodes=4),
    ],
)
def test_every_form_is_the_same_graph(graph):
    assert edges(graph) == EDGES


def test_no_weights_are_ones_and_undirected_edges_count_twice():
    assert edges(INDEX) == dict.fromkeys(EDGES, 1.0)
    assert edges(Data(edge_index=INDEX)) == dict.fromkeys(EDGES, 1.0)
    assert edges(nx.Graph([("a", "b"), ("c", "c")])) == {(0, 1): 1.0, (1, 0): 1.0, (2, 2): 1.0}
    assert edges(nx.empty_graph(0)) == {}


@pytest.mark.parametrize(
    ("graph", "error", "message"),
    [
        (nx.path_graph(["x", "y"]), ValueError, "graph: 'x' is no node of the series, whose first is 'a'"),
        (nx.path_graph(5), ValueError, "graph: '4' is no node of the series"),
        (nx.Graph([("a", "b", {"weight": "far"})]), ValueError, "the weight from 'a' to 'b' is 'far'; give a number"),
        (MATRIX[:3, :3], ValueError, "the graph has the shape 3 × 3, but the series has 4 nodes"),
        (Data(edge_index=INDEX, num_nodes=9), ValueError, "the Data has 9 nodes, but the series has 4"),
        (Data(x=torch.zeros(4, 1)), ValueError, "the Data has no edge_index"),
        ((INDEX, WEIGHT[:2]), ValueError, r"weights must be 4 numbers, one an edge, got shape \[2\]"),
        (INDEX + 2, ValueError, "edge_index names the nodes 2 to 5, but the series has 4 nodes"),
        (np.array([["a", "b"]]), ValueError, "graph: expected numbers, got <U1"),
        ({"a": "b"}, TypeError, r"a dict is no graph that is known; give a path, a networkx graph, .* PyG's Data"),
        (-MATRIX, ValueError, "graph: the weight from 'a' to 'b' is negative"),
    ],
)
def test_what_is_no_graph_of_these_nodes(graph, error, message):
    with pytest.raises(error, match=message):
        edges(graph)
