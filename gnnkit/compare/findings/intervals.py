"""Prediction intervals, the same for every model: split-conformal ones, and those of quantile heads."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.finding import OMITTED, Finding
from gnnkit.compare.report.tables import families, horizon_label, step_of, with_unit
from gnnkit.compare.results import Results
from gnnkit.compare.scores import Outcome
from gnnkit.forecasting.intervals import conformal_table
from gnnkit.report.numbers import DASH, decimals, format_number
from gnnkit.report.sections import Entry, Section, Sheet, Sheets, Statement
from gnnkit.statistics.conformal import (
    conformal_margin,
    crps_from_pinball,
    interval_bounds,
    interval_levels,
)

__all__ = ["INTERVALS", "IntervalScore", "score_intervals"]

_OFF = 0.02
"""A coverage this far from the nominal one is marked."""
_LEVELS = 5
"""With more quantile levels than this, their mean pinball loss is shown."""

Quantile = Callable[[int, int], Tensor]
Bounds = Callable[[int], tuple[Tensor, Tensor]]


@dataclass(frozen=True, kw_only=True)
class IntervalScore:
    """How good the intervals of one model and seed are up to one horizon.

    Args:
        model, seed, horizon: whose, and P.
        method: "conformal", "quantile", or "given" for quantiles that are taken as they are.
        nominal: coverage that is asked for.
        coverage: share of the observed targets inside.
        width: mean, in the data's unit.
        crps: continuous ranked probability score (`crps_from_pinball`).
        pinball: mean loss by level, as text.
        observed: targets.
        raw_coverage, raw_width: of quantile heads, before they were conformalised.
    """

    model: str
    seed: int
    horizon: int
    method: str
    nominal: float
    coverage: float | None
    width: float | None
    crps: float | None
    pinball: dict[str, float] | None
    observed: int
    raw_coverage: float | None = field(default=None, metadata=OMITTED)
    raw_width: float | None = field(default=None, metadata=OMITTED)


def score_intervals(
    outcomes: Iterable[Outcome],
    true: Float[Tensor, "W P N"],
    mask: Bool[Tensor, "W P N"],
    validation_true: Float[Tensor, "V P N"],
    validation_mask: Bool[Tensor, "V P N"],
    windows: Mapping[int, int],
    *,
    coverage: float,
    levels: Sequence[float],
) -> list[IntervalScore]:
    """How good the prediction intervals of each outcome are, at each horizon, over its steps 1 … P.

    `"conformal"`, from a point forecast ŷ: the quantile at level τ is q_τ = ŷ + s_n r_(k), with the errors of the
    validation windows, scaled to the node, in r (see `gnnkit.forecasting.intervals.conformal_table`).

    `"quantile"`, from quantile heads: the distribution is that of the heads as they are. Their interval at the nominal
    coverage 1 − α is conformalised: both its bounds move out by the ⌈(1 − α) (n + 1)⌉-th smallest of
    max(q_{α/2} − y, y − q_{1−α/2}) on the validation targets of the step; `raw_coverage` and `raw_width` are before it.

    `"given"`: the quantiles of a forecast made elsewhere (with `Outcome.levels`) that has none of the validation rows,
    as they are. It has a CRPS where its levels hold `levels`. One whose levels lack α/2 or 1 − α/2 is scored by its
    point forecasts, as if it had no quantiles.

    If validation and test errors were exchangeable, an interval would hold its share of new values whatever the model.
    They are not quite: windows overlap, so that neighbours are nearly copies and n tells less than it seems, traffic
    changes from the validation days to the test days, and nodes share one calibration. So coverage is measured.

    Args:
        outcomes: what was predicted. One with `quantiles` is scored as `"quantile"`, another with `validation` as
            `"conformal"`; those with neither, and those under a condition other than the base, are passed over.
        true: test targets, in the data's unit; where nothing was observed, any finite number.
        mask: observed test targets.
        validation_true: validation targets.
        validation_mask: observed validation targets.
        windows: horizon P → number of leading test windows that are scored.
        coverage: nominal coverage 1 − α, inside (0, 1).
        levels: of the distributions, rising; those of `Outcome.quantiles`. Take `interval_levels(coverage)`.

    Returns:
        One for each outcome and horizon. None where a step has so few validation targets that a bound is infinite (for
        .05 to .95: fewer than 19), or nothing was observed.

    Raises:
        ValueError: levels outside (0, 1) or not rising; quantiles of another number, or without the levels α/2 and
            1 − α/2, or without those of the validation windows.

    Source:
        Papadopoulos et al., "Inductive confidence machines for regression" (2002); Lei et al., "Distribution-free
        predictive inference for regression" (2018). Romano et al., "Conformalized quantile regression" (2019).
    """
    levels = tuple(float(level) for level in levels)
    if not levels or not all(0 < level < 1 for level in levels) or list(levels) != sorted(set(levels)):
        raise ValueError(f"levels are {levels}; give rising levels inside (0, 1), such as interval_levels(coverage)")
    interval_bounds(coverage)
    truth, calibration = _Truth(true, mask), _Truth(validation_true, validation_mask)
    rows: list[IntervalScore] = []
    for outcome in outcomes:
        if not outcome.condition.is_base:
            continue
        bounded = not outcome.levels or {*interval_bounds(coverage)} <= {*outcome.levels}
        if outcome.quantiles is not None and bounded:
            method = "given" if outcome.levels and outcome.validation_quantiles is None else "quantile"
            found = _heads(outcome, truth, calibration, windows, coverage, levels)
        elif outcome.validation is not None:
            method, found = "conformal", _conformal(outcome, truth, calibration, windows, coverage, levels)
        else:
            continue
        for horizon, figures in found.items():
            names = {"model": outcome.model, "seed": outcome.seed, "horizon": horizon, "method": method}
            rows.append(IntervalScore(**names, nominal=coverage, **figures))
    return rows


@dataclass(frozen=True)
class _Truth:
    """Targets and which of them were observed."""

    true: Tensor
    mask: Tensor

    def errors(self, predicted: Tensor, step: int) -> Float[np.ndarray, " n"]:
        """Observed targets minus predictions of one step, in one row."""
        seen = self.mask[:, step]
        return (self.true[:, step] - predicted)[seen].numpy()


def _conformal(
    outcome: Outcome,
    truth: _Truth,
    calibration: _Truth,
    windows: Mapping[int, int],
    coverage: float,
    levels: tuple[float, ...],
) -> dict[int, dict[str, Any]]:
    if outcome.validation is None:
        return {}
    predicted, validation = outcome.predicted, outcome.validation
    wanted = (*levels, *interval_bounds(coverage))
    scale, offsets = conformal_table(calibration.true, validation, calibration.mask, wanted)  # [N], [P, L + 2]

    def quantile(step: int, level: int) -> Tensor:
        return torch.add(predicted[:, step], scale, alpha=float(offsets[step, level]))

    def bounds(step: int) -> tuple[Tensor, Tensor]:
        return quantile(step, len(levels)), quantile(step, len(levels) + 1)

    finite = {p: n for p, n in windows.items() if np.isfinite(offsets[:p]).all()}
    return _score(truth, finite, levels, quantile, bounds)


def _heads(
    outcome: Outcome,
    truth: _Truth,
    calibration: _Truth,
    windows: Mapping[int, int],
    coverage: float,
    levels: tuple[float, ...],
) -> dict[int, dict[str, Any]]:
    heads, before, asked = outcome.quantiles, outcome.validation_quantiles, levels
    levels = outcome.levels or levels
    if heads is None or (before is None and not outcome.levels):
        raise ValueError(
            f"{outcome.model} has quantiles but no validation_quantiles; predict the validation windows too"
        )
    found, calibrated = heads.size(-1), heads.size(-1) if before is None else before.size(-1)
    if not found == calibrated == len(levels):
        raise ValueError(
            f"{outcome.model} has {found} quantiles, of the validation windows {calibrated}, but levels "
            f"are {levels}; give the levels that its heads were trained on"
        )
    places = [int(np.argmin(np.abs(np.array(levels) - bound))) for bound in interval_bounds(coverage)]
    if any(abs(levels[place] - bound) > 1e-9 for place, bound in zip(places, interval_bounds(coverage), strict=True)):
        raise ValueError(
            f"levels {levels} lack the bounds {interval_bounds(coverage)} of coverage {coverage:g}; "
            "train the heads on interval_levels(coverage)"
        )
    low, high = places
    margin = np.zeros(max(windows))
    if before is not None:
        outside = (
            np.maximum(-calibration.errors(before[:, p, :, low], p), calibration.errors(before[:, p, :, high], p))
            for p in range(max(windows))
        )
        margin = np.array([conformal_margin(each, coverage) for each in outside])

    def quantile(step: int, level: int) -> Tensor:
        return heads[:, step, :, level]

    def raw(step: int) -> tuple[Tensor, Tensor]:
        return quantile(step, low), quantile(step, high)

    def bounds(step: int) -> tuple[Tensor, Tensor]:
        bottom, top = raw(step)
        # A negative margin may pull the bounds past each other: the interval is then the point between them.
        middle = (bottom + top) / 2
        return torch.minimum(bottom - margin[step], middle), torch.maximum(top + margin[step], middle)

    known = {p: n for p, n in windows.items() if np.isfinite(margin[:p]).all()}
    scored = _score(truth, known, levels, quantile, bounds)
    if not {*asked} <= {*levels}:  # a few levels do not make a distribution
        scored = {p: figures | {"crps": None} for p, figures in scored.items()}
    if before is None:
        return scored
    untouched = _score(truth, known, (), quantile, raw)
    return {
        p: figures | {f"raw_{name}": untouched[p][name] for name in ("coverage", "width")}
        for p, figures in scored.items()
    }


def _score(
    truth: _Truth, windows: Mapping[int, int], levels: tuple[float, ...], quantile: Quantile, bounds: Bounds
) -> dict[int, dict[str, Any]]:
    """Coverage, width, pinball losses and CRPS at each horizon; one step at a time, so that little memory is held."""
    if not windows:
        return {}
    steps, count = max(windows), max(windows.values())
    inside, width = np.zeros((2, steps, count))
    pinball = np.zeros((len(levels), steps, count))
    for step in range(steps):
        y, seen = truth.true[:count, step], truth.mask[:count, step]
        low, high = (bound[:count] for bound in bounds(step))
        inside[step] = ((low <= y) & (y <= high) & seen).sum(dim=1).numpy()
        weight = seen.to(y.dtype)
        width[step] = (high - low).mul_(weight).sum(dim=1).numpy()
        for number, level in enumerate(levels):
            error = (y - quantile(step, number)[:count]).mul_(weight)
            # Σ max(τ e, (τ − 1) e) = (τ − ½) Σ e + ½ Σ |e|: two sums that need no array of their own.
            total, size = error.sum(dim=1), torch.linalg.vector_norm(error, ord=1, dim=1)
            pinball[number, step] = ((level - 0.5) * total.double() + 0.5 * size.double()).numpy()
    observed = truth.mask[:count, :steps].sum(dim=2).T.numpy()  # [P, W]
    found = {}
    for horizon, leading in windows.items():
        part = (slice(0, horizon), slice(0, leading))
        total = int(observed[part].sum())
        if not total:
            continue
        losses = [float(loss[part].sum() / total) for loss in pinball]
        found[horizon] = {
            "coverage": float(inside[part].sum() / total),
            "width": float(width[part].sum() / total),
            "crps": crps_from_pinball(levels, losses),
            "pinball": {f"{level:g}": loss for level, loss in zip(levels, losses, strict=True)},
            "observed": total,
        }
    return found


def _find(evidence: Evidence) -> list[IntervalScore]:
    """Each fold is calibrated on its own validation windows."""
    asked = {"coverage": evidence.spec.coverage, "levels": interval_levels(evidence.spec.coverage)}
    found: dict[tuple[str, int, int], list[IntervalScore]] = {}
    sizes = [len(fold.windows.test) for fold in evidence.folds]
    true, mask = (torch.split(part, sizes) for part in (evidence.table.true, evidence.table.mask))
    for number, fold in enumerate(evidence.folds):
        outcomes = [parts[number] for parts in evidence.by_fold if parts[number].condition.is_base]
        targets = (true[number], mask[number], *fold.windows.val.targets())
        counted = {p: fold.windows.test.count(p) for p in evidence.spec.horizons}
        for row in score_intervals(outcomes, *targets, counted, **asked):
            found.setdefault((row.model, row.seed, row.horizon), []).append(row)
    return [_pooled(rows) for rows in found.values() if len(rows) == len(evidence.folds)]


def _pooled(rows: Sequence[IntervalScore]) -> IntervalScore:
    """The scores of all folds as one: means over the observed targets."""
    if len(rows) == 1:
        return rows[0]
    weights = np.array([row.observed for row in rows]) / sum(row.observed for row in rows)

    def mean(values: Sequence[float | None]) -> float | None:
        known = [value for value in values if value is not None]
        return float(weights @ np.array(known)) if len(known) == len(rows) else None

    names = ("coverage", "width", "crps", "raw_coverage", "raw_width")
    figures: dict[str, Any] = {name: mean([getattr(row, name) for row in rows]) for name in names}
    levels = rows[0].pinball or {}
    figures["pinball"] = {level: mean([(row.pinball or {}).get(level) for row in rows]) for level in levels}
    return dataclasses.replace(rows[0], **figures, observed=sum(row.observed for row in rows))


def _section(results: Results, found: list[IntervalScore]) -> Section:
    """Coverage against nominal, width, CRPS and pinball loss of every model's intervals."""
    choices = tuple(
        (horizon_label(horizon, step_of(results)), _sheet(results, [row for row in found if row.horizon == horizon]))
        for horizon in sorted({row.horizon for row in found})
    )
    said = {
        "conformal": "Split-conformal intervals: around each prediction lie the quantiles of the errors on the "
        "validation windows, scaled to the node; the same rule for every model.",
        "quantile": "Intervals of quantile heads, trained on the pinball loss; both bounds are then moved by what the "
        "validation windows ask for (conformalised). “Raw” is before that.",
        "given": "Intervals between quantiles that were given with the forecasts, as they are.",
    }
    methods = {row.method for row in found}
    statements = tuple(Statement(text) for method, text in said.items() if method in methods)
    note = (
        f"Means over seeds, ± one standard deviation. Marked coverage is over {100 * _OFF:g} points from nominal. "
        "Of two models with the right coverage the one with narrower intervals says more; CRPS and pinball loss weigh "
        "both, and lower is better."
    )
    sheets = (Sheets("Prediction intervals", choices, chosen=len(choices) - 1),)
    return Section("intervals", "Prediction intervals", statements, (), sheets, (note,))


def _sheet(results: Results, rows: Sequence[IntervalScore]) -> Sheet:
    levels = sorted({level for row in rows for level in row.pinball or {}}, key=float)
    several, raw = len(levels) > _LEVELS, any(row.raw_coverage is not None for row in rows)
    places = decimals([row.crps for row in rows if row.crps is not None], 4)
    lines, seeds = [], 0
    for model in families(results):
        own = [row for row in rows if row.model == model]
        if not own:
            continue
        seeds, nominal = max(seeds, len({row.seed for row in own})), own[0].nominal
        coverage, width, crps = (_mean([getattr(row, name) for row in own]) for name in ("coverage", "width", "crps"))
        pinball = [_mean([(row.pinball or {}).get(level) for row in own]) for level in levels]
        off = coverage is not None and abs(coverage - nominal) > _OFF
        lines.append(
            (
                *(Entry(model), Entry(own[0].method), Entry(f"{100 * nominal:g} %", nominal)),
                _share([row.coverage for row in own], "bad" if off else ""),
                *([_share([row.raw_coverage for row in own])] if raw else []),
                Entry(format_number(width, max(0, places - 1)), width),
                *(
                    Entry(format_number(value, places), value)
                    for value in (crps, *([_mean(pinball)] if several else pinball))
                ),
            )
        )
    observed = max(row.observed for row in rows)
    ahead = horizon_label(rows[0].horizon, step_of(results))
    about = f"Steps up to {ahead} ahead; n = {observed:,} target values, {seeds} seed{'' if seeds == 1 else 's'}"
    names = ["pinball"] if several else [f"pinball {float(level):g}" for level in levels]
    raw_head = ("raw coverage",) if raw else ()
    heads = ("model", "method", "nominal", "coverage", *raw_head, with_unit("width", results), "CRPS", *names)
    return Sheet(about, heads, tuple(lines), names=2)


def _share(values: Sequence[float | None], mark: str = "") -> Entry:
    """Mean share in percent with its deviation over seeds."""
    known = [100 * value for value in values if value is not None]
    if not known:
        return Entry(DASH)
    mean = sum(known) / len(known)
    if len(known) == 1:
        return Entry(f"{mean:.1f} %", mean, mark)
    spread = (sum((value - mean) ** 2 for value in known) / (len(known) - 1)) ** 0.5
    return Entry(f"{mean:.1f} ± {spread:.1f} %", mean, mark)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


_METHOD = (
    "Prediction intervals: coverage is the share of observed test values inside; CRPS (continuous ranked "
    "probability score) and pinball loss are in the data's unit."
)

INTERVALS = Finding(
    "intervals", list[IntervalScore], _find, show=_section, method=_METHOD, after_figures=True, in_paper=True
)
