"""From a module to a program of torch's operators, and the check that both say the same."""

from __future__ import annotations

import contextlib
import io
import logging
import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from gnnkit.ops.exported import plain_operators

__all__ = [
    "Agreement",
    "Export",
    "ExportError",
    "Value",
    "check_agreement",
    "export_program",
    "failed_operator",
    "quiet",
]

TOLERANCE = 1e-5
"""Largest difference between a program and its model, in units of `Value.size` or of the value where that is larger."""

_DTYPES = {"float32": torch.float32, "int64": torch.int64}

_LEAST = {"B": 1, "N": 1, "E": 0}
"""Axes that are left open, with their smallest size."""


class ExportError(ValueError):
    """Something cannot be exported, or what was exported does not say what the model says."""


@dataclass(frozen=True)
class Value:
    """An input or an output of an exported program.

    Args:
        name: Its name.
        shape: Of each axis its size, or its letter where it is left open: B, N or E.
        meaning: A sentence.
        unit: Of its numbers; empty: none.
        dtype: `"float32"` or `"int64"`.
    """

    name: str
    shape: tuple[int | str, ...]
    meaning: str
    unit: str = ""
    dtype: str = "float32"

    def to_json(self) -> dict[str, Any]:
        """As it stands in the file's description."""
        return {
            "name": self.name,
            "shape": list(self.shape),
            "dtype": self.dtype,
            "unit": self.unit,
            "meaning": self.meaning,
        }


@dataclass(frozen=True)
class Export:
    """What is to be exported.

    Args:
        module: Called with its inputs by name; returns a dict of outputs.
        inputs, outputs: What they are, in their order.
        draw: Random inputs of a seed, of other sizes for other seeds where axes are open, with a text that says what is
            special about them.
        size: Of each output the size of a number that counts as one in a comparison: a tensor, or a number. Default: 1.
        description: What else the file says of itself, JSON values.
    """

    module: nn.Module
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    draw: Callable[[int], tuple[dict[str, Tensor], str]]
    size: Callable[[Mapping[str, Tensor]], Any] = lambda inputs: 1.0
    description: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Agreement:
    """How a program agreed with its model.

    Args:
        draws: Inputs that were tried.
        largest: The largest difference, as `TOLERANCE` counts it.
    """

    draws: int
    largest: float


def export_program(export: Export) -> Any:
    """Trace a module into a `torch.export.ExportedProgram`, with open axes and torch's operators alone.

    Args:
        export: What is to be exported.

    Returns:
        The program; `program.module()(**inputs)` runs it.

    Raises:
        ExportError: It cannot be exported; names the operator, or what torch said first.
    """
    # The sizes of the example are all different, and none is 0 or 1, so that torch takes no axis for another.
    example, _ = export.draw(-1)
    open_axes = {axis for value in export.inputs for axis in value.shape if isinstance(axis, str)}
    dims = {axis: torch.export.Dim(axis, min=_LEAST[axis]) for axis in open_axes}
    shapes = {
        value.name: {place: dims[axis] for place, axis in enumerate(value.shape) if isinstance(axis, str)}
        for value in export.inputs
    }
    given = {value.name: example[value.name] for value in export.inputs}
    module = export.module.eval()
    try:
        with torch.no_grad(), quiet():
            program = torch.export.export(module, (), given, dynamic_shapes=shapes, strict=False)
            return program.run_decompositions(plain_operators())
    except Exception as error:  # torch raises errors of many kinds here
        raise ExportError(
            f"{_name(export)} cannot be exported with {_axes(open_axes)}: {failed_operator(error)}"
        ) from error


def check_agreement(
    export: Export, run: Callable[[Mapping[str, Tensor]], Mapping[str, Tensor]], draws: int, what: str
) -> Agreement:
    """Ask a program and its model for the outputs of random inputs.

    Args:
        export: What was exported.
        run: The program.
        draws: How many inputs.
        what: The program's name in an error.

    Returns:
        How they agree.

    Raises:
        ExportError: They differ by more than `TOLERANCE`, or the program fails; names the inputs.
    """
    largest = 0.0
    module = export.module.eval()
    for seed in range(draws):
        inputs, kind = export.draw(seed)
        sizes = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in inputs.items())
        with torch.no_grad():
            expected = module(**inputs)
        try:
            with torch.no_grad():
                found = run(inputs)
        except Exception as error:
            text = " ".join(str(error).split())[:300]
            raise ExportError(f"{what} of {_name(export)} fails on {sizes} ({kind}): {text}") from error
        size = export.size(inputs)
        for value in export.outputs:
            one, other = expected[value.name], found[value.name]
            if one.shape != other.shape:
                raise ExportError(
                    f"{what} of {_name(export)} gives {value.name} {list(other.shape)} where the model gives "
                    f"{list(one.shape)}, on {sizes} ({kind})"
                )
            # Infinite ends of intervals agree where they are the same.
            same = (one == other) | (one.isnan() & other.isnan())
            apart = ((one - other).abs() / torch.maximum(one.abs(), torch.as_tensor(size))).masked_fill(same, 0.0)
            worst = float(apart.max()) if apart.numel() else 0.0
            if not worst <= TOLERANCE:
                raise ExportError(
                    f"{what} of {_name(export)} is wrong: {value.name} differs from the model's by {worst:.2g} of its "
                    f"size, at most {TOLERANCE:g} is allowed, on {sizes} ({kind}); nothing was written"
                )
            largest = max(largest, worst)
    return Agreement(draws, largest)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep torch from telling what it does, and what it failed at, on every stream that there is."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def failed_operator(error: BaseException) -> str:
    """What an export failed at, in a few words: the operator where the error, or one of its causes, names it.

    Example:
        >>> failed_operator(RuntimeError("no function for <OpOverload(op='aten.cummax', overload='default')>"))
        'the operator aten.cummax'
    """
    seen: list[BaseException] = []
    cause: BaseException | None = error
    while cause is not None and cause not in seen:
        seen.append(cause)
        cause = cause.__cause__ or cause.__context__
    for one in reversed(seen):
        text = str(one)
        found = re.search(r"OpOverload\(op='([\w.:]+)'", text) or re.search(
            r"\b((?:aten|gnnkit|prims)(?:\.|::)\w+)", text
        )
        if found:
            return f"the operator {found[1].replace('::', '.')}"
    for one in reversed(seen):
        text = str(one).strip()
        if "item()" in text or "data-dependent" in text:
            return "its code looks at the numbers of a tensor (item(), bool() or a branch on values)"
        if "Constraints violated" in text:
            return "its code fixes one of these sizes"
    return " ".join(str(error).strip().splitlines()[0].split()) if str(error).strip() else type(error).__name__


def _name(export: Export) -> str:
    return str(export.description.get("model", type(export.module).__name__))


def _axes(axes: set[str]) -> str:
    names = {"B": "batch", "N": "nodes", "E": "edges"}
    return "open " + " and ".join(names[axis] for axis in names if axis in axes) if axes else "fixed sizes"
