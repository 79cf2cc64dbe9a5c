"""The sides of the cases of GATv2 and Transformer: a step of a model of two layers, gnnkit's and PyG's in its ways."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.metadata import version

import torch
import torch.nn.functional as F
from contest import Side
from inputs import molecules, power_law_graph
from torch import Tensor, nn
from torch_geometric import EdgeIndex
from torch_geometric.nn import GATv2Conv, TransformerConv

from gnnkit.layers import GATv2Layer, TransformerLayer

__all__ = ["attention_model_sides", "molecule_model_sides"]

#: gnnkit's layer and PyG's.
LAYERS: dict[str, tuple[type[nn.Module], type[nn.Module]]] = {
    "gatv2": (GATv2Layer, GATv2Conv),
    "transformer": (TransformerLayer, TransformerConv),
}


def _pair(layer: str, sizes: tuple[int, int, int, int], device: torch.device) -> tuple[nn.ModuleList, nn.ModuleList]:
    """Two layers of gnnkit's and of PyG's with the same weights: features in, channels of a head, heads, classes."""
    features, channels, heads, classes = sizes
    ours, theirs = (
        nn.ModuleList([kind(features, channels, heads=heads), kind(channels * heads, classes, concat=False)]).to(device)
        for kind in LAYERS[layer]
    )
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def _step(net: nn.ModuleList, x: Tensor, graph: Callable[[], Tensor], labels: Tensor) -> Callable[[], Sequence[Tensor]]:
    """Forward and backward of a classifier: its logits, and the gradient of every parameter, by name.

    Of the keys' bias that is nothing but rounding: a softmax does not see it.
    """
    compared = [p for name, p in sorted(net.named_parameters()) if not name.endswith("lin_key.bias")]

    def step() -> Sequence[Tensor]:
        net.zero_grad(set_to_none=True)
        edges = graph()
        logits = net[1](F.elu(net[0](x, edges)), edges)
        F.cross_entropy(logits, labels).backward()
        return [logits, *(p.grad for p in compared)]  # pyright: ignore[reportReturnType]

    return step


def attention_model_sides(
    device: torch.device, layer: str, sizes: tuple[int, int, int, int], *, num_nodes: int, num_edges: int
) -> list[Side]:
    """A training step on one power-law graph, against PyG on an edge list, a sorted `EdgeIndex` and a CSR `adj_t`."""
    torch.manual_seed(0)
    edges = power_law_graph(num_nodes, num_edges).to(device)
    x = torch.randn(num_nodes, sizes[0], device=device)
    labels = torch.randint(sizes[3], (num_nodes,), device=device)
    ours, theirs = _pair(layer, sizes, device)
    shape = (num_nodes, num_nodes)
    sorted_, _ = EdgeIndex(edges, sparse_size=shape).sort_by("col")
    ways = {"": edges, ", sorted EdgeIndex": sorted_}
    if layer != "gatv2":  # which would put parallel edges together as it adds self-loops: another graph
        (pointers, _), _ = sorted_.get_csc()
        ones = torch.ones(num_edges, device=device)
        ways[", CSR adj_t"] = torch.sparse_csr_tensor(pointers, sorted_[0].as_tensor(), ones, shape)
    name, release = f"PyG {LAYERS[layer][1].__name__}", version("torch-geometric")
    sides = [Side("gnnkit", version("gnnkit"), _step(ours, x, lambda: edges, labels))]
    for way, graph in ways.items():
        sides.append(Side(name + way, release, _step(theirs, x, lambda graph=graph: graph, labels)))
    return sides


def molecule_model_sides(device: torch.device, layer: str, count: int) -> list[Side]:
    """The same on molecules, each step on other edges; a round is sixteen steps, the row has the seconds of one."""
    steps, sizes = 16, (16, 16, 4, 10)
    torch.manual_seed(0)
    x, labels = torch.randn(25 * count, 16, device=device), torch.randint(10, (25 * count,), device=device)
    graphs = [molecules(count, seed).to(device) for seed in range(steps)]

    def side(name: str, release: str, net: nn.ModuleList) -> Side:
        at = 0
        one = _step(net, x, lambda: graphs[at].clone(), labels)

        def round_() -> Sequence[Tensor]:
            nonlocal at
            found: Sequence[Tensor] = []
            for at in range(steps):  # noqa: B007
                found = one()
            return found

        return Side(name, release, round_, rounds=31, scale=1 / steps)

    ours, theirs = _pair(layer, sizes, device)
    return [
        side("gnnkit", version("gnnkit"), ours),
        side(f"PyG {LAYERS[layer][1].__name__}", version("torch-geometric"), theirs),
    ]
