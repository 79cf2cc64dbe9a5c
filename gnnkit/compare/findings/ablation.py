"""Does the given graph matter? The same models, by the same recipe, on other graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from gnnkit.compare.conditions import ADJACENCIES, BASE, Adjacency, Condition
from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.difference import Difference, Words, interval_entries, judged_columns
from gnnkit.compare.findings.finding import Finding, Headline
from gnnkit.compare.findings.plots_significance import ablation_differences
from gnnkit.compare.jobs import unchanged_graphs
from gnnkit.compare.report.tables import ahead, confidence_label, sample_size, score_places, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.numbers import format_number, format_p
from gnnkit.report.sections import Drawing, Entry, Section, Sheet, Sheets, Statement
from gnnkit.statistics.bootstrap import seed_scores
from gnnkit.statistics.paired import PairedTest, judge_together

__all__ = ["ABLATION", "MARGIN", "Ablation", "GraphScore", "GraphTest", "judge_ablation"]

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


@dataclass(frozen=True)
class GraphScore:
    """The MAE of a model on a graph: mean and deviation over seeds."""

    model: str
    adjacency: Adjacency
    horizon: int
    mae: float
    std: float | None
    seeds: int


@dataclass(frozen=True, kw_only=True)
class GraphTest(Difference):
    """The MAE of a model on another graph less that on the given one."""

    model: str
    adjacency: Adjacency
    against: str = "given"
    horizon: int


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """Whether the given graph matters.

    Args:
        horizon: P.
        rows: the scores there.
        tests: of every other graph against the given one.
        verdict: "yes", "no" or "open".
        sentence: the same in words.
        notes: sentences on the other horizons, and what else a reader must know.
    """

    horizon: int
    rows: list[GraphScore]
    tests: list[GraphTest]
    verdict: str
    sentence: str
    notes: list[str]


def judge_ablation(
    table: ErrorTable, words: Words, *, same: Mapping[Adjacency, Sequence[int]] = MappingProxyType({})
) -> Ablation | None:
    """Say whether the given graph matters: the same models by the same recipe, on the given and on other graphs.

    At the largest horizon every other graph is tested against the given one (`ErrorTable.test`), with Holm's
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
        table: the errors; those under other conditions than the graph's are passed over.
        words: for the sentences.
        same: seeds with which another graph is the given one again (a complete graph, shuffled); those say nothing.

    Returns:
        None where no model saw another graph.
    """
    fits = {
        (model, condition.adjacency)
        for (model, condition), group in table.fits.items()
        if condition == Condition(adjacency=condition.adjacency) and group[0].family != "baseline"
    }
    ablated = {model for model, adjacency in fits if adjacency != "given"}
    models = [model for model in dict.fromkeys(model for model, _ in table.fits) if model in ablated]
    lost = sorted(model for model in models if (model, "given") not in fits)
    notes = [f"No fit of {model} on the given graph is there, so its other graphs are not judged." for model in lost]
    names: list[tuple[str, Adjacency]] = [
        (model, kind) for model in models for kind in ADJACENCIES if (model, kind) in fits and model not in lost
    ]
    if not names:
        nothing = "Open whether the given graph matters: no model was trained both on it and on another."
        found = {"horizon": max(table.horizons), "rows": [], "tests": [], "verdict": "open", "sentence": nothing}
        return Ablation(**found, notes=notes) if lost else None
    *others, last = (_Trial(table, horizon, names, words, same) for horizon in table.horizons)
    verdict, sentence = last.verdict()
    notes += [trial.verdict()[1] for trial in reversed(others)] + last.notes() + _same_again(names, same)
    found = {"horizon": last.horizon, "rows": last.rows(), "tests": last.tests}
    return Ablation(**found, verdict=verdict, sentence=sentence, notes=notes)


@dataclass(frozen=True)
class _Trial:
    """The question put to the models at one horizon; `names` are those of models and graphs."""

    table: ErrorTable
    horizon: int
    names: list[tuple[str, Adjacency]]
    words: Words
    same: Mapping[Adjacency, Sequence[int]]

    @property
    def models(self) -> list[str]:
        return list(dict.fromkeys(model for model, _ in self.names))

    @property
    def counts(self) -> np.ndarray:
        return self.table.counts(self.horizon)

    def scores(self, model: str, adjacency: Adjacency = "given") -> np.ndarray:
        return self.table.scores(model, self.horizon, condition=Condition(adjacency=adjacency))

    def rows(self) -> list[GraphScore]:
        rows = []
        for model, adjacency in self.names:
            scores = self.scores(model, adjacency)
            std = float(scores.std(ddof=1)) if len(scores) > 1 else None
            rows.append(GraphScore(model, adjacency, self.horizon, float(scores.mean()), std, len(scores)))
        return rows

    @cached_property
    def _gaps(self) -> dict[tuple[str, Adjacency], np.ndarray]:
        """Errors on every other graph less those on the given one, seed by seed, [S, W]; without seeds of `same`."""
        gaps = {}
        for model, adjacency in self.names:
            conditions = Condition(adjacency=adjacency), BASE
            seeds, given = (self.table.seeds(model, condition) for condition in conditions)
            both = [seed for seed in seeds if seed in given and seed not in self.same.get(adjacency, ())]
            if adjacency != "given" and both:
                ours, theirs = (self.table.window_errors(model, self.horizon, condition=c) for c in conditions)
                gaps[model, adjacency] = ours[[seeds.index(s) for s in both]] - theirs[[given.index(s) for s in both]]
        return gaps

    @cached_property
    def _enough(self) -> bool:
        return self.table.is_enough(self.horizon, self.words.confidence)

    @cached_property
    def _paired(self) -> dict[tuple[str, Adjacency], PairedTest]:
        """A test of every gap over two seeds or more; none where windows are too few."""
        return {
            name: self.table.test(gap, np.zeros_like(gap[:1]), self.horizon)
            for name, gap in self._gaps.items()
            if self._enough and len(gap) > 1
        }

    @cached_property
    def tests(self) -> list[GraphTest]:
        judged = dict(
            zip(self._paired, judge_together(list(self._paired.values()), self.words.confidence), strict=True)
        )
        found = []
        for name, gap in self._gaps.items():
            columns: dict[str, Any] = {"difference": float(seed_scores(gap, self.counts, squared=False).mean())}
            if name in judged:
                columns = judged_columns(judged[name])
            found.append(GraphTest(model=name[0], adjacency=name[1], horizon=self.horizon, **columns))
        return found

    def verdict(self) -> tuple[str, str]:
        when = self.words.ahead(self.horizon)
        size = self.words.size(self.counts, self._seeds(self.models))
        if not self._enough:
            missing = self.words.shortage(self.counts, self.horizon)
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
                f"{test.model} has an MAE of {self._mae(test.model)} with the given graph and "
                f"{self._mae(test.model, test.adjacency)} with {IN_WORDS[test.adjacency]}, a gain of at most "
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
                graph, numbers = IN_WORDS[test.adjacency], self.words.difference(test)
                found.append(f"{test.model} is clearly better with {graph} than with the given one: {numbers}.")
        return found

    def _mae(self, model: str, adjacency: Adjacency = "given") -> str:
        return self.words.value(float(self.scores(model, adjacency).mean()))

    def _seeds(self, models: Sequence[str]) -> int:
        """Seeds of the model that has fewest, on the given graph and on another."""
        return min((len(gap) for (model, _), gap in self._gaps.items() if model in models), default=0)

    def _deciding(self, model: str) -> list[GraphTest]:
        """Tests of the graphs without edges and with wrong ones."""
        kinds = (NO_GRAPH, *WRONG_GRAPHS)
        return [test for test in self.tests if test.model == model and test.adjacency in kinds]

    def _matters(self, model: str) -> bool:
        tests = self._deciding(model)
        tried = {test.adjacency for test in tests}
        if NO_GRAPH not in tried or not tried & set(WRONG_GRAPHS) or self._seeds([model]) < 2:
            return False
        return all(test.clear and test.difference > 0 for test in tests)

    def _beats_given(self, test: GraphTest) -> bool:
        """Whether the model is clearly better with the test's graph than with the given one."""
        return test.clear and test.difference < 0

    def _least_gain(self, model: str) -> tuple[GraphTest, float, float] | None:
        """The graph that the given one gains least over, and the bounds of that gain as shares of the MAE."""
        tests = self._deciding(model)
        if not tests or any((model, test.adjacency) not in self._paired for test in tests):
            return None
        # One-sided at level α / k each: the chance that one of k bounds is too low is α.
        confidence = 1 - 2 * (1 - self.words.confidence) / len(tests)
        bounds = [judge_together([self._paired[model, test.adjacency]], confidence)[0] for test in tests]
        least = int(np.argmin([bound.high for bound in bounds]))
        mae = float(self.scores(model).mean())
        return tests[least], bounds[least].low / mae, bounds[least].high / mae

    def _at_most(self, claimed: Mapping[str, Sequence[GraphTest]]) -> str:
        p_value = max(test.p or 0.0 for tests in claimed.values() for test in tests)
        return f"p at most {max(p_value, 1e-4):.2g}, corrected for {len(self._paired)} tests"

    def _claims(self, claimed: Mapping[str, Sequence[GraphTest]]) -> str:
        return "; ".join(self._claim(model, tests) for model, tests in claimed.items())

    def _claim(self, model: str, tests: Sequence[GraphTest]) -> str:
        given = self._mae(model)
        if not tests:
            return f"{model} has an MAE of {given} with the given graph, and was tried on no other that decides"
        changes = ", ".join(f"{IN_WORDS[test.adjacency]} {self.words.difference(test)}" for test in tests)
        return f"{model} has an MAE of {given} with the given graph; with {changes}"


def _find(evidence: Evidence) -> Ablation | None:
    same = unchanged_graphs(evidence.spec, evidence.series)
    return judge_ablation(evidence.table, Words.of(evidence), same=same)


def _same_again(names: Sequence[tuple[str, Adjacency]], same: Mapping[Adjacency, Sequence[int]]) -> list[str]:
    """What is said of other graphs that are the given one."""
    tried = {adjacency for _, adjacency in names}
    found = []
    for kind, seeds in same.items():
        if not seeds or kind not in tried:
            continue
        numbers = ", ".join(map(str, seeds))
        which = f"seed {numbers}, which says" if len(seeds) == 1 else f"seeds {numbers}, which say"
        found.append(f"{IN_WORDS[kind].capitalize()} is the given one again with {which} nothing of it.")
    return found


def _statement(results: Results, found: Ablation) -> Statement:
    sample = sample_size(results, found.horizon, {row.model for row in found.rows})
    return Statement(found.sentence, found.verdict != "open", sample)


def _headlines(results: Results, found: Ablation | None) -> list[Headline]:
    return [Headline("The same model with another graph", [_statement(results, found)])] if found else []


def _section(results: Results, found: Ablation) -> Section:
    interval = f"{confidence_label(results)} interval"
    drawings = ()
    if found.tests:
        caption = (
            f"Difference in MAE from the same model with the graph as given, with its {interval}; right of zero the "
            "change makes the forecasts worse. A filled dot's interval excludes zero."
        )
        draw = partial(ablation_differences, tests=found.tests)
        drawings = (Drawing("ablation", "What a change of the graph costs", caption, draw),)
    sheets = (Sheets("The same models with another graph", (("all", _sheet(results, found)),)),) if found.rows else ()
    statements, notes = (_statement(results, found),), tuple(found.notes)
    return Section("ablation", "Does the given graph matter?", statements, drawings, sheets, notes)


def _sheet(results: Results, found: Ablation) -> Sheet:
    places = score_places(results, found.horizon, "mae")
    tests = {(test.model, test.adjacency): test for test in found.tests}
    lines = []
    for row in found.rows:
        test = tests.get((row.model, row.adjacency))
        lines.append(
            (
                *(Entry(row.model), Entry(row.adjacency)),
                *(Entry(format_number(value, places), value) for value in (row.mae, row.std)),
                *interval_entries(test, places),
                Entry(format_p(test.p if test else None), test.p if test else None),
                Entry(str(row.seeds), row.seeds),
            )
        )
    sample = sample_size(results, found.horizon, {row.model for row in found.rows})
    about = f"{with_unit('MAE', results)} up to {ahead(results, found.horizon)}; {sample}"
    interval = f"{confidence_label(results)} interval"
    heads = ("model", "adjacency", "MAE", "±", "difference", interval, "p", "seeds")
    return Sheet(f"{about}; difference from the graph as given", heads, tuple(lines), names=2)


_METHOD = (
    "Ablation: the same recipe trained with another graph. identity: no edges; shuffled: the nodes' places in the "
    "graph are permuted; random: other edges, the same degrees; complete: every pair of nodes; learned: the model "
    "learns its graph."
)


def _older(found: dict[str, Any]) -> dict[str, Any]:
    """Tests had two p values."""
    return found | {"tests": [test | {"p": test.get("p", test.get("dm_p_holm"))} for test in found["tests"]]}


ABLATION = Finding(
    "ablation",
    Ablation | None,
    _find,
    show=_section,
    tell=_headlines,
    method=_METHOD,
    older=_older,
    in_paper=True,
)
