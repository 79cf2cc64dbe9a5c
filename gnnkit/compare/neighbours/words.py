"""The sentences of the quick look; they speak of what was tested, and of the graph only where it was."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gnnkit.compare.findings.difference import Words
from gnnkit.compare.neighbours.fits import WITH, WITHOUT
from gnnkit.compare.neighbours.record import Answer, Gain, Left
from gnnkit.report.numbers import format_p

__all__ = ["SHORT", "answer_at", "answer_of", "interval_in_percent", "left_in_words", "percent"]

SHORT = {
    "graph": "Yes: ridge regression gains by its neighbours, and shuffled neighbours do not give it that",
    "nodes": "Not shown: other nodes help ridge regression, but its neighbours not clearly more than shuffled ones",
    "harms": "No: the neighbours' values make ridge regression worse",
    "no": "No: a gain of 1% by its neighbours is ruled out for ridge regression",
    "open": "Open: ridge regression is not told apart with and without its neighbours",
    "too-few": "Open: the test windows are too few",
}
"""The answer to "does the given graph help?", by kind."""


def percent(share: float | None, *, plus: bool = True) -> str:
    """−1.7%

    Example:
        >>> percent(-0.0171), percent(0.12), percent(None), percent(0.0342, plus=False)
        ('−1.7%', '+12%', '–', '3.4%')
    """
    if share is None:
        return "–"
    size = 100 * abs(share)
    text = f"{size:.1f}" if size < 9.95 else f"{size:.0f}"
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
    return f"{start}: {SHORT[kind]}: {mae}, {without}{with_other}.{_power(kind, gains, words)}"


def answer_of(answers: Sequence[Answer], gains: Sequence[Gain], words: Words) -> tuple[str, str]:
    """The answer over all horizons: its kind, and a sentence or two."""
    kinds = list(dict.fromkeys(answer.kind for answer in answers))
    by_place = {(gain.horizon, gain.against): gain for gain in gains}
    order = [kind for kind in ("graph", "harms", "nodes", "no", "open", "too-few") if kind in kinds]
    parts = []
    for kind in order:
        horizons = [answer.horizon for answer in answers if answer.kind == kind]
        last = horizons[-1]
        if kind == "too-few":
            sentence = next(answer.sentence for answer in answers if answer.kind == kind)
            parts.append(f"{SHORT[kind]}. {sentence}")
            continue
        names = [_short(horizon, words) for horizon in horizons]
        numbers = f"{percent(by_place[last, 'none'].share)} error"
        if (last, "shuffled") in by_place:
            numbers += f", {percent(by_place[last, 'shuffled'].share)} against shuffled graphs"
        numbers = numbers if len(names) == 1 else f"at {names[-1]} {numbers}"
        parts.append(f"{SHORT[kind]} (up to {_listed(names)}: {numbers}{_least(kind, by_place[last, 'none'])}).")
    return (kinds[0] if len(kinds) == 1 else "some"), " ".join(parts)


def left_in_words(left: Sequence[Left]) -> str:
    """Is anything left that neighbours could explain?"""
    found = {(each.model, each.part): each for each in left}
    parts = []
    for model, about in (
        (
            WITHOUT,
            ("something is left that neighbours' values could explain", "nothing is seen that they could explain"),
        ),
        (WITH, ("something is left still", "nothing more is seen")),
    ):
        row = found.get((model, "lagged"))
        if row is None:
            continue
        numbers = f"{100 * row.agreement:.1f}% agree in sign, {_p(row.p)}"
        if row.shuffled is not None:
            against = "" if row.shuffled_p is None else f", {_p(row.shuffled_p)} against them"
            numbers += f"; {100 * row.shuffled:.1f}% on shuffled graphs{against}"
        subject = f"of {model}"
        if not parts:
            subject = f"AZ test of the errors of {model} one step ahead, beside those of neighbours a step before"
        parts.append(f"{subject}: {about[0] if row.clear else about[1]} ({numbers})")
    return f"{'; '.join(parts)}." if parts else ""


def _p(value: float) -> str:
    text = format_p(value)
    return f"p {text}" if text[0] == "<" else f"p = {text}"


def interval_in_percent(gain: Gain) -> str:
    """−2.1% to −1.3%; a dash where there is no interval."""
    if gain.low is None or gain.high is None or not gain.other:
        return "–"
    return f"{percent(gain.low / gain.other)} to {percent(gain.high / gain.other)}"


def _against(gain: Gain, words: Words) -> str:
    return f"{percent(gain.share)}, {100 * words.confidence:g}% interval {interval_in_percent(gain)}, {words.p(gain)}"


def _power(kind: str, gains: Mapping[str, Gain], words: Words) -> str:
    """What could have been found, where nothing was."""
    gain = {"open": gains["none"], "nodes": gains.get("shuffled")}.get(kind)
    if gain is None or not gain.detectable:
        return ""
    share = f" ({percent(gain.detectable / gain.other, plus=False)})" if gain.other else ""
    sentence = f"A true difference of {words.value(gain.detectable)}{share} would be found with a chance of 80%"
    times = (gain.detectable / gain.difference) ** 2 if gain.difference else math.inf
    more = f"; this one, in {float(f'{times:.2g}'):g} times the rows" if 1 < times < 1000 else ""
    return f" {sentence}{more}."


def _least(kind: str, gain: Gain) -> str:
    if kind != "open" or not gain.detectable or not gain.other:
        return ""
    return f"; {percent(gain.detectable / gain.other, plus=False)} would be found with a chance of 80%"


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
