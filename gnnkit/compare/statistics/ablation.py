"""Does the graph matter, and when? The same models on other graphs; both families with less data."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.compare.conditions import ADJACENCIES, BASE, Adjacency, Condition
from gnnkit.compare.scores import Outcome
from gnnkit.compare.statistics.benches import (
    UNJUDGED,
    Bench,
    Name,
    Words,
    by_name,
    judged_columns,
    make_benches,
)
from gnnkit.compare.statistics.bootstrap import seed_scores
from gnnkit.compare.statistics.enough import is_enough, shortage
from gnnkit.compare.statistics.significance import DieboldMariano, judge_together
from gnnkit.compare.statistics.where import best_by_validation
from gnnkit.data.spans import Step

__all__ = ["MARGIN", "judge_ablation", "judge_conditions"]

MARGIN = 0.01
"""Share of the MAE below which a gain by the graph is too small to matter."""

NO_GRAPH: Adjacency = "identity"
WRONG_GRAPHS: tuple[Adjacency, ...] = ("shuffled", "random")
IN_WORDS = {
    "given": "the given graph",
    "identity": "no edges (identity)",
    "shuffled": "a shuffled graph",
    "random": "a random graph",
    "complete": "a complete graph",
    "learned": "a learned graph",
}


def judge_ablation(
    outcomes: Sequence[Outcome],
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
    windows: Mapping[int, int],
    *,
    unit: str = "",
    step_minutes: Step = None,
    confidence: float = 0.95,
    test_share: float | None = None,
) -> dict[str, Any]:
    """Say whether the given graph matters: the same models by the same recipe, on the given and on other graphs.

    At the largest horizon every other graph is tested against the given one, by a Diebold-Mariano test with Holm's
    correction over all models and graphs (`judge_together`). It is paired over windows and over seeds: a seed has the
    same first weights and the same order of batches on every graph, so what is luck in them cancels, and the noise
    between seeds is that of the differences. With c the confidence:

    - `"yes"`: at least one model is clearly better with the given graph than without edges **and** than with every
      wrong graph (shuffled, random).
    - `"no"`: the given graph harms: every model is clearly better without edges or with a wrong graph. Or for every
      model the gain over one of those k graphs is below `MARGIN` of its MAE; the upper bound of each gain is one-sided,
      at the level (1 − c) / k. Where the lower bounds are above −`MARGIN` too, the graph does not matter to within that
      margin; else all that is said is that it does not help.
    - `"open"`: neither; or too few windows (`is_enough`); or one seed alone, which cannot tell what the graph does from
      the luck of a draw: four equal graphs give each of them the lowest error in one of four draws. With one seed, or
      too few windows, a test has a difference and neither interval nor p.

    The complete and the learned graph are tested too, but do not decide: they hold the true edges.

    Args:
        outcomes: what was predicted; those with other conditions than the graph's are left out.
        true: targets in the data's unit.
        mask: observed targets.
        windows: horizon P → number of leading windows that are scored.
        unit: the data's unit, for the sentences.
        step_minutes: minutes in a step, or its unit, for the sentences.
        confidence: of the intervals.
        test_share: share of all rows that are test rows, to say how many are missing where windows are too few.

    Returns:
        `Results.ablation`: `rows` and `tests` of the largest horizon, `verdict` and `sentence`; the sentences of the
        other horizons, and what else a reader must know, are in `notes`. Empty where no model saw another graph.
    """
    kept = [o for o in outcomes if _only(o.condition, "adjacency") and o.family != "baseline"]
    ablated = {o.model for o in kept if o.condition.adjacency != "given"}
    found = by_name((o for o in kept if o.model in ablated), lambda o: o.condition.adjacency)
    lost = sorted(model for model in ablated if (model, "given") not in found)
    found = {name: group for name, group in found.items() if name[0] not in lost}
    notes = [f"No fit of {model} on the given graph is there, so its other graphs are not judged." for model in lost]
    if not found:
        return {"horizon": max(windows), "rows": [], "tests": [], **_verdict_of_none(), "notes": notes} if lost else {}
    models = list(dict.fromkeys(model for model, _ in found))
    names = [(model, kind) for model in models for kind in ADJACENCIES if (model, kind) in found]
    found = {name: found[name] for name in names}
    words = Words(unit, step_minutes, confidence)
    trials = [_Trial(bench, words, test_share) for bench in make_benches(found, true, mask, windows)]
    last = trials[-1]
    verdict, sentence = last.verdict()
    notes += [trial.verdict()[1] for trial in reversed(trials[:-1])]
    return {
        "horizon": last.bench.horizon,
        "rows": last.rows(),
        "tests": last.tests,
        "verdict": verdict,
        "sentence": sentence,
        "notes": notes + last.notes(),
    }


def judge_conditions(
    outcomes: Sequence[Outcome],
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
    windows: Mapping[int, int],
    *,
    unit: str = "",
    step_minutes: Step = None,
    confidence: float = 0.95,
    test_share: float | None = None,
) -> list[dict[str, Any]]:
    """Set the best graph model against the best sequence model, with fewer training rows and with more hidden inputs.

    Best is who has the lowest validation MAE under that condition, so the test rows choose nobody. The base condition
    is the end of each curve.

    Args: as `judge_ablation`.

    Returns:
        `Results.conditions`: one dict for each axis that was asked for, each of its values and each horizon. A value
        with no fit of one of the families is left out.
    """
    words = Words(unit, step_minutes, confidence)
    rows: list[dict[str, Any]] = []
    for axis in ("train_share", "hidden_share"):
        on_axis = [o for o in outcomes if _only(o.condition, axis) and o.family in ("graph", "sequence") and o.fitted]
        values = sorted({getattr(o.condition, axis) for o in on_axis})
        if len(values) < 2:
            continue
        for value in values:
            here = [dataclasses.replace(o, condition=BASE) for o in on_axis if getattr(o.condition, axis) == value]
            pair = best_by_validation(here)
            if pair is None:
                continue
            graph, sequence = (pair[0], "graph"), (pair[1], "sequence")
            groups = by_name(here, lambda o: o.family)
            found = {name: groups[name] for name in (graph, sequence)}
            for bench in make_benches(found, true, mask, windows):
                figures = {"graph_mae": bench.mae(graph), "sequence_mae": bench.mae(sequence)}
                row = {"axis": axis, "value": value, "horizon": bench.horizon, "graph": graph[0]}
                row |= {"sequence": sequence[0], **figures, **UNJUDGED}
                row |= {"difference": figures["graph_mae"] - figures["sequence_mae"]}
                if is_enough(bench.counts.tolist(), bench.horizon, confidence):
                    test = bench.test(bench.errors[graph], bench.errors[sequence])
                    row |= judged_columns(judge_together([test], confidence)[0])
                sentence = _condition_sentence(row, bench, words, (graph, sequence), test_share)
                rows.append(row | {"sentence": sentence})
    return rows


def _only(condition: Condition, axis: str) -> bool:
    """Whether nothing but this axis of the condition may differ from the base."""
    return dataclasses.replace(condition, **{axis: getattr(BASE, axis)}).is_base


def _verdict_of_none() -> dict[str, str]:
    return {
        "verdict": "open",
        "sentence": "Open whether the given graph matters: no model was trained both on it and on another.",
    }


@dataclass(frozen=True)
class _Trial:
    """The question put to the models at one horizon."""

    bench: Bench
    words: Words
    test_share: float | None = None

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(model for model, _ in self.bench.errors))

    def rows(self) -> list[dict[str, Any]]:
        rows = []
        for name in self.bench.errors:
            scores = self.bench.scores(name)
            std = float(scores.std(ddof=1)) if len(scores) > 1 else None
            row = {"model": name[0], "adjacency": name[1], "horizon": self.bench.horizon, "mae": self.bench.mae(name)}
            rows.append(row | {"std": std, "seeds": len(scores)})
        return rows

    @cached_property
    def _gaps(self) -> dict[Name, np.ndarray]:
        """Errors on every other graph less those on the given one, seed by seed, [S, W]."""
        gaps = {}
        for name, errors in self.bench.errors.items():
            given, seeds = (name[0], "given"), self.bench.seeds[name]
            both = [seed for seed in seeds if seed in self.bench.seeds[given]]
            if name != given and both:
                other = self.bench.errors[given][[self.bench.seeds[given].index(seed) for seed in both]]
                gaps[name] = errors[[seeds.index(seed) for seed in both]] - other
        return gaps

    @cached_property
    def _enough(self) -> bool:
        return is_enough(self.bench.counts.tolist(), self.bench.horizon, self.words.confidence)

    @cached_property
    def _paired(self) -> dict[Name, DieboldMariano]:
        """A test of every gap over two seeds or more; none where windows are too few."""
        return {
            name: self.bench.test(gap, np.zeros_like(gap[:1]))
            for name, gap in self._gaps.items()
            if self._enough and len(gap) > 1
        }

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        judged = dict(
            zip(self._paired, judge_together(list(self._paired.values()), self.words.confidence), strict=True)
        )
        found = []
        for (model, adjacency), gap in self._gaps.items():
            test = {"model": model, "adjacency": adjacency, "against": "given", "horizon": self.bench.horizon}
            test |= {**UNJUDGED, "difference": float(seed_scores(gap, self.bench.counts, squared=False).mean())}
            if (model, adjacency) in judged:
                test |= judged_columns(judged[model, adjacency])
            found.append(test)
        return found

    def verdict(self) -> tuple[str, str]:
        when = self.words.ahead(self.bench.horizon)
        size = self.words.size(self.bench, self._seeds(self.models))
        if not self._enough:
            missing = shortage(self.bench.counts.tolist(), self.bench.horizon, self.words.confidence, self.test_share)
            return "open", f"Open whether the given graph matters {when}: {missing}"
        winners = {model: self._deciding(model) for model in self.models if self._matters(model)}
        if winners:
            return "yes", f"The given graph matters {when}: {self._claims(winners)} ({size}, {self._at_most(winners)})."
        harms = {model: [test for test in self._deciding(model) if self._beats_given(test)] for model in self.models}
        if all(harms.values()):
            return "no", f"The given graph harms {when}: {self._claims(harms)} ({size}, {self._at_most(harms)})."
        bounds = [bound for bound in map(self._least_gain, self.models) if bound]
        if len(bounds) == len(self.models) and all(high < MARGIN for _, _, high in bounds):
            claims = "; ".join(
                f"{test['model']} has an MAE of {self._mae(test['model'], 'given')} with the given graph and "
                f"{self._mae(test['model'], test['adjacency'])} with {IN_WORDS[test['adjacency']]}, a gain of at most "
                f"{100 * max(high, 0.0):.2g}% of the MAE"
                for test, _, high in bounds
            )
            size += f", one-sided bounds that hold together with {100 * self.words.confidence:g}%"
            answer = f"does not help {when}"
            if all(low > -MARGIN for _, low, _ in bounds):
                answer = f"does not matter {when}, to within {100 * MARGIN:g}% of the MAE"
            return "no", f"The given graph {answer}: {claims} ({size})."
        claims = self._claims({model: self._deciding(model) for model in self.models})
        if self._seeds(self.models) < 2:
            claims = f"one seed cannot tell what the graph does from luck, give three or more; {claims}"
        return "open", f"Open whether the given graph matters {when}: {claims} ({size})."

    def notes(self) -> list[str]:
        """What a reader must know beside the verdict."""
        found = []
        for test in self.tests:
            if self._beats_given(test):
                graph = IN_WORDS[test["adjacency"]]
                found.append(
                    f"{test['model']} is clearly better with {graph} than with the given one: "
                    f"{self.words.difference(test)}."
                )
        return found

    def _mae(self, model: str, adjacency: str) -> str:
        return self.words.value(self.bench.mae((model, adjacency)))

    def _seeds(self, models: Sequence[str]) -> int:
        """Seeds of the model that has fewest, on the given graph and on another."""
        return min((len(gap) for (model, _), gap in self._gaps.items() if model in models), default=0)

    def _deciding(self, model: str) -> list[dict[str, Any]]:
        """Tests of the graphs without edges and with wrong ones."""
        kinds = (NO_GRAPH, *WRONG_GRAPHS)
        return [test for test in self.tests if test["model"] == model and test["adjacency"] in kinds]

    def _matters(self, model: str) -> bool:
        tests = self._deciding(model)
        tried = {test["adjacency"] for test in tests}
        if NO_GRAPH not in tried or not tried & set(WRONG_GRAPHS) or self._seeds([model]) < 2:
            return False
        return all(test["clear"] and test["difference"] > 0 for test in tests)

    def _beats_given(self, test: Mapping[str, Any]) -> bool:
        """Whether the model is clearly better with the test's graph than with the given one."""
        return test["clear"] and test["difference"] < 0

    def _least_gain(self, model: str) -> tuple[dict[str, Any], float, float] | None:
        """The graph that the given one gains least over, and the bounds of that gain as shares of the MAE."""
        tests = self._deciding(model)
        if not tests or any((model, test["adjacency"]) not in self._paired for test in tests):
            return None
        # One-sided at level α / k each: the chance that one of k bounds is too low is α.
        confidence = 1 - 2 * (1 - self.words.confidence) / len(tests)
        bounds = [judge_together([self._paired[model, test["adjacency"]]], confidence)[0] for test in tests]
        least = int(np.argmin([bound.high for bound in bounds]))
        mae = self.bench.mae((model, "given"))
        return tests[least], bounds[least].low / mae, bounds[least].high / mae

    def _at_most(self, claimed: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
        p_value = max(test["p"] for tests in claimed.values() for test in tests)
        return f"p at most {max(p_value, 1e-4):.2g}, corrected for {len(self._paired)} tests"

    def _claims(self, claimed: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
        return "; ".join(self._claim(model, tests) for model, tests in claimed.items())

    def _claim(self, model: str, tests: Sequence[Mapping[str, Any]]) -> str:
        given = self._mae(model, "given")
        if not tests:
            return f"{model} has an MAE of {given} with the given graph, and was tried on no other that decides"
        changes = ", ".join(f"{IN_WORDS[test['adjacency']]} {self.words.difference(test)}" for test in tests)
        return f"{model} has an MAE of {given} with the given graph; with {changes}"


def _condition_sentence(
    row: Mapping[str, Any], bench: Bench, words: Words, pair: tuple[Name, Name], test_share: float | None
) -> str:
    share = f"{100 * row['value']:g}%"
    data = f"{share} of the training rows" if row["axis"] == "train_share" else f"{share} of the inputs hidden"
    ours, theirs = (f"{name[0]} ({words.value(bench.mae(name))})" for name in pair)
    start = f"With {data}, {words.ahead(bench.horizon)}"
    if row["p"] is None:
        missing = shortage(bench.counts.tolist(), bench.horizon, words.confidence, test_share)
        return f"{start}, {ours} beside {theirs}: {missing}"
    answer = "is not told apart from"
    if row["clear"]:
        answer = "is better than" if row["difference"] < 0 else "is worse than"
    seeds = [len(bench.errors[name]) for name in pair]
    single = " One seed: the noise between seeds is not in the interval." if min(seeds) == 1 else ""
    return (
        f"{start}, {ours} {answer} {theirs}: difference {words.difference(row)} "
        f"({words.size(bench, max(seeds))}).{single}"
    )
