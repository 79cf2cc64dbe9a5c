"""What the verbs of the command line share: how an option is declared, and how its text is read."""

from __future__ import annotations

import json
import math
from typing import Any

from typer import Option

__all__ = [
    "help_text",
    "named_option",
    "parse_missing",
    "parse_model_settings",
    "parse_names",
    "parse_options",
    "parse_seeds",
    "parse_shares",
    "parse_whole_numbers",
]


def help_text(text: str) -> str:
    """The help of a verb: each paragraph as one string, but for examples.

    Line breaks inside a paragraph would be kept, whatever the terminal's width.
    """
    parts = text.strip().split("\n\n")
    return "\n\n".join(part if part.startswith("\b") else " ".join(part.split("\n")) for part in parts)


def named_option(panel: str, text: str, *names: str) -> Any:
    """An option of a verb, in a panel of its help."""
    return Option(*names, help=text, rich_help_panel=panel, show_default=False)


def parse_whole_numbers(name: str, text: str) -> list[int]:
    """Numbers between commas; a `ValueError` that names the option where they are none."""
    try:
        return [int(part) for part in parse_names(text)]
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a list of whole numbers; write e.g. 3,6,12") from None


def parse_missing(texts: list[str] | None) -> list[float | str] | None:
    """What stands for missing values, from repeated options or between commas: numbers where they are some."""
    found: list[float | str] = []
    for part in (part for text in texts or () for part in parse_names(text)):
        try:
            number = float(part)
        except ValueError:
            number = math.nan
        found.append(number if math.isfinite(number) else part)  # NaN and infinity are texts: JSON has neither
    return found or None


def parse_names(text: str) -> list[str]:
    """Names between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_shares(name: str, text: str) -> list[float]:
    """Shares between commas; a `ValueError` that names the option where they are none."""
    try:
        return [float(part) for part in parse_names(text)]
    except ValueError:
        raise ValueError(f"{name}: {text!r} is not a list of numbers; write e.g. 0.1,0.3,1") from None


def parse_seeds(text: str) -> list[int]:
    """A count of seeds, or a list of them; a `ValueError` where it is neither."""
    if "," in text:
        return parse_whole_numbers("seeds", text)
    try:
        count = int(text)
    except ValueError:
        raise ValueError(f"seeds: {text!r} is neither a count (3) nor a list (0,24,42)") from None
    if not 1 <= count <= 1000:
        raise ValueError(
            f"seeds: {count} is not a number of seeds from 1 to 1000; for the seed {count} alone write {count},"
        )
    return list(range(count))


def parse_options(pairs: list[str] | None, name: str = "data-option") -> dict[str, Any] | None:
    """NAME=VALUE pairs, the values read as JSON where they are some; a `ValueError` that shows what is none."""
    if not pairs:
        return None
    options: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign or not key.isidentifier():
            example = "num_nodes=16" if name == "data-option" else "dropout=0.1"
            raise ValueError(f"{name}: {pair!r} is not NAME=VALUE; write e.g. {example}")
        options[key] = _json_or_text(value)
    return options


def parse_model_settings(pairs: list[str] | None) -> dict[str, dict[str, Any]] | None:
    """MODEL.NAME=VALUE settings by model, the values read as JSON where they are some; a `ValueError` for the rest."""
    settings: dict[str, dict[str, Any]] = {}
    for pair in pairs or ():
        path, sign, value = pair.partition("=")
        model, dot, name = path.partition(".")
        if not (sign and dot and model) or not name.isidentifier():
            raise ValueError(f"set: {pair!r} is not MODEL.NAME=VALUE; write e.g. mtgnn.dropout=0.1")
        settings.setdefault(model, {})[name] = _json_or_text(value)
    return settings or None


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except json.JSONDecodeError:
        return value
