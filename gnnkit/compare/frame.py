"""A comparison of what is in memory: a data frame and a graph in, a verdict out."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from gnnkit.compare.comparison import Comparison
from gnnkit.compare.output import check_output, write_output
from gnnkit.compare.runner import run
from gnnkit.compare.spec.comparison import ComparisonSpec, make_spec
from gnnkit.forecasting.in_memory import MEMORY_FIELDS, read_in_memory, renamed_fields
from gnnkit.settings.problems import nearest
from gnnkit.training import open_matrix

__all__ = ["compare"]

_OF_FILES = ("data", "data_root", "data_options", "series", "graph")
"""Settings that name data; here these are arguments."""


def compare(
    series: Any,
    graph: Any = None,
    models: Sequence[Any] | None = None,
    horizons: Sequence[int] | None = None,
    *,
    name: str | None = None,
    out: str | Path | None = None,
    jobs: int = 1,
    track: str | None = None,
    progress: bool = True,
    **settings: Any,
) -> Comparison:
    """Train models on the same windows of a data frame, and say which is better and whether the graph helps.

    Args:
        series: a data frame: a row a time (its index, or its first column) and a column a node, or a row for each time
            and node; or what else `gnnkit.data.read_own` reads (an array, a path), or a `GraphSeries`.
        graph: its graph: a networkx graph (an undirected edge counts both ways; the attribute weight), a frame of edges
            (source, target, weight) or a matrix with names, a scipy sparse matrix, an array or tensor `[N, N]`, an
            `edge_index` or PyG's `Data`; names of nodes are columns of the series. None (default): none.
        models: names of `gnnkit list`, or registered classes (default: lstm, gru, stid, gcn, tgcn, stid-graph).
        horizons: steps ahead that are scored (default: chosen for the data).
        name: of the data, for the report (default: "series").
        out: folder for the results and the finished fits; one that was cut off goes on where it stopped. None
            (default): nothing is kept.
        jobs: fits at a time, each in a process of its own if there are more than one (default 1).
        track: "tensorboard", "mlflow" or "wandb" logs each fit that is run there; what is written to a disk lies in
            `track/` of `out` (`gnnkit.training.track`). None (default): nowhere.
        progress: True (default): bars in a notebook or on a terminal; False: quiet.
        settings: all else that `gnnkit compare` takes, by the names of `ComparisonSpec`: `seeds`, `epochs`,
            `ablate_graph`, `history`, `settings` …; and how the data are read: `target`, `time`, `node`, `unit`,
            `season`, `step_minutes`, `missing_values`, … `seeds` may be a count, and `ablate_graph` True for all.

    Returns:
        What was found. In a notebook it shows the verdict and the scores; `table()`, `verdict()`, `plot_scores()`,
        `plot_errors()`, `report(path)` and `save(folder)` give the rest.

    Raises:
        ValueError: the data cannot be read or are too short, a setting is unknown or has a value that is not allowed,
            or there is a leak; one line that names it, before anything is trained.
        TypeError: an object is no series or no graph that is known.

    Example:
        >>> import numpy as np, pandas as pd
        >>> times = pd.date_range("2024-01-01", periods=300, freq="h")
        >>> waves = np.sin(np.arange(300)[:, None] * 2 * np.pi / 24 + np.arange(3))
        >>> frame = pd.DataFrame(waves, index=times, columns=["a", "b", "c"])
        >>> edges = pd.DataFrame({"source": ["a", "b"], "target": ["b", "c"]})
        >>> found = compare(frame, edges, ["dlinear"], [2], seeds=1, epochs=1, history=6, progress=False)
        >>> found.table(2).index.tolist()[0]
        'historical-average'
    """
    given, fields = _sorted(settings)
    spec = make_spec(**{**given, **({} if models is None else {"models": _listed(models)})}, horizons=horizons)
    read = read_in_memory(series, graph, fields, split=spec.split)
    read = replace(read, name=name) if name else read
    if out is not None:
        check_output(out)
    elif track is not None:
        raise ValueError(f"track={track!r}: a tracker needs a folder that stays; give out")
    console = Console(stderr=True)
    # A line for each fit, as a log file gets, would be in the way of whoever reads a script's own output.
    shown = open_matrix(console) if progress and (console.is_terminal or console.is_jupyter) else nullcontext()
    with shown as bars:
        resume = out is not None and (Path(out) / "results.json").is_file()
        found = run(spec, bars, series=read, jobs=jobs, directory=out, resume=resume, track=track)
    found.spec["command"] = _call(spec, fields, graph is not None)
    if out is not None:
        write_output(found, out)
    return found


def _sorted(settings: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Fields of the spec, and those that say how the data are read."""
    settings = renamed_fields(settings)
    known = [field for field in ComparisonSpec.model_fields if field not in _OF_FILES]
    for name in settings:
        if name in _OF_FILES:
            raise ValueError(f"{name}: give the data as the first arguments: compare(series, graph)")
        if name not in known:
            raise ValueError(f"compare: there is no such setting: {name!r}{nearest(name, known)}")
    given = {name: value for name, value in settings.items() if name not in MEMORY_FIELDS}
    seeds, ablate = given.get("seeds"), given.get("ablate_graph")
    if isinstance(seeds, int) and not isinstance(seeds, bool):
        given["seeds"] = tuple(range(seeds))
    if isinstance(ablate, bool):
        given["ablate_graph"] = "all" if ablate else ()
    return given, {name: value for name, value in settings.items() if name in MEMORY_FIELDS}


def _listed(models: Any) -> Any:
    return [models] if isinstance(models, str) else list(models)


def _call(spec: ComparisonSpec, fields: dict[str, Any], with_graph: bool) -> str:
    """The call that makes the comparison again, for the report; what is in memory is named by its argument."""
    plain = (str, int, float, bool, list, tuple)
    words = ["series", *(["graph"] if with_graph else [])]
    words += [f"{name}={value!r}" for name, value in spec.__repr_args__()]
    words += [f"{name}={value!r}" if isinstance(value, plain) else f"{name}={name}" for name, value in fields.items()]
    return f"gnnkit.compare.compare({', '.join(words)})"
