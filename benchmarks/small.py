"""Small graphs and half precision: molecules in batches of 1 to 128, and 100 thousand edges in bfloat16 and float16.

A step on a molecule takes some tens of microseconds, so a round is many steps; the row has the seconds of one.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable, Sequence
from importlib.metadata import version

import torch
from contest import Case, Side
from inputs import power_law_graph
from torch import Tensor, nn

from gnnkit.layers import GATLayer, GCNLayer

__all__ = ["kept_bytes", "small_cases"]

_STEPS, _ROUNDS, _GRAPHS = 16, 31, 16
_MOLECULES = (1, 8, 32, 128)


def molecules(count: int, seed: int) -> Tensor:
    """Graphs of 25 nodes and 54 edges (a random tree and three more, both ways) side by side, `[2, 54 * count]`."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for number in range(count):
        tree = torch.stack([torch.arange(1, 25), (torch.rand(24, generator=generator) * torch.arange(1, 25)).long()])
        edges = torch.cat([tree, torch.randint(25, (2, 3), generator=generator)], dim=1)
        parts.append(torch.cat([edges, edges.flip(0)], dim=1) + 25 * number)
    return torch.cat(parts, dim=1)


def _layers(layer: str, device: torch.device, cached: bool) -> list[tuple[str, str, nn.Module]]:
    from torch_geometric.nn import GATConv, GCNConv

    if layer == "gcn":  # PyG at its best: where the graph stays the same it may keep the normalised one
        ours, peer = GCNLayer(16, 64, cached=cached), GCNConv(16, 64, cached=cached)
    else:
        ours, peer = GATLayer(16, 16, heads=4), GATConv(16, 16, heads=4)
    peer.load_state_dict(ours.state_dict())
    name = f"PyG {type(peer).__name__}" + ("(cached)" if cached and layer == "gcn" else "")
    sides = [("gnnkit", version("gnnkit"), ours), (name, version("torch-geometric"), peer)]
    return [(side, release, module.to(device)) for side, release, module in sides]


def molecule_sides(device: torch.device, *, layer: str, count: int, training: bool, fresh: bool) -> list[Side]:
    """A layer on molecules: 16 features to 64 channels, each step on other edges (`fresh`) or on the same ones."""
    torch.manual_seed(0)
    x, graphs = (
        torch.randn(25 * count, 16, device=device),
        [molecules(count, seed).to(device) for seed in range(_GRAPHS)],
    )

    def side(name: str, release: str, module: nn.Module) -> Side:
        own = x.clone().requires_grad_(training)
        module.train(training)

        def one(edges: Tensor) -> Sequence[Tensor]:
            if not training:
                with torch.no_grad():
                    return [module(own, edges)]
            own.grad = None
            module.zero_grad(set_to_none=True)
            out = module(own, edges)
            out.sum().backward()
            return [out, own.grad, *(p.grad for _, p in sorted(module.named_parameters()))]  # pyright: ignore

        def round_() -> Sequence[Tensor]:
            for number in range(_STEPS - 1):
                one(graphs[number].clone() if fresh else graphs[0])
            return one(graphs[-1].clone() if fresh else graphs[0])

        return Side(name, release, round_, rounds=_ROUNDS, scale=1 / _STEPS)

    return [side(*parts) for parts in _layers(layer, device, cached=not fresh)]


def half_sides(device: torch.device, *, layer: str, dtype: torch.dtype) -> list[Side]:
    """A training step in half precision on 10 thousand nodes and 100 thousand edges, 64 channels."""
    torch.manual_seed(0)
    edges = power_law_graph(10_000, 100_000).to(device)
    x = torch.randn(10_000, 16, device=device, dtype=dtype)

    def side(name: str, release: str, module: nn.Module) -> Side:
        own, module = x.clone().requires_grad_(), module.to(dtype)

        def step() -> Sequence[Tensor]:
            own.grad = None
            module.zero_grad(set_to_none=True)
            out = module(own, edges)
            out.sum().backward()
            return [part.float() for part in (out, own.grad) if part is not None]

        return Side(name, release, step)

    return [side(*parts) for parts in _layers(layer, device, cached=True)]


class _Heap(ctypes.Structure):
    """What glibc's `mallinfo2` gives back."""

    _fields_ = [
        (name, ctypes.c_size_t)
        for name in [
            "arena",
            "ordblks",
            "smblks",
            "hblks",
            "hblkhd",
            "usmblks",
            "fsmblks",
            "uordblks",
            "fordblks",
            "keepcost",
        ]
    ]


def _heap_bytes() -> int:
    """Bytes that are allocated at the moment, in the heap and beside it."""
    look = ctypes.CDLL(None).mallinfo2
    look.restype = _Heap
    heap = look()
    return heap.uordblks + heap.hblkhd


def kept_bytes(device: torch.device) -> list[dict[str, object]]:
    """Bytes that stay allocated for each of 2000 molecules that a caller holds, after a training step on each."""
    rows = []
    for side in (0, 1):
        gcn, gat = (_layers(layer, device, cached=False)[side] for layer in ("gcn", "gat"))
        held = [(torch.randn(25, 16), molecules(1, seed)) for seed in range(2000)]

        def step(x: Tensor, edges: Tensor, gcn: nn.Module = gcn[2], gat: nn.Module = gat[2]) -> None:
            (gcn(x, edges).sum() + gat(x, edges).sum()).backward()

        for pair in held[:20]:
            step(*pair)
        gc.collect()
        before = _heap_bytes()
        for pair in held:
            step(*pair)
        gc.collect()
        rows.append(
            {
                "case": "molecules-kept",
                "title": "GCNLayer and GATLayer, 2000 molecules that the caller holds: bytes kept for each",
                "side": "gnnkit" if side == 0 else "PyG GCNConv and GATConv",
                "version": gcn[1],
                "kept_bytes": (_heap_bytes() - before) / len(held),
                "graph_bytes": sum(part.nbytes for part in held[0]),
            }
        )
    return rows


def small_cases() -> list[Case]:
    """The rows: every size, layer and way for molecules, then half precision."""
    cases = [
        Case("molecules-kept", "bytes kept a held molecule", lambda _: [], timed=False, kept=True, devices=("cpu",))
    ]
    for layer in ("gcn", "gat"):
        for count in _MOLECULES:
            for training in (True, False):
                for fresh in (True, False):
                    way, edges = "train" if training else "eval", "fresh" if fresh else "same"
                    options = {"layer": layer, "count": count, "training": training, "fresh": fresh}
                    cases.append(
                        Case(
                            f"molecules-{layer}-{count}-{way}-{edges}",
                            f"{layer.upper()}Layer 16 → 64, {count} molecule{'s' if count > 1 else ''}, "
                            f"{'training step' if training else 'evaluation'}, {edges} edge_index",
                            _builder(molecule_sides, options),
                            1.0,
                            1.5,
                            devices=("cpu",),
                        )
                    )
        for dtype, gate in ((torch.bfloat16, 3e-2), (torch.float16, 5e-3)):
            name = str(dtype).removeprefix("torch.")
            options = {"layer": layer, "dtype": dtype}
            title = f"{layer.upper()}Layer 16 → 64, 100 k edges, {name}"
            cases.append(
                Case(f"{layer}-100k-{name}", title, _builder(half_sides, options), 3.0, gate=gate, devices=("cpu",))
            )
    return cases


def _builder(sides: Callable[..., list[Side]], options: dict[str, object]) -> Callable[[torch.device], list[Side]]:
    return lambda device: sides(device, **options)
