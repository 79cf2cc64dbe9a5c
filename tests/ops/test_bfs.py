"""gnnkit.ops.hop_levels: every backend against a queue, odd graphs, errors."""

import subprocess
import sys
import threading

import networkx as nx
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, csgraph
from torch_geometric import EdgeIndex

from gnnkit._optional import is_available
from gnnkit.ops import compress, use_backend
from gnnkit.ops.bfs import hop_levels
from gnnkit.ops.bfs.front import _hop_levels_op

BACKENDS = ["torch"] + (["numba"] if is_available("numba") else [])


def random_graph(nodes, edges, seed=0):
    """Edges whose sources follow a power law."""
    generator = torch.Generator().manual_seed(seed)
    sources = (torch.rand(edges, generator=generator) ** 3 * nodes).long()
    targets = torch.randint(nodes, (edges,), generator=generator)
    return torch.stack([sources, targets])


def draw_sources(nodes, count, seed=0):
    return torch.randint(nodes, (count,), generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_by_hand(backend):
    # 0 → 1 → 2 → 3, a shortcut 0 → 2, and 4 alone with a self-loop
    edges = torch.tensor([[0, 1, 2, 0, 4], [1, 2, 3, 2, 4]])
    with use_backend(backend):
        assert hop_levels(edges, [0, 3, 4, 1]).tolist() == [
            [0, 1, 1, 2, -1],
            [-1, -1, -1, 0, -1],
            [-1, -1, -1, -1, 0],
            [-1, 0, 1, 2, -1],
        ]
        assert hop_levels(edges, [0], max_hops=1).tolist() == [[0, 1, 1, -1, -1]]
        assert hop_levels(edges, [0], max_hops=0).tolist() == [[0, -1, -1, -1, -1]]
        assert hop_levels(edges, [0], 6).tolist() == [[0, 1, 1, 2, -1, -1]]


# nodes, edges, sources: whole and broken words, stretches and groups of sources, more sources than nodes
SIZES = [(1, 0, 1), (10, 20, 3), (65, 0, 5), (64, 300, 64), (200, 300, 65), (300, 4000, 600), (130, 900, 1100)]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("dtype", [torch.int16, torch.int32])
def test_reference(backend, size, dtype):
    nodes, edges, count = size
    graph, sources = random_graph(nodes, edges), draw_sources(nodes, count)
    for max_hops in (None, 2):
        with use_backend("reference"):
            expected = hop_levels(graph, sources, nodes, max_hops=max_hops, dtype=dtype)
        with use_backend(backend):
            found = hop_levels(graph, sources, nodes, max_hops=max_hops, dtype=dtype)
        assert found.dtype == dtype
        assert torch.equal(found, expected)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("threads", [1, 2, 3])
def test_any_number_of_threads(backend, threads):
    graph, sources = random_graph(500, 3000), draw_sources(500, 700)
    with use_backend("reference"):
        expected = hop_levels(graph, sources, 500)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(threads)
        with use_backend(backend):
            assert torch.equal(hop_levels(graph, sources, 500), expected)
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_long_paths_use_all_digits(backend):
    nodes = 300
    path = torch.stack([torch.arange(nodes - 1), torch.arange(1, nodes)])
    both_ways = torch.cat([path, path.flip(0)], dim=1)
    position = torch.arange(nodes)
    with use_backend(backend):
        found = hop_levels(both_ways, [0, 299, 150])
    assert torch.equal(found.long(), (position - torch.tensor([[0], [299], [150]])).abs())


@pytest.mark.skipif(not is_available("numba"), reason="numba is not installed")
def test_a_level_that_does_not_fit_is_an_error():
    nodes = 2**15 + 2
    path = torch.stack([torch.arange(nodes - 1), torch.arange(1, nodes)])
    with pytest.raises(OverflowError, match=r"more than 32767 hops away.*pass dtype=torch.int32"):
        hop_levels(path, [0])
    assert torch.equal(hop_levels(path, [0], dtype=torch.int32)[0], torch.arange(nodes, dtype=torch.int32))
    assert hop_levels(path, [2])[0, -1] == 2**15 - 1
    assert hop_levels(path, [0], max_hops=2**15 - 1)[0, -3:].tolist() == [2**15 - 1, -1, -1]


def test_power_law_graph_against_scipy():
    nodes = 4000
    graph, sources = random_graph(nodes, 40000), draw_sources(nodes, 600)
    matrix = coo_matrix((np.ones(graph.shape[1]), graph.numpy()), shape=(nodes, nodes)).tocsr()
    expected = csgraph.dijkstra(matrix, unweighted=True, indices=sources[:40].numpy())
    expected[np.isinf(expected)] = -1
    assert (hop_levels(graph, sources, nodes)[:40].numpy() == expected).all()


def test_networkx():
    network = nx.random_regular_graph(3, 120, seed=1)
    edges = torch.tensor([*network.edges, *((b, a) for a, b in network.edges)]).t()
    expected = dict(nx.all_pairs_shortest_path_length(network))
    found = hop_levels(edges, torch.arange(120))
    assert all(found[i, j] == hops for i, row in expected.items() for j, hops in row.items())


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_nothing_at_all(backend):
    none = torch.empty(2, 0, dtype=torch.int64)
    with use_backend(backend):
        assert hop_levels(none, [], 0).shape == (0, 0)
        assert hop_levels(none, [], 3).shape == (0, 3)
        assert hop_levels(none, [2, 0], 3).tolist() == [[-1, -1, 0], [0, -1, -1]]


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_node_with_all_edges_and_parallel_ones(backend):
    nodes = 200
    star = torch.stack([torch.zeros(2 * nodes, dtype=torch.int64), torch.arange(nodes).repeat(2)])
    with use_backend(backend):
        found = hop_levels(torch.cat([star, star.flip(0)], dim=1), torch.arange(nodes))
    expected = torch.full((nodes, nodes), 2)
    expected[0], expected[:, 0] = 1, 1
    expected.fill_diagonal_(0)
    assert torch.equal(found.long(), expected)


@pytest.mark.parametrize("kind", [torch.int32, torch.int64])
def test_every_form_of_a_graph(kind):
    edges, sources = random_graph(40, 150), draw_sources(40, 9)
    expected = hop_levels(edges, sources, 40)
    strided = torch.stack([edges, edges], dim=-1).to(kind)[..., 0]
    assert not strided.is_contiguous()
    adjacency = torch.sparse_coo_tensor(edges.flip(0), torch.ones(150), (40, 40))
    forms = [
        edges.to(kind),
        strided,
        EdgeIndex(edges.to(kind), sparse_size=(40, 40)).sort_by("col").values,
        compress(edges, 40, 40),
    ]
    for form in (*forms, adjacency.coalesce(), adjacency.to_sparse_csr()):
        assert torch.equal(hop_levels(form, sources.to(kind), 40), expected)
    assert torch.equal(hop_levels(edges, torch.stack([sources, sources], 1)[:, 0], 40), expected)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(1, 90), st.integers(0, 250), st.integers(1, 80), st.integers(0, 10**6), st.none() | st.integers(0, 4)
)
def test_random_graphs(nodes, edges, count, seed, max_hops):
    graph, sources = random_graph(nodes, edges, seed), draw_sources(nodes, count, seed)
    with use_backend("reference"):
        expected = hop_levels(graph, sources, nodes, max_hops=max_hops)
    for backend in BACKENDS:
        with use_backend(backend):
            assert torch.equal(hop_levels(graph, sources, nodes, max_hops=max_hops), expected)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_read_before_it_is_written(backend):
    graph, sources = random_graph(150, 600), draw_sources(150, 70)
    with use_backend("reference"):
        expected = hop_levels(graph, sources, 150)
    torch.use_deterministic_algorithms(True)  # torch.empty is then filled with the largest number
    try:
        with use_backend(backend):
            found = hop_levels(graph, sources, 150)
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(found, expected)


def test_two_python_threads_at_once():
    graph = random_graph(600, 5000)
    jobs = [draw_sources(600, 700, seed) for seed in range(2)]
    expected = [hop_levels(graph, job, 600) for job in jobs]
    wrong = []

    def work(index):
        for _ in range(10):
            if not torch.equal(hop_levels(graph, jobs[index], 600), expected[index]):
                wrong.append(index)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


def test_operator_and_compile():
    graph, sources = random_graph(30, 80), draw_sources(30, 5)
    torch.library.opcheck(_hop_levels_op, (graph, sources, 30, None, torch.int16))
    compiled = torch.compile(lambda g, s: hop_levels(g, s, 30, max_hops=3) + 1, backend="aot_eager", fullgraph=True)
    assert torch.equal(compiled(graph, sources), hop_levels(graph, sources, 30, max_hops=3) + 1)


@pytest.mark.slow
def test_works_without_numba():
    code = """
import sys
sys.modules["numba"] = sys.modules["llvmlite"] = None
import torch
from gnnkit.ops import explain_backend
from gnnkit.ops.bfs import hop_levels
assert explain_backend("hop_levels").backend == "torch"
print(hop_levels(torch.tensor([[0, 1], [1, 2]]), [0, 1]).tolist())
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[[0, 1, 2], [-1, 0, 1]]", done.stderr


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"sources": [0, 3]}, r"sources holds node 3, but the graph has 3 nodes, 0 to 2"),
        ({"sources": [-1]}, r"sources holds node -1"),
        ({"sources": torch.tensor([True, False, True])}, r"mask.nonzero\(\)"),
        ({"sources": torch.tensor([[0]])}, r"sources has shape \[1, 1\]"),
        ({"max_hops": -1}, r"max_hops=-1: it is 0 or more"),
        ({"dtype": torch.int64}, r"dtype=torch.int64: levels are torch.int16 or torch.int32"),
        ({"graph": torch.ones(2, 3).to_sparse()}, r"one set of nodes"),
    ],
)
def test_errors(change, text):
    arguments = {"graph": torch.tensor([[0, 1], [1, 2]]), "sources": [0]}
    with pytest.raises(ValueError, match=text):
        hop_levels(**(arguments | change))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda():
    graph, sources = random_graph(300, 2000), draw_sources(300, 200)
    assert torch.equal(hop_levels(graph.cuda(), sources, 300).cpu(), hop_levels(graph, sources, 300))
