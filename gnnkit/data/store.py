"""The one tensor that all windows of a series read from: gaps filled from the past, a bit a value tells them apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from gnnkit.data.clock import clock_features
from gnnkit.data.degrade import hide_values
from gnnkit.data.scaling import training_values
from gnnkit.data.series import GraphSeries

__all__ = ["SeriesStore"]


@dataclass(frozen=True, eq=False)
class SeriesStore:
    """One series with its gaps filled from the past, and one bit per value that says which were gaps.

    Args:
        filled: The series in its unit, `[L, N, F]`, without NaN.
        observed_bits: Eight rows a byte, first row in the highest bit, `[ceil(L / 8), N, F]` uint8; None: no gaps.
        clock: The rows' times from `clock_features`, `[L, 2]`; None: x has no time features.
        targets: What is to be predicted where it is not what models see, `[L, N]`, NaN where it was not observed; None:
            feature 0 of `filled`, where it was observed.
        known_ahead: Numbers of the features that windows also read at the rows of their targets.
    """

    filled: Tensor
    observed_bits: Tensor | None = None
    clock: Tensor | None = None
    targets: Tensor | None = None
    known_ahead: tuple[int, ...] = ()

    @classmethod
    def from_series(
        cls,
        series: GraphSeries,
        *,
        time_features: bool = False,
        weekdays: Sequence[int] | None = None,
        hidden: Bool[Tensor, "L N"] | None = None,
    ) -> SeriesStore:
        """Fill the gaps of a series: each with the last value observed before it.

        Gaps at the very start have no past and take the node's mean over the training rows (the mean of all nodes,
        where the node was never seen in them). A series without gaps is taken as it is, with no copy.

        Args:
            series: The series and its split.
            time_features: True appends time of day and weekday to every node's features. Default False.
            weekdays: See `clock_features`.
            hidden: True where models must not see a node: gaps like all others. Targets stay as they were observed.

        Returns:
            The store.

        Raises:
            ValueError: A feature has no value in the training rows that may be seen, `hidden` does not fit the series,
                or the times are unknown and asked for.
        """
        if hidden is not None:
            targets = series.values[..., 0].detach().cpu()
            seen = cls.from_series(hide_values(series, hidden), time_features=time_features, weekdays=weekdays)
            return replace(seen, targets=targets)
        clock = clock_features(series, weekdays=weekdays) if time_features else None
        train = training_values(series.values, series.split.train)
        values = series.values.detach().cpu().contiguous()
        observed = ~values.isnan().numpy()
        if observed.all():
            return cls(values, clock=clock, known_ahead=series.known_ahead)
        node_mean = train.nanmean(dim=0)
        mean = torch.where(node_mean.isnan(), train.flatten(0, 1).nanmean(dim=0), node_mean).float()
        rows = np.arange(len(values), dtype=np.int32)[:, None, None]
        last = np.maximum.accumulate(np.where(observed, rows, np.int32(-1)), axis=0)  # row of the latest observation
        past = np.take_along_axis(values.numpy(), np.maximum(last, 0), axis=0)
        filled = np.where(last >= 0, past, mean.numpy()).astype(np.float32)
        bits = torch.from_numpy(np.packbits(observed, axis=0))
        return cls(torch.from_numpy(filled), bits, clock, known_ahead=series.known_ahead)

    @property
    def nbytes(self) -> int:
        """Bytes held: four a value, one bit a value where something is missing, four a target that is not an input."""
        parts = (self.filled, self.observed_bits, self.clock, self.targets)
        return sum(part.nbytes for part in parts if part is not None)

    def observed(self, rows: Int[Tensor, "*any"]) -> Bool[Tensor, "*any N F"] | None:
        """Unpack the mask of some rows; None if nothing is missing in the whole series."""
        if self.observed_bits is None:
            return None
        shift = (7 - rows % 8).to(torch.uint8)[..., None, None]
        return ((self.observed_bits[rows // 8] >> shift) & 1).bool()

    def target(self, rows: Int[Tensor, "*any"]) -> tuple[Float[Tensor, "*any N"], Bool[Tensor, "*any N"] | None]:
        """Targets of some rows in the data's unit, and which were observed; None if all of the whole series were."""
        if self.targets is not None:
            target = self.targets[rows]
            return target.nan_to_num(nan=0.0), ~target.isnan()
        observed = self.observed(rows)
        return self.filled[..., 0][rows], None if observed is None else observed[..., 0]

    def to(self, device: torch.device | str) -> SeriesStore:
        """The same store on a device; itself where it is there already."""
        if self.filled.device == torch.device(device):
            return self
        bits, clock, targets = (
            None if part is None else part.to(device) for part in (self.observed_bits, self.clock, self.targets)
        )
        return SeriesStore(self.filled.to(device), bits, clock, targets, self.known_ahead)
