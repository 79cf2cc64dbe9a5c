"""Settings of single models: which there are, and of what type."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from gnnkit.settings.problems import Key, SpecProblems, nearest
from gnnkit.temporal import MODELS

__all__ = ["FIT_SETTINGS", "check_settings", "known_settings"]

FIT_SETTINGS = ("hidden_channels", "learning_rate", "weight_decay")
"""What may be set for one model and is not an argument of its constructor, or only as a size."""


def known_settings(model: str) -> list[str]:
    """Names of all settings that one model of a comparison may be given.

    A rival that fits itself has those of its constructor alone: nobody trains it at a rate.
    """
    entry = MODELS[model]
    shared = ["hidden_channels"] if entry.fits_itself else FIT_SETTINGS
    return [name for name in shared if name != "hidden_channels" or entry.has_width] + list(entry.settings)


def check_settings(settings: Mapping[str, Mapping[str, Any]], models: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Check names and types of per-model settings; what a value means is checked by the model's constructor.

    Args:
        settings: by model.
        models: the models that are compared.

    Returns:
        The settings, lists as tuples where the model's default is one.

    Raises:
        SpecProblems: a model that is not compared, a setting that it does not have, a value of another type than the
            setting's default.

    Example:
        >>> check_settings({"mtgnn": {"dropout": 0}}, ["mtgnn"])
        {'mtgnn': {'dropout': 0.0}}
    """
    found: list[tuple[Key, str]] = []
    checked: dict[str, dict[str, Any]] = {}
    for model, values in settings.items():
        if model not in models:
            unknown = f"unknown model {model!r}{nearest(model, models)}"
            absent = f"{model!r} is not among the models that are compared; add it to models, or leave this out"
            found.append(((model,), absent if model in MODELS else unknown))
            continue
        checked[model] = {}
        for name, value in values.items():
            try:
                checked[model][name] = _checked(model, name, value)
            except ValueError as error:
                found.append(((model, name), str(error)))
    if found:
        raise SpecProblems(found)
    return checked


def _checked(model: str, name: str, value: Any) -> Any:
    if name == "hidden_channels" and not MODELS[model].has_width:
        raise ValueError(f"model {model!r} has no width; leave it out")
    if name not in known_settings(model):
        raise ValueError(f"model {model!r} has no such setting{nearest(name, known_settings(model))}")
    if name == "hidden_channels":
        if not _is_whole(value) or value < 1:
            raise ValueError(f"{value!r} is not allowed: give a whole number of at least 1")
        return value
    if name in FIT_SETTINGS and not MODELS[model].fits_itself:
        least = "a positive number" if name == "learning_rate" else "0 or a positive number"
        number = value if _is_number(value) else math.nan
        if not (math.isfinite(number) and (number > 0 or (number == 0 and name == "weight_decay"))):
            raise ValueError(f"{value!r} is not allowed: give {least}")
        return float(value)
    return _typed(value, MODELS[model].settings[name])


def _typed(value: Any, default: Any) -> Any:
    """The value in the type of the default; a default of None tells no type."""
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise ValueError(f"{value!r} is not allowed: give true or false")
    elif isinstance(default, int):
        if not _is_whole(value):
            raise ValueError(f"{value!r} is not allowed: give a whole number (default {default})")
    elif isinstance(default, float):
        if not _is_number(value):
            raise ValueError(f"{value!r} is not allowed: give a number (default {default:g})")
        return float(value)
    elif isinstance(default, str) and not isinstance(value, str):
        raise ValueError(f"{value!r} is not allowed: give a text (default {default!r})")
    return value


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
