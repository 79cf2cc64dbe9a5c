"""Series that are made for rivals with fit and predict, and their windows."""

from __future__ import annotations

import numpy as np
import torch

from gnnkit.data import GraphSeries, chronological_split, make_windows
from gnnkit.forecasting.rival_windows import RivalWindows

__all__ = ["made", "odd_series", "parts"]


def made(values, edges=((0, 1), (1, 2), (2, 3), (3, 4)), **more) -> GraphSeries:
    """A series of an array `[rows, nodes]` or `[rows, nodes, features]`."""
    values = np.asarray(values)
    values = values[..., None] if values.ndim == 2 else values
    return GraphSeries(
        **{
            "name": "made",
            "values": torch.as_tensor(values, dtype=torch.float32),
            "edge_index": torch.tensor(edges, dtype=torch.int64).reshape(-1, 2).T,
            "edge_weight": torch.ones(len(edges)),
            "node_names": tuple(f"n{k}" for k in range(values.shape[1])),
            "split": chronological_split(len(values)),
        }
        | more
    )


def parts(series, history=4, horizon=2):
    """Windows to train on, to validate on, and to predict."""
    windows = make_windows(series, history=history, horizon=horizon, reach_back=True)
    return [RivalWindows(series, each, targets=targets) for each, targets in
            ((windows.train, True), (windows.val, True), (windows.test, False))]  # fmt: skip


def odd_series() -> dict[str, GraphSeries]:
    """What people have: gaps, constants, one node, few rows, more nodes than rows, large and small numbers."""
    rng = np.random.default_rng(5)
    walk = rng.standard_normal((120, 5)).cumsum(axis=0)
    gaps = np.where(rng.random(walk.shape) < 0.3, np.nan, walk)
    silent = gaps.copy()
    silent[:, 2] = np.nan
    late = walk.copy()
    late[:90, 1] = np.nan
    still = walk.copy()
    still[:, 0] = 7.0
    return {
        "gaps": made(gaps, season=12),
        "a node without a value": made(silent, season=12),
        "a node that comes late": made(late),
        "a constant node": made(still, season=7),
        "all constant": made(np.full((60, 3), 2.0), edges=((0, 1),), season=6),
        "one node": made(walk[:, :1], edges=(), season=12),
        "no edges": made(walk, edges=()),
        "few rows": made(walk[:30], season=5),
        "more nodes than rows": made(rng.standard_normal((60, 300)), edges=((0, 1), (5, 7)), season=6),
        "large": made(walk * 1e18),
        "small": made(walk * 1e-12),
        "a covariate": made(np.stack([walk, np.zeros_like(walk), rng.standard_normal(walk.shape)], axis=-1)),
        "weights of zero": made(walk, edge_weight=torch.zeros(4)),
    }
