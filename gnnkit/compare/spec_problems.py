"""What is wrong with a spec, key by key, in words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from pydantic import ValidationError

__all__ = ["Key", "SpecProblems", "key_text", "nearest", "one_line", "spec_problems"]

Key = tuple[str | int, ...]
"""Where a value stands in a spec, e.g. `("settings", "mtgnn", "dropout")`; numbers are places in a list."""

SHOWN = 3
_PLAIN = {
    "tuple_type": "give a list, e.g. [0, 1, 2]",
    "dict_type": "give a table of names and values",
    "dict_attributes_type": "give a table of names and values",
}


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
        key, cause = tuple(one["loc"]), one.get("ctx", {}).get("error")
        if one["type"] == "default_factory_not_called":
            continue  # a default that waits for another field, which has a fault of its own
        if isinstance(cause, SpecProblems):
            found |= {(key + below, text): None for below, text in cause.problems}
        elif one["type"] == "extra_forbidden":
            near = difflib.get_close_matches(str(key[-1]).lower(), list(fields), n=1, cutoff=0.5)
            hint = f"did you mean {near[0]!r}?" if near else "`gnnkit compare --schema` describes all that there are"
            found[key, f"there is no such setting; {hint}"] = None
        elif one["type"] == "value_error":
            found[key, one["msg"].removeprefix("Value error, ")] = None
        elif one["type"] == "missing":
            found[key, f"{one['input']!r} is too short: there is no value {int(key[-1]) + 1}"] = None
        else:
            # pydantic's own messages do not show the value, and some speak of Python's types.
            message = _PLAIN.get(one["type"], f"{one['msg'][:1].lower()}{one['msg'][1:]}")
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
