"""What is wrong with a spec, key by key, in words."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pydantic import ValidationError

__all__ = ["Key", "SpecProblems", "key_text", "nearest", "one_line", "spec_problems"]

Key = tuple[str | int, ...]
"""Where a value stands in a spec, e.g. `("settings", "mtgnn", "dropout")`; numbers are places in a list."""

SHOWN = 3
_PLAIN = {
    "dict_type": "give a table of names and values",
    "int_type": "give a whole number",
    "int_parsing": "give a whole number",
    "int_from_float": "give a whole number",
    "float_type": "give a number",
    "float_parsing": "give a number",
    "finite_number": "give a finite number",
    "bool_type": "give true or false",
    "bool_parsing": "give true or false",
    "string_type": "give a text",
    "greater_than": "give more than {gt:g}",
    "greater_than_equal": "give at least {ge:g}",
    "less_than": "give less than {lt:g}",
    "less_than_equal": "give at most {le:g}",
    "literal_error": "give {expected}",
    "too_short": "give at least {min_length} value",
    "too_long": "give {max_length} values",
}
_TABLES = ("settings", "search", "data_options")


class SpecProblems(ValueError):
    """Several faults of one field, each with its own place below the field.

    Args:
        problems: pairs of key and message.
    """

    def __init__(self, problems: Sequence[tuple[Key, str]]) -> None:
        super().__init__("; ".join(text for _, text in problems))
        self.problems = tuple(problems)


def spec_problems(error: ValidationError, fields: Iterable[str]) -> list[tuple[Key, str]]:
    """Every fault that pydantic found, as pairs of key and message, in the order in which they were found.

    Args:
        error: what pydantic raised.
        fields: the names that a spec may have.
    """
    found: dict[tuple[Key, str], None] = {}
    for one in error.errors():
        key, context = tuple(one["loc"]), one.get("ctx", {})
        cause = context.get("error")
        if one["type"] == "default_factory_not_called":
            continue  # a default that waits for another field, which has a fault of its own
        if one["type"] == "too_short" and len(one["input"]) >= context["min_length"]:
            continue  # without those of its values that have a fault of their own
        if isinstance(cause, SpecProblems):
            found |= {(key + below, text): None for below, text in cause.problems}
        elif one["type"] == "extra_forbidden":
            found[key, _unknown(str(key[-1]), one["input"], fields)] = None
        elif one["type"] == "value_error":
            found[key, one["msg"].removeprefix("Value error, ")] = None
        elif one["type"] == "missing":
            place, value = key[-1], one["input"]
            text = f"{value!r} is too short: there is no value {place + 1}" if isinstance(place, int) else ""
            found[key, text or "it is missing; give it"] = None
        elif one["type"] in ("tuple_type", "list_type"):
            found[key, f"{one['input']!r} is not a list; write {_as_list(key, one['input'])}"] = None
        else:
            # pydantic's own messages do not show the value, and some speak of Python's types.
            message = f"{one['msg'][:1].lower()}{one['msg'][1:]}"
            if one["type"] in _PLAIN:
                message = _PLAIN[one["type"]].format(**context)
            found[key, f"{one['input']!r} is not allowed: {message}"] = None
    return list(found)


def key_text(key: Key) -> str:
    """A key as it is written: parts with dots between them, without the numbers of items in a list.

    Example:
        >>> key_text(("settings", "mtgnn", "dropout")), key_text(("seeds", 1))
        ('settings.mtgnn.dropout', 'seeds')
    """
    return ".".join(part for part in key if isinstance(part, str))


def one_line(problems: Sequence[str]) -> str:
    """Up to three faults on a line, and how many more there are.

    Example:
        >>> one_line(["a: 1", "b: 2", "c: 3", "d: 4"])
        'a: 1; b: 2; c: 3; and 1 more'
    """
    more = [f"and {len(problems) - SHOWN} more"] if len(problems) > SHOWN else []
    return "; ".join([*problems[:SHOWN], *more])


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of a complaint about an unknown name: the nearest known one, and all of them.

    Example:
        >>> nearest("lstn", ["lstm", "gru"])
        "; did you mean 'lstm'? Known: lstm, gru"
    """
    known = list(known)
    near = difflib.get_close_matches(name.lower(), known, n=1, cutoff=0.5)
    names = ", ".join(known)
    return f"; did you mean {near[0]!r}? Known: {names}" if near else f"; choose from {names}"


def _unknown(name: str, value: object, fields: Iterable[str]) -> str:
    """What to say of a key that a spec does not have."""
    if isinstance(value, dict):
        near = difflib.get_close_matches(name.lower(), _TABLES, n=1, cutoff=0.7)
        tables = f"{', '.join(_TABLES[:-1])} and {_TABLES[-1]}"
        hint = f"did you mean {near[0]!r}?" if near else f"all keys but {tables} stand above all tables"
        return f"there is no such table; {hint}"
    near = ["hidden_channels"] if name == "hidden" else difflib.get_close_matches(name.lower(), list(fields), 1, 0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"choose from {', '.join(fields)}"
    return f"there is no such setting; {hint}"


def _as_list(key: Key, value: object) -> str:
    """What was probably meant by one value in the place of a list."""
    if isinstance(value, str):
        return json.dumps([part.strip() for part in value.split(",")], ensure_ascii=False)
    count = value if key == ("seeds",) and isinstance(value, int) and 1 < value <= 10 else 0
    return str(list(range(count)) if count else [value])
