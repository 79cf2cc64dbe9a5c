"""Fits in an experiment tracker, by Lightning's loggers: TensorBoard, MLflow, Weights & Biases."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gnnkit._optional import optional_import

__all__ = ["TRACKERS", "Track", "TrackedFit", "TrackerWarning", "open_track"]

_SECONDS = 10
"""How long a server is waited for."""
_FOLDER_TAG = "gnnkit.folder"
"""The tag of a run of MLflow that says whose fit it is; a server may have runs of many folders."""
_MOST_RUNS = 1000
"""Runs that are looked through for those of a process that was killed."""


class TrackerWarning(UserWarning):
    """A tracker failed; the fits of this process go on without it."""


class _TensorBoard:
    """A folder of event files for each fit."""

    def open(self, folder: Path) -> None:
        optional_import("tensorboard", purpose="track: tensorboard", extra="tensorboard")

    def look(self, folder: Path) -> str:
        return f"tensorboard --logdir {folder / 'tensorboard'}"

    def logger(self, folder: Path, key: str, label: str, tags: Mapping[str, str]) -> Any:
        from lightning.fabric.loggers.tensorboard import TensorBoardLogger

        # What a fit that was cut off left would be drawn into the same curve.
        shutil.rmtree(folder / "tensorboard" / key, ignore_errors=True)
        return TensorBoardLogger(folder / "tensorboard", name="", version=key, default_hp_metric=False)

    def close(self, logger: Any, fit: TrackedFit, status: str) -> None:
        logger.log_hyperparams(fit.parameters, fit.final, step=fit.epochs)  # its table has a fit by its final figures
        logger.finalize(status)


class _MLflow:
    """A run for each fit: in the database of the folder, or on the server that MLFLOW_TRACKING_URI names."""

    def open(self, folder: Path) -> None:
        self._be_brief()
        mlflow = optional_import("mlflow", purpose="track: mlflow", extra="mlflow")
        client, name = mlflow.MlflowClient(self._uri(folder)), self._experiment()
        if client.get_experiment_by_name(name) is None:  # made here: two processes would both make it
            place = None if self._is_elsewhere() else (folder / "mlflow-artifacts").as_uri()
            client.create_experiment(name, artifact_location=place)
            return
        # A fit that was killed could not end its run: nothing of this folder runs now.
        experiment = client.get_experiment_by_name(name).experiment_id
        for run in client.search_runs([experiment], "attributes.status = 'RUNNING'", max_results=_MOST_RUNS):
            if not self._is_elsewhere() or run.data.tags.get(_FOLDER_TAG) == str(folder):
                client.set_terminated(run.info.run_id, status="KILLED")

    def look(self, folder: Path) -> str:
        return self._uri(folder) if self._is_elsewhere() else f"mlflow ui --backend-store-uri {self._uri(folder)}"

    def logger(self, folder: Path, key: str, label: str, tags: Mapping[str, str]) -> Any:
        from lightning.pytorch.loggers import MLFlowLogger

        self._be_brief()
        uri, tags = self._uri(folder), {**tags, _FOLDER_TAG: str(folder)}
        return MLFlowLogger(self._experiment(), run_name=label, tracking_uri=uri, tags=tags, synchronous=True)

    def close(self, logger: Any, fit: TrackedFit, status: str) -> None:
        logger.log_metrics(fit.final, step=fit.epochs)
        logger.finalize(status)

    def _be_brief(self) -> None:
        """A fit does not wait for minutes for a server that is gone."""
        for name, value in (("MAX_RETRIES", "1"), ("TIMEOUT", str(_SECONDS))):
            os.environ.setdefault(f"MLFLOW_HTTP_REQUEST_{name}", value)

    def _is_elsewhere(self) -> bool:
        return bool(os.environ.get("MLFLOW_TRACKING_URI"))

    def _uri(self, folder: Path) -> str:
        return os.environ.get("MLFLOW_TRACKING_URI") or f"sqlite:///{folder / 'mlflow.db'}"

    def _experiment(self) -> str:
        return os.environ.get("MLFLOW_EXPERIMENT_NAME") or "gnnkit"


class _WandB:
    """A run for each fit: on the server of who is logged in, else in the folder, from which `wandb sync` takes it."""

    def open(self, folder: Path) -> None:
        self._library()

    def look(self, folder: Path) -> str:
        return f"wandb sync {folder / 'wandb'}/offline-run-*" if self._is_offline() else "https://wandb.ai"

    def logger(self, folder: Path, key: str, label: str, tags: Mapping[str, str]) -> Any:
        from lightning.pytorch.loggers import WandbLogger

        quiet = self._library().Settings(silent=True, console="off", init_timeout=_SECONDS)
        project = os.environ.get("WANDB_PROJECT", "gnnkit")
        return WandbLogger(
            label, folder, offline=self._is_offline(), project=project, group=tags.get("data"), settings=quiet
        )

    def close(self, logger: Any, fit: TrackedFit, status: str) -> None:
        logger.log_metrics(fit.final, step=fit.epochs)
        logger.experiment.finish(
            exit_code=0 if status == "success" else 1
        )  # else the next fit would go on with its run

    def _is_offline(self) -> bool:
        return os.environ.get("WANDB_MODE") in ("offline", "dryrun") or self._library().api.api_key is None

    def _library(self) -> Any:
        return optional_import("wandb", purpose="track: wandb", extra="wandb")


TRACKERS = {"tensorboard": _TensorBoard(), "mlflow": _MLflow(), "wandb": _WandB()}
"""Name → how it is opened, given a fit, and closed."""


class TrackedFit:
    """One fit, told to a tracker; a listener to `gnnkit.training.fit`. A tracker that fails is warned of, once.

    Args:
        track: where.
        key: its name as a folder's.
        label: its name in words.
        parameters: its settings.
    """

    def __init__(self, track: Track, key: str, label: str, parameters: Mapping[str, Any]) -> None:
        self.parameters = {**parameters, **track.tags}
        self.final: dict[str, float] = {}
        self._track, self._tracker = track, TRACKERS[track.tracker]
        self._curve: list[float] = []
        self._logger: Any = None
        self._try(lambda: self._open(key, label))

    @property
    def epochs(self) -> int:
        """How many were logged."""
        return len(self._curve)

    def begin_fit(self, steps: int) -> None:
        """See `FitProgress`."""

    def step(self, *, epoch: int, loss: float, val_mae: float | None) -> None:
        """See `FitProgress`; an epoch is what is logged."""

    def end_epoch(self, *, epoch: int, train_loss: float, val_mae: float, seconds: float) -> bool:
        """See `FitProgress`: logs the figures under the number of the epoch."""
        self._curve.append(val_mae)
        self.final = {"best_val_mae": min(self._curve), "best_epoch": 1 + self._curve.index(min(self._curve))}
        figures = {"train_loss": train_loss, "val_mae": val_mae, "epoch_seconds": seconds}
        self._try(lambda: self._logger.log_metrics(figures, step=epoch))
        return False

    def end_fit(self) -> None:
        """See `FitProgress`."""

    def log_final(self, scores: Mapping[str, float]) -> None:
        """What is known at the end alone: scores on the test rows."""
        self.final |= scores

    def close(self, status: str = "success") -> None:
        """Log what is known at the end, and end the run as a `"success"` or as `"failed"`."""
        self._try(lambda: self._tracker.close(self._logger, self, status))

    def _open(self, key: str, label: str) -> None:
        self._logger = self._tracker.logger(self._track.folder, key, label, self._track.tags)
        self._logger.log_hyperparams(self.parameters)

    def _try(self, call: Callable[[], object]) -> None:
        if self._track.failed:
            return
        try:
            call()
        except Exception as error:  # of a library, a disk or a net: none of them is worth a fit
            self._track.failed = True
            text = f"track: {self._track.tracker} failed ({_line(error)}); fits go on, and are not tracked any more"
            warnings.warn(text, TrackerWarning, stacklevel=2)


@dataclass
class Track:
    """Where fits are tracked; a worker process may have a copy. `open_track` makes it.

    Args:
        tracker: a name of `TRACKERS`.
        folder: of what is written here.
        tags: what all its fits have in common, e.g. the SHA-256 of the data.
        failed: True where the tracker failed in this process: it is not asked again.
    """

    tracker: str
    folder: Path
    tags: dict[str, str]
    failed: bool = False

    @property
    def look(self) -> str:
        """The command, or the address, that shows what was logged."""
        return TRACKERS[self.tracker].look(self.folder)

    @contextmanager
    def fit(self, key: str, label: str, parameters: Mapping[str, Any]) -> Iterator[TrackedFit]:
        """Track one fit while the context lasts; an error in it is a run that failed.

        Args:
            key: its name as a folder's.
            label: its name in words, which the tracker shows.
            parameters: its settings.
        """
        tracked = TrackedFit(self, key, label, parameters)
        try:
            yield tracked
        except BaseException:
            tracked.close("failed")
            raise
        tracked.close()


def open_track(tracker: str, folder: str | Path, tags: Mapping[str, str] | None = None) -> Track:
    """Make sure that a tracker can be written to, before anything is trained.

    TensorBoard writes to `folder/tensorboard`; MLflow to `folder/mlflow.db`, or to the server that MLFLOW_TRACKING_URI
    names; Weights & Biases to its server where one is logged in, else to `folder/wandb`.

    Args:
        tracker: "tensorboard", "mlflow" or "wandb".
        folder: made when it is missing.
        tags: what all fits have in common (default: nothing).

    Raises:
        ImportError: its package is not installed; the line says how to install it.
        ValueError: an unknown tracker, or one that cannot be reached.

    Example:
        >>> open_track("paper", "runs")
        Traceback (most recent call last):
            ...
        ValueError: track: 'paper' is no tracker; choose from tensorboard, mlflow, wandb
    """
    if tracker not in TRACKERS:
        raise ValueError(f"track: {tracker!r} is no tracker; choose from {', '.join(TRACKERS)}")
    folder = Path(folder).absolute()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        TRACKERS[tracker].open(folder)
    except ImportError:
        raise
    except Exception as error:
        raise ValueError(f"track: {tracker} cannot be reached ({_line(error)}); start it, or leave track out") from None
    return Track(tracker, folder, dict(tags or {}))


def _line(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
