"""One registration: a finding is found, saved, loaded, shown in every report, and explained."""

import json
from dataclasses import dataclass

import pytest

from gnnkit.compare import Results, make_spec, run, write_output
from gnnkit.compare.findings import FINDINGS, Finding, Headline
from gnnkit.report.sections import Entry, Section, Sheet, Sheets, Statement
from tests.compare.report.test_terminal import printed


@dataclass(frozen=True)
class Spread:
    """How far the errors of a model in its windows are from each other."""

    model: str
    widest: float


def find(evidence):
    table = evidence.table
    errors = {model: table.window_errors(model, max(table.horizons)) for model in table.models}
    return [Spread(model, float(found.max() - found.min())) for model, found in errors.items()]


def section(results, rows):
    lines = tuple((Entry(row.model), Entry(f"{row.widest:.3f}", row.widest)) for row in rows)
    return Section(
        "spread", "How far apart?", sheets=(Sheets("Spreads", (("all", Sheet("In mph", ("model", "spread"), lines)),)),)
    )


def say(results, rows):
    widest = max(rows, key=lambda row: row.widest)
    return [Headline("Who is uneven?", [Statement(f"{widest.model} is the most uneven.")])]


SPREAD = Finding(
    "spread",
    list[Spread],
    find,
    show=section,
    tell=say,
    method="Spread: the largest error of a window less the least.",
    in_paper=True,
)


@pytest.fixture
def registered():
    FINDINGS.append(SPREAD)
    yield
    FINDINGS.remove(SPREAD)


@pytest.mark.usefixtures("registered")
def test_a_finding_of_ones_own_is_walked_by_everything(tmp_path):
    small = {
        "rivals": False,
        "quick_look": False,
        "data_options": {"num_nodes": 4, "days": 2},
        "models": ["dlinear"],
        "seeds": [0, 1],
        "epochs": 1,
    }
    results = run(make_spec(**small, horizons=[2], device="cpu", resamples=100))
    found = SPREAD.of(results)
    assert [row.model for row in found] == results.models
    for row in found:
        errors = results.errors.window_errors(row.model, 2)
        assert row.widest == errors.max() - errors.min()
    write_output(results, tmp_path / "out")
    rows = json.loads((tmp_path / "out" / "results.json").read_text())["spread"]
    assert rows == [{"model": row.model, "widest": row.widest} for row in found]
    again = Results.load(tmp_path / "out")
    assert SPREAD.of(again) == found
    sentence = f"{max(found, key=lambda row: row.widest).model} is the most uneven."
    cell, method = f"{found[0].widest:.3f}", "Spread: the largest error of a window less the least."
    page, text, paper = ((tmp_path / "out" / name).read_text() for name in ("report.html", "report.md", "tables.tex"))
    for words in ("How far apart?", "Who is uneven?", sentence, cell, method):
        assert words in page
        assert words in text
    assert '<section id="spread">' in page
    assert '<a href="#spread">Spread</a>' in page
    assert rf"last-value & {cell} \\" in paper
    assert f"• {sentence}" in printed(again)
    assert FINDINGS.methods(again)[-1] == method


def test_without_it_nothing_is_left_of_it(rich_results):
    results = rich_results()
    assert SPREAD.of(results) == []
    assert "spread" not in [section.name for section in FINDINGS.sections(results)]


def test_nothing_found_is_no_section(fake_results):
    assert FINDINGS.sections(fake_results()) == []


def test_sections_stand_before_the_figures_or_behind_them(rich_results):
    results = rich_results()
    before, after = ([each.name for each in FINDINGS.sections(results, after_figures=after)] for after in (False, True))
    assert before == ["tests", "ranks", "ablation", "conditions", "where"]
    assert after == ["intervals", "budget", "audit"]


def test_what_must_be_known_comes_first(rich_results):
    groups = FINDINGS.headlines(rich_results())
    assert [group.head for group in groups] == [
        "",
        "Planned before training, corrected together",
        "Exploratory: the same model with another graph",
        "Exploratory: best of all against the runner-up",
        "Exploratory: who beats repeating the last value?",
        "Exploratory: all other verdicts (RMSE, each model against the last value)",
    ]
    assert [said.text[:9] for said in groups[0].statements] == ["Leak (sha", "Warning ("]
    assert [group.folded for group in groups] == [False] * 5 + [True]


def test_only_clear_differences_are_coloured(rich_results):
    for each in FINDINGS.sections(rich_results(), after_figures=False):
        for sheets in each.sheets:
            for _, sheet in sheets.choices:
                at = sheet.columns.index("difference")
                for line in sheet.lines:
                    if " to " not in line[at + 1].text:
                        continue
                    low, high = line[at + 1].text.replace("−", "-").split(" to ")
                    clear = float(low) > 0 or float(high) < 0
                    expected = "" if not clear else "good" if float(high) < 0 else "bad"
                    assert line[at].mark == expected or abs(float(low)) < 2e-3 or abs(float(high)) < 2e-3
