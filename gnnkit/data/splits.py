"""Chronological splits: three runs of rows, in order of time, that share no row."""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass
from numbers import Integral

__all__ = ["Split", "chronological_split", "rolling_splits"]

TESTED, VALIDATED = 0.6, 1 / 8


@dataclass(frozen=True)
class Split:
    """Rows for training, validation and testing, in order of time and disjoint.

    Args:
        train: Rows that models and scalers may learn from.
        val: Rows that pick the epoch; all later than `train`.
        test: Rows that are scored; all later than `val`.
        label: The split in words, for reports, e.g. `"70/10/20 by time"`.
        drop_last_window: True leaves out the last test window, as the official T-GCN code does: R test rows then give
            R - T - P windows in place of R - T - P + 1.

    Raises:
        ValueError: A part is empty, has a step other than 1, starts before row 0, or begins before the last one ends.

    Example:
        >>> Split(range(0, 70), range(70, 80), range(80, 100)).num_rows
        100
    """

    train: range
    val: range
    test: range
    label: str = ""
    drop_last_window: bool = False

    def __post_init__(self) -> None:
        before, end = "", 0
        for part, rows in self.parts.items():
            if not isinstance(rows, range) or rows.step != 1 or len(rows) == 0 or rows.start < 0:
                raise ValueError(f"Split: {part}={rows!r} must be a non-empty range of rows with step 1 from row 0 on")
            if rows.start < end:
                raise ValueError(
                    f"Split: {part} starts at row {rows.start}, but {before} goes on to row {end - 1}: "
                    f"the parts must follow each other in time and share no row; start {part} at row {end} or later"
                )
            before, end = part, rows.stop

    @property
    def parts(self) -> dict[str, range]:
        """The three ranges by name, in order of time."""
        return {"train": self.train, "val": self.val, "test": self.test}

    @property
    def num_rows(self) -> int:
        """Rows that a series needs for this split: one more than the last row named."""
        return self.test.stop


def chronological_split(num_rows: int, fractions: tuple[float, float, float] = (0.7, 0.1, 0.2)) -> Split:
    """Split a series by time: first the training rows, then validation, then test.

    Args:
        num_rows: Rows of the series; at least 3.
        fractions: Shares of train, validation and test; positive, with sum 1.

    Returns:
        A split that uses every row, with at least one row in each part.

    Raises:
        ValueError: Fewer than 3 rows; fractions that are not three positive numbers with sum 1.

    Example:
        >>> split = chronological_split(100)
        >>> split.train, split.val, split.test, split.label
        (range(0, 70), range(70, 80), range(80, 100), '70/10/20 by time')
    """
    if num_rows < 3:
        raise ValueError(f"num_rows={num_rows}: a split in train, validation and test needs at least 3 rows")
    if len(fractions) != 3 or any(not f > 0 for f in fractions) or not math.isclose(sum(fractions), 1.0, abs_tol=1e-6):
        raise ValueError(f"fractions={fractions!r}: give three positive shares with sum 1, e.g. (0.7, 0.1, 0.2)")
    train = min(max(1, round(fractions[0] * num_rows)), num_rows - 2)
    val = min(max(train + 1, round((fractions[0] + fractions[1]) * num_rows)), num_rows - 1)
    label = "/".join(f"{100 * fraction:g}" for fraction in fractions) + " by time"
    return Split(range(train), range(train, val), range(val, num_rows), label)


def rolling_splits(
    num_rows: int,
    folds: int,
    *,
    season: int | None = None,
    tested: float = TESTED,
    validated: float = VALIDATED,
    least_validated: int = 1,
) -> tuple[Split, ...]:
    """Splits with rolling origins: each trains on all rows before its validation rows, and tests on the rows after.

    The test rows of all folds follow each other without a gap up to the last row, and none is in two. They are whole
    seasons where the season is known and there is one for each fold.

    Args:
        num_rows: Rows of the series.
        folds: How many splits; at least 1.
        season: Rows in a season; None: unknown.
        tested: Share of the rows that is tested by one of the folds, at most; inside (0, 1). Default 0.6.
        validated: Share of the rows before a fold's test rows that are its validation rows, the last of them. Default
            1/8, as in a split of 70/10/20.
        least_validated: Validation rows of a fold, at least, as far as they are no more than a quarter of the rows
            before its test rows. Default 1.

    Returns:
        A split for each fold, the earliest first.

    Raises:
        ValueError: `folds` below 1, a share outside (0, 1), or fewer rows than the folds need.

    Source:
        Tashman, "Out-of-sample tests of forecasting accuracy", 2000.

    Example:
        >>> for split in rolling_splits(100, 3, season=10):
        ...     print(split.train, split.val, split.test)
        range(0, 35) range(35, 40) range(40, 60)
        range(0, 52) range(52, 60) range(60, 80)
        range(0, 70) range(70, 80) range(80, 100)
    """
    for name, count, least in (("num_rows", num_rows, 0), ("folds", folds, 1), ("season", season or 0, 0)):
        if not isinstance(count, Integral) or count < least:
            raise ValueError(f"{name}={count}: must be a whole number of at least {least}")
    for name, share in (("tested", tested), ("validated", validated)):
        if not 0 < share < 1:
            raise ValueError(f"{name}={share:g}: must be a share inside (0, 1)")
    unit = season if season and int(tested * num_rows) // season >= folds else 1
    units = int(tested * num_rows) // unit
    if units < folds or num_rows - units * unit < 2:
        raise ValueError(f"num_rows={num_rows}: too few for {folds} folds; give more rows, or fewer folds")
    starts = [num_rows - unit * (units - units * fold // folds) for fold in range(folds + 1)]
    splits = []
    for fold, (start, stop) in enumerate(itertools.pairwise(starts)):
        val = start - max(1, round(validated * start), min(least_validated, start // 4))
        label = f"rolling origins, fold {fold + 1} of {folds}" if folds > 1 else "by time"
        splits.append(Split(range(val), range(val, start), range(start, stop), label))
    return tuple(splits)
