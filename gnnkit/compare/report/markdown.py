"""The report as Markdown: the same verdicts and tables, for a forge that shows such files."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from gnnkit.compare.findings import FINDINGS
from gnnkit.compare.report.protocol import caveats, protocol, rerun_command, spec_text
from gnnkit.compare.report.scores import Cell, ScoreTable, facts, headline, score_table
from gnnkit.compare.report.sections import Section, Sheet, Statement
from gnnkit.compare.report.tables import (
    DASH,
    METRIC_NAMES,
    SCORE_NAMES,
    base_rows,
    format_number,
    horizon_label,
    step_of,
    with_unit,
)
from gnnkit.compare.results import Results
from gnnkit.data.spans import Step

__all__ = ["render_markdown", "write_markdown"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$])")


def write_markdown(results: Results, path: str | Path) -> Path:
    """Write the report of a comparison as a Markdown file: verdicts and tables, no figures.

    Args:
        results: What a comparison found.
        path: The file; its directory must be there.

    Returns:
        The path.

    Raises:
        ValueError: The results have no rows.
    """
    path = Path(path)
    path.write_text(render_markdown(results), encoding="utf-8", newline="\n")
    return path


def render_markdown(results: Results) -> str:
    """The text that `write_markdown` writes.

    Args:
        results: What a comparison found.

    Returns:
        A document in GitHub's Markdown.

    Raises:
        ValueError: The results have no rows.
    """
    if results.rows.empty:
        raise ValueError("results.rows is empty: there is nothing to report; run at least one model or baseline")
    blocks = [f"# {headline(results)} {_escaped(str(results.data.name))}"]
    blocks.append(" · ".join(f"{name}: {_escaped(value)}" for name, value in facts(results) if name != "data"))
    blocks.append("## Verdict")
    for group in FINDINGS.headlines(results):
        if not group.folded:
            blocks += [f"### {group.title}" if group.title else "", _statements(group.statements)]
    blocks += _scores(results)
    for section in FINDINGS.sections(results):
        blocks += _section(section) if section.statements or section.sheets else []
    blocks += ["## Caveats", _list(_escaped(sentence) for sentence in caveats(results))]
    blocks.append("## How this was made")
    for title, sentences in (("Methods", FINDINGS.methods(results)), ("Inferred about the data", results.inferred)):
        if sentences:
            blocks += [f"### {title}", _list(_escaped(sentence) for sentence in sentences)]
    for title, entries in protocol(results):
        blocks += [f"### {title}", _table(("", ""), ((name, _escaped(value)) for name, value in entries), (0, 0))]
    blocks += ["### What was asked for", _fenced(spec_text(results), "toml")]
    blocks += ["### Run it again", _fenced(rerun_command(results), "")]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _scores(results: Results) -> list[str]:
    minutes = step_of(results)
    found = set(base_rows(results)["score"])
    tables = [score_table(results, score) for score in SCORE_NAMES if score in found]
    blocks = ["## Scores"]
    for table in tables:
        about = _escaped(with_unit(f"Over {SCORE_NAMES[table.score]}", results))
        blocks += [f"### {about}", _score_table(table, minutes)]
    windows = ", ".join(
        f"{count:,} at {horizon_label(horizon, minutes)}"
        for horizon, count in zip(tables[0].horizons, tables[0].windows, strict=True)
    )
    notes = (
        f"★ best, by more than the noise; ° not set apart from the best; ± standard deviation over seeds; MAPE in %. "
        f"Test windows: {windows}."
    )
    return [*blocks, notes]


def _score_table(table: ScoreTable, minutes: Step) -> str:
    heads = [f"{horizon_label(h, minutes)} {METRIC_NAMES[metric]}" for h in table.horizons for metric in table.metrics]
    lines = []
    for line in table.lines:
        cells = [
            _score(cell, table.places(metric))
            for row in line.cells
            for metric, cell in zip(table.metrics, row, strict=True)
        ]
        seeds = DASH if line.family == "baseline" else str(line.seeds)
        tail = (seeds, format_number(line.parameters, 0), format_number(line.epoch_seconds, 2))
        lines.append((_escaped(line.model), line.family, *cells, *tail))
    columns = ("model", "family", *heads, "seeds", "parameters", "s per epoch")
    return _table(columns, lines, (2, 0))


def _score(cell: Cell, places: int) -> str:
    text = format_number(cell.mean, places)
    if cell.winner:
        text = f"**{text}** ★"
    text += "°" if cell.tied else ""
    return text if cell.std is None else f"{text} ± {format_number(cell.std, places)}"


def _section(section: Section) -> list[str]:
    blocks = [f"## {section.title}", _statements(section.statements)]
    for sheets in section.sheets:
        for number, (label, sheet) in enumerate(sheets.choices):
            content = f"{_escaped(sheet.caption)}\n\n{_sheet(sheet)}"
            if sheets.folded or number != sheets.chosen:
                title = sheets.title if len(sheets.choices) == 1 else f"{sheets.title}: {label}"
                content = f"<details><summary>{_escaped(title)}</summary>\n\n{content}\n\n</details>"
            blocks.append(content)
    return [*blocks, *(_escaped(note) for note in section.notes)]


def _sheet(sheet: Sheet) -> str:
    lines = [
        tuple(f"**{_escaped(entry.text)}**" if entry.mark and entry.text else _escaped(entry.text) for entry in line)
        for line in sheet.lines
    ]
    return _table(tuple(map(_escaped, sheet.columns)), lines, (sheet.names, sheet.words))


def _statements(statements: Iterable[Statement]) -> str:
    lines = []
    for said in statements:
        tag = "" if said.clear is None else "**clear**: " if said.clear else "*open*: "
        tag = "**Mind**: " if said.warning else tag
        lines.append(f"{tag}{_escaped(said.text)}" + (f" ({_escaped(said.sample)})" if said.sample else ""))
    return _list(lines)


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(heads: Sequence[str], lines: Iterable[Sequence[str]], words: tuple[int, int]) -> str:
    """A table whose first and last columns hold words, as many as `words` says, and the others numbers."""
    last = len(heads) - words[1]
    numeric = any(heads) and words != (0, 0)
    rule = ["--:" if numeric and words[0] <= at < last else "---" for at in range(len(heads))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *lines))


def _fenced(text: str, language: str) -> str:
    # As many backticks as the text itself does not have.
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def _escaped(text: str) -> str:
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))
