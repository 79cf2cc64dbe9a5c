"""Does the given graph matter? The same models, by the same recipe, on other graphs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial
from types import MappingProxyType
from typing import Any

import numpy as np

from gnnkit.compare.conditions import ADJACENCIES, Adjacency, Condition
from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.difference import Difference, Words, interval_entries, judged_columns
from gnnkit.compare.findings.finding import Finding, Headline
from gnnkit.compare.findings.plots_significance import ablation_differences
from gnnkit.compare.findings.verdicts import VERDICTS, PairVerdict
from gnnkit.compare.jobs import unchanged_graphs
from gnnkit.compare.questions import NO_GRAPH
from gnnkit.compare.report.tables import ahead, confidence_label, sample_size, score_places, with_unit
from gnnkit.compare.results import Results
from gnnkit.compare.standing import draws_nothing
from gnnkit.report.numbers import format_number, format_p
from gnnkit.report.sections import Drawing, Entry, Section, Sheet, Sheets, Statement
from gnnkit.statistics.bootstrap import seed_scores
from gnnkit.statistics.step_down import judge_family

__all__ = ["ABLATION", "Ablation", "GraphScore", "GraphTest", "judge_ablation"]

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
    """The MAE of a model on another graph less that on the given one.

    `planned`: it is the planned question, with its sign turned; all others are exploratory.
    """

    model: str
    adjacency: Adjacency
    against: str = "given"
    horizon: int
    planned: bool = False


@dataclass(frozen=True, kw_only=True)
class Ablation:
    """What another graph does to the same models.

    Args:
        horizon: P.
        rows: the scores there.
        tests: of every other graph against the given one.
        verdict: "helps" or "hurts", of the model that was planned to be asked about; else "open".
        sentence: the same in words.
        notes: sentences on what is exploratory: wrong graphs, other models; and what else a reader must know.
    """

    horizon: int
    rows: list[GraphScore]
    tests: list[GraphTest]
    verdict: str
    sentence: str
    notes: list[str]


def judge_ablation(
    table: ErrorTable,
    words: Words,
    *,
    planned: Sequence[PairVerdict] = (),
    same: Mapping[Adjacency, Sequence[int]] = MappingProxyType({}),
) -> Ablation | None:
    """Say what other graphs do: the same models by the same recipe, on the given and on other graphs.

    One question is planned: one model with the given graph and without edges (`gnnkit.compare.questions`). Its answer
    is that of `verdicts`: the graph helps or hurts that model where the test is clear, else it is open.

    All else is exploratory. At the largest horizon every other graph is tested against the given one
    (`ErrorTable.compare`), and all models and graphs are corrected together (`judge_family`). Tests are paired over
    windows and over seeds: a seed has the same first weights and the same order of batches on every graph, so what is
    luck in them cancels, and the noise between seeds is that of the differences. With one seed of what is drawn, or too
    few windows, a test has a difference and neither interval nor p. A graph that helps no more than a wrong one
    (shuffled, random) may help by something else than its edges; so what wrong graphs do is told beside the answer.

    Args:
        table: the errors; those under other conditions than the graph's are passed over.
        words: for the sentences.
        planned: the verdicts on the planned question.
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
        nothing = "Open whether the given graph helps: no model was trained both on it and on another."
        found = {"horizon": max(table.horizons), "rows": [], "tests": [], "verdict": "open", "sentence": nothing}
        return Ablation(**found, notes=notes) if lost else None
    trial = _Trial(table, max(table.horizons), names, words, same, planned)
    verdict, sentence = trial.verdict()
    notes += trial.notes() + _same_again(names, same)
    found = {"horizon": trial.horizon, "rows": trial.rows(), "tests": trial.tests}
    return Ablation(**found, verdict=verdict, sentence=sentence, notes=notes)


@dataclass(frozen=True)
class _Trial:
    """The question put to the models at one horizon; `names` are those of models and graphs."""

    table: ErrorTable
    horizon: int
    names: list[tuple[str, Adjacency]]
    words: Words
    same: Mapping[Adjacency, Sequence[int]]
    planned: Sequence[PairVerdict]

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
            without = self.same.get(adjacency, ())
            errors = self.table.paired_errors(model, adjacency, self.horizon, without=without)
            if adjacency != "given" and errors is not None:
                gaps[model, adjacency] = errors[1] - errors[0]
        return gaps

    @cached_property
    def _enough(self) -> bool:
        return self.table.is_enough(self.horizon, self.words.confidence)

    @property
    def _answer(self) -> PairVerdict | None:
        """The verdict on the planned question."""
        return next((each for each in self.planned if each.horizon == self.horizon), None)

    @cached_property
    def tests(self) -> list[GraphTest]:
        answer, compared = self._answer, {}
        asked = None if answer is None else (answer.model, NO_GRAPH)
        for name, gap in self._gaps.items():
            if name != asked and self._enough and (len(gap) > 1 or self._draws_nothing(*name)):
                compared[name] = self.table.compare(gap, np.zeros_like(gap[:1]), self.horizon)
        judged = judge_family(list(compared.values()), self.words.confidence)
        columns = {name: judged_columns(each) for name, each in zip(compared, judged, strict=True)}
        if answer is not None and asked in self._gaps:
            columns[answer.model, NO_GRAPH] = _turned(answer)
        found = []
        for name, gap in self._gaps.items():
            bare = {"difference": float(seed_scores(gap, self.counts, squared=False).mean())}
            own: dict[str, Any] = columns.get(name, bare)
            planned = name == asked
            found.append(GraphTest(model=name[0], adjacency=name[1], horizon=self.horizon, planned=planned, **own))
        return found

    def _draws_nothing(self, model: str, adjacency: Adjacency) -> bool:
        """Whether one seed is all that there is to know: neither weights nor the graph are drawn."""
        return adjacency not in ("shuffled", "random") and draws_nothing(model)

    def verdict(self) -> tuple[str, str]:
        when, answer = self.words.ahead(self.horizon), self._answer
        if not self._enough:
            missing = self.words.shortage(self.counts, self.horizon)
            return "open", f"Open whether the given graph helps {when}: {missing}"
        if answer is not None:
            kind = "open" if not answer.clear else "helps" if answer.difference < 0 else "hurts"
            return kind, answer.sentence
        why = "one seed cannot tell what the graph does from luck, give three or more"
        if not any(adjacency == NO_GRAPH for _, adjacency in self._gaps):
            why = "no model was trained without edges"
        elif self._seeds() > 1:
            why = "no question about it was planned"
        size = self.words.size(self.counts, self._seeds())
        return "open", f"Open whether the given graph helps {when}: {why} ({size})."

    def notes(self) -> list[str]:
        """What was not planned, and is told beside the answer: at most a sentence for each model."""
        when, found = self.words.ahead(self.horizon), []
        when = when[0].upper() + when[1:]
        for model in self.models:
            tests = [test for test in self.tests if test.model == model and not test.planned]
            parts = [f"{self._claim(test)} with {IN_WORDS[test.adjacency]}" for test in tests]
            if parts:
                given = self.words.value(float(self.scores(model).mean()))
                untested = f"; {self._why_untested(model)}, so none of this was tested"
                tail = untested if all(test.p is None for test in tests) else ""
                found.append(f"{when}, {model} (MAE {given} with the given graph) {', '.join(parts)}{tail}.")
        return found

    def _why_untested(self, model: str) -> str:
        return f"one seed of {model}" if self._enough else "the test windows are too few"

    def _claim(self, test: GraphTest) -> str:
        """What is said of one graph, with its numbers."""
        if test.p is None:
            return f"differs by {self.words.difference(test)}"
        said = "is not told apart" if not test.clear else "is worse" if test.difference > 0 else "is better"
        return f"{said} ({self.words.difference(test)}, {self.words.p(test)})"

    def _seeds(self) -> int:
        """Seeds of the model that has fewest, on the given graph and on another."""
        return min(map(len, self._gaps.values()), default=0)


def _turned(answer: PairVerdict) -> dict[str, Any]:
    """The planned test, as what no edges add to the error with the given graph."""
    low, high = answer.low, answer.high
    bounds = {"low": None if high is None else -high, "high": None if low is None else -low}
    return {"difference": -answer.difference, **bounds, "clear": answer.clear, "p": answer.p}


def _find(evidence: Evidence) -> Ablation | None:
    same = unchanged_graphs(evidence.spec, evidence.series)
    planned = [each for each in VERDICTS.judge(evidence) if isinstance(each, PairVerdict) and each.kind == "ablation"]
    return judge_ablation(evidence.table, Words.of(evidence), planned=planned, same=same)


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
    """What the verdicts do not tell: that the planned question has no answer, and what else was tried."""
    if found is None:
        return []
    answered = any(test.planned for test in found.tests)
    return [
        Headline("One model with its graph and without", [] if answered else [_statement(results, found)]),
        Headline("The same model with another graph", [Statement(note) for note in found.notes], exploratory=True),
    ]


def _section(results: Results, found: Ablation) -> Section:
    interval = f"{confidence_label(results)} interval"
    drawings = ()
    if found.tests:
        caption = (
            f"Difference in MAE from the same model with the graph as given, with its {interval}; right of zero the "
            "change makes the forecasts worse. A filled dot's interval excludes zero. Exploratory, but for what was "
            "planned."
        )
        draw = partial(ablation_differences, tests=found.tests)
        drawings = (Drawing("ablation", "What a change of the graph costs", caption, draw),)
    sheets = (Sheets("The same models with another graph", (("all", _sheet(results, found)),)),) if found.rows else ()
    statements, notes = (_statement(results, found),), tuple(f"Exploratory: {note}" for note in found.notes)
    return Section("ablation", "Does the given graph matter?", statements, drawings, sheets, notes)


def _sheet(results: Results, found: Ablation) -> Sheet:
    places = score_places(results, found.horizon, "mae")
    tests = {(test.model, test.adjacency): test for test in found.tests}
    lines = []
    for row in found.rows:
        test = tests.get((row.model, row.adjacency))
        lines.append(
            (
                *(Entry(row.model), Entry(row.adjacency), Entry(_standing(row, test))),
                *(Entry(format_number(value, places), value) for value in (row.mae, row.std)),
                *interval_entries(test, places),
                Entry(format_p(test.p if test else None), test.p if test else None),
                Entry(str(row.seeds), row.seeds),
            )
        )
    sample = sample_size(results, found.horizon, {row.model for row in found.rows})
    about = f"{with_unit('MAE', results)} up to {ahead(results, found.horizon)}; {sample}"
    interval = f"{confidence_label(results)} interval"
    heads = ("model", "adjacency", "standing", "MAE", "±", "difference", interval, "p", "seeds")
    return Sheet(f"{about}; difference from the graph as given", heads, tuple(lines), names=3)


def _standing(row: GraphScore, test: GraphTest | None) -> str:
    if row.adjacency == "given":
        return ""
    return "planned" if test is not None and test.planned else "exploratory"


_METHOD = (
    "Ablation: the same recipe trained with another graph. identity: no edges; shuffled: the nodes' places in the "
    "graph are permuted; random: other edges, the same degrees; complete: every pair of nodes; learned: the model "
    "learns its graph. One model with the given graph and without edges is a planned question; all other tests are "
    "exploratory, and corrected together."
)


def _older(found: dict[str, Any]) -> dict[str, Any]:
    """Tests had two p values, and the answer was about all models."""
    tests = [test | {"p": test.get("p", test.get("dm_p_holm"))} for test in found["tests"]]
    answers = {"yes": "helps", "no": "hurts"}
    return found | {"tests": tests, "verdict": answers.get(found["verdict"], found["verdict"])}


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
