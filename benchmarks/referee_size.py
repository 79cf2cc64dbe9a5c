"""The referee on trial: how often do its tests call two equal forecasters different, and how often unequal ones?

    python benchmarks/referee_size.py              all cells, 2000 cases each; benchmarks/results/referee_size.csv
    python benchmarks/referee_size.py --cases 500  a quicker look, printed and not written

Each forecaster's error at a time step is an AR(1); the loss of a window is the mean over `horizon` overlapping steps
of its absolute or squared value. Cells differ in horizon, number of windows and AR coefficient, and in what errors are:
`gaussian`, `shared` (a part of both forecasters' errors is the same, so that they correlate at 0.7) or `heavy`
(innovations from Student's t with 4 degrees); `ratio` scales the second forecaster's errors: 1 asks for size, 1.05 for
power. With a `season` both forecasters' errors are larger at some hours than at others, by the share `profile`.

`spans` is the share of cases in which `gnnkit compare` would reject at 5%: Student's t over whole seasons, where there
are four or more, else over six parts of equal length. Its rivals: `diebold_mariano` with fixed smoothing; `bootstrap`,
of moving blocks, with the blocks of the default history, in the first 500 cases, as it is the dearest; `textbook`, the
truncated kernel with Harvey's factor and t with W − 1 degrees. `referee_families.py` tries several questions at once.
"""

from __future__ import annotations

import argparse
import itertools
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from scipy import signal, stats

from gnnkit.statistics.bootstrap import paired_interval
from gnnkit.statistics.diebold_mariano import diebold_mariano
from gnnkit.statistics.spans import span_numbers, span_score, span_test
from gnnkit.training.environment import environment

__all__ = ["Cell", "cells", "rejections", "window_losses"]

RESULTS = Path(__file__).resolve().parent / "results"
CASES, BOOTSTRAP_CASES, LEVEL, HISTORY, BURN_IN, SHARED = 2000, 500, 0.05, 12, 100, 0.7


@dataclass(frozen=True)
class Cell:
    """What is simulated; the defaults are the case that the referee is judged by."""

    horizon: int = 12
    windows: int = 380
    ar: float = 0.5
    errors: str = "gaussian"
    loss: str = "absolute"
    ratio: float = 1.0
    season: int = 0
    profile: float = 0.0


def cells() -> list[Cell]:
    """Every cell of the table: size over the grid, then other kinds of errors, then power."""
    grid = itertools.product(("absolute", "squared"), (120, 380, 1000), (3, 6, 12), (0.0, 0.5, 0.8))
    found = [Cell(h, w, ar, loss=loss) for loss, w, h, ar in grid]
    kinds = itertools.product(("shared", "heavy"), ("absolute", "squared"), (3, 6, 12))
    found += [Cell(h, errors=errors, loss=loss) for errors, loss, h in kinds]
    power = itertools.product(("gaussian", "shared"), ("absolute", "squared"), (380, 1000), (3, 12))
    found += [Cell(h, w, errors=errors, loss=loss, ratio=1.05) for errors, loss, w, h in power]
    # As on roads: errors that last, more of them in the rush hours; 380 windows of one split, or the four days that
    # folds test, of which a horizon of 12 leaves 1141 windows.
    roads = itertools.product((1.0, 1.05), (380, 1141), (0.9, 0.95, 0.97))
    return found + [Cell(12, w, ar, "shared", ratio=ratio, season=288, profile=0.8) for ratio, w, ar in roads]


def window_losses(cell: Cell, cases: int, seed: int = 0) -> np.ndarray:
    """[2, cases, W]: mean losses of the overlapping windows of two forecasters."""
    rng = np.random.default_rng(seed)
    length = cell.windows + cell.horizon - 1 + BURN_IN

    def innovations(count: int) -> np.ndarray:
        shape = (count, cases, length)
        return rng.standard_t(4, shape) if cell.errors == "heavy" else rng.standard_normal(shape)

    shocks = innovations(2)
    if cell.errors == "shared":
        shocks = np.sqrt(1 - SHARED) * shocks + np.sqrt(SHARED) * innovations(1)
    errors = np.asarray(signal.lfilter([1.0], [1.0, -cell.ar], shocks, axis=-1))[..., BURN_IN:]
    errors[1] *= cell.ratio
    if cell.season:
        hours = 2 * np.pi * np.arange(errors.shape[-1]) / cell.season
        errors *= 1 + cell.profile * np.sin(hours)
    losses = np.abs(errors) if cell.loss == "absolute" else errors**2
    total = np.concatenate([np.zeros((2, cases, 1)), losses.cumsum(axis=-1)], axis=-1)
    return (total[..., cell.horizon :] - total[..., : -cell.horizon]) / cell.horizon


def rejections(cell: Cell, cases: int, seed: int = 0) -> dict[str, float]:
    """Share of cases in which each test rejects at 5%."""
    losses, counts, squared = window_losses(cell, cases, seed), np.ones(cell.windows), cell.loss == "squared"
    options = {"lag": cell.horizon - 1, "squared": squared}
    dm = [diebold_mariano(a, b, counts, **options).p_value < LEVEL for a, b in zip(*losses, strict=True)]
    options = {"block": HISTORY + cell.horizon, "squared": squared, "confidence": 1 - LEVEL}
    clear = [
        paired_interval(a[None], b[None], counts, **options).clear
        for a, b in zip(*losses[:, :BOOTSTRAP_CASES], strict=True)
    ]
    numbers = span_numbers([np.arange(cell.windows)], season=cell.season or None)
    scores = ([span_score(loss[None], counts, numbers, squared=squared) for loss in side] for side in losses)
    spans = [span_test(a, b).p_value < LEVEL for a, b in zip(*scores, strict=True)]
    textbook = _textbook(losses[0] - losses[1], cell.horizon)
    found = {"spans": spans, "diebold_mariano": dm, "bootstrap": clear, "textbook": textbook}
    return {name: float(np.mean(rejected)) for name, rejected in found.items()}


def _textbook(differential: np.ndarray, horizon: int) -> np.ndarray:
    """[cases]: does the test of Diebold and Mariano with Harvey's factor reject? Negative variances do not."""
    windows = differential.shape[1]
    mean = differential.mean(axis=1)
    centred = differential - mean[:, None]
    variance = (centred**2).mean(axis=1)
    for lag in range(1, horizon):
        variance += 2 * (centred[:, lag:] * centred[:, :-lag]).sum(axis=1) / windows
    factor = (windows + 1 - 2 * horizon + horizon * (horizon - 1) / windows) / windows
    statistic = mean / np.sqrt(np.where(variance > 0, variance, np.inf) / windows) * np.sqrt(factor)
    return 2 * stats.t.sf(np.abs(statistic), windows - 1) < LEVEL


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES)
    cases = parser.parse_args().cases
    facts = environment(torch.device("cpu"))
    rows = []
    for cell in cells():
        start = time.perf_counter()
        found = rejections(cell, cases)
        rows.append({**vars(cell), "cases": cases, **found, "seconds": time.perf_counter() - start, **facts})
        print(*vars(cell).values(), *(f"{name} {share:.3f}" for name, share in found.items()), flush=True)
    if cases == CASES:
        RESULTS.mkdir(exist_ok=True)
        pd.DataFrame(rows).to_csv(RESULTS / "referee_size.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
