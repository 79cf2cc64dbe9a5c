"""Values that single precision does not tell apart, and columns that were packed."""

import numpy as np
import pytest

from gnnkit.data.own_remarks import check_single, value_remarks


def test_small_differences_beside_a_large_size_are_refused():
    values = np.random.default_rng(0).normal(scale=3.0, size=(50, 2, 1))
    check_single(values, ["a", "b"], [], "s.csv")
    with pytest.raises(
        ValueError,
        match=r"s.csv: the values of 'a' \(and 1 more\) lie near 1e\+08 and differ by 2\.\d; single precision rounds "
        r"them by 2\.\d, so nothing could be learned of them: subtract 9999999\d\.\d+ from each, and read the rest",
    ):
        check_single(values + 1e8, ["a", "b"], [], "s.csv")
    other = values + np.array([0.0, 1e8])[:, None]
    with pytest.raises(ValueError, match=r"the values of 'b' lie near"):
        check_single(other, ["a", "b"], [], "s.csv")
    features = np.concatenate([values, values + 1e9], axis=2)
    with pytest.raises(ValueError, match=r"the values of 'a', 'pressure' \(and 1 more\) lie near 1e\+09"):
        check_single(features, ["a", "b"], ["speed", "pressure"], "s.csv")
    check_single(1e6 * values + 1e8, ["a", "b"], [], "s.csv")  # large values that are far apart
    values[:] = 1e8
    values[3] = np.nan
    check_single(values, ["a", "b"], [], "s.csv")  # constant ones, and gaps
    check_single(np.full((3, 1, 1), np.nan), ["a"], [], "s.csv")


def packed(lengths, rows=100):
    values = np.random.default_rng(0).normal(50, 5, size=(rows, len(lengths)))
    for node, length in enumerate(lengths):
        values[length:, node] = np.nan
    return values


def remarks(values):
    names = [f"g{node}" for node in range(values.shape[1])]
    return value_remarks(values, names, "river.csv", None, frozenset())


def test_columns_that_were_moved_up_are_told_of():
    (said,) = remarks(packed([100, 60, 70, 60]))
    assert said.startswith(
        "river.csv: 3 of 4 nodes begin in the first row, have no gap, and end early at rows of their"
    )
    assert "('g1' after 60 of 100)" in said


@pytest.mark.parametrize(
    "values",
    [
        packed([100, 60, 60, 60]),  # an outage of the end
        packed([100, 100, 60, 70]),  # too few to tell
        packed([100, 60, 70, 60])[::-1],  # sensors that were added later
        np.where(
            np.arange(100)[:, None] == 7, np.nan, packed([100, 60, 70, 60])
        ),  # there are gaps: rows keep their times
        packed([100, 97, 98, 99]),
    ],
)
def test_other_gaps_are_not_taken_for_packed_columns(values):
    assert remarks(values) == []
