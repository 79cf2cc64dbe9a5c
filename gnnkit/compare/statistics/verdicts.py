"""Which model is better, by how much, and is the difference more than noise? In numbers and in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gnnkit.compare.statistics.bootstrap import seed_scores
from gnnkit.compare.statistics.enough import is_enough, shortage
from gnnkit.compare.statistics.significance import significance

__all__ = ["p_in_words", "verdicts"]

PERSISTENCE = "last-value"


def verdicts(
    absolute: Mapping[str, Mapping[str, Sequence]],
    squared: Mapping[str, Mapping[str, Sequence]],
    counts: Mapping[str, Sequence[int]],
    families: Mapping[str, str],
    *,
    history: int,
    unit: str = "",
    step_minutes: float | None = None,
    confidence: float = 0.95,
    tests: Sequence[Mapping[str, Any]] | None = None,
    pair: tuple[str, str] | None = None,
    test_share: float | None = None,
) -> list[dict[str, Any]]:
    """What the errors say, per horizon and for MAE and RMSE, in numbers and in words.

    All that is said is what the tests of `significance` found: a difference is called one where the test's p, corrected
    for what its question looks at, is below 1 − confidence; its interval then excludes 0. Of the model with the lowest
    score, those that it is not clearly below are `tied` with it, and it is `clear` where none is.

    Models are compared by name. No sentence speaks of the graph: two models differ in more than that, and only the same
    model with and without it (`judge_ablation`) tells what the graph does.

    Args:
        absolute: mean absolute errors, `[model][horizon]` → [seed][window] (`Results.seed_window_errors`).
        squared: mean squared errors, the same way (`Results.seed_window_squared`).
        counts: observed targets, `[horizon]` → [window].
        families: `[model]` → "baseline", "sequence" or "graph".
        history: T, rows of history.
        unit: the data's unit, for the sentences.
        step_minutes: minutes in a step, for the sentences.
        confidence: of the intervals.
        tests: what `significance` found on the same errors; None: it is asked here.
        pair: the graph and the sequence model that are best on the validation rows, for a choice by the test rows would
            favour the family with more models. None: no two models were chosen so.
        test_share: share of all rows that are test rows, to say how many are missing where windows are too few.

    Returns:
        The dicts that `Results.verdicts` describes; of a horizon with too few windows one of the kind `"too-few"`.
    """
    if tests is None:
        tests = significance(absolute, squared, counts, families, history=history, confidence=confidence, pair=pair)
    known = {(t["question"], t["horizon"], t["metric"], t["model"], t["against"]): t for t in tests}
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
            if not is_enough(counts[horizon], int(horizon), confidence):
                found += [referee.too_few(test_share)] if metric == "mae" else []
                continue
            found += [*referee.winner(), *referee.persistence(), *referee.families_pair()]
    return found


@dataclass(frozen=True)
class _Referee:
    """The errors of all models at one horizon and metric, and the questions that are put to them."""

    errors: Mapping[str, np.ndarray]
    counts: np.ndarray
    families: Mapping[str, str]
    horizon: int
    metric: str
    tests: Mapping[tuple[str, int, str, str, str], Mapping[str, Any]]
    unit: str
    step_minutes: float | None
    confidence: float
    pair: tuple[str, str] | None

    def winner(self) -> list[dict[str, Any]]:
        best, *others = self._best(list(self.errors))
        if not others:
            return []
        tied = [name for name in others if not self._test("best", best, name)["clear"]]
        against = tied[0] if tied else others[0]
        test = self._test("best", best, against)
        sentence = f"{self._when()}, {best} has the lowest {self.metric.upper()} ({self._value(best)}), "
        sentence += f"not told apart from {', '.join(tied)}" if tied else "clearly below every other model"
        pairs = f", corrected for all {test['comparisons']} pairs of models" if test["comparisons"] > 1 else ""
        sentence += f": against {against} {self._difference(test)}{pairs}."
        verdict = self._verdict("winner", best, against, test, sentence)
        return [verdict | {"tied": tied, "clear": not tied}]

    def persistence(self) -> list[dict[str, Any]]:
        trained = [name for name in self.errors if self.families[name] != "baseline"]
        if PERSISTENCE not in self.errors or not trained:
            return []
        found, groups = [], {"better": [], "open": [], "worse": []}
        for name in trained:
            test = self._test(PERSISTENCE, name, PERSISTENCE)
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

    def families_pair(self) -> list[dict[str, Any]]:
        """The two models that the validation rows chose, one of each family, by their names."""
        if not self.pair:
            return []
        model, rival = self.pair
        test = self._test("families", model, rival)
        answer = "is not told apart from"
        if test["clear"]:
            answer = "is better than" if test["difference"] < 0 else "is worse than"
        sentence = (
            f"{self._when()}, {model} ({self._value(model)}) {answer} {rival} ({self._value(rival)}) in "
            f"{self.metric.upper()}: {self._difference(test)}."
        )
        among = [f"{best} of {', '.join(self._members(self.families[best]))}" for best in self.pair]
        if any(len(self._members(self.families[best])) > 1 for best in self.pair):
            sentence += f" The validation rows chose {' and '.join(among)}."
        return [self._verdict("families", model, rival, test, sentence)]

    def too_few(self, test_share: float | None) -> dict[str, Any]:
        """A sentence in place of verdicts."""
        missing = shortage(self.counts.tolist(), self.horizon, self.confidence, test_share)
        return self._base("too-few", f"{self._when()}: {missing}")

    def _members(self, family: str) -> list[str]:
        return [name for name in self.errors if self.families[name] == family]

    def _score(self, name: str) -> float:
        return float(seed_scores(self.errors[name], self.counts, squared=self.metric == "rmse").mean())

    def _best(self, names: list[str]) -> list[str]:
        return sorted(names, key=self._score)

    def _test(self, question: str, model: str, against: str) -> Mapping[str, Any]:
        return self.tests[question, self.horizon, self.metric, model, against]

    def _base(self, kind: str, sentence: str) -> dict[str, Any]:
        return {"kind": kind, "horizon": self.horizon, "metric": self.metric, "score": "averaged", "sentence": sentence}

    def _verdict(self, kind: str, model: str, against: str, test: Mapping[str, Any], sentence: str) -> dict[str, Any]:
        single = [n for n in (model, against) if self.families[n] != "baseline" and len(self.errors[n]) == 1]
        if single:
            sentence += f" One seed of {' and '.join(single)}: the noise between seeds is not in the interval."
        numbers = {name: test[name] for name in ("difference", "low", "high", "clear", "p")}
        return self._base(kind, sentence) | {"model": model, "against": against} | numbers

    def _when(self) -> str:
        steps = f"{self.horizon} step{'s' if self.horizon > 1 else ''}"
        if self.step_minutes is None:
            return f"Up to {steps} ahead"
        return f"Up to {self.horizon * self.step_minutes:g} minutes ({steps}) ahead"

    def _value(self, name: str) -> str:
        return f"{self._score(name):.4g}{self._unit()}"

    def _difference(self, test: Mapping[str, Any]) -> str:
        bounds = f"{100 * self.confidence:g}% interval {test['low']:+.3g} to {test['high']:+.3g}"
        return f"difference {test['difference']:+.3g}{self._unit()} ({bounds}, p {p_in_words(test['p'])})"

    def _unit(self) -> str:
        return f" {self.unit}" if self.unit else ""


def p_in_words(p: float) -> str:
    """A p value behind the letter: "= 0.02", "< 0.001"."""
    return f"= {p:.2g}" if p >= 0.001 else "< 0.001"


def _subject(names: list[str], singular: str, plural: str) -> str:
    return f"{', '.join(names)} {singular if len(names) == 1 else plural}"
