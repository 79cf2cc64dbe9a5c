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
from gnnkit.compare.statistics.benches import Bench, Name, Words, by_name, make_benches
from gnnkit.compare.statistics.bootstrap import Interval, PairedBootstrap
from gnnkit.compare.statistics.significance import diebold_mariano, holm
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
    history: int,
    unit: str = "",
    step_minutes: Step = None,
    confidence: float = 0.95,
    resamples: int = 2000,
) -> dict[str, Any]:
    """Say whether the given graph matters: the same models by the same recipe, on the given and on other graphs.

    At the largest horizon every other graph is tested against the given one, by the block bootstrap's interval and by a
    Diebold-Mariano test with Holm's correction over all models and graphs. Both are paired over windows and over seeds:
    a seed has the same first weights and the same order of batches on every graph, so what is luck in them cancels,
    and the noise between seeds is that of the differences. With c the confidence:

    - `"yes"`: at least one model is clearly better with the given graph than without edges **and** than with every
      wrong graph (shuffled, random): the intervals exclude 0 and the corrected p are below 1 − c.
    - `"no"`: the given graph harms: every model is clearly better, by the same two tests, without edges or with a wrong
      graph. Or for every model the gain over one of those k graphs is below `MARGIN` of its MAE; the upper bound of
      each gain is one-sided, at the level (1 − c) / k. Where the lower bounds are above −`MARGIN` too, the graph does
      not matter to within that margin; else all that is said is that it does not help.
    - `"open"`: neither; or one seed alone, which cannot tell what the graph does from the luck of a draw: four equal
      graphs give each of them the lowest error in one of four draws.

    The complete and the learned graph are tested too, but do not decide: they hold the true edges.

    Args:
        outcomes: what was predicted; those with other conditions than the graph's are left out.
        true: targets in the data's unit.
        mask: observed targets.
        windows: horizon P → number of leading windows that are scored.
        history: T; blocks of T + P windows stay together in the bootstrap.
        unit: the data's unit, for the sentences.
        step_minutes: minutes in a step, or its unit, for the sentences.
        confidence: of the intervals.
        resamples: bootstrap draws.

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
    trials = [
        _Trial(bench, words) for bench in make_benches(found, true, mask, windows, history=history, resamples=resamples)
    ]
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
    history: int,
    unit: str = "",
    step_minutes: Step = None,
    confidence: float = 0.95,
    resamples: int = 2000,
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
            for bench in make_benches(found, true, mask, windows, history=history, resamples=resamples):
                drawn = bench.bootstrap(
                    {family: bench.errors[name] for name, family in ((graph, "g"), (sequence, "s"))}
                )
                interval = drawn.interval("g", "s", confidence=confidence)
                figures = {"graph_mae": bench.mae(graph), "sequence_mae": bench.mae(sequence)}
                row = {"axis": axis, "value": value, "horizon": bench.horizon, "graph": graph[0]}
                row |= {"sequence": sequence[0]} | figures | dataclasses.asdict(interval) | {"clear": interval.clear}
                rows.append(row | {"sentence": _condition_sentence(row, interval, bench, words, (graph, sequence))})
    return rows


def _only(condition: Condition, axis: str) -> bool:
    """Whether nothing but this axis of the condition may differ from the base."""
    return dataclasses.replace(condition, **{axis: getattr(BASE, axis)}).is_base


def _key(name: Name) -> str:
    return "\n".join(name)


def _verdict_of_none() -> dict[str, str]:
    return {
        "verdict": "open",
        "sentence": "Open whether the graph matters: no model was trained both on the given graph and on another.",
    }


@dataclass(frozen=True)
class _Trial:
    """The question put to the models at one horizon."""

    bench: Bench
    words: Words

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
    def _drawn(self) -> PairedBootstrap:
        nothing = np.zeros((1, len(self.bench.counts)))
        return self.bench.bootstrap({_key(name): gap for name, gap in self._gaps.items()} | {"": nothing})

    @cached_property
    def tests(self) -> list[dict[str, Any]]:
        found = []
        for (model, adjacency), gap in self._gaps.items():
            interval, p_value = self._interval(model, adjacency, self.words.confidence), None
            if self.bench.windows > 1:
                lag = self.bench.horizon - 1
                p_value = diebold_mariano(gap, np.zeros_like(gap[:1]), self.bench.counts, lag=lag).p_value
            test = {"model": model, "adjacency": adjacency, "against": "given", "horizon": self.bench.horizon}
            found.append(test | dataclasses.asdict(interval) | {"clear": interval.clear, "dm_p": p_value})
        known = [test for test in found if test["dm_p"] is not None]
        corrected = holm([test["dm_p"] for test in known]).tolist()
        for test in found:
            test["dm_p_holm"] = None
        for test, p_value in zip(known, corrected, strict=True):
            test["dm_p_holm"] = p_value
        return found

    def verdict(self) -> tuple[str, str]:
        when = self.words.ahead(self.bench.horizon)
        size = self.words.size(self.bench, self._seeds(self.models))
        winners = {model: self._deciding(model) for model in self.models if self._matters(model)}
        if winners:
            return "yes", f"The graph matters {when}: {self._claims(winners)} ({size}, {self._at_most(winners)})."
        harms = {model: [test for test in self._deciding(model) if self._beats_given(test)] for model in self.models}
        if all(harms.values()):
            return "no", f"The given graph harms {when}: {self._claims(harms)} ({size}, {self._at_most(harms)})."
        bounds = [bound for bound in map(self._least_gain, self.models) if bound]
        if len(bounds) == len(self.models) and all(high < MARGIN for _, _, high in bounds):
            claims = "; ".join(
                f"{self._claim(test['model'], [test])}, a gain of at most {100 * max(high, 0.0):.2g}% of its MAE"
                for test, _, high in bounds
            )
            answer = f"does not help {when}"
            if all(low > -MARGIN for _, low, _ in bounds):
                answer = f"does not matter {when}, to within {100 * MARGIN:g}% of the MAE"
            return "no", f"The given graph {answer}: {claims} ({size})."
        claims = self._claims({model: self._deciding(model) for model in self.models})
        if self._seeds(self.models) < 2:
            claims = f"one seed cannot tell what the graph does from luck, give three or more; {claims}"
        return "open", f"Open whether the graph matters {when}: {claims} ({size})."

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

    def _interval(self, model: str, adjacency: str, confidence: float) -> Interval:
        return self._drawn.interval(_key((model, adjacency)), "", confidence=confidence)

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
        return all(test["low"] > 0 and self._after_holm(test) for test in tests)

    def _beats_given(self, test: Mapping[str, Any]) -> bool:
        """Whether the model is clearly better with the test's graph than with the given one."""
        return test["high"] < 0 and self._after_holm(test) and self._seeds([test["model"]]) > 1

    def _after_holm(self, test: Mapping[str, Any]) -> bool:
        return test["dm_p_holm"] is not None and test["dm_p_holm"] < 1 - self.words.confidence

    def _least_gain(self, model: str) -> tuple[dict[str, Any], float, float] | None:
        """The graph that the given one gains least over, and the bounds of that gain as shares of the MAE."""
        tests = self._deciding(model)
        if not tests or self._seeds([model]) < 2:
            return None
        # One-sided at level α / k each: the chance that one of k bounds is too low is α.
        confidence = max(1 - 2 * (1 - self.words.confidence) / len(tests), 0.5)
        bounds = [self._interval(model, test["adjacency"], confidence) for test in tests]
        least = int(np.argmin([bound.high for bound in bounds]))
        mae = self.bench.mae((model, "given"))
        return tests[least], bounds[least].low / mae, bounds[least].high / mae

    def _at_most(self, claimed: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
        p_value = max(test["dm_p_holm"] for tests in claimed.values() for test in tests)
        return f"p at most {max(p_value, 1e-4):.2g} by Diebold-Mariano and Holm over {len(self.tests)} tests"

    def _claims(self, claimed: Mapping[str, Sequence[Mapping[str, Any]]]) -> str:
        return "; ".join(self._claim(model, tests) for model, tests in claimed.items())

    def _claim(self, model: str, tests: Sequence[Mapping[str, Any]]) -> str:
        given = self.words.value(self.bench.mae((model, "given")))
        if not tests:
            return f"{model} has an MAE of {given} with the given graph, and was tried on no other that decides"
        changes = ", ".join(f"{IN_WORDS[test['adjacency']]} {self.words.difference(test)}" for test in tests)
        return f"{model} has an MAE of {given} with the given graph; with {changes}"


def _condition_sentence(
    row: Mapping[str, Any], interval: Interval, bench: Bench, words: Words, pair: tuple[Name, Name]
) -> str:
    share = f"{100 * row['value']:g}%"
    data = f"{share} of the training rows" if row["axis"] == "train_share" else f"{share} of the inputs hidden"
    answer = "it is not shown that the graph helps"
    if interval.clear:
        answer = "the graph helps" if interval.difference < 0 else "the graph does not help"
    ours, theirs = (f"{name[0]} ({words.value(bench.mae(name))})" for name in pair)
    return (
        f"With {data}, {words.ahead(bench.horizon)}, {answer}: {ours} against {theirs}, difference "
        f"{words.difference(interval)} ({words.size(bench, max(len(bench.errors[name]) for name in pair))})."
    )
