"""Over-squashing: where is news squeezed? Balanced Forman curvature and effective resistance of edges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import scipy.sparse as sp
import torch
from jaxtyping import Float, Int
from scipy.sparse.csgraph import connected_components
from torch import Tensor

from gnnkit.graph.checks import check_edge_index, check_edge_weight
from gnnkit.ops import CompressedGraph, spmm

__all__ = ["Resistance", "balanced_forman_curvature", "effective_resistance"]

# Above this many nodes a component's Laplacian is not inverted but solved with.
_DENSE_NODES = 1500
# Neighbours of neighbours that are looked at in one go.
_CURVATURE_WORK = 20_000_000


def _undirected(edge_index: Tensor, num_nodes: int, weight: Tensor | None = None) -> sp.csr_matrix:
    """The graph without directions, loops and doubles; the weights of doubles add up, directions are averaged."""
    source, target = edge_index.cpu().numpy()
    values = np.ones(source.size) if weight is None else weight.detach().cpu().double().numpy()
    kept = source != target
    matrix = sp.csr_matrix((values[kept], (source[kept], target[kept])), shape=(num_nodes, num_nodes))
    return sp.csr_matrix((matrix + matrix.T) / 2 if weight is not None else (matrix + matrix.T))


def balanced_forman_curvature(
    edge_index: Int[Tensor, "2 E"],
    num_nodes: int,
    *,
    edges: Int[Tensor, "2 M"] | None = None,
) -> Float[Tensor, " M"]:
    r"""Curvature of edges: near -2 where an edge is the only way between many and many, above 0 inside of clusters.

        Ric(i, j) = 2/d_i + 2/d_j - 2 + 2 t / max(d_i, d_j) + t / min(d_i, d_j) + (s_i + s_j) / (g max(d_i, d_j))

    with t the triangles at the edge, `s_i` the neighbours of i that lie on a 4-cycle through the edge without a
    diagonal, and g the most such 4-cycles that share a node; 0 where an end has no other neighbour. Directions,
    self-loops and doubles of edges are left out of account.

    Args:
        edge_index: Sources and targets.
        num_nodes: Node count N.
        edges: Edges that are measured. Default: all, in their order.

    Returns:
        The curvature, float64; NaN for a self-loop.

    Raises:
        ValueError: A malformed edge list, or a pair in `edges` that is no edge.

    Source:
        Topping et al., "Understanding over-squashing and bottlenecks on graphs via curvature" (2022), definition 1.

    Example:
        >>> triangle = torch.tensor([[0, 1, 2], [1, 2, 0]])
        >>> balanced_forman_curvature(triangle, 3).tolist()
        [1.5, 1.5, 1.5]
    """
    plain = check_edge_index(edge_index, num_nodes).long()
    wanted = (plain if edges is None else check_edge_index(edges, num_nodes)).long().cpu().numpy()
    adjacency = _undirected(plain, num_nodes)
    adjacency.data[:] = 1.0
    degree = np.diff(adjacency.indptr).astype(np.float64)
    low, high = np.minimum(*wanted), np.maximum(*wanted)
    unique, inverse = np.unique(low.astype(np.int64) * max(num_nodes, 1) + high, return_inverse=True)
    i, j = unique // max(num_nodes, 1), unique % max(num_nodes, 1)
    proper = i != j
    known = np.asarray(adjacency[i[proper], j[proper]]).ravel() > 0 if proper.any() else np.ones(0, dtype=bool)
    if not known.all():
        place = int(proper.nonzero()[0][(~known).argmax()])
        raise ValueError(f"edges holds {int(i[place])} - {int(j[place])}, which is no edge of the graph")
    curvature = np.full(unique.size, np.nan)
    curvature[proper] = 0.0
    inner = (proper & (np.minimum(degree[i], degree[j]) > 1)).nonzero()[0]
    # What a chunk costs is known beforehand: the neighbours of the neighbours of both ends.
    reach = adjacency @ degree
    work = np.cumsum(reach[i[inner]] + reach[j[inner]])
    for chunk in np.split(inner, np.searchsorted(work, np.arange(_CURVATURE_WORK, work[-1:].sum(), _CURVATURE_WORK))):
        if chunk.size:
            curvature[chunk] = _curvature(adjacency, degree, i[chunk], j[chunk])
    return torch.from_numpy(curvature[inverse]).to(plain.device)


def _curvature(adjacency: sp.csr_matrix, degree: np.ndarray, i: np.ndarray, j: np.ndarray) -> np.ndarray:
    rows_i, rows_j = adjacency[i], adjacency[j]
    common = rows_i.multiply(rows_j).tocsr()
    triangles = np.asarray(common.sum(axis=1)).ravel()
    squares_i, most_i = _squares(adjacency, rows_i - common, rows_j - common, i, j)
    squares_j, most_j = _squares(adjacency, rows_j - common, rows_i - common, j, i)
    most = np.maximum(most_i, most_j)
    largest, smallest = np.maximum(degree[i], degree[j]), np.minimum(degree[i], degree[j])
    bent = 2 / degree[i] + 2 / degree[j] - 2 + 2 * triangles / largest + triangles / smallest
    return bent + np.where(most > 0, (squares_i + squares_j) / (np.maximum(most, 1) * largest), 0.0)


def _squares(
    adjacency: sp.csr_matrix, own: sp.csr_matrix, other: sp.csr_matrix, i: np.ndarray, j: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Neighbours k of i (`own`: those that j does not have) on a 4-cycle i k w j, and the most cycles of one k."""
    # For each k the w that are neighbours of k and, by `other`, of j but not of i; i itself is one of them.
    paths = own.multiply(other @ adjacency).tocoo()
    cycles = paths.data - 1
    cycles[paths.col == j[paths.row]] = 0
    on_cycle = cycles > 0
    count = np.bincount(paths.row[on_cycle], minlength=i.size)
    most = np.zeros(i.size)
    np.maximum.at(most, paths.row, cycles)
    return count, most


@dataclass(frozen=True)
class Resistance:
    """Effective resistance of pairs of nodes, and how well it is known.

    Args:
        values: The resistances `[M]`, float64; infinite between two components.
        relative_error: Relative standard error of each value that the random projection leaves; 0 where exact.
        residual: Largest relative residual of the linear systems that were solved; 0 where none was.
        method: `"exact"` or `"projection"`.
    """

    values: Tensor
    relative_error: float
    residual: float
    method: str


def effective_resistance(
    edge_index: Int[Tensor, "2 E"],
    num_nodes: int,
    *,
    edge_weight: Float[Tensor, " E"] | None = None,
    pairs: Int[Tensor, "2 M"] | None = None,
    projections: int | None = None,
    tolerance: float = 1e-3,
    max_iterations: int = 500,
    seed: int = 0,
) -> Resistance:
    r"""Resistance between nodes where every edge conducts as its weight says: 1 across a bridge, small in a cluster.

        R_uv = (e_u - e_v)^T L^+ (e_u - e_v),        L = D - A

    A large graph's are estimated from K random projections, `R_uv ≈ |Z (e_u - e_v)|²` with `Z = Q W^1/2 B L^+`, whose
    K systems are solved together by conjugate gradients; each value then has a relative standard error of sqrt(2 / K).

    Args:
        edge_index: Sources and targets; directions are left out of account, and so are self-loops.
        num_nodes: Node count N.
        edge_weight: Conductances `[E]`, not negative; those of both directions are averaged. Default: ones, and each
            edge once.
        pairs: Pairs that are measured. Default: the edges, in their order.
        projections: K. Default: exact where no component has more than 1500 nodes, else 64. 0 forces exactness.
        tolerance: Relative residual at which a system counts as solved. Default 1e-3, far below the projection's error.
        max_iterations: Most steps of the conjugate gradients. Default 500.
        seed: Of the projections. Default 0.

    Returns:
        The values with their error: see `Resistance`.

    Raises:
        ValueError: A malformed edge list, a negative weight, or `projections` below 0.

    Source:
        Spielman & Srivastava, "Graph sparsification by effective resistances" (2011), section 4; as a measure of
        over-squashing: Black et al., "Understanding oversquashing in GNNs through the lens of effective resistance"
        (2023).

    Example:
        >>> path = torch.tensor([[0, 1], [1, 2]])
        >>> effective_resistance(path, 3, pairs=torch.tensor([[0], [2]])).values.tolist()
        [2.0]
    """
    plain = check_edge_index(edge_index, num_nodes).long()
    check_edge_weight(edge_weight, plain.size(1))
    if edge_weight is not None and edge_weight.numel() and float(edge_weight.min()) < 0:
        raise ValueError(f"edge_weight must not be negative, got {float(edge_weight.min()):.4g}")
    if projections is not None and projections < 0:
        raise ValueError(f"projections must be 0 (exact) or more, got {projections}")
    wanted = (plain if pairs is None else check_edge_index(pairs, num_nodes)).long().cpu()
    adjacency = _undirected(plain, num_nodes, edge_weight)
    if edge_weight is None:
        adjacency.data[:] = 1.0
    _, label = connected_components(adjacency, directed=False)
    sizes = np.bincount(label) if num_nodes else np.zeros(1, dtype=np.int64)
    if projections is None:
        projections = 0 if sizes.max(initial=0) <= _DENSE_NODES else 64
    u, v = wanted.numpy()
    apart = torch.from_numpy(label[u] != label[v])
    if projections == 0:
        values, residual = _exact(adjacency, label, sizes, u, v), 0.0
    else:
        embedding, residual = _project(adjacency, projections, tolerance, max_iterations, seed)
        ends = wanted.split(200_000, dim=1)
        values = torch.cat([(embedding[a] - embedding[b]).double().square().sum(dim=-1) for a, b in ends])
    values = values.masked_fill(apart, torch.inf).to(plain.device)
    error = (2 / projections) ** 0.5 if projections else 0.0
    return Resistance(values, error, residual, "projection" if projections else "exact")


def _exact(adjacency: sp.csr_matrix, label: np.ndarray, sizes: np.ndarray, u: np.ndarray, v: np.ndarray) -> Tensor:
    """By the inverse of each component's Laplacian, one node of it grounded."""
    values = np.zeros(u.size)
    order = np.argsort(label, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)])
    place = np.empty(label.size, dtype=np.int64)
    place[order] = np.arange(label.size) - np.repeat(starts[:-1], sizes)
    for component in np.unique(label[u[label[u] == label[v]]]):
        nodes = order[starts[component] : starts[component + 1]]
        weights = adjacency[nodes][:, nodes].toarray()
        laplacian = np.diag(weights.sum(axis=1)) - weights
        grounded = np.zeros_like(laplacian)
        if nodes.size > 1:
            grounded[1:, 1:] = np.linalg.inv(laplacian[1:, 1:])
        inside = ((label[u] == component) & (label[v] == component)).nonzero()[0]
        a, b = place[u[inside]], place[v[inside]]
        values[inside] = grounded[a, a] + grounded[b, b] - 2 * grounded[a, b]
    return torch.from_numpy(values)


def _project(
    adjacency: sp.csr_matrix, projections: int, tolerance: float, max_iterations: int, seed: int
) -> tuple[Tensor, float]:
    """Z^T `[N, K]`, float32, and the largest relative residual."""
    num_nodes = adjacency.indptr.size - 1
    coo = sp.triu(adjacency, k=1).tocoo()
    ends = torch.from_numpy(np.stack([coo.row, coo.col]).astype(np.int64))
    root = torch.from_numpy(np.sqrt(coo.data)).float()
    generator = torch.Generator().manual_seed(seed)
    right = torch.zeros(num_nodes, projections)
    for part in torch.arange(root.numel()).split(200_000):
        signs = (
            torch.randint(2, (part.numel(), projections), generator=generator, dtype=torch.int8).float().mul_(2).sub_(1)
        )
        signs *= root[part].unsqueeze(1) / projections**0.5
        right.index_add_(0, ends[0, part], signs)
        right.index_add_(0, ends[1, part], -signs)
    weight = torch.from_numpy(adjacency.data).float()
    pointers, neighbours = (torch.from_numpy(ids.astype(np.int32)) for ids in (adjacency.indptr, adjacency.indices))
    graph = CompressedGraph(num_nodes, num_nodes, pointers, neighbours)
    degree = torch.from_numpy(np.asarray(adjacency.sum(axis=1)).ravel()).float()
    return _conjugate_gradients(graph, weight, degree, right, tolerance, max_iterations)


def _conjugate_gradients(
    graph: CompressedGraph, weight: Tensor, degree: Tensor, right: Tensor, tolerance: float, max_iterations: int
) -> tuple[Tensor, float]:
    """Solve L Z = right for all columns together, preconditioned by the degrees.

    The right-hand sides sum to zero on every component, so that each has a solution; what else is in it drops out of
    every difference within a component.
    """
    inverse = degree.masked_fill(degree == 0, 1.0).reciprocal().unsqueeze(1)
    solution = torch.zeros_like(right)
    rest, size = right.clone(), right.norm(dim=0).clamp(min=1e-30)
    direction = inverse * rest
    product = (rest * direction).sum(dim=0)
    residual = 1.0
    for _ in range(max_iterations):
        image = degree.unsqueeze(1) * direction - spmm(graph, direction, weight)
        step = product / (direction * image).sum(dim=0).clamp(min=1e-30)
        solution.addcmul_(direction, step.unsqueeze(0))
        rest.addcmul_(image, step.unsqueeze(0), value=-1)
        residual = float((rest.norm(dim=0) / size).max())
        if residual <= tolerance:
            break
        scaled = inverse * rest
        renewed = (rest * scaled).sum(dim=0)
        direction.mul_((renewed / product.clamp(min=1e-30)).unsqueeze(0)).add_(scaled)
        product = renewed
    return solution, residual
