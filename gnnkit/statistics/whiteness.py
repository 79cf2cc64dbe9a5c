"""Is anything left in the errors of a forecaster? The AZ test of residuals over time and graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float, Int
from scipy import special
from scipy.sparse import csr_matrix

from gnnkit.statistics.paired import PairedTest
from gnnkit.statistics.spans import span_score, span_test

__all__ = ["PARTS", "Part", "SignSums", "Whiteness", "az_test", "more_alike", "sign_sums", "whiteness_of"]

Part = Literal["space", "time", "lagged"]
PARTS: tuple[Part, ...] = get_args(Part)
"""Which residuals are set beside each other."""


@dataclass(frozen=True)
class SignSums:
    """Sums over pairs of residuals, row by row of the residual that is the later one of its pair.

    Args:
        products: of weight × sign × sign.
        weights: of the pairs of which both are there.
        squares: of those weights.
        pairs: their number.
    """

    products: Float[np.ndarray, " R"]
    weights: Float[np.ndarray, " R"]
    squares: Float[np.ndarray, " R"]
    pairs: int


@dataclass(frozen=True)
class Whiteness:
    """What the AZ test says of residuals.

    Args:
        statistic: standard normal where residuals are white; above 0 where those beside each other go the same way.
        p_value: two-sided, from the normal.
        agreement: share of the pairs, by weight, that have the same sign; a half by chance.
        pairs: how many were there.
    """

    statistic: float
    p_value: float
    agreement: float
    pairs: int


def sign_sums(
    residuals: Float[np.ndarray, "R N"],
    edge_index: Int[np.ndarray, "2 E"] | None = None,
    edge_weight: Float[np.ndarray, " E"] | None = None,
    *,
    part: Part,
) -> SignSums:
    """Products of the signs of residuals that stand beside each other.

    - "space": of the two ends of an edge in the same row. An edge has no direction; where it is given in both, its
      weights are added.
    - "time": of a node in a row and in the row before.
    - "lagged": of the target of an edge in a row and its source in the row before: what a forecast by neighbours' last
      values would have left out.

    Args:
        residuals: a row a time, a column a node; NaN where there is none. A residual of exactly 0 has no sign, and is
            passed over as well.
        edge_index: the graph; loops are passed over. "time" needs none.
        edge_weight: of the edges, 0 or more; None (default): 1.
        part: one of `PARTS`.

    Raises:
        ValueError: an array has a wrong shape, a node is not there, a weight is below 0 or not finite, or the part is
            unknown.
    """
    signs = _signs(residuals)
    there = np.abs(signs)
    if part == "time":
        products, weights = signs[1:] * signs[:-1], there[1:] * there[:-1]
        summed_products, count = (np.concatenate([[0.0], each.sum(axis=1)]) for each in (products, weights))
        return SignSums(summed_products, count, count, int(weights.sum()))
    if part not in PARTS:
        raise ValueError(f"part={part!r}: choose one of {', '.join(PARTS)}")
    if edge_index is None:
        raise ValueError(f"part={part!r} needs edge_index [2, E]")
    matrix = _matrix(edge_index, edge_weight, signs.shape[1], directed=part == "lagged")
    before, now = (slice(0, -1), slice(1, None)) if part == "lagged" else (slice(None), slice(None))

    def summed(weights: csr_matrix, values: np.ndarray) -> np.ndarray:
        found = np.zeros(len(values))
        found[now] = (values[now] * (weights @ values[before].T).T).sum(axis=1)
        return found

    ones = csr_matrix((np.ones_like(matrix.data), matrix.indices, matrix.indptr), shape=matrix.shape)
    pairs = round(summed(ones, there).sum())
    return SignSums(summed(matrix, signs), summed(matrix, there), summed(matrix.multiply(matrix).tocsr(), there), pairs)


def whiteness_of(sums: SignSums) -> Whiteness:
    """The test of one part.

    Raises:
        ValueError: there is no pair.
    """
    if not sums.pairs:
        raise ValueError("no two residuals beside each other are there, so nothing can be tested")
    statistic = float(sums.products.sum() / np.sqrt(sums.squares.sum()))
    agreement = float((1 + sums.products.sum() / sums.weights.sum()) / 2)
    return Whiteness(statistic, _two_sided(statistic), agreement, sums.pairs)


def az_test(
    residuals: Float[np.ndarray, "R N"],
    edge_index: Int[np.ndarray, "2 E"] | None = None,
    edge_weight: Float[np.ndarray, " E"] | None = None,
    *,
    part: Part | Literal["both"] = "both",
    space_share: float = 0.5,
) -> Whiteness:
    """Are residuals white over time and graph?

    With s(a) = sign(a), edges (u, v) of weight w, and λ the share of space,

        C = (λ Σ_t Σ_(u,v) w_uv s(x_{t,u} x_{t,v}) + (1 − λ) w Σ_t Σ_v s(x_{t,v} x_{t+1,v})) / √(λ² W + (1 − λ)² w² M)

    where W is the sum of the squared weights of all pairs over edges that are there, M the number of pairs over time,
    and w = √(W / M), so that at λ = ½ both count the same. If all residuals have the median 0 and are independent, C
    has the mean 0 and the variance 1, however they are spread, and is normal in the limit of many pairs.

    Args:
        residuals: a row a time, a column a node; NaN where there is none.
        edge_index: the graph; see `sign_sums`.
        edge_weight: of the edges; None (default): 1.
        part: "both" (default); "space" or "time": one sum alone, λ = 1 or 0; or "lagged" (see `sign_sums`).
        space_share: λ of "both", inside (0, 1). Default 0.5.

    Raises:
        ValueError: as `sign_sums`; there is no pair; `space_share` is outside (0, 1).

    Source:
        Zambon and Alippi, "AZ-whiteness test: a test for signal uncorrelation on spatio-temporal graphs", NeurIPS 2022.
        Not from them: the part "lagged", which is the same sum over other pairs, and that a residual of 0 is passed
        over, where they count it as a pair.

    Example:
        >>> rng, ring = np.random.default_rng(0), np.array([[0, 1, 2, 3], [1, 2, 3, 0]])
        >>> white = rng.standard_normal((500, 4))
        >>> common = white + rng.standard_normal((500, 1))
        >>> round(az_test(white, ring).p_value, 2), az_test(common, ring).p_value < 1e-9
        (0.7, True)
    """
    if part != "both":
        return whiteness_of(sign_sums(residuals, edge_index, edge_weight, part=part))
    if not 0 < space_share < 1:
        raise ValueError(f"space_share={space_share:g}: must be inside (0, 1); ask for part='space' or 'time' alone")
    space, time = (sign_sums(residuals, edge_index, edge_weight, part=each) for each in ("space", "time"))
    both = [whiteness_of(each) for each in (space, time)]
    shares = np.array([space_share, 1 - space_share])
    statistic = float(shares @ [each.statistic for each in both] / np.sqrt(np.square(shares).sum()))
    ratio = np.sqrt(space.squares.sum() / time.squares.sum())  # w
    weights = shares * [space.weights.sum(), ratio * time.weights.sum()]
    agreement = float(weights @ [each.agreement for each in both] / weights.sum())
    return Whiteness(statistic, _two_sided(statistic), agreement, space.pairs + time.pairs)


def more_alike(one: SignSums, other: SignSums, spans: Int[np.ndarray, " R"]) -> PairedTest:
    """Do the residuals of one set of pairs agree in sign more often than those of another?

    What moves all nodes at once makes every two of them agree; only the difference to other pairs tells of the graph.
    The AZ test takes pairs for independent. This is Student's t over spans of rows (`span_test`), which does not.

    Args:
        one, other: sums over pairs of the same residuals, row by row.
        spans: the span of each row, from `gnnkit.statistics.spans.span_numbers`.

    Returns:
        The test; its difference is that of the two agreements.

    Raises:
        ValueError: fewer than two spans have a pair of both sets.

    Example:
        >>> rng = np.random.default_rng(0)
        >>> residuals = rng.standard_normal((600, 4))
        >>> residuals[1:, 1] += residuals[:-1, 0]  # node 1 follows node 0
        >>> edge, wrong = (sign_sums(residuals, np.array(e), part="lagged") for e in ([[0], [1]], [[2], [3]]))
        >>> found = more_alike(edge, wrong, np.arange(600) // 100)
        >>> found.difference > 0.15, found.p_value < 0.01
        (True, True)
    """
    there = (one.weights > 0) & (other.weights > 0)
    scores = []
    for sums in (one, other):
        weights = np.where(there, sums.weights, 0.0)
        agreed = (1 + np.divide(sums.products, weights, out=np.zeros_like(weights), where=there)) / 2
        scores.append(span_score(agreed[None], weights, spans))
    return span_test(*scores)


def _signs(residuals: Float[np.ndarray, "R N"]) -> Float[np.ndarray, "R N"]:
    """1, −1, or 0 where there is no residual."""
    residuals = np.asarray(residuals, dtype=np.float64)
    if residuals.ndim != 2:
        raise ValueError(f"residuals has shape {residuals.shape}; give [R, N], a row a time and a column a node")
    return np.nan_to_num(np.sign(residuals), nan=0.0)


def _matrix(edge_index: np.ndarray, edge_weight: np.ndarray | None, nodes: int, *, directed: bool) -> csr_matrix:
    """Weights, a row a target and a column a source; undirected: each pair once."""
    edge_index = np.asarray(edge_index)
    if edge_index.ndim != 2 or len(edge_index) != 2:
        raise ValueError(f"edge_index has shape {edge_index.shape}; give [2, E]")
    count = edge_index.shape[1]
    weights = np.ones(count) if edge_weight is None else np.asarray(edge_weight, dtype=np.float64)
    if weights.shape != (count,):
        raise ValueError(f"edge_weight has shape {weights.shape}; give one weight for each of {count} edges")
    wrong = ~(np.isfinite(weights) & (weights >= 0))
    if wrong.any():
        raise ValueError(f"edge_weight holds {weights[wrong][0]:g}; give finite weights of 0 or more")
    if count and not (edge_index.min() >= 0 and edge_index.max() < nodes):
        wrong_node = edge_index.min() if edge_index.min() < 0 else edge_index.max()
        raise ValueError(f"edge_index names node {wrong_node}; residuals have nodes 0 to {nodes - 1}")
    kept = (edge_index[0] != edge_index[1]) & (weights > 0)
    source, target = edge_index[:, kept] if directed else np.sort(edge_index[:, kept], axis=0)
    return csr_matrix((weights[kept], (target, source)), shape=(nodes, nodes))  # what is given twice is added


def _two_sided(statistic: float) -> float:
    return float(2 * special.ndtr(-abs(statistic)))
