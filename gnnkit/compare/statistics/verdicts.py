"""Which model is better, by how much, and is the difference more than noise? In numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnkit.compare.statistics.bootstrap import seed_scores
from gnnkit.compare.statistics.significance import significance
from gnnkit.data.spans import Step, steps_in_words

__all__ = ["verdicts"]

PERSISTENCE = "last-value"


def verdicts(
    absolute: Mapping[str, Mapping[str, Sequence]],
    squared: Mapping[str, Mapping[str, Sequence]],
    counts: Mapping[str, Sequence[int]],
    families: Mapping[str, str],
    *,
    history: int,
    unit: str = "",
    step_minutes: Step = None,
    resamples: int = 2000,
    confidence: float = 0.95,
    tests: Sequence[Mapping[str, Any]] | None = None,
    pair: tuple[str, str] | None = None,
) -> list[dict[str, Any]]:
    """What the errors say, per horizon and for MAE and RMSE, in numbers and in words.

    All that is said rests on the tests of `significance`: the interval decides, and the p-value of Diebold-Mariano
    after Holm's correction stands beside it. Only the winner is chosen by the rows that it is tested on. It is clearly
    below another model where the interval excludes 0 **and** the p after Holm over all pairs of models is below
    1 − confidence; those that it is not clearly below are `tied` with it, and it is `clear` where none is.

    Args:
        absolute: mean absolute errors, `[model][horizon]` → [seed][window] (`Results.seed_window_errors`).
        squared: mean squared errors, the same way (`Results.seed_window_squared`).
        counts: observed targets, `[horizon]` → [window].
        families: `[model]` → "baseline", "sequence" or "graph".
        history: T, rows of history.
        unit: the data's unit, for the sentences.
        step_minutes: minutes in a step, or its unit, for the sentences.
        resamples: bootstrap draws.
        confidence: of the intervals.
        tests: what `significance` found on the same errors; None: it is asked here.
        pair: the graph and the sequence model that answer whether the graph helps: those that are best on the
            validation rows, for a choice by the test rows would favour the family with more models. None: those with
            the lowest scores.

    Returns:
        The dicts that `Results.verdicts` describes.
    """
    if tests is None:
        budget = {"confidence": confidence, "resamples": resamples}
        tests = significance(absolute, squared, counts, families, history=history, pair=pair, **budget)
    known = {(t["horizon"], t["metric"], t["model"], t["against"]): t for t in tests}
    found: list[dict[str, Any]] = []
    for horizon in sorted(counts, key=int):
        for metric, table in (("mae", absolute), ("rmse", squared)):
            referee = _Referee(
                errors={name: np.array(table[name][horizon], dtype=np.float64) for name in families},
                counts=np.array(counts[horizon], dtype=np.float64),
                families=families,
                horizon=int(horizon),
                metric=metric,
                tests=known,
                unit=unit,
                step_minutes=step_minutes,
                confidence=confidence,
                pair=pair,
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
    tests: Mapping[tuple[int, str, str, str], Mapping[str, Any]]
    unit: str
    step_minutes: Step
    confidence: float
    pair: tuple[str, str] | None

    def winner(self) -> dict[str, Any]:
        best, *others = self._best(list(self.errors))
        tied = [name for name in others if not self._beats(best, name)]
        against = tied[0] if tied else others[0]
        test = self._test(best, against)
        sentence = f"{self._when()}, {best} has the lowest {self.metric.upper()} ({self._value(best)}), "
        sentence += f"but not clearly below {', '.join(tied)}" if tied else "clearly below every other model"
        sentence += f": against {against} {self._difference(test)}."
        return self._verdict("winner", best, against, test, sentence) | {"tied": tied, "clear": not tied}

    def _beats(self, best: str, other: str) -> bool:
        """Whether the model that these rows chose as best is clearly below another, that choice counted in."""
        test = self._test(best, other)
        return test["high"] < 0 and test["dm_p_holm"] is not None and test["dm_p_holm"] < 1 - self.confidence

    def persistence(self) -> list[dict[str, Any]]:
        trained = [name for name in self.errors if self.families[name] != "baseline"]
        if PERSISTENCE not in self.errors or not trained:
            return []
        found, groups = [], {"better": [], "open": [], "worse": []}
        for name in trained:
            test = self._test(name, PERSISTENCE)
            if not test["clear"]:
                outcome, words = "open", "does not clearly differ from"
            elif test["difference"] < 0:
                outcome, words = "better", "clearly beats"
            else:
                outcome, words = "worse", "is clearly worse than"
            groups[outcome].append(name)
            sentence = (
                f"{self._when()}, {name} {words} {PERSISTENCE} in {self.metric.upper()}: {self._difference(test)}."
            )
            found.append(self._verdict("persistence", name, PERSISTENCE, test, sentence))
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
        graphs, sequences = (self._best(self._members(family)) for family in ("graph", "sequence"))
        if not graphs or not sequences:
            return None
        best, rival = self.pair or (graphs[0], sequences[0])
        test = self._test(best, rival)
        if not test["clear"]:
            answer = "Not shown that the graph helps"
        elif test["difference"] < 0:
            answer = "The graph helps"
        else:
            answer = "The graph does not help"
        when = self._when()
        claim = f"{answer} {when[:1].lower()}{when[1:]} in {self.metric.upper()}"
        ours, theirs = f"{best} ({self._value(best)})", f"{rival} ({self._value(rival)})"
        pair = f"the best graph model, {ours}, against the best sequence model, {theirs}"
        chosen = ", chosen on validation rows" if self.pair else ""
        sentence = f"{claim}: {pair}{chosen}: {self._difference(test)}."
        return self._verdict("graph", best, rival, test, sentence)

    def _members(self, family: str) -> list[str]:
        return [name for name in self.errors if self.families[name] == family]

    def _score(self, name: str) -> float:
        return float(seed_scores(self.errors[name], self.counts, squared=self.metric == "rmse").mean())

    def _best(self, names: list[str]) -> list[str]:
        return sorted(names, key=self._score)

    def _test(self, model: str, against: str) -> Mapping[str, Any]:
        return self.tests[self.horizon, self.metric, model, against]

    def _base(self, kind: str, sentence: str) -> dict[str, Any]:
        return {"kind": kind, "horizon": self.horizon, "metric": self.metric, "score": "averaged", "sentence": sentence}

    def _verdict(self, kind: str, model: str, against: str, test: Mapping[str, Any], sentence: str) -> dict[str, Any]:
        single = [n for n in (model, against) if self.families[n] != "baseline" and len(self.errors[n]) == 1]
        if single:
            sentence += f" One seed of {' and '.join(single)}: the noise between seeds is not in the interval."
        numbers = {name: test[name] for name in ("difference", "low", "high", "clear", "dm_p_holm")}
        return self._base(kind, sentence) | {"model": model, "against": against} | numbers

    def _when(self) -> str:
        steps = f"{self.horizon} step{'s' if self.horizon > 1 else ''}"
        if self.step_minutes is None:
            return f"Up to {steps} ahead"
        return f"Up to {steps_in_words(self.horizon, self.step_minutes)} ({steps}) ahead"

    def _value(self, name: str) -> str:
        return f"{self._score(name):.4g}{self._unit()}"

    def _difference(self, test: Mapping[str, Any]) -> str:
        bounds = f"{100 * self.confidence:g}% interval {test['low']:+.3g} to {test['high']:+.3g}"
        if test["dm_p_holm"] is not None:
            alone, corrected = _p_value(test["dm_p"]), _p_value(test["dm_p_holm"])
            bounds += f" (Diebold-Mariano p {alone}, after Holm's correction over all pairs {corrected})"
        return f"difference {test['difference']:+.3g}{self._unit()}, {bounds}"

    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


def _p_value(p: float) -> str:
    return f"= {p:.2g}" if p >= 0.001 else "< 0.001"


def _subject(names: list[str], singular: str, plural: str) -> str:
    return f"{', '.join(names)} {singular if len(names) == 1 else plural}"
