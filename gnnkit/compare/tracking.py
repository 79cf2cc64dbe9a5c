"""The jobs of a comparison in an experiment tracker: one run a fit."""

from __future__ import annotations

from typing import Any

from gnnkit.compare.jobs import Job, job_settings, job_windows, run_job
from gnnkit.compare.scores import Outcome
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.data import GraphSeries
from gnnkit.forecasting.scores import forecast_scores, named_scores
from gnnkit.training import FitListeners, FitProgress, Snapshots
from gnnkit.training.track import Track

__all__ = ["job_parameters", "run_tracked"]


def run_tracked(
    track: Track | None,
    spec: FinalSpec,
    series: GraphSeries,
    job: Job,
    progress: FitProgress | None = None,
    snapshots: Snapshots | None = None,
) -> tuple[Outcome, float]:
    """Run a job as `run_job` does, and log its settings, its epochs and its scores; the numbers are the same.

    Args:
        track: where; None: nowhere.
        spec, series, job, progress, snapshots: those of `run_job`.

    Returns:
        What `run_job` returns.
    """
    if track is None:
        return run_job(spec, series, job, progress, snapshots)
    with track.fit(job.key, job.label, job_parameters(spec, job)) as tracked:
        outcome, seconds = run_job(spec, series, job, FitListeners(progress, tracked), snapshots)
        if not job.trial:  # which predicts no test row
            test = job_windows(spec, series, job.condition, job.seed)[1].test
            counts = {p: test.count(p) for p in spec.horizons}
            tracked.log_final(named_scores(forecast_scores(outcome.predicted, *test.targets(), counts)))
    return outcome, seconds


def job_parameters(spec: FinalSpec, job: Job) -> dict[str, Any]:
    """The settings of a job as a flat table; those of the model itself have its name before them.

    Example:
        >>> from gnnkit.compare.spec.comparison import FinalSpec
        >>> found = job_parameters(FinalSpec(), Job("gru", 3, settings={"dropout": 0.1, "learning_rate": 0.01}))
        >>> found["seed"], found["condition"], found["learning_rate"], found["gru.dropout"]
        (3, 'as given', 0.01, 0.1)
    """
    own, training = job_settings(spec, job)
    return {
        "model": job.model,
        "seed": job.seed,
        "condition": job.condition.label or "as given",
        "trial": job.trial,
        "hidden_channels": job.hidden_channels,
        "history": spec.history,
        "horizons": ", ".join(map(str, spec.horizons)),
        **training.model_dump(exclude={"seed", "quantiles"}),
        **{f"{job.model}.{name}": value for name, value in own.items()},
    }
