"""Outages hide exactly what was asked for, in spells; fewer training rows are the latest ones."""

import pytest
import torch
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gnnkit.data import (
    GraphSeries,
    Split,
    chronological_split,
    hide_in_outages,
    hide_values,
    latest_training_rows,
)


def plain_series(rows=400, nodes=6, features=1, **changes) -> GraphSeries:
    values = torch.arange(rows * nodes * features, dtype=torch.float32).view(rows, nodes, features)
    fields = {
        "name": "plain",
        "values": values,
        "edge_index": torch.zeros(2, 0, dtype=torch.int64),
        "edge_weight": torch.zeros(0),
        "node_names": tuple(map(str, range(nodes))),
        "split": chronological_split(rows),
    }
    return GraphSeries(**(fields | changes))


def spells(hidden: torch.Tensor) -> list[int]:
    """Lengths of the outages, sensor by sensor, as a plain loop."""
    found = []
    for column in hidden.T.tolist():
        length = 0
        for out in [*column, False]:
            if not out and length:
                found.append(length)
            length = length + 1 if out else 0
    return found


@settings(max_examples=60, deadline=None)
@given(
    st.integers(3, 60),
    st.integers(1, 7),
    st.sampled_from([0.0, 0.01, 0.1, 0.25, 0.5, 0.8]),
    st.sampled_from([5.0, 12.0, 30.0]),
    st.integers(0, 1000),
)
@example(3, 2, 0.8, 5.0, 2)  # more outages than rows between them
def test_exactly_the_share_is_hidden(rows, nodes, share, mean_rows, seed):
    series = plain_series(rows, nodes)
    hidden = hide_in_outages(series, share, seed=seed, mean_rows=mean_rows)
    assert hidden.shape == (rows, nodes)
    assert int(hidden.sum()) == round(share * rows * nodes)
    assert torch.equal(hidden, hide_in_outages(series, share, seed=seed, mean_rows=mean_rows))


@pytest.mark.parametrize("share", [0.1, 0.5])
@pytest.mark.parametrize("mean_rows", [3.0, 12.0])
def test_outages_are_geometric_with_the_mean_asked_for(share, mean_rows):
    lengths = torch.tensor(
        spells(hide_in_outages(plain_series(20_000, 4), share, seed=1, mean_rows=mean_rows))
    ).double()
    # The deviation of a geometric length is sqrt(m (m - 1)): four standard errors of the mean, and the share of ones.
    assert abs(lengths.mean() - mean_rows) < 4 * (mean_rows * (mean_rows - 1)) ** 0.5 / len(lengths) ** 0.5
    assert (lengths == 1).double().mean().item() == pytest.approx(1 / mean_rows, abs=0.04)
    between = torch.tensor(spells(~hide_in_outages(plain_series(20_000, 4), share, seed=1, mean_rows=mean_rows)))
    assert between.double().mean().item() == pytest.approx(mean_rows * (1 - share) / share, rel=0.1)


def test_sensors_fail_alone_and_at_any_time():
    hidden = hide_in_outages(plain_series(5000, 20), 0.25, seed=3).double()
    assert (hidden.mean(dim=0) - 0.25).abs().max() < 0.08  # no sensor is spared or singled out
    assert (hidden.mean(dim=1).view(10, 500).mean(dim=1) - 0.25).abs().max() < 0.05  # nor a part of the time
    related = torch.corrcoef(hidden.T)[~torch.eye(20, dtype=torch.bool)]
    assert related.mean().abs() < 0.02
    assert not torch.equal(hidden, hide_in_outages(plain_series(5000, 20), 0.25, seed=4).double())


@pytest.mark.parametrize(("step_minutes", "expected"), [(5.0, 12), (2.0, 30), (60.0, 4), (10080.0, 4), (None, 12)])
def test_an_outage_takes_an_hour_unless_said_otherwise(step_minutes, expected):
    series = plain_series(2000, 3, step_minutes=step_minutes)
    asked = hide_in_outages(series, 0.3, seed=0, mean_rows=expected)
    assert torch.equal(hide_in_outages(series, 0.3, seed=0), asked)


def test_hiding_leaves_the_series_and_all_else_alone():
    series = plain_series(10, 2, features=2, unit="mph")
    before = series.values.clone()
    hidden = torch.zeros(10, 2, dtype=torch.bool)
    hidden[4, 1] = hidden[5, 1] = True
    cut = hide_values(series, hidden)
    assert cut.values.isnan().nonzero().tolist() == [[4, 1, 0], [4, 1, 1], [5, 1, 0], [5, 1, 1]]
    assert torch.equal(cut.values.nan_to_num(0.0), before.masked_fill(hidden.unsqueeze(-1), 0.0))
    assert torch.equal(series.values, before)
    assert (cut.unit, cut.split, cut.edge_index) == (series.unit, series.split, series.edge_index)


def test_fewer_training_rows_are_the_latest_ones():
    series = plain_series(100, 2, split=Split(range(10, 60), range(60, 75), range(75, 100), "mine", True))
    cut = latest_training_rows(series, 0.1)
    assert cut.split.parts == {"train": range(55, 60), "val": range(60, 75), "test": range(75, 100)}
    assert cut.split.label == "mine, the latest 10% of the training rows"
    assert cut.split.drop_last_window
    assert cut.values is series.values
    assert latest_training_rows(series, 1.0) is series
    assert latest_training_rows(series, 1e-9).split.train == range(59, 60)
    unnamed = plain_series(100, 2, split=Split(range(60), range(60, 80), range(80, 100)))
    assert latest_training_rows(unnamed, 0.5).split.label == "the latest 50% of the training rows"


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda s: hide_in_outages(s, 1.0, seed=0), "share is 1.0; give a share of at least 0 and below 1"),
        (lambda s: hide_in_outages(s, -0.1, seed=0), "share is -0.1; give a share"),
        (lambda s: hide_in_outages(s, 0.1, seed=-1), "seed is -1; give a whole number"),
        (lambda s: hide_in_outages(s, 0.1, seed=0, mean_rows=0.5), "mean_rows is 0.5; give a number of rows of at"),
        (
            lambda s: hide_in_outages(s, 0.9, seed=0, mean_rows=2),
            "mean_rows is 2: 1.* outages .* in the 240 rows that 90% hidden leave; give mean_rows of at least 9, or",
        ),
        (
            lambda s: hide_values(s, torch.zeros(6, 400, dtype=torch.bool)),
            r"hidden: expected bool of shape \[400, 6\] \(rows, nodes\), got torch.bool of shape \[6, 400\]",
        ),
        (lambda s: hide_values(s, torch.zeros(400, 6)), r"got torch.float32 of shape \[400, 6\]; hide_in_outages"),
        (lambda s: latest_training_rows(s, 0.0), "share is 0.0; give a share above 0, at most 1"),
        (lambda s: latest_training_rows(s, 1.1), "share is 1.1; give a share above 0, at most 1"),
    ],
)
def test_mistakes_are_named(call, message):
    with pytest.raises(ValueError, match=message):
        call(plain_series())
