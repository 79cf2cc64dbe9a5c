"""Write an export: the program, checked, with its description inside and as JSON beside it."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any, Literal

import torch

import gnnkit
from gnnkit.export.classifier import classifier_export
from gnnkit.export.forecaster import Where, forecaster_export
from gnnkit.export.onnx import onnx_runner, write_onnx
from gnnkit.export.program import TOLERANCE, Export, check_agreement, export_program
from gnnkit.forecasting import load_fitted
from gnnkit.kept_files import read_json, replace_file, write_json
from gnnkit.layers import NodeClassifier
from gnnkit.training import load_checkpoint

__all__ = ["DRAWS", "FORMATS", "export_folder", "export_to"]

FORMATS = ("torch", "onnx")

DRAWS = 32
"""Random inputs that a program and its model are asked for: every kind of graph with every kind of weights."""


def export_to(
    export: Export, out: str | Path, *, format: Literal["torch", "onnx"] = "torch", draws: int = DRAWS
) -> dict[str, Any]:
    """Export, compare with the model on random inputs, and write the file and `OUT.json` beside it.

    Args:
        export: what is to be exported.
        out: the file; usually `.pt2` of torch, `.onnx` of ONNX.
        format: `"torch"` (default), which `torch.export.load` reads, or `"onnx"`.
        draws: how many random inputs. Default: each kind of graph with each kind of weights.

    Returns:
        The description, as it stands in the file and beside it.

    Raises:
        ExportError: it cannot be exported, or differs from the model; nothing is written then.
        ImportError: a package of the extra `onnx` is not installed.
        ValueError: an unknown format.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}, got {format!r}")
    out = Path(out)
    description: dict[str, Any] = {
        "gnnkit": gnnkit.__version__,
        "torch": torch.__version__,
        "format": format,
        **export.description,
        "inputs": [value.to_json() for value in export.inputs],
        "outputs": [value.to_json() for value in export.outputs],
    }
    program = export_program(export)
    module = program.module()
    found = check_agreement(export, lambda inputs: module(**inputs), draws, "the torch program")
    with replace_file(out) as part:
        if format == "onnx":
            write_onnx(program, export, part, description)
            found = check_agreement(export, onnx_runner(part, export), draws, "the ONNX program")
        else:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of the part file's ending
                with part.open("wb") as file:
                    torch.export.save(program, file, extra_files={"gnnkit.json": json.dumps(description)})
    description["checked"] = {"inputs": found.draws, "largest_difference": found.largest, "allowed": TOLERANCE}
    write_json(out.with_name(f"{out.name}.json"), description)
    return description


def export_folder(
    folder: str | Path,
    *,
    graph: Where = "kept",
    nodes: Where = "kept",
    coverage: float = 0.9,
    trust_code: bool = False,
) -> Export:
    """What a folder of `gnnkit train` or `gnnkit nodes train` holds, ready to be exported.

    Args:
        folder: the folder.
        graph, nodes, coverage: as in `forecaster_export`; a node classifier is for any graph.
        trust_code: as in `gnnkit.forecasting.load_fitted`.

    Returns:
        The export.

    Raises:
        FileNotFoundError: a file is missing.
        ValueError: the folder holds neither, or an option that is not for it.
    """
    folder = Path(folder)
    held = folder / "model" if (folder / "model" / "config.json").is_file() else folder
    config = read_json(held / "config.json") if (held / "config.json").is_file() else None
    config = config.get("config") if isinstance(config, dict) else None
    if isinstance(config, dict) and {"in_channels", "out_channels"} <= set(config) and "node_names" not in config:
        for name, value in (("graph", graph), ("nodes", nodes)):
            if value == "kept":
                continue
            raise ValueError(f"{name}: {folder} holds a node classifier, which takes any graph; leave --{name} out")
        model, config = load_checkpoint(held, NodeClassifier)
        assert isinstance(model, NodeClassifier)  # for the type checker: it is what was built
        run = read_json(folder / "run.json") if (folder / "run.json").is_file() else {}
        return classifier_export(model, config, {"data": run.get("data", "") if isinstance(run, dict) else ""})
    return forecaster_export(load_fitted(folder, trust_code=trust_code), graph=graph, nodes=nodes, coverage=coverage)
