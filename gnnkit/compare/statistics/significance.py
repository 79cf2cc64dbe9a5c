"""Paired tests of models over windows and seeds: is a difference of errors more than noise, and how large is it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from jaxtyping import Float
from scipy import special, stats

from gnnkit.compare.statistics.bootstrap import Interval, PairedBootstrap, seed_scores

__all__ = [
    "REFERENCES", "DieboldMariano", "critical_difference", "diebold_mariano", "holm", "significance",
    "wilcoxon_over_seeds",
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
) -> list[dict[str, Any]]:
    """Every test of a comparison, per horizon and for MAE and RMSE.

    Tested are all trained models against `REFERENCES`, the best graph model against every sequence model and baseline,
    and the best of all against every other. Holm's correction is over all of these pairs at one horizon and metric,
    each counted once.

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

    Returns:
        The dicts that `Results.significance` describes, and `comparisons`, the number of pairs that Holm's correction
        is over. `effect` is the mean difference over blocks of windows without a common target row, divided by its
        deviation over them (None for fewer than two); `skill` is 1 − score / score of `against`. `dm`, `dm_p` and
        `dm_p_holm` are None where fewer than two windows were observed.

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
            bench = _Bench(errors, observed, int(horizon), history, metric == "rmse", confidence, resamples)
            found += bench.tests(_pairs(bench, families, pair), metric)
    return found


def critical_difference(
    table: Table,
    counts: Mapping[str, Sequence[int]],
    families: Mapping[str, str],
    *,
    horizon: int,
    history: int,
    metric: str = "mae",
    alpha: float = 0.05,
) -> dict[str, Any] | None:
    """Mean ranks of the models over blocks of windows, and which ranks are not told apart: Friedman, then Nemenyi.

        CD = q_α / √2 · √(k (k + 1) / (6 m)),  k models, m blocks, q_α of the studentised range

    Overlapping windows are not independent, so models are ranked on blocks of T + P windows, the last P − 1 of which
    are left out: no target row is in two blocks.

    Args:
        table: mean absolute errors for "mae", mean squared errors for "rmse", as in `significance`.
        counts, families, history: as in `significance`.
        horizon: P.
        metric: "mae" or "rmse".
        alpha: level of both tests.

    Returns:
        `horizon`, `metric`, `models` (best first), `mean_ranks`, `groups` (runs of two or more models within CD; one
        group of all where Friedman's test does not reject), `blocks`, `critical_difference` and `friedman_p`; None for
        fewer than two blocks, which rank nothing.

    Source:
        Demšar, "Statistical comparisons of classifiers over multiple data sets", 2006.

    Example:
        >>> errors = {name: {"1": [[level] * 40]} for name, level in (("a", 1.0), ("b", 2.0), ("c", 3.0))}
        >>> families = dict.fromkeys(errors, "graph")
        >>> critical_difference(errors, {"1": [1] * 40}, families, horizon=1, history=3)["models"]
        ['a', 'b', 'c']
    """
    observed = np.array(counts[str(horizon)], dtype=np.float64)
    errors = {name: np.array(table[name][str(horizon)], dtype=np.float64) for name in families}
    blocks = _separate_blocks(observed, horizon, history)
    if len(blocks) < 2:
        return None
    scores = np.stack([_block_scores(found, observed, blocks, metric == "rmse") for found in errors.values()], axis=1)
    ranks = stats.rankdata(scores, axis=1)  # [blocks, models]
    m, k = ranks.shape
    mean = ranks.mean(axis=0)
    spread = (ranks**2).sum() - m * k * (k + 1) ** 2 / 4  # 0 where every model ties with every other
    statistic = (k - 1) * ((m * (mean - (k + 1) / 2)) ** 2).sum() / spread if spread > 0 else 0.0
    p_value = float(stats.chi2.sf(statistic, k - 1)) if k > 1 else 1.0
    critical = _studentised(alpha, k) * np.sqrt(k * (k + 1) / (6 * m)) if k > 1 else 0.0
    order = np.argsort(mean, kind="stable")
    names = [list(errors)[i] for i in order]
    groups = _groups(names, mean[order], critical) if p_value <= alpha else [names]
    figures = {"blocks": m, "critical_difference": float(critical), "friedman_p": p_value}
    base = {"horizon": horizon, "metric": metric, "models": names, "mean_ranks": mean[order].tolist()}
    return base | {"groups": groups} | figures


class _Bench:
    """The errors of all models at one horizon and metric, and what is measured on a pair of them."""

    def __init__(
        self,
        errors: Mapping[str, np.ndarray],
        counts: np.ndarray,
        horizon: int,
        history: int,
        squared: bool,
        confidence: float,
        resamples: int,
    ) -> None:
        self.errors, self.counts, self.horizon, self.squared = errors, counts, horizon, squared
        self.confidence = confidence
        block = history + horizon
        self.drawn = PairedBootstrap(errors, counts, block=block, squared=squared, resamples=resamples)
        blocks = _separate_blocks(counts, horizon, history)
        self.blocks = {name: _block_scores(found, counts, blocks, squared) for name, found in errors.items()}

    def tests(self, pairs: Sequence[tuple[str, str]], metric: str) -> list[dict[str, Any]]:
        distinct = list({frozenset(pair): pair for pair in reversed(pairs)}.values())[::-1]
        tested: dict[frozenset[str], tuple[tuple[str, str], Interval, DieboldMariano | None]] = {}
        for pair in distinct:
            enough = (self.counts > 0).sum() > 1
            losses = (self.errors[pair[0]], self.errors[pair[1]], self.counts)
            dm = diebold_mariano(*losses, lag=self.horizon - 1, squared=self.squared) if enough else None
            tested[frozenset(pair)] = (pair, self.drawn.interval(*pair, confidence=self.confidence), dm)
        p_values = [dm.p_value for _, _, dm in tested.values() if dm]
        adjusted = dict(zip(tested, holm(p_values).tolist(), strict=True)) if p_values else {}
        found = []
        for model, against in pairs:
            key = frozenset((model, against))
            pair, interval, dm = tested[key]
            sign = 1.0 if pair == (model, against) else -1.0
            low, high = sorted((sign * interval.low, sign * interval.high))
            row = {"horizon": self.horizon, "metric": metric, "model": model, "against": against}
            row |= {"difference": sign * interval.difference, "low": low, "high": high, "clear": interval.clear}
            row |= {"dm": _finite(sign * dm.statistic) if dm else None, "dm_p": dm.p_value if dm else None}
            row |= {"dm_p_holm": adjusted.get(key), "comparisons": len(distinct)}
            row |= self._sizes(model, against)
            found.append(row)
        return found

    def _sizes(self, model: str, against: str) -> dict[str, Any]:
        ours, theirs = self.drawn.scores(model), self.drawn.scores(against)
        gaps = self.blocks[model] - self.blocks[against]
        deviation = float(gaps.std(ddof=1)) if len(gaps) > 1 else 0.0
        known = deviation > 1e-12 * float(self.blocks[against].mean()) if len(gaps) else False
        return {
            "wilcoxon_p": wilcoxon_over_seeds(ours, theirs),
            "seeds": len(ours),
            "effect": float(gaps.mean()) / deviation if known else None,
            "skill": 1 - float(ours.mean() / theirs.mean()) if theirs.mean() > 0 else None,
        }


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


def _separate_blocks(counts: np.ndarray, horizon: int, history: int) -> list[slice]:
    length = history + horizon
    starts = range(0, len(counts) - (history + 1) + 1, length)
    blocks = [slice(start, start + history + 1) for start in starts]
    return [block for block in blocks if counts[block].sum() > 0]


def _block_scores(errors: np.ndarray, counts: np.ndarray, blocks: Sequence[slice], squared: bool) -> np.ndarray:
    """[blocks]: the score in each block, averaged over seeds."""
    return np.array([seed_scores(errors[:, part], counts[part], squared=squared).mean() for part in blocks])


def _groups(names: Sequence[str], ranks: np.ndarray, critical: float) -> list[list[str]]:
    groups, reached = [], 0
    for first, rank in enumerate(ranks):
        last = int(np.searchsorted(ranks, rank + critical, side="right"))
        if last > reached and last - first > 1:
            groups.append(list(names[first:last]))
        reached = max(reached, last)
    return groups


@lru_cache(maxsize=64)
def _studentised(alpha: float, models: int) -> float:
    return float(stats.studentized_range.ppf(1 - alpha, models, np.inf)) / np.sqrt(2)


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None
