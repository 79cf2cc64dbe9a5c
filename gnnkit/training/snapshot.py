"""A training in mid-run as one file: cut off at any moment, it goes on from there bit for bit."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from gnnkit.kept_files import replace_file

__all__ = ["load_snapshot", "save_snapshot"]

FORMAT = "1"


def save_snapshot(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    record: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
) -> None:
    """Write weights, the optimizer's state and rates, and torch's random states, as safetensors; nothing is pickled.

    The file is written beside `path`, forced to the disk and renamed: at any moment, `path` is the snapshot before or
    this one, whole.

    Args:
        path: The file.
        model: Its parameters and persistent buffers are kept.
        optimizer: Over the model's parameters.
        record: What else the training knows, as JSON values, e.g. the step.
        tensors: What else it carries, e.g. a recurrent state.

    Raises:
        TypeError: `record` holds something that JSON cannot.
    """
    state = optimizer.state_dict()
    kept = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    kept |= {f"carried.{name}": tensor for name, tensor in (tensors or {}).items()}
    numbers: dict[str, dict[str, Any]] = {}
    for place, values in state["state"].items():
        for name, value in values.items():
            if isinstance(value, Tensor):
                kept[f"optimizer.{place}.{name}"] = value
            else:
                numbers.setdefault(str(place), {})[name] = value
    kept["random.cpu"] = torch.get_rng_state()
    device = next(model.parameters()).device
    if device.type == "cuda":
        kept["random.cuda"] = torch.cuda.get_rng_state(device)
    header = {
        "format": FORMAT,
        "record": json.dumps(dict(record)),
        "groups": json.dumps(state["param_groups"]),
        "numbers": json.dumps(numbers),
    }
    with replace_file(path) as part:
        save_file({name: tensor.detach().contiguous() for name, tensor in kept.items()}, str(part), metadata=header)


def load_snapshot(
    path: str | Path, model: nn.Module, optimizer: torch.optim.Optimizer
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Put a training back to where `save_snapshot` found it; torch's random states are set too.

    Args:
        path: The file.
        model: Built as the one that was saved; on the device that it is to be trained on.
        optimizer: Built over it as the one that was saved.

    Returns:
        The record, and the tensors that were carried, on the model's device.

    Raises:
        ValueError: The file is not a snapshot, is of a later layout, or belongs to another model.
    """
    device = next(model.parameters()).device
    try:
        with safe_open(str(path), framework="pt", device="cpu") as file:
            header = file.metadata() or {}
            kept = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - no mapping, but a file
    except SafetensorError as error:
        raise ValueError(f"{path} is not a snapshot of a training ({error}); remove it to begin anew") from None
    if "record" not in header:
        raise ValueError(f"{path} is not a snapshot of a training; remove it to begin anew")
    if header["format"] != FORMAT:
        raise ValueError(f"{path} has layout {header['format']}, this gnnkit reads {FORMAT}: update gnnkit")
    parts: dict[str, dict[str, Tensor]] = {"model": {}, "carried": {}, "optimizer": {}, "random": {}}
    for name, tensor in kept.items():
        part, _, rest = name.partition(".")
        parts[part][rest] = tensor
    try:
        model.load_state_dict(parts["model"])
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{path} belongs to another model: {reason}; remove it to begin anew") from None
    numbers = json.loads(header["numbers"])
    state: dict[int, dict[str, Any]] = {int(place): dict(values) for place, values in numbers.items()}
    for name, tensor in parts["optimizer"].items():
        place, _, entry = name.partition(".")
        state.setdefault(int(place), {})[entry] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": json.loads(header["groups"])})
    torch.set_rng_state(parts["random"]["cpu"])
    if device.type == "cuda" and "cuda" in parts["random"]:
        torch.cuda.set_rng_state(parts["random"]["cuda"], device)
    return json.loads(header["record"]), {name: tensor.to(device) for name, tensor in parts["carried"].items()}
