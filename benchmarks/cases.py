"""The cases of layers and ops: each by name, its bounds, and what it is measured for."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from attention_sides import attention_model_sides, molecule_model_sides
from contest import Case, Side
from inputs import molecules, power_law_graph
from sides import (
    ARXIV,
    CORA,
    cora_sides,
    graph_sides,
    half_sides,
    hop_sides,
    model_sides,
    molecule_sides,
    relational_sides,
    tgcn_sides,
    window_sides,
)

__all__ = ["CASES", "RELATIONAL"]

Build = Callable[[torch.device], list[Side]]
#: Sizes and options of the layers on large graphs.
GCN, GAT = (
    {"layer": "gcn", "sizes": (128, 128), "cached": True},
    {"layer": "gat", "sizes": (128, 16), "heads": 8},
)


def _first(build: Build, count: int) -> Build:
    """The first sides alone."""
    return lambda device: build(device)[:count]


def _moved(num_nodes: int, num_edges: int, channels: int = 128) -> int:
    """Bytes of a layer's step in float32: a row an edge, forward and back; inputs, outputs and their gradients once."""
    return 4 * channels * (2 * (num_edges + num_nodes) + 4 * num_nodes)


def _cora_cases() -> list[Case]:
    gat = partial(graph_sides, layer="gat", sizes=(64, 8), heads=8, **CORA)
    gcn = partial(graph_sides, layer="gcn", sizes=(16, 16), cached=True, **CORA)
    cases = [
        Case("gat-cora", "GATLayer 64 → 8 × 8, Cora's size", gat, 2.5, 5),
        Case("gcn-cora", "GCNLayer 16 → 16, Cora's size", gcn, 1.0, 1.5),
    ]
    for model in ("gat", "gcn"):
        title = f"{model.upper()} training step, Cora's size"
        cases.append(Case(f"{model}-cora-step", title, partial(cora_sides, model=model), 4, 10))
    for model in ("gat", "gcn"):
        for form in ("dense", "sparse"):
            title = f"{model.upper()} training step, Cora's size, {form} features on both sides"
            build = partial(cora_sides, model=model, ours=form, theirs=form)
            cases.append(Case(f"{model}-cora-step-{form}", title, build, 1.0))
    return cases


def _arxiv_cases() -> list[Case]:
    gat, gcn = partial(graph_sides, **GAT, **ARXIV), partial(graph_sides, **GCN, **ARXIV)
    whole: dict[str, Any] = {"memory": True, "first_call": True, "moved": _moved(**ARXIV)}
    cases = [
        Case("gat-arxiv", "GATLayer 128 → 8 × 16, 2.3 M edges", gat, 6, 10, warm_up="gat-cora", **whole),
        Case("gcn-arxiv", "GCNLayer 128 → 128, 2.3 M edges", gcn, 5, 8, warm_up="gcn-cora", **whole),
    ]
    for options in (GAT, GCN | {"cached": False}):
        layer = options["layer"]
        title = f"{layer.upper()}Layer, 2.3 M edges, a fresh edge_index on every call"
        cases.append(Case(f"{layer}-arxiv-fresh", title, partial(graph_sides, fresh=True, **options, **ARXIV), 1.0))
    for options in (GCN, GAT):
        layer = options["layer"]
        build = partial(graph_sides, csr=True, **options, **ARXIV)
        cases.append(Case(f"{layer}-arxiv-csr", f"{layer.upper()}Layer, 2.3 M edges, CSR adj_t", build))
    return cases


def _pair_attention_cases() -> list[Case]:
    cases = []
    for layer, title in (("gatv2", "GATv2"), ("transformer", "Transformer")):
        cora = partial(attention_model_sides, layer=layer, sizes=(64, 8, 8, 7), **CORA)
        arxiv = partial(attention_model_sides, layer=layer, sizes=(128, 16, 8, 40), **ARXIV)
        few = partial(molecule_model_sides, layer=layer, count=128)
        text, memory = f"{title} model of two layers, training step", layer == "gatv2"
        cases += [
            Case(f"{layer}-model-cora", f"{text}, Cora's size", cora, 1.5, 3),
            Case(
                f"{layer}-model-arxiv",
                f"{text}, 2.3 M edges",
                arxiv,
                4,
                8,
                memory=memory,
                warm_up=f"{layer}-model-cora",
            ),
            Case(f"{layer}-model-molecules", f"{text}, 128 molecules, fresh edge_index", few, 1.5, 3, devices=("cpu",)),
        ]
    return cases


def _large_cases() -> list[Case]:
    """Sums of ten times as many terms of float32, in another order: 1.4e-4 apart on an H100."""
    size = {"num_nodes": ARXIV["num_nodes"], "num_edges": 10 * ARXIV["num_edges"]}
    cases = []
    for options in (GAT, GCN):
        build = partial(graph_sides, **options, **size)

        def some(device: torch.device, build: Build = build) -> list[Side]:
            return build(device)[: 2 if device.type == "cuda" else 1]

        layer = options["layer"]
        title = f"{layer.upper()}Layer, 23 M edges"
        cases.append(Case(f"{layer}-large", title, some, 3, gate=1e-3, moved=_moved(**size)))
    return cases


def _temporal_cases() -> list[Case]:
    tgcn = partial(tgcn_sides, peer="tgcn2")
    graph = partial(tgcn_sides, peer="tgcn2", captured=True)
    gru = partial(tgcn_sides, peer="gru")
    return [
        Case("tgcn", "T-GCN, 12 steps, 207 nodes, hidden 64", tgcn, 12, 20, first_call=True),
        Case("tgcn-graph", "T-GCN, 12 steps, as a CUDA graph", graph, 40, devices=("cuda",)),
        Case("tgcn-gru", "T-GCN against a GRU of its size", gru, 1.0, 1.43, gate=None),
    ]


def _growth_cases() -> list[Case]:
    cases = []
    for factor in (1, 2, 4, 8):
        size = {"num_nodes": ARXIV["num_nodes"], "num_edges": ARXIV["num_edges"] // 4 * factor}
        edges, nodes = size["num_edges"], 207 * factor
        for options in (GAT, GCN):
            layer, build = options["layer"], _first(partial(graph_sides, **options, **size), 1)
            title = f"{layer.upper()}Layer, {edges / 1e6:.2f} M edges"
            cases.append(Case(f"growth-{layer}-{factor}", title, build, memory=True, facts={"edges": edges}))
        build, facts = partial(tgcn_sides, peer="none", num_nodes=nodes), {"nodes": nodes, "edges": 2_626 * factor}
        cases.append(Case(f"growth-tgcn-{factor}", f"T-GCN, {nodes} nodes", build, memory=True, facts=facts))
    return cases


def _small_cases() -> list[Case]:
    """Every size, layer and way for molecules, then half precision."""
    title = "GCNLayer and GATLayer, 2000 molecules that the caller holds: bytes kept for each"
    cases = [Case("molecules-kept", title, lambda _: [], timed=False, kept=True, devices=("cpu",))]
    for layer in ("gcn", "gat"):
        for count in (1, 8, 32, 128):
            for training, way in ((True, "training step"), (False, "evaluation")):
                for fresh, edges in ((True, "fresh"), (False, "same")):
                    build = partial(molecule_sides, layer=layer, count=count, training=training, fresh=fresh)
                    many = f"{count} molecule{'s' if count > 1 else ''}"
                    name = f"molecules-{layer}-{count}-{'train' if training else 'eval'}-{edges}"
                    title = f"{layer.upper()}Layer 16 → 64, {many}, {way}, {edges} edge_index"
                    cases.append(Case(name, title, build, 1.0, 1.5, devices=("cpu",)))
        for dtype, gate in ((torch.bfloat16, 3e-2), (torch.float16, 5e-3)):
            name = str(dtype).removeprefix("torch.")
            build = partial(half_sides, layer=layer, dtype=dtype)
            title = f"{layer.upper()}Layer 16 → 64, 100 k edges, {name}"
            cases.append(Case(f"{layer}-100k-{name}", title, build, 3.0, gate=gate, devices=("cpu",)))
    return cases


def _relational_cases() -> list[Case]:
    """Decagon's edges: both directions of the training pairs. FastRGCNConv forms a matrix for each edge: 895,000 of
    them take 14.2 GiB."""
    weights: dict[str, dict[str, int]] = {"full": {}, "basis": {"num_bases": 16}, "blocks": {"num_blocks": 8}}
    cases = []
    for name, options in weights.items():
        build = partial(relational_sides, layer="rgcn", num_edges=7_321_798, **options)
        title = f"RelationalGCNLayer, 963 relations, 7.3 M edges, {name} weights"
        cases.append(Case(f"relational-{name}-RGCNConv", title, build, facts={"edges": 7_321_798}))
    few = partial(relational_sides, layer="fast-rgcn", num_edges=20_000)
    cases.append(Case("relational-warm-up", "RelationalGCNLayer, 963 relations, 20 k edges", few, devices=()))
    build = partial(relational_sides, layer="fast-rgcn", num_edges=895_000)
    title = "RelationalGCNLayer, 963 relations, 0.9 M edges"
    facts, name = {"edges": 895_000}, "relational-full-FastRGCNConv"
    return [*cases, Case(name, title, build, memory=True, warm_up="relational-warm-up", facts=facts)]


def _model_cases() -> list[Case]:
    """Models of two layers, against each of PyG's ways."""

    def build(device: torch.device, model: str, size: str, peer: str) -> list[Side]:
        if size == "molecules":
            graphs, nodes, sizes, rounds = [molecules(128, seed) for seed in range(8)], 25 * 128, (16, 64, 64), 15
        elif size == "cora":
            graphs, nodes, sizes, rounds = [power_law_graph(**CORA)], CORA["num_nodes"], (1_433, 64, 7), 15
        else:
            graphs, nodes, sizes, rounds = [power_law_graph(**ARXIV)], ARXIV["num_nodes"], (128, 128, 40), 3
        return model_sides(device, model, sizes, graphs, nodes, peer=peer, rounds=rounds)

    cases = []
    for model in ("sage-mean", "sage-max", "gin"):
        for size, words in (
            ("cora", "Cora's size"), ("arxiv", "2.3 M edges"), ("molecules", "128 molecules, fresh")
        ):  # fmt: skip
            for peer in ("scatter", "csr"):
                title = f"two-layer {model} step, {words}, PyG on {'CSR adj_t' if peer == 'csr' else 'an edge list'}"
                is_slow = peer == "scatter" and (size == "arxiv" or model == "sage-max")
                least = 4 if is_slow else 1.5
                part = partial(build, model=model, size=size, peer=peer)
                # PyG has no largest of a sparse matrix on a GPU.
                devices = ("cpu",) if (model, peer) == ("sage-max", "csr") else ("cpu", "cuda")
                cases.append(Case(f"model-{model}-{size}-{peer}", title, part, least, 2 * least, devices=devices))
    return cases


def _named(cases: list[Case]) -> dict[str, Case]:
    return {case.name: case for case in cases}


#: name → case, in the order in which they are run.
CASES = _named(
    [
        *_cora_cases(),
        *_arxiv_cases(),
        *_pair_attention_cases(),
        *_temporal_cases(),
        Case("hop-levels", "hop levels, 1024 sources, 169 k nodes", hop_sides, 10, 50, gate=0, devices=("cpu",)),
        Case("windows", "windows of 207 × 34,272", window_sides, timed=False, memory=True, gate=None, devices=("cpu",)),
        *_large_cases(),
        *_growth_cases(),
        *_small_cases(),
        *_model_cases(),
    ]
)
#: Layers of relational messages.
RELATIONAL = _named(_relational_cases())
