"""The finished jobs of a comparison on disk: one file each, whole or not there, read only by the run that it fits."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gnnkit.compare.folds import fold_series
from gnnkit.compare.jobs import Job, job_settings
from gnnkit.compare.model_code import UNKNOWN, model_digest
from gnnkit.compare.scores import Outcome
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.data import GraphSeries
from gnnkit.kept_tensors import load_tensors, read_record, save_tensors
from gnnkit.temporal import MODELS
from gnnkit.training import EpochRecord, FitResult, Snapshots, resolve_device
from gnnkit.training.code import code_digest as digest_of
from gnnkit.training.environment import hardware

__all__ = ["JobStore", "StoredJob", "code_digest", "fingerprint", "model_code"]

FORMAT = "2"
_TENSORS = ("predicted", "validation", "quantiles", "validation_quantiles")
_TRIAL = ("settings", "hidden_channels", "limits")
"""What the trials before it made of a trial."""
_CODE = (
    *("ops", "graph", "layers", "sequence", "temporal", "data", "training"),
    *("forecasting/settle.py", "forecasting/train.py", "forecasting/rival.py", "forecasting/rival_windows.py"),
    *("compare/jobs.py", "compare/pruning.py"),
)
"""What the numbers of a job come from, as far as it is gnnkit's."""
_DIGESTS = {"code": "code that trains", "model_code": "code of the model", "data": "data"}


@dataclass(frozen=True)
class StoredJob:
    """A finished job.

    Args:
        outcome: what it predicted, on memory-mapped tensors; None where the fit failed.
        error: why the fit failed; None where it did not.
        seconds: that all of the job took.
        made: `date` and `commit` of the fit.
    """

    outcome: Outcome | None
    error: str | None
    seconds: float
    made: dict[str, str]


def code_digest() -> str:
    """SHA-256 of gnnkit's code that a fit runs: an edit of it makes earlier jobs those of another version."""
    return digest_of(*_CODE)


def fingerprint(spec: FinalSpec, job: Job, series: GraphSeries, *, data_hash: str, threads: int) -> dict[str, Any]:
    """All that the numbers of a job depend on, as JSON values, and nothing that they do not depend on.

    The clock of the series (`start`, `step_minutes`) is among them where it counts: where models see the time, and, as
    the length of an outage is an hour, where outages hide inputs.

    Args:
        spec: what is compared.
        job: one of its fits.
        series: the data as they were read.
        data_hash: its `digest()`, which holds values, graph and split, and no clock.
        threads: of a fit on the processor: sums are rounded in the order of the threads.
    """
    device = resolve_device(spec.device)
    own, training = job_settings(spec, job)
    values = {
        "model": job.model,
        "seed": job.seed,
        **dataclasses.asdict(job.condition),
        "hidden_channels": job.hidden_channels,
        "settings": own,
        **training.model_dump(exclude={"seed", "device"}),
        "history": spec.history,
        "horizons": [min(spec.horizons), max(spec.horizons)],
        **{name: getattr(spec, name) for name in ("scaler", "time_features", "residual", "reach_back")},
        **_clock(spec, job, series),
        "data": data_hash,
        **({"fold_rows": _rows(fold_series(spec, series, job.fold))} if spec.folds > 1 else {}),
        "code": code_digest(),
        **model_code(job.model),
        "torch": torch.__version__,
        "device": device.type,
        "hardware": hardware(device),
        "threads": threads,
    }
    if job.trial:
        values["trial"] = {name: getattr(job, name) for name in _TRIAL}
    return json.loads(json.dumps(values))


class JobStore:
    """A folder with one safetensors file for each finished job. Nothing in it is pickled.

    Args:
        directory: the folder; made when it is missing.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     store = JobStore(Path(folder) / "jobs")
        ...     store.save_failure(Job("gru", 0), {"epochs": 8}, "loss is nan", seconds=1.0, made={})
        ...     store.mismatch(Job("gru", 0), {"epochs": 8}), store.mismatch(Job("gru", 0), {"epochs": 9})
        (None, 'was made with epochs 8, and this run has 9')
    """

    def __init__(self, directory: str | Path) -> None:
        self.directory = Path(directory)
        self.directory.mkdir(parents=True, exist_ok=True)

    def path(self, job: Job) -> Path:
        """The file of a job."""
        return self.directory / f"{job.key}.safetensors"

    def __contains__(self, job: Job) -> bool:
        return self.path(job).is_file()

    def snapshots(self, job: Job, fingerprint: Mapping[str, Any]) -> Snapshots:
        """The snapshots of a job that is not finished; one of another fit under its name is begun anew."""
        return Snapshots(self.directory / f"{job.key}.snapshot", fingerprint, anew=True)

    def code(self, job: Job) -> str:
        """SHA-256 of the code that a finished job was trained with (`code_digest` of that version)."""
        return _read_record(self.path(job))["fingerprint"]["code"]

    def trial(self, job: Job) -> Job:
        """A finished trial with what was drawn for it.

        Args:
            job: its model, seed and number.

        Raises:
            ValueError: it is not there, or is damaged.
        """
        try:
            drawn = _read_record(self.path(job))["fingerprint"]["trial"]
        except (FileNotFoundError, KeyError):
            raise ValueError(
                f"{self.path(job)} is not there, or of an older gnnkit; only a run that is over can be judged again "
                f"(--resume)"
            ) from None
        return dataclasses.replace(job, **drawn | {"limits": tuple(drawn["limits"])})

    def mismatch(self, job: Job, wanted: Mapping[str, Any], *, any_code: bool = False) -> str | None:
        """Why the file of a job does not belong to this run, in a few words; None where it does.

        Args:
            job: one whose file is there.
            wanted: its `fingerprint` in this run.
            any_code: True lets a job of another version of the code belong to it (default False).
        """
        try:
            found = _read_record(self.path(job))["fingerprint"]
        except ValueError as error:
            return str(error)
        for name in sorted(set(wanted) | set(found)):
            there, here = found.get(name), wanted.get(name)
            if there != here and not (any_code and name in ("code", "model_code")):
                if name in _DIGESTS:
                    what = _DIGESTS[name]
                    if name == "model_code" and UNKNOWN in (str(there)[:7], str(here)[:7]):
                        return "was made with code of the model that cannot be told from other code"
                    return f"was made with other {what} (SHA-256 {str(there)[:12]}…, now {str(here)[:12]}…)"
                return f"was made with {name} {there}, and this run has {here}"
        try:
            load_tensors(self.path(job))
        except ValueError as error:
            return _without_path(error, self.path(job))
        return None

    def save(
        self, job: Job, fingerprint: Mapping[str, Any], outcome: Outcome, *, seconds: float, made: Mapping[str, str]
    ) -> None:
        """Keep what a job predicted, bit for bit."""
        tensors = {name: getattr(outcome, name) for name in _TENSORS}
        fitted = None if outcome.fitted is None else dataclasses.asdict(outcome.fitted)
        record = {"family": outcome.family, "fitted": fitted, "error": None}
        self._write(job, {**record, "fingerprint": dict(fingerprint), "seconds": seconds, "made": dict(made)}, tensors)

    def save_failure(
        self, job: Job, fingerprint: Mapping[str, Any], error: str, *, seconds: float, made: Mapping[str, str]
    ) -> None:
        """Keep that a fit failed by its numbers; fitted again, it would fail again."""
        record = {"family": None, "fitted": None, "error": error}
        self._write(job, {**record, "fingerprint": dict(fingerprint), "seconds": seconds, "made": dict(made)}, {})

    def load(self, job: Job) -> StoredJob:
        """Read a job. Its tensors are mapped into memory: what is not looked at is not read.

        Raises:
            FileNotFoundError: there is no such job.
            ValueError: the file is damaged, or of a later layout.
        """
        record = _read_record(self.path(job))
        _, there = load_tensors(self.path(job))
        outcome = None
        if record["error"] is None:
            tensors: dict[str, Any] = {name: there.get(name) for name in _TENSORS[1:]}
            fitted = _fitted(record["fitted"])
            outcome = Outcome(
                job.model, record["family"], job.seed, there["predicted"], fitted, job.condition, **tensors
            )
        return StoredJob(outcome, record["error"], record["seconds"], record["made"])

    def _write(self, job: Job, record: Mapping[str, Any], tensors: Mapping[str, Tensor | None]) -> None:
        kept = {name: tensor for name, tensor in tensors.items() if tensor is not None}
        save_tensors(self.path(job), kept, {"format": FORMAT, **record})


def _rows(series: GraphSeries) -> list[list[int]]:
    return [[rows.start, rows.stop] for rows in series.split.parts.values()]


def model_code(model: str) -> dict[str, str]:
    """The code of a model of one's own; gnnkit's own models are in `code_digest`."""
    return {} if MODELS.is_first(model) else {"model_code": model_digest(MODELS[model].build)}


def _clock(spec: FinalSpec, job: Job, series: GraphSeries) -> dict[str, Any]:
    """What a job depends on of the times of the rows."""
    found: dict[str, Any] = {}
    if spec.time_features:
        found["start"] = None if series.start is None else series.start.isoformat()
    if spec.time_features or job.condition.hidden_share > 0:
        found["step_minutes"] = series.step_minutes
    return found


def _read_record(path: Path) -> dict[str, Any]:
    try:
        record = read_record(path)
        _check_layout(record)
        return record
    except FileNotFoundError:
        raise FileNotFoundError(f"{path}: there is no such job") from None
    except ValueError as error:
        raise ValueError(_without_path(error, path)) from None


def _check_layout(record: dict[str, Any]) -> None:
    if "fingerprint" not in record:
        raise ValueError("is not a job of `gnnkit compare`")
    if record.get("format") != FORMAT:
        raise ValueError(f"has layout {record.get('format')}, and this gnnkit reads {FORMAT}")


def _without_path(error: ValueError, path: Path) -> str:
    return str(error).removeprefix(f"{path} ")


def _fitted(record: dict[str, Any] | None) -> FitResult | None:
    if record is None:
        return None
    return FitResult(**{**record, "epochs": [EpochRecord(**epoch) for epoch in record["epochs"]]})
