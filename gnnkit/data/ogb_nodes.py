"""OGB's node-property data sets: through ogb's own classes, or from their raw files with nothing unpickled."""

from __future__ import annotations

import contextlib
import gzip
import io
import os
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pandas as pd
import torch
from torch import Tensor
from torch_geometric.data import Data

from gnnkit.data.arrays import check_headers, read_arrays
from gnnkit.data.files import data_places
from gnnkit.data.node_checks import check_edges, check_nodes
from gnnkit.data.packed import check_gzip
from gnnkit.data.saved_tensors import read_saved

__all__ = ["load_ogb", "ogb_evaluator"]

_OPT_IN = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"


def load_ogb(
    name: str,
    root: str | Path | None = None,
    *,
    meta_dict: Mapping[str, Any] | None = None,
    trust_pickles: bool = False,
) -> Data:
    """Load a node-property data set in OGB's format.

    ogb 1.3.6 writes the processed graph, and in some data sets the split, as pickles that torch's safe loader refuses.
    **With `trust_pickles=True` ogb's own `PygNodePropPredDataset` reads them, which runs whatever code they hold**: do
    that with files of your own or from ogb.stanford.edu. Without it the raw files, CSV or NPZ, are read with ogb's
    own readers and nothing is unpickled; from a split that is there as `split_dict.pt` alone its arrays are read
    (`gnnkit.data.saved_tensors.read_saved`).

    Args:
        name: E.g. `"ogbn-arxiv"`.
        root: Folder that holds `ogbn_arxiv/`. Default: `ogb` in the folder that `GNNKIT_DATA` names, else in
            `gnnkit` in the user's cache. ogb downloads into it, with `trust_pickles` alone.
        meta_dict: What ogb knows of the data set, for one that is not in its list, as `ogb.io.DatasetSaver` makes it.
        trust_pickles: See above. Default False.

    Returns:
        The graph: `x` (proteins: the mean of each node's edge features), `edge_index`, `y` `[N]` for one task and
        `[N, tasks]` for several, the three masks, `num_classes`, and `name`. Citations run one way, as OGB gives them.

    Raises:
        ValueError: An unknown name, a heterogeneous graph, or features, edges, labels or a split that cannot be trained
            on (see `gnnkit.data.node_checks.check_nodes`).
        FileNotFoundError: The raw files are not there.
    """
    from ogb.nodeproppred import PygNodePropPredDataset

    meta = _meta(name, meta_dict)
    if str(meta["is hetero"]) == "True":
        raise ValueError(f"name={name!r}: a graph of several kinds of nodes; a NodeClassifier takes one kind")
    folder = Path(root) if root is not None else data_places("ogb", None)[0]
    if trust_pickles:
        with _pickles_trusted(), contextlib.redirect_stdout(io.StringIO()):
            options: dict[str, Any] = {"meta_dict": dict(meta_dict)} if meta_dict is not None else {"root": str(folder)}
            dataset = PygNodePropPredDataset(name, **options)
            data, split = dataset[0], dict(dataset.get_idx_split() or {})
    else:
        place = Path(meta["dir_path"]) if meta_dict is not None else folder / "_".join(name.split("-"))
        data, split = _read_raw(name, meta, place)
    return _finish(data, split, meta, name)


def ogb_evaluator(name: str, meta_dict: Mapping[str, Any] | None = None) -> Any:
    """OGB's own evaluator of a data set; for one that is not in its list, made from its `meta_dict`.

    Args:
        name: E.g. `"ogbn-arxiv"`.
        meta_dict: As for `load_ogb`.

    Returns:
        `ogb.nodeproppred.Evaluator`: `.eval({"y_true": [N, tasks], "y_pred": [N, tasks]})` gives a dictionary.
    """
    from ogb.nodeproppred import Evaluator

    if meta_dict is None:
        _meta(name, None)
        return Evaluator(name)
    evaluator = Evaluator.__new__(Evaluator)
    evaluator.name = name
    evaluator.num_tasks = int(meta_dict["num tasks"])
    evaluator.eval_metric = meta_dict["eval metric"]
    return evaluator


def _meta(name: str, meta_dict: Mapping[str, Any] | None) -> Mapping[str, Any]:
    if meta_dict is not None:
        return meta_dict
    import ogb.nodeproppred

    listed: Any = pd.read_csv(Path(ogb.nodeproppred.__file__).parent / "master.csv", index_col=0, keep_default_na=False)
    if name not in listed:
        raise ValueError(f"name={name!r}: OGB has no such data set; choose one of {', '.join(map(str, listed))}")
    return listed[name]


@contextlib.contextmanager
def _pickles_trusted() -> Iterator[None]:
    """torch's own switch, for as long as ogb reads: ogb calls `torch.load` without saying which loader it means."""
    before = os.environ.get(_OPT_IN)
    os.environ[_OPT_IN] = "1"
    try:
        yield
    finally:
        if before is None:
            del os.environ[_OPT_IN]
        else:
            os.environ[_OPT_IN] = before


def _read_raw(name: str, meta: Mapping[str, Any], place: Path) -> tuple[Data, dict[str, Tensor]]:
    from ogb.io.read_graph_pyg import read_graph_pyg

    raw, binary = place / "raw", str(meta["binary"]) == "True"
    first = raw / ("data.npz" if binary else "edge.csv.gz")
    if not first.is_file():
        raise FileNotFoundError(
            f"{name}: {first} is not there; unpack OGB's archive of the data set "
            f"({meta.get('url', 'ogb.stanford.edu')}) so, or pass trust_pickles=True, with which ogb downloads it"
        )

    def extra(kind: str) -> list[str]:
        listed = str(meta[f"additional {kind} files"])
        return [] if listed == "None" else listed.split(",")

    quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())  # it prints a bar
    with _damage_named(raw):
        for path in sorted(raw.iterdir()):  # ogb's readers look at none of it
            check_headers(path) if path.suffix == ".npz" else check_gzip(path) if path.suffix == ".gz" else None
    with quiet[0], quiet[1], _damage_named(raw):
        data = read_graph_pyg(
            str(raw),
            add_inverse_edge=str(meta["add_inverse_edge"]) == "True",
            additional_node_files=extra("node"),
            additional_edge_files=extra("edge"),
            binary=binary,
        )[0]
    with _damage_named(raw):
        if binary:
            label = read_arrays(raw / "node-label.npz")["node_label"]
        else:
            label = pd.read_csv(raw / "node-label.csv.gz", header=None).to_numpy()
    data.num_nodes = int(data.num_nodes or 0)
    data.y = torch.from_numpy(label)
    folder = place / "split" / str(meta["split"])
    with _damage_named(folder):
        return data, _read_split(folder)


@contextlib.contextmanager
def _damage_named(folder: Path) -> Iterator[None]:
    """Name the file that is damaged, as readers of archives do not; a file that ends early is no Ctrl-D."""
    try:
        yield
    except (FileNotFoundError, MemoryError):
        raise
    except Exception as error:  # whatever a parser comes to
        reason = " ".join(str(error).split()) or "it ends too early"
        raise ValueError(
            f"{_damaged_in(folder) or folder} is damaged ({type(error).__name__}: {reason[:200]}); fetch OGB's archive "
            "of the data set again, and unpack it"
        ) from None


def _damaged_in(folder: Path) -> Path | None:
    """The first compressed file of a folder that cannot be read to its end."""
    for path in sorted(folder.iterdir()):
        try:
            if path.suffix == ".gz":
                with gzip.open(path) as file:
                    while file.read(2**20):
                        pass
            elif path.suffix == ".npz":
                with zipfile.ZipFile(path) as archive:
                    if archive.testzip() is not None:
                        return path
        except (OSError, EOFError, zlib.error, zipfile.BadZipFile):
            return path
    return None


def _read_split(folder: Path) -> dict[str, Tensor]:
    parts = {part: folder / f"{part}.csv.gz" for part in ("train", "valid", "test")}
    if all(path.is_file() for path in parts.values()):
        return {
            part: torch.from_numpy(pd.read_csv(path, header=None).to_numpy()[:, 0]).long()
            for part, path in parts.items()
        }
    whole = folder / "split_dict.pt"
    if not whole.is_file():
        raise FileNotFoundError(f"{folder} holds neither train.csv.gz, valid.csv.gz and test.csv.gz nor split_dict.pt")
    split = read_saved(whole)
    if not isinstance(split, dict) or not {*parts} <= {*split}:
        raise ValueError(f"{whole.name} has no train, valid and test")
    return {part: torch.as_tensor(split[part]).long() for part in parts}


def _finish(data: Any, split: Mapping[str, Any], meta: Mapping[str, Any], name: str) -> Data:
    num_nodes = int(data.num_nodes)
    check_edges(data.edge_index, num_nodes)
    edge_attr = getattr(data, "edge_attr", None)
    if getattr(data, "x", None) is None and edge_attr is not None:
        # ogbn-proteins: its nodes have no features of their own; OGB's baselines take the mean over their edges.
        target = data.edge_index[1]
        total = edge_attr.new_zeros(num_nodes, edge_attr.size(1)).index_add(0, target, edge_attr)
        data.x = total / torch.bincount(target, minlength=num_nodes).clamp(min=1).unsqueeze(1)
    label = torch.as_tensor(data.y)
    if label.dim() == 1 or label.size(1) == 1:
        data.y = label.view(-1).nan_to_num(nan=-1).long()  # -1: not known, which no node of the split may be
    else:
        data.y = label.float()
    for mask, part in (("train_mask", "train"), ("val_mask", "valid"), ("test_mask", "test")):
        chosen = torch.zeros(num_nodes, dtype=torch.bool)
        nodes = torch.as_tensor(split[part]).long()
        wrong = (nodes < 0) | (nodes >= num_nodes)
        if wrong.any():
            raise ValueError(
                f"{name}: the split's {part} part names node {int(nodes[wrong][0])}; the nodes are numbered from 0 to "
                f"{num_nodes - 1}"
            )
        chosen[nodes] = True
        data[mask] = chosen
    data.num_nodes = num_nodes
    data.num_classes = int(meta["num classes"]) if data.y.dim() == 1 else data.y.size(1)
    data.name = name
    check_nodes(data)
    return data
