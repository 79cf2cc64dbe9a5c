"""What is wrong with a graph is said in one sentence; what was looked at once is not looked at again."""

import networkx as nx
import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.data import Data

from gnnkit.graph import check_adj_t, check_edge_index, check_edge_weight, check_graph

EDGES = torch.tensor([[0, 3, 1], [1, 1, 0]])


def test_bipartite_counts_hold_for_each_row():
    assert torch.equal(check_edge_index(EDGES, (4, 2)), EDGES)
    with pytest.raises(ValueError, match=r"edge_index\[0\] holds node id 3, allowed: 0 .. 2 \(3 source nodes\)"):
        check_edge_index(EDGES, (3, 4))
    with pytest.raises(ValueError, match=r"edge_index\[1\] holds node id 1, allowed: 0 .. 0 \(1 target nodes\)"):
        check_edge_index(EDGES, (4, 1))
    with pytest.raises(ValueError, match=r"edge_index\[0\] holds node id -3, allowed: 0 or more"):
        check_edge_index(-EDGES)


def test_a_networkx_graph_in_the_place_of_edges_is_told_the_way():
    with pytest.raises(ValueError, match=r"shape \[2, E\], got DiGraph; use from_networkx\(graph\)\[0\]"):
        check_edge_index(nx.DiGraph([(0, 1)]))
    with pytest.raises(ValueError, match=r"got list; use torch.tensor"):
        check_edge_index([[0], [1]])


@pytest.mark.parametrize("write", [lambda ids: ids.__setitem__((0, 0), 9), lambda ids: ids.numpy().put(0, 9)])
def test_ids_that_are_written_later_are_looked_at(write):
    edge_index = EDGES.clone()
    check_edge_index(edge_index, 4)
    write(edge_index)
    for _ in range(2):  # a bad one is never remembered as good
        with pytest.raises(ValueError, match="holds node id 9"):
            check_edge_index(edge_index, 5)
    assert check_edge_index(edge_index, 5, ids=False) is edge_index


def test_inference_and_meta_tensors_pass():
    with torch.inference_mode():
        edge_index = EDGES.clone()
        check_edge_index(edge_index, 4)
        with pytest.raises(ValueError, match="holds node id 3"):
            check_edge_index(edge_index, 3)
    assert check_edge_index(EDGES.to("meta"), 1).is_meta


def test_edge_index_class_comes_back_plain_and_its_size_counts():
    plain = check_edge_index(EdgeIndex(EDGES, sparse_size=(4, 4)), 4)
    assert type(plain) is torch.Tensor
    with pytest.raises(
        ValueError, match=r"sparse_size \(4, 4\), but the graph has 5 x 5 nodes; .*sparse_size=\(5, 5\)"
    ):
        check_edge_index(EdgeIndex(EDGES, sparse_size=(4, 4)), 5)


@pytest.mark.parametrize(
    ("edge_index", "message"),
    [
        ([[0], [1]], r"edge_index must be an integer tensor of shape \[2, E\], got list; use torch.tensor"),
        (EDGES.float(), r"edge_index must hold integer node ids, got torch.float32; convert it with .long\(\)"),
        (EDGES.t(), r"shape \[2, E\] \(sources, targets\), got \[3, 2\]; transpose it with .t\(\)"),
        (EDGES[0], r"got \[3\]$"),
        (torch.eye(2).to_sparse_coo(), "must be an edge list .*got torch.sparse_coo; use from_csr first"),
    ],
)
def test_malformed_edge_lists_are_named(edge_index, message):
    with pytest.raises(ValueError, match=message):
        check_edge_index(edge_index)


def test_adj_t_edge_weight_and_graph():
    check_adj_t(torch.ones(2, 3).to_sparse_csr(), (3, 2))
    with pytest.raises(ValueError, match=r"\[targets, sources\] = \[3, 2\] .*got \[2, 3\]"):
        check_adj_t(torch.ones(2, 3).to_sparse_csr(), (2, 3))
    with pytest.raises(ValueError, match=r"got torch.strided; use adj_t.to_sparse_csr\(\)"):
        check_adj_t(torch.eye(2), 2)
    check_edge_weight(None, 3)
    with pytest.raises(ValueError, match=r"edge_attr must have one entry for each of the 3 edges, got shape \[\]"):
        check_edge_weight(torch.tensor(1.0), 3, name="edge_attr")
    with pytest.raises(ValueError, match="graph must be a PyG Data with edge_index and num_nodes"):
        check_graph(Data())
    assert check_graph(Data(edge_index=EDGES, x=torch.ones(4, 1)))[1] == 4
