"""A training in mid-run as a file: cut off at any moment, it goes on from there bit for bit."""

from __future__ import annotations

import contextlib
import json
import os
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gnnkit.differences import named_differences
from gnnkit.kept_files import new_name
from gnnkit.kept_tensors import load_tensors, save_tensors

__all__ = ["DamagedSnapshotWarning", "Snapshots", "load_snapshot", "save_snapshot"]

FORMAT = 2
_EVERY = 30.0
# A snapshot may take so much of a training's time.
_SHARE = 0.02


class DamagedSnapshotWarning(UserWarning):
    """The latest snapshot of a training cannot be read; it goes on from the one before, or anew."""


def save_snapshot(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    record: Mapping[str, Any],
    tensors: Mapping[str, Tensor] | None = None,
    generators: Mapping[str, torch.Generator] | None = None,
) -> None:
    """Write weights, the optimizer's state and rates, and random states, as safetensors; nothing is pickled.

    The file is written beside `path`, forced to the disk and renamed: at any moment, `path` is the snapshot before or
    this one, whole.

    Args:
        path: The file.
        model: Its parameters and persistent buffers are kept.
        optimizer: Over the model's parameters.
        record: What else the training knows, as JSON values, e.g. the step.
        tensors: What else it carries, e.g. a recurrent state.
        generators: What it draws from beside torch's own generator, which is kept in any case.

    Raises:
        TypeError: `record` holds something that JSON cannot.
        OSError: The disk is full, or the folder cannot be written to; names the file.
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
    kept |= {f"generator.{name}": generator.get_state() for name, generator in (generators or {}).items()}
    kept["random.cpu"] = torch.get_rng_state()
    device = next(model.parameters()).device
    if device.type == "cuda":
        kept["random.cuda"] = torch.cuda.get_rng_state(device)
    header = {"format": FORMAT, "record": dict(record), "groups": state["param_groups"], "numbers": numbers}
    save_tensors(path, kept, header)


def load_snapshot(
    path: str | Path,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generators: Mapping[str, torch.Generator] | None = None,
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Put a training back to where `save_snapshot` found it; torch's random states are set too.

    Args:
        path: The file.
        model: Built as the one that was saved; on the device that it is to be trained on.
        optimizer: Built over it as the one that was saved.
        generators: Get the states that those had which were saved under the same names.

    Returns:
        The record, and the tensors that were carried, on the model's device.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: The file is damaged or not a snapshot, is of another layout, or belongs to another model.
    """
    header, kept = load_tensors(path)
    _check_layout(path, header)
    return _restore(path, header, kept, model, optimizer, generators or {})


def _check_layout(path: str | Path, header: Mapping[str, Any]) -> None:
    if "record" not in header:
        raise ValueError(f"{path} is not a snapshot of a training; remove it to begin anew")
    if header["format"] != FORMAT:
        raise ValueError(f"{path} has layout {header['format']}, this gnnkit reads {FORMAT}: update gnnkit")


def _restore(
    path: str | Path,
    header: Mapping[str, Any],
    kept: Mapping[str, Tensor],
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    generators: Mapping[str, torch.Generator],
) -> tuple[dict[str, Any], dict[str, Tensor]]:
    device = next(model.parameters()).device
    parts: dict[str, dict[str, Tensor]] = {
        part: {} for part in ("model", "carried", "optimizer", "generator", "random")
    }
    for name, tensor in kept.items():
        part, _, rest = name.partition(".")
        # A copy: tensors of the file are mapped from it, and it will be replaced.
        parts[part][rest] = tensor.clone()
    try:
        model.load_state_dict(parts["model"])
    except RuntimeError as error:
        reason = str(error).splitlines()[-1].strip()
        raise ValueError(f"{path} belongs to another model: {reason}; remove it to begin anew") from None
    state: dict[int, dict[str, Any]] = {int(place): dict(values) for place, values in header["numbers"].items()}
    for name, tensor in parts["optimizer"].items():
        place, _, entry = name.partition(".")
        state.setdefault(int(place), {})[entry] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": header["groups"]})
    for name, generator in generators.items():
        generator.set_state(parts["generator"][name])
    torch.set_rng_state(parts["random"]["cpu"])
    if device.type == "cuda" and "cuda" in parts["random"]:
        torch.cuda.set_rng_state(parts["random"]["cuda"], device)
    return dict(header["record"]), {name: tensor.to(device) for name, tensor in parts["carried"].items()}


class Snapshots:
    """The snapshots of one training in a folder: the latest, and the one before, for the case that it is damaged.

    Args:
        path: The latest; the one before has `.previous` behind its name.
        made_from: All that the training depends on, by name, as JSON values: settings, data, code. A snapshot that was
            made from anything else is refused.
        anew: True begins anew where a snapshot was made from something else, in place of an error. Default False.
        every: Seconds from one snapshot to the next, at least; more where writing one takes more than a fiftieth of
            them. Default 30. 0: at every step.

    Example:
        >>> import tempfile
        >>> model = nn.Linear(1, 1)
        >>> adam = torch.optim.Adam(model.parameters())
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     snapshots = Snapshots(Path(folder) / "training.safetensors", {"epochs": 3})
        ...     snapshots.load(model, adam)
        ...     snapshots.save(model, adam, {"step": 1})
        ...     snapshots.load(model, adam)
        ({'step': 1}, {})
    """

    def __init__(
        self, path: str | Path, made_from: Mapping[str, Any], *, anew: bool = False, every: float = _EVERY
    ) -> None:
        self.path = Path(path)
        self.made_from: dict[str, Any] = json.loads(json.dumps(dict(made_from)))
        self.anew, self.every = anew, every
        self._last, self._cost = time.perf_counter(), 0.0
        self._where: str | None = None

    @property
    def previous(self) -> Path:
        """The snapshot before the latest."""
        return self.path.with_name(f"{self.path.name}.previous")

    @property
    def exploded(self) -> Path:
        """The last good snapshot of a training whose loss exploded."""
        return self.path.with_name(f"{self.path.name}.exploded")

    def files(self) -> list[str]:
        """The names of all files that may stand in the folder."""
        return [path.name for path in (self.path, self.previous, self.exploded, new_name(self.path))]

    def exist(self) -> bool:
        """Whether there is one to go on from."""
        return self.path.exists() or self.previous.exists()

    def due(self) -> bool:
        """Whether it is time for the next one."""
        return time.perf_counter() - self._last >= max(self.every, self._cost / _SHARE if self.every else 0.0)

    def save(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        record: Mapping[str, Any],
        tensors: Mapping[str, Tensor] | None = None,
        generators: Mapping[str, torch.Generator] | None = None,
        *,
        where: str = "",
    ) -> None:
        """Write one; the latest becomes the one before.

        Args:
            model, optimizer, record, tensors, generators: See `save_snapshot`.
            where: In words, e.g. `"epoch 3, step 7"`, for an error that comes later.

        Raises: as `save_snapshot`.
        """
        start = time.perf_counter()
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = {"made_from": self.made_from, "where": where, "own": dict(record)}
        save_snapshot(new_name(self.path), model, optimizer, whole, tensors, generators)
        if self.path.exists():
            os.replace(self.path, self.previous)
        os.replace(new_name(self.path), self.path)
        self._last = time.perf_counter()
        self._cost, self._where = self._last - start, where

    def load(
        self,
        model: nn.Module,
        optimizer: torch.optim.Optimizer,
        generators: Mapping[str, torch.Generator] | None = None,
    ) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Put a training back to the latest snapshot that can be read, or leave it where it begins.

        Args:
            model, optimizer, generators: See `load_snapshot`.

        Returns:
            Record and tensors; None where nothing can be gone on from.

        Warns:
            DamagedSnapshotWarning: The latest is damaged.

        Raises:
            ValueError: It was made from something else, which is named, or belongs to another model.
        """
        found = self.read()
        if found is None:
            return None
        path, header, kept = found
        record, tensors = _restore(path, header, kept, model, optimizer, generators or {})
        return record["own"], tensors

    def began_with(self, name: str, value: Any) -> Any:
        """What the training that is to go on was made from under this name; `value` where there is none.

        Args:
            name: Of `made_from`, e.g. `"threads"`.
            value: Of a training that begins.
        """
        for path in (self.path, self.previous):
            try:
                header, _ = load_tensors(path)
                return header["record"]["made_from"][name]
            except (OSError, ValueError, KeyError, TypeError):  # `read` tells what is wrong with it
                continue
        return value

    def record(self) -> dict[str, Any] | None:
        """The record of the latest that can be read, for who must know it to build the model; see `load`."""
        found = self.read()
        return None if found is None else found[1]["record"]["own"]

    def read(self) -> tuple[Path, dict[str, Any], dict[str, Tensor]] | None:
        """The file, the header and the tensors of the latest snapshot that can be read; see `load`."""
        for path in (self.path, self.previous):
            if not path.exists():
                continue
            try:
                header, kept = load_tensors(path)
                _check_layout(path, header)
                there = header["record"]["made_from"]
            except (ValueError, KeyError, TypeError) as error:
                then = "it goes on from the one before" if path == self.path and self.previous.exists() else (
                    "the training begins anew"
                )  # fmt: skip
                warnings.warn(f"{error}; {then}", DamagedSnapshotWarning, stacklevel=3)
                continue
            if other := named_differences(there, self.made_from):
                if self.anew:
                    continue
                raise ValueError(
                    f"{path} is of a training with another {other}: repeat that, remove the file, or give another "
                    "folder (--out)"
                )
            self._where = header["record"]["where"]
            return path, header, kept
        return None

    def remove(self) -> None:
        """Remove them: the training is over, and its result is kept."""
        for path in (self.path, self.previous, self.exploded, new_name(self.path)):
            path.unlink(missing_ok=True)

    @contextlib.contextmanager
    def named_on_explosion(self) -> Iterator[None]:
        """Say of a training that explodes in the block where its last good snapshot is; it is in nobody's way there.

        Raises:
            FloatingPointError: The training exploded.
        """
        try:
            yield
        except FloatingPointError as error:
            if not self.exist():
                raise
            os.replace(self.path if self.path.exists() else self.previous, self.exploded)
            self.previous.unlink(missing_ok=True)
            where = f", of {self._where}," if self._where else ""
            kept = f"the last good snapshot{where} is kept as {self.exploded.name}"
            raise FloatingPointError(f"{error}; {kept}") from None
