"""Spans of time in words: the step of a series, and so many steps ahead."""

from __future__ import annotations

__all__ = ["Step", "a_step", "axis_unit", "every_step", "span_in_words", "steps_in_words"]

_DAY = 24 * 60
_UNITS = (("week", 7 * _DAY), ("day", _DAY), ("hour", 60))

Step = float | str | None
"""Minutes of a step, or what it is where it has no fixed number of them: `"month"`, `"2 months"`; None: unknown."""


def span_in_words(minutes: float, *, step_minutes: float | None = None) -> str:
    """A span of time, in a unit that the step of its series has, or a smaller one.

    Args:
        minutes: The span.
        step_minutes: Minutes of a step; default: the span is a step.

    Returns:
        E.g. "1 week", "36 hours", "45 minutes" or "10 seconds".

    Example:
        >>> span_in_words(10080), span_in_words(60, step_minutes=5), span_in_words(1440, step_minutes=60)
        ('1 week', '60 minutes', '24 hours')
        >>> span_in_words(0.5), span_in_words(2160, step_minutes=15), span_in_words(90, step_minutes=10)
        ('30 seconds', '36 hours', '90 minutes')
    """
    step = minutes if step_minutes is None else step_minutes
    for name, size in _UNITS:
        if step >= size and minutes % size == 0:
            return _count(minutes / size, name)
    if minutes > 90 and minutes % 30 == 0:
        return _count(minutes / 60, "hour")
    return _count(minutes, "minute") if minutes >= 1 else _count(minutes * 60, "second")


def steps_in_words(steps: int, step: Step) -> str:
    """So many steps, as a span of time where the length of a step is known.

    Example:
        >>> steps_in_words(3, 5.0), steps_in_words(4, 10080.0), steps_in_words(2, "month"), steps_in_words(1, None)
        ('15 minutes', '4 weeks', '2 months', '1 step')
    """
    if isinstance(step, str) and step:
        count, _, unit = step.partition(" ")
        return _count(steps * int(count), unit.removesuffix("s")) if count.isdecimal() else _count(steps, step)
    if not isinstance(step, (int, float)) or step <= 0:
        return _count(steps, "step")
    return span_in_words(steps * step, step_minutes=step)


def a_step(step_minutes: float | None, step_unit: str) -> str:
    """A step with its article.

    Example:
        >>> a_step(60, ""), a_step(10080, ""), a_step(15, ""), a_step(None, "month"), a_step(None, "2 months")
        ('an hour', 'a week', '15 minutes', 'a month', '2 months')
    """
    text = steps_in_words(1, step_unit or step_minutes)
    number, _, rest = text.partition(" ")
    return text if number != "1" else f"{'an' if rest.startswith('hour') else 'a'} {rest}"


def every_step(step_minutes: float | None, step_unit: str) -> str:
    """How often there is a row.

    Example:
        >>> every_step(5, ""), every_step(10080, ""), every_step(None, "month"), every_step(None, "")
        ('a row every 5 minutes', 'a row a week', 'a row a month', 'times unknown')
    """
    if step_minutes is None and not step_unit:
        return "times unknown"
    text = steps_in_words(1, step_unit or step_minutes)
    number, _, rest = text.partition(" ")
    return f"a row {'an' if rest.startswith('hour') else 'a'} {rest}" if number == "1" else f"a row every {text}"


def axis_unit(step: Step, steps: int) -> tuple[float, str]:
    """How long a step is on an axis of so many steps, in a unit that makes small numbers, and that unit.

    Example:
        >>> axis_unit(5.0, 12), axis_unit(60.0, 12), axis_unit(10080.0, 4), axis_unit("2 months", 3), axis_unit(None, 3)
        ((5.0, 'minutes'), (1.0, 'hours'), (1.0, 'weeks'), (2.0, 'months'), (1.0, 'steps'))
    """
    if isinstance(step, str) and step:
        count, _, unit = step.partition(" ")
        return (float(count), unit) if count.isdecimal() else (1.0, f"{step}s")
    if not isinstance(step, (int, float)) or step <= 0:
        return 1.0, "steps"
    for unit, size in _UNITS:
        if (step >= size and step % size == 0) or (unit != "week" and step * steps > 4 * size and size % step == 0):
            return step / size, f"{unit}s"
    return float(step), "minutes"


def _count(number: float, unit: str) -> str:
    plural = "" if number == 1 else "s"
    return f"{number:g} {unit}{plural}"
