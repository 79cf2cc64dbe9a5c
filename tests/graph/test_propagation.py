import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from gnnkit.graph import propagation, to_dense
from gnnkit.graph.propagation import SparseAdjacency, average, normalized_adjacency, propagate

# Directed and weighted; node 3 has a loop already, node 0 is reached by nobody.
EDGES = torch.tensor([[0, 0, 1, 2, 3, 3], [1, 2, 2, 1, 3, 2]])
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 4.0, 1.5])
X = torch.zeros(4, dtype=torch.float64)


def by_hand(edge_index, edge_weight, num_nodes, loops):
    a = torch.zeros(num_nodes, num_nodes, dtype=torch.float64)
    for (source, target), weight in zip(edge_index.t().tolist(), edge_weight.tolist(), strict=True):
        a[target, source] += weight
    for node in range(num_nodes):
        if loops is True or (loops == "missing" and a[node, node] == 0):
            a[node, node] += 1
    degree = a.sum(1)
    scale = torch.where(degree > 0, degree.clamp(min=1e-300) ** -0.5, 0.0)
    return scale[:, None] * a * scale


@pytest.mark.parametrize("loops", ["missing", True, False])
def test_the_matrix_is_the_one_of_graph_convolution(loops):
    found = normalized_adjacency(EDGES, WEIGHT, X, 4, loops)
    assert found.dtype == torch.float64
    torch.testing.assert_close(found, by_hand(EDGES, WEIGHT, 4, loops), rtol=0, atol=1e-12)


def test_it_is_pygs():
    index, weight = gcn_norm(EDGES, WEIGHT.double(), 4)
    dense = torch.zeros(4, 4, dtype=torch.float64).index_put((index[1], index[0]), weight, accumulate=True)
    torch.testing.assert_close(normalized_adjacency(EDGES, WEIGHT, X, 4, "missing"), dense)


def test_no_weights_are_ones_and_no_edges_leave_the_loops():
    ones = normalized_adjacency(EDGES, torch.ones(6), X, 4, "missing")
    assert torch.equal(normalized_adjacency(EDGES, None, X, 4, "missing"), ones)
    empty = torch.empty(2, 0, dtype=torch.long)
    assert torch.equal(normalized_adjacency(empty, None, X, 4, "missing"), torch.eye(4, dtype=torch.float64))
    assert torch.equal(normalized_adjacency(empty, None, X, 4, False), torch.zeros(4, 4, dtype=torch.float64))


@pytest.mark.filterwarnings("ignore:Sparse")
@pytest.mark.parametrize("layout", ["EdgeIndex", "csr", "coo"])
def test_every_format_of_a_graph_gives_the_same_matrix(layout):
    expected = normalized_adjacency(EDGES, WEIGHT, X, 4, "missing")
    if layout == "EdgeIndex":
        found = normalized_adjacency(EdgeIndex(EDGES, sparse_size=(4, 4)), WEIGHT, X, 4, "missing")
    else:
        adj_t = torch.sparse_coo_tensor(EDGES.flip(0), WEIGHT, (4, 4)).coalesce()
        adj_t = adj_t if layout == "coo" else adj_t.to_sparse_csr()
        found = normalized_adjacency(adj_t, None, X, 4, "missing")
        with pytest.raises(ValueError, match="edge_weight must be None beside a sparse adj_t"):
            normalized_adjacency(adj_t, WEIGHT, X, 4, "missing")
        with pytest.raises(ValueError, match=r"adj_t must be \[5, 5\] as x has it, got \[4, 4\]"):
            normalized_adjacency(adj_t, None, X, 5, "missing")
    torch.testing.assert_close(found, expected)


def test_it_is_made_once_and_again_after_an_inplace_change():
    edges, weight = EDGES.clone(), WEIGHT.clone()
    first = normalized_adjacency(edges, weight, X, 4, "missing")
    assert normalized_adjacency(edges, weight, X, 4, "missing") is first
    assert normalized_adjacency(edges, weight, X, 4, True) is not first
    assert normalized_adjacency(edges, weight, X.float(), 4, "missing").dtype == torch.float32
    weight[0] = 9.0
    second = normalized_adjacency(edges, weight, X, 4, "missing")
    torch.testing.assert_close(second, by_hand(edges, weight, 4, "missing"))
    edges[1, 0] = 3
    third = normalized_adjacency(edges, weight, X, 4, "missing")
    torch.testing.assert_close(third, by_hand(edges, weight, 4, "missing"))
    assert (second - third).abs().max() > 0.1
    other = WEIGHT.clone()
    torch.testing.assert_close(normalized_adjacency(edges, other, X, 4, "missing"), by_hand(edges, other, 4, "missing"))


def test_learned_weights_get_their_gradient_on_every_call():
    weight = WEIGHT.double().requires_grad_()
    for _ in range(2):
        normalized_adjacency(EDGES, weight, X, 4, "missing").sum().backward()
        assert weight.grad is not None
        assert weight.grad.abs().max() > 0
    assert torch.autograd.gradcheck(lambda w: normalized_adjacency(EDGES, w, X, 4, "missing"), (weight,))


def test_a_matrix_made_in_inference_mode_serves_training_later():
    edges, weight = EDGES.clone(), WEIGHT.clone()
    with torch.inference_mode():
        adjacency = normalized_adjacency(edges, weight, X, 4, "missing")
        inside = normalized_adjacency(edges.clone(), weight.clone(), X, 4, "missing")
    assert torch.equal(inside, adjacency)
    assert normalized_adjacency(edges, weight, X, 4, "missing") is adjacency
    x = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    propagate(adjacency, x).sum().backward()
    torch.testing.assert_close(x.grad, adjacency.sum(0)[:, None].expand(2, 4, 3))


@pytest.mark.parametrize("channels", [5, 17])  # narrow and wide
def test_the_sparse_product_is_the_dense_one(monkeypatch, channels):
    torch.manual_seed(0)
    x = torch.randn(3, 2, 4, channels, dtype=torch.float64, requires_grad=True)
    weight = WEIGHT.double().requires_grad_()
    results = []
    for limit in (1024, 3):
        monkeypatch.setattr(propagation, "DENSE_NODES", limit)
        adjacency = normalized_adjacency(EDGES, weight, X, 4, "missing")
        assert isinstance(adjacency, SparseAdjacency) == (limit == 3)
        out = propagate(adjacency, x)
        torch.testing.assert_close(propagate(adjacency, x[0]), out[0], rtol=0, atol=1e-12)
        results.append((out, *torch.autograd.grad(out.square().sum(), (x, weight))))
    for dense, sparse in zip(*results, strict=True):
        torch.testing.assert_close(dense, sparse, rtol=0, atol=1e-12)
    expected = torch.einsum("ij,tbjc->tbic", by_hand(EDGES, WEIGHT, 4, "missing"), x)
    torch.testing.assert_close(results[0][0], expected, rtol=0, atol=1e-12)


def test_graphs_that_do_not_fit():
    with pytest.raises(ValueError, match=r"holds node id 3, allowed: 0 .. 2"):
        normalized_adjacency(EDGES, WEIGHT, X, 3, "missing")
    with pytest.raises(ValueError, match="edge_weight must have one entry for each of the 6 edges"):
        normalized_adjacency(EDGES, WEIGHT[:2], X, 4, "missing")
    with pytest.raises(ValueError, match=r"edge_weight must have shape \[E\], got \[6, 1\]"):
        normalized_adjacency(EDGES, WEIGHT[:, None], X, 4, "missing")
    with pytest.raises(ValueError, match="edge_index is on meta, x on cpu; move the graph"):
        normalized_adjacency(EDGES.to("meta"), None, X, 4, "missing")


# The graph of Li et al. (2018) in small: 0 -> 1, 0 -> 2, 1 -> 2.
DIRECTED = torch.tensor([[0, 0, 1], [1, 2, 2]])


def test_a_walker_leaves_along_the_edges_or_against_them():
    along = normalized_adjacency(DIRECTED, None, X, 3, False, method="random-walk")
    assert along.tolist() == [[0.0, 0.0, 0.0], [0.5, 0.0, 0.0], [0.5, 1.0, 0.0]]  # targets in the rows: 1/2, 1/2, 1
    against = normalized_adjacency(DIRECTED, None, X, 3, False, method="random-walk", reverse=True)
    assert against.tolist() == [[0.0, 1.0, 0.5], [0.0, 0.0, 0.5], [0.0, 0.0, 0.0]]
    means = normalized_adjacency(DIRECTED, None, X, 3, True, method="row")
    torch.testing.assert_close(
        means, torch.tensor([[6.0, 0, 0], [3, 3, 0], [2, 2, 2]], dtype=torch.float64) / 6, rtol=0, atol=1e-15
    )
    undirected = normalized_adjacency(DIRECTED, None, X, 3, False, undirected=True)
    torch.testing.assert_close(undirected, (1 - torch.eye(3, dtype=torch.float64)) / 2, rtol=0, atol=1e-15)
    # All are kept beside each other.
    assert normalized_adjacency(DIRECTED, None, X, 3, False, method="random-walk") is along
    assert normalized_adjacency(DIRECTED, None, X, 3, False).tolist() != along.tolist()


@pytest.mark.parametrize("method", ["symmetric", "row", "random-walk"])
@pytest.mark.parametrize("loops", ["missing", True, False])
@pytest.mark.parametrize("direction", [{}, {"reverse": True}, {"undirected": True}])
def test_traced_it_is_the_same(method, loops, direction):
    def product(edges, weight, x):
        return propagate(normalized_adjacency(edges, weight, x, x.size(0), loops, method=method, **direction), x)

    class Model(torch.nn.Module):
        def forward(self, edges, weight, x):
            return product(edges, weight, x)

    weight, x = WEIGHT.double(), torch.randn(4, 3, dtype=torch.float64)
    expected = product(EDGES, weight, x)
    torch.compiler.reset()  # each case is a program of its own, not a recompilation of the last one
    compiled = torch.compile(product, fullgraph=True, backend="eager")
    torch.testing.assert_close(compiled(EDGES, weight, x), expected, rtol=0, atol=1e-12)
    nodes, count = torch.export.Dim("nodes", min=2, max=4096), torch.export.Dim("edges", min=2, max=4096)
    shapes = ({1: count}, {0: count}, {0: nodes})
    program = torch.export.export(Model(), (EDGES, weight, x), dynamic_shapes=shapes).module()
    torch.testing.assert_close(program(EDGES, weight, x), expected, rtol=0, atol=1e-12)


def test_the_negative_of_a_sparse_matrix(monkeypatch):
    monkeypatch.setattr(propagation, "DENSE_NODES", 3)
    x = torch.randn(4, 3, dtype=torch.float64)
    sparse = normalized_adjacency(EDGES, WEIGHT, x, 4, "missing")
    torch.testing.assert_close(propagate(-sparse, x), -propagate(sparse, x))


def test_the_matrix_is_dense_where_that_is_cheaper():
    ring = torch.stack([torch.arange(120), torch.arange(120).roll(-1)])
    x = torch.zeros(120, 1)
    assert isinstance(normalized_adjacency(ring, None, x, 120, False), SparseAdjacency)
    assert isinstance(normalized_adjacency(ring[:, :50] % 50, None, x, 50, False), torch.Tensor)
    full = torch.ones(120, 120).nonzero().t()
    assert isinstance(normalized_adjacency(full, None, x, 120, False), torch.Tensor)


def test_the_mean_of_several_matrices_is_dense(monkeypatch):
    dense = normalized_adjacency(EDGES, WEIGHT, X, 4, "missing")
    monkeypatch.setattr(propagation, "DENSE_NODES", 3)
    sparse = normalized_adjacency(EDGES.clone(), WEIGHT, X, 4, "missing")
    assert average([sparse]) is sparse
    torch.testing.assert_close(average([sparse, torch.eye(4, dtype=dense.dtype)]), (dense + torch.eye(4)) / 2)
    diagonal = torch.tensor([1.0, 0.0, 2.0, 0.0], dtype=dense.dtype)
    whole = SparseAdjacency(EDGES, torch.ones(6, dtype=dense.dtype), diagonal)
    expected = to_dense(EDGES, None, 4).double() + torch.diag(diagonal)
    torch.testing.assert_close(average([whole, whole]).double(), expected.double())
    with pytest.raises(ValueError, match="does not know its number of nodes"):
        average([SparseAdjacency(EDGES, torch.ones(6)), dense])
