"""The check of the leakage audit on masks: what is scored, and what gaps are filled with."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from gnnkit.compare.leakage.checks import Found, Reads, ReadsOfSplits, feature_in_words, parts, scored_rows, seen_values
from gnnkit.data import GraphSeries, SeriesStore, Windows, WindowSplits

__all__ = ["mask"]

NODES = 32
"""Nodes at once where all values are read: the audit needs little memory beside the series."""
SAMPLED_WINDOWS = 16
"""Windows of each split whose values are compared with the data; their rows are checked for all windows."""


def mask(series: GraphSeries, windows: WindowSplits, reads: ReadsOfSplits) -> Found:
    """Check that what is observed is scored, that nothing else is, and that gaps are filled from the past."""
    for name, part in parts(windows).items():
        wrong = _scored_targets(series, name, part, reads[name])
        if wrong:
            return Found(wrong, leak=True)
    for store in {id(part.store): part.store for part in parts(windows).values()}.values():
        wrong = _filled(series, store)
        if wrong:
            return Found(wrong, leak=True)
    return Found(
        "Every observed target is scored, and none that is missing; gaps are filled from the rows before them."
    )


def _scored_targets(series: GraphSeries, name: str, part: Windows, found: Reads) -> str | None:
    rows = scored_rows(found)
    if not len(rows):
        return f"no target of the {name} windows is scored"
    last = part.rows.stop - int(part.drop_last)
    left_out = np.setdiff1d(np.arange(rows[0], last), rows)
    if len(left_out):
        return f"row {left_out[0]} of {name} is a target of no window"
    index = torch.from_numpy(np.linspace(0, len(part) - 1, SAMPLED_WINDOWS).astype(np.int64)).unique()
    batch = part.batch(index)
    targets = torch.from_numpy(found.targets)[index]  # [S, P]
    true = series.values[..., 0].detach().cpu()[targets.clamp(min=0)]  # [S, P, N]
    observed = (targets >= 0)[..., None] & true.isfinite()
    scored, y = batch.y_mask.cpu(), batch.y.cpu()
    for wrong, words in (
        (scored & ~observed, "is missing, but is scored"),
        (observed & ~scored, "is observed, but is not scored"),
        (observed & (y != true), "is scored as another value than the data's"),
    ):
        if wrong.any():
            window, step, node = wrong.nonzero()[0].tolist()
            row = int(targets[window, step])
            at = f"row {row}" if row >= 0 else f"step {step + 1} of window {int(index[window])}"
            return f"the target of node {series.node_names[node]!r} at {at} ({name}) {words}"
    return None


def _filled(series: GraphSeries, store: SeriesStore) -> str | None:
    """The first input that is neither the data's nor known before its row; None where there is none."""
    values = series.values.detach().cpu().numpy()
    if tuple(store.filled.shape) != values.shape:
        return f"the windows are over {list(store.filled.shape)} values, the series has {list(values.shape)}"
    mean_of_all = _mean(values, seen_values(store, slice(None), series.split.train.stop), series.split.train, (0, 1))
    for first in range(0, series.num_nodes, NODES):
        block = slice(first, first + NODES)
        data, held = values[:, block], store.filled[:, block].detach().cpu().numpy()
        seen = seen_values(store, block, len(data))
        for wrong, words in _unlike_the_data(store, data, held, seen, block):
            if wrong.any():
                row, node, feature = np.argwhere(wrong)[0].tolist()
                where = f"{feature_in_words(series, feature)} of node {series.node_names[first + node]!r} at row {row}"
                held_here, true = held[row, node, feature], data[row, node, feature]
                return f"{where} is {true:g} in the data {words.format(held_here)}"
        if seen.all():
            continue
        rows = np.arange(len(data), dtype=np.int32)[:, None, None]
        last = np.maximum.accumulate(np.where(seen, rows, np.int32(-1)), axis=0)
        past = np.take_along_axis(data, np.maximum(last, 0), axis=0)
        known = seen | ((last >= 0) & (held == past))
        for constant in (_mean(data, seen, series.split.train, 0), mean_of_all, np.zeros_like(mean_of_all)):
            known |= np.isclose(held, constant, rtol=1e-5, atol=0)
        if not known.all():
            row, node, feature = np.argwhere(~known)[0].tolist()
            before = last[row, node, feature]
            words = (
                f"the last value before it ({past[row, node, feature]:g} at row {before})" if before >= 0 else "zero"
            )
            return (
                f"the gap of node {series.node_names[first + node]!r} at row {row} is filled with "
                f"{held[row, node, feature]:g}, which is neither {words} nor a training mean"
            )
    return None


def _unlike_the_data(
    store: SeriesStore, data: NDArray[np.float32], held: NDArray[np.float32], seen: NDArray[np.bool_], block: slice
) -> list[tuple[NDArray[np.bool_], str]]:
    """Places where inputs, or targets of their own, are other than the data's, and the end of a sentence on them."""
    found = [(seen & (held != data), "and {:g} in the inputs")]
    if store.targets is None:
        return [*found, (~seen & ~np.isnan(data), "and a gap in the inputs")]
    targets = store.targets[:, block, None].detach().cpu().numpy()
    same = (targets == data[..., :1]) | (np.isnan(targets) & np.isnan(data[..., :1]))
    return [*found, (~same, "and not the same in the targets")]


def _mean(
    values: NDArray[np.float32], seen: NDArray[np.bool_], rows: range, axis: int | tuple[int, int]
) -> NDArray[np.float64]:
    """Mean of what is seen in the training rows; NaN where nothing is."""
    part, known = values[rows.start : rows.stop], seen[rows.start : rows.stop]
    total, count = np.where(known, part, 0).sum(axis=axis, dtype=np.float64), known.sum(axis=axis)
    return np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0)
