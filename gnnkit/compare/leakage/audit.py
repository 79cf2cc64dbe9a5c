"""The leakage audit: before anything is trained, does a model get to see what it is scored on?"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType

import numpy as np
import torch
from numpy.typing import NDArray

from gnnkit.compare.leakage import checks
from gnnkit.compare.leakage.checks import Found
from gnnkit.compare.leakage.foresight import foresight
from gnnkit.compare.leakage.masks import mask
from gnnkit.compare.leakage.provenance import provenance
from gnnkit.data import GraphSeries, WindowSplits

__all__ = ["CAUSES", "LeakError", "audit"]

CAUSES: Mapping[str, str] = MappingProxyType(
    {
        "scaler": "fit it on the training rows alone",
        "shared-target": "give every split rows of its own",
        "target-in-input": "let a window's history, and every feature of it, end before its first target",
        "foresight": "leave the feature out, or give it as it is known at the time of the forecast",
        "future-time": "give each row the features of its own time",
        "mask": "score what was observed and nothing else, and fill gaps from the rows before them",
        "shuffled-test": "split by time, and keep the test windows in order",
    }
)
"""What fails a run → what to do about it."""

_CHECKS: Mapping[str, Callable[[GraphSeries, WindowSplits, checks.ReadsOfSplits], Found]] = MappingProxyType(
    {
        "scaler": checks.scaler,
        "shared-target": checks.shared_target,
        "target-in-input": checks.target_in_input,
        "foresight": foresight,
        "future-time": checks.future_time,
        "mask": mask,
        "shuffled-test": checks.shuffled_test,
    }
)


class LeakError(ValueError):
    """Something of the test rows is in what the models see.

    Attributes:
        cause: One of `CAUSES`.
    """

    def __init__(self, cause: str, found: str) -> None:
        super().__init__(
            f"leak ({cause}): {found}; {CAUSES[cause]}, or pass --allow-leak {cause} to run it and have its rows "
            f"labelled"
        )
        self.cause = cause


def audit(series: GraphSeries, windows: WindowSplits, *, allow: Iterable[str] = ()) -> list[dict[str, str]]:
    """Look for leaks in the windows that models will be trained and scored on.

    What the windows read is found by reading: they are run over a series whose values are its row numbers. So it does
    not matter how a leak came about. Checked are

    - `scaler`: its figures are those of the training rows;
    - `shared-target`: no row is a target of two splits;
    - `target-in-input`: each history ends before the targets, and no feature is a copy of a later target;
    - `foresight`: no feature tells nearly all that the past leaves open of a later target, its own node's or another's;
      one that tells a quarter or more is a warning, for it may be known ahead (`telling_features`);
    - `future-time`: the time features of a row are those of start + row · step;
    - `mask`: every observed target is scored as it is in the data, none that is missing is, and gaps in the inputs hold
      what was known before them;
    - `shuffled-test`: the splits follow each other in time, and so do the test windows.

    Three more only warn: `duplicate` (nodes with the same series), `constant` (nodes that never change) and `graph` (it
    follows the correlations of the nodes over all rows, test rows included).

    A check that passed says what it looked at and nothing more: what nobody looks for is not found. Whether the values
    of a file were smoothed, filled or corrected with later ones cannot be seen in it.

    Args:
        series: The data in its unit, NaN for what is missing.
        windows: The three splits of it.
        allow: Causes that may be there, to run a published protocol that has them.

    Returns:
        A dict for each cause: `cause`, `status` (`"passed"`, `"allowed"` for a leak that is there and allowed, or
        `"warning"`) and `detail`, a sentence.

    Raises:
        LeakError: A leak that is not allowed; `cause` names it, and the message says where it is.
        ValueError: `allow` has an unknown cause.

    Example:
        >>> from gnnkit.data import make_windows, simulate_traffic
        >>> series = simulate_traffic(num_nodes=4, days=1)
        >>> found = audit(series, make_windows(series, history=6, horizon=3))
        >>> {finding["status"] for finding in found}
        {'passed'}
        >>> try:
        ...     audit(series, make_windows(series, history=6, horizon=3, scaler="max-all"))
        ... except LeakError as error:
        ...     print(error.cause)
        scaler
    """
    allowed = set(allow)
    for cause in sorted(allowed):
        if cause not in CAUSES:
            raise ValueError(f"allow={cause!r}: no cause of a leak; {_nearest(cause)}")
    reads = {name: checks.read(part) for name, part in checks.parts(windows).items()}
    findings = []
    for cause, check in _CHECKS.items():
        found = check(series, windows, reads)
        if found.leak and cause not in allowed:
            raise LeakError(cause, found.detail)
        status = "allowed" if found.leak else "warning" if found.warning else "passed"
        detail = (
            f"{found.detail[0].upper()}{found.detail[1:].removesuffix('.')}{'' if found.detail.endswith('?') else '.'}"
        )
        findings.append({"cause": cause, "status": status, "detail": detail})
    return [*findings, _graph(series), _duplicates(series), _constants(series)]


def _nearest(cause: str) -> str:
    if cause in ("duplicate", "constant", "graph"):
        return f"{cause} only warns, and needs no leave"
    near = difflib.get_close_matches(cause, CAUSES, n=1, cutoff=0.4)
    return (f"did you mean {near[0]!r}? " if near else "") + f"There are {', '.join(CAUSES)}"


def _graph(series: GraphSeries) -> dict[str, str]:
    found = provenance(series)
    detail = f"{found.detail[0].upper()}{found.detail[1:].removesuffix('.')}."
    return {"cause": "graph", "status": "warning" if found.warning else "passed", "detail": detail}


def _duplicates(series: GraphSeries) -> dict[str, str]:
    values = series.values[..., 0].detach().cpu().numpy()
    varying = ~_constant(values)
    first: dict[bytes, int] = {}
    pairs = []
    for node in np.flatnonzero(varying).tolist():
        # One bit pattern for every NaN and for both zeros.
        column = np.where(np.isnan(values[:, node]), np.float32(np.nan), values[:, node] + np.float32(0)).tobytes()
        if first.setdefault(column, node) != node:
            pairs.append((first[column], node))
    if not pairs:
        return {"cause": "duplicate", "status": "passed", "detail": "No two nodes have the same series."}
    one, two = (series.node_names[node] for node in pairs[0])
    more = f", and {len(pairs) - 1} more such nodes" if len(pairs) > 1 else ""
    detail = f"{two!r} has the same series as {one!r}{more}: the one tells a graph model nothing about the other."
    return {"cause": "duplicate", "status": "warning", "detail": detail}


def _constants(series: GraphSeries) -> dict[str, str]:
    values = series.values[..., 0].detach().cpu().numpy()
    constant = np.flatnonzero(_constant(values)).tolist()
    if not constant:
        return {"cause": "constant", "status": "passed", "detail": "Every node changes."}
    name = series.node_names[constant[0]]
    empty = np.isnan(values[:, constant[0]]).all()
    what = (
        "has no observed value" if empty else f"is {values[~np.isnan(values[:, constant[0]]), constant[0]][0]:g} always"
    )
    more = f", and {len(constant) - 1} more nodes never change" if len(constant) > 1 else ""
    return {"cause": "constant", "status": "warning", "detail": f"{name!r} {what}{more}: there is nothing to forecast."}


def _constant(values: NDArray[np.float32]) -> NDArray[np.bool_]:
    """[N]: nodes whose observed values are all equal, or that have none."""
    found = torch.from_numpy(values)
    low, high = found.nan_to_num(nan=torch.inf).amin(dim=0), found.nan_to_num(nan=-torch.inf).amax(dim=0)
    return (low >= high).numpy()
