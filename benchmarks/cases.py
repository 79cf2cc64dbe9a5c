"""What is measured: each case by name, its bounds, and what it is measured for."""

from __future__ import annotations

from collections.abc import Callable

import torch
from contest import Case, Side
from sides import (
    ARXIV,
    CORA,
    adj_t_sides,
    cora_sides,
    gat_sides,
    gcn_sides,
    hop_sides,
    tgcn_sides,
    window_sides,
)
from small import small_cases

__all__ = ["CASES"]


def _growth(layer: str, factor: int) -> Callable[[torch.device], list[Side]]:
    size = {"num_nodes": ARXIV["num_nodes"], "num_edges": ARXIV["num_edges"] // 4 * factor}
    if layer == "gcn":
        return lambda device: gcn_sides(device, **size, channels=128)[:1]
    return lambda device: gat_sides(device, **size, channels=128, heads=8, out=16)[:1]


def _same_features(model: str, form: str) -> Case:
    title = f"{model.upper()} training step, Cora's size, {form} features on both sides"
    return Case(
        f"{model}-cora-step-{form}", title, lambda d: cora_sides(d, model=model, ours=form, theirs=form), at_least=1.0
    )


def _moved(num_nodes: int, num_edges: int, channels: int) -> int:
    """Bytes of a layer's step in float32: a row an edge, forward and back; inputs, outputs and their gradients once."""
    return 4 * channels * (2 * (num_edges + num_nodes) + 4 * num_nodes)


def _cases() -> list[Case]:
    big = {"num_nodes": ARXIV["num_nodes"], "num_edges": 10 * ARXIV["num_edges"]}
    attention = {"channels": 128, "heads": 8, "out": 16}
    cora = {**CORA, "channels": 64, "heads": 8, "out": 8}
    cases = [
        Case("gat-cora", "GATLayer 64 → 8 × 8, Cora's size", lambda d: gat_sides(d, **cora), 2.5, 5),
        Case("gcn-cora", "GCNLayer 16 → 16, Cora's size", lambda d: gcn_sides(d, **CORA, channels=16), 1.0, 1.5),
        Case("gat-cora-step", "GAT training step, Cora's size", lambda d: cora_sides(d, model="gat"), 4, 10),
        Case("gcn-cora-step", "GCN training step, Cora's size", lambda d: cora_sides(d, model="gcn"), 4, 10),
        *(_same_features(model, form) for model in ("gat", "gcn") for form in ("dense", "sparse")),
        Case(
            "gat-arxiv",
            "GATLayer 128 → 8 × 16, 2.3 M edges",
            lambda d: gat_sides(d, **ARXIV, **attention),
            6,
            10,
            memory=True,
            first_call=True,
            warm_up="gat-cora",
            moved=_moved(**ARXIV, channels=128),
        ),
        Case(
            "gcn-arxiv",
            "GCNLayer 128 → 128, 2.3 M edges",
            lambda d: gcn_sides(d, **ARXIV, channels=128),
            5,
            8,
            memory=True,
            first_call=True,
            warm_up="gcn-cora",
            moved=_moved(**ARXIV, channels=128),
        ),
        Case(
            "gat-arxiv-fresh",
            "GATLayer, 2.3 M edges, a fresh edge_index on every call",
            lambda d: gat_sides(d, **ARXIV, **attention, fresh=True),
            1.0,
        ),
        Case(
            "gcn-arxiv-fresh",
            "GCNLayer, 2.3 M edges, a fresh edge_index on every call",
            lambda d: gcn_sides(d, **ARXIV, channels=128, fresh=True),
            1.0,
        ),
        Case("gcn-arxiv-csr", "GCNLayer, 2.3 M edges, CSR adj_t", lambda d: adj_t_sides(d, layer="gcn")),
        Case("gat-arxiv-csr", "GATLayer, 2.3 M edges, CSR adj_t", lambda d: adj_t_sides(d, layer="gat")),
        Case(
            "tgcn",
            "T-GCN, 12 steps, 207 nodes, hidden 64",
            lambda d: tgcn_sides(d, peer="tgcn2"),
            12,
            20,
            first_call=True,
        ),
        Case(
            "tgcn-graph",
            "T-GCN, 12 steps, as a CUDA graph",
            lambda d: tgcn_sides(d, peer="tgcn2", captured=True),
            40,
            devices=("cuda",),
        ),
        Case("tgcn-gru", "T-GCN against a GRU of its size", lambda d: tgcn_sides(d, peer="gru"), 1.0, 1.43, gate=None),
        Case("hop-levels", "hop levels, 1024 sources, 169 k nodes", hop_sides, 10, 50, gate=0, devices=("cpu",)),
        Case("windows", "windows of 207 × 34,272", window_sides, timed=False, memory=True, gate=None, devices=("cpu",)),
        # Sums of ten times as many terms of float32, in another order: 1.4e-4 apart on an H100.
        Case(
            "gat-large",
            "GATLayer, 23 M edges",
            lambda d: gat_sides(d, **big, **attention)[: 2 if d.type == "cuda" else 1],
            3,
            gate=1e-3,
            moved=_moved(**big, channels=128),
        ),
        Case(
            "gcn-large",
            "GCNLayer, 23 M edges",
            lambda d: gcn_sides(d, **big, channels=128)[: 2 if d.type == "cuda" else 1],
            3,
            gate=1e-3,
            moved=_moved(**big, channels=128),
        ),
    ]
    for factor in (1, 2, 4, 8):
        edges = ARXIV["num_edges"] // 4 * factor
        for layer in ("gat", "gcn"):
            title = f"{layer.upper()}Layer, {edges / 1e6:.2f} M edges"
            cases.append(
                Case(f"growth-{layer}-{factor}", title, _growth(layer, factor), memory=True, facts={"edges": edges})
            )
        nodes = 207 * factor
        cases.append(
            Case(
                f"growth-tgcn-{factor}",
                f"T-GCN, {nodes} nodes",
                lambda d, n=nodes: tgcn_sides(d, peer="none", num_nodes=n),
                memory=True,
                facts={"nodes": nodes, "edges": 2_626 * factor},
            )
        )
    return cases + small_cases()


#: name → case, in the order in which they are run.
CASES = {case.name: case for case in _cases()}
