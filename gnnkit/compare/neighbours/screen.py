"""The quick look on one screen: 24 lines of 80 columns, the answer first."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from typing import Any

from gnnkit.compare.neighbours.record import Gain, Neighbours
from gnnkit.compare.neighbours.result import Quick
from gnnkit.compare.neighbours.words import detectable_in_percent, percent
from gnnkit.compare.report.tables import horizon_label
from gnnkit.report.numbers import DASH, decimals, format_number

__all__ = ["WIDTH", "screen"]

WIDTH, LINES = 80, 24
_MOST_HORIZONS = 4
_ROOM = 8
"""Characters of a score."""
_BASIS = {"graph": "Yes", "nodes": "Not shown", "harms": "No, worse", "no": "No", "open": "Open", "too-few": "Too few"}


def screen(quick: Quick) -> list[str]:
    """The lines, none longer than 80 characters; the answer stands in the first.

    Args:
        quick: what was found.
    """
    found, facts = quick.found, quick.facts
    lines = textwrap.wrap(f"{facts['name']}: {found.sentence}", WIDTH)
    tail = [*_facts(quick), *(line for note in found.notes for line in textwrap.wrap(note, WIDTH))]
    table = ["", *_table(found, facts)]
    left = ["", *textwrap.wrap(found.left_sentence, WIDTH)] if found.left_sentence else []
    parts = [*lines, *table, *left, "", *tail]
    if len(parts) > LINES:  # names and sentences may be long: gaps go first
        parts = [line for line in parts if line]
    return parts[:LINES]


def _table(found: Neighbours, facts: dict[str, Any]) -> list[str]:
    errors = [error for gain in found.gains for error in (gain.mae, gain.other)]
    scale = _scale(errors)
    places = decimals([error / scale for error in errors], 4)
    unit = f" in {scale:.0e}" if scale != 1 else ""
    unit += f" ({facts['unit']})" if facts["unit"] else ""
    shown = found.answers[-_MOST_HORIZONS:]
    heads = ("up to", "no edges", "given", "shuffled", "no edges", "shuffled", "found at", "helps?")
    lines = [f"{'':9}{f'MAE{unit} with the graph':<30} given graph against", _line(heads)]
    for answer in shown:
        none = found.gain(answer.horizon, "none")
        shuffled = found.gain(answer.horizon, "shuffled") if found.has(answer.horizon, "shuffled") else None
        cells = (
            horizon_label(answer.horizon, facts["step"]),
            *(_score(value, scale, places) for value in (none.other, none.mae, shuffled.other if shuffled else None)),
            *(_change(gain) for gain in (none, shuffled)),
            detectable_in_percent(none),
            _BASIS[answer.kind],
        )
        lines.append(_line(cells))
    level = f"{100 * facts['confidence']:g}%"
    about = f"* clear at {level}, all tests of the table together; found at: a change that 80% of such tests find"
    return [*lines, *textwrap.wrap(about, WIDTH)]


def _scale(errors: Sequence[float]) -> float:
    """What errors are divided by that a column has no room for: a power of a thousand."""
    largest = max(errors)
    if not largest or 0.01 <= largest < 1e5:
        return 1.0
    return 1000.0 ** math.floor(math.log10(largest) / 3)


def _score(value: float | None, scale: float, places: int) -> str:
    text = format_number(None if value is None else value / scale, places)
    return text if len(text) <= _ROOM else format_number(None if value is None else value / scale, 2)


def _line(cells: tuple[str, ...]) -> str:
    first, *rest, last = cells
    widths = (9, 9, 9, 12, 12, 9)
    middle = "".join(f"{cell:>{width}}" for cell, width in zip(rest, widths, strict=True))
    return f"{first[:9]:<9}{middle}  {last}".rstrip()


def _change(gain: Gain | None) -> str:
    if gain is None:
        return f"{DASH} "
    return f"{percent(gain.share)}{'*' if gain.clear else ' '}"


def _facts(quick: Quick) -> list[str]:
    found, facts = quick.found, quick.facts
    folds = "one split" if found.folds == 1 else f"{found.folds} folds"
    text = (
        f"{facts['rows']:,} rows × {facts['nodes']:,} nodes, {facts['edges']:,} edges; {folds}, {found.windows:,} test "
        f"windows in {found.spans} spans; {found.shuffles} shuffled graphs; {quick.environment['wall_seconds']:.0f} s."
    )
    return textwrap.wrap(text, WIDTH)
