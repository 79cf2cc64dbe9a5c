"""A compressed graph holds the same edges, and is made again when, and only when, something has changed."""

import gc
import weakref

import pytest
import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops import compress
from gnnkit.ops.structure import remembered

EDGES = torch.tensor([[3, 0, 0, 2, 2, 1], [1, 1, 0, 1, 3, 1]])


def edge_list(graph) -> list[tuple[int, int]]:
    return [tuple(pair) for pair in graph.edge_index.t().tolist()]


def check_arrays(graph, edges: Tensor) -> None:
    """Every array against its definition, by plain Python."""
    pairs = [tuple(pair) for pair in edges.t().tolist()]
    by_target = sorted(range(len(pairs)), key=lambda e: pairs[e][1])
    assert (graph.perm.tolist() if graph.perm is not None else list(range(len(pairs)))) == by_target
    assert graph.col.tolist() == [pairs[e][0] for e in by_target]
    assert graph.rowptr.tolist() == [sum(i < n for _, i in pairs) for n in range(graph.num_dst + 1)]
    by_source = sorted(range(len(pairs)), key=lambda p: graph.col[p].item())
    assert graph.perm_t.tolist() == by_source
    assert graph.row.tolist() == [pairs[by_target[p]][1] for p in by_source]
    assert graph.colptr.tolist() == [sum(j < n for j, _ in pairs) for n in range(graph.num_src + 1)]
    assert edge_list(graph) == pairs
    assert graph.degree.tolist() == [sum(i == n for _, i in pairs) for n in range(graph.num_dst)]


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64])
@pytest.mark.parametrize(
    "edges",
    [
        EDGES,
        torch.empty(2, 0, dtype=torch.int64),
        torch.tensor([[2, 2, 2], [0, 0, 0]]),
        torch.tensor([[0, 1], [1, 2], [2, 0]]).t(),
    ],
    ids=["mixed", "no edges", "duplicates", "non-contiguous"],
)
def test_arrays(edges: Tensor, dtype: torch.dtype) -> None:
    graph = compress(edges.to(dtype), 5, 4)
    assert (graph.num_src, graph.num_dst, graph.num_edges) == (4, 5, edges.size(1))
    assert graph.col.dtype == torch.int32
    check_arrays(graph, edges)


def test_a_large_graph_is_sorted_in_parts() -> None:
    torch.manual_seed(0)
    edges = torch.randint(0, 50, (2, 250_000))
    graph = compress(edges, 50, 50)
    order = torch.sort(edges[1], stable=True)
    assert torch.equal(graph.perm.long(), order.indices)
    assert torch.equal(graph.col.long(), edges[0][order.indices])
    assert torch.equal(graph.rowptr.diff().long(), torch.bincount(edges[1], minlength=50))


def test_number_of_nodes_comes_from_the_edges() -> None:
    graph = compress(EDGES)
    assert (graph.num_src, graph.num_dst) == (4, 4)
    assert compress(torch.empty(2, 0, dtype=torch.int64)).num_dst == 0


@pytest.mark.parametrize("sort_order", [None, "row", "col"])
def test_edge_index(sort_order: str | None) -> None:
    edges = EdgeIndex(EDGES, sparse_size=(4, 5))
    if sort_order is not None:
        edges = edges.sort_by(sort_order).values
    check_arrays(compress(edges), edges.as_tensor())


def test_the_memory_of_an_edge_index_counts_and_not_its_cache() -> None:
    edges = EdgeIndex(EDGES.clone(), sparse_size=(4, 5)).sort_by("row").values
    edges.fill_cache_()
    edges.as_tensor()[0] = 3
    check_arrays(compress(edges), edges.as_tensor())


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc])
def test_a_sparse_tensors_rows_are_targets(layout: torch.layout) -> None:
    dense = torch.zeros(3, 4)
    dense[1, 3] = dense[1, 0] = dense[2, 0] = 1.0
    graph = compress(dense.to_sparse(layout=layout))
    assert (graph.num_src, graph.num_dst) == (4, 3)
    assert sorted(edge_list(graph)) == [(0, 1), (0, 2), (3, 1)]


def test_edges_that_come_sorted_keep_their_order() -> None:
    for edges in (
        torch.tensor([[3, 1, 0], [0, 0, 2]]),
        torch.tensor([[3, 1, 0], [0, 0, 2]]).repeat_interleave(40_000, 1),
    ):
        graph = compress(edges, 4, 4)
        assert graph.perm is None
        assert torch.equal(graph.edge_index, edges)


def many(seed: int = 0) -> Tensor:
    """More edges than are sorted anew each time."""
    return torch.randint(4, (2, 10_000), generator=torch.Generator().manual_seed(seed))


def test_a_large_tensor_is_sorted_once() -> None:
    edges = many()
    assert compress(edges, 4, 4) is compress(edges, 4, 4)
    assert compress(edges, 4, 4) is not compress(edges, 5, 4)
    assert compress(edges, 4, 4) is not compress(edges.clone(), 4, 4)
    assert compress(edges[:, :8500], 4, 4) is compress(edges[:, :8500], 4, 4)


def test_nothing_is_kept_of_a_small_graph() -> None:
    kept = len(remembered._small.entries), len(remembered._shelves)
    held = [torch.randint(25, (2, 54)) for _ in range(100)]
    graphs = [weakref.ref(compress(edges, 25, 25)) for edges in held]
    gc.collect()
    assert [graph() for graph in graphs] == [None] * 100
    assert (len(remembered._small.entries), len(remembered._shelves)) == kept


@pytest.mark.parametrize("edges", [EDGES, many()], ids=["small", "large"])
def test_an_in_place_change_is_noticed(edges: Tensor) -> None:
    edges = edges.clone()
    before = compress(edges, 4, 4)
    edges[0, 0] = 2
    after = compress(edges, 4, 4)
    assert after is not before
    assert edge_list(after)[0] == (2, int(edges[1, 0]))
    edges[1].fill_(0)  # through a view
    assert compress(edges, 4, 4).degree.tolist() == [edges.size(1), 0, 0, 0]
    edges.numpy()[0, -1] = 4
    with pytest.raises(ValueError, match="row 0 of edge_index holds node 4, but num_src=4"):
        compress(edges, 4, 4)


def test_what_is_remembered_dies_with_its_memory() -> None:
    edges = many()
    graph = weakref.ref(compress(edges, 4, 4))
    sorted_edges = EdgeIndex(edges.int(), sparse_size=(4, 4)).sort_by("col").values
    second = weakref.ref(compress(sorted_edges))
    view = edges[:]
    del edges
    gc.collect()
    assert graph() is not None
    assert second() is not None
    del view, sorted_edges
    gc.collect()
    assert graph() is None
    assert second() is None


@pytest.mark.parametrize("edges", [EDGES, many()], ids=["small", "large"])
def test_what_is_made_in_inference_mode_can_be_trained_on(edges: Tensor) -> None:
    edges = edges.clone()
    with torch.inference_mode():
        graph = compress(edges, 4, 4)
        assert edge_list(compress(edges.clone(), 4, 4)) == edge_list(graph)
        arrays = (graph.rowptr, graph.col, graph.perm, graph.colptr, graph.row, graph.perm_t, graph.edge_index)
    assert not any(array.is_inference() for array in arrays)


@pytest.mark.parametrize("outgoing", [False, True])
def test_weights_in_the_kernels_order(outgoing: bool) -> None:
    for edges in (EDGES, many()):
        graph, weight = compress(edges, 4, 4), torch.rand(edges.size(1))
        order = graph.perm.long() if not outgoing else graph.perm.long()[graph.perm_t.long()]
        assert torch.equal(graph.ordered(weight, outgoing=outgoing), weight[order])
        weight.numpy()[:] = 2
        weight.numpy()[3] = 5
        assert torch.equal(graph.ordered(weight, outgoing=outgoing), weight[order])


@pytest.mark.parametrize(
    ("edges", "sizes", "text"),
    [
        (torch.tensor([[0], [4]]), (4, 4), "row 1 of edge_index holds node 4, but num_dst=4"),
        (torch.tensor([[-1], [0]]), (4, 4), "row 0 of edge_index holds node -1, but num_src=4"),
        (torch.zeros(3, 2, dtype=torch.int64), (4, 4), r"edge_index has shape \[3, 2\]"),
        (torch.zeros(2, 2), (4, 4), "edge_index has dtype torch.float32"),
        (torch.eye(3).to_sparse_csr(), (4, 3), "the sparse adjacency is 3 x 3"),
        (torch.zeros(2, 0, dtype=torch.int64), (-1, 4), "num_dst=-1"),
        (
            EdgeIndex([[0], [4]], sparse_size=(5, 5), sort_order="col"),
            (4, 5),
            "row 1 of edge_index holds node 4, but num_dst=4",
        ),
    ],
)
def test_what_is_wrong_is_said(edges: Tensor, sizes: tuple[int, int], text: str) -> None:
    with pytest.raises(ValueError, match=text):
        compress(edges, *sizes)


def test_other_types_and_sizes_that_disagree() -> None:
    with pytest.raises(TypeError, match="edge_index is a list"):
        compress([[0], [1]])  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="the compressed graph has num_dst=4, but 7 is asked for"):
        compress(compress(EDGES, 4, 4), 7)


def bad_csr(place: str) -> Tensor:
    parts = {"crow": torch.tensor([0, 1, 2, 3]), "col": torch.tensor([0, 1, 2])}
    name, at, value = {"wide": ("col", 2, 3), "below": ("col", 0, -1), "far": ("col", 1, 2**33)}.get(
        place, ("crow", 1, 9)
    )
    parts[name][at] = value
    return torch.sparse_csr_tensor(*parts.values(), torch.ones(3), (3, 3), check_invariants=False)


@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("wide", "a column index of the sparse tensor holds node 3, but num_src=3"),
        ("below", "holds node -1"),
        ("far", f"holds node {2**33}"),
        ("pointers", "row pointers are wrong: they are 4 numbers from 0 to 3 that never fall"),
    ],
)
def test_no_part_of_a_sparse_tensor_leads_out_of_the_graph(place: str, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        compress(bad_csr(place))


@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_csc, torch.sparse_coo], ids=str)
def test_an_index_out_of_range_that_is_written_later(layout: torch.layout) -> None:
    adjacency = torch.eye(40).to_sparse(layout=layout)
    compress(adjacency)
    for part in remembered.sparse_pattern(adjacency):
        kept = part.clone()
        part.data.view(-1)[-1] = 10**7
        with pytest.raises(ValueError, match=r"holds node 10000000|pointers are wrong"):
            compress(adjacency)
        part.data.copy_(kept)
    compress(adjacency)


def test_numbers_of_more_than_32_bits() -> None:
    for edges in (torch.tensor([[2**32 + 5, 1], [0, 1]]), torch.tensor([[2**32 + 5, 1], [0, 1]]).repeat(1, 60_000)):
        graph = compress(edges, num_dst=2, num_src=2**33)
        assert torch.equal(graph.edge_index, edges)
