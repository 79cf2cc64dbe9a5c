"""What a graph of labelled nodes must hold before it is trained on, and fingerprints that tell it from another."""

from __future__ import annotations

import hashlib
from typing import Any

import torch
from torch import Tensor

__all__ = ["check_edges", "check_nodes", "digest_nodes"]

_MASKS = ("train_mask", "val_mask", "test_mask")
_PARTS = ("x", "edge_index", "edge_weight", "edge_attr", "y", *_MASKS)


def check_edges(edge_index: Tensor, num_nodes: int) -> None:
    """See to it that edges lie between nodes that are there.

    Raises:
        ValueError: Another shape or type, or an end that is no node; names the edge.

    Example:
        >>> check_edges(torch.tensor([[0, 1], [1, 2]]), 3)
    """
    if edge_index.dim() != 2 or edge_index.size(0) != 2 or edge_index.dtype not in (torch.int64, torch.int32):
        raise ValueError(
            f"edge_index must be whole numbers [2, E], got {edge_index.dtype} of shape {list(edge_index.shape)}"
        )
    wrong = (edge_index < 0) | (edge_index >= num_nodes)
    if wrong.any():
        edge = int(wrong.any(dim=0).int().argmax())
        source, target = edge_index[:, edge].tolist()
        raise ValueError(
            f"edge_index: edge {edge} runs from {source} to {target}; the nodes are numbered from 0 to {num_nodes - 1}"
        )


def check_nodes(data: Any) -> None:
    """See to it that a graph can be trained on: features finite, labels classes, nodes in each part of the split.

    Args:
        data: A PyG `Data` with `x`, `edge_index`, `y` `[N]` or `[N, tasks]`, the three masks, and `num_classes`.

    Raises:
        ValueError: Something is missing, of another shape or out of range; names the node.
    """
    missing = [name for name in ("x", "edge_index", "y", *_MASKS) if getattr(data, name, None) is None]
    if missing:
        raise ValueError(
            f"data: it has no {', '.join(missing)}; node classification needs x, edge_index, y, three masks"
        )
    num_nodes = int(data.num_nodes or 0)
    for name in ("x", "y", *_MASKS):
        if data[name].size(0) != num_nodes:
            raise ValueError(f"{name} has {data[name].size(0)} rows for {num_nodes} nodes; give one for each")
    check_edges(data.edge_index, num_nodes)
    _check_features(data.x)
    _check_split(data, num_nodes)
    _check_labels(data)


def _check_features(x: Tensor) -> None:
    values = x if x.layout == torch.strided else x.values() if x.layout == torch.sparse_csr else x.coalesce().values()
    finite = values.isfinite()
    if bool(finite.all()):
        return
    if x.layout == torch.strided:
        node, column = (~finite).nonzero()[0, :2].tolist()
        value = x[node, column].item()
    else:
        place = int((~finite).int().argmax())
        value = values[place].item()
        if x.layout == torch.sparse_csr:
            node = int(torch.searchsorted(x.crow_indices(), place, right=True)) - 1
            column = int(x.col_indices()[place])
        else:
            node, column = x.coalesce().indices()[:, place].tolist()
    count = int((~finite).sum())
    raise ValueError(
        f"x: node {node}, column {column} is {value}; features must be finite numbers, and {count} are not; fill "
        "them in, or leave out the column"
    )


def _check_split(data: Any, num_nodes: int) -> None:
    for name in _MASKS:
        mask = data[name]
        if mask.dtype != torch.bool or mask.dim() != 1:
            raise ValueError(
                f"{name} must be True or False for each node, got {mask.dtype} of shape {list(mask.shape)}"
            )
        if not bool(mask.any()):
            raise ValueError(
                f"{name} holds none of the {num_nodes} nodes; training, validation and test need some each"
            )
    for first, second in (("train_mask", "val_mask"), ("train_mask", "test_mask"), ("val_mask", "test_mask")):
        both = data[first] & data[second]
        if bool(both.any()):
            raise ValueError(
                f"{first} and {second} share {int(both.sum())} nodes, e.g. node {int(both.int().argmax())}; a node is "
                "in one part of the split"
            )


def _check_labels(data: Any) -> None:
    y = data.y
    classes = getattr(data, "num_classes", None)
    for name in _MASKS:
        nodes = data[name].nonzero().view(-1)
        labels = y[nodes]
        if y.dim() == 1:
            if y.dtype.is_floating_point:
                raise ValueError(f"y must be whole numbers, the classes, got {y.dtype}")
            wrong = (labels < 0) | (labels >= (classes if classes is not None else torch.iinfo(torch.int64).max))
            allowed = f"a class from 0 to {classes - 1}" if classes is not None else "a class from 0 on"
        else:
            labels = labels.double()
            if bool(labels.isnan().all()):
                raise ValueError(f"y: no node of {name} has a label")
            wrong = ~(labels.isnan() | ((labels >= 0) & (labels <= 1))).all(dim=1)
            allowed = "0 or 1 for each task, or NaN where it is not known"
        if bool(wrong.any()):
            node = int(nodes[int(wrong.int().argmax())])
            raise ValueError(f"y: node {node} of {name} has the label {y[node].tolist()}; it must be {allowed}")


def digest_nodes(data: Any) -> dict[str, str]:
    """SHA-256 of each part of a graph that a result depends on, as 64 hexadecimal digits.

    Args:
        data: A PyG `Data`, its features dense or sparse.

    Returns:
        A digest each of `x`, `edge_index`, `y` and the masks, and of `edge_weight` and `edge_attr` where there are
        some. Type, layout and shape count.

    Example:
        >>> from torch_geometric.data import Data
        >>> graph = Data(x=torch.zeros(2, 1), y=torch.tensor([0, 1]))
        >>> list(digest_nodes(graph)), len(digest_nodes(graph)["x"])
        (['x', 'y'], 64)
    """
    return {name: _digest(data[name]) for name in _PARTS if isinstance(getattr(data, name, None), Tensor)}


def _digest(value: Tensor) -> str:
    value = value.detach().cpu()
    found = hashlib.sha256(f"{value.dtype} {value.layout} {list(value.shape)}".encode())
    if value.layout == torch.sparse_csr:
        parts = [value.crow_indices(), value.col_indices(), value.values()]
    elif value.layout == torch.strided:
        parts = [value]
    else:
        value = value.coalesce()
        parts = [value.indices(), value.values()]
    for part in parts:
        # Seen as bytes: NumPy has no bfloat16.
        found.update(part.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()
