"""Options of the command line: those of a verb itself, and those made from the settings that it takes."""

from __future__ import annotations

import inspect
import json
import math
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from pkgutil import resolve_name
from types import NoneType
from typing import TYPE_CHECKING, Annotated, Any, Literal, get_args, get_origin

import typer
from typer import Option
from typer.core import TyperCommand

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

    from gnnkit.settings.declared import Settings, Written

__all__ = [
    "help_text",
    "named_option",
    "option_help",
    "option_name",
    "parse_files",
    "parse_names",
    "parse_options",
    "parse_seeds",
    "read_option",
    "takes",
    "track_option",
    "trust_option",
]

_METAVARS = {int: "INTEGER", float: "NUMBER", str: "TEXT", Path: "PATH"}


def help_text(text: str) -> str:
    """The help of a verb: each paragraph as one string, but for examples.

    Line breaks inside a paragraph would be kept, whatever the terminal's width.
    """
    parts = text.strip().split("\n\n")
    return "\n\n".join(part if part.startswith("\b") else " ".join(part.split("\n")) for part in parts)


def named_option(panel: str, text: str, *names: str) -> Any:
    """An option of a verb, in a panel of its help."""
    return Option(*names, help=text, rich_help_panel=panel, show_default=False)


def track_option(panel: str) -> Any:
    """The option of a verb that trains forecasters: the tracker that hears of its fits."""
    text = "Log each fit, epoch by epoch, with tensorboard, mlflow or wandb, in DIR/track unless they have a server."
    return Option("--track", help=text, rich_help_panel=panel, metavar="tensorboard|mlflow|wandb", show_default=False)


def trust_option(panel: str) -> Any:
    """The option of a verb that reads a kept forecaster: whether code that its folder names may run."""
    text = "Run the code of one's own that the folder names; a folder from elsewhere can name any file."
    return Option("--trust-code", help=text, rich_help_panel=panel, show_default=False)


def takes(declared: str) -> type[TyperCommand]:
    """The class of a verb that has an option for each field of its settings.

    The verb takes a `typer.Context`; its `obj` holds what was given, by field.

    Args:
        declared: the settings, `module:class`; imported when the verb is asked for, and not before.
    """

    class Verb(TyperCommand):
        @cached_property
        def fields(self) -> dict[str, FieldInfo]:
            settings = resolve_name(declared)
            self.params = [*_options(settings), *self.params]
            return settings.model_fields

        def get_params(self, ctx: Any) -> list[Any]:
            assert self.fields is not None  # they are in `params` now
            return super().get_params(ctx)

        def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
            shown = {f"--{_dashed(name)}": option_name(name, field) for name, field in self.fields.items()}
            alone = {
                option_name(name, field): text for name, field in self.fields.items() if (text := _written(field).alone)
            }
            given: list[str] = []
            for word, after in zip(args, [*args[1:], "--"], strict=False):
                key, sign, value = word.partition("=")
                given.append(f"{shown.get(key, key)}{sign}{value}")
                text = alone.get(given[-1]) if after.startswith("--") else None
                given += [] if text is None else [text]
            return super().parse_args(ctx, given)

        def invoke(self, ctx: Any) -> Any:
            texts = {name: ctx.params.pop(name) for name in self.fields}
            ctx.obj = {
                name: read_option(name, self.fields[name], text)
                for name, text in texts.items()
                if text not in (None, (), [])
            }
            return super().invoke(ctx)

    return Verb


def _options(settings: type[Settings]) -> Sequence[Any]:
    """An option for each field, as typer makes it from a signature."""
    parameters = []
    for name, field in settings.model_fields.items():
        written, metavar = _written(field), _metavar(field)
        kind = list[str] if written.repeated else str
        option = Option(
            option_name(name, field) + ("" if metavar else _off(name, field)),
            help=option_help(field),
            rich_help_panel=next(c for c in reversed(settings.__mro__) if name in inspect.get_annotations(c)).panel,
            metavar=metavar,
            show_default=False,
        )
        annotation = Annotated[(kind if metavar else bool) | None, option]
        parameters.append(inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation))

    def verb(**given: Any) -> None: ...

    verb.__signature__ = inspect.Signature(parameters)  # pyright: ignore[reportFunctionMemberAccess]
    verb.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    app = typer.Typer(add_completion=False)
    app.command()(verb)
    return typer.main.get_command(app).params


def option_name(name: str, field: FieldInfo) -> str:
    """The name of a field's option that --help shows: a short one where there is one, else the key of a spec file.

    The key of a spec file is always understood.
    """
    return next(iter(_written(field).names), f"--{_dashed(name)}")


def _off(name: str, field: FieldInfo) -> str:
    """The name that says no, of a flag that does not say no already where it is left out."""
    off = _written(field).off
    return "" if off is None and field.default is False else f"/{off or f'--no-{_dashed(name)}'}"


def option_help(field: FieldInfo) -> str:
    """What --help says of a field: its description, as in the JSON schema, how it is written, and its default."""
    written = _written(field)
    parts = [" ".join((field.description or "").split())]
    parts += ["3 is a count, and 7, a list of one."] if written.counted else []
    parts += ["Repeatable."] if written.repeated else []
    parts += [f"Without a value: {written.alone}."] if written.alone else []
    default: Any = written.shown or field.default
    if isinstance(default, bool):
        default = str(default).lower()
    elif isinstance(default, tuple):
        default = ",".join(map(str, default))
    elif isinstance(default, float):
        default = f"{default:g}"
    undefined = default in (None, "") or field.default_factory is dict
    return " ".join(parts if undefined else [*parts, f"Default: {default}."])


def read_option(name: str, field: FieldInfo, texts: Any) -> Any:
    """A field's value from the text of its option, or from its texts where it may be repeated.

    What is no number where one is wanted stays a text: the settings say what is allowed.

    Example:
        >>> from gnnkit.settings.comparison import ComparisonFields
        >>> fields = ComparisonFields.model_fields
        >>> read_option("horizons", fields["horizons"], "3,6,12"), read_option("seeds", fields["seeds"], "2")
        ([3, 6, 12], [0, 1])
    """
    if isinstance(texts, bool):
        return texts
    if _names_files(field):
        return parse_files(texts, name, _written(field).example)
    if get_origin(field.annotation) is dict:
        return parse_options(texts, name, _written(field).example, tables="." in _written(field).example)
    if not _is_list(field):
        return _item(texts, field.annotation)
    texts = [texts] if isinstance(texts, str) else texts
    if _written(field).counted:
        return parse_seeds(",".join(texts))
    return [_item(part, field.annotation) for text in texts for part in parse_names(text)]


def parse_names(text: str) -> list[str]:
    """Names between commas."""
    return [name.strip() for name in text.split(",") if name.strip()]


def parse_seeds(text: str) -> list[Any]:
    """A count of seeds as a list, or the items of a list; a `ValueError` where it is neither."""
    if "," in text:
        return [_item(part, int) for part in parse_names(text)]
    try:
        count = int(text)
    except ValueError:
        raise ValueError(f"seeds: {text!r} is neither a count (3) nor a list (0,24,42)") from None
    if not 1 <= count <= 1000:
        raise ValueError(
            f"seeds: {count} is not a number of seeds from 1 to 1000; for the seed {count} alone write {count},"
        )
    return list(range(count))


def parse_options(pairs: Sequence[str], name: str, example: str, *, tables: bool = False) -> dict[str, Any]:
    """NAME=VALUE pairs, or TABLE.NAME=VALUE pairs as a dict of dicts; values are read as JSON where they are some.

    Raises:
        ValueError: a text is no such pair; the message shows the example.
    """
    found: dict[str, Any] = {}
    for pair in pairs:
        path, sign, value = pair.partition("=")
        # The last point: a model of one's own has some in its name, my.py:Net.
        table, dot, key = path.rpartition(".") if tables else ("", ".", path)
        if not (sign and dot and key.isidentifier() and (table or not tables)):
            raise ValueError(f"{name}: {pair!r} is not {_pair_form(example)}; write e.g. {example}")
        with suppress(json.JSONDecodeError):
            value = json.loads(value)
        (found.setdefault(table, {}) if tables else found)[key] = value
    return found


def parse_files(pairs: Sequence[str], name: str, example: str) -> dict[str, str]:
    """NAME=FILE pairs; a name may have any sign but =, and each is given once.

    Raises:
        ValueError: a text is no such pair, or a name is given twice.

    Example:
        >>> parse_files(["t-gcn=a.npz", "mine=b=c.csv"], "forecasts", "tgcn=tgcn.npz")
        {'t-gcn': 'a.npz', 'mine': 'b=c.csv'}
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, sign, path = pair.partition("=")
        if not (sign and key.strip() and path):
            raise ValueError(f"{name}: {pair!r} is not NAME=FILE; write e.g. {example}")
        if key in found:
            raise ValueError(f"{name}: the name {key} is given twice, for {found[key]} and {path}; give each its own")
        found[key] = path
    return found


def _names_files(field: FieldInfo) -> bool:
    return get_origin(field.annotation) is dict and get_args(field.annotation)[1] is Path


def _pair_form(example: str) -> str:
    return "MODEL.NAME=VALUE" if "." in example.partition("=")[0] else "NAME=VALUE"


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _written(field: FieldInfo) -> Written:
    from gnnkit.settings.declared import Written

    return next((part for part in field.metadata if isinstance(part, Written)), Written())


def _metavar(field: FieldInfo) -> str | None:
    """What stands for the value in --help; none for a flag."""
    if _names_files(field):
        return "NAME=FILE"
    if get_origin(field.annotation) is dict:
        return _pair_form(_written(field).example)
    kinds = _kinds(field.annotation)
    if kinds == [bool]:
        return None
    text = "|".join(kind if isinstance(kind, str) else _METAVARS[kind] for kind in kinds)
    text = f"{text},…" if _is_list(field) else text
    return f"COUNT|{text}" if _written(field).counted else text


def _is_list(field: FieldInfo) -> bool:
    """Whether an option has several values, between commas."""
    return tuple in map(get_origin, (field.annotation, *get_args(field.annotation)))


def _kinds(annotation: Any) -> list[Any]:
    """The plain types, and the words, that a value or an item of it may be."""
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin is Literal:
        return list(parts)
    if origin is Annotated:
        return _kinds(parts[0])
    if parts:  # of a union, of a tuple
        return [kind for part in dict.fromkeys(parts) for kind in _kinds(part)]
    return [] if annotation in (NoneType, Ellipsis) else [annotation]


def _item(text: str, annotation: Any) -> Any:
    """One value: a number where it is one and may be one, else the text; JSON has neither NaN nor infinity."""
    for kind in (int, float):
        if kind in _kinds(annotation):
            try:
                number = kind(text)
            except ValueError:
                continue
            return number if math.isfinite(number) else text
    return text
