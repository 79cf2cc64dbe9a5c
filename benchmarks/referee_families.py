"""The referee on trial, several questions at once: how often is one of equal models called different, or thrown out?

    python benchmarks/referee_families.py              all cells; benchmarks/results/referee_families.csv, _seeds.csv
    python benchmarks/referee_families.py --cases 50   a quicker look, printed and not written

Losses are those of `referee_size.py`, of more forecasters than two; with a `ratio` the errors of the first are smaller
by it. Shares of cases, at a nominal 5%:

- `set`: a model that is truly best is thrown out of the model confidence set; with a ratio: the first is left alone.
  `set_arch`: the same of `arch.bootstrap.MCS`, with blocks of history + horizon windows.
- `family`: one of the others is called different from the last model (with a ratio: the first is called better), all
  corrected together (`judge_family`). `family_holm`: after Holm. `spa_arch`: the same question to `arch.bootstrap.SPA`,
  which asks on one side.
- `groups`: in one of the 24 hours of the day, the first two models are called different.
- `ranks`: Friedman's test over blocks of windows rejects that all are equal.

The second table has noise between seeds: models with 3 seeds, of which one is `spread` times less steady than the
others, or half of them. `own` is the rule of the referee, each model's own variance (Welch); its rivals borrow from the
other models: `pooled`, one variance for all; `moderated`, shrunk to a common one (Smyth, 2004). Shares are those of the
pairs that are told apart, and of the pair for which it is most; with a `difference`, in its standard errors, power.
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
from arch.bootstrap import MCS, SPA
from referee_size import BURN_IN, HISTORY, LEVEL, SHARED
from scipy import signal, special

from gnnkit.statistics.groups import group_tests
from gnnkit.statistics.paired import holm, paired_test
from gnnkit.statistics.ranks import block_scores, mean_ranks, separate_blocks
from gnnkit.statistics.spans import compare_scores, span_numbers, span_score
from gnnkit.statistics.step_down import confidence_set, judge_family
from gnnkit.training.environment import environment

__all__ = ["Family", "Luck", "families", "lucks", "rejections", "told_apart"]

RESULTS = Path(__file__).resolve().parent / "results"
CASES, SEED_CASES, DRAWS, REPS = 400, 2000, 1000, 500


@dataclass(frozen=True)
class Family:
    """What is simulated; `models` forecasters of the same series."""

    models: int = 6
    horizon: int = 12
    windows: int = 380
    ar: float = 0.5
    ratio: float = 1.0
    season: int = 0
    profile: float = 0.0


@dataclass(frozen=True)
class Luck:
    """Noise between seeds: `wild` of the models are `spread` times less steady than the others."""

    models: int = 4
    wild: int = 0
    spread: float = 1.0
    difference: float = 0.0
    seeds: int = 3


def families() -> list[Family]:
    """Every cell of the first table."""
    plain = [Family(m, 12, 380, ar, ratio) for m, ar, ratio in itertools.product((3, 9), (0.5, 0.9), (1.0, 1.2))]
    roads = itertools.product((380, 1141), (0.9, 0.97), (1.0, 1.2))
    return plain + [Family(6, 12, w, ar, ratio, season=288, profile=0.8) for w, ar, ratio in roads]


def lucks() -> list[Luck]:
    """Every cell of the second table."""
    kinds = [(3, 0, 1.0), (3, 1, 10.0), (8, 0, 1.0), (8, 1, 10.0), (8, 4, 10.0), (8, 4, 3.0)]
    return [Luck(*kind, difference) for kind in kinds for difference in (0.0, 4.0)]


def rejections(cell: Family, cases: int, seed: int = 0) -> dict[str, float]:
    """Share of cases in which each test says what the head of this file says."""
    rng, found = np.random.default_rng(seed), []
    for _ in range(cases):
        found.append(_one(cell, _losses(cell, rng)))
    return {name: float(np.mean([case[name] for case in found])) for name in found[0]}


def _losses(cell: Family, rng: np.random.Generator) -> np.ndarray:
    """[M, W]: mean absolute errors in overlapping windows; part of all models' errors is the same."""
    length = cell.windows + cell.horizon - 1 + BURN_IN
    shocks = np.sqrt(1 - SHARED) * rng.standard_normal((cell.models, length))
    shocks += np.sqrt(SHARED) * rng.standard_normal((1, length))
    errors = np.asarray(signal.lfilter([1.0], [1.0, -cell.ar], shocks, axis=-1))[:, BURN_IN:]
    errors[0] /= cell.ratio
    if cell.season:
        errors *= 1 + cell.profile * np.sin(2 * np.pi * np.arange(errors.shape[1]) / cell.season)
    total = np.concatenate([np.zeros((cell.models, 1)), np.abs(errors).cumsum(axis=1)], axis=1)
    return (total[:, cell.horizon :] - total[:, : -cell.horizon]) / cell.horizon


def _one(cell: Family, losses: np.ndarray) -> dict[str, float]:
    counts, spans = np.ones(cell.windows), span_numbers([np.arange(cell.windows)], season=cell.season or None)
    scores = [span_score(loss[None], counts, spans) for loss in losses]
    inside = confidence_set(scores, draws=DRAWS) >= LEVEL
    asked = [compare_scores(score, scores[-1]) for score in scores[:-1]]
    told = [(each.difference, each.clear) for each in judge_family(asked, 1 - LEVEL, draws=DRAWS)]
    corrected = holm([each.test.p_value for each in asked])
    plain = [(each.test.difference, p < LEVEL) for each, p in zip(asked, corrected, strict=True)]
    blocks = separate_blocks(counts, cell.horizon, HISTORY)
    ranks = mean_ranks(np.stack([block_scores(loss[None], counts, blocks, False) for loss in losses], axis=1))
    found = {"set": _of_set(cell, inside), "family": _of_family(cell, told), "family_holm": _of_family(cell, plain)}
    found |= {"groups": _of_groups(cell, losses[:2], spans), "ranks": ranks.friedman_p < LEVEL}
    return found | _peers(cell, losses)


def _of_set(cell: Family, inside: np.ndarray) -> bool:
    return bool(not inside.all() if cell.ratio == 1 else inside[0] and inside.sum() == 1)


def _of_family(cell: Family, told: list[tuple[float, bool]]) -> bool:
    return any(clear for _, clear in told) if cell.ratio == 1 else bool(told[0][1] and told[0][0] < 0)


def _of_groups(cell: Family, losses: np.ndarray, spans: np.ndarray) -> float:
    """Whether an hour is called different; NaN where the series has no hours."""
    if not cell.season:
        return np.nan
    hours = np.arange(cell.windows) % cell.season * 24 // cell.season
    inside = (hours[:, None] == np.arange(24)).astype(float)
    tests = group_tests(losses[:, :, None] * inside, inside, (1, 1), spans)
    return float(any(each.clear for each in judge_family([t for t in tests if t], 1 - LEVEL, draws=DRAWS)))


def _peers(cell: Family, losses: np.ndarray) -> dict[str, float]:
    """What `arch` says of the same losses."""
    options = {"reps": REPS, "block_size": HISTORY + cell.horizon, "seed": 0}
    peer = MCS(losses.T, LEVEL, method="R", **options)
    peer.compute()
    inside = np.isin(np.arange(cell.models), peer.included)
    rival = SPA(losses[-1], losses[:-1].T, **options)
    rival.compute()
    return {"set_arch": _of_set(cell, inside), "spa_arch": rival.pvalues["consistent"] < LEVEL}


def told_apart(cell: Luck, cases: int, seed: int = 0) -> dict[str, float]:
    """Share of the pairs that each rule tells apart, and of the pair that it tells apart most often."""
    rng = np.random.default_rng(seed)
    sizes = np.ones(cell.models)
    sizes[: cell.wild] = cell.spread
    pairs = list(itertools.combinations(range(cell.models), 2))
    variance, degrees = 0.05, 5.0  # of the windows: little, so that it is seeds that decide
    rules = ("own", "pooled", "moderated")
    called = {rule: np.zeros(len(pairs)) for rule in rules}
    for _ in range(cases):
        scores = sizes[:, None] * rng.standard_normal((cell.models, cell.seeds))
        shifts = np.sqrt(variance) * rng.standard_normal(len(pairs))
        seen = variance * rng.chisquare(degrees, len(pairs)) / degrees
        own = scores.var(axis=1, ddof=1)
        alike = np.full_like(own, own.mean()), len(own) * (cell.seeds - 1.0)
        borrowed = {"pooled": alike, "moderated": _moderated(own, cell)}
        for at, (one, other) in enumerate(pairs):
            spread = np.sqrt(variance + (sizes[one] ** 2 + sizes[other] ** 2) / cell.seeds)
            shift = shifts[at] + cell.difference * spread
            called["own"][at] += paired_test((scores[one] + shift, scores[other]), seen[at], degrees).p_value < LEVEL
            difference = float(scores[one].mean() + shift - scores[other].mean())
            for rule, (variances, free) in borrowed.items():
                parts = np.array([seen[at], variances[one] / cell.seeds, variances[other] / cell.seeds])
                dof = parts.sum() ** 2 / (parts**2 / [degrees, free, free]).sum()
                called[rule][at] += 2 * special.stdtr(dof, -abs(difference) / np.sqrt(parts.sum())) < LEVEL
    mean = {rule: float(called[rule].mean() / cases) for rule in rules}
    return mean | {f"{rule}_most": float(called[rule].max() / cases) for rule in rules}


def _moderated(own: np.ndarray, cell: Luck) -> tuple[np.ndarray, float]:
    """Variances shrunk to a common one by how much they differ, and their degrees of freedom.

    Source:
        Smyth, "Linear models and empirical Bayes methods for assessing differential expression", 2004, section 6.2.
    """
    free = cell.seeds - 1.0
    logs = np.log(own) - special.digamma(free / 2) + np.log(free / 2)
    excess = float(logs.var(ddof=1) - special.polygamma(1, free / 2))
    if excess <= 0:  # as alike as variances of equal models would be
        return np.full_like(own, np.exp(logs.mean())), len(own) * free
    prior = 2 * _inverse_trigamma(excess)
    common = np.exp(logs.mean() + special.digamma(prior / 2) - np.log(prior / 2))
    return (prior * common + free * own) / (prior + free), min(prior + free, len(own) * free)


def _inverse_trigamma(value: float) -> float:
    found = 0.5 + 1 / value
    for _ in range(50):
        slope = special.polygamma(1, found)
        change = slope * (1 - slope / value) / special.polygamma(2, found)
        found += change
        if abs(change) < 1e-8 * found:
            break
    return float(found)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=int, default=CASES)
    cases = parser.parse_args().cases
    if cases < 1:
        parser.error(f"--cases is {cases}: give at least 1")
    facts = environment(torch.device("cpu"))
    for name, cells, trial, number in (
        ("referee_families", families(), rejections, cases),
        ("referee_seeds", lucks(), told_apart, cases * SEED_CASES // CASES),
    ):
        rows = []
        for cell in cells:
            start = time.perf_counter()
            found = trial(cell, number)  # pyright: ignore[reportArgumentType]
            rows.append({**vars(cell), "cases": number, **found, "seconds": time.perf_counter() - start, **facts})
            print(*vars(cell).values(), *(f"{key} {share:.3f}" for key, share in found.items()), flush=True)
        if cases == CASES:
            RESULTS.mkdir(exist_ok=True)
            pd.DataFrame(rows).to_csv(RESULTS / f"{name}.csv", index=False, float_format="%.6g")


if __name__ == "__main__":
    main()
