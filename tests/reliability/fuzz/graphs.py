"""Edges of every kind, asked of everything that takes a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import networkx
import torch
from hypothesis import strategies as st
from torch_geometric.data import Data

import gnnkit.graph as graphs
import gnnkit.layers as layers
import gnnkit.ops as ops
from gnnkit.loader import NeighborLoader, PartitionLoader, partition_nodes
from tests.reliability.fuzz.harness import Target, silent_nan

__all__ = ["TARGETS"]

_COUNTS = st.sampled_from([5, 5, 5, 5, 5, 5, 5, 5, 6, 6, 1, 0, -1, 300, 1.5, None, True])
_INTS = st.sampled_from([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, -1, 5, 7, 10**6, 2**40, 1.5, None, "a", True])
_WEIGHTS: dict[str, Callable[[int], Any]] = {
    "none": lambda count: None,
    "ones": torch.ones,
    "drawn": lambda count: torch.arange(1.0, count + 1),
    "negative": lambda count: -torch.ones(count),
    "zero": torch.zeros,
    "nan": lambda count: torch.full((count,), float("nan")),
    "infinite": lambda count: torch.full((count,), float("inf")),
    "short": lambda count: torch.ones(max(count - 1, 0)),
    "large": lambda count: torch.full((count,), 1e38),
    "small": lambda count: torch.full((count,), 1e-44),
    "whole": lambda count: torch.ones(count, dtype=torch.int64),
    "double": lambda count: torch.ones(count, dtype=torch.float64),
    "half": lambda count: torch.ones(count, dtype=torch.float16),
    "table": lambda count: torch.ones(count, 2),
    "text": lambda count: "a",
    "list": lambda count: [1.0] * count,
}


@st.composite
def edges(draw: Any) -> torch.Tensor:
    """Edges between five nodes, mostly; of other shapes, types and numbers, at times."""
    count = draw(st.integers(0, 9))
    low, high = draw(st.sampled_from([*[(0, 4)] * 12, (-2, 5), (0, 10**6), (0, 2**40)]))
    rows = draw(st.sampled_from([*[2] * 20, 1, 3]))
    found = torch.tensor(
        [[draw(st.integers(low, high)) for _ in range(count)] for _ in range(rows)], dtype=torch.int64
    ).reshape(rows, count)
    kinds = (*[torch.int64] * 16, torch.int32, torch.int32, torch.float32, torch.bool, torch.uint8)
    found = found.to(draw(st.sampled_from(kinds)))
    return found.t() if draw(st.integers(0, 24)) == 0 else found


_ASKED = st.fixed_dictionaries(
    {
        "edges": edges(),
        "nodes": _COUNTS,
        "weights": st.sampled_from(sorted(_WEIGHTS) + ["none"] * 24),
        "a": _INTS,
        "b": _INTS,
    }
)


def _size(nodes: Any) -> int:
    return min(max(int(nodes or 0), 0), 300)


def _nothing(found: Any) -> None:
    """What may hold NaN, or is looked at elsewhere."""


def _last(e: torch.Tensor) -> torch.Tensor:
    return e[-1] if e.size(0) else e.flatten()


def _networkx(e: torch.Tensor) -> networkx.DiGraph:
    graph = networkx.DiGraph()
    graph.add_edges_from(tuple(edge) for edge in e.t().tolist() if len(edge) == 2)
    return graph


_GCN = layers.GCNLayer(3, 2)
_GRAPH: dict[str, Callable[..., Any]] = {
    "hop_distances": lambda e, n, w, a, b: graphs.hop_distances(e, a, n),
    "shortest_paths": lambda e, n, w, a, b: graphs.shortest_paths(Data(edge_index=e, num_nodes=n), a, b),
    "k_hop_nodes": lambda e, n, w, a, b: graphs.k_hop_nodes(e, a, b, n),
    "normalize_adjacency": lambda e, n, w, a, b: graphs.normalize_adjacency(e, w, n),
    "to_dense": lambda e, n, w, a, b: graphs.to_dense(e, w, n),
    "to_csr": lambda e, n, w, a, b: graphs.to_csr(e, w, n),
    "from_csr": lambda e, n, w, a, b: graphs.from_csr(graphs.to_csr(e, w, n)),
    "as_data": lambda e, n, w, a, b: _nothing(graphs.as_data(Data(edge_index=e, num_nodes=n))),
    "as_data, networkx": lambda e, n, w, a, b: _nothing(graphs.as_data(_networkx(e))),
    "check_edge_index": lambda e, n, w, a, b: graphs.check_edge_index(e, n),
    "receptive_field_sizes": lambda e, n, w, a, b: graphs.receptive_field_sizes(Data(edge_index=e, num_nodes=n)).sizes,
    "receptive_field": lambda e, n, w, a, b: graphs.receptive_field(_GCN, torch.ones(_size(n), 3), e, nodes=a),
    "balanced_forman_curvature": lambda e, n, w, a, b: graphs.balanced_forman_curvature(e, n),
    "effective_resistance": lambda e, n, w, a, b: graphs.effective_resistance(e, n, edge_weight=w).values,
    "updates_needed": lambda e, n, w, a, b: graphs.updates_needed(Data(edge_index=e, num_nodes=n), a, b),
    "set_self_loops": lambda e, n, w, a, b: graphs.set_self_loops(e, w, n),
    "graph_variant": lambda e, n, w, a, b: graphs.graph_variant(
        e, w, n, ["shuffled", "identity", "random", "complete", "none", a][hash(str(b)) % 6]
    ),
    "to_networkx": lambda e, n, w, a, b: _nothing(graphs.to_networkx(e, w, n)),
    "suggest_depth": lambda e, n, w, a, b: _nothing(graphs.suggest_depth(Data(edge_index=e, num_nodes=n))),
    "report_graph": lambda e, n, w, a, b: _nothing(graphs.report_graph(Data(edge_index=e, num_nodes=n))),
    "diameter_bounds": lambda e, n, w, a, b: graphs.diameter_bounds(Data(edge_index=e, num_nodes=n)),
    "dirichlet_energy": lambda e, n, w, a, b: graphs.dirichlet_energy(torch.ones(_size(n), 2), e, w),
    "propagate": lambda e, n, w, a, b: graphs.propagate(torch.ones(_size(n), 2), e, w),
    "gaussian_kernel": lambda e, n, w, a, b: graphs.gaussian_kernel(torch.arange(4.0) if w is None else w, b),
    "from_dense": lambda e, n, w, a, b: graphs.from_dense(e.float()),
    "correlations": lambda e, n, w, a, b: _nothing(graphs.correlations(e.float())),
}
_OPS: dict[str, Callable[..., Any]] = {
    "hop_levels": lambda e, n, w, a, b: ops.hop_levels(e, [a], num_nodes=n),
    "spmm": lambda e, n, w, a, b: ops.spmm(e, torch.ones(_size(n), 2), w),
    "compress": lambda e, n, w, a, b: _nothing(ops.compress(e, n, n)),
    "edge_attention": lambda e, n, w, a, b: ops.edge_attention(
        e, torch.ones(_size(n), 2, 3), torch.ones(_size(n), 2), torch.ones(_size(n), 2)
    ),
    "segment_sum": lambda e, n, w, a, b: ops.segment_sum(torch.ones(e.size(-1), 2), _last(e), n),
    "segment_mean": lambda e, n, w, a, b: ops.segment_mean(torch.ones(e.size(-1), 2), _last(e), n),
    "segment_max": lambda e, n, w, a, b: ops.segment_max(torch.ones(e.size(-1), 2), _last(e), n),
    "segment_softmax": lambda e, n, w, a, b: ops.segment_softmax(torch.ones(e.size(-1), 2), _last(e), n),
    "neighbour_max": lambda e, n, w, a, b: ops.neighbour_max(e, torch.ones(_size(n), 2)),
}


def _ask(functions: dict[str, Callable[..., Any]]) -> Callable[[tuple[str, dict[str, Any]]], None]:
    def call(drawn: tuple[str, dict[str, Any]]) -> None:
        name, asked = drawn
        weight = _WEIGHTS[asked["weights"]](asked["edges"].size(-1))
        found = functions[name](asked["edges"], asked["nodes"], weight, asked["a"], asked["b"])
        if asked["weights"] not in ("nan", "infinite", "large"):
            silent_nan(found, name)

    return call


# --- layers ---

_LAYERS: dict[str, Callable[[], torch.nn.Module]] = {
    "gcn": lambda: layers.GCNLayer(3, 2),
    "gat": lambda: layers.GATLayer(3, 2, heads=2),
    "gatv2": lambda: layers.GATv2Layer(3, 2),
    "transformer": lambda: layers.TransformerLayer(3, 2),
    "sage": lambda: layers.SAGELayer(3, 2),
    "gin": lambda: layers.GINLayer(torch.nn.Linear(3, 2)),
    "graph conv": lambda: layers.GraphConvLayer(3, 2),
    "sg": lambda: layers.SGLayer(3, 2, K=2),
    "appnp": lambda: layers.APPNPLayer(K=2, alpha=0.1),
    "tag": lambda: layers.TAGLayer(3, 2),
    "gcn2": lambda: layers.GCN2Layer(3, alpha=0.1),
    "dagnn": lambda: layers.DAGNNLayer(3, 2),
}


def _layer(drawn: tuple[str, dict[str, Any]]) -> None:
    name, asked = drawn
    torch.manual_seed(0)
    layer, x, edge_index = _LAYERS[name](), torch.ones(_size(asked["nodes"]), 3), asked["edges"]
    given = [x, x] if name == "gcn2" else [x]
    weight = _WEIGHTS[asked["weights"]](edge_index.size(-1))
    graphs.check_edge_index(edge_index, len(x))  # layers trust edges as PyG's do: what is not in range is refused here
    weighted = name in ("gcn", "graph conv", "sg", "appnp", "tag", "gcn2") and weight is not None
    found = layer(*given, edge_index, weight) if weighted else layer(*given, edge_index)
    if not weighted or asked["weights"] in ("ones", "drawn", "zero", "double", "half", "whole"):
        silent_nan(found, name)


_WIDTHS = st.sampled_from([1, 2, 3, 4, 0, -1, 1.5, "a", None, True, 64, (3, 3), [2]])
_CONSTRUCTORS: dict[str, Callable[..., Any]] = {
    "GCNLayer": layers.GCNLayer,
    "GATLayer": layers.GATLayer,
    "GATv2Layer": layers.GATv2Layer,
    "TransformerLayer": layers.TransformerLayer,
    "SAGELayer": layers.SAGELayer,
    "TAGLayer": layers.TAGLayer,
    "SGLayer": layers.SGLayer,
    "GraphConvLayer": layers.GraphConvLayer,
    "RelationalGCNLayer": layers.RelationalGCNLayer,
    "MixHopLayer": layers.MixHopLayer,
    "PairNorm": layers.PairNorm,
    "GraphLearningLayer": layers.GraphLearningLayer,
    "ChebyshevLayer": lambda a, b, c=3: layers.ChebyshevLayer(a, b, terms=c),
    "DiffusionLayer": lambda a, b, c=2: layers.DiffusionLayer(a, b, matrices=c),
    "NodeClassifier": lambda a, b, c=2, **more: layers.NodeClassifier(a, b, c, **more),
}
_NODE_CLASSIFIER = st.fixed_dictionaries(
    {},
    optional={
        "layer": st.sampled_from(["gcn", "gat", "sage", "x", None, 3]),
        "num_layers": _WIDTHS,
        "heads": _WIDTHS,
        "dropout": st.sampled_from([0.0, 0.5, 1.0, -1, 2.0, float("nan"), "a"]),
        "activation": st.sampled_from(["relu", "elu", "x", None]),
        "normalization": st.sampled_from([None, "pair", "batch", "x", 1]),
        "residual": st.sampled_from([None, "initial", "previous", "x", 1]),
        "jumping": st.sampled_from([None, "cat", "max", "x", 1]),
    },
)


def _classifier(drawn: tuple[Any, Any, Any, dict[str, Any]]) -> None:
    first, second, third, more = drawn
    made = layers.NodeClassifier(first, second, third, **more)
    if isinstance(first, int) and first > 0:
        silent_nan(made(torch.ones(5, first), torch.tensor([[0, 1, 2], [1, 2, 3]])), "scores")


# --- loaders ---


def _data(asked: dict[str, Any]) -> Data:
    return Data(x=torch.ones(_size(asked["nodes"]), 2), edge_index=asked["edges"], num_nodes=_size(asked["nodes"]))


def _neighbours(drawn: tuple[dict[str, Any], Any, Any, Any]) -> None:
    asked, counts, seeds, size = drawn
    loader = NeighborLoader(_data(asked), num_neighbors=counts, input_nodes=seeds, batch_size=size)
    for number, batch in enumerate(loader):
        assert int(batch.edge_index.max() if batch.edge_index.numel() else -1) < batch.num_nodes, "an edge of no node"
        if number > 3:
            break


def _parts(drawn: tuple[dict[str, Any], Any, Any, Any]) -> None:
    asked, parts, size, halo = drawn
    found = []
    for batch in PartitionLoader(_data(asked), parts, parts_per_batch=size, halo=halo):
        found.append(int(batch.num_nodes))
    assert sum(found) >= _size(asked["nodes"]), "nodes that are in no part"


def _partition(drawn: tuple[dict[str, Any], Any]) -> None:
    found = partition_nodes(drawn[0]["edges"], drawn[0]["nodes"], drawn[1])
    assert len(found) == drawn[0]["nodes"], "nodes that are in no part"


_SEEDS = st.sampled_from([None, torch.tensor([0, 1]), torch.tensor([9]), torch.tensor([-1]), torch.ones(5).bool(), [0]])
_HOPS = st.sampled_from([[2, 2], [1], [], [-1], [0], [-2], 3, "a", [1.5], None])
TARGETS = [
    Target("graph functions", st.tuples(st.sampled_from(sorted(_GRAPH)), _ASKED), _ask(_GRAPH), share=4),
    Target("ops", st.tuples(st.sampled_from(sorted(_OPS)), _ASKED), _ask(_OPS), share=3),
    Target("layers", st.tuples(st.sampled_from(sorted(_LAYERS)), _ASKED), _layer, share=3),
    Target(
        "layers: constructors",
        st.tuples(st.sampled_from(sorted(_CONSTRUCTORS)), st.lists(_WIDTHS, min_size=1, max_size=3)),
        lambda drawn: _nothing(_CONSTRUCTORS[drawn[0]](*drawn[1])),
        share=2,
    ),
    Target("NodeClassifier", st.tuples(_WIDTHS, _WIDTHS, _WIDTHS, _NODE_CLASSIFIER), _classifier),
    Target("NeighborLoader", st.tuples(_ASKED, _HOPS, _SEEDS, st.sampled_from([1, 2, 0, -1, 1.5])), _neighbours),
    Target(
        "PartitionLoader",
        st.tuples(_ASKED, _INTS, st.sampled_from([1, 2, 0, -1]), st.sampled_from([0, 1, -1, 3])),
        _parts,
    ),
    Target("partition_nodes", st.tuples(_ASKED, _INTS), _partition),
]
