"""Which model is better, by how much, and is the difference more than noise?"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from jaxtyping import Float
from scipy import stats

__all__ = ["Interval", "block_weights", "paired_interval", "summarise", "verdicts"]

PERSISTENCE = "last-value"


def summarise(rows: pd.DataFrame) -> pd.DataFrame:
    """Mean and standard deviation over seeds of every score.

    Args:
        rows: `Results.rows`.

    Returns:
        A table with the columns model, family, horizon, score, metric, mean, std (n − 1 in the denominator; NaN for a
        single seed and for baselines) and seeds, models in the order of `rows`.
    """
    keys = ["model", "family", "horizon", "score", "metric"]
    return rows.groupby(keys, sort=False)["value"].agg(mean="mean", std="std", seeds="count").reset_index()


@dataclass(frozen=True)
class Interval:
    """A difference of two errors, a − b, and the interval that holds it with the confidence asked for."""

    difference: float
    low: float
    high: float

    @property
    def clear(self) -> bool:
        """True where the interval excludes 0: the difference is more than noise."""
        return self.low > 0 or self.high < 0


def block_weights(windows: int, *, block: int, resamples: int, seed: int = 0) -> Float[np.ndarray, "R W"]:
    """How often each window is drawn in each resample of a moving-block bootstrap.

    Blocks of `block` neighbouring windows are drawn with replacement until W are together; the last block is cut.

    Args:
        windows: W.
        block: neighbouring windows that stay together, 1 … W.
        resamples: R.
        seed: of the draws.

    Returns:
        Counts; every row sums to W.

    Raises:
        ValueError: `block` is not among 1 … W.

    Source:
        Künsch, "The jackknife and the bootstrap for general stationary observations", 1989.

    Example:
        >>> block_weights(5, block=2, resamples=3).sum(axis=1)
        array([5., 5., 5.])
    """
    if not 1 <= block <= windows:
        raise ValueError(f"block={block}: must be 1 to the number of windows, {windows}")
    draws = -(-windows // block)
    starts = np.random.default_rng(seed).integers(0, windows - block + 1, size=(resamples, draws))
    lengths = np.full(draws, block)
    lengths[-1] = windows - block * (draws - 1)
    steps = np.zeros((resamples, windows + 1))
    rows = np.arange(resamples)[:, None]
    np.add.at(steps, (rows, starts), 1.0)
    np.add.at(steps, (rows, starts + lengths), -1.0)
    return steps.cumsum(axis=1)[:, :windows]


def paired_interval(
    a: Float[np.ndarray, "S W"],
    b: Float[np.ndarray, "Z W"],
    counts: Float[np.ndarray, " W"],
    *,
    block: int,
    squared: bool = False,
    resamples: int = 2000,
    confidence: float = 0.95,
    seed: int = 0,
) -> Interval:
    """Interval of the difference between two models' errors, over the windows and the seeds at once.

    The score of a seed is Σ_w n_w e_w / Σ_w n_w, or its root for squared errors; a model's is the mean over its seeds;
    the difference is a − b. Two sources of noise are added up, draw by draw:

    * windows: both models are scored on the same resampled blocks of windows, so that what is hard for both cancels. A
      series has few independent blocks (m = W / block), so deviations are widened by √(m / (m − 1)) and by the ratio
      of Student's t with m − 1 degrees to the normal quantile.
    * seeds: for each model s / √S · t with S − 1 degrees of freedom, s the deviation of its scores over S seeds. One
      seed says nothing about this noise, so nothing is added for it.

    Args:
        a: mean error in each window, a row a seed; where n_w = 0 it is not read.
        b: the same for the other model; it may have another number of seeds.
        counts: n_w, observed targets in each window.
        block: neighbouring windows that stay together; at least the overlap of windows. At most W / 3 are used.
        squared: the errors are mean squared errors, and scores are RMSE.
        resamples: draws (default 2000).
        confidence: of the interval (default 0.95).
        seed: of the draws; the same seed gives the same interval.

    Raises:
        ValueError: the shapes do not fit, or nothing was observed.

    Example:
        >>> errors = np.random.default_rng(0).random((1, 100))
        >>> paired_interval(errors - 0.5, errors, np.ones(100), block=5).clear
        True
    """
    if a.ndim != 2 or b.ndim != 2 or a.shape[1] != b.shape[1] or counts.shape != (a.shape[1],):
        raise ValueError(
            f"errors have shapes {a.shape} and {b.shape}, counts {counts.shape}; give [seeds, W], [seeds, W] and [W]"
        )
    if not counts.sum() > 0:
        raise ValueError("counts: no window has an observed target, so there is nothing to compare")
    windows = len(counts)
    block = max(1, min(block, windows // 3))
    weights = block_weights(windows, block=block, resamples=resamples, seed=seed) * counts
    rng = np.random.default_rng([seed, 1])
    point, deviations = 0.0, np.zeros(resamples)
    seed_noise = np.zeros(resamples)
    for sign, errors in ((1.0, a), (-1.0, b)):
        known = np.where(counts > 0, errors, 0.0)
        scores = _scores(known @ counts / counts.sum(), squared)  # [S]
        # A resample of windows without any target has no score; the guard gives it the weight of one.
        drawn = _scores(weights @ known.T / np.maximum(weights.sum(axis=1, keepdims=True), 1.0), squared).mean(axis=1)
        point += sign * float(scores.mean())
        deviations += sign * (drawn - drawn.mean())
        if len(scores) > 1:
            noise = rng.standard_t(len(scores) - 1, size=resamples)
            seed_noise += scores.std(ddof=1) / np.sqrt(len(scores)) * noise
    tail = (1 - confidence) / 2
    blocks = windows / block
    if blocks > 1:
        ratio = stats.t.ppf(1 - tail, blocks - 1) / stats.norm.ppf(1 - tail)
        deviations *= ratio * np.sqrt(blocks / (blocks - 1))
    low, high = np.quantile(deviations + seed_noise, [tail, 1 - tail])
    return Interval(point, point + float(low), point + float(high))


def _scores(mean_errors: np.ndarray, squared: bool) -> np.ndarray:
    return np.sqrt(np.maximum(mean_errors, 0.0)) if squared else mean_errors


def verdicts(
    absolute: Mapping[str, Mapping[str, Sequence]],
    squared: Mapping[str, Mapping[str, Sequence]],
    counts: Mapping[str, Sequence[int]],
    families: Mapping[str, str],
    *,
    history: int,
    unit: str = "",
    step_minutes: float | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> list[dict[str, Any]]:
    """What the errors say, per horizon and for MAE and RMSE, in numbers and in words.

    Blocks of history + horizon windows stay together in the bootstrap (`paired_interval`): windows that far apart share
    neither a history row nor a target row.

    Args:
        absolute: mean absolute errors, `[model][horizon]` → [seed][window] (`Results.seed_window_errors`).
        squared: mean squared errors, the same way (`Results.seed_window_squared`).
        counts: observed targets, `[horizon]` → [window].
        families: `[model]` → "baseline", "sequence" or "graph".
        history: T, rows of history.
        unit: the data's unit, for the sentences.
        step_minutes: minutes in a step, for the sentences.
        resamples: bootstrap draws.
        confidence: of the intervals.

    Returns:
        The dicts that `Results.verdicts` describes.
    """
    found: list[dict[str, Any]] = []
    for horizon in sorted(counts, key=int):
        for metric, table in (("mae", absolute), ("rmse", squared)):
            referee = _Referee(
                errors={name: np.array(table[name][horizon], dtype=np.float64) for name in families},
                counts=np.array(counts[horizon], dtype=np.float64),
                families=families,
                horizon=int(horizon),
                metric=metric,
                block=history + int(horizon),
                unit=unit,
                step_minutes=step_minutes,
                resamples=resamples,
                confidence=confidence,
            )
            found += [referee.winner(), *referee.persistence()]
            graph = referee.graph()
            found += [graph] if graph else []
    return found


@dataclass(frozen=True)
class _Referee:
    """The errors of all models at one horizon and metric, and the questions that are put to them."""

    errors: Mapping[str, np.ndarray]
    counts: np.ndarray
    families: Mapping[str, str]
    horizon: int
    metric: str
    block: int
    unit: str
    step_minutes: float | None
    resamples: int
    confidence: float

    def winner(self) -> dict[str, Any]:
        order = self._best(list(self.errors))
        best, second = order[0], order[1]
        against = {name: self._interval(best, name) for name in order[1:]}
        tied = [name for name in order[1:] if not against[name].clear]
        interval = against[second]
        sentence = f"{self._when()}, {best} has the lowest {self.metric.upper()} ({self._value(best)})"
        if interval.clear:
            sentence += f", clearly below {second}: {self._difference(interval)}."
        else:
            sentence += f", but not clearly below {', '.join(tied)}: against {second} {self._difference(interval)}."
        return self._verdict("winner", best, second, interval, sentence) | {"tied": tied}

    def persistence(self) -> list[dict[str, Any]]:
        trained = [name for name in self.errors if self.families[name] != "baseline"]
        if PERSISTENCE not in self.errors or not trained:
            return []
        found, groups = [], {"better": [], "open": [], "worse": []}
        for name in trained:
            interval = self._interval(name, PERSISTENCE)
            if not interval.clear:
                outcome, words = "open", "does not clearly differ from"
            elif interval.difference < 0:
                outcome, words = "better", "clearly beats"
            else:
                outcome, words = "worse", "is clearly worse than"
            groups[outcome].append(name)
            sentence = (
                f"{self._when()}, {name} {words} {PERSISTENCE} in {self.metric.upper()}: {self._difference(interval)}."
            )
            found.append(self._verdict("persistence", name, PERSISTENCE, interval, sentence))
        return [self._persistence_summary(groups), *found]

    def _persistence_summary(self, groups: dict[str, list[str]]) -> dict[str, Any]:
        behind = [name for name in self.errors if name in groups["open"] + groups["worse"]]
        parts = [f"no trained model clearly beats {PERSISTENCE}"]
        if groups["better"]:
            parts = [f"{_subject(groups['better'], 'clearly beats', 'clearly beat')} {PERSISTENCE}"]
            if behind:
                parts.append(f"{_subject(behind, 'does', 'do')} not clearly beat it")
        if groups["worse"]:
            parts.append(f"{_subject(groups['worse'], 'is', 'are')} clearly worse than it")
        sentence = f"{self._when()}, in {self.metric.upper()}: {'; '.join(parts)}."
        return self._base("persistence-summary", sentence) | groups

    def graph(self) -> dict[str, Any] | None:
        ranked = {family: self._best(self._members(family)) for family in ("graph", "sequence")}
        if not ranked["graph"] or not ranked["sequence"]:
            return None
        best, rival = ranked["graph"][0], ranked["sequence"][0]
        interval = self._interval(best, rival)
        if not interval.clear:
            answer = "Not shown that the graph helps"
        elif interval.difference < 0:
            answer = "The graph helps"
        else:
            answer = "The graph does not help"
        when = self._when()
        claim = f"{answer} {when[:1].lower()}{when[1:]} in {self.metric.upper()}"
        ours, theirs = f"{best} ({self._value(best)})", f"{rival} ({self._value(rival)})"
        pair = f"the best graph model, {ours}, against the best sequence model, {theirs}"
        sentence = f"{claim}: {pair}: {self._difference(interval)}."
        return self._verdict("graph", best, rival, interval, sentence)

    def _members(self, family: str) -> list[str]:
        return [name for name in self.errors if self.families[name] == family]

    def _score(self, name: str) -> float:
        known = np.where(self.counts > 0, self.errors[name], 0.0)
        return float(_scores(known @ self.counts / self.counts.sum(), self.metric == "rmse").mean())

    def _best(self, names: list[str]) -> list[str]:
        return sorted(names, key=self._score)

    def _interval(self, a: str, b: str) -> Interval:
        return paired_interval(
            self.errors[a],
            self.errors[b],
            self.counts,
            block=self.block,
            squared=self.metric == "rmse",
            resamples=self.resamples,
            confidence=self.confidence,
        )

    def _base(self, kind: str, sentence: str) -> dict[str, Any]:
        return {"kind": kind, "horizon": self.horizon, "metric": self.metric, "score": "averaged", "sentence": sentence}

    def _verdict(self, kind: str, model: str, against: str, interval: Interval, sentence: str) -> dict[str, Any]:
        single = [n for n in (model, against) if self.families[n] != "baseline" and len(self.errors[n]) == 1]
        if single:
            sentence += f" One seed of {' and '.join(single)}: the noise between seeds is not in the interval."
        numbers = dataclasses.asdict(interval) | {"clear": interval.clear}
        return self._base(kind, sentence) | {"model": model, "against": against} | numbers

    def _when(self) -> str:
        steps = f"{self.horizon} step{'s' if self.horizon > 1 else ''}"
        if self.step_minutes is None:
            return f"Up to {steps} ahead"
        return f"Up to {self.horizon * self.step_minutes:g} minutes ({steps}) ahead"

    def _value(self, name: str) -> str:
        return f"{self._score(name):.4g}{self._unit()}"

    def _difference(self, interval: Interval) -> str:
        bounds = f"{100 * self.confidence:g}% interval {interval.low:+.3g} to {interval.high:+.3g}"
        return f"difference {interval.difference:+.3g}{self._unit()}, {bounds}"

    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


def _subject(names: list[str], singular: str, plural: str) -> str:
    return f"{', '.join(names)} {singular if len(names) == 1 else plural}"
