"""The comparison's report as Markdown: the same verdicts and tables, for a forge that shows such files."""

from __future__ import annotations

from pathlib import Path

from gnnkit.compare.report.page import page_of
from gnnkit.compare.report.scores import Cell, ScoreTable, facts, headline, score_table
from gnnkit.compare.report.tables import SCORE_NAMES, TARGET_ONLY, base_rows, with_unit
from gnnkit.compare.results import Results
from gnnkit.report.markdown import escape_markdown, markdown_table, section_blocks
from gnnkit.report.numbers import DASH, format_number

__all__ = ["render_markdown", "write_markdown"]


def write_markdown(results: Results, path: str | Path) -> Path:
    """Write the report of a comparison as a Markdown file: verdicts and tables, no figures.

    Args, Returns, Raises: As `gnnkit.compare.report.html.write_report`.
    """
    path = Path(path)
    path.write_text(render_markdown(results), encoding="utf-8", newline="\n")
    return path


def render_markdown(results: Results) -> str:
    """The document in GitHub's Markdown that `write_markdown` writes."""
    page = page_of(results)
    blocks = [f"# {headline(results)} {escape_markdown(results.data.name)}"]
    blocks.append(" · ".join(f"{name}: {escape_markdown(value)}" for name, value in facts(results) if name != "data"))
    blocks += [*section_blocks(page.verdict), *_scores(results)]
    for section in (*page.evidence, *page.checks, *page.closing):
        blocks += section_blocks(section)
    return "\n\n".join(blocks) + "\n"


def _scores(results: Results) -> list[str]:
    found = set(base_rows(results)["score"])
    tables = [score_table(results, score) for score in SCORE_NAMES if score in found]
    blocks = ["## Scores"]
    for table in tables:
        about = escape_markdown(with_unit(f"Over {table.about}", results))
        blocks += [f"### {about}", _score_table(table)]
    counts = zip(tables[0].windows, tables[0].labels, strict=True)
    windows = ", ".join(f"{count:,} at {label}" for count, label in counts)
    notes = (
        "★ best, by more than the noise (exploratory); ° not set apart from the best; ± standard deviation over seeds; "
        "MAPE in %. "
        f"{f'† {TARGET_ONLY}. ' if results.data.target_only else ''}Test windows: {windows}."
    )
    return [*blocks, notes]


def _score_table(table: ScoreTable) -> str:
    heads = [f"{label} {name}" for label in table.labels for name in table.metric_names]
    lines = []
    for line in table.lines:
        cells = [
            _score(cell, table.places[metric])
            for row in line.cells
            for metric, cell in zip(table.metrics, row, strict=True)
        ]
        seeds = DASH if line.family == "baseline" else str(line.seeds)
        tail = (seeds, format_number(line.parameters, 0), format_number(line.epoch_seconds, 2))
        model = escape_markdown(line.model) + (" †" if line.target_only else "")
        lines.append((model, line.family, *cells, *tail))
    columns = ("model", "family", *heads, "seeds", "parameters", "s per epoch")
    return markdown_table(columns, lines, range(2, len(columns)))


def _score(cell: Cell, places: int) -> str:
    text = format_number(cell.mean, places)
    if cell.winner:
        text = f"**{text}** ★"
    text += "°" if cell.tied else ""
    return text if cell.std is None else f"{text} ± {format_number(cell.std, places)}"
