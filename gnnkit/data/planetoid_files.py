"""The eight raw files of a Planetoid data set: what is in them is checked whole before anything is indexed with it."""

from __future__ import annotations

import hashlib
import reprlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch_geometric.data import Data
from torch_geometric.utils import coalesce, index_to_mask, remove_self_loops

from gnnkit.data.pickled_data import CSRParts, read_pickled

__all__ = ["PLANETOID_FILES", "PLANETOID_URL", "PUBLISHED", "read_planetoid"]

PLANETOID_FILES = ("x", "tx", "allx", "y", "ty", "ally", "graph", "test.index")
PLANETOID_URL = "https://github.com/kimiyoung/planetoid/raw/master/data"

#: SHA-256 of the published files, by data set and part. PubMed's features are the one file that has none here.
PUBLISHED: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "cora": {
            "x": "23cfa55d91c6f624233f5eb7b6e3f141f1bd2b2ae39608a63cf5d084bb27baab",
            "tx": "b9afbaa4a400df991f6f02ef677e1e44da55ffc04801fd02f9e673987829226a",
            "allx": "9419ba2f26f5c35243db64aba110e0f35a04851609e0dc5433450676ca6b8543",
            "y": "94465c14eb53e04ca262198dcbb2521ee8af60fb3f3d546cd6ca24a511b0e7d1",
            "ty": "41f5ac76596a1699cc33f53084a2419e92961c42bb75f36fc38e616d348532ad",
            "ally": "2b998f5cc7fedc86e7f97ca2498f47a1ffc1462c29e2d578b23bf3f62b6e7d71",
            "graph": "58f13302f39dde8852dad6fe6d15b89b077b6d7f837626bce671ef80344b383d",
            "test.index": "297ce89af2b51a6a194181c7dbe1796c6a1cf9cd9349a88383b1b1e227867875",
        },
        "citeseer": {
            "x": "d20de19150741e555de0ed037195630fc194114ebc7fd72ced62810148aa22f6",
            "tx": "539a8906a2da97628d212f2fdd668c109a8b3f0d36574b59e5d3fd5b5303da21",
            "allx": "2ac30345d95c9ec933a817ee0bdd6a5f077f8c184a20e696910192d534414668",
            "y": "8ba87e515d8e3ee3cf52f6d2c5b86aa73f11ecad825a808455209ec26cd54924",
            "ty": "55e5bd1ba1e733a04598753ad1a8d57957f4b8f89e74519f41f4f4938767e4ce",
            "ally": "f704b2d986dde6c2669934de1f3ae5696a6cf9455c0f6b2646a2d135ea0a1c95",
            "graph": "d79a4ef9d3e7169aee8946145f6b7306e35bc79bffad26346cfb94e10e9912a7",
            "test.index": "2af990671580b6b2df5d158d1038f8292e30c9cd821b5453f399659b25b723d4",
        },
        "pubmed": {
            "x": "fbe9cb5c47200d1b7769a26e579be3b7130b556831f9d850e77c4c74f2599b33",
            "tx": "4eb5f5d0f30f26497eb0ac6ac9719d09c67e284f1ed0385c93f3ef27a671da3d",
            "y": "e6c807633307a07ed659249006536a147c7999c797f11a2560752990181b41b3",
            "ty": "ee2e0d4819d9fbcc403689c3bf2e49face401b605932f093bc58ab6461130fdd",
            "ally": "0c37bbe3b5014ec365e9d393cf4791925e5ed94fb194305d74f064a8d7b50f0e",
            "graph": "5b89f0036ca22909471f1e6558eb42fa06e0c730a577bde5b058b40638f81dc9",
            "test.index": "b101d421688bbaecbd82e8a18f1e282378d6830f3a37666f28ebc47f844341b5",
        },
    }
)

# Nodes that validate: those behind the training nodes.
_VAL_NODES = 500
# Features are made dense: a wild number of columns would ask for memory without end. PubMed has 10 million cells.
_MOST_CELLS = 2**30


def read_planetoid(folder: Path, name: str, *, unverified: bool = False) -> Data:
    """Read the files `ind.NAME.*`.

    Features and labels of the training nodes are in x and y, of all but the test nodes in allx and ally, of the test
    nodes in tx and ty; each node's neighbours in graph, and the test nodes' numbers in test.index.

    A damaged file is told by what is wrong in it, else by its SHA-256.

    Args:
        folder: That has them.
        name: `"cora"`, `"citeseer"` or `"pubmed"`. Nodes of no row are CiteSeer's alone: zeros, in no part of the
            split.
        unverified: True takes files of another SHA-256 than the published ones. Default False.

    Returns:
        The graph as PyG's reader makes it: dense `x`, `edge_index`, `y`, the three masks; and `num_classes`.

    Raises:
        ValueError: A file is damaged, of another data set or not the published one; the message names the file and what
            is wrong, and the node where there is one.

    Source:
        Yang et al., "Revisiting semi-supervised learning with graph embeddings" (2016); github.com/kimiyoung/planetoid.
    """
    paths = {part: folder / f"ind.{name}.{part}" for part in PLANETOID_FILES}
    found: dict[str, Any] = {part: _read(path) for part, path in paths.items() if part != "test.index"}
    features = {part: _features(paths[part], found[part]) for part in ("x", "allx", "tx")}
    labels = {part: _table(paths[part], found[part], "labels") for part in ("y", "ally", "ty")}
    _check_sizes(paths, features, labels)
    known = len(features["allx"])
    test = _test_nodes(paths["test.index"], known, len(features["tx"]), gaps=name == "citeseer")
    for part, table in {**features, **labels}.items():
        _check_values(paths[part], table, test if part in ("tx", "ty") else torch.arange(known), label=part in labels)
    for part, whole in (("x", features["allx"]), ("y", labels["ally"])):
        _check_same(paths[part], {**features, **labels}[part], whole)
    num_nodes = int(test.max()) + 1
    edge_index = _edges(paths["graph"], found["graph"], num_nodes)
    if not unverified:
        _check_published(paths, PUBLISHED[name])
    x = torch.zeros(num_nodes, features["allx"].size(1))
    y = torch.zeros(num_nodes, dtype=torch.int64)
    x[:known], x[test] = features["allx"], features["tx"]
    y[:known], y[test] = labels["ally"].argmax(dim=1), labels["ty"].argmax(dim=1)
    data = Data(x=x, edge_index=edge_index, y=y)
    first = len(features["x"])
    nodes = {"train": torch.arange(first), "val": torch.arange(first, first + _VAL_NODES), "test": test}
    for part, chosen in nodes.items():
        data[f"{part}_mask"] = index_to_mask(chosen, size=num_nodes)
    data.num_classes = labels["ally"].size(1)
    return data


def _read(path: Path) -> Any:
    """What a file holds. The published ones are pickles; none is unpickled."""
    try:
        return read_pickled(path.read_bytes())
    except NameError as error:
        raise _bad(path, f"loading it would run {str(error)[:80]!r}, which no Planetoid file needs") from None
    except ValueError as error:
        raise _bad(path, f"not a Planetoid file ({' '.join(str(error).split())[:200]})") from None


def _bad(path: Path, what: str) -> ValueError:
    return ValueError(f"{path.name}: {what}; get the original from {PLANETOID_URL}")


def _features(path: Path, value: Any) -> Tensor:
    """Features `[N, F]`, dense."""
    return _table(path, _dense(path, value) if isinstance(value, CSRParts) else value, "features")


def _dense(path: Path, matrix: CSRParts) -> np.ndarray:
    """A CSR matrix made dense, once its arrays are known to index nothing but its own cells: SciPy does not look."""
    values, indices, indptr, shape = matrix
    if indptr.ndim != 1 or indices.ndim != 1 or values.ndim != 1:
        raise _bad(path, "a sparse matrix whose arrays are tables")
    if indptr.dtype.kind not in "iu" or indices.dtype.kind not in "iu" or values.dtype.kind not in "biuf":
        raise _bad(path, "a sparse matrix whose indices are no whole numbers, or whose values are no numbers")
    fits = len(indptr) == shape[0] + 1 and len(indices) == len(values) == indptr[-1] and indptr[0] == 0
    if not fits or (indptr[1:] < indptr[:-1]).any():
        raise _bad(path, "a sparse matrix whose rows do not fit its values")
    if shape[0] * shape[1] > _MOST_CELLS:
        raise _bad(path, f"a sparse matrix of {shape[0]} rows and {shape[1]} columns, which no Planetoid file has")
    rows = np.repeat(np.arange(shape[0]), np.diff(indptr.astype(np.int64)))
    wrong = (indices < 0) | (indices >= shape[1])
    if wrong.any():
        place = int(wrong.argmax())
        allowed = f"there are columns 0 to {shape[1] - 1}"
        raise _bad(path, f"row {rows[place]} has a value in column {indices[place]}; {allowed}")
    dense = np.zeros(shape, dtype=values.dtype.newbyteorder("="))
    np.add.at(dense, (rows, indices), values)
    return dense


def _table(path: Path, value: Any, what: str) -> Tensor:
    """A table of numbers, as float32."""
    if not isinstance(value, np.ndarray):
        raise _bad(path, f"{what} are a {type(value).__name__}, and should be a table of numbers")
    if value.ndim != 2 or value.dtype.kind not in "biuf" or 0 in value.shape:
        raise _bad(path, f"{what} are {value.dtype} of shape {list(value.shape)}, and should be a table of numbers")
    with np.errstate(over="ignore"):
        return torch.from_numpy(np.array(value, dtype=np.float32))


def _check_sizes(paths: Mapping[str, Path], features: Mapping[str, Tensor], labels: Mapping[str, Tensor]) -> None:
    """See to it that tables have the columns of one data set, and a label for each row of features."""
    for table, whole in ((features, "allx"), (labels, "ally")):
        wanted = table[whole].size(1)
        for part, values in table.items():
            if values.size(1) != wanted:
                found = f"{values.size(1)} columns, and {paths[whole].name} has {wanted}"
                raise _bad(paths[part], f"{found}: they are not of one data set")
    for part, label in (("x", "y"), ("allx", "ally"), ("tx", "ty")):
        rows, wanted = len(labels[label]), len(features[part])
        if rows != wanted:
            raise _bad(paths[label], f"{rows} rows, and {paths[part].name} has {wanted}: they are not of one data set")
    rows, first = len(features["allx"]), len(features["x"])
    if first + _VAL_NODES > rows:
        raise _bad(paths["allx"], f"{rows} rows, too few for {first} training nodes and {_VAL_NODES} that validate")


def _check_values(path: Path, table: Tensor, nodes: Tensor, *, label: bool) -> None:
    """See to it that all numbers are finite, and that a label is a one for the node's class, and zeros."""
    finite = table.isfinite()
    if not bool(finite.all()):
        row, column = (~finite).nonzero()[0].tolist()
        value = table[row, column].item()
        raise _bad(path, f"node {nodes[row]} (row {row}), column {column} is {value}, and should be a finite number")
    if label:
        wrong = ((table != 0) & (table != 1)).any(dim=1) | (table.sum(dim=1) != 1)
        if bool(wrong.any()):
            row = int(wrong.int().argmax())
            numbers = ", ".join(f"{value:g}" for value in table[row].tolist()[:20])
            raise _bad(path, f"node {nodes[row]} (row {row}) has the label [{numbers}], and should have a single 1")


def _check_same(path: Path, part: Tensor, whole: Tensor) -> None:
    unlike = (part != whole[: len(part)]).any(dim=1)
    if bool(unlike.any()):
        row = int(unlike.int().argmax())
        raise _bad(path, f"node {row} has another row in the file of all nodes: they are not of one data set")


def _test_nodes(path: Path, known: int, rows: int, *, gaps: bool) -> Tensor:
    """Numbers of the test nodes, one a line, in the order of the rows of tx: different, and behind all other nodes."""
    try:
        lines = path.read_text(encoding="ascii").split("\n")
    except UnicodeDecodeError:
        raise _bad(path, "not a text of numbers") from None
    places: dict[int, int] = {}
    for place, line in enumerate(lines, start=1):
        text = line.strip()
        if not text:
            continue
        if not text.removeprefix("-").isdecimal() or len(text) > 18:
            raise _bad(path, f"line {place}: {text[:40]!r} is not the number of a node")
        node = int(text)
        if node in places:
            raise _bad(path, f"line {place}: node {node} stands in line {places[node]} already")
        if node < known:
            what = (
                "below 0" if node < 0 else f"one of the {known} nodes of allx, which train, validate or are in no part"
            )
            raise _bad(path, f"line {place}: node {node} is {what}; test nodes are numbered from {known} on")
        places[node] = place
    if len(places) != rows:
        raise _bad(path, f"{len(places)} test nodes, and the features and labels of {rows} (tx, ty)")
    last = max(places)
    # As many nodes without a row as with one, at most: a wild number would ask for memory without end.
    if last >= known + (2 * rows if gaps else rows):
        raise _bad(path, f"line {places[last]}: node {last} is too high: {rows} test nodes follow node {known - 1}")
    return torch.tensor(list(places))


def _edges(path: Path, graph: Any, num_nodes: int) -> Tensor:
    """Both ends of each neighbourhood `[2, E]`, sorted by target, each once and without loops, as PyG has them."""
    if not isinstance(graph, dict):
        raise _bad(path, f"a {type(graph).__name__}, and should be a dictionary of each node's neighbours")
    sources: list[int] = []
    targets: list[int] = []
    for node, neighbours in graph.items():
        if not _is_node(node, num_nodes):
            raise _bad(path, f"it has neighbours of node {_short(node)}; nodes are numbered from 0 to {num_nodes - 1}")
        if not isinstance(neighbours, list):
            raise _bad(path, f"the neighbours of node {node} are {_short(neighbours)}, and should be a list")
        for neighbour in neighbours:
            if not _is_node(neighbour, num_nodes):
                raise _bad(
                    path,
                    f"node {node} has the neighbour {_short(neighbour)}; nodes are numbered from 0 to {num_nodes - 1}",
                )
        sources += [node] * len(neighbours)
        targets += neighbours
    if not sources:
        raise _bad(path, "no node has a neighbour")
    edge_index, _ = remove_self_loops(torch.tensor([sources, targets]))
    return coalesce(edge_index, num_nodes=num_nodes, sort_by_row=False)


def _is_node(value: Any, num_nodes: int) -> bool:
    return isinstance(value, int | np.integer) and not isinstance(value, bool) and 0 <= int(value) < num_nodes


def _short(value: Any) -> str:
    return reprlib.repr(value)  # of a few levels and entries: a list may be in itself


def _check_published(paths: Mapping[str, Path], published: Mapping[str, str]) -> None:
    for part, wanted in published.items():
        found = hashlib.sha256(paths[part].read_bytes()).hexdigest()
        if found != wanted:
            raise ValueError(
                f"{paths[part].name}: its SHA-256 is {found[:16]}…, and {wanted[:16]}… that of the published file: it "
                f"was damaged or changed; get the original from {PLANETOID_URL}, or, if the change is meant, say so "
                "(unverified=True, --unverified)"
            )
