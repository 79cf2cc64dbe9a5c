"""Made-up graphs as the raw files of TUDataset and of OGB: cycles, and paths with a chord and as many edges."""

import gzip

import numpy as np


def made_graphs(count, seed=0):
    """Of each graph the number of its nodes, its edges one way, and its class: 0 a cycle, 1 a path with a chord."""
    draw = np.random.default_rng(seed)
    found = []
    for number in range(count):
        size = int(draw.integers(6, 12))
        path = [(i, i + 1) for i in range(size - 1)]
        if number % 2:
            first = int(draw.integers(0, size - 3))
            path.append((first, first + 2))
        else:
            path.append((size - 1, 0))
        found.append((size, path, number % 2))
    return found


def write_tu(folder, graphs, name="TOY", **extra):
    """The files of TUDataset; `extra` are further parts as lists of lines, or None to leave one out."""
    rows, indicator, start = [], [], 1
    for number, (size, edges, _) in enumerate(graphs, start=1):
        indicator += [number] * size
        rows += [f"{start + i}, {start + j}" for a, b in edges for i, j in ((a, b), (b, a))]
        start += size
    parts = {"A": rows, "graph_indicator": indicator, "graph_labels": [2 * label - 1 for *_, label in graphs], **extra}
    folder.mkdir(exist_ok=True, parents=True)
    for part, lines in parts.items():
        if lines is not None:
            (folder / f"{name}_{part}.txt").write_text("\n".join(map(str, lines)) + "\n")
    return folder


def write_ogb(folder, graphs, labels=None, split=None, **extra):
    """The files of OGB, edges one way; `extra` are further tables of `raw/` by name, `_` for `-`."""
    raw = folder / "raw"
    raw.mkdir(parents=True, exist_ok=True)
    tables = {
        "edge": [edge for _, edges, _ in graphs for edge in edges],
        "num_node_list": [(size,) for size, *_ in graphs],
        "num_edge_list": [(len(edges),) for _, edges, _ in graphs],
        "graph_label": [(label,) for *_, label in graphs] if labels is None else labels,
        **extra,
    }
    for name, rows in tables.items():
        _write(raw / f"{name.replace('_', '-')}.csv.gz", rows)
    for part, rows in (split or {}).items():
        (folder / "split" / "made").mkdir(parents=True, exist_ok=True)
        _write(folder / "split" / "made" / f"{part}.csv.gz", [(row,) for row in rows])
    return folder


def _write(path, rows):
    text = "".join(",".join("" if cell is None else str(cell) for cell in row) + "\n" for row in rows)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))
