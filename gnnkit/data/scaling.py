"""Scalers: affine maps per node and feature, fitted on the observed values of the training rows and on nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TypeVar

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from gnnkit.data.mapped import NodeSums, mapped_file, node_sums

__all__ = [
    "SCALERS",
    "MaxScaler",
    "Scaler",
    "StandardScaler",
    "fit_scaler",
    "scale_features",
    "training_mean",
    "training_sums",
    "training_values",
]

FARTHEST = 10.0
"""Scaled covariates lie between it and its negative."""
SomeScaler = TypeVar("SomeScaler", bound="Scaler")


def scale_features(
    x: Float[Tensor, "*any N F"], center: Tensor, scale: Tensor, covariates_from: int = 1
) -> Float[Tensor, "*any N F"]:
    """(x - center) / scale, in operators that a tracer can follow; NaN stays NaN.

    Args:
        x: Values in the data's unit.
        center, scale: `[N, F]` or `[1, F]`.
        covariates_from: Number of the first feature that ends at ±`FARTHEST`. Default 1: all but the target.

    Example:
        >>> one = torch.ones(1, 2)
        >>> scale_features(torch.tensor([[100.0, 100.0]]), one, one)
        tensor([[99., 10.]])
    """
    scaled = (x - center) / scale
    if scaled.size(-1) <= covariates_from:
        return scaled
    clamped = scaled[..., covariates_from:].clamp(-FARTHEST, FARTHEST)
    return torch.cat([scaled[..., :covariates_from], clamped], dim=-1) if covariates_from else clamped


@dataclass(frozen=True, eq=False)
class Scaler:
    """The map x → (x - center) / scale, for each node and feature; covariates end at ±10.

    Args:
        center: What is subtracted, `[N, F]`, or `[1, F]` for one value over all nodes.
        scale: What is divided by, of the same shape; positive.
        target_deviation: Standard deviation of all observed training targets together, in the data's unit (1 where they
            are all equal). A loss in the data's unit that is divided by it has a size near one.

    Raises:
        ValueError: Shapes differ, or a scale is not positive.
    """

    center: Tensor
    scale: Tensor
    target_deviation: float = 1.0

    def __post_init__(self) -> None:
        if self.center.dim() != 2 or self.center.shape != self.scale.shape:
            raise ValueError(
                f"center and scale: expected the same shape [N, F] or [1, F], "
                f"got {list(self.center.shape)} and {list(self.scale.shape)}"
            )
        if not (self.scale > 0).all():
            raise ValueError("scale: must be positive everywhere")

    def transform(
        self, x: Float[Tensor, "*any N F"], features: Sequence[int] | None = None
    ) -> Float[Tensor, "*any N F"]:
        """Scale features; NaN stays NaN.

        A covariate, any feature but 0, ends at ±`FARTHEST`: an hour of rain after a dry training season is some
        hundred of that season's deviations away, and a network that sees such a number says anything.

        Args:
            x: Values in the data's unit.
            features: Which ones `x` has; default: all, in their order.

        Returns:
            (x - center) / scale.
        """
        chosen = list(range(self.center.size(1)) if features is None else features)
        center, scale = (
            (self.center, self.scale) if features is None else (self.center[:, chosen], self.scale[:, chosen])
        )
        return scale_features(x, center, scale, covariates_from=1 if chosen[:1] == [0] else 0)

    def transform_target(self, y: Float[Tensor, "*any N"]) -> Float[Tensor, "*any N"]:
        """Scale targets (feature 0).

        Args:
            y: Targets in the data's unit.

        Returns:
            (y - center) / scale, with the figures of feature 0.
        """
        return (y - self.center[:, 0]) / self.scale[:, 0]

    def inverse_target(self, y: Float[Tensor, "*any N"]) -> Float[Tensor, "*any N"]:
        """Bring scaled targets (feature 0) back into the data's unit.

        Args:
            y: Scaled targets.

        Returns:
            y · scale + center, with the figures of feature 0.
        """
        return y * self.scale[:, 0] + self.center[:, 0]

    def to(self: SomeScaler, device: torch.device | str) -> SomeScaler:
        """The same scaler on a device."""
        return replace(self, center=self.center.to(device), scale=self.scale.to(device))


class StandardScaler(Scaler):
    """Mean 0 and standard deviation 1 on the training rows: x → (x - mean) / deviation."""

    @classmethod
    def fit(cls, values: Float[Tensor, "L N F"], rows: range, *, per_node: bool = True) -> StandardScaler:
        """Measure mean and deviation of the observed values of the training rows.

        A constant node takes the median deviation of those that change (1 where none does), so that nothing hangs on
        the data's unit; a node without an observed training value takes the figures of all nodes together.

        Args:
            values: The series in its unit; NaN is missing.
            rows: The training rows; no other row is read.
            per_node: True (default) measures each node alone; False all nodes together.

        Returns:
            The fitted scaler.

        Raises:
            ValueError: `rows` are not in the series, or a feature has no observed value in them.

        Source:
            Deviations divide by the number of values, not by one less, as scikit-learn's StandardScaler does.

        Example:
            >>> series = torch.tensor([1.0, 3.0, float("nan"), 99.0]).view(4, 1, 1)
            >>> scaler = StandardScaler.fit(series, range(0, 3))
            >>> scaler.center.item(), scaler.scale.item()
            (2.0, 1.0)
        """
        if mapped_file(values) is not None:
            return cls._of_sums(training_sums(values, rows), per_node=per_node)
        train = training_values(values, rows)
        mean, deviation = _mean_and_deviation(train.flatten(0, 1).unsqueeze(1))  # [1, F]
        target_deviation = float(deviation[0, 0])
        if per_node:
            node_mean, node_deviation = _mean_and_deviation(train, constant=torch.nan)  # [N, F]
            node_deviation = torch.where(node_deviation.isnan(), _median(node_deviation), node_deviation)
            unseen = node_mean.isnan()
            mean = torch.where(unseen, mean, node_mean)
            deviation = torch.where(unseen, deviation, node_deviation)
        return cls(mean.float(), deviation.float(), target_deviation)

    @classmethod
    def _of_sums(cls, nodes: NodeSums, *, per_node: bool) -> StandardScaler:
        """The same, of sums that were taken in blocks."""
        whole = nodes.together()
        mean, deviation = whole.mean, torch.where(whole.low >= whole.high, 1.0, whole.deviation)
        target_deviation = float(deviation[0, 0])
        if per_node:
            unseen = nodes.count == 0
            own = torch.where(nodes.low >= nodes.high, torch.nan, nodes.deviation)
            own = torch.where(own.isnan(), _median(own), own)
            mean = torch.where(unseen, mean, nodes.mean)
            deviation = torch.where(unseen, deviation, own)
        return cls(mean.float(), deviation.float(), target_deviation)


class MaxScaler(Scaler):
    """Largest absolute training value 1: x → x / max |x|."""

    @classmethod
    def fit(cls, values: Float[Tensor, "L N F"], rows: range, *, per_node: bool = True) -> MaxScaler:
        """Measure the largest absolute observed value of the training rows.

        A node that is zero throughout takes the median of the others (1 where all are); one without an observed
        training value takes that of all nodes.

        Args:
            values: The series in its unit; NaN is missing.
            rows: The training rows; no other row is read.
            per_node: True (default) measures each node alone; False all nodes together, as T-GCN does.

        Returns:
            The fitted scaler.

        Raises:
            ValueError: `rows` are not in the series, or a feature has no observed value in them.

        Source:
            T-GCN's code (Zhao et al., 2019) divides by the largest value of the whole series, test rows included.

        Example:
            >>> MaxScaler.fit(torch.tensor([1.0, -4.0, 99.0]).view(3, 1, 1), range(0, 2)).scale.item()
            4.0
        """
        if mapped_file(values) is not None:
            nodes = training_sums(values, rows)
            unseen, whole = nodes.count == 0, nodes.together()
            deviation = torch.where(whole.low >= whole.high, 1.0, whole.deviation)
            largest_of_node = torch.where(unseen, 0.0, torch.maximum(nodes.high.abs(), nodes.low.abs()))
        else:
            train = training_values(values, rows)
            unseen = train.isnan().all(dim=0)
            _, deviation = _mean_and_deviation(train.flatten(0, 1).unsqueeze(1))
            largest_of_node = train.abs().nan_to_num(nan=0.0).amax(dim=0)  # [N, F]
        largest = largest_of_node.amax(dim=0, keepdim=True)  # [1, F]
        scale = torch.where(unseen, largest, largest_of_node) if per_node else largest
        scale = torch.where(scale > 0, scale, _median(torch.where(scale > 0, scale, torch.nan))).float()
        return cls(torch.zeros_like(scale), scale, float(deviation[0, 0]))


SCALERS: Mapping[str, str] = MappingProxyType(
    {
        "standard": "mean and deviation of each node's training values",
        "max": "the largest training value of all nodes together",
        "max-node": "the largest training value of each node",
        "max-all": "the largest value of the whole series, of all nodes together: a leak, as in T-GCN's code",
        "max-node-all": "the largest value of each node in the whole series: a leak, as in LSTNet's and MTGNN's code",
    }
)
"""Name → what it scales by. The two leaks reproduce published protocols; a comparison refuses them unless allowed."""


def fit_scaler(name: str, values: Float[Tensor, "L N F"], train: range) -> Scaler:
    """Fit a scaler by its name.

    Args:
        name: One of `SCALERS`.
        values: The series in its unit; NaN is missing.
        train: The training rows; no other row is read, save by the two scalers that leak.

    Returns:
        The fitted scaler.

    Raises:
        ValueError: An unknown name, rows that are not in the series, or a feature without an observed value in them.

    Example:
        >>> series = torch.tensor([1.0, -4.0, 99.0]).view(3, 1, 1)
        >>> [fit_scaler(name, series, range(0, 2)).scale.item() for name in ("max", "max-all")]
        [4.0, 99.0]
    """
    if name not in SCALERS:
        raise ValueError(f"scaler={name!r}: give one of {', '.join(SCALERS)}, or a fitted scaler")
    if name == "standard":
        return StandardScaler.fit(values, train)
    rows = range(values.size(0)) if name.endswith("-all") else train
    return MaxScaler.fit(values, rows, per_node="node" in name)


def training_values(values: Float[Tensor, "L N F"], rows: range) -> Float[Tensor, "R N F"]:
    """The training rows in float64, after a check that something is observed in them.

    Args:
        values: The series; NaN is missing.
        rows: The training rows.

    Returns:
        `values[rows]` as float64.

    Raises:
        ValueError: `rows` are not in the series, or a feature has no observed value in them.
    """
    _check_rows(values, rows)
    train = values[rows.start : rows.stop].double()
    _check_seen(train.isnan().flatten(0, 1).all(dim=0), rows)
    return train


def training_mean(values: Float[Tensor, "L N F"], rows: range) -> Float[Tensor, "N F"]:
    """The mean of each node over the training rows, in float64; that of all nodes for one that was not seen in them.

    Args, Raises: as `training_values`.
    """
    if mapped_file(values) is not None:
        nodes = training_sums(values, rows)
        return torch.where(nodes.count == 0, nodes.together().mean, nodes.mean)
    train = training_values(values, rows)
    mean = train.nanmean(dim=0)
    return torch.where(mean.isnan(), train.flatten(0, 1).nanmean(dim=0), mean)


def training_sums(values: Float[Tensor, "L N F"], rows: range) -> NodeSums:
    """What scalers need of the training rows of a mapped file, after the same checks as `training_values`."""
    _check_rows(values, rows)
    nodes = node_sums(values, rows)
    _check_seen((nodes.count == 0).all(dim=0), rows)
    return nodes


def _check_rows(values: Float[Tensor, "L N F"], rows: range) -> None:
    if not (0 <= rows.start < rows.stop <= values.size(0)) or rows.step != 1:
        raise ValueError(
            f"rows={rows!r}: expected a non-empty range with step 1 inside the {values.size(0)} rows of values"
        )


def _check_seen(blind: Bool[Tensor, " F"], rows: range) -> None:
    if blind.any():
        feature = int(blind.nonzero()[0])
        what = "the target (feature 0)" if feature == 0 else f"feature {feature}"
        raise ValueError(
            f"values: {what} is NaN in every one of the {len(rows)} training rows, so there is nothing to learn from; "
            f"check the file, or choose other training rows"
        )


def _median(figures: Float[Tensor, "N F"]) -> Float[Tensor, " F"]:
    """Median over the nodes that have a figure; 1 where none has."""
    return figures.nanmedian(dim=0).values.nan_to_num(nan=1.0)


def _mean_and_deviation(
    train: Float[Tensor, "R N F"], constant: float = 1.0
) -> tuple[Float[Tensor, "N F"], Float[Tensor, "N F"]]:
    """Mean and deviation over rows: mean NaN where nothing is observed, deviation `constant` if all are equal."""
    mean = train.nanmean(dim=0)
    deviation = (train - mean).square().nanmean(dim=0).sqrt()
    # Equal values can have a tiny deviation by rounding; dividing by that would blow noise up.
    equal = train.nan_to_num(nan=-torch.inf).amax(dim=0) <= train.nan_to_num(nan=torch.inf).amin(dim=0)
    return mean, torch.where(equal, torch.full_like(deviation, constant), deviation)
