"""Graphs whose nodes are to be classified, by name: Planetoid (Cora, CiteSeer, PubMed) and OGB."""

from __future__ import annotations

import warnings
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor
from torch_geometric.data import Data

from gnnkit._registry import Registry
from gnnkit.data.files import DataFile, data_places, find_files
from gnnkit.data.node_checks import check_nodes
from gnnkit.data.ogb_nodes import load_ogb
from gnnkit.data.planetoid_files import PLANETOID_FILES, PLANETOID_URL, PUBLISHED, read_planetoid
from gnnkit.data.registry import Dataset

__all__ = ["NODE_DATASETS", "load_nodes", "planetoid", "row_normalize"]

_PLANETOID = {"cora": "Cora", "citeseer": "CiteSeer", "pubmed": "PubMed"}


def load_nodes(
    name: str, root: str | Path | None = None, *, trust_pickles: bool = False, unverified: bool = False
) -> Data:
    """Load a data set by its name.

    Args:
        name: One of `NODE_DATASETS`.
        root: Folder with its files, or to download them into. Default: see `planetoid` and `load_ogb`.
        trust_pickles: For OGB alone: see `load_ogb`. Default False.
        unverified: For Planetoid alone: see `planetoid`. Default False.

    Returns:
        The graph, with `x`, `edge_index`, `y`, `train_mask`, `val_mask`, `test_mask` and `num_classes`.

    Raises:
        ValueError: An unknown name (the message has the nearest one), or files that are not what they should be.
        FileNotFoundError: Files that are neither there nor could be downloaded.
    """
    flags = {"trust_pickles": trust_pickles, "unverified": unverified}
    return NODE_DATASETS[name].load(root, **{flag: True for flag, given in flags.items() if given})


def planetoid(
    name: str,
    root: str | Path | None = None,
    *,
    normalize: bool = True,
    sparse: bool = True,
    unverified: bool = False,
) -> Data:
    """Cora, CiteSeer or PubMed with the public split, as PyG reads them.

    The eight raw files `ind.NAME.*` are looked for in `root`, `root/planetoid` and `root/Name/raw`, or without `root`
    in `planetoid` in the folder that the environment variable `GNNKIT_DATA` names, and in `gnnkit/planetoid` in the
    user's cache; else they are downloaded into the last of these places. They are pickles, from which nothing but
    arrays, sparse matrices and dictionaries of lists is built. What they hold is checked, and they must be the
    published ones by their SHA-256.

    Args:
        name: `"cora"`, `"citeseer"` or `"pubmed"`.
        root: Folder with the files, or to download them into; default as above.
        normalize: True (default) divides each node's features by their sum, as both papers do.
        sparse: True (default) gives the features as a sparse CSR tensor, False as a dense one.
        unverified: True takes files that are not the published ones, e.g. of your own data in the same layout; what
            they hold is checked still. Default False.

    Returns:
        The graph: `x`, `edge_index` (both directions of each citation), `y`, the three masks, and `num_classes`.

    Raises:
        ValueError: An unknown name, or a file that is damaged or not the published one; the message names the file.
        FileNotFoundError: Files that are neither there nor could be downloaded.

    Source:
        Yang et al., "Revisiting semi-supervised learning with graph embeddings" (2016); github.com/kimiyoung/planetoid.
    """
    if name not in _PLANETOID:
        raise ValueError(f"name={name!r}: choose one of {', '.join(_PLANETOID)}")
    data = read_planetoid(_files(name, root, unverified), name, unverified=unverified)
    x = data.x
    assert x is not None  # for the type checker
    if normalize:
        x = row_normalize(x)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Sparse CSR tensor support is in beta", UserWarning)
        data.x = x.to_sparse_csr() if sparse else x
    data.num_nodes = x.size(0)
    data.name = name
    check_nodes(data)
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


def _files(name: str, root: str | Path | None, unverified: bool) -> Path:
    """The folder that has all files of a data set; they are downloaded where there is none."""
    hashes = {} if unverified else PUBLISHED[name]
    files = [DataFile(f"ind.{name}.{part}", PLANETOID_URL, sha256=hashes.get(part)) for part in PLANETOID_FILES]
    places = data_places("planetoid", root) + ([Path(root) / _PLANETOID[name] / "raw"] if root is not None else [])
    return find_files(name, files, places, PLANETOID_URL, check=False)  # `read_planetoid` says more of a wrong one


def _planetoid(name: str, description: str) -> Dataset:
    about: dict[str, Any] = {
        "licence": "MIT",
        "source": "github.com/kimiyoung/planetoid",
        "paper": "Yang et al. (2016)",
    }
    return Dataset(name, description, partial(planetoid, name), **about, gives=Data)


def _ogb(name: str, licence: str, description: str) -> Dataset:
    about: dict[str, Any] = {"licence": licence, "source": "ogb.stanford.edu", "paper": "Hu et al. (2020)"}
    return Dataset(name, description, partial(load_ogb, name), **about, gives=Data)


_DATASETS = (
    _planetoid("cora", "2708 papers in 7 classes, 1433 words, 5278 citations; public split 140/500/1000"),
    _planetoid("citeseer", "3327 papers in 6 classes, 3703 words, 4552 citations; public split 120/500/1000"),
    _planetoid("pubmed", "19717 papers in 3 classes, 500 words, 44324 citations; public split 60/500/1000"),
    _ogb("ogbn-arxiv", "ODC-BY", "169343 papers in 40 classes, 128 features, 1166243 citations; split by year"),
    _ogb("ogbn-products", "Amazon", "2449029 products in 47 classes, 100 features; split by sales rank"),
    _ogb("ogbn-proteins", "CC0", "132534 proteins, 112 yes-or-no tasks, 8 features of an edge; split by species"),
)
_KIND, _GROUP = "data set of nodes", "gnnkit.node_datasets"
NODE_DATASETS: Registry[Dataset] = Registry(_KIND, Dataset.of, group=_GROUP, records=_DATASETS)
"""Name → record, as `gnnkit.data.DATASETS`."""
