"""Paired tests of models over windows and seeds: is a difference of errors more than noise, and how large is it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from gnnkit.compare.statistics.bootstrap import PairedBootstrap, seed_scores
from gnnkit.compare.statistics.ranks import block_scores, separate_blocks

__all__ = [
    "REFERENCES", "DieboldMariano", "diebold_mariano", "holm", "significance", "wilcoxon_over_seeds",
]  # fmt: skip

REFERENCES = ("last-value", "seasonal-naive")
"""The baselines that every trained model is tested against."""

FEWEST_SEEDS = 6
"""With five pairs even the most extreme order of signs has a two-sided p of 2 / 2⁵ = 0.0625: no test can reach 5%."""

Table = Mapping[str, Mapping[str, Sequence]]


@dataclass(frozen=True)
class DieboldMariano:
    """A Diebold-Mariano test of two forecasts' errors.

    Args:
        statistic: difference / deviation; infinite where a difference has no variance at all.
        p_value: two-sided, from Student's t.
        degrees: of freedom.
        difference: score of a minus score of b.
        deviation: standard error of the difference.
    """

    statistic: float
    p_value: float
    degrees: float
    difference: float
    deviation: float


def diebold_mariano(
    loss_a: Float[np.ndarray, "S W"] | Float[np.ndarray, " W"],
    loss_b: Float[np.ndarray, "Z W"] | Float[np.ndarray, " W"],
    counts: Float[np.ndarray, " W"],
    *,
    lag: int,
    squared: bool = False,
) -> DieboldMariano:
    """Are two forecasts equally good? Student's t of the mean loss differential with a variance that knows of overlap.

    With d_w = n_w (a_w − b_w − mean) / mean(n), and c_j(w) = √(2 / W) cos(πj (w + ½) / W):

        variance of the mean = 1 / (ν κ W) Σ_{j=1…ν} (Σ_w c_j(w) d_w)²,    p from t with ν degrees,
        ν = the lesser of 0.41 W^⅔ and W / (lag + 1), rounded down, at least 1.

    κ carries the correction of Harvey, Leybourne and Newbold over to this estimator: the expected estimated variance
    over the true one, for errors whose only autocorrelation is that of windows which share target rows
    (moving averages of lag + 1 terms). Their own factor, (W + 1 − 2h + h(h − 1) / W) / W with h = lag + 1, is that
    ratio for the truncated kernel of Diebold and Mariano, with which equal forecasts are called different too often
    where windows are few (`benchmarks/referee_size.py` measures both).

    Several seeds of a model are averaged, and the noise between them, s² / S, is added to the variance; degrees are
    then Welch's and Satterthwaite's. Losses that are mean squared errors are compared as RMSE, by the delta method:
    d_w is divided by twice the RMSE of its model and seed.

    Args:
        loss_a: mean error in each window, a row a seed; where n_w = 0 it is not read.
        loss_b: the same for the other model.
        counts: n_w, observed targets in each window.
        lag: windows up to this many apart share a target row: horizon − 1.
        squared: losses are mean squared errors, and scores are RMSE.

    Raises:
        ValueError: shapes do not fit, `lag` is negative, or fewer than two windows were observed.

    Source:
        Diebold and Mariano, "Comparing predictive accuracy", 1995; Harvey, Leybourne and Newbold, "Testing the equality
        of prediction mean squared errors", 1997; the variance, ν and the t are from Lazarus, Lewis, Stock and Watson,
        "HAR inference: recommendations for practice", 2018; fixed smoothing in this test: Coroneo and Iacone,
        "Comparing predictive accuracy in small samples using fixed-smoothing asymptotics", 2020. Not from them: κ
        for this estimator, counts, seeds.

    Example:
        >>> hard = np.random.default_rng(0).gamma(2.0, size=200)
        >>> diebold_mariano(hard, 1.2 * hard, np.ones(200), lag=2).p_value < 0.01
        True
    """
    a, b = np.atleast_2d(loss_a), np.atleast_2d(loss_b)
    if a.shape[1] != b.shape[1] or counts.shape != (a.shape[1],):
        raise ValueError(f"losses have shapes {a.shape} and {b.shape}, counts {counts.shape}; give the same W windows")
    if lag < 0:
        raise ValueError(f"lag={lag}: windows that share a target row are horizon − 1 apart; give 0 or more")
    if (counts > 0).sum() < 2:
        raise ValueError(f"counts: {(counts > 0).sum()} windows have an observed target; a test needs at least 2")
    windows = len(counts)
    scores = [seed_scores(loss, counts, squared=squared) for loss in (a, b)]
    difference = float(scores[0].mean() - scores[1].mean())
    differential = _influence(a, counts, scores[0], squared) - _influence(b, counts, scores[1], squared)
    cosines = _cosines(windows, lag)
    waves = cosines @ differential
    parts = [(float((waves**2).mean() / _kept_variance(windows, lag)) / windows, float(len(cosines)))]
    parts += [(float(s.var(ddof=1)) / len(s), len(s) - 1.0) for s in scores if len(s) > 1]
    variance = sum(part for part, _ in parts)
    if variance <= (1e-12 * max(float(s.mean()) for s in scores)) ** 2:  # what rounding leaves of a constant
        equal = abs(difference) <= 1e-12 * max(float(s.mean()) for s in scores)
        statistic = 0.0 if equal else float(np.copysign(np.inf, difference))
        return DieboldMariano(statistic, float(equal), parts[0][1], difference, 0.0)
    degrees = variance**2 / sum(part**2 / free for part, free in parts)
    statistic = difference / variance**0.5
    return DieboldMariano(
        statistic, float(2 * special.stdtr(degrees, -abs(statistic))), degrees, difference, variance**0.5
    )


def wilcoxon_over_seeds(a: Float[np.ndarray, " S"], b: Float[np.ndarray, " Z"]) -> float | None:
    """Two-sided p of the signed-rank test of seed scores, a against b, pair by pair; None below six seeds.

    A model with one score, a baseline, stands against every seed of the other. The test speaks of the noise between
    seeds on these windows, and of no other windows.

    Args:
        a: one score a seed.
        b: the same for the other model, in the same order of seeds.

    Returns:
        p; None where fewer than six seeds pair up or the numbers of seeds differ: no test over five can reach 5%.

    Source:
        Wilcoxon, "Individual comparisons by ranking methods", 1945.

    Example:
        >>> wilcoxon_over_seeds(np.arange(6.0), np.arange(6.0) + [1, 2, 3, 4, 5, 6])
        0.03125
    """
    if max(len(a), len(b)) < FEWEST_SEEDS or (len(a) != len(b) and min(len(a), len(b)) != 1):
        return None
    gaps = np.asarray(a) - np.asarray(b)
    return float(np.asarray(stats.wilcoxon(gaps))[1]) if np.any(gaps != 0) else 1.0


def holm(p_values: Sequence[float]) -> Float[np.ndarray, " M"]:
    """p-values that hold for all M tests together: p̃_(i) = max over k ≤ i of (M − k + 1) p_(k), at most 1.

    Source:
        Holm, "A simple sequentially rejective multiple test procedure", 1979.

    Example:
        >>> holm([0.01, 0.04, 0.03]).tolist()
        [0.03, 0.06, 0.06]
    """
    found = np.asarray(p_values, dtype=np.float64)
    order = np.argsort(found, kind="stable")
    adjusted = np.empty_like(found)
    adjusted[order] = np.minimum(np.maximum.accumulate(found[order] * np.arange(len(found), 0, -1)), 1.0)
    return adjusted


def significance(
    absolute: Table,
    squared: Table,
    counts: Mapping[str, Sequence[int]],
    families: Mapping[str, str],
    *,
    history: int,
    confidence: float = 0.95,
    resamples: int = 2000,
    pair: tuple[str, str] | None = None,
    seeds: Mapping[str, Sequence[int]] | None = None,
) -> list[dict[str, Any]]:
    """Every test of a comparison, per horizon and for MAE and RMSE.

    Shown are all trained models against `REFERENCES`, the best graph model against every sequence model and baseline,
    and the best of all against every other. Who is best of all is seen on the very windows that are tested, so those
    pairs were not fixed beforehand. Holm's correction is therefore over all k (k − 1) / 2 pairs of the k models at one
    horizon and metric, shown or not: the chance that any pair of equal models is called different, whichever pairs the
    scores pick, is at most the level. `clear` speaks of the interval of its own pair alone.

    Args:
        absolute: mean absolute errors, `[model][horizon]` → [seed][window] (`Results.seed_window_errors`).
        squared: mean squared errors, the same way (`Results.seed_window_squared`).
        counts: observed targets, `[horizon]` → [window].
        families: `[model]` → "baseline", "sequence" or "graph".
        history: T, rows of history; blocks of T + P windows stay together in the bootstrap.
        confidence: of the intervals.
        resamples: bootstrap draws.
        pair: the best graph and the best sequence model, as chosen on the validation rows; None: the graph model with
            the lowest score.
        seeds: `[model]` → the seed of each row of its errors; the signed-rank test pairs two models' scores by it, over
            the seeds that both have. None: rows are paired by their places.

    Returns:
        The dicts that `Results.significance` describes, and `comparisons`, the number of pairs that Holm's correction
        is over, k (k − 1) / 2. `effect` is the mean difference over blocks of windows without a common target row,
        divided by its deviation over them (None for fewer than two); `skill` is 1 − score / score of `against`. `dm`,
        `dm_p` and `dm_p_holm` are None where fewer than two windows were observed.

    Raises:
        ValueError: `seeds` has no number for each row of a trained model's errors.

    Example:
        >>> errors = {name: {"2": [[level] * 30]} for name, level in (("last-value", 2.0), ("gru", 1.0))}
        >>> families = {"last-value": "baseline", "gru": "sequence"}
        >>> found = significance(errors, errors, {"2": [1] * 30}, families, history=4)
        >>> [(test["model"], test["against"], test["skill"]) for test in found if test["metric"] == "mae"]
        [('gru', 'last-value', 0.5)]
    """
    found: list[dict[str, Any]] = []
    for horizon in sorted(counts, key=int):
        observed = np.array(counts[horizon], dtype=np.float64)
        for metric, table in (("mae", absolute), ("rmse", squared)):
            errors = {name: np.array(table[name][horizon], dtype=np.float64) for name in families}
            places: Mapping[str, Sequence[int]] = {name: range(len(losses)) for name, losses in errors.items()}
            rows = places if seeds is None else seeds
            own = {name: list(rows.get(name, [])) for name, family in families.items() if family != "baseline"}
            for name, numbers in own.items():
                if len(numbers) != len(errors[name]):
                    raise ValueError(
                        f"seeds of {name} are {numbers}, but its errors have {len(errors[name])} rows; give one a row"
                    )
            bench = _Bench(errors, own, observed, int(horizon), history, metric == "rmse", confidence, resamples)
            found += bench.tests(_pairs(bench, families, pair), metric)
    return found


class _Bench:
    """The errors of all models at one horizon and metric, and what is measured on a pair of them."""

    def __init__(
        self,
        errors: Mapping[str, np.ndarray],
        seeds: Mapping[str, Sequence[int]],
        counts: np.ndarray,
        horizon: int,
        history: int,
        squared: bool,
        confidence: float,
        resamples: int,
    ) -> None:
        self.errors, self.seeds, self.counts = errors, seeds, counts
        self.horizon, self.squared, self.confidence = horizon, squared, confidence
        block = history + horizon
        self.drawn = PairedBootstrap(errors, counts, block=block, squared=squared, resamples=resamples)
        blocks = separate_blocks(counts, horizon, history)
        self.blocks = {name: block_scores(found, counts, blocks, squared) for name, found in errors.items()}

    def tests(self, pairs: Sequence[tuple[str, str]], metric: str) -> list[dict[str, Any]]:
        shown = {frozenset(pair): pair for pair in reversed(pairs)}
        tested: dict[frozenset[str], tuple[tuple[str, str], DieboldMariano | None]] = {}
        for order in combinations(self.errors, 2):
            names = frozenset(order)
            tested[names] = shown.get(names, order), self._diebold_mariano(*shown.get(names, order))
        p_values = [dm.p_value for _, dm in tested.values() if dm]
        adjusted = dict(zip(tested, holm(p_values).tolist(), strict=True)) if p_values else {}
        intervals = {names: self.drawn.interval(*pair, confidence=self.confidence) for names, pair in shown.items()}
        found = []
        for model, against in pairs:
            key = frozenset((model, against))
            (pair, dm), interval = tested[key], intervals[key]
            sign = 1.0 if pair == (model, against) else -1.0
            low, high = sorted((sign * interval.low, sign * interval.high))
            row = {"horizon": self.horizon, "metric": metric, "model": model, "against": against}
            row |= {"difference": sign * interval.difference, "low": low, "high": high, "clear": interval.clear}
            row |= {"dm": _finite(sign * dm.statistic) if dm else None, "dm_p": dm.p_value if dm else None}
            row |= {"dm_p_holm": adjusted.get(key), "comparisons": len(tested)}
            row |= self._sizes(model, against)
            found.append(row)
        return found

    def _diebold_mariano(self, a: str, b: str) -> DieboldMariano | None:
        if (self.counts > 0).sum() < 2:
            return None
        return diebold_mariano(self.errors[a], self.errors[b], self.counts, lag=self.horizon - 1, squared=self.squared)

    def _sizes(self, model: str, against: str) -> dict[str, Any]:
        ours, theirs = self.drawn.scores(model), self.drawn.scores(against)
        gaps = self.blocks[model] - self.blocks[against]
        deviation = float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0
        known = deviation > 1e-12 * float(self.blocks[against].mean()) if len(gaps) else False
        return {
            "wilcoxon_p": wilcoxon_over_seeds(*self._by_seed(model, against)),
            "seeds": len(ours),
            "effect": float(gaps.mean()) / deviation if known else None,
            "skill": 1 - float(ours.mean() / theirs.mean()) if theirs.mean() > 0 else None,
        }

    def _by_seed(self, *pair: str) -> list[np.ndarray]:
        """The scores of two models, those of trained ones on the seeds that both have, in one order."""
        own = [
            dict(zip(self.seeds[name], self.drawn.scores(name), strict=True)) if name in self.seeds else None
            for name in pair
        ]
        known = [found for found in own if found is not None]
        both = [seed for seed in known[0] if all(seed in found for found in known)] if known else []
        return [
            self.drawn.scores(name) if found is None else np.array([found[seed] for seed in both])
            for name, found in zip(pair, own, strict=True)
        ]


def _pairs(bench: _Bench, families: Mapping[str, str], pair: tuple[str, str] | None) -> list[tuple[str, str]]:
    ranked = sorted(families, key=bench.drawn.score)
    trained = [name for name in families if families[name] != "baseline"]
    pairs = [(name, reference) for reference in REFERENCES if reference in families for name in trained]
    graphs = [pair[0]] if pair else [name for name in ranked if families[name] == "graph"]
    pairs += [(graphs[0], name) for name in families if families[name] != "graph"] if graphs else []
    pairs += [(ranked[0], name) for name in families if name != ranked[0]]
    return list(dict.fromkeys(pairs))


def _influence(loss: np.ndarray, counts: np.ndarray, scores: np.ndarray, squared: bool) -> np.ndarray:
    """[W]: what each window adds to the score's deviation from its mean, times W; averaged over seeds."""
    centred = np.where(counts > 0, loss, 0.0) - (scores**2 if squared else scores)[:, None]
    if squared:
        centred = np.divide(centred, 2 * scores[:, None], out=np.zeros_like(centred), where=scores[:, None] > 0)
    return (centred * counts / counts.mean()).mean(axis=0)


@lru_cache(maxsize=8)
def _cosines(windows: int, lag: int) -> np.ndarray:
    count = max(1, int(min(0.41 * windows ** (2 / 3), windows / (lag + 1))))
    waves = np.arange(1, count + 1)[:, None] * (np.arange(windows) + 0.5)
    return np.sqrt(2 / windows) * np.cos(np.pi / windows * waves)


@lru_cache(maxsize=8)
def _kept_variance(windows: int, lag: int) -> float:
    """κ: the cosines' mean square over the constant's, for moving averages of lag + 1 independent terms."""

    def power(weights: np.ndarray) -> np.ndarray:
        """[…, W] → […]: the variance, but for a factor, of a weighted sum of such moving averages."""
        padded = np.concatenate([np.zeros((len(weights), 1)), weights.cumsum(axis=1)], axis=1)
        places = np.arange(windows + lag)
        upper, lower = np.minimum(places + 1, windows), np.maximum(places - lag, 0)
        return ((padded[:, upper] - padded[:, lower]) ** 2).sum(axis=1)

    return float(power(_cosines(windows, lag)).mean() / power(np.full((1, windows), windows**-0.5))[0])


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
