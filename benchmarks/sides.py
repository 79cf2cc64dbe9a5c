"""The two sides of each case: the same step built for gnnkit and for its peer, on the same input and weights.

A step is one forward and one backward pass; it returns its outputs and gradients, which the gate in `run.py` compares
before anything is timed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from importlib.metadata import version

import numpy as np
import torch
import torch.nn.functional as F
from contest import Side, Step
from inputs import power_law_graph, pyg_temporal_tgcn, road_network
from torch import Tensor, nn

from gnnkit.layers import GATLayer, GCNLayer, feature_dropout
from gnnkit.ops import hop_levels
from gnnkit.temporal import TGCNCell

__all__ = [
    "ARXIV",
    "CORA",
    "adj_t_sides",
    "cora_sides",
    "gat_sides",
    "gcn_sides",
    "hop_sides",
    "tgcn_sides",
    "window_sides",
]

ARXIV = {"num_nodes": 169_343, "num_edges": 2_315_598}
CORA = {"num_nodes": 2_708, "num_edges": 10_556}


def _layer_step(layer: nn.Module, inputs: tuple, upstream: Tensor, **options) -> Step:
    """Forward and backward of a layer; gradients of the features and of every parameter, by name."""
    x = inputs[0]

    def step() -> Sequence[Tensor]:
        x.grad = None
        layer.zero_grad(set_to_none=True)
        out = layer(*inputs, **options)
        out.backward(upstream)
        parameters = sorted(layer.named_parameters())
        return [out, x.grad, *(p.grad for _, p in parameters)]

    return step


def gcn_sides(
    device: torch.device, *, num_nodes: int, num_edges: int, channels: int, fresh: bool = False
) -> list[Side]:
    from torch_geometric.nn import GCNConv

    torch.manual_seed(0)
    edge_index = power_law_graph(num_nodes, num_edges).to(device)
    x = torch.randn(num_nodes, channels, device=device)
    upstream = torch.randn(num_nodes, channels, device=device)
    ours = GCNLayer(channels, channels, cached=not fresh).to(device)
    peer = GCNConv(channels, channels, cached=not fresh).to(device)
    peer.load_state_dict(ours.state_dict())
    return _against_pyg(
        ours, peer, x, edge_index, upstream, label="GCNConv" + ("" if fresh else "(cached)"), fresh=fresh
    )


def gat_sides(
    device: torch.device, *, num_nodes: int, num_edges: int, channels: int, heads: int, out: int, fresh: bool = False
) -> list[Side]:
    from torch_geometric.nn import GATConv

    torch.manual_seed(0)
    edge_index = power_law_graph(num_nodes, num_edges).to(device)
    x = torch.randn(num_nodes, channels, device=device)
    upstream = torch.randn(num_nodes, heads * out, device=device)
    ours = GATLayer(channels, out, heads=heads).to(device)
    peer = GATConv(channels, out, heads=heads).to(device)
    peer.load_state_dict(ours.state_dict())
    return _against_pyg(ours, peer, x, edge_index, upstream, label="GATConv", fresh=fresh)


def _against_pyg(
    ours: nn.Module, peer: nn.Module, x: Tensor, edge_index: Tensor, upstream: Tensor, *, label: str, fresh: bool
) -> list[Side]:
    def side(name: str, release: str, layer: nn.Module) -> Side:
        own = x.clone().requires_grad_()
        if not fresh:
            return Side(name, release, _layer_step(layer, (own, edge_index), upstream))
        return Side(name, release, lambda: _layer_step(layer, (own, edge_index.clone()), upstream)())

    return [side("gnnkit", version("gnnkit"), ours), side(f"PyG {label}", version("torch-geometric"), peer)]


def adj_t_sides(device: torch.device, *, layer: str) -> list[Side]:
    """PyG's own fast way: the graph as a sparse CSR tensor, whose row is the target."""
    from torch_geometric.nn import GATConv, GCNConv
    from torch_geometric.utils import to_torch_csr_tensor

    torch.manual_seed(0)
    edge_index = power_law_graph(**ARXIV).to(device)
    adj_t = to_torch_csr_tensor(edge_index.flip(0), size=(ARXIV["num_nodes"],) * 2)
    x = torch.randn(ARXIV["num_nodes"], 128, device=device)
    upstream = torch.randn(ARXIV["num_nodes"], 128, device=device)
    if layer == "gcn":
        ours, peer = GCNLayer(128, 128, cached=True).to(device), GCNConv(128, 128, cached=True).to(device)
    else:
        ours, peer = GATLayer(128, 16, heads=8).to(device), GATConv(128, 16, heads=8).to(device)
    peer.load_state_dict(ours.state_dict())
    sides = []
    for name, release, model in (
        ("gnnkit", version("gnnkit"), ours),
        (f"PyG {type(peer).__name__}, CSR adj_t", version("torch-geometric"), peer),
    ):
        own = x.clone().requires_grad_()
        sides.append(Side(name, release, _layer_step(model, (own, adj_t), upstream)))
    return sides


def cora_sides(device: torch.device, *, model: str, ours: str = "sparse", theirs: str = "dense") -> list[Side]:
    """One step of the papers' training on a graph of Cora's size: 1433 features of which 1.27% are not zero.

    `ours` and `theirs` say in which form each side reads the features: "dense" or "sparse" (CSR). PyG's data sets give
    dense ones; sparse features are dropped out value by value on both sides.
    """
    from torch_geometric.nn import GATConv, GCNConv

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
    import pandas as pd

    from gnnkit.data import GraphSeries, chronological_split, make_windows

    rows, nodes, history, horizon = 34_272, 207, 12, 12
    series = GraphSeries(
        name="simulated values",
        values=torch.rand(rows, nodes, 1),
        edge_index=torch.empty(2, 0, dtype=torch.long),
        edge_weight=torch.empty(0),
        node_names=tuple(map(str, range(nodes))),
        unit="",
        step_minutes=5,
        start=pd.Timestamp("2012-03-01"),
        season=288,
        split=chronological_split(rows),
    )
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
