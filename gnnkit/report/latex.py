"""Tables for a paper: LaTeX with booktabs."""

from __future__ import annotations

from collections.abc import Sequence

from gnnkit.report.sections import Sheet

__all__ = ["escape_latex", "latex_sheet", "latex_table"]

_LINES = 40
"""More do not fit on a page."""
_CHARACTERS = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "<": r"$<$", ">": r"$>$", "−": r"$-$", "±": r"$\pm$",
    "–": "--", "—": "---", "“": "``", "”": "''", "…": r"\dots{}", "×": r"$\times$", "÷": r"$\div$", "·": r"$\cdot$",
    "≤": r"$\le$", "≥": r"$\ge$", "²": r"\textsuperscript{2}", "³": r"\textsuperscript{3}", "°": r"\textdegree{}",
    "µ": r"\textmu{}",
}  # fmt: skip


def escape_latex(text: str) -> str:
    """Text that stands for itself in LaTeX.

    Example:
        >>> print(escape_latex("gain_1 ± 5 %"))
        gain\\_1 $\\pm$ 5 \\%
    """
    return "".join(_CHARACTERS.get(character, character) for character in " ".join(text.split()))


def latex_sheet(sheet: Sheet, label: str, about: str = "") -> list[str]:
    """A table of a report; a long one in several parts.

    Args:
        sheet: The table.
        label: Its label, without `tab:`; later parts have a number behind it.
        about: LaTeX that stands before the caption.

    Returns:
        A table environment a part.
    """
    last = len(sheet.columns) - sheet.words
    columns = "".join("l" if at < sheet.names or at >= last else "r" for at in range(len(sheet.columns)))
    lines = [" & ".join(escape_latex(entry.text) for entry in line) + r" \\" for line in sheet.lines]
    heads = " & ".join(map(escape_latex, sheet.columns))
    pages = [lines[first : first + _LINES] for first in range(0, len(lines), _LINES)]
    tables = []
    for number, page in enumerate(pages):
        content = [rf"{heads} \\", r"\midrule", *page]
        part = f" Part {number + 1} of {len(pages)}." if len(pages) > 1 else ""
        caption = f"{about}{escape_latex(sheet.caption)}.{part}"
        tables.append(latex_table(columns, content, caption, label if number == 0 else f"{label}-{number + 1}"))
    return tables


def latex_table(columns: str, content: Sequence[str], caption: str, label: str) -> str:
    """A table environment.

    Args:
        columns: Of the tabular, e.g. "lrr".
        content: Lines of LaTeX between the outer rules.
        caption: LaTeX.
        label: Its label, without `tab:`.
    """
    lines = [
        r"\begin{table}[t]",
        r"\centering\footnotesize\setlength{\tabcolsep}{4pt}",
        rf"\caption{{{caption}}}",
        rf"\label{{tab:{label}}}",
        rf"\begin{{tabular}}{{{columns}}}",
        r"\toprule",
        *content,
        r"\bottomrule",
        r"\end{tabular}",
        r"\end{table}",
    ]
    return "\n".join(lines)
