"""The store behind the windows: hidden inputs are gaps to models and scalers, and targets all the same."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnkit.data import (
    GraphSeries,
    MaxScaler,
    SeriesStore,
    StandardScaler,
    chronological_split,
    hide_in_outages,
    hide_values,
    make_windows,
)

NAN = float("nan")


def random_series(rows=80, nodes=4, features=2, missing=0.1, seed=0) -> GraphSeries:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, nodes, features, generator=generator) * 10 + 50
    values[torch.rand(values.shape, generator=generator) < missing] = NAN
    return GraphSeries(
        name="random",
        values=values,
        edge_index=torch.zeros(2, 0, dtype=torch.int64),
        edge_weight=torch.zeros(0),
        node_names=tuple(map(str, range(nodes))),
        split=chronological_split(rows),
    )


@settings(max_examples=25, deadline=None)
@given(st.sampled_from([0.0, 0.2]), st.sampled_from([0.0, 0.1, 0.6]), st.integers(0, 100))
def test_hidden_inputs_are_gaps_and_targets_stay(missing, share, seed):
    series = random_series(missing=missing, seed=seed)
    hidden = hide_in_outages(series, share, seed=seed, mean_rows=4)
    options = {"history": 3, "horizon": 2, "min_horizon": 1}
    windows = make_windows(series, **options, hidden=hidden)
    seen = make_windows(hide_values(series, hidden), **options)
    whole = make_windows(series, **options)
    for part in ("train", "val", "test"):
        index = torch.arange(len(getattr(whole, part)))
        batch, as_seen, original = (getattr(w, part).batch(index) for w in (windows, seen, whole))
        assert torch.equal(batch.x, as_seen.x)
        assert (batch.mask is None) == (as_seen.mask is None)
        assert batch.mask is None or torch.equal(batch.mask, as_seen.mask)
        assert torch.equal(batch.y_mask, original.y_mask)
        assert torch.equal(batch.y[batch.y_mask], original.y[original.y_mask])
        assert torch.isfinite(batch.y).all()


def test_hidden_values_by_hand():
    series = random_series(10, 1, 1, missing=0.0)
    series.values[:, 0, 0] = torch.tensor([1.0, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    series.values[8] = NAN
    hidden = torch.zeros(10, 1, dtype=torch.bool)
    hidden[[1, 2, 9]] = True
    store = SeriesStore.from_series(series, hidden=hidden)
    assert store.filled.flatten().tolist() == [1, 1, 1, 4, 5, 6, 7, 8, 8, 8]
    rows = torch.arange(10)
    observed = store.observed(rows)
    assert observed is not None
    assert observed.flatten().tolist() == [True, False, False, True, True, True, True, True, False, False]
    target, seen = store.target(rows)
    assert seen is not None
    assert seen.flatten().tolist() == [True] * 8 + [False, True]
    assert target[seen].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 10]


@pytest.mark.parametrize(("name", "scaler"), [("standard", StandardScaler), ("max", MaxScaler)])
def test_the_scaler_does_not_look_at_hidden_values(name, scaler):
    series = random_series()
    hidden = torch.zeros(80, 4, dtype=torch.bool)
    hidden[5:9, 2] = hidden[70:] = True
    values = series.values.clone()
    values[5:9, 2] = 1e6
    wild = replace(series, values=values)
    fitted = make_windows(wild, history=3, horizon=2, scaler=name, hidden=hidden).scaler
    options = {} if name == "standard" else {"per_node": False}
    expected = scaler.fit(hide_values(series, hidden).values, series.split.train, **options)
    assert torch.equal(fitted.center, expected.center)
    assert torch.equal(fitted.scale, expected.scale)
    assert fitted.target_deviation == expected.target_deviation
    assert make_windows(wild, history=3, horizon=2, scaler=name).scaler.target_deviation > 1e4


def test_memory_grows_only_where_something_is_hidden():
    series = random_series(800, 20, 1, missing=0.1)
    plain = SeriesStore.from_series(series)
    assert plain.targets is None
    assert plain.target(torch.arange(5))[0].shape == (5, 20)
    hidden = hide_in_outages(series, 0.2, seed=0)
    store = SeriesStore.from_series(series, hidden=hidden)
    assert store.targets is not None
    assert store.targets.data_ptr() == series.values.data_ptr()  # a view on the series: no copy
    assert store.nbytes == plain.nbytes + 4 * 800 * 20


def test_to_moves_everything():
    series = random_series(missing=0.1)
    store = SeriesStore.from_series(series, hidden=hide_in_outages(series, 0.3, seed=0))
    moved = store.to("meta")
    assert all(getattr(moved, name).device.type == "meta" for name in ("filled", "observed_bits", "targets"))
    assert moved.clock is None
    assert store.to("cpu") is store


def test_a_mask_that_does_not_fit_is_named():
    with pytest.raises(ValueError, match=r"hidden: expected bool of shape \[80, 4\]"):
        make_windows(random_series(), history=3, horizon=2, hidden=torch.zeros(4, 80, dtype=torch.bool))
