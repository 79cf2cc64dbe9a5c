"""The quick look as tables: for the reports of a comparison, and for its own page and screen."""

from __future__ import annotations

from gnnkit.compare.neighbours.record import Gain, Left, Neighbours
from gnnkit.compare.neighbours.words import SHORT, detectable_in_percent, interval_in_percent, percent
from gnnkit.compare.report.tables import horizon_label
from gnnkit.data.spans import Step
from gnnkit.report.numbers import DASH, decimals, format_number, format_p
from gnnkit.report.sections import Entry, Section, Sheet, Sheets, Statement

__all__ = ["METHOD", "neighbours_section"]

METHOD = (
    "Quick look: ridge regression on a node's last values, with and without the mean of its neighbours' last values "
    "(Hoerl and Kennard, 1970), fitted in closed form in every fold; the same with graphs whose nodes are permuted. A "
    "gain is called the graph's only where the given graph is clearly better than no edges and than the shuffled "
    "graphs; all of these tests are one family. What is left in the errors one step ahead is tested by their signs "
    "(AZ test; Zambon and Alippi, 2022): over the graph in one step, from a node to its own next error, and from a "
    "neighbour's error to the next one of a node, which is what neighbours' values could have told. Where all nodes "
    "move together every graph agrees; so what is called left must agree more or less often than shuffled graphs do (t "
    "over spans)."
)
_PARTS = {
    "both": "space and time",
    "lagged": "neighbours, a step before",
    "space": "neighbours, same step",
    "time": "own, a step before",
}


def neighbours_section(found: Neighbours, *, unit: str, step: Step, confidence: float) -> Section:
    """Answer, numbers, and what is left.

    Args:
        found: the quick look.
        unit: of the data.
        step: minutes of a step, or what it is.
        confidence: of the intervals.
    """
    title = "In a minute: do neighbours' values help ridge regression?"
    if not found.answers:
        return Section("neighbours", title, (Statement(found.sentence),))
    statements = tuple(
        Statement(each.sentence, clear=each.kind in ("graph", "harms", "no"), warning=each.kind == "too-few")
        for each in found.answers
    )
    sheets = [Sheets("Ridge regression on several graphs", (("all", _scores(found, unit, step, confidence)),))]
    if found.left:
        sheets.append(Sheets("What is left in the errors", (("all", _left(found)),)))
    notes = tuple(filter(None, (found.left_sentence, *found.notes)))
    return Section("neighbours", title, statements, (), tuple(sheets), notes)


def _scores(found: Neighbours, unit: str, step: Step, confidence: float) -> Sheet:
    places = decimals([gain.mae for gain in found.gains], 4)
    lines = []
    for answer in found.answers:
        none = found.gain(answer.horizon, "none")
        shuffled = found.gain(answer.horizon, "shuffled") if found.has(answer.horizon, "shuffled") else None
        scores = (none.other, none.mae, shuffled.other if shuffled else None)
        cells = [Entry(format_number(score, places), score) for score in scores]
        for gain in (none, shuffled):
            cells += _gain_entries(gain)
        said = SHORT[answer.kind].partition(":")[0]
        lines.append((Entry(horizon_label(answer.horizon, step), answer.horizon), *cells, Entry(said)))
    interval = f"{100 * confidence:g}% interval"
    against = [f"{head}{which}" for which in ("", ", shuffled") for head in ("change", interval, "p", "could be found")]
    heads = ("up to", "no edges", "given graph", "shuffled", *against, "helps?")
    about = f"MAE{f' ({unit})' if unit else ''}; n = {found.windows:,} windows in {found.folds} "
    about += (
        f"fold{'' if found.folds == 1 else 's'}, {found.spans} spans; {found.shuffles} shuffled graphs; change: of "
    )
    about += "the given graph against no edges, and against the shuffled graphs; could be found: with a chance of 80%"
    return Sheet(about, heads, tuple(lines), words=1)


def _gain_entries(gain: Gain | None) -> list[Entry]:
    if gain is None:
        return [Entry(DASH)] * 4
    mark = "" if not gain.clear else "good" if gain.difference < 0 else "bad"
    could = gain.detectable / gain.other if gain.detectable is not None and gain.other else None
    return [
        Entry(percent(gain.share), gain.share, mark),
        Entry(interval_in_percent(gain), gain.low),
        Entry(format_p(gain.p), gain.p),
        Entry(detectable_in_percent(gain), could),
    ]


def _left(found: Neighbours) -> Sheet:
    lines = tuple((Entry(each.model), Entry(_PARTS[each.part]), *_left_entries(each)) for each in found.left)
    heads = ("model", "pairs of errors", "agree in sign", "shuffled", "z", "p", "p against shuffled")
    about = "Errors one step ahead, each node's less their median; half of the pairs agree by chance"
    return Sheet(about, heads, lines, names=2)


def _left_entries(each: Left) -> list[Entry]:
    agreement = Entry(_share(each.agreement), each.agreement, "bad" if each.clear else "")
    return [
        agreement,
        Entry(_share(each.shuffled), each.shuffled),
        Entry(format_number(each.statistic, 1), each.statistic),
        Entry(format_p(each.p), each.p),
        Entry(format_p(each.shuffled_p), each.shuffled_p),
    ]


def _share(share: float | None) -> str:
    return DASH if share is None else f"{100 * share:.1f}%"
