"""Whatever was found, every renderer says the same: mark, interval, p and sentence agree wherever they stand."""

import dataclasses
import io
import itertools
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from matplotlib.colors import to_rgba
from rich.console import Console

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.findings import ABLATION, CONDITIONS, FINDINGS, SIGNIFICANCE, VERDICTS
from gnnkit.compare.findings.ablation import judge_ablation
from gnnkit.compare.findings.conditions import judge_conditions
from gnnkit.compare.findings.difference import Words
from gnnkit.compare.findings.significance import significance
from gnnkit.compare.findings.verdicts import PairVerdict, verdicts
from gnnkit.compare.questions import NO_GRAPH, PLANNED, planned_questions
from gnnkit.compare.report.html import render_html
from gnnkit.compare.report.latex import render_latex
from gnnkit.compare.report.markdown import render_markdown
from gnnkit.compare.report.paired_tests import all_tests
from gnnkit.compare.report.scores import score_table
from gnnkit.compare.report.terminal import render_terminal
from gnnkit.compare.results import Results
from gnnkit.statistics.spans import span_numbers
from tests.compare.findings.outcomes import MASK, TRUE, WINDOWS, outcome

FAMILIES = {"last-value": "baseline", "gru": "sequence", "ridge": "sequence", "gcn": "graph", "ridge-graph": "graph"}
GAINS = (-0.5, -0.02, 0.0, 0.02, 0.5)
"""By how much graph models are worse: clear, near the border, and not at all."""


@dataclasses.dataclass(frozen=True)
class World:
    """A combination of what a comparison may find."""

    gain: float = 0.0
    without_edges: float | None = 0.0
    seeds: int = 3
    horizons: tuple[int, ...] = (2,)
    folds: int = 1
    windows: int = WINDOWS
    confidence: float = 0.95
    shares: bool = False
    noise: float = 0.05
    draw: int = 0

    def table(self) -> ErrorTable:
        rng = np.random.default_rng(self.draw)

        def errors(level: float) -> np.ndarray:
            slow = np.repeat(rng.standard_normal(WINDOWS // 10), 10)
            return np.abs(2 + level + self.noise * (slow + rng.standard_normal(WINDOWS)))

        found = []
        for name, family in FAMILIES.items():
            level = {"baseline": 0.3, "sequence": 0.0, "graph": self.gain}[family]
            for seed in range(1 if family == "baseline" else self.seeds):
                error = errors(level) + 0.2 * self.noise * rng.standard_normal()
                found.append(outcome(name, error, seed=seed, family=family))
                if family == "graph" and self.without_edges is not None:
                    for kind, more in (("identity", self.without_edges), ("shuffled", self.without_edges / 2)):
                        found.append(outcome(name, errors(level + more), seed=seed, family=family, adjacency=kind))
                if family != "baseline" and self.shares:
                    found.append(outcome(name, errors(level + 0.2), seed=seed, family=family, train_share=0.5))
        parts = np.array_split(np.arange(self.windows), self.folds)
        spans = {p: span_numbers(parts, season=8 if self.folds > 1 else None) for p in self.horizons}
        return ErrorTable(found, TRUE, MASK, dict.fromkeys(self.horizons, self.windows), spans)

    def results(self, fake_results) -> Results:
        """Made-up scores, and what is found of the errors."""
        table = self.table()
        shown = {name: (family, table.score(name, 2)) for name, family in FAMILIES.items() if family != "baseline"}
        results: Results = fake_results(models=shown, seeds=tuple(range(self.seeds)), horizons=self.horizons)
        words = Words("mph", 5.0, self.confidence, 0.2 * self.folds, self.folds)
        ablated = ["gcn", "ridge-graph"] if self.without_edges is not None else []
        asked = planned_questions(("gcn", "gru"), {"ridge-graph": "ridge"}, {"gcn": 1.0, "ridge-graph": 2.0}, ablated)
        tests = significance(table, history=4, confidence=self.confidence, questions=asked)
        told = verdicts(table, tests, words)
        planned = [each for each in told if isinstance(each, PairVerdict) and each.kind == "ablation"]
        results.findings = {"significance": tests, "verdicts": told, "conditions": judge_conditions(table, words)}
        results.findings["ablation"] = judge_ablation(table, words, planned=planned)
        results.spec["confidence"] = self.confidence
        return results


worlds = st.builds(
    World,
    gain=st.sampled_from(GAINS),
    without_edges=st.one_of(st.none(), st.sampled_from(GAINS)),
    seeds=st.sampled_from([1, 3]),
    horizons=st.sampled_from([(2,), (1, 2)]),
    folds=st.sampled_from([1, 3]),
    windows=st.sampled_from([3, 60, WINDOWS]),
    confidence=st.sampled_from([0.8, 0.9, 0.95, 0.99]),
    shares=st.booleans(),
    noise=st.sampled_from([0.0, 0.05, 0.3]),
    draw=st.integers(0, 10_000),
)
cheap = settings(
    max_examples=20,
    phases=[Phase.generate],  # a world has ten figures: it is read as it is
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)

NUMBER = r"[+-][\d.]+(?:e[+-]?\d+)?"
CLAIM = re.compile(
    rf"(?P<difference>{NUMBER})[^()+]*?\(?,? ?[\d.]+% interval (?P<low>{NUMBER}) to (?P<high>{NUMBER}), "
    r"p (?P<sign>[=<]) (?P<p>[\d.]+)"
)
BETTER = ("is better", "clearly beats", "clearly below", "graph helps")
WORSE = ("is worse", "is clearly worse", "graph hurts")
OPEN = ("is not told apart", "not told apart from", "it is open whether", "does not clearly differ")


def agree(claim: dict[str, str], alpha: float) -> int:
    """−1: the one is better; 1: worse; 0: open. Interval and p as they are printed must say the same."""
    low, high, difference = (float(claim[name]) for name in ("low", "high", "difference"))
    below = float(claim["p"]) < alpha or claim["sign"] == "<"
    assert below == (low > 0 or high < 0), claim
    assert low <= difference <= high, claim
    assert not below or difference != 0, claim
    return 0 if not below else -1 if difference < 0 else 1


def check_text(text: str, alpha: float) -> int:
    """Each claim of a text: the verb before it, its interval and its p. Gives their number."""
    end = count = 0
    for match in CLAIM.finditer(text):
        verbs = text[end : match.start()].replace("it is open whether the given graph helps", "it is open whether")
        end = match.end()
        found = agree(match.groupdict(), alpha)
        said = [(verbs.rfind(verb), sign) for verb, sign in verbs_and_signs() if verb in verbs]
        assert said, verbs
        expected = max(said)[1]
        assert expected == found, (verbs, match.group())
        count += 1
    return count


def verbs_and_signs():
    yield from itertools.product(BETTER, (-1,))
    yield from itertools.product(WORSE, (1,))
    yield from itertools.product(OPEN, (0,))


def check_table(heads, lines, alpha: float, marks=None) -> int:
    """Lines with a difference and an interval: printed p, interval and mark are one."""
    if "difference" not in heads:
        return 0
    at, count = list(heads).index("difference"), 0
    for number, line in enumerate(lines):
        bare = [cell.replace("−", "-").replace(",", "").strip() for cell in line]
        if " to " not in bare[at + 1]:
            continue
        low, high = bare[at + 1].split(" to ")
        claim = {"difference": bare[at], "low": low, "high": high}
        if "p" in heads:
            p_value = bare[list(heads).index("p")]
            claim |= {"sign": "<" if p_value.startswith("<") else "=", "p": p_value.lstrip("< ")}
        else:
            claim |= {"sign": "=", "p": "0" if float(low) > 0 or float(high) < 0 else "1"}
        found = agree(claim, alpha)
        if marks is not None:
            assert marks[number] == found, (line, marks[number])
        count += 1
    return count


def printed(results: Results) -> str:
    console = Console(file=io.StringIO(), width=100, color_system=None)
    render_terminal(results, console)
    return " ".join(console.file.getvalue().split())


def check_markdown(text: str, alpha: float) -> int:
    count = 0
    for block in text.split("\n\n"):
        rows = [
            [cell.strip() for cell in line.strip("|").split(" | ")] for line in block.splitlines() if line[:1] == "|"
        ]
        if len(rows) > 2:
            at = rows[0].index("difference") if "difference" in rows[0] else 0
            bold = ["**" in row[at] for row in rows[2:]]
            plain = [[cell.replace("*", "").replace("\\", "") for cell in row] for row in rows[2:]]
            signs = [0 if not b else -1 if row[at].startswith("−") else 1 for b, row in zip(bold, plain, strict=True)]
            count += check_table(rows[0], plain, alpha, signs)
        else:
            count += check_text(block.replace("\\", ""), alpha)
    return count


class _Tables(HTMLParser):
    """The tables of a page as text, and the class of each cell."""

    def __init__(self) -> None:
        super().__init__()
        self.tables, self._cell = [], None

    def handle_starttag(self, tag, attrs):
        if tag == "table":
            self.tables.append([])
        elif tag == "tr" and self.tables:
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self._cell = ["", dict(attrs).get("class") or ""]
            self.tables[-1][-1].append(self._cell)

    def handle_endtag(self, tag):
        self._cell = None if tag in ("td", "th") else self._cell

    def handle_data(self, data):
        if self._cell is not None:
            self._cell[0] += data


def check_html(text: str, alpha: float) -> int:
    parser, count = _Tables(), 0
    parser.feed(text)
    for table in parser.tables:
        heads = [cell[0].strip() for cell in table[0]]
        if "difference" in heads:
            at = heads.index("difference")
            signs = {"mark-good": -1, "mark-bad": 1}
            marks = [next((s for name, s in signs.items() if name in row[at][1]), 0) for row in table[1:]]
            count += check_table(heads, [[cell[0] for cell in row] for row in table[1:]], alpha, marks)
    for tag, said in re.findall(
        r'<li[^>]*>(?:<span><span class="tag (clear|open)">.*?</span></span>)?<span>(.*?)</li>', text
    ):
        claims = [agree(match.groupdict(), alpha) for match in CLAIM.finditer(said.replace("&lt;", "<"))]
        if tag and claims:
            assert (tag == "clear") == bool(claims[0]), said
        count += len(claims)
    return count


def check_all_texts(results: Results) -> int:
    alpha = round(1 - results.confidence, 9)
    count = check_text(printed(results), alpha)
    count += check_markdown(render_markdown(results), alpha)
    latex = render_latex(results)
    for table in re.findall(r"\\toprule\n(.*?)\\bottomrule", latex, flags=re.DOTALL):
        plain = table.replace("$-$", "−").replace("$<$", "<").replace(r"\%", "%").replace(r"\midrule", "")
        rows = [
            [c.strip() for c in line.removesuffix(r"\\").split(" & ")]
            for line in plain.strip().split("\n")
            if " & " in line
        ]
        count += check_table(rows[0], rows[1:], alpha)
    for row in all_tests(results).to_dict("records"):
        if not (row["p"] is None or math.isnan(row["p"])):
            assert row["clear"] == (row["p"] < alpha) == (row["low"] > 0 or row["high"] < 0), row
            assert (row["standing"] == "planned") == (row["question"] in PLANNED and row["metric"] == "mae") or row[
                "question"
            ] == "ablation"
            count += 1
    return count


@cheap
@given(world=worlds)
def test_every_text_says_what_its_interval_and_p_say(fake_results, world):
    results = world.results(fake_results)
    count = check_all_texts(results)
    assert count == 0 if world.windows == 3 else count > 10


@cheap
@given(world=worlds)
def test_marks_sentences_and_stars_stand_on_one_test(fake_results, world):
    results = world.results(fake_results)
    alpha = round(1 - world.confidence, 9)
    tests = {(t.question, t.horizon, t.metric, t.model, t.against): t for t in SIGNIFICANCE.of(results)}
    for verdict in VERDICTS.of(results):
        if not isinstance(verdict, PairVerdict):
            continue
        question = {"winner": "best", "persistence": "last-value"}.get(verdict.kind, verdict.kind)
        test = tests[question, verdict.horizon, verdict.metric, verdict.model, verdict.against]
        assert (verdict.difference, verdict.low, verdict.high, verdict.p) == (
            test.difference,
            test.low,
            test.high,
            test.p,
        )
        assert verdict.clear == test.clear == (test.p < alpha)
        assert verdict.planned == test.planned == (verdict.kind in PLANNED and verdict.metric == "mae")
        assert ("found with a chance of 80%" in verdict.sentence) <= (not verdict.clear)
        assert verdict.clear or not test.detectable or "found with a chance of 80%" in verdict.sentence
    ablation = ABLATION.of(results)
    for each in ablation.tests if ablation else ():
        assert each.clear == (each.p is not None and each.p < alpha)
        if each.planned:
            planned = tests["ablation", each.horizon, "mae", each.model, f"{each.model} without edges"]
            assert (each.difference, each.low, each.high, each.p) == (
                -planned.difference,
                -planned.high,
                -planned.low,
                planned.p,
            )
            assert ablation.verdict == ("open" if not planned.clear else "helps" if planned.difference < 0 else "hurts")
    for point in CONDITIONS.of(results):
        assert point.clear == (point.p is not None and point.p < alpha)
    winners = {
        (v.horizon, v.metric): v for v in VERDICTS.of(results) if isinstance(v, PairVerdict) and v.kind == "winner"
    }
    table = score_table(results, "averaged")
    for line in table.lines:
        for horizon, cells in zip(table.horizons, line.cells, strict=True):
            for metric, cell in zip(table.metrics, cells, strict=True):
                won = winners.get((horizon, metric))
                assert cell.winner == (won is not None and won.clear and won.model == line.model)


@cheap
@given(world=worlds)
def test_what_was_not_planned_is_called_exploratory_everywhere(fake_results, world):
    results = world.results(fake_results)
    planned = {v.sentence for v in VERDICTS.of(results) if isinstance(v, PairVerdict) and v.planned}
    for group in FINDINGS.headlines(results):
        said = {statement.text for statement in group.statements}
        assert group.exploratory == (bool(group.title) and not said <= planned) or "Open whether" in " ".join(said)
    for line in re.split(r"(?=• )", printed(results)):
        if CLAIM.search(line):
            assert ("Exploratory: " in line) == (not any(each[:60] in line for each in planned)), line
    sheets = [s for each in FINDINGS.sections(results) for s in each.sheets if each.name in ("tests", "ablation")]
    for sheet in (sheet for each in sheets for _, sheet in each.choices):
        at = sheet.columns.index("standing")
        assert {line[at].text for line in sheet.lines} <= {"planned", "exploratory", ""}


@pytest.mark.parametrize("p_value", [0.0494, 0.0496, 0.05, 0.0503, 0.0506, 0.0004, 0.00096])
def test_at_the_border_the_printed_p_decides_for_all(p_value, fake_results):
    """A world whose planned test has just this p before it is rounded: gains are moved until it is so."""
    from scipy import special

    world = World(gain=0.0, without_edges=None, seeds=3, draw=3)
    table = world.table()
    compared = table.compare(table.window_errors("gcn", 2), table.window_errors("gru", 2), 2).test
    shift = -special.stdtrit(compared.degrees, p_value / 2) * compared.deviation - compared.difference
    for each in table.fits.values():
        for place, one in enumerate(each):
            if one.model == "gcn":
                each[place] = dataclasses.replace(one, predicted=one.predicted + float(shift))
    table._errors.clear()
    table._span_scores.clear()
    (test,) = [
        t
        for t in significance(table, history=4, questions=planned_questions(("gcn", "gru"), {}, {}, []))
        if t.question == "families" and t.metric == "mae"
    ]
    assert test.p == pytest.approx(p_value, abs=6e-4)
    assert test.clear == (round(test.p, 3) < 0.05) == (test.low > 0 or test.high < 0)
    results = fake_results(models={"gru": ("sequence", 2.0), "gcn": ("graph", 2.0)}, horizons=(2,))
    results.findings = (
        {"significance": [test], "verdicts": verdicts(table, [test], Words("mph"))[-1:]}
        if False
        else {"significance": [test]}
    )
    assert check_all_texts(results) > 0


@pytest.mark.parametrize(
    "world",
    [
        World(gain=-0.5, without_edges=0.5, horizons=(1, 2), shares=True),
        World(gain=0.5, without_edges=-0.5, folds=3),
        World(gain=0.02, without_edges=0.02, seeds=1, noise=0.3),
        World(windows=3, horizons=(1, 2)),
    ],
    ids=["helps", "hurts", "open", "too few"],
)
def test_the_page_and_its_dots_agree(fake_results, world):
    results = world.results(fake_results)
    alpha = round(1 - world.confidence, 9)
    count = check_html(render_html(results), alpha)
    assert (count > 0) == (world.windows > 3)
    for section in FINDINGS.sections(results):
        if section.name in ("tests", "ablation"):
            for drawing in section.drawings:
                check_dots(drawing.draw(results))


def check_dots(figure) -> None:
    """A dot is filled just where the line beside it does not cross zero."""
    axes = figure.axes[0]
    lines = [line for line in axes.lines if len(line.get_xdata()) == 2 and line.get_marker() in ("None", "", None)]
    for dot in (line for line in axes.lines if line.get_marker() == "o"):
        at = dot.get_ydata()[0]
        (interval,) = [line for line in lines if list(line.get_ydata()) == [at, at]]
        low, high = sorted(interval.get_xdata())
        if math.isnan(low):
            continue
        filled = dot.get_markerfacecolor() != "none" and to_rgba(dot.get_markerfacecolor())[3] > 0
        assert filled == (low > 0 or high < 0)


def test_all_answers_are_met(fake_results):
    """What the examples above are drawn from holds every answer of every planned question."""
    seen = set()
    for gain, without, seeds in itertools.product((-0.5, 0.0, 0.5), (-0.5, 0.0, 0.5, None), (1, 3)):
        results = World(gain=gain, without_edges=without, seeds=seeds).results(fake_results)
        for test in SIGNIFICANCE.of(results):
            if test.planned:
                seen.add((test.question, 0 if not test.clear else int(math.copysign(1, test.difference))))
    assert seen == set(itertools.product(PLANNED, (-1, 0, 1)))
    assert NO_GRAPH == "identity"
