"""What a comparison's report says, in its order: verdict, evidence, figures, checks, caveats and protocol."""

from __future__ import annotations

from typing import NamedTuple

from gnnkit.compare.report.checks import audit_statements, checks
from gnnkit.compare.report.evidence import evidence
from gnnkit.compare.report.figures import main_drawings
from gnnkit.compare.report.protocol import caveats, methods, protocol, rerun_command, spec_text
from gnnkit.compare.report.scores import verdict_view
from gnnkit.compare.report.tables import FAMILIES_TITLE, horizon_label, persistence_summary, step_of
from gnnkit.compare.results import Results
from gnnkit.report.sections import Section, Statement

__all__ = ["Page", "page_of"]


class Page(NamedTuple):
    """The parts of a report; the scores stand behind the verdict."""

    verdict: Section
    evidence: list[Section]
    figures: Section
    checks: list[Section]
    closing: list[Section]


def page_of(results: Results) -> Page:
    """The parts for which the results have something.

    Args:
        results: What a comparison found.

    Raises:
        ValueError: The results have no rows.
    """
    if results.rows.empty:
        raise ValueError("results.rows is empty: there is nothing to report; run at least one model or baseline")
    figures = Section("figures", "Errors, training, forecasts", drawings=tuple(main_drawings(results)))
    found = evidence(results)
    return Page(_verdict(results, found), found, figures, checks(results), _closing(results))


def _verdict(results: Results, found: list[Section]) -> Section:
    """What must be known before any number, then each verdict in words."""
    view, persistence = verdict_view(results), _persistence(results)
    ablation = next((section.statements for section in found if section.name == "ablation"), ())
    parts = [
        Section(name, title, tuple(said), folded=name == "rest")
        for name, title, said in (
            ("families", FAMILIES_TITLE, view["families"]),
            ("same-model", "The same model with another graph", ablation),
            ("winner", "Best of all against the runner-up", view["winner"]),
            ("persistence", "Who beats repeating the last value?", persistence),
            ("rest", "All other verdicts (RMSE, each model against the last value)", view["rest"]),
        )
        if said
    ]
    first = [*audit_statements(results), *view["too-few"]]
    if not (view["families"] or view["winner"] or persistence or view["too-few"]):
        first.append(Statement("No two models were compared, so there is no verdict; the scores stand alone."))
    return Section("verdict", "Verdict", tuple(first), parts=tuple(parts))


def _persistence(results: Results) -> list[Statement]:
    words = ("Clearly better in MAE", "Not clearly different, so not shown to beat it", "Clearly worse")
    said = []
    for horizon, *groups in persistence_summary(results):
        parts = [f"{word}: {', '.join(names)}." for word, names in zip(words, groups, strict=True) if names]
        said.append(Statement(" ".join(parts), label=horizon_label(horizon, step_of(results))))
    return said


def _closing(results: Results) -> list[Section]:
    """Caveats, and how to make the same again."""
    parts = [
        Section("methods", "Methods", bullets=tuple(methods(results))),
        Section("inferred", "Inferred about the data", bullets=tuple(results.inferred)),
        *(Section(title.lower(), title, facts=tuple(entries)) for title, entries in protocol(results)),
        Section("spec", "What was asked for", code=spec_text(results), language="toml"),
        Section("command", "Run it again", code=rerun_command(results)),
    ]
    filled = tuple(part for part in parts if part.bullets or part.facts or part.code)
    return [
        Section("caveats", "Caveats", bullets=tuple(caveats(results))),
        Section("protocol", "How this was made", parts=filled),
    ]
