"""A study's folder says what its results were made from, and takes no others beside them."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from gnnkit.training import replace_file

__all__ = ["check_claim", "claim_folder", "read_json"]


def claim_folder(
    out: Path, file: str, made_from: Mapping[str, Any], what: str, *, finished: Callable[[], bool]
) -> None:
    """Make a folder for results, or see to it that those in it were made from the very same.

    Args:
        out: The folder.
        file: Name of the file in it that keeps `made_from`.
        made_from: Settings, data and version that the results depend on, by name; JSON values, or dictionaries of them.
        what: The results in words, e.g. `"a run"`.
        finished: Tells whether there are results. Without any, the folder may be begun anew with something else, e.g. a
            lower learning rate after a training that exploded.

    Raises:
        ValueError: See `check_claim`.
    """
    check_claim(out, file, made_from, what, finished=finished)
    out.mkdir(parents=True, exist_ok=True)
    with replace_file(out / file) as part:
        part.write_text(json.dumps(made_from, indent=2) + "\n", encoding="utf-8")


def check_claim(out: Path, file: str, made_from: Mapping[str, Any], what: str, *, finished: Callable[[], bool]) -> None:
    """Refuse a folder whose results could not stand beside those that are to come.

    Args:
        out, file, what, finished: As for `claim_folder`.
        made_from: As for `claim_folder`, or as much of it as is known already.

    Raises:
        ValueError: `out` is a file, holds other files, or results made from something else; the message names what
            differs, there and now.
    """
    if out.exists() and not out.is_dir():
        raise ValueError(f"out: {out} is a file; give a folder")
    if not (out / file).exists():
        if out.exists() and any(out.iterdir()):
            raise ValueError(f"out: {out} holds other files; give a new or an empty folder")
        return
    if not finished():
        return
    there, here = read_json(out / file), json.loads(json.dumps(dict(made_from)))
    if not isinstance(there, dict):
        raise ValueError(f"out: {out / file} is damaged; give another folder (--out)")
    other = [key for key in here if there.get(key) != here[key]]
    if other:
        named = " and ".join(f"{key} ({_difference(key, there, here)})" for key in other)
        raise ValueError(f"out: {out} holds {what} with another {named}: repeat that, or give another folder (--out)")


def read_json(path: Path) -> Any:
    """What a JSON file holds.

    Raises:
        ValueError: It is damaged; names the file.
    """
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(f"{path} is damaged ({error}); remove it, or give another folder") from None


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
