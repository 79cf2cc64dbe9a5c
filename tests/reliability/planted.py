"""Every name under which gnnkit reads a file, and what reads it: each gets pickles that would run something."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.data.planetoid_toy import toy_parts, write_parts

_SERIES: list[Any] = []
"""What is forecast: made once, and not before it is needed."""
__all__ = ["NAMES", "Target", "plant", "runs_when_unpickled"]

Target = Callable[[Path, bytes], None]


def runs_when_unpickled(content: bytes, marker: Path) -> bool:
    """Whether a pickle is dangerous at all: it is unpickled in a process of its own, as no reader should do it."""
    # A kernel that is asked for an exabyte, or a process that is out of stack, is no proof of a guard.
    code = (
        "import pickle, resource, sys; resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30)); "
        "pickle.loads(sys.stdin.buffer.read())"
    )
    subprocess.run([sys.executable, "-c", code], input=content, capture_output=True, check=False)
    ran = marker.exists()
    marker.unlink(missing_ok=True)
    return ran


def _planetoid(part: str) -> Target:
    def read(folder: Path, content: bytes) -> None:
        from gnnkit.data.planetoid_files import read_planetoid

        parts = {**toy_parts(), part: content}
        read_planetoid(write_parts(folder / "planetoid", "cora", parts), "cora", unverified=True)

    return read


def _ogb(place: str) -> Target:
    def read(folder: Path, content: bytes) -> None:
        from gnnkit.data.ogb_nodes import load_ogb
        from tests.data.test_ogb_nodes import GRAPH, LABELS, write_csv

        home = folder / "ogbn_arxiv"
        write_csv(home / "raw" / "edge.csv.gz", GRAPH["edge_index"].T)
        write_csv(home / "raw" / "num-node-list.csv.gz", [[6]])
        write_csv(home / "raw" / "num-edge-list.csv.gz", [[5]])
        write_csv(home / "raw" / "node-feat.csv.gz", GRAPH["node_feat"])
        write_csv(home / "raw" / "node-label.csv.gz", LABELS)
        write_csv(home / "raw" / "node_year.csv.gz", [[2000 + i] for i in range(6)])
        (home / place).parent.mkdir(parents=True, exist_ok=True)
        (home / place).write_bytes(content)
        load_ogb("ogbn-arxiv", folder)

    return read


def _ogb_binary(name: str) -> Target:
    def read(folder: Path, content: bytes) -> None:
        import numpy as np

        from gnnkit.data.ogb_nodes import load_ogb

        raw = folder / "tiny" / "raw"
        raw.mkdir(parents=True)
        graph = {"edge_index": np.zeros((2, 1), int), "num_nodes_list": np.array([2]), "num_edges_list": np.array([1])}
        np.savez(raw / "data.npz", node_feat=np.zeros((2, 2), np.float32), **graph)
        np.savez(raw / "node-label.npz", node_label=np.zeros((2, 1), int))
        (raw / name).write_bytes(content)
        meta = {"dir_path": str(folder / "tiny"), "binary": "True", "is hetero": "False", "add_inverse_edge": "False"}
        meta |= {"additional node files": "None", "additional edge files": "None", "split": "time", "num classes": "2"}
        load_ogb("ogbn-tiny", meta_dict=meta)

    return read


def _own(name: str, *, role: str = "series") -> Target:
    def read(folder: Path, content: bytes) -> None:
        from gnnkit.data import read_node_features, read_own

        (folder / name).write_bytes(content)
        rows = "a,b,c\n" + "".join(f"{i},{i + 1},{i * 2 % 7}\n" for i in range(30))
        (folder / "rows.csv").write_text(rows)
        if role == "features":
            read_node_features(folder / name, ["a", "b", "c"])
        elif role == "series":
            read_own(folder / name)
        else:
            read_own(folder / "rows.csv", **{role: folder / name})

    return read


def _forecasts(name: str) -> Target:
    def read(folder: Path, content: bytes) -> None:
        from gnnkit.compare.forecasts.read import read_forecasts
        from gnnkit.data import simulate_traffic

        (folder / name).write_bytes(content)
        if not _SERIES:
            _SERIES.append(simulate_traffic(num_nodes=3, days=1))
        read_forecasts(folder / name, "theirs", _SERIES[0])

    return read


def _with(module: str, function: str, name: str) -> Target:
    """A function of one argument, the path of a file."""

    def read(folder: Path, content: bytes) -> None:
        import importlib

        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
        getattr(importlib.import_module(module), function)(folder / name)

    return read


def _in_folder(module: str, function: str, name: str, *beside: str) -> Target:
    """A function that is given a folder, in which all files hold the same."""

    def read(folder: Path, content: bytes) -> None:
        import importlib

        for each in (name, *beside):
            (folder / each).parent.mkdir(parents=True, exist_ok=True)
            (folder / each).write_bytes(content)
        getattr(importlib.import_module(module), function)(folder)

    return read


def _snapshot(folder: Path, content: bytes) -> None:
    import warnings

    from gnnkit.training import Snapshots

    (folder / "training.safetensors").write_bytes(content)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        Snapshots(folder / "training.safetensors", {}).read()


def _text_writer(folder: Path) -> None:
    from gnnkit.studies.text.writer import CharWriter

    CharWriter.load(folder)


def _text(name: str) -> Target:
    def read(folder: Path, content: bytes) -> None:
        for each in ("config.json", "weights.safetensors"):
            (folder / each).write_bytes(content if each == name else b"{}")
        _text_writer(folder)

    return read


def _results(folder: Path, content: bytes) -> None:
    from gnnkit.compare import Results

    for name in ("results.json", "rows.csv", "rows.parquet"):
        (folder / name).write_bytes(content)
    Results.load(folder)


_FITTED = ("gnnkit.forecasting", "load_fitted")
_LINKS = ("gnnkit.studies.relations.fitted", "load_fitted")
NAMES: dict[str, Target] = {
    **{f"ind.cora.{part}": _planetoid(part) for part in ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")},
    "ogbn_arxiv/split/time/split_dict.pt": _ogb("split/time/split_dict.pt"),
    "ogbn_arxiv/processed/geometric_data_processed.pt": _ogb("processed/geometric_data_processed.pt"),
    "ogbn_arxiv/processed/data_processed": _ogb("processed/data_processed"),
    "ogbn_arxiv/raw/node-feat.csv.gz": _ogb("raw/node-feat.csv.gz"),
    "OGB's data.npz": _ogb_binary("data.npz"),
    "OGB's node-label.npz": _ogb_binary("node-label.npz"),
    "series .csv": _own("s.csv"),
    "series .csv.gz": _own("s.csv.gz"),
    "series .npz": _own("s.npz"),
    "series .parquet": _own("s.parquet"),
    "series .pkl": _own("s.pkl"),
    "series .pt": _own("s.pt"),
    "series .npy": _own("s.npy"),
    "series .joblib": _own("s.joblib"),
    "graph .csv": _own("g.csv", role="graph"),
    "graph .npz": _own("g.npz", role="graph"),
    "graph .pkl": _own("g.pkl", role="graph"),
    "places .csv": _own("p.csv", role="places"),
    "places .parquet": _own("p.parquet", role="places"),
    "covariates .csv": _own("c.csv", role="covariates"),
    "covariates .npz": _own("c.npz", role="covariates"),
    "node features": _own("f.csv", role="features"),
    "METR-LA .h5": _with("gnnkit.data.pandas_hdf5", "read_fixed_frame", "metr-la.h5"),
    "edges .csv": _with("gnnkit.data.edges", "read_edges", "e.csv"),
    "triples .txt": _with("gnnkit.data", "load_triples", "t.txt"),
    "text .txt": _with("gnnkit.data", "read_text", "book.txt"),
    "Decagon .csv.gz": _in_folder(
        "gnnkit.data", "load_decagon", *(f"bio-decagon-{table}.csv.gz" for table in ("combo", "mono", "targets", "ppi"))
    ),
    **{
        f"forecasts .{ending}": _forecasts(f"f.{ending}")
        for ending in ("npz", "npy", "csv", "csv.gz", "parquet", "pkl")
    },
    "spec.toml": _with("gnnkit.compare", "read_spec", "spec.toml"),
    "fitted config.json": _in_folder(*_FITTED, "config.json", "weights.safetensors"),
    "links config.json": _in_folder(*_LINKS, "config.json", "weights.safetensors", "links.safetensors"),
    "text config.json": _text("config.json"),
    "text weights.safetensors": _text("weights.safetensors"),
    "tensors .safetensors": _with("gnnkit.kept_tensors", "load_tensors", "a.safetensors"),
    "training.safetensors": _snapshot,
    "comparison spec.json": _in_folder("gnnkit.compare", "kept_spec", "spec.json"),
    "comparison results.json": _results,
    "kept .json": _with("gnnkit.kept_files", "read_json", "run.json"),
}


def plant(name: str, content: bytes, folder: Path) -> str:
    """Let gnnkit read a file of a name, and say what came of it: "read", or the error in one line.

    Raises:
        Exception: any that is no `ValueError`, `TypeError` or `OSError`.
    """
    place = folder / "planted"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    try:
        NAMES[name](place, content)
    except (ValueError, TypeError, OSError) as error:
        return f"{type(error).__name__}: {error}"
    return "read"
