"""Graphs of what is near: by distance, or by how closely the values of two nodes go together."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float
from torch import Tensor

__all__ = ["correlations", "gaussian_kernel", "great_circle", "nearest"]

EARTH_RADIUS = 6371.0088
"""Kilometres, the mean of the ellipsoid."""
FEWEST_ROWS = 8
"""Two nodes that share fewer rows have no correlation."""


def great_circle(degrees: Float[Tensor, "N 2"]) -> Float[Tensor, "N N"]:
    """Distances along the surface of the earth, in kilometres, by the haversine formula.

    Args:
        degrees: Latitude and longitude of each place, in degrees.

    Source:
        Sinnott, "Virtues of the haversine", 1984; a sphere of radius 6371.0088 km.

    Example:
        >>> great_circle(torch.tensor([[52.52, 13.405], [48.8566, 2.3522]]))[0, 1].round().item()  # Berlin to Paris
        877.0
    """
    latitude, longitude = degrees.double().deg2rad().unbind(1)
    along = (latitude[:, None] - latitude).div(2).sin().square()
    across = (longitude[:, None] - longitude).div(2).sin().square() * latitude.cos()[:, None] * latitude.cos()
    return 2 * EARTH_RADIUS * (along + across).clamp(max=1).sqrt().asin()


def gaussian_kernel(distance: Float[Tensor, " E"], threshold: float = 0.1) -> Float[Tensor, " E"]:
    """Weights of distances by a thresholded Gaussian kernel: `w = exp(−d² / σ²)`, 0 where that is below the threshold.

    σ is the standard deviation of the distances (divided by their number). Where all distances are equal, all weights
    are 1.

    Args:
        distance: Of each pair of nodes; none is negative.
        threshold: Weights below it are 0. Default 0.1, as published.

    Source:
        Li et al., "Diffusion convolutional recurrent neural network", 2018, section 4.1, after Shuman et al. (2013).

    Example:
        >>> gaussian_kernel(torch.tensor([1.0, 3.0])).tolist()  # σ = 1
        [0.3678794503211975, 0.0]
    """
    if not distance.numel():
        return distance
    deviation = distance.std(correction=0)
    if deviation <= 1e-9 * distance.amax():
        return torch.ones_like(distance)
    weight = (-(distance / deviation).square()).exp()
    return torch.where(weight < threshold, 0.0, weight)


def nearest(distance: Float[Tensor, "N N"], neighbours: int) -> Bool[Tensor, "N N"]:
    """Which pairs of nodes are joined where each is joined, both ways, with its nearest ones.

    Args:
        distance: From node to node; infinite where two are never joined. The diagonal is not looked at.
        neighbours: How many nearest ones; of equal distances the first nodes'.

    Returns:
        Symmetric; a node that is near to many has more than so many neighbours.

    Example:
        >>> line = torch.tensor([0.0, 1.0, 3.0])
        >>> nearest((line[:, None] - line).abs(), 1).int().tolist()
        [[0, 1, 0], [1, 0, 1], [0, 1, 0]]
    """
    size = len(distance)
    apart = distance.masked_fill(torch.eye(size, dtype=torch.bool), torch.inf)
    order = apart.argsort(dim=1, stable=True)[:, : min(neighbours, size - 1)]
    joined = torch.zeros(size, size, dtype=torch.bool).scatter_(1, order, value=True) & apart.isfinite()
    return joined | joined.T


def correlations(values: Float[Tensor, "L N"]) -> Float[Tensor, "N N"]:
    """Pearson's correlation of each two columns over the rows that both have.

    Args:
        values: NaN where nothing was observed.

    Returns:
        Symmetric, float64, 0 where a column is constant or two share fewer than 8 rows; the diagonal is 1 where a
        column has a correlation at all, else 0.

    Raises:
        ValueError: `values` is no table.

    Example:
        >>> rows = torch.arange(8.0)
        >>> correlations(torch.stack([rows, -rows, torch.ones(8)], dim=1)).tolist()
        [[1.0, -1.0, 0.0], [-1.0, 1.0, 0.0], [0.0, 0.0, 0.0]]
    """
    if values.dim() != 2:
        raise ValueError(f"values must be [L, N], rows of times and columns of nodes, got {list(values.shape)}")
    if not values.numel():
        return torch.zeros(values.size(1), values.size(1), dtype=torch.float64)
    values = values.double()
    known = values.isfinite()
    size = torch.where(known, values, 0.0).abs().amax(dim=0)
    # Near zero before products are taken: sums of squares of large numbers that differ little lose what differs.
    centred = torch.where(known, values - values.nanmean(dim=0), 0.0)
    mask = known.double()
    count = mask.T @ mask
    total = centred.T @ mask  # [i, j]: Σ of column i over the rows that j has too
    square = centred.square().T @ mask
    covariance = centred.T @ centred - total * total.T / count.clamp(min=1)
    variance = square - total.square() / count.clamp(min=1)
    changes = variance > count * (1e-9 * size[:, None]).square()
    usable = (count >= FEWEST_ROWS) & changes & changes.T
    spread = (variance * variance.T).clamp(min=1e-300).sqrt()
    return torch.where(usable, (covariance / spread).clamp(-1, 1), 0.0)
