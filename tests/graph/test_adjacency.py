"""Self-loops, normalisation and dense matrices, by hand and against PyG."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch_geometric import EdgeIndex
from torch_geometric.nn.conv.gcn_conv import gcn_norm

from gnnkit.graph import from_dense, normalize_adjacency, set_self_loops, to_dense

# 0 -> 1 (2), 2 -> 1 (6), 1 -> 0 (4), and a loop of weight 3 at node 2; node 3 is alone.
EDGES = torch.tensor([[0, 2, 1, 2], [1, 1, 0, 2]])
WEIGHTS = torch.tensor([2.0, 6.0, 4.0, 3.0])


def test_to_dense_has_targets_in_its_rows_and_from_dense_reads_sources():
    matrix = to_dense(EDGES, WEIGHTS, 4)
    assert matrix.tolist() == [[0, 4, 0, 0], [2, 0, 6, 0], [0, 0, 3, 0], [0, 0, 0, 0]]
    x = torch.tensor([[1.0], [10.0], [100.0], [1000.0]])
    assert (matrix @ x).view(-1).tolist() == [40, 602, 300, 0]  # node 1 hears 2 * 1 + 6 * 100
    as_in_a_file = to_dense(EDGES, WEIGHTS, 4, rows="source")
    assert torch.equal(as_in_a_file, matrix.t())
    edge_index, edge_weight = from_dense(as_in_a_file)
    assert edge_index.tolist() == [[0, 1, 2, 2], [1, 0, 1, 2]]
    assert edge_weight.tolist() == [2, 4, 6, 3]
    assert torch.equal(to_dense(*from_dense(matrix, rows="target"), 4), matrix)


def test_duplicate_edges_add_up_and_unweighted_ones_count():
    edge_index = torch.tensor([[0, 0, 1], [1, 1, 0]])
    assert to_dense(edge_index, None, 2).tolist() == [[0, 1], [2, 0]]
    assert to_dense(edge_index, torch.tensor([1.0, 2.0, 5.0]), 2).tolist() == [[0, 5], [3, 0]]


def test_integer_matrix_is_read_as_weights():
    edge_index, edge_weight = from_dense(torch.tensor([[0, 2], [0, 0]]))
    assert edge_index.tolist() == [[0], [1]]
    assert edge_weight.dtype == torch.float32
    assert edge_weight.tolist() == [2.0]


@pytest.mark.parametrize(
    ("self_loops", "diagonal"), [("keep", [0, 0, 3, 0]), ("add", [1, 1, 3, 1]), ("remove", [0] * 4)]
)
def test_self_loops_are_kept_completed_or_removed(self_loops, diagonal):
    assert to_dense(EDGES, WEIGHTS, 4, self_loops=self_loops).diagonal().tolist() == diagonal
    edge_index, edge_weight = from_dense(to_dense(EDGES, WEIGHTS, 4, rows="source"), self_loops=self_loops)
    assert to_dense(edge_index, edge_weight, 4).diagonal().tolist() == diagonal
    edge_index, edge_weight = set_self_loops(EDGES, None, 4, self_loops)
    assert edge_weight is None
    assert (edge_index[0] == edge_index[1]).sum() == sum(entry > 0 for entry in diagonal)


def test_normalisation_by_hand():
    def matrix(method, add_self_loops=False):
        normalized = normalize_adjacency(EDGES, WEIGHTS, 4, method=method, add_self_loops=add_self_loops)
        return to_dense(*normalized, 4)

    # Incoming weights: 4, 8, 3, 0; outgoing: 2, 4, 9, 0.
    assert matrix("row").tolist() == [[0, 1, 0, 0], [0.25, 0, 0.75, 0], [0, 0, 1, 0], [0] * 4]
    walk = torch.tensor([[0, 1, 0, 0], [1, 0, 6 / 9, 0], [0, 0, 3 / 9, 0], [0] * 4])
    torch.testing.assert_close(matrix("random-walk"), walk)
    root = torch.tensor([4.0, 8.0, 3.0, 1.0]).sqrt()
    torch.testing.assert_close(matrix("symmetric"), to_dense(EDGES, WEIGHTS, 4) / root[:, None] / root[None, :])
    # "missing" leaves the loop of weight 3 alone, True adds 1 to it.
    assert matrix("row", "missing")[2].tolist() == [0, 0, 1, 0]
    assert matrix("row", "missing")[3].tolist() == [0, 0, 0, 1]
    assert matrix("row", "missing")[0].tolist() == pytest.approx([0.2, 0.8, 0, 0])
    doubled = normalize_adjacency(EDGES, WEIGHTS, 4, method="random-walk", add_self_loops=True)
    assert to_dense(*doubled, 4)[:, 2].tolist() == pytest.approx([0, 0.6, 0.4, 0])


def test_a_diagonal_of_ones_is_not_counted_twice():
    matrix = torch.eye(3) + torch.tensor([[0.0, 1, 0], [1, 0, 0], [0, 0, 0]])
    edge_index, edge_weight = from_dense(matrix)
    once = to_dense(*normalize_adjacency(edge_index, edge_weight, 3), 3)
    torch.testing.assert_close(once, torch.tensor([[0.5, 0.5, 0], [0.5, 0.5, 0], [0, 0, 1]]))
    twice = to_dense(*normalize_adjacency(edge_index, edge_weight, 3, add_self_loops=True), 3)
    assert twice[0].tolist() == pytest.approx([2 / 3, 1 / 3, 0])


@settings(max_examples=40, deadline=None)
@given(st.integers(1, 8), st.integers(0, 20), st.booleans(), st.integers(0, 10_000))
def test_symmetric_equals_pyg_and_rows_and_columns_sum_to_one(num_nodes, num_edges, weighted, seed):
    generator = torch.Generator().manual_seed(seed)
    edge_index = torch.randint(num_nodes, (2, num_edges), generator=generator).unique(dim=1)
    weight = torch.rand(edge_index.size(1), generator=generator, dtype=torch.float64) + 0.1 if weighted else None
    expected = gcn_norm(edge_index, weight, num_nodes)
    got = normalize_adjacency(edge_index, weight, num_nodes)
    torch.testing.assert_close(to_dense(*got, num_nodes), to_dense(*expected, num_nodes))
    ones = torch.ones(num_nodes, dtype=got[1].dtype)
    rows = to_dense(*normalize_adjacency(edge_index, weight, num_nodes, method="row"), num_nodes)
    torch.testing.assert_close(rows.sum(1), ones)
    columns = to_dense(*normalize_adjacency(edge_index, weight, num_nodes, method="random-walk"), num_nodes)
    torch.testing.assert_close(columns.sum(0), ones)


@pytest.mark.parametrize("method", ["symmetric", "row", "random-walk"])
@pytest.mark.parametrize("add_self_loops", ["missing", True, False])
def test_gradcheck_and_finite_gradients_at_isolated_nodes(method, add_self_loops):
    def entries(weight):
        return normalize_adjacency(EDGES, weight, 4, method=method, add_self_loops=add_self_loops)[1]

    weight = WEIGHTS.double().requires_grad_()
    assert torch.autograd.gradcheck(entries, weight)
    zero = torch.zeros(4, dtype=torch.float64, requires_grad=True)  # every degree is 0
    (gradient,) = torch.autograd.grad(entries(zero).sum(), zero)
    assert gradient.isfinite().all()


def test_edge_index_class_and_small_integer_types_are_read():
    expected = to_dense(EDGES, None, 4)
    assert torch.equal(to_dense(EdgeIndex(EDGES, sparse_size=(4, 4)), None, 4), expected)
    assert torch.equal(to_dense(EDGES.to(torch.int32), None, 4), expected)
    assert set_self_loops(EDGES.to(torch.uint8), None, 300)[0].max() == 299


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: normalize_adjacency(EDGES, None, 4, method="both"),
            "method must be 'symmetric', 'row' or 'random-walk'",
        ),
        (
            lambda: normalize_adjacency(EDGES, None, 4, add_self_loops="all"),
            "add_self_loops must be 'missing', True or",
        ),
        (lambda: normalize_adjacency(EDGES, -WEIGHTS, 4), r"gives node 1 the negative degree -7, .*method='row'"),
        (lambda: normalize_adjacency(EDGES, WEIGHTS[:2], 4), "edge_weight must have one entry for each of the 4 edges"),
        (lambda: normalize_adjacency(EDGES, WEIGHTS, 2), r"edge_index\[0\] holds node id 2, allowed: 0 .. 1"),
        (lambda: set_self_loops(EDGES, None, 4, "drop"), "self_loops must be 'keep', 'add' or 'remove', got 'drop'"),
        (lambda: to_dense(EDGES, None, 4, rows="targets"), "rows must be 'source' or 'target', got 'targets'"),
        (lambda: from_dense(torch.ones(2, 3)), r"matrix must be square, \[N, N\], got \[2, 3\]; check for a header"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
