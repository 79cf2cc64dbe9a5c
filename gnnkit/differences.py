"""What is other in one record of settings than in another, in words."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["named_differences"]


def named_differences(there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """What is other in one record of settings than in another, by name, there and now; empty where nothing is.

    Example:
        >>> named_differences({"epochs": 3, "data": {"x": 1}}, {"epochs": 4, "data": {"x": 1}})
        'epochs (3 there, and 4 now)'
    """
    return " and ".join(f"{key} ({_difference(key, there, here)})" for key in here if there.get(key) != here[key])


def _difference(name: str, there: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    if not isinstance(here[name], dict):
        return f"{_short(there, name)} there, and {_short(here, name)} now"
    now, before = here[name], there.get(name)
    before = before if isinstance(before, dict) else {}
    details = [
        f"{key} is {_short(before, key)} there, and {_short(now, key)} now"
        for key in {**now, **before}
        if key not in before or key not in now or before[key] != now[key]
    ]
    return "; ".join(details[:4]) + (f"; and {len(details) - 4} more" if len(details) > 4 else "")


def _short(values: Mapping[str, Any], key: str) -> str:
    if key not in values:
        return "not on record"
    text = json.dumps(values[key])
    is_digest = isinstance(values[key], str) and len(values[key]) == 64
    return f"SHA-256 {values[key][:12]}…" if is_digest else text if len(text) <= 60 else f"{text[:60]}…"
