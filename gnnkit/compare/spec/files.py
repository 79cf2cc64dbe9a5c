"""A spec as a TOML file: read with errors that name line and key, and described as a JSON schema."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gnnkit.compare.leakage.audit import CAUSES
from gnnkit.compare.spec.comparison import ComparisonSpec
from gnnkit.compare.spec.toml_lines import key_lines
from gnnkit.data import DATASETS
from gnnkit.forecasting.model_settings import known_settings
from gnnkit.settings.fit import PATHS
from gnnkit.settings.problems import Key, key_text, one_line, spec_problems
from gnnkit.temporal import MODELS

__all__ = ["read_spec", "spec_schema"]

_PLACE = r"^(.+\.py|[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):[A-Za-z_]\w*$"
"""How the place of a model of one's own is written: `file.py:Class` or `package.module:Class`."""
_TABLES_OF_PATHS = ("forecasts", "validation_forecasts")


def read_spec(path: str | Path, overrides: Mapping[str, Any] | None = None) -> ComparisonSpec:
    """Read a spec from a TOML file.

    The keys are the fields of `ComparisonSpec`, with their types: a number in quotes is an error. A relative path is
    relative to the file. All faults are found at once, as far as one does not hide another; up to three are named.

    Args:
        path: the file.
        overrides: fields that take the place of the file's; `settings`, `search` and `data_options` are merged name by
            name.

    Returns:
        The spec.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is a folder, empty, no UTF-8 or no TOML, or says something that is not allowed; the line names
            file, line and key, what is allowed, and the nearest name.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     file = Path(folder) / "spec.toml"
        ...     _ = file.write_text('models = ["gru", "mtgnn"]\\n[settings.mtgnn]\\ndropout = 0.1\\n')
        ...     read_spec(file, {"epochs": 3}).settings
        {'mtgnn': {'dropout': 0.1}}
    """
    path = Path(path)
    text = _text(path)
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValueError(_not_toml(path, text, str(error))) from None
    if not values:
        raise ValueError(f'{path} is empty; write what to compare, e.g. models = ["gru", "tgcn"], or leave it out')
    tables = [values[name] for name in _TABLES_OF_PATHS if isinstance(values.get(name), dict)]
    for table, names in ((values, PATHS), *((table, tuple(table)) for table in tables)):
        for name in names:
            if isinstance(table.get(name), str):
                table[name] = str(path.parent / Path(table[name]).expanduser())
    values = _with_places(values, path.parent)
    dates = {key: f"{value} is a date, and no setting is one" for key, value in _leaves(values) if _is_date(value)}
    overrides = overrides or {}
    problems = list(dates.items())
    try:
        # As JSON, strict: TOML has types of its own, and a number in quotes or a truth value for a number is a slip.
        document = json.dumps(_merged(values, overrides), default=str)
        spec = ComparisonSpec.model_validate_json(document, strict=True)
        if not problems:
            return spec
    except ValidationError as error:
        problems += [found for found in spec_problems(error, ComparisonSpec.model_fields) if found[0] not in dates]
    merged = ("data_options", "settings", "search")
    lines = {key: line for key, line in key_lines(text).items() if key[0] not in overrides or key[0] in merged}
    located = sorted((_line(lines, key), key_text(key), message) for key, message in problems)
    raise ValueError(one_line([_located(path, *fault) for fault in located]))


def spec_schema() -> dict[str, Any]:
    """The JSON schema of a spec file, with the description of every field and the names that it may hold.

    Example:
        >>> spec_schema()["properties"]["epochs"]["default"]
        8
    """
    schema = ComparisonSpec.model_json_schema()
    fields = schema["properties"]
    for field in fields.values():
        field.pop("title", None)
        if "description" in field:
            field["description"] = " ".join(field["description"].split())
    graph_models = [name for name, entry in MODELS.items() if entry.family == "graph"]
    fields["data"]["anyOf"][0]["enum"] = list(DATASETS)
    own = {"type": "string", "pattern": _PLACE}
    fields["models"]["items"] = {"anyOf": [{"enum": list(MODELS)}, own]}
    fields["ablate_graph"] = {
        "description": fields["ablate_graph"]["description"],
        "default": [],
        "anyOf": [{"const": "all"}, {"type": "array", "items": {"anyOf": [{"enum": ["all", *graph_models]}, own]}}],
    }
    fields["allow_leaks"]["items"]["enum"] = list(CAUSES)
    fields["settings"] |= {
        "additionalProperties": False,
        "properties": {name: _settings_schema(name) for name in MODELS},
        "patternProperties": {_PLACE: {"type": "object"}},
    }
    fields["search"] |= {
        "additionalProperties": False,
        "properties": {name: _search_schema(name) for name in MODELS},
        "patternProperties": {_PLACE: {"type": "object", "additionalProperties": {"type": "array", "minItems": 2}}},
    }
    description = " ".join((ComparisonSpec.__doc__ or "").split("\n\n")[0].split())
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        **schema,
        "title": "A spec of gnnkit compare",
        "description": description,
    }


def _with_places(values: dict[str, Any], folder: Path) -> dict[str, Any]:
    """The values with each model in a file, `my.py:Net`, named by its place from here, and not from the folder."""

    def placed(model: Any) -> Any:
        file, colon, name = model.rpartition(":") if isinstance(model, str) else ("", "", "")
        return f"{folder / Path(file).expanduser()}:{name}" if colon and file.endswith(".py") else model

    found = dict(values)
    for key in ("models", "ablate_graph"):
        if isinstance(found.get(key), list):
            found[key] = [placed(model) for model in found[key]]
    if isinstance(found.get("settings"), dict):
        found["settings"] = {placed(model): own for model, own in found["settings"].items()}
    return found


def _settings_schema(model: str) -> dict[str, Any]:
    properties: dict[str, Any] = {}
    for name in known_settings(model):
        default = MODELS[model].settings.get(name)
        default = default if isinstance(default, (bool, int, float, str, list, tuple)) else None  # JSON has no more
        kinds = {bool: "boolean", int: "integer", float: "number", str: "string"}
        kind = {"hidden_channels": "integer", "learning_rate": "number", "weight_decay": "number"}.get(name)
        kind = kind or kinds.get(type(default))
        properties[name] = {} if kind is None else {"type": kind}
        if default is not None:
            properties[name]["default"] = default
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _search_schema(model: str) -> dict[str, Any]:
    ranges = {name: {"type": "array", "minItems": 2} for name in known_settings(model)}
    return {"type": "object", "additionalProperties": False, "properties": ranges}


def _text(path: Path) -> str:
    if path.is_dir():
        raise ValueError(f"spec: {path} is a folder; give a TOML file")
    if not path.is_file():
        raise FileNotFoundError(f"spec: no such file: {path}")
    data = path.read_bytes()
    try:
        return data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ValueError(f"{path}:{line}: byte {data[error.start]:#04x} is not UTF-8; save the file as UTF-8") from None


def _not_toml(path: Path, text: str, message: str) -> str:
    """One line on a document that is no TOML, with what is usually meant."""
    found = re.search(r" \(at line (\d+), column (\d+)\)$", message)
    line = int(found[1]) if found else text.count("\n") + (not text.endswith("\n"))
    message = re.sub(r" \(at .*\)$", "", message)
    written = text.splitlines()[line - 1].strip() if text else ""
    hint = {
        "Invalid value": "texts stand in quotes, lists in brackets, and truth values are true and false",
        "Cannot overwrite a value": "the key is given twice",
    }.get(message, "a line is NAME = VALUE or [TABLE]")
    return f"{path}:{line}: not TOML: {message[:1].lower()}{message[1:]} in {written!r}: {hint}"


def _line(lines: Mapping[tuple[str | int, ...], int], key: Key) -> int:
    """The line of the nearest part of a key that is in the file; 0: the fault has no one key, -1: it is not there."""
    found = [lines[key[:length]] for length in range(len(key), 0, -1) if key[:length] in lines]
    return found[0] if found else (-1 if key else 0)


def _located(path: Path, line: int, name: str, message: str) -> str:
    """A fault with file, line and key, as far as it has them."""
    place = {0: f"{path}: ", -1: ""}.get(line, f"{path}:{line}: ")
    return place + (f"{name}: " if name else "") + message


def _merged(below: Mapping[str, Any], above: Mapping[str, Any]) -> dict[str, Any]:
    """Both, and tables that both have name by name; what is above counts."""
    merged = {**below, **above}
    for name, value in above.items():
        other = below.get(name)
        if isinstance(other, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(other, value)
    return merged


def _leaves(value: Any, key: Key = ()) -> list[tuple[Key, Any]]:
    if isinstance(value, dict):
        return [leaf for name, item in value.items() for leaf in _leaves(item, (*key, name))]
    if isinstance(value, list):
        return [leaf for number, item in enumerate(value) for leaf in _leaves(item, (*key, number))]
    return [(key, value)]


def _is_date(value: Any) -> bool:
    return isinstance(value, (date, datetime, time))
