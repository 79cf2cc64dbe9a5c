"""The two sides of the cases of layers and ops: the same step for gnnkit and for its peer, on one input and weights.

A step is one forward and one backward pass; it returns its outputs and gradients, which the gate compares.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from contest import Side, Step
from inputs import metr_la, molecules, power_law_graph, pyg_temporal_tgcn, road_network
from torch import Tensor, nn
from torch_geometric.nn import FastRGCNConv, GATConv, GCNConv, GINConv, RGCNConv, SAGEConv
from torch_geometric.utils import to_torch_csr_tensor

from gnnkit.data import make_windows
from gnnkit.layers import GATLayer, GCNLayer, GINLayer, RelationalGCNLayer, SAGELayer, feature_dropout
from gnnkit.ops import hop_levels
from gnnkit.temporal import TGCNCell

__all__ = [
    "ARXIV", "CORA", "cora_sides", "graph_sides", "half_sides", "hop_sides", "layer_pair", "layer_step",
    "model_sides", "molecule_sides", "relational_sides", "tgcn_sides", "window_sides",
]  # fmt: skip

ARXIV = {"num_nodes": 169_343, "num_edges": 2_315_598}
CORA = {"num_nodes": 2_708, "num_edges": 10_556}
#: gnnkit's layer and PyG's.
LAYERS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "gcn": (GCNLayer, GCNConv),
    "gat": (GATLayer, GATConv),
    "rgcn": (RelationalGCNLayer, RGCNConv),
    "fast-rgcn": (RelationalGCNLayer, FastRGCNConv),
}
Pair = list[tuple[str, str, nn.Module]]


def layer_pair(layer: str, sizes: tuple[int, ...], device: torch.device, **options: Any) -> Pair:
    """gnnkit's layer and PyG's with the same weights: name, version and module of each."""
    ours, peer = (kind(*sizes, **options).to(device) for kind in LAYERS[layer])
    peer.load_state_dict(ours.state_dict())
    label = f"PyG {type(peer).__name__}" + ("(cached)" if options.get("cached") else "")
    return [("gnnkit", version("gnnkit"), ours), (label, version("torch-geometric"), peer)]


def layer_step(module: nn.Module, x: Tensor, graph: Callable[[], tuple[Tensor, ...]], upstream: Tensor | None) -> Step:
    """Forward and backward; the output, and the gradients of the features and of every parameter, by name."""

    def step() -> Sequence[Tensor]:
        x.grad = None
        module.zero_grad(set_to_none=True)
        out = module(x, *graph())
        if upstream is None:
            out.sum().backward()
        else:
            out.backward(upstream)
        return [out, x.grad, *(p.grad for _, p in sorted(module.named_parameters()))]  # pyright: ignore[reportReturnType]

    return step


def graph_sides(
    device: torch.device,
    layer: str,
    sizes: tuple[int, int],
    *,
    num_nodes: int,
    num_edges: int,
    fresh: bool = False,
    csr: bool = False,
    **options: Any,
) -> list[Side]:
    """A layer on a power-law graph: on one `edge_index`, on a `fresh` one in every call, or on a CSR `adj_t`."""
    torch.manual_seed(0)
    graph = power_law_graph(num_nodes, num_edges).to(device)
    x = torch.randn(num_nodes, sizes[0], device=device)
    upstream = torch.randn(num_nodes, sizes[1] * options.get("heads", 1), device=device)
    if csr:  # PyG's own fast way, whose row is the target
        graph = to_torch_csr_tensor(graph.flip(0), size=(num_nodes, num_nodes))
    sides = []
    for name, release, module in layer_pair(layer, sizes, device, **options):
        label = f"PyG {type(module).__name__}, CSR adj_t" if csr and name != "gnnkit" else name
        given = (lambda: (graph.clone(),)) if fresh else (lambda: (graph,))
        sides.append(Side(label, release, layer_step(module, x.clone().requires_grad_(), given, upstream)))
    return sides


def relational_sides(device: torch.device, layer: str, *, num_edges: int, **options: Any) -> list[Side]:
    """A layer of relational messages on Decagon's 645 nodes and 963 relations, 64 features to 32.

    Both directions of random pairs; relations and nodes are as uneven as Decagon's.
    """
    nodes, relations = 645, 963
    rng = np.random.default_rng(0)
    share, often = np.arange(1, relations + 1) ** -0.6, np.arange(1, nodes + 1) ** -0.5
    ends = rng.choice(nodes, size=(2, num_edges // 2), p=often / often.sum())
    kinds = rng.choice(relations, size=num_edges // 2, p=share / share.sum())
    edge_index = torch.from_numpy(np.concatenate([ends, ends[::-1]], axis=1)).to(device)
    edge_type = torch.from_numpy(np.concatenate([kinds, kinds])).to(device)
    torch.manual_seed(0)
    x, upstream = torch.randn(nodes, 64, device=device), torch.randn(nodes, 32, device=device)
    sides = []
    for name, release, module in layer_pair(layer, (64, 32, relations), device, **options):
        step = layer_step(module, x.clone().requires_grad_(), lambda: (edge_index, edge_type), upstream)
        sides.append(Side(name, release, step, rounds=3))
    return sides


def molecule_sides(device: torch.device, layer: str, *, count: int, training: bool, fresh: bool) -> list[Side]:
    """A layer on molecules, 16 features to 64 channels, each step on other edges (`fresh`) or on the same ones.

    A step takes some tens of microseconds, so a round is sixteen of them; the row has the seconds of one.
    """
    steps = 16
    torch.manual_seed(0)
    x = torch.randn(25 * count, 16, device=device)
    graphs = [molecules(count, seed).to(device) for seed in range(steps)]
    # PyG at its best: where the graph stays the same it may keep the normalised one.
    pair = small_pair(layer, device, cached=not fresh)

    def side(name: str, release: str, module: nn.Module) -> Side:
        own, at = x.clone().requires_grad_(training), 0
        module.train(training)
        train = layer_step(module, own, lambda: (graphs[at].clone() if fresh else graphs[0],), None)

        @torch.no_grad()
        def evaluate() -> Sequence[Tensor]:
            return [module(own, graphs[at].clone() if fresh else graphs[0])]

        one = train if training else evaluate

        def round_() -> Sequence[Tensor]:
            nonlocal at
            found: Sequence[Tensor] = []
            for at in range(steps):  # noqa: B007
                found = one()
            return found

        return Side(name, release, round_, rounds=31, scale=1 / steps)

    return [side(*parts) for parts in pair]


class TwoLayers(nn.Module):
    """Two convolutions with a ReLU between them."""

    def __init__(self, first: nn.Module, second: nn.Module):
        super().__init__()
        self.first, self.second = first, second

    def forward(self, x: Tensor, edge_index: Tensor) -> Tensor:
        return self.second(self.first(x, edge_index).relu(), edge_index)


def _perceptron(inputs: int, outputs: int) -> nn.Module:
    return nn.Sequential(nn.Linear(inputs, outputs), nn.ReLU(), nn.Linear(outputs, outputs))


#: A convolution from a number of features to another: gnnkit's and PyG's.
CONVOLUTIONS: dict[str, tuple[Callable[[int, int], nn.Module], Callable[[int, int], nn.Module]]] = {
    "sage-mean": (SAGELayer, SAGEConv),
    "sage-max": (lambda f, c: SAGELayer(f, c, aggr="max"), lambda f, c: SAGEConv(f, c, aggr="max")),
    "gin": (lambda f, c: GINLayer(_perceptron(f, c)), lambda f, c: GINConv(_perceptron(f, c))),
}


def model_sides(
    device: torch.device,
    model: str,
    sizes: tuple[int, int, int],
    graphs: Sequence[Tensor],
    num_nodes: int,
    *,
    peer: str,
    rounds: int = 7,
) -> list[Side]:
    """A step of a model of two layers, against PyG on edge lists (`"scatter"`) or on a CSR `adj_t` (`"csr"`).

    One graph stays the same for all steps, and its matrix is made beforehand; of several each step takes the next one,
    which the CSR side has to turn into a matrix first.
    """
    torch.manual_seed(0)
    x, upstream = torch.randn(num_nodes, sizes[0], device=device), torch.randn(num_nodes, sizes[2], device=device)
    edges = [graph.to(device) for graph in graphs]
    fresh = len(edges) > 1

    def matrix(edge_index: Tensor) -> Tensor:
        return to_torch_csr_tensor(edge_index.flip(0), size=(num_nodes, num_nodes))

    kept = [] if fresh or peer != "csr" else [matrix(edges[0])]

    def side(name: str, release: str, module: nn.Module, form: str) -> Side:
        at = 0

        def graph() -> Tensor:
            if not fresh:
                return kept[0] if form == "csr" else edges[0]
            return matrix(edges[at]) if form == "csr" else edges[at].clone()

        def round_() -> Sequence[Tensor]:
            nonlocal at
            found: Sequence[Tensor] = []
            for at in range(len(edges)):  # noqa: B007
                module.zero_grad(set_to_none=True)
                out = module(x, graph())
                out.backward(upstream)
                found = [out, *(p.grad for _, p in sorted(module.named_parameters()))]  # pyright: ignore
            return found

        return Side(name, release, round_, rounds=rounds, scale=1 / len(edges))

    ours, theirs = (TwoLayers(kind(*sizes[:2]), kind(*sizes[1:])).to(device) for kind in CONVOLUTIONS[model])
    theirs.load_state_dict(ours.state_dict())
    label = "PyG, CSR adj_t" if peer == "csr" else "PyG, edge list"
    return [
        side("gnnkit", version("gnnkit"), ours, "scatter"),
        side(label, version("torch-geometric"), theirs, peer),
    ]


def small_pair(layer: str, device: torch.device, *, cached: bool) -> Pair:
    """16 features to 64 channels."""
    if layer == "gcn":
        return layer_pair(layer, (16, 64), device, cached=cached)
    return layer_pair(layer, (16, 16), device, heads=4)


def half_sides(device: torch.device, layer: str, dtype: torch.dtype) -> list[Side]:
    """A training step in half precision on 10 thousand nodes and 100 thousand edges, 64 channels."""
    torch.manual_seed(0)
    edges = power_law_graph(10_000, 100_000).to(device)
    x = torch.randn(10_000, 16, device=device, dtype=dtype)
    sides = []
    for name, release, module in small_pair(layer, device, cached=True):
        step = layer_step(module.to(dtype), x.clone().requires_grad_(), lambda: (edges,), None)
        sides.append(Side(name, release, step, check=lambda step=step: [part.float() for part in step()[:2]]))
    return sides


def cora_sides(device: torch.device, *, model: str, ours: str = "sparse", theirs: str = "dense") -> list[Side]:
    """One step of the papers' training on a graph of Cora's size: 1433 features of which 1.27% are not zero.

    `ours` and `theirs` say in which form each side reads the features: "dense" or "sparse" (CSR). PyG's data sets give
    dense ones; sparse features are dropped out value by value on both sides.
    """
    torch.manual_seed(0)
    num_nodes, num_features, num_classes = CORA["num_nodes"], 1433, 7
    edge_index = power_law_graph(**CORA).to(device)
    dense = (torch.rand(num_nodes, num_features) < 0.0127).float()
    dense = (dense / dense.sum(1, keepdim=True).clamp(min=1)).to(device)
    forms = {"dense": (dense, F.dropout), "sparse": (dense.to_sparse_csr(), feature_dropout)}
    labels = torch.randint(num_classes, (num_nodes,), device=device)
    train = torch.randperm(num_nodes, device=device)[:140]
    rate = 0.5 if model == "gcn" else 0.6

    def layers(kind: type[nn.Module]) -> nn.ModuleList:
        if model == "gcn":
            return nn.ModuleList([kind(num_features, 16, cached=True), kind(16, num_classes, cached=True)])
        options = {"dropout": 0.6}
        return nn.ModuleList(
            [kind(num_features, 8, heads=8, **options), kind(64, num_classes, concat=False, **options)]
        )

    def side(name: str, release: str, net: nn.ModuleList, form: str) -> Side:
        net = net.to(device)
        x, drop = forms[form]
        optimizer = torch.optim.Adam(net.parameters(), lr=0.005, weight_decay=5e-4)
        activation = F.relu if model == "gcn" else F.elu

        def gradients(training: bool) -> Tensor:
            optimizer.zero_grad(set_to_none=True)
            hidden = activation(net[0](drop(x, rate, training), edge_index))
            logits = net[1](F.dropout(hidden, rate, training), edge_index)
            F.cross_entropy(logits[train], labels[train]).backward()
            return logits

        def step() -> Sequence[Tensor]:
            logits = gradients(training=True)
            optimizer.step()
            return [logits]

        def check() -> Sequence[Tensor]:
            net.eval()
            logits = gradients(training=False)
            net.train()
            return [logits, *(parameter.grad for _, parameter in sorted(net.named_parameters()))]

        return Side(name, release, step, check=check, rounds=31)

    own, peer = (layers(GCNLayer), layers(GCNConv)) if model == "gcn" else (layers(GATLayer), layers(GATConv))
    peer.load_state_dict(own.state_dict())
    # The gate is asked before anything is trained, so both sides still have these weights then.
    return [
        side(f"gnnkit, {ours} features", version("gnnkit"), own, ours),
        side(f"PyG, {theirs} features", version("torch-geometric"), peer, theirs),
    ]


def _captured(step: Step) -> Step:
    """The same step as one CUDA graph: its kernels are launched at once, and no Python runs between them."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        results = step()

    def replay() -> Sequence[Tensor]:
        graph.replay()
        return results

    return replay


def tgcn_sides(device: torch.device, *, peer: str, num_nodes: int = 207, captured: bool = False) -> list[Side]:
    """Twelve steps of T-GCN, batch 64, hidden 64, in PyG-Temporal's form: a graph convolution of X_t for each gate."""
    torch.manual_seed(0)
    batch, history, hidden = 64, 12, 64
    edge_index, edge_weight = road_network(device, num_nodes, 2_626 * num_nodes // 207)
    x = torch.randn(batch, history, num_nodes, 1, device=device)
    upstream = torch.randn(batch, num_nodes, hidden, device=device)
    cell = TGCNCell(1, hidden, layers=1, gate_convolutions="separate").to(device)

    def side(name: str, release: str, module: nn.Module, run: Callable[[Tensor], Tensor], last: Tensor) -> Side:
        own = x.clone().requires_grad_()

        def step() -> Sequence[Tensor]:
            own.grad = None
            module.zero_grad(set_to_none=True)
            out = run(own)
            out.backward(last)
            return [out, own.grad]

        return Side(name, release, step)

    sides = []
    if peer == "tgcn2":
        temporal = pyg_temporal_tgcn().TGCN2(1, hidden, batch).to(device)
        cell.load_tgcn2_state_dict(temporal.state_dict())

        def loop(own: Tensor) -> Tensor:
            state = None
            for step in own.unbind(1):
                state = temporal(step, edge_index, edge_weight, state)
            return state

        sides.append(side("PyG-Temporal TGCN2", version("torch-geometric-temporal"), temporal, loop, upstream))
    elif peer == "gru":
        gru = nn.GRU(1, hidden, batch_first=True).to(device)

        def rows(own: Tensor) -> Tensor:
            return gru(own.transpose(1, 2).flatten(0, 1))[0][:, -1]

        sides.append(side("torch.nn.GRU, same size", torch.__version__, gru, rows, upstream.flatten(0, 1)))
    ours = side("gnnkit", version("gnnkit"), cell, lambda own: cell.last(own, edge_index, edge_weight), upstream)
    if captured:
        ours = replace(ours, name="gnnkit, a CUDA graph", step=_captured(ours.step))
    return [ours, *sides]


def hop_sides(device: torch.device) -> list[Side]:
    """Levels of 1024 sources at once, against the same source by source."""
    import networkx as nx
    import scipy
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    edge_index = power_law_graph(**ARXIV)
    sources = torch.randperm(ARXIV["num_nodes"], generator=torch.Generator().manual_seed(0))[:1024]
    ones = np.ones(edge_index.size(1), dtype=np.float64)
    shape = (ARXIV["num_nodes"],) * 2
    matrix = coo_array((ones, (edge_index[0].numpy(), edge_index[1].numpy())), shape=shape).tocsr()
    graph = nx.DiGraph(edge_index.t().tolist())
    part, few = 16, 2

    def ours(count: int) -> Step:
        return lambda: [hop_levels(edge_index, sources[:count], ARXIV["num_nodes"])]

    def levels_from(source: int) -> np.ndarray:
        order, parents = breadth_first_order(matrix, source)
        place = np.empty(len(parents), dtype=np.int64)
        place[order] = np.arange(len(order))
        # In the order of the search the parents' places never fall: a level ends where its parents' level does.
        of_parent = np.concatenate([[-1], place[parents[order[1:]]]])
        levels, begin, end, level = np.full(len(parents), -1), 0, 1, 0
        while begin < end:
            levels[order[begin:end]] = level
            begin, end, level = end, int(np.searchsorted(of_parent, end)), level + 1
        return levels

    def by_scipy() -> Sequence[Tensor]:
        return [torch.from_numpy(np.stack([levels_from(source) for source in sources[:part].tolist()])).double()]

    def by_networkx() -> Sequence[Tensor]:
        for source in sources[:few].tolist():
            nx.single_source_shortest_path_length(graph, source)
        return []

    def same() -> Sequence[Tensor]:
        return [ours(part)()[0].double()]

    return [
        Side("gnnkit", version("gnnkit"), ours(1024), check=same),
        Side(
            f"scipy breadth_first_order ({part} sources, × {1024 // part})",
            scipy.__version__,
            by_scipy,
            scale=1024 / part,
        ),
        Side(
            f"networkx ({few} sources, × {1024 // few})", nx.__version__, by_networkx, check=by_scipy, scale=1024 / few
        ),
    ]


def window_sides(device: torch.device) -> list[Side]:
    """Windows of a series of METR-LA's size, as index views and as copies."""
    series, history, horizon = metr_la(), 12, 12
    held: list[object] = []

    def index_windows() -> Sequence[Tensor]:
        held.append(make_windows(series, history=history, horizon=horizon))
        return []

    def copies() -> Sequence[Tensor]:
        held.append(series.values.unfold(0, history + horizon, 1).contiguous())
        return []

    return [
        Side("gnnkit", version("gnnkit"), index_windows),
        Side("materialised windows", torch.__version__, copies),
    ]
