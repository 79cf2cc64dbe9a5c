"""Which model is better, by how much, and is the difference more than noise? In numbers and in words."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, NamedTuple

from pydantic import Discriminator, Tag

from gnnkit.compare.errors import METRICS, ErrorTable
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.difference import MARGIN, Difference, Words
from gnnkit.compare.findings.finding import OMITTED, Finding, Headline
from gnnkit.compare.findings.significance import SIGNIFICANCE, PairTest
from gnnkit.compare.questions import PLANNED
from gnnkit.compare.report.tables import horizon_label, sample_sizes, step_of
from gnnkit.compare.results import Results
from gnnkit.compare.standing import draws_nothing
from gnnkit.report.sections import Statement
from gnnkit.statistics.enough import fewest_spans

__all__ = ["VERDICTS", "PairVerdict", "Persistence", "Verdict", "persistence_groups", "verdicts"]

PERSISTENCE = "last-value"


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """What the errors say at one horizon; of the kind `"too-few"`, it stands alone where windows are too few to judge.

    Args:
        kind: what it is about.
        horizon, metric: P, and "mae" or "rmse".
        score: "averaged" over the steps 1 … P.
        sentence: in words.
    """

    kind: str
    horizon: int
    metric: str
    score: str = "averaged"
    sentence: str = ""


@dataclass(frozen=True, kw_only=True)
class PairVerdict(Difference, Verdict):
    """Two models: error of `model` less that of `against`.

    `kind` is that of a planned question (`gnnkit.compare.questions`: `"ablation"`, `"families"`, `"twin"`), or
    `"winner"` (best model against the best that is tied with it, else the runner-up; `clear` where none is tied) or
    `"persistence"` (every trained model against `last-value`).

    Args:
        model, against: their names.
        planned: whether the question was fixed before training; all else is exploratory.
        tied: of a winner, the models that it is not clearly below.
    """

    model: str
    against: str
    planned: bool = False
    tied: list[str] | None = field(default=None, metadata=OMITTED)


@dataclass(frozen=True, kw_only=True)
class Persistence(Verdict):
    """The trained models by what their tests against `last-value` say; `kind` is `"persistence-summary"`."""

    better: list[str]
    open: list[str]
    worse: list[str]


def verdicts(table: ErrorTable, tests: Sequence[PairTest], words: Words) -> list[Verdict]:
    """What the errors say, per horizon and for MAE and RMSE, in numbers and in words.

    All that is said is what the tests of `significance` found: a difference is called one where the test's p, corrected
    for what its question looks at, is below 1 − confidence; its interval then excludes 0. Of the model with the lowest
    score, those that it is not clearly below are `tied` with it, and it is `clear` where none is.

    Models are compared by name. A sentence speaks of the graph only where one model was tested with and without it: two
    models differ in more than that.

    Args:
        table: the errors.
        tests: what `significance` found on them.
        words: for the sentences.

    Returns:
        The verdicts; of a horizon with too few windows one of the kind `"too-few"`.
    """
    known = {(t.question, t.horizon, t.metric, t.model, t.against): t for t in tests}
    found: list[Verdict] = []
    for horizon in table.horizons:
        when = words.ahead(horizon)
        when = when[0].upper() + when[1:]
        if not table.is_enough(horizon, words.confidence):
            sentence = f"{when}: {words.shortage(table.counts(horizon), horizon)}"
            found.append(Verdict(kind="too-few", horizon=horizon, metric="mae", sentence=sentence))
            continue
        for metric in METRICS:
            referee = _Referee(table, known, words, horizon, metric, when)
            asked = [each for each in tests if (each.horizon, each.metric) == (horizon, metric)]
            planned = [referee.planned(each) for each in asked if each.question in PLANNED]
            found += [*referee.winner(), *referee.persistence(), *planned]
    return found


def persistence_groups(pairs: Sequence[Verdict], horizon: int, metric: str = "mae") -> dict[str, list[str]]:
    """The models that are clearly better than the last value, open, and clearly worse; empty where none was tested."""
    groups: dict[str, list[str]] = {"better": [], "open": [], "worse": []}
    for each in pairs:
        if isinstance(each, PairVerdict) and (each.kind, each.horizon, each.metric) == ("persistence", horizon, metric):
            groups["open" if not each.clear else "better" if each.difference < 0 else "worse"].append(each.model)
    return groups if any(groups.values()) else {}


class _Referee(NamedTuple):
    """The errors of all models at one horizon and metric, and the questions that are put to them."""

    table: ErrorTable
    tests: dict[tuple[str, int, str, str, str], PairTest]
    words: Words
    horizon: int
    metric: str
    when: str

    def winner(self) -> list[Verdict]:
        if len(self.table.models) < 2:
            return []
        best, *others = sorted(self.table.models, key=self._score)
        tied = [name for name in others if not self._test("best", best, name).clear]
        equal = [name for name in tied if _is_equal(self._test("best", best, name))]
        apart = [name for name in tied if name not in equal]
        against = next(iter([*apart, *equal, *others]))
        test = self._test("best", best, against)
        has = f"has, as {', '.join(equal)} with the same errors," if equal else "has"
        sentence = f"{self.when}, {best} {has} the lowest {self.metric.upper()} ({self._value(best)})"
        if equal and not apart:
            sentence += "; every other model is clearly worse." if len(equal) < len(others) else "."
            return [self._verdict("winner", test, sentence, clear=False, tied=tied)]
        sentence += f", not told apart from {', '.join(apart)}" if apart else ", clearly below every other model"
        many = test.comparisons is not None and test.comparisons > 1
        choice = f", corrected for the choice among {len(others) + 1} models" if many else ""
        sentence += f": against {against} {self.words.difference_with_p(test)}{choice}."
        sentence += self._power(test)
        return [self._verdict("winner", test, sentence, clear=not tied, tied=tied)]

    def persistence(self) -> list[Verdict]:
        families = self.table.families
        trained = [name for name in families if families[name] != "baseline"]
        if PERSISTENCE not in families or not trained:
            return []
        found = []
        for name in trained:
            test = self._test(PERSISTENCE, name, PERSISTENCE)
            said = "does not clearly differ from"
            if test.clear:
                said = "clearly beats" if test.difference < 0 else "is clearly worse than"
            numbers = self.words.difference_with_p(test)
            sentence = f"{self.when}, {name} {said} {PERSISTENCE} in {self.metric.upper()}: {numbers}."
            sentence += self._power(test)
            found.append(self._verdict("persistence", test, sentence))
        groups = persistence_groups(found, self.horizon, self.metric)
        behind = [name for name in trained if name not in groups["better"]]
        models = "model" if "forecast" in families.values() else "trained model"
        parts = [f"no {models} clearly beats {PERSISTENCE}"]
        if groups["better"]:
            parts = [f"{_subject(groups['better'], 'clearly beats', 'clearly beat')} {PERSISTENCE}"]
            if behind:
                parts.append(f"{_subject(behind, 'does', 'do')} not clearly beat it")
        if groups["worse"]:
            parts.append(f"{_subject(groups['worse'], 'is', 'are')} clearly worse than it")
        sentence = f"{self.when}, in {self.metric.upper()}: {'; '.join(parts)}."
        names: dict[str, Any] = {"kind": "persistence-summary", "horizon": self.horizon, "metric": self.metric}
        summary: Verdict = Persistence(**names, **dict[str, Any](groups), sentence=sentence)
        return [summary, *found]

    def planned(self, test: PairTest) -> PairVerdict:
        """A planned question: two models by their names, or one model with the graph and without edges."""
        ours, theirs = (self.words.value(score) for score in test.scores or [])
        metric, numbers = self.metric.upper(), self.words.difference_with_p(test)
        if test.question == "ablation":
            said = f"it is open whether the given graph helps {test.model}{self._at_most(test)}"
            if test.clear:
                said = f"the given graph {'helps' if test.difference < 0 else 'hurts'} {test.model}"
            sentence = f"{self.when}, {said}: {metric} {ours} with it, {theirs} without edges, {numbers}."
        else:
            answer = "is not told apart from"
            if test.clear:
                answer = "is better than" if test.difference < 0 else "is worse than"
            same = ", the same model without neighbours," if test.question == "twin" else ""
            sentence = f"{self.when}, {test.model} ({ours}) {answer} {test.against} ({theirs}){same} in {metric}: "
            sentence += f"{numbers}."
        sentence += self._power(test)
        families = self.table.families
        if test.question == "families":
            both = (test.model, test.against)
            members = {best: [name for name in families if families[name] == families[best]] for best in both}
            if any(len(names) > 1 for names in members.values()):
                among = " and ".join(f"{best} of {', '.join(names)}" for best, names in members.items())
                sentence += f" The validation rows chose {among}."
        return self._verdict(test.question, test, sentence, planned=test.planned)

    def _at_most(self, test: PairTest) -> str:
        """Where the interval leaves room for little alone, how little."""
        largest, score = max(abs(test.low or 0.0), abs(test.high or 0.0)), (test.scores or [0.0])[-1]
        return (
            f", by less than {100 * MARGIN:g}% of the {self.metric.upper()} if at all"
            if largest < MARGIN * score
            else ""
        )

    def _power(self, test: PairTest) -> str:
        """What a test could have found that found nothing, behind a space."""
        said = "" if test.clear else self.words.power(test, windows=len(self.table.counts(self.horizon)))
        return said and f" {said}"

    def _score(self, name: str) -> float:
        return self.table.score(name, self.horizon, self.metric)

    def _value(self, name: str) -> str:
        return self.words.value(self._score(name))

    def _test(self, question: str, model: str, against: str) -> PairTest:
        return self.tests[question, self.horizon, self.metric, model, against]

    def _verdict(self, kind: str, test: PairTest, sentence: str, **more: Any) -> PairVerdict:
        families = self.table.families
        single = [
            name
            for name in (test.model, test.against)
            if families.get(name, "baseline") != "baseline"
            and (families[name] == "forecast" or not draws_nothing(name))
            and len(self.table.scores(name, self.horizon, self.metric)) == 1
        ]
        if single:
            sentence += f" One seed of {' and '.join(single)}: the noise between seeds is not in the interval."
        numbers = {
            name: getattr(test, name) for name in ("model", "against", "difference", "low", "high", "clear", "p")
        }
        numbers |= {"kind": kind, "horizon": self.horizon, "metric": self.metric, "sentence": sentence}
        return PairVerdict(**{**numbers, **more})


def _is_equal(test: PairTest) -> bool:
    """Whether two models made the same errors, as the last value and that of a season that is not known."""
    return test.difference == test.low == test.high == 0


def _subject(names: list[str], singular: str, plural: str) -> str:
    return f"{', '.join(names)} {singular if len(names) == 1 else plural}"


def _find(evidence: Evidence) -> list[Verdict]:
    return verdicts(evidence.table, SIGNIFICANCE.judge(evidence), Words.of(evidence))


def _headlines(results: Results, found: list[Verdict]) -> list[Headline]:
    """The verdicts on MAE by kind, horizons ascending; then all the rest."""
    if not found:
        nothing = "No two models were compared, so there is no verdict; the scores stand alone."
        return [Headline("", [Statement(nothing)])]
    found, size = sorted(found, key=lambda verdict: verdict.horizon), sample_sizes(results)
    told: dict[str, list[Statement]] = {"too-few": [], "planned": [], "winner": [], "rest": []}
    for each in found:
        if isinstance(each, PairVerdict):
            sample = size(each.horizon, (each.model, each.against))
            place = "planned" if each.planned else "winner" if (each.kind, each.metric) == ("winner", "mae") else "rest"
            told[place].append(Statement(each.sentence, each.clear, sample))
        elif each.kind == "too-few":
            told["too-few"].append(Statement(each.sentence, warning=True))
    elsewhere = results.environment.get("forecasts") or {}
    persistence = _standing(results, found, "mae", elsewhere)
    persistence += _standing(results, found, "rmse", elsewhere) if elsewhere else []
    several = len(told["planned"]) > 1
    return [
        Headline("", told["too-few"]),
        Headline(f"Planned before training{', corrected together' if several else ''}", told["planned"]),
        Headline("Best of all against the runner-up", told["winner"], exploratory=True),
        Headline("Who beats repeating the last value?", persistence, exploratory=True),
        Headline("All other verdicts (RMSE, each model against the last value)", told["rest"], True, exploratory=True),
    ]


def _standing(results: Results, found: Sequence[Verdict], metric: str, elsewhere: Collection[str]) -> list[Statement]:
    """How models stand against the last value, a line a horizon; those made elsewhere with their intervals."""
    words = Words(results.data.unit, confidence=results.confidence)
    lines = []
    for horizon in dict.fromkeys(each.horizon for each in found):
        groups = persistence_groups(found, horizon, metric)
        numbers = {
            each.model: f" ({words.difference(each)}, {words.p(each)})"
            for each in found
            if isinstance(each, PairVerdict)
            and (each.kind, each.horizon, each.metric) == ("persistence", horizon, metric)
            and each.model in elsewhere
        }
        better = "better" if elsewhere else f"better in {metric.upper()}"
        said = (f"{better} than the last value", "not told apart from the last value", "worse than the last value")
        parts = [
            f"{word}: {', '.join(name + numbers.get(name, '') for name in names)}"
            for word, names in zip(said, groups.values(), strict=False)
            if names
        ]
        if parts:
            which = f", {metric.upper()}" if elsewhere else ""
            lines.append(Statement(f"{horizon_label(horizon, step_of(results))}{which}: {'; '.join(parts)}."))
    return lines


def _method(results: Results) -> str:
    if results.by_older_rules:
        return ""
    return (
        f"A verdict needs test windows that hold {fewest_spans(results.confidence)} spans of the horizon without a "
        f"common row: of fewer, even a model that wins every one does so by chance with a probability of 2 / 2ⁿ > "
        f"{1 - results.confidence:.2g} (sign test; Dixon and Mood, 1946)."
    )


def _shape(value: Any) -> str:
    kind = value["kind"] if isinstance(value, dict) else value.kind
    return kind if kind in ("persistence-summary", "too-few") else "pair"


def _older(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the sentences that say of the graph what was tested of two models, and summaries that were only words."""
    kept = [row for row in rows if row["kind"] != "graph" and (_shape(row) != "persistence-summary" or "better" in row)]
    return [
        row | {"planned": row["kind"] in PLANNED and row["metric"] == "mae"} if _shape(row) == "pair" else row
        for row in kept
    ]


_Row = Annotated[
    Annotated[PairVerdict, Tag("pair")]
    | Annotated[Persistence, Tag("persistence-summary")]
    | Annotated[Verdict, Tag("too-few")],
    Discriminator(_shape),
]
VERDICTS: Finding[list[Verdict]] = Finding("verdicts", list[_Row], _find, tell=_headlines, method=_method, older=_older)
