"""The sentences of the quick look; they speak of what was tested, and of the graph only where it was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gnnkit.compare.findings.difference import MARGIN, Words
from gnnkit.compare.neighbours.fits import WITH, WITHOUT
from gnnkit.compare.neighbours.record import Answer, Gain, Left
from gnnkit.report.numbers import format_p

__all__ = [
    "SHORT",
    "answer_at",
    "answer_of",
    "below_margin",
    "detectable_in_percent",
    "interval_in_percent",
    "left_in_words",
    "percent",
]


_AGAINST = ("none", "shuffled")
SHORT = {
    "graph": "Yes: ridge regression gains by its neighbours, and shuffled neighbours do not give it that",
    "nodes": "Not shown: other nodes help ridge regression, but its neighbours not clearly more than shuffled ones",
    "harms": "No: the neighbours' values make ridge regression worse",
    "no": "No: a gain of 1% by its neighbours is ruled out for ridge regression",
    "open": "Open: ridge regression is not told apart with and without its neighbours",
    "too-few": "Open: the test windows are too few",
}
"""The answer to "does the given graph help?", by kind."""
_BARELY_MORE = "Not shown: other nodes help ridge regression, and its neighbours less than 1% more than shuffled ones"
_NO_ERROR = "No: ridge regression makes no error without its neighbours, so they have none to take away"


def below_margin(gain: Gain) -> bool:
    """Whether a gain of the margin or more is ruled out."""
    return gain.low is not None and -gain.low < MARGIN * gain.other


def _said(kind: str, gains: Mapping[str, Gain]) -> str:
    """The answer in words."""
    none, shuffled = gains["none"], gains.get("shuffled")
    if kind == "no" and not none.other:
        return _NO_ERROR
    if kind == "nodes" and shuffled is not None and shuffled.clear and below_margin(shuffled):
        return _BARELY_MORE
    return SHORT[kind]


def percent(share: float | None, *, plus: bool = True) -> str:
    """−1.7%; what is smaller than a tenth of a percent has its first digit.

    Example:
        >>> percent(-0.0171), percent(0.12), percent(None), percent(0.0342, plus=False), percent(0.00032)
        ('−1.7%', '+12%', '–', '3.4%', '+0.03%')
    """
    if share is None:
        return "–"
    size = 100 * abs(share)
    text = f"{size:.1f}" if 0.095 <= size < 9.95 else f"{size:.0f}" if size >= 9.95 else f"{size:.2f}"
    text = "0.0" if float(text) == 0 else text
    sign = "" if float(text) == 0 or not (plus or share < 0) else "−" if share < 0 else "+"
    return f"{sign}{text}%"


def answer_at(kind: str, gains: Mapping[str, Gain], words: Words, shortage: str = "") -> str:
    """What is said at one horizon."""
    none, shuffled = gains["none"], gains.get("shuffled")
    when = words.ahead(none.horizon)
    start = when[0].upper() + when[1:]
    if kind == "too-few":
        return f"{start}: {shortage}"
    mae = f"MAE {words.value(none.mae)} with the neighbours of the given graph"
    without = f"{words.value(none.other)} without ({_against(none, words)})"
    with_other = (
        f" and {words.value(shuffled.other)} with shuffled ones ({_against(shuffled, words)})" if shuffled else ""
    )
    if not none.other:
        return f"{start}: {_said(kind, gains)}: {mae}."
    return f"{start}: {_said(kind, gains)}: {mae}, {without}{with_other}.{_power(kind, gains, words)}"


def answer_of(answers: Sequence[Answer], gains: Sequence[Gain], words: Words) -> tuple[str, str]:
    """The answer over all horizons: its kind, and a sentence or two."""
    kinds = list(dict.fromkeys(answer.kind for answer in answers))
    by_place = {(gain.horizon, gain.against): gain for gain in gains}
    order = [kind for kind in ("graph", "harms", "nodes", "no", "open", "too-few") if kind in kinds]
    parts = []
    for kind in order:
        same = [answer for answer in answers if answer.kind == kind]
        if kind == "too-few":
            parts.append(f"{SHORT[kind]}. {same[0].sentence}")
            continue
        said: dict[str, list[int]] = {}
        for answer in same:
            own = {name: by_place[answer.horizon, name] for name in _AGAINST if (answer.horizon, name) in by_place}
            said.setdefault(_said(kind, own), []).append(answer.horizon)
        for text, horizons in said.items():
            last = horizons[-1]
            names = [_short(horizon, words) for horizon in horizons]
            numbers = f"{percent(by_place[last, 'none'].share)} error"
            if (last, "shuffled") in by_place:
                numbers += f", {percent(by_place[last, 'shuffled'].share)} against shuffled graphs"
            numbers = numbers if len(names) == 1 else f"at {names[-1]} {numbers}"
            numbers = f": {numbers}{_least(kind, by_place[last, 'none'])}" if by_place[last, "none"].other else ""
            parts.append(f"{text} (up to {_listed(names)}{numbers}).")
    return (kinds[0] if len(kinds) == 1 else "some"), " ".join(parts)


def left_in_words(left: Sequence[Left], *, shortest: int = 1, found: bool = False) -> str:
    """Is anything left that neighbours could explain?

    Args:
        left: what the AZ test says.
        shortest: the shortest horizon that was scored.
        found: whether the scores show at every horizon that the graph helps.
    """
    by_model = {each.model: each for each in left if each.part == "lagged"}
    without, with_graph = by_model.get(WITHOUT), by_model.get(WITH)
    parts = []
    for row in filter(None, (without, with_graph)):
        numbers = f"{100 * row.agreement:.1f}% agree in sign, {_p(row.p)}"
        if row.shuffled is not None:
            against = "" if row.shuffled_p is None else f", {_p(row.shuffled_p)} against them"
            numbers += f"; {100 * row.shuffled:.1f}% on shuffled graphs{against}"
        subject = f"of {row.model}"
        if not parts:
            subject = f"AZ test of the errors of {row.model} one step ahead, beside those of neighbours a step before"
        parts.append(f"{subject}: {_left_said(row, without)} ({numbers})")
    if not parts:
        return ""
    sentence = f"{'; '.join(parts)}."
    taken = without is not None and without.clear and (with_graph is None or not with_graph.clear)
    if taken and shortest > 1 and not found:
        sentence += " Neighbours tell of the next step: --horizon 1 asks about that alone."
    return sentence


def _left_said(row: Left, without: Left | None) -> str:
    if row is without:
        what = "something is left that neighbours' values could explain"
        return what if row.clear else "their signs show nothing that neighbours could explain"
    before = without is not None and without.clear
    if row.clear:
        return "something is left still" if before else "something is seen here"
    return "nothing more is seen" if before else "nothing is seen"


def _p(value: float) -> str:
    text = format_p(value)
    return f"p {text}" if text[0] == "<" else f"p = {text}"


def interval_in_percent(gain: Gain) -> str:
    """−2.1% to −1.3%; a dash where there is no interval."""
    if gain.low is None or gain.high is None or not gain.other:
        return "–"
    return f"{percent(gain.low / gain.other)} to {percent(gain.high / gain.other)}"


def detectable_in_percent(gain: Gain | None) -> str:
    """The smallest change that a test finds; a dash where none was made."""
    if gain is None or not gain.detectable or not gain.other:
        return "–"
    share = gain.detectable / gain.other
    return percent(share, plus=False) if share >= 5e-5 else "<0.01%"


def _against(gain: Gain, words: Words) -> str:
    return f"{percent(gain.share)}, {100 * words.confidence:g}% interval {interval_in_percent(gain)}, {words.p(gain)}"


def _power(kind: str, gains: Mapping[str, Gain], words: Words) -> str:
    """What could have been found, where nothing was."""
    gain = {"open": gains["none"], "nodes": gains.get("shuffled")}.get(kind)
    if gain is None or not gain.detectable:
        return ""
    share = f" ({detectable_in_percent(gain)})" if gain.other else ""
    sentence = f"A true difference of {words.value(gain.detectable)}{share} would be found with a chance of 80%"
    times = (gain.detectable / gain.difference) ** 2 if gain.difference else math.inf
    more = f"; this one, in {float(f'{times:.2g}'):g} times the rows" if 1 < times < 1000 else ""
    return f" {sentence}{more}."


def _least(kind: str, gain: Gain) -> str:
    if kind != "open" or not gain.detectable or not gain.other:
        return ""
    return f"; {detectable_in_percent(gain)} would be found with a chance of 80%"


def _short(horizon: int, words: Words) -> str:
    """15 minutes"""
    return words.ahead(horizon).removesuffix(" ahead").split(" (")[0].removeprefix("up to ")


def _listed(names: Sequence[str]) -> str:
    """15, 30 and 60 minutes"""
    *others, last = names
    unit = last.partition(" ")[2].removesuffix("s")
    if all(name.partition(" ")[2].removesuffix("s") == unit for name in others):
        names = [*(name.partition(" ")[0] for name in others), last]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
