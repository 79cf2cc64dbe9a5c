"""A folder that one model is trained into: held while it is trained, gone on with where it was cut off."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from gnnkit.kept_files import check_own_files, claim_folder, new_name
from gnnkit.training.snapshot import Snapshots

__all__ = ["check_model_folder", "model_folder", "model_snapshots"]

_TRAINING, _SNAPSHOT = "training.json", "training.safetensors"
# What a save of a model may leave that was cut off.
_WAITING = ("weights.safetensors", "links.safetensors", "rival")


def check_model_folder(out: Path, *, is_model: bool) -> None:
    """Refuse a folder that a model must not be trained into, before anything is read.

    Args:
        out: Missing, empty, with a former model, or with what a training left that was cut off.
        is_model: Whether it holds a former model, which is to be replaced.

    Raises:
        ValueError: It holds something else, or cannot be written to.
    """
    check_own_files(out, _own(out, is_model))


def model_snapshots(out: Path, made_from: Mapping[str, Any]) -> Snapshots:
    """The snapshots of the training into a folder.

    Args:
        out: The folder.
        made_from: All that the model depends on; torch's version is added, and by `fit_threads` the threads, by
            which sums are rounded.
    """
    return Snapshots(out / _SNAPSHOT, {**made_from, "torch": str(torch.__version__)})


@contextmanager
def model_folder(out: Path, snapshots: Snapshots, *, is_model: bool) -> Iterator[None]:
    """Hold a folder while a model is trained and kept in it; what was needed to go on is removed then.

    Args:
        out: The folder.
        snapshots: From `model_snapshots`.
        is_model: As for `check_model_folder`.

    Raises:
        ValueError: A training of another model was cut off there (the message says what is other), another process
            writes to it, or see `check_model_folder`.
    """
    what, own, is_new = "a training that is not over,", _own(out, is_model), not out.exists()
    try:
        with claim_folder(out, _TRAINING, snapshots.made_from, what, finished=snapshots.exist, own=own):
            try:
                yield
            except Exception:
                if not snapshots.exist():  # nothing to go on from
                    (out / _TRAINING).unlink()
                raise
            snapshots.remove()
            (out / _TRAINING).unlink()
    finally:
        if is_new and out.is_dir() and not any(out.iterdir()):  # of a model that failed, or is not kept
            out.rmdir()


def _own(out: Path, is_model: bool) -> set[str]:
    if is_model:
        return {path.name for path in out.iterdir()}
    waiting = {new_name(out / name).name for name in _WAITING}
    return {"track", _TRAINING, *waiting, *Snapshots(out / _SNAPSHOT, {}).files()}
