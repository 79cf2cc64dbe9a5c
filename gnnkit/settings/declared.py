"""What all settings are: a frozen pydantic model whose faults fit on a line, and how an option writes a field."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from gnnkit.settings.problems import key_text, one_line, spec_problems

__all__ = ["Settings", "Written", "distinct"]

Value = TypeVar("Value")


@dataclass(frozen=True)
class Written:
    """How the command line writes a field, where it is not --its-name alone.

    Args:
        names: further names of the option, e.g. `"--hidden"`.
        off: the name that says no, of a flag whose own is not `"--no-its-name"`.
        alone: what the option says where it stands without a value; None: it needs one.
        repeated: a list goes on where the option is given again; else the last one counts.
        counted: one number is a count, `3` for 0, 1, 2; a list of one ends in a comma.
        shown: the default in words, where it is no constant.
        example: of a field of names and values, `"name=value"` or, in a table for each model, `"model.name=value"`.
    """

    names: tuple[str, ...] = ()
    off: str | None = None
    alone: str | None = None
    repeated: bool = False
    counted: bool = False
    shown: str | None = None
    example: str = ""


class Settings(BaseModel, frozen=True):
    """Settings: the text below a field is its description, in --help and in the JSON schema.

    Raises:
        ValueError: a value is not allowed; one line names the field, the value and what is allowed, for up to three.
    """

    model_config = ConfigDict(extra="forbid", validate_default=True, use_attribute_docstrings=True)

    panel: ClassVar[str] = "Settings"
    """Above the fields of a class in --help."""

    if not TYPE_CHECKING:  # for a type checker the arguments are the fields

        def __init__(self, **values: Any) -> None:
            try:
                super().__init__(**values)
            except ValidationError as error:
                found = spec_problems(error, type(self).model_fields)
                raise ValueError(
                    one_line([f"{key_text(key)}: {text}" if key else text for key, text in found])
                ) from None

        def __str__(self) -> str:
            return repr(self)

        def __repr_args__(self) -> Iterator[tuple[str, Any]]:
            """What was chosen: a table of all defaults tells nothing."""
            for name, field in type(self).model_fields.items():
                value = getattr(self, name)
                computed = field.default_factory is not None and name not in self.model_fields_set
                if not computed and value != field.get_default():
                    yield name, value

        # Else pydantic would call it for a JSON document too, whose types are looked at more closely.
        __init__.__pydantic_base_init__ = True


def distinct(values: tuple[Value, ...], what: str) -> tuple[Value, ...]:
    """The values; a `ValueError` where one is given twice."""
    for value in values:
        if values.count(value) > 1:
            raise ValueError(f"{value} is given twice; give {what} once")
    return values
