"""The checks of the leakage audit on rows, scalers and times; `gnnkit.compare.leakage.audit` runs them."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from gnnkit.data import GraphSeries, MaxScaler, Scaler, SeriesStore, StandardScaler, Windows, WindowSplits
from gnnkit.data.clock import TIME_CHANNELS, told_weekdays

__all__ = [
    "Found",
    "Reads",
    "ReadsOfSplits",
    "feature_in_words",
    "future_time",
    "parts",
    "read",
    "scaler",
    "scored_rows",
    "seen_values",
    "shared_target",
    "shuffled_test",
    "target_in_input",
]

DAY = 24 * 60
CHUNK = 4096
"""Windows at once where all of them are read."""
COPIED = 0.98
"""Share of the rows at which a feature equals a later target, from which on it is called a copy."""


class Found(NamedTuple):
    """What a check found: a sentence, and whether it is a leak or a reason to look."""

    detail: str
    leak: bool = False
    warning: bool = False


@dataclass(frozen=True, eq=False)
class Reads:
    """The rows that the windows of one split read.

    Args:
        latest: Last history row of each window, `[W]`.
        targets: Target rows of each window, `[W, P]`; -1 where the target is masked.
        wrong_time: A row and the row whose time features it was given instead; None where all have their own.
    """

    latest: NDArray[np.int64]
    targets: NDArray[np.int64]
    wrong_time: tuple[int, int] | None


ReadsOfSplits = dict[str, Reads]


def feature_in_words(series: GraphSeries, feature: int) -> str:
    """A feature by its name, or by its number where it has none."""
    return f"feature {series.feature_names[feature]!r}" if series.feature_names else f"feature {feature}"


def parts(windows: WindowSplits) -> dict[str, Windows]:
    """The windows of the three splits, by name, in order of time."""
    return {"train": windows.train, "val": windows.val, "test": windows.test}


def read(part: Windows) -> Reads:
    """Find out which rows some windows read, by having them read row numbers.

    Args:
        part: The windows of one split; they stay as they are.

    Returns:
        The rows of every window.
    """
    store = part.store
    rows = torch.arange(store.filled.size(0), dtype=torch.float64, device=part.device)
    clock = None if store.clock is None else rows[:, None].expand(-1, store.clock.size(1))
    probe = copy.copy(part)
    probe.store = SeriesStore(rows.view(-1, 1, 1), clock=clock)
    probe.scaler = Scaler(torch.zeros(1, 1), torch.ones(1, 1)).to(part.device)
    latest, targets, wrong = [], [], None
    for first in range(0, len(part), CHUNK):
        batch = probe.batch(torch.arange(first, min(first + CHUNK, len(part))))
        seen = batch.x[:, :, 0].cpu()  # [B, T, 1 + time channels]
        latest.append(seen[..., 0].amax(dim=1).long().numpy())
        targets.append(torch.where(batch.y_mask, batch.y, -1.0)[..., 0].cpu().long().numpy())
        other = (seen[..., 1:] != seen[..., :1]).nonzero()
        if wrong is None and len(other):
            window, step, channel = other[0].tolist()
            wrong = (int(seen[window, step, 0]), int(seen[window, step, 1 + channel]))
    return Reads(np.concatenate(latest), np.concatenate(targets), wrong)


def scaler(series: GraphSeries, windows: WindowSplits, reads: ReadsOfSplits) -> Found:
    """Compare the scalers' figures with those of the training rows."""
    del reads
    used: list[Scaler] = []
    for one in (windows.scaler, *(part.scaler for part in parts(windows).values())):
        if not any(_equal(one, other) for other in used):
            used.append(one.to("cpu"))
    found = [_scaler(series, one, windows.train.store) for one in used]
    return next((one for one in found if one.leak), next((one for one in found if one.warning), found[0]))


def _scaler(series: GraphSeries, fitted: Scaler, store: SeriesStore) -> Found:
    kinds = [kind for kind in (StandardScaler, MaxScaler) if isinstance(fitted, kind)] or [StandardScaler, MaxScaler]
    per_node = fitted.center.size(0) == series.num_nodes
    values, train = series.values.detach().cpu(), series.split.train
    refitted = [kind.fit(values, train, per_node=per_node) for kind in kinds]
    if store.targets is not None:  # values that the models must not see may be hidden from the scaler too
        shown = values.masked_fill(~torch.from_numpy(seen_values(store, slice(None), len(values))), torch.nan)
        refitted += [kind.fit(shown, train, per_node=per_node) for kind in kinds]
    if any(_same(fitted, one) for one in refitted):
        return Found(f"The scaler's figures are those of the training rows {_span(train)}.")
    if bool((fitted.center == 0).all() and (fitted.scale == 1).all()):
        return Found("Values are not scaled.")
    others = {
        "the whole series": range(series.num_rows),
        "the training and validation rows": range(series.split.val.stop),
    }
    for words, rows in others.items():
        if any(_same(fitted, kind.fit(values, rows, per_node=per_node)) for kind in kinds):
            return Found(f"{_difference(series, fitted, refitted)}: it was fitted on {words}", leak=True)
    if type(fitted) is Scaler:
        return Found("The scaler is of a kind of its own, and its figures cannot be fitted again.", warning=True)
    return Found(_difference(series, fitted, refitted), leak=True)


def _equal(one: Scaler, other: Scaler) -> bool:
    pairs = ((one.center, other.center), (one.scale, other.scale))
    return type(one) is type(other) and all(torch.equal(a.cpu(), b.cpu()) for a, b in pairs)


def _same(one: Scaler, other: Scaler) -> bool:
    if one.center.shape != other.center.shape:
        return False
    # Rounding of float32 figures; a mean over other rows is off by a share of the deviation.
    center = (one.center - other.center).abs() <= 1e-5 * other.scale + 1e-6 * other.center.abs()
    return bool((center & ((one.scale - other.scale).abs() <= 1e-5 * other.scale)).all())


def _difference(series: GraphSeries, fitted: Scaler, refitted: Sequence[Scaler]) -> str:
    """Where the figures differ most, in words."""
    trained = min(refitted, key=lambda one: float(_distance(fitted, one).amax()))
    distance = _distance(fitted, trained)
    node, feature = divmod(int(distance.argmax()), distance.size(1))
    of = f"node {series.node_names[node]!r}" if distance.size(0) == series.num_nodes else "all nodes"
    of += f", {feature_in_words(series, feature)}" if distance.size(1) > 1 else ""
    pairs = [(float(one.center[node, feature]), float(one.scale[node, feature])) for one in (fitted, trained)]
    return (
        f"the scaler subtracts {pairs[0][0]:.6g} and divides by {pairs[0][1]:.6g} ({of}), but the training rows "
        f"{_span(series.split.train)} give {pairs[1][0]:.6g} and {pairs[1][1]:.6g}"
    )


def _distance(one: Scaler, other: Scaler) -> torch.Tensor:
    return ((one.center - other.center).abs() + (one.scale - other.scale).abs()) / other.scale


def shared_target(series: GraphSeries, windows: WindowSplits, reads: ReadsOfSplits) -> Found:
    """Look for rows that are a target of two splits."""
    del series, windows
    rows = {name: scored_rows(found) for name, found in reads.items()}
    for one, two in (("train", "test"), ("val", "test"), ("train", "val")):
        both = np.intersect1d(rows[one], rows[two])
        if len(both):
            return Found(f"{len(both)} rows, from row {both[0]} on, are targets of both {one} and {two}", leak=True)
    return Found("No row is a target of two splits.")


def shuffled_test(series: GraphSeries, windows: WindowSplits, reads: ReadsOfSplits) -> Found:
    """Check that the splits follow each other in time, and the test windows too."""
    del series, windows
    rows = {name: scored_rows(found) for name, found in reads.items()}
    for one, two in (("train", "val"), ("val", "test"), ("train", "test")):
        own = np.setdiff1d(rows[two], rows[one])  # rows in both have a cause of their own
        early = own[own < rows[one].max(initial=-1)]
        if len(early):
            return Found(f"{two} row {early[0]} lies before {one} row {rows[one].max()}", leak=True)
    test = reads["test"]
    back = np.flatnonzero((np.diff(test.latest) <= 0) | (np.diff(_first_target(test)) <= 0))
    if len(back):
        window = int(back[0]) + 1
        before, after = test.latest[window - 1 : window + 1]
        return Found(
            f"test window {window} starts its forecast after row {after}, the window before it after row {before}",
            leak=True,
        )
    return Found("Training, validation and test rows follow each other in time, and so do the test windows.")


def target_in_input(series: GraphSeries, windows: WindowSplits, reads: ReadsOfSplits) -> Found:
    """Check that histories end before the targets, and that no feature is a copy of a later target."""
    for name, found in reads.items():
        earliest = _first_target(found)
        overlap = np.flatnonzero(found.latest >= earliest)
        if len(overlap):
            window = int(overlap[0])
            return Found(
                f"{name} window {window} reads row {found.latest[window]} in its history and has row "
                f"{earliest[window]} as its target",
                leak=True,
            )
    test = windows.test
    reach = test.history + test.lead + test.horizon - 2
    for name, part in parts(windows).items():
        undeclared = sorted(set(part.store.known_ahead) - set(series.known_ahead))
        if undeclared:
            what = feature_in_words(series, undeclared[0])
            return Found(
                f"{name} windows read {what} at the rows of their targets, and it is not known ahead", leak=True
            )
    for feature in range(1, series.num_features):
        what, known = feature_in_words(series, feature), feature in series.known_ahead
        copied = _copy_of_own_target(series, feature) if known else _copy_of_later_target(series, feature, reach)
        if copied:
            node, ahead = copied
            of = f"{what} of node {series.node_names[node]!r}"
            steps = f"{ahead} row{'s' if ahead > 1 else ''}"
            return Found(
                f"{of}, said to be known ahead, is its target"
                if known
                else f"{of} at a row is its target {steps} later",
                leak=True,
            )
    return Found(
        f"Every history ends before its targets, and no feature is a copy of a target up to {reach} rows later."
        if series.num_features > 1
        else "Every history ends before its targets."
    )


def _copy_of_later_target(series: GraphSeries, feature: int, reach: int) -> tuple[int, int] | None:
    """A node, and the least k ≥ 1 for which its feature at row t is, up to scale, its target at row t + k."""
    values = series.values.detach().cpu()
    num_rows = series.num_rows
    count = min(num_rows, max(256, 2_000_000 // series.num_nodes), 4096)
    for ahead in range(1, min(reach, num_rows - 2) + 1):
        rows = torch.from_numpy(np.linspace(0, num_rows - 1 - ahead, count).astype(np.int64)).unique()
        now, later, told = values[rows, :, 0], values[rows + ahead, :, 0], values[rows, :, feature]
        # Where the target stays as it is, a feature that tells the present looks like one that tells the future.
        telling = later.isfinite() & told.isfinite() & (now != later)
        for node in _copies(told, later, telling).nonzero().flatten().tolist():
            if not _told_by_the_past(values[:, node, 0], values[:, node, feature], ahead):
                return node, ahead
    return None


def _copy_of_own_target(series: GraphSeries, feature: int) -> tuple[int, int] | None:
    """A node whose feature is, up to scale, its target of the same row, and 0."""
    values = series.values.detach().cpu()
    target, told = values[..., 0], values[..., feature]
    found = _copies(told, target, target.isfinite() & told.isfinite()).nonzero().flatten().tolist()
    return (found[0], 0) if found else None


def _copies(told: torch.Tensor, later: torch.Tensor, telling: torch.Tensor) -> torch.Tensor:
    """[N]: nodes where the one equals the other, or is it up to center and scale, wherever that tells something."""
    number = telling.sum(dim=0)
    near = (told - later).abs() <= 1e-5 * later.abs()
    copied = (near & telling).sum(dim=0) >= COPIED * number
    told, later = (torch.where(telling, part, 0.0).double() for part in (told, later))
    told, later = (torch.where(telling, part - part.sum(dim=0) / number.clamp(min=1), 0.0) for part in (told, later))
    power = told.square().sum(dim=0) * later.square().sum(dim=0)
    scaled = (told * later).sum(dim=0).square() >= (1 - 1e-7) * power
    return (number >= 8) & (copied | (scaled & (power > 0)))


def _told_by_the_past(target: torch.Tensor, told: torch.Tensor, ahead: int) -> bool:
    """Whether the feature is as good a copy of a target that is past (a trend, or a series that repeats itself)."""
    num_rows = len(target)
    for back in range(min(num_rows // 2, 4096)):
        later, past, present = target[back + ahead :], target[: num_rows - back - ahead], told[back : num_rows - ahead]
        known = target[back : num_rows - ahead]
        telling = later.isfinite() & past.isfinite() & present.isfinite() & (known != later)
        if bool(_copies(present[:, None], past[:, None], telling[:, None])[0]):
            return True
    return False


def future_time(series: GraphSeries, windows: WindowSplits, reads: ReadsOfSplits) -> Found:
    """Check that the time features of each row are those of its own time."""
    clocks = {id(part.store): part.store.clock for part in parts(windows).values() if part.store.clock is not None}
    if not clocks:
        return Found("The inputs have no time features.")
    if series.start is None or series.step_minutes is None:
        return Found("the inputs have time features, but the series knows no times", leak=True)
    days = series.start.tz_localize(None).timestamp() / 86400 + 3  # 1 January 1970 was a Thursday
    expected = days + np.arange(series.num_rows, dtype=np.float64) * (series.step_minutes / DAY)
    for clock in clocks.values():
        if clock.size(1) != TIME_CHANNELS:
            return Found(
                f"the inputs have {clock.size(1)} time features; the time of a row is {TIME_CHANNELS}, time of day "
                f"and weekday",
                leak=True,
            )
        time, weekday = clock.detach().cpu().double().numpy().T
        found = (weekday * 7).round() + time
        # A weekday may be told as itself, or as the training rows have it.
        off = np.minimum(*(_days_off(found, expected, told) for told in (range(7), told_weekdays(series))))
        wrong = np.flatnonzero(off > 1e-4)
        if len(wrong):
            row = int(wrong[0])
            at = series.start + row * pd.Timedelta(minutes=series.step_minutes)
            return Found(
                f"row {row} is at {at:%a %H:%M}, but its time features say {_time(weekday[row] * 7 + time[row])}",
                leak=True,
            )
    for name, found in reads.items():
        if found.wrong_time:
            row, other = found.wrong_time
            return Found(f"{name} windows give row {row} the time of row {other}", leak=True)
    return Found("The time features of every row are those of its own time.")


def _days_off(found: NDArray[np.float64], expected: NDArray[np.float64], told: Sequence[int]) -> NDArray[np.float64]:
    """By how many days features differ from times; a rounded midnight may lie on either side of it."""
    names, nearest = np.asarray(told), np.full(len(found), np.inf)
    for shift in (-5e-5, 0.0, 5e-5):
        days = (expected + shift) % 7
        whole = np.floor(days).astype(np.int64) % 7
        off = np.abs(found - (names[whole] + days - np.floor(days)))
        nearest = np.minimum(nearest, np.minimum(off, 7 - off))
    return nearest


def _time(days: float) -> str:
    return f"{pd.Timestamp('2001-01-01') + pd.Timedelta(days=float(days)):%a %H:%M}"


def scored_rows(found: Reads) -> NDArray[np.int64]:
    """The rows that are a target of some window, in order."""
    rows = np.unique(found.targets)
    return rows[rows >= 0]


def _first_target(found: Reads) -> NDArray[np.int64]:
    """[W]: the first row of each window that is scored."""
    return np.where(found.targets >= 0, found.targets, np.iinfo(np.int64).max).min(axis=1)


def seen_values(store: SeriesStore, block: slice, num_rows: int) -> NDArray[np.bool_]:
    """[L, nodes, F]: which inputs of the first rows the store says were observed."""
    if store.observed_bits is None:
        return np.ones((num_rows, *store.filled[0, block].shape), dtype=bool)
    bits = store.observed_bits[:, block].cpu().numpy()
    return np.unpackbits(bits, axis=0, count=num_rows).astype(bool)


def _span(rows: range) -> str:
    return f"{rows.start} to {rows.stop - 1}"
