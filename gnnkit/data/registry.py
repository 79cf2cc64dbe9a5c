"""The data sets by name, and how one is loaded."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

from gnnkit._registry import Registry
from gnnkit.data.dataset import Dataset
from gnnkit.data.records import RECORDS
from gnnkit.data.series import GraphSeries

__all__ = ["DATASETS", "Dataset", "load", "los_loop", "metr_la", "pems_bay"]

DATASETS: Registry[Dataset] = Registry("data set", Dataset.of, group="gnnkit.datasets", records=RECORDS)
"""Name → record. `DATASETS["mine"] = Dataset("mine", …)` adds one (see `gnnkit._registry.Registry` for other ways)."""


def load(name: str, root: str | Path | None = None, **options: Any) -> GraphSeries:
    """Load a data set by its name.

    Args:
        name: One of `DATASETS`, `"package.module:function"` or `"path/to/file.py:function"`.
        root: As for `Dataset.load`.
        options: Arguments of its reader, e.g. those of `simulate_traffic`.

    Returns:
        The series.

    Raises:
        ValueError: An unknown name (the message has the nearest one) or option, or files with other content.
        FileNotFoundError: Files that are neither there nor could be downloaded.

    Example:
        >>> load("simulated", num_nodes=4, days=1).num_nodes
        4
    """
    return DATASETS[name].load(root, **options)


los_loop, metr_la, pems_bay = (partial(load, name) for name in ("los-loop", "metr-la", "pems-bay"))
