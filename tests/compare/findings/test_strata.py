import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.compare.findings.strata import hops_to_nearest, make_strata, target_times
from gnnkit.data import GraphSeries, Split, make_windows
from gnnkit.graph import hop_distances


def make_series(edges, nodes, *, rows=120, step=5.0, start="2024-01-05 23:50", unit="", values=None):
    draw = torch.Generator().manual_seed(0)
    edges = torch.tensor(edges).T if len(edges) else torch.zeros(2, 0, dtype=torch.long)
    return GraphSeries(
        name="toy",
        values=torch.randn(rows, nodes, 1, generator=draw) if values is None else values,
        edge_index=edges,
        edge_weight=torch.ones(edges.size(1)),
        node_names=tuple(map(str, range(nodes))),
        split=Split(range(60), range(60, 80), range(80, rows)),
        unit=unit,
        step_minutes=step,
        start=None if start is None else pd.Timestamp(start),
    )


def strata(series, history=4, horizon=3):
    """By name, over the test windows."""
    test = make_windows(series, history=history, horizon=horizon).test
    return {stratum.name: stratum for stratum in make_strata(series, test, test.count(horizon), horizon)}


def test_hops_are_those_of_the_nearest_source():
    rng = np.random.default_rng(0)
    edges = torch.from_numpy(rng.integers(0, 40, size=(2, 55)))
    sources = rng.random((30, 40)) < 0.04
    sources[3] = False
    levels = hop_distances(edges, range(40), 40).numpy()
    levels[levels < 0] = 99
    for row, found in zip(sources, hops_to_nearest(edges, sources, most=3), strict=True):
        nearest = levels[row].min(axis=0) if row.any() else np.full(40, 5)
        assert found.tolist() == np.where(row.any(), np.minimum(nearest, 4), 5).tolist()


def test_times_roll_over_midnight_and_the_week():
    series = make_series([], 2)  # a Friday, ten minutes to midnight
    hours, days = target_times(series, np.array([0, 1, 2, 14, 2 + 288, 2 + 288 * 2]))
    assert hours.tolist() == [23, 23, 0, 1, 0, 0]
    assert days.tolist() == [4, 4, 5, 5, 6, 0]
    assert target_times(make_series([], 2, start=None), np.array([0])) is None
    thirds = make_series([], 2, step=1 / 3, start="2024-01-05 00:00")
    assert target_times(thirds, np.array([179, 180, 539, 540]))[0].tolist() == [0, 1, 2, 3]


def test_degrees_count_other_nodes_that_are_heard_once_each():
    few = strata(make_series([(0, 1), (0, 1), (1, 1), (2, 1), (3, 1), (1, 0)], 4))["degree"]
    assert few.labels == ("0", "1", "3")
    assert few.codes[0].tolist() == [1, 2, 0, 0]
    star = [(i, j) for j in range(12) for i in range(12) if i < j]  # node j hears j others
    many = strata(make_series(star, 12))["degree"]
    assert many.labels == ("0–2", "3–5", "6–8", "9–11")
    assert many.codes[0].tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2, 3, 3, 3]
    assert "degree" not in strata(make_series([(0, 1), (1, 0)], 2))


@pytest.mark.parametrize(
    ("step", "horizon", "unit", "labels"),
    [
        (5.0, 3, "minutes", ("5", "10", "15")),
        (15.0, 3, "minutes", ("15", "30", "45")),
        (60.0, 3, "hours", ("1", "2", "3")),
        (30.0, 10, "hours", ("0.5", "1", "1.5", "2", "2.5", "3", "3.5", "4", "4.5", "5")),
        (1440.0, 2, "days", ("1", "2")),
        (10080.0, 2, "weeks", ("1", "2")),
        (None, 3, "steps", ("1", "2", "3")),
        (5.0, 16, "minutes", (*(f"{10 * k - 5}–{10 * k}" for k in range(1, 5)), *(str(5 * k) for k in range(9, 17)))),
    ],
)
def test_the_labels_of_the_steps(step, horizon, unit, labels):
    found = strata(make_series([], 2, step=step), horizon=horizon)["step"]
    assert (found.unit, found.labels) == (unit, labels)


def test_the_quarters_are_of_the_training_values_of_the_node():
    values = torch.zeros(120, 3, 1)
    values[:60, 0, 0], values[:60, 1, 0] = torch.arange(60.0), 1000 + torch.arange(60.0)
    values[80:, 0, 0], values[80:, 1, 0] = 14.0, 1030.0
    values[100:, 0, 0] = 99.0
    series = make_series([], 3, values=values, unit="km/h")  # node 2 is 0 throughout: it has no quarters
    found = strata(series)["congestion"]
    assert found.labels == ("congested", "slow", "fast", "free flow")
    # The quartiles of 0 … 59 are 14, 29 and 44; the history of window w ends at row 83 + w.
    assert found.codes[0].tolist() == [0, 2, -1]
    assert found.codes[16].tolist() == [0, 2, -1]
    assert found.codes[17].tolist() == [3, 2, -1]
    assert strata(make_series([], 3, values=values, unit="veh/h"))["level"].labels[0] == "lowest quarter"


def test_few_training_values_have_no_quarters():
    values = torch.randn(120, 2, 1)
    values[:41, 0] = float("nan")  # 19 values are left
    found = strata(make_series([], 2, values=values))["level"]
    assert set(found.codes[:, 0].tolist()) == {-1}
    assert -1 not in found.codes[:, 1]
