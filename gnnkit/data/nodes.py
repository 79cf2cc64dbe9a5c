"""Graphs whose nodes are to be classified, by name: Planetoid (Cora, CiteSeer, PubMed) and OGB."""

from __future__ import annotations

import contextlib
import difflib
import os
import pickle
import pickletools
import tempfile
import urllib.error
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

import numpy as np
import scipy.sparse
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.datasets import Planetoid

from gnnkit._user_cache import user_cache
from gnnkit.data.arrays import check_numbers, check_sparse
from gnnkit.data.ogb_nodes import load_ogb

__all__ = ["NODE_DATASETS", "load_nodes", "planetoid", "row_normalize"]

NODE_DATASETS: Mapping[str, str] = MappingProxyType(
    {
        "cora": "2708 papers in 7 classes, 1433 words, 5278 citations; public split 140/500/1000",
        "citeseer": "3327 papers in 6 classes, 3703 words, 4552 citations; public split 120/500/1000",
        "pubmed": "19717 papers in 3 classes, 500 words, 44324 citations; public split 60/500/1000",
        "ogbn-arxiv": "169343 papers in 40 classes, 128 features, 1166243 citations; split by year",
        "ogbn-products": "2449029 products in 47 classes, 100 features; split by sales rank",
        "ogbn-proteins": "132534 proteins, 112 yes-or-no tasks, 8 features of an edge; split by species",
    }
)

_PLANETOID = {"cora": "Cora", "citeseer": "CiteSeer", "pubmed": "PubMed"}
# The published files are pickles. These names build arrays, sparse matrices and dictionaries of lists, nothing else.
_HARMLESS = frozenset(
    {
        "numpy.core.multiarray _reconstruct",
        "numpy._core.multiarray _reconstruct",
        "numpy ndarray",
        "numpy dtype",
        "scipy.sparse.csr csr_matrix",
        "scipy.sparse._csr csr_matrix",
        "collections defaultdict",
        "__builtin__ list",
        "builtins list",
    }
)


def load_nodes(name: str, root: str | Path | None = None, *, trust_pickles: bool = False) -> Data:
    """Load a data set by its name.

    Args:
        name: One of `NODE_DATASETS`.
        root: Folder with its files, or to download them into. Default: see `planetoid` and `load_ogb`.
        trust_pickles: For OGB alone: see `load_ogb`. Default False.

    Returns:
        The graph, with `x`, `edge_index`, `y`, `train_mask`, `val_mask`, `test_mask` and `num_classes`.

    Raises:
        ValueError: An unknown name (the message has the nearest one), or files that are not what they should be.
        FileNotFoundError: Files that are neither there nor could be downloaded.
    """
    if name not in NODE_DATASETS:
        near = difflib.get_close_matches(name, NODE_DATASETS, n=1, cutoff=0.0)
        raise ValueError(
            f"name={name!r}: unknown data set; did you mean {near[0]!r}? There are {', '.join(NODE_DATASETS)}"
        )
    if name in _PLANETOID:
        return planetoid(name, root)
    return load_ogb(name, root, trust_pickles=trust_pickles)


def planetoid(name: str, root: str | Path | None = None, *, normalize: bool = True, sparse: bool = True) -> Data:
    """Cora, CiteSeer or PubMed with the public split, by PyG's own reader.

    The eight raw files `ind.NAME.*` are looked for in `root`, `root/planetoid` and `root/Name/raw`, or without `root`
    in `planetoid` in the folder that the environment variable `GNNKIT_DATA` names, and in `gnnkit/planetoid` in the
    user's cache; else they are downloaded into the last of these places. They are pickles: before PyG reads one, the
    names in it are looked through, and anything but arrays, sparse matrices and dictionaries of lists is refused.

    Args:
        name: `"cora"`, `"citeseer"` or `"pubmed"`.
        root: Folder with the files, or to download them into; default as above.
        normalize: True (default) divides each node's features by their sum, as both papers do.
        sparse: True (default) gives the features as a sparse CSR tensor, False as a dense one.

    Returns:
        The graph: `x`, `edge_index` (both directions of each citation), `y`, the three masks, and `num_classes`.

    Raises:
        ValueError: An unknown name, or a file that holds something else.
        FileNotFoundError: Files that are neither there nor could be downloaded.

    Source:
        Yang et al., "Revisiting semi-supervised learning with graph embeddings" (2016); github.com/kimiyoung/planetoid.
    """
    if name not in _PLANETOID:
        raise ValueError(f"name={name!r}: choose one of {', '.join(_PLANETOID)}")
    title = _PLANETOID[name]
    files = _find(name, title, root)
    with tempfile.TemporaryDirectory() as processed:
        try:
            dataset = _Screened(processed, title, files)
        except (urllib.error.URLError, OSError) as error:
            raise FileNotFoundError(
                f"{name}: its files are not on this machine and {Planetoid.url} cannot be reached ({error}); put "
                f"ind.{name}.x, .tx, .allx, .y, .ty, .ally, .graph and .test.index into {str(files)!r}, or into a "
                "folder planetoid and set GNNKIT_DATA to the folder around it"
            ) from None
        data, classes = dataset[0], dataset.num_classes
    assert isinstance(data, Data)  # for the type checker: a data set of one graph
    x = data.x
    assert x is not None  # for the type checker
    if normalize:
        x = row_normalize(x)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        data.x = x.to_sparse_csr() if sparse else x
    data.num_nodes = x.size(0)
    data.num_classes = classes
    data.name = name
    return data


def row_normalize(x: Tensor) -> Tensor:
    """Divide each row by its sum; a row whose sum is zero stays as it is.

    Example:
        >>> import torch
        >>> row_normalize(torch.tensor([[1.0, 3.0], [0.0, 0.0]])).tolist()
        [[0.25, 0.75], [0.0, 0.0]]
    """
    total = x.sum(dim=-1, keepdim=True)
    return x / total.masked_fill(total == 0, 1.0)


class _Screened(Planetoid):
    """PyG's data set, whose raw files lie where they are and are looked through before they are read."""

    def __init__(self, root: str, name: str, files: Path):
        self.files = files
        super().__init__(root, name)

    @property
    def raw_dir(self) -> str:
        return str(self.files)

    def _process(self) -> None:
        self.log = False  # of its "Processing..." and "Done!"
        super()._process()

    def process(self) -> None:
        for path in map(Path, self.raw_paths):
            if not path.name.endswith(".test.index"):
                _check_pickle(path)
                _check_arrays(path)
        super().process()


def _check_pickle(path: Path) -> None:
    """Look through a pickle, without loading it, for anything that is not an array, a matrix or a list.

    Args:
        path: The file.

    Raises:
        ValueError: It names something else, or is not a pickle.
    """
    try:
        found = {
            arg if opcode.name in ("GLOBAL", "INST") else opcode.name
            for opcode, arg, _ in pickletools.genops(path.read_bytes())
            if opcode.name in ("GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4", "PERSID", "BINPERSID")
        }
    except ValueError as error:
        raise ValueError(
            f"{path.name}: not a Planetoid file ({error}); get the original from {Planetoid.url}"
        ) from None
    other = sorted(map(str, found - _HARMLESS))
    if other:
        raise ValueError(
            f"{path.name}: loading it would run {other[0]!r}, which no Planetoid file needs; get the original from "
            f"{Planetoid.url}"
        )


def _check_arrays(path: Path) -> None:
    """Look at every number of a matrix before PyG makes it dense: scipy's code writes where the indices say.

    Args:
        path: A file that `_check_pickle` let through.

    Raises:
        ValueError: An index out of range, lengths that do not fit, or a value that is no finite number.
    """
    with path.open("rb") as file, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Please import `csr_matrix`", DeprecationWarning)  # its place in 2016
        content = pickle.load(file, encoding="latin1")
    if scipy.sparse.issparse(content):
        check_sparse(content, path.name)
    elif isinstance(content, np.ndarray):
        check_numbers(content, f"{path.name}: array")


def _find(name: str, title: str, root: str | Path | None) -> Path:
    """The folder that has all files, else the one to download them into."""
    if root is not None:
        places = [Path(root), Path(root) / "planetoid", Path(root) / title / "raw"]
    else:
        given = os.environ.get("GNNKIT_DATA")
        places = [Path(given) / "planetoid"] if given else []
        with contextlib.suppress(*([FileNotFoundError] if given else [])):  # who has no home may have the data
            places.append(user_cache() / "planetoid")
    parts = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
    for folder in places:
        if all((folder / f"ind.{name}.{part}").is_file() for part in parts):
            return folder
    return places[-1]
