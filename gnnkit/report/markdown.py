"""Sections as Markdown, for a forge that shows such files."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

from gnnkit.report.sections import Section, Sheet, Statement

__all__ = ["escape_markdown", "fenced", "markdown_list", "markdown_table", "section_blocks", "sections_document"]

_SPECIAL = re.compile(r"([\\`*_\[\]<>|~$])")
_NUMBER = re.compile(r"[-+−<>~]? ?[.\d]")


def markdown_table(heads: Sequence[str], lines: Iterable[Sequence[str]], numbers: Collection[int] | None = None) -> str:
    """A table.

    Args:
        heads: Heads of the columns.
        lines: The cells of each line, escaped where they are a user's.
        numbers: Columns whose cells stand at the right. Default: those in which every cell that is not empty begins
            like a number.

    Returns:
        The table, without a line end behind it.

    Example:
        >>> print(markdown_table(["run", "score"], [["best", "0.97"]]))
        | run | score |
        | --- | --: |
        | best | 0.97 |
    """
    lines = list(lines)
    if numbers is None:
        cells = {at: [line[at] for line in lines if line[at]] for at in range(len(heads))}
        numbers = [at for at, column in cells.items() if column and all(map(_NUMBER.match, column))]
    rule = ["--:" if at in numbers else "---" for at in range(len(heads))]
    return "\n".join(f"| {' | '.join(line)} |" for line in (heads, rule, *lines))


def markdown_list(lines: Iterable[str]) -> str:
    """A list with a line an entry."""
    return "\n".join(f"- {line}" for line in lines)


def fenced(text: str, language: str = "") -> str:
    """Text that is shown as it is, whatever backticks it has."""
    fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
    return f"{fence}{language}\n{text}\n{fence}"


def escape_markdown(text: str) -> str:
    """Text that stands for itself, on one line.

    Example:
        >>> print(escape_markdown("gain_1 | <b>"))
        gain\\_1 \\| \\<b\\>
    """
    return _SPECIAL.sub(r"\\\1", " ".join(text.split()))


def section_blocks(section: Section, level: int = 2) -> list[str]:
    """A section without its figures; nothing of one that has nothing else.

    Args:
        section: The section.
        level: Of its headline. Default 2; its parts are one deeper.

    Returns:
        Blocks to be joined by empty lines.
    """
    blocks = [markdown_list(map(_statement, section.statements))]
    blocks += [f"![{escape_markdown(picture.label)}]({picture.name})" for picture in section.pictures]
    for sheets in section.sheets:
        for number, (label, sheet) in enumerate(sheets.choices):
            content = "\n\n".join(filter(None, (escape_markdown(sheet.caption), _sheet(sheet))))
            if sheets.folded or number != sheets.chosen:
                content = _folded(sheets.title if len(sheets.choices) == 1 else f"{sheets.title}: {label}", content)
            blocks.append(content)
    blocks += [escape_markdown(note) for note in section.notes]
    blocks.append(markdown_list(map(escape_markdown, section.bullets)))
    if section.facts:
        blocks.append(markdown_table(("", ""), ((name, escape_markdown(value)) for name, value in section.facts), ()))
    if section.code:
        blocks.append(fenced(section.code, section.language))
    for part in section.parts:
        blocks += section_blocks(part, level + 1)
    blocks = [block for block in blocks if block]
    if not blocks:
        return []
    if section.folded:
        return [_folded(section.title, "\n\n".join(blocks))]
    return [f"{'#' * level} {section.title}", *blocks]


def sections_document(title: str, about: str, sections: Sequence[Section]) -> str:
    """A document of sections.

    Args:
        title: Its headline.
        about: A paragraph below it.
        sections: Its parts.
    """
    blocks = [block for section in sections for block in section_blocks(section)]
    return "\n\n".join([f"# {title}", escape_markdown(about), *blocks]) + "\n"


def _folded(title: str, content: str) -> str:
    return f"<details><summary>{escape_markdown(title)}</summary>\n\n{content}\n\n</details>"


def _statement(said: Statement) -> str:
    tag = "" if said.clear is None else "**clear**: " if said.clear else "*open*: "
    tag = "**Mind**: " if said.warning else f"**{escape_markdown(said.label)}**: " if said.label else tag
    return f"{tag}{escape_markdown(said.text)}" + (f" ({escape_markdown(said.sample)})" if said.sample else "")


def _sheet(sheet: Sheet) -> str:
    lines = []
    for line in sheet.lines:
        cells = [_verbatim(entry.shown) if entry.verbatim else escape_markdown(entry.text) for entry in line]
        lines.append([f"**{cell}**" if entry.mark and cell else cell for entry, cell in zip(line, cells, strict=True)])
    numbers = range(sheet.names, len(sheet.columns) - sheet.words)
    return markdown_table(tuple(map(escape_markdown, sheet.columns)), lines, numbers)


def _verbatim(text: str) -> str:
    """As code, so that nothing in it is taken for markup; a backtick inside asks for a longer fence."""
    text = text.replace("|", "\\|")
    fence = "``" if "`" in text else "`"
    return f"{fence} {text} {fence}"
