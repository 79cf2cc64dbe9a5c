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
from gnnkit.data.mapped import gaps_and_infinite, mapped_file, read_rows, row_blocks
from gnnkit.data.scaling import training_mean
from gnnkit.data.series import GraphSeries

__all__ = ["MappedStore", "SeriesStore"]

_ANCHOR = 256
"""Rows from one row of a mapped file whose filled values are held in memory to the next."""


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
        if mapped_file(series.values) is not None:
            mean = training_mean(series.values, series.split.train).float()
            return MappedStore.of_file(series.values, mean, clock=clock, known_ahead=series.known_ahead)
        mean = training_mean(series.values, series.split.train).float()
        values = series.values.detach().cpu().contiguous()
        observed = ~values.isnan().numpy()
        if observed.all():
            return cls(values, clock=clock, known_ahead=series.known_ahead)
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

    def history(self, rows: Int[Tensor, "*any"]) -> tuple[Float[Tensor, "*any N F"], Bool[Tensor, "*any N F"] | None]:
        """The values of some rows, gaps filled, and which were observed; None if nothing is missing in the series."""
        return self.filled[rows], self.observed(rows)

    def observes_targets(self, rows: range) -> bool:
        """Whether a target was observed in some rows."""
        if self.targets is None and self.observed_bits is None:
            return True
        observed = self.target(torch.arange(rows.start, rows.stop))[1]
        return observed is None or bool(observed.any())

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


@dataclass(frozen=True, eq=False)
class MappedStore(SeriesStore):
    """A series on a file: `filled` are the file's values as they are, and gaps are filled when rows are read.

    Args:
        anchors: Of every 256th row, what its gaps and those of the rows after it are filled with: the last values
            observed before it, `[ceil(L / 256), N, F]`; None: there are no gaps.
    """

    anchors: Tensor | None = None

    @classmethod
    def of_file(
        cls,
        values: Float[Tensor, "L N F"],
        mean: Float[Tensor, "N F"],
        *,
        clock: Tensor | None = None,
        known_ahead: tuple[int, ...] = (),
    ) -> MappedStore:
        """Look through a file for gaps.

        Args:
            values: From `gnnkit.data.mapped.map_npy`.
            mean: What gaps at the very start are filled with.
            clock, known_ahead: See `SeriesStore`.
        """
        if not gaps_and_infinite(values)[0]:
            return cls(values, clock=clock, known_ahead=known_ahead)
        anchors = mean.new_empty(-(-len(values) // _ANCHOR), *values.shape[1:])
        last = mean
        for first, block in row_blocks(values):
            for start in range(first - first % _ANCHOR, first + len(block), _ANCHOR):
                part = block[max(0, start - first) : start - first + _ANCHOR]
                if start >= first:
                    anchors[start // _ANCHOR] = last
                last = _carried(part, last)[-1]
        return cls(values, clock=clock, known_ahead=known_ahead, anchors=anchors)

    @property
    def nbytes(self) -> int:
        """Bytes held in memory; the values are on the file."""
        return sum(part.nbytes for part in (self.anchors, self.clock) if part is not None)

    def history(self, rows: Int[Tensor, "*any"]) -> tuple[Float[Tensor, "*any N F"], Bool[Tensor, "*any N F"] | None]:
        values = read_rows(self.filled, rows)
        if self.anchors is None:
            return values, None
        observed = ~values.isnan()
        if not observed.all():
            runs = rows.reshape(-1, rows.size(-1))
            if rows.dim() < 2 or bool((runs.diff() != 1).any()):  # rows that do not follow each other
                runs = rows.reshape(-1, 1)
            filled = values.reshape(*runs.shape, *values.shape[-2:])
            for run in (~observed).reshape(len(runs), -1).any(dim=1).nonzero().flatten().tolist():
                filled[run] = _carried(filled[run], self._at(int(runs[run, 0])))
            values = filled.reshape(values.shape)
        return values, observed

    def _at(self, row: int) -> Float[Tensor, "N F"]:
        """The filled values of a row."""
        assert self.anchors is not None
        start = row - row % _ANCHOR
        return _carried(self.filled[start : row + 1], self.anchors[row // _ANCHOR])[-1]

    def observed(self, rows: Int[Tensor, "*any"]) -> Bool[Tensor, "*any N F"] | None:
        return None if self.anchors is None else ~read_rows(self.filled, rows).isnan()

    def target(self, rows: Int[Tensor, "*any"]) -> tuple[Float[Tensor, "*any N"], Bool[Tensor, "*any N"] | None]:
        target = read_rows(self.filled[..., 0], rows)
        return (target, None) if self.anchors is None else (target.nan_to_num(nan=0.0), ~target.isnan())

    def observes_targets(self, rows: range) -> bool:
        return any(not bool(block[..., 0].isnan().all()) for _, block in row_blocks(self.filled, rows))

    def to(self, device: torch.device | str) -> MappedStore:
        if torch.device(device).type != "cpu":
            raise ValueError(
                f"device {device}: a series that is mapped from its file is trained on the processor; give --device "
                "cpu, or a CSV, Parquet or NPZ file"
            )
        return self


def _carried(rows: Float[Tensor, "R N F"], before: Float[Tensor, "N F"]) -> Float[Tensor, "R N F"]:
    """Rows with each gap filled from the row before it, the first from `before`."""
    place = torch.where(rows.isnan(), -1, torch.arange(len(rows))[:, None, None]).cummax(dim=0).values
    return torch.where(place >= 0, rows.gather(0, place.clamp(min=0)), before)
