"""From a program of torch to one of ONNX, run by onnxruntime."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gnnkit._optional import optional_import
from gnnkit.export.program import Export, ExportError, failed_operator, quiet

__all__ = ["onnx_runner", "write_onnx"]

_PURPOSE = "exporting to ONNX"


def write_onnx(program: Any, export: Export, path: Path, description: Mapping[str, Any]) -> None:
    """Write a program as an ONNX file; its description stands among its metadata, under `gnnkit`.

    Args:
        program: from `export_program`.
        export: what it was made of.
        path: the file.
        description: JSON values.

    Raises:
        ImportError: onnx or onnxscript is not installed.
        ExportError: ONNX has no operator for one of the program's; names it.
    """
    for module in ("onnx", "onnxscript"):
        optional_import(module, purpose=_PURPOSE, extra="onnx")
    name = str(export.description.get("model", type(export.module).__name__))
    try:
        with quiet():
            made = torch.onnx.export(
                program,
                (),
                dynamo=True,
                # Its optimiser takes minutes for a program of some thousand steps; onnxruntime has one of its own.
                optimize=False,
                input_names=[value.name for value in export.inputs],
                output_names=[value.name for value in export.outputs],
            )
            assert made is not None  # for the type checker: so it is with dynamo=True
            made.model.metadata_props["gnnkit"] = json.dumps(description)
            made.save(str(path))
    except Exception as error:  # torch raises errors of many kinds here
        raise ExportError(f"{name} cannot be written as ONNX: {failed_operator(error)}") from error


def onnx_runner(path: Path, export: Export) -> Callable[[Mapping[str, Tensor]], dict[str, Tensor]]:
    """An ONNX file as a function of named inputs, run by onnxruntime on the CPU.

    Raises:
        ImportError: onnxruntime is not installed.
    """
    runtime = optional_import("onnxruntime", purpose=_PURPOSE, extra="onnx")
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # errors; it warns of constants that it does not fold
    session = runtime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    taken = {each.name for each in session.get_inputs()}

    def run(inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        given = {name: tensor.numpy() for name, tensor in inputs.items() if name in taken}
        found = session.run(None, given)
        return {value.name: torch.from_numpy(each) for value, each in zip(export.outputs, found, strict=True)}

    return run
