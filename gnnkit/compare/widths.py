"""Parameters of a model, and the width that gives a model the parameters that are asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from gnnkit.compare.jobs import Job, job_settings
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.forecasting.rival import build_rival
from gnnkit.temporal import MODELS, build_forecaster
from gnnkit.training import TrainingSettings, isolated_seed

__all__ = ["asked_width", "count_parameters", "match_width", "own_settings"]

_WIDEST = 2**16
_WIDTH_TRIED = 64
_NARROWEST = 64
"""Some models need a few channels at least: the smallest width is looked for up to this one."""


def asked_width(spec: FinalSpec, model: str) -> int:
    """The width that a spec asks of a model; 0 of one that has none."""
    return spec.width(model) if MODELS[model].has_width else 0


def own_settings(spec: FinalSpec, model: str, settings: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """What a model is built with beside its sizes: what the spec, or `settings`, has for it, and its quantiles."""
    given = dict(spec.settings.get(model, {}) if settings is None else settings)
    given.pop("hidden_channels", None)
    own, training = job_settings(spec, Job(model, 0, settings=given))
    return own | ({"quantiles": training.quantiles} if training.quantiles else {})


def count_parameters(
    model: str, hidden_channels: int, sizes: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> int:
    """Trained parameters of a model, without making them: it is built on torch's meta device, unless it reads edges.

    A model of one's own is made as it is trained, for its constructor may look at numbers. Where that comes to an error
    other than a refusal (`ValueError`), its parameters are unknown, 0: the fits will say what it is. A rival with `fit`
    and `predict` has 0, too, until it was fitted.

    Args:
        model: a name of `gnnkit.temporal.MODELS`.
        hidden_channels: its width; a model without a width ignores it.
        sizes: from `gnnkit.forecasting.model_sizes`.
        settings: the model's own.

    Raises:
        ValueError: a setting or a width that the model does not accept.

    Example:
        >>> count_parameters("gru", 16, {"in_channels": 1, "horizon": 3, "history": 12, "num_nodes": 5})
        963
    """
    entry = MODELS[model]
    given = {"hidden_channels": hidden_channels, **sizes}
    on_cpu = entry.is_own or "edge_index" in entry.arguments
    try:
        if entry.fits_itself:
            build_rival(model, given, TrainingSettings(), settings)
            return 0
        with isolated_seed(0), torch.device("cpu" if on_cpu else "meta"):
            forecaster = build_forecaster(model, **given, **(settings or {}))
    except ValueError:
        raise
    except Exception:  # whatever a constructor of one's own raises
        if not entry.is_own:
            raise
        return 0
    return sum(parameter.numel() for parameter in forecaster.parameters() if parameter.requires_grad)


def match_width(
    model: str, target: int, sizes: Mapping[str, Any], settings: Mapping[str, Any] | None = None
) -> tuple[int | None, int]:
    """Find the width that brings a model nearest to a number of parameters.

    Parameters grow with the width: the search doubles it until they are too many, and halves the interval between.

    Args:
        model: a name of `gnnkit.temporal.MODELS`.
        target: parameters that are asked for.
        sizes: of the data.
        settings: the model's own.

    Returns:
        The width and the parameters that it gives; None as the width of a model that has none, or of one whose
        parameters are not known before it is fitted. How near they are is for
        the caller to see: one channel more or less can be several percent of a narrow model.

    Raises:
        ValueError: `target` below 1, a setting that the model does not accept, or more parameters than a width of 65536
            gives.

    Example:
        >>> match_width("gru", 10_000, {"in_channels": 1, "horizon": 3, "history": 12, "num_nodes": 5})
        (56, 10083)
    """
    if MODELS[model].fits_itself:
        return None, count_parameters(model, _WIDTH_TRIED, sizes, settings)
    if target < 1:
        raise ValueError(f"parameters is {target}; give a whole number of at least 1")
    if not MODELS[model].has_width:
        return None, count_parameters(model, 0, sizes, settings)
    if not count_parameters(model, _WIDTH_TRIED, sizes, settings):
        return None, 0
    low = _narrowest(model, sizes, settings)
    counts = {low: count_parameters(model, low, sizes, settings)}
    high = low
    while counts[high] < target:
        low, high = high, 2 * high
        if high > _WIDEST:
            raise ValueError(
                f"parameters is {target}, and {model} has {counts[low]} at a width of {low}; ask for fewer parameters"
            )
        counts[high] = count_parameters(model, high, sizes, settings)
    while high - low > 1:
        middle = (low + high) // 2
        counts[middle] = count_parameters(model, middle, sizes, settings)
        low, high = (middle, high) if counts[middle] < target else (low, middle)
    best = min((low, high), key=lambda width: (abs(counts[width] - target), width))
    return best, counts[best]


def _narrowest(model: str, sizes: Mapping[str, Any], settings: Mapping[str, Any] | None) -> int:
    for width in range(1, _NARROWEST + 1):
        try:
            count_parameters(model, width, sizes, settings)
        except ValueError:
            if width == _NARROWEST:
                raise
        else:
            return width
    raise AssertionError("the loop returns or raises")
