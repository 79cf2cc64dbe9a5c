"""Adjacency: self-loops, the normalisations of graph convolution, and edge lists to and from dense matrices.

One convention throughout: messages flow from `edge_index[0]` (source) to `edge_index[1]` (target). A matrix that
*multiplies* features has targets in its rows, `(A x)_i = sum_j A[i, j] x_j` (PyG's `adj_t`): that is what `to_dense`
and `to_csr` return. A matrix that is *read from a file* has sources in its rows, row i and column j being the edge
i -> j: that is what `from_dense` reads. `rows="source"` or `rows="target"` says it where the default is not meant.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch._C._functorch import is_functorch_wrapped_tensor  # pyright: ignore[reportMissingModuleSource]

from gnnkit.graph.checks import check_edge_index, check_edge_weight

__all__ = [
    "from_dense",
    "normalize_adjacency",
    "set_self_loops",
    "to_dense",
]

Rows = Literal["source", "target"]
SelfLoops = Literal["keep", "add", "remove"]


def set_self_loops(
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Tensor | None,
    num_nodes: int,
    self_loops: SelfLoops = "add",
) -> tuple[Int[Tensor, "2 M"], Tensor | None]:
    """Keep, complete or remove the self-loops of an edge list.

    Args:
        edge_index: Sources and targets.
        edge_weight: One weight per edge, or None for an unweighted graph.
        num_nodes: Node count N.
        self_loops: `"keep"` changes nothing, `"add"` (default) adds a loop of weight 1 to each node that has none,
            `"remove"` removes all.

    Returns:
        `edge_index` and `edge_weight` (None where None was given); new loops come last.

    Raises:
        ValueError: `self_loops` is none of the three, or the edge list is malformed.

    Example:
        >>> set_self_loops(torch.tensor([[0, 1], [1, 1]]), None, 3)[0].tolist()
        [[0, 1, 0, 2], [1, 1, 0, 2]]
    """
    if self_loops not in ("keep", "add", "remove"):
        raise ValueError(f"self_loops must be 'keep', 'add' or 'remove', got {self_loops!r}")
    edge_index = check_edge_index(edge_index, num_nodes).long()
    check_edge_weight(edge_weight, edge_index.size(1))
    if self_loops == "keep":
        return edge_index, edge_weight
    is_loop = edge_index[0] == edge_index[1]
    if self_loops == "remove":
        return edge_index[:, ~is_loop], None if edge_weight is None else edge_weight[~is_loop]
    without_loop = torch.ones(num_nodes, dtype=torch.bool, device=edge_index.device)
    without_loop[edge_index[0, is_loop]] = False
    return _append_loops(edge_index, edge_weight, without_loop.nonzero().view(-1))


def _append_loops(edge_index: Tensor, edge_weight: Tensor | None, nodes: Tensor) -> tuple[Tensor, Tensor | None]:
    loops = nodes.expand(2, -1)
    if edge_weight is not None:
        edge_weight = torch.cat([edge_weight, edge_weight.new_ones(nodes.numel())])
    return torch.cat([edge_index, loops], dim=1), edge_weight


def normalize_adjacency(
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"] | None,
    num_nodes: int,
    *,
    method: Literal["symmetric", "row", "random-walk"] = "symmetric",
    add_self_loops: Literal["missing"] | bool = "missing",
) -> tuple[Int[Tensor, "2 M"], Float[Tensor, " M"]]:
    r"""Normalise edge weights by the degrees of their ends.

    With `w_ji` the weight of the edge j -> i, `in_i = sum_j w_ji` and `out_j = sum_i w_ji`:

    - `"symmetric"`: `w_ji / sqrt(in_j in_i)`, the matrix `D^-1/2 A D^-1/2` of graph convolution;
    - `"row"`: `w_ji / in_i`, a mean over the senders: the rows of `to_dense` sum to 1;
    - `"random-walk"`: `w_ji / out_j`, the step of a walker that leaves j: the columns of `to_dense` sum to 1.

    On an undirected graph `"row"` and `"random-walk"` are transposes of each other. A node of degree 0 gives weight 0.

    Args:
        edge_index: Sources and targets.
        edge_weight: One weight per edge; None stands for ones.
        num_nodes: Node count N.
        method: `"symmetric"` (default), `"row"` or `"random-walk"`.
        add_self_loops: `"missing"` (default) adds a loop of weight 1 where the diagonal is empty (what PyG's `GCNConv`
            does), True adds one to every node, to those with a loop too, False adds none.

    Returns:
        `edge_index` and its normalised `edge_weight`, differentiable in the weights.

    Raises:
        ValueError: An unknown `method` or `add_self_loops`, a malformed edge list, or a negative degree under
            `"symmetric"`, which has no real square root.

    Source:
        Kipf & Welling (2017), equation 2 (`"symmetric"`); Li et al. (2018), equation 2 (`"random-walk"`).

    Example:
        >>> index, weight = normalize_adjacency(torch.tensor([[0, 1], [1, 0]]), None, 2, method="row")
        >>> to_dense(index, weight, 2).tolist()
        [[0.5, 0.5], [0.5, 0.5]]
    """
    if method not in ("symmetric", "row", "random-walk"):
        raise ValueError(f"method must be 'symmetric', 'row' or 'random-walk', got {method!r}")
    if not (add_self_loops == "missing" or isinstance(add_self_loops, bool)):
        raise ValueError(f"add_self_loops must be 'missing', True or False, got {add_self_loops!r}")
    edge_index = check_edge_index(edge_index, num_nodes).long()
    check_edge_weight(edge_weight, edge_index.size(1))
    if edge_weight is None:
        edge_weight = torch.ones(edge_index.size(1), device=edge_index.device)
    if add_self_loops == "missing":
        edge_index, weight = set_self_loops(edge_index, edge_weight, num_nodes, "add")
    elif add_self_loops:
        edge_index, weight = _append_loops(edge_index, edge_weight, torch.arange(num_nodes, device=edge_index.device))
    else:
        weight = edge_weight
    assert weight is not None  # for the type checker: a weight that goes in comes out
    source, target = edge_index
    degree = weight.new_zeros(num_nodes).index_add(0, source if method == "random-walk" else target, weight)
    if method == "symmetric":
        seen = not is_functorch_wrapped_tensor(degree)  # the numbers of a vmap cannot be looked at
        if seen and degree.numel() > 0 and bool((degree < 0).any()):
            node = int(degree.argmin())
            raise ValueError(
                f"edge_weight gives node {node} the negative degree {float(degree[node]):.4g}, which has no square "
                "root; use non-negative weights, or method='row'"
            )
        scale = _inverse(degree, -0.5)
        return edge_index, scale[source] * weight * scale[target]
    return edge_index, weight * _inverse(degree, -1.0)[source if method == "random-walk" else target]


def _inverse(degree: Tensor, power: float) -> Tensor:
    # A degree of 0 is replaced before the power, not after it: the power's gradient there would be inf * 0 = NaN.
    empty = degree == 0
    return degree.masked_fill(empty, 1.0).pow(power).masked_fill(empty, 0.0)


def to_dense(
    edge_index: Int[Tensor, "2 E"],
    edge_weight: Float[Tensor, " E"] | None,
    num_nodes: int,
    *,
    rows: Rows = "target",
    self_loops: SelfLoops = "keep",
) -> Float[Tensor, "N N"]:
    """Write an edge list as a dense matrix, `A[target, source]` by default, so that `A @ x` passes messages.

    Args:
        edge_index, edge_weight, num_nodes, self_loops: As `set_self_loops`, which keeps them here by default. Duplicate
            edges add up; without weights each counts 1.
        rows: What a row stands for: `"target"` (default), or `"source"` for a matrix that `from_dense` reads.

    Returns:
        The matrix, differentiable in the weights.

    Raises:
        ValueError: A malformed edge list, or an unknown `rows` or `self_loops`.

    Example:
        >>> to_dense(torch.tensor([[0], [1]]), None, 2).tolist()
        [[0.0, 0.0], [1.0, 0.0]]
    """
    _check_rows(rows)
    edge_index, edge_weight = set_self_loops(edge_index, edge_weight, num_nodes, self_loops)
    if edge_weight is None:
        edge_weight = torch.ones(edge_index.size(1), device=edge_index.device)
    source, target = edge_index
    row, column = (target, source) if rows == "target" else (source, target)
    flat = edge_weight.new_zeros(num_nodes * num_nodes).index_add(0, row * num_nodes + column, edge_weight)
    return flat.view(num_nodes, num_nodes)


def from_dense(
    matrix: Float[Tensor, "N N"],
    *,
    rows: Rows = "source",
    self_loops: SelfLoops = "keep",
) -> tuple[Int[Tensor, "2 E"], Float[Tensor, " E"]]:
    """Read a dense matrix, in which row i, column j is the edge i -> j by default, as an edge list.

    Args:
        matrix: Weights; 0 means no edge.
        rows: What a row stands for: `"source"` (default, as in CSV files), or `"target"` for what `to_dense` writes.
        self_loops: `"keep"` (default), `"add"` the missing ones with weight 1, or `"remove"`.

    Returns:
        `edge_index`, in the order of the matrix's rows, and `edge_weight`.

    Raises:
        ValueError: `matrix` is not square, or an unknown `rows` or `self_loops`.

    Example:
        >>> from_dense(torch.tensor([[0.0, 3.0], [0.0, 1.0]]))[0].tolist()
        [[0, 1], [1, 1]]
    """
    _check_rows(rows)
    if matrix.dim() != 2 or matrix.size(0) != matrix.size(1):
        raise ValueError(
            f"matrix must be square, [N, N], got {list(matrix.shape)}; check for a header row or an index column"
        )
    weight = matrix if matrix.is_floating_point() else matrix.to(torch.get_default_dtype())
    edge_index = weight.nonzero().t().contiguous()
    edge_weight = weight[edge_index[0], edge_index[1]]
    if rows == "target":
        edge_index = edge_index.flip(0)
    index, kept = set_self_loops(edge_index, edge_weight, matrix.size(0), self_loops)
    assert kept is not None  # for the type checker: a weight that goes in comes out
    return index, kept


def _check_rows(rows: str) -> None:
    if rows not in ("source", "target"):
        raise ValueError(f"rows must be 'source' or 'target', got {rows!r}")
