"""Graphs as examples, from a folder: TUDataset's raw files or OGB's."""

from __future__ import annotations

from pathlib import Path

from gnnkit.data.graph_set import GraphSet
from gnnkit.data.ogb_graphs import read_ogb_graphs
from gnnkit.data.tu_graphs import read_tu

__all__ = ["load_graphs"]


def load_graphs(folder: str | Path, *, target: str = "auto") -> GraphSet:
    """Read a folder in the layout that its files are in.

    Args:
        folder: Holds `DS_A.txt` and those beside it, or `edge.csv.gz` and those beside it, or a folder `raw` that does.
        target: For TUDataset: `"classes"`, `"numbers"`, or `"auto"` (default).

    Raises:
        FileNotFoundError: There is no such folder, or no such file in it.
        ValueError: See `gnnkit.data.tu_graphs.read_tu` and `gnnkit.data.ogb_graphs.read_ogb_graphs`.
    """
    folder = Path(folder)
    if not folder.is_dir():
        raise FileNotFoundError(f"{folder} is no folder; give the one that holds the raw files of a data set of graphs")
    for place in (folder, folder / "raw", folder / folder.name, folder / folder.name / "raw"):
        if list(place.glob("*_A.txt")):
            return read_tu(place, target=target)
    for place in (folder, folder / "raw"):
        if (place / "edge.csv.gz").is_file():
            if target != "auto":
                raise ValueError(f"target={target!r} is for TUDataset's files; leave it out for OGB's in {folder}")
            return read_ogb_graphs(folder)
    raise FileNotFoundError(
        f"{folder} holds neither a DS_A.txt (TUDataset) nor an edge.csv.gz (OGB); unpack the archive of the data set "
        "there"
    )
