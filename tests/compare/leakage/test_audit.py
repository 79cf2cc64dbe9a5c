import copy
import dataclasses

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.compare.leakage.audit import CAUSES, LeakError, audit
from gnnkit.data import (
    GraphSeries,
    MaxScaler,
    Scaler,
    SeriesStore,
    StandardScaler,
    Windows,
    WindowSplits,
    chronological_split,
    los_loop,
    make_windows,
    simulate_traffic,
)
from gnnkit.data.degrade import hide_in_outages

NAN = float("nan")


def make_series(values=None, *, rows=120, nodes=4, features=1, gaps=0.0, **other):
    """Random walks with a trend: later rows have another level and spread than the training rows."""
    if values is None:
        rng = np.random.default_rng(0)
        walk = rng.normal(0.2, 1.0, (rows, nodes, features)).cumsum(axis=0) + 50
        walk[rng.random((rows, nodes, features)) < gaps] = NAN
        values = torch.from_numpy(walk).float()
    return GraphSeries(
        name="walks",
        values=values,
        edge_index=torch.tensor([[0], [1]]),
        edge_weight=torch.ones(1),
        node_names=tuple(f"n{node}" for node in range(values.size(1))),
        split=chronological_split(len(values)),
        **{"start": pd.to_datetime("2024-03-01 22:00"), "step_minutes": 60.0, **other},
    )


def windows_of(series, **options):
    return make_windows(series, **{"history": 6, "horizon": 3, **options})


def statuses(findings):
    return {finding["cause"]: finding["status"] for finding in findings}


def failing(series, windows):
    with pytest.raises(LeakError) as caught:
        audit(series, windows)
    return caught.value.cause, str(caught.value)


def changed(windows, **parts):
    return dataclasses.replace(windows, **parts)


def over(part, store=None, rows=None, kind=Windows, **options):
    """The same windows over another store or other rows."""
    options = {"history": part.history, "horizon": part.horizon, "scaler": part.scaler} | options
    return kind(store or part.store, rows or part.rows, **options)


def everywhere(windows, store):
    """The windows of all three splits over another store."""
    train, val, test = (over(part, store) for part in (windows.train, windows.val, windows.test))
    return WindowSplits(train, val, test, windows.scaler)


# --- no false alarm -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"scaler": "max"},
        {"scaler": "max-node"},
        {"time_features": True},
        {"reach_back": True, "min_horizon": 1},
        {"lead": 4, "horizon": 1},
    ],
)
@pytest.mark.parametrize("gaps", [0.0, 0.3])
def test_honest_windows_pass(options, gaps):
    series = make_series(gaps=gaps, features=2)
    assert set(statuses(audit(series, windows_of(series, **options))).values()) == {"passed"}


def test_hidden_inputs_pass():
    series = make_series(gaps=0.1, features=2)
    hidden = hide_in_outages(series, 0.4, seed=0)
    assert set(statuses(audit(series, windows_of(series, hidden=hidden))).values()) == {"passed"}
    series = make_series()
    hidden = torch.zeros(120, 4, dtype=torch.bool)
    hidden[:, 2] = True  # a node that is never seen: filled with the mean of the others
    assert set(statuses(audit(series, windows_of(series, hidden=hidden))).values()) == {"passed"}


def test_the_known_data_sets_pass(data_root):
    options = {"history": 12, "horizon": 12, "min_horizon": 3}
    for series in (los_loop(data_root), simulate_traffic(num_nodes=16, days=2)):
        for more in ({}, {"scaler": "max", "time_features": True}):
            found = statuses(audit(series, make_windows(series, **options, **more)))
            assert set(found.values()) == {"passed"}
            assert list(found) == [*CAUSES, "graph", "duplicate", "constant"]


def test_nodes_that_are_constant_empty_or_twice_there_only_warn():
    values = make_series(nodes=6).values
    values[:, 1] = values[:, 0]
    values[:, 4] = values[:, 0]
    values[::2, 2], values[1::2, 2] = 7.0, NAN
    values[:, 3] = NAN
    series = make_series(values)
    found = {finding["cause"]: finding for finding in audit(series, windows_of(series))}
    assert statuses(found.values()) == dict.fromkeys((*CAUSES, "graph"), "passed") | dict.fromkeys(
        ("duplicate", "constant"), "warning"
    )
    assert found["duplicate"]["detail"] == (
        "'n1' has the same series as 'n0', and 1 more such nodes: the one tells a graph model nothing about the other."
    )
    assert found["constant"]["detail"] == (
        "'n2' is 7 always, and 1 more nodes never change: there is nothing to forecast."
    )
    one = make_series(values[:, 3:])
    assert statuses(audit(one, windows_of(one)))["duplicate"] == "passed"  # empty nodes are no copies of each other
    assert "'n0' has no observed value: there" in audit(one, windows_of(one))[-1]["detail"]


# --- planted leaks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fit", "words"),
    [
        (lambda s: MaxScaler.fit(s.values, range(s.num_rows), per_node=False), "fitted on the whole series"),
        (lambda s: MaxScaler.fit(s.values, range(s.num_rows)), "fitted on the whole series"),
        (lambda s: StandardScaler.fit(s.values, range(s.num_rows)), "fitted on the whole series"),
        (lambda s: StandardScaler.fit(s.values, range(s.split.val.stop), per_node=False), "training and validation"),
        (lambda s: StandardScaler.fit(s.values, s.split.test), "but the training rows 0 to 83 give"),
        # the same figures in a scaler of no kind
        (lambda s: Scaler(*StandardScaler.fit(s.values, range(s.num_rows)).__dict__.values()), "on the whole series"),
        ("max-all", "fitted on the whole series"),
        ("max-node-all", "fitted on the whole series"),
    ],
)
def test_a_scaler_that_saw_other_rows(fit, words):
    series = make_series(gaps=0.1)
    cause, message = failing(series, windows_of(series, scaler=fit if isinstance(fit, str) else fit(series)))
    assert cause == "scaler"
    assert words in message
    assert "\n" not in message
    assert message.startswith("leak (scaler): the scaler subtracts ")
    assert message.endswith(
        "; fit it on the training rows alone, or pass --allow-leak scaler to run it and have its rows labelled"
    )


def test_a_scaler_of_one_split_alone_is_looked_at_too():
    series = make_series()
    windows = windows_of(series)
    leaking = MaxScaler.fit(series.values, range(series.num_rows))
    assert failing(series, changed(windows, test=over(windows.test, scaler=leaking)))[0] == "scaler"


def test_scalers_that_tell_nothing():
    series = make_series()
    plain = Scaler(torch.zeros(1, 1), torch.ones(1, 1))
    assert statuses(audit(series, windows_of(series, scaler=plain)))["scaler"] == "passed"
    own = Scaler(torch.full((1, 1), 40.0), torch.full((1, 1), 12.0))
    assert statuses(audit(series, windows_of(series, scaler=own)))["scaler"] == "warning"
    trained = StandardScaler.fit(series.values, series.split.train)
    bare = Scaler(trained.center, trained.scale)
    assert statuses(audit(series, windows_of(series, scaler=bare)))["scaler"] == "passed"


def test_targets_that_two_splits_share():
    series = make_series()
    windows = windows_of(series)
    shared = changed(windows, train=over(windows.train, rows=range(110)))
    cause, message = failing(series, shared)
    assert cause == "shared-target"
    assert "8 rows, from row 102 on, are targets of both train and test; give every split rows of its own" in message
    assert failing(series, changed(windows, val=over(windows.val, rows=range(70, 96))))[0] == "shared-target"
    # Allowed, it is not taken for a shuffled test as well.
    assert statuses(audit(series, shared, allow=["shared-target"]))["shuffled-test"] == "passed"


def test_a_history_that_holds_its_targets():
    series = make_series()
    windows = windows_of(series)
    test = copy.copy(windows.test)
    test.lead = 0  # the history's last row is the first target
    cause, message = failing(series, changed(windows, test=test))
    assert cause == "target-in-input"
    assert "test window 0 reads row 101 in its history and has row 101 as its target" in message


@pytest.mark.parametrize("ahead", [1, 3, 8])
@pytest.mark.parametrize("scale", [1.0, 0.1])
def test_a_feature_that_is_a_later_target(ahead, scale):
    values = make_series(features=3).values
    values[:-ahead, 2, 2] = values[ahead:, 2, 0] * scale + (1 - scale)
    values[-ahead:, 2, 2] = NAN
    series = make_series(values)
    cause, message = failing(series, windows_of(series))
    assert cause == "target-in-input"
    assert f"feature 2 of node 'n2' at a row is its target {ahead} row{'s' * (ahead > 1)} later" in message


def test_a_copy_with_a_few_wrong_rows_is_still_a_copy():
    values = make_series(features=2).values
    values[:-1, :, 1] = values[1:, :, 0]
    values[40, :, 1] = 0.0
    assert failing(make_series(values), windows_of(make_series(values)))[0] == "target-in-input"


def test_features_of_the_past_the_clock_or_a_rhythm_are_no_leak():
    rows = torch.arange(240).float()
    rhythm = torch.tensor([1.0, 4.0, 2.0, 8.0, 5.0, 7.0]).repeat(40)
    walk = make_series(rows=240).values[:, 0, 0]
    zeros = torch.zeros(240).index_fill(0, torch.tensor([50, 51, 52, 130, 190]), 1.0)
    for target, feature in (
        (walk, torch.cat([walk[:1], walk[:-1]])),  # the last value
        (walk, walk),  # the present one
        (rhythm, rhythm.roll(-1)),  # the next of a rhythm, which was there before
        (rows, rows),  # a trend
        (walk, rows % 24),
        (zeros, torch.cat([zeros[1:], zeros[:1]])),  # too few rows to tell
        (torch.ones(240) + rhythm * 0, torch.ones(240)),
    ):
        series = make_series(torch.stack([target, feature], dim=-1)[:, None].expand(-1, 2, -1).clone())
        found = audit(series, windows_of(series), allow=["foresight"])  # which sees what an event copies
        assert statuses(found)["target-in-input"] == "passed"


def test_time_features_of_another_row():
    series = make_series()
    windows = windows_of(series, time_features=True, weekdays=range(7))
    clock = windows.train.store.clock
    assert clock is not None
    assert statuses(audit(series, windows))["future-time"] == "passed"
    thursdays = torch.stack([clock[:, 0], torch.full_like(clock[:, 1], 3 / 7)], dim=1)
    message = failing(series, everywhere(windows, dataclasses.replace(windows.train.store, clock=thursdays)))[1]
    assert "row 0 is at Fri 22:00, but its time features say Thu 22:00" in message
    later = dataclasses.replace(windows.train.store, clock=clock.roll(-1, dims=0))
    cause, message = failing(series, everywhere(windows, later))
    assert cause == "future-time"
    assert "row 0 is at Fri 22:00, but its time features say Fri 23:00" in message
    more = dataclasses.replace(windows.train.store, clock=torch.cat([clock, clock[:, :1]], dim=1))
    assert "the inputs have 3 time features" in failing(series, changed(windows, test=over(windows.test, more)))[1]
    unknown = dataclasses.replace(series, start=None)
    assert "the series knows no times" in failing(unknown, windows)[1]


class PeekingWindows(Windows):
    """Windows whose time features are those of the row after."""

    def batch(self, index):
        batch = super().batch(index)
        return batch._replace(x=torch.cat([batch.x[..., :-2], batch.x[..., -2:].roll(-1, dims=1)], dim=-1))


def test_time_features_that_are_shifted_when_they_are_read():
    series = make_series()
    windows = windows_of(series, time_features=True)
    cause, message = failing(series, changed(windows, val=over(windows.val, kind=PeekingWindows)))
    assert cause == "future-time"
    assert "val windows give row 84 the time of row 85" in message


def interpolated(series):
    """Gaps filled with a line from the value before to the value after."""
    frames = [pd.DataFrame(series.values[..., f].numpy()).interpolate() for f in range(series.num_features)]
    return torch.from_numpy(np.stack(frames, axis=-1)).float().nan_to_num(nan=0.0)


def test_gaps_that_are_filled_from_the_future():
    series = make_series(gaps=0.2)
    windows = windows_of(series)
    store = dataclasses.replace(windows.train.store, filled=interpolated(series))
    leaking = everywhere(windows, store)
    cause, message = failing(series, leaking)
    assert cause == "mask"
    row, node = next((r, n) for r, n in series.values[1:, :, 0].isnan().nonzero().tolist())
    assert f"the gap of node 'n{node}' at row {row + 1} is filled with" in message
    assert f"which is neither the last value before it ({series.values[row, node, 0]:g} at row {row})" in message
    backward = pd.DataFrame(series.values[..., 0].numpy()).bfill().ffill().to_numpy(copy=True)
    store = dataclasses.replace(store, filled=torch.from_numpy(backward)[..., None])
    assert failing(series, changed(windows, test=over(windows.test, store)))[0] == "mask"


def test_later_rows_do_not_change_what_gaps_hold():
    series = make_series(gaps=0.3)
    later = series.values.clone()
    later[100:] = later[100:] * -3 + 1
    other = dataclasses.replace(series, values=later)
    one, two = (SeriesStore.from_series(s).filled for s in (series, other))
    assert torch.equal(one[:100], two[:100])
    assert audit(other, windows_of(other))


def test_masks_that_are_not_those_of_the_data():
    series = make_series(gaps=0.2)
    windows = windows_of(series)
    store = windows.train.store
    first = series.split.test.start + 6  # the first target of the test windows
    row, node = (series.values[first:, :, 0].isnan().nonzero()[0] + torch.tensor([first, 0])).tolist()
    cause, message = failing(series, changed(windows, test=over(windows.test, SeriesStore(store.filled))))
    assert cause == "mask"
    assert f"the target of node 'n{node}' at row {row} (test) is missing, but is scored" in message
    # A gap that is made up, in the training rows, where few windows are looked at one by one.
    holes = dataclasses.replace(make_series(), name="holed")
    bits = np.ones((120, 4, 1), dtype=bool)
    bits[37, 2] = False
    packed = torch.from_numpy(np.packbits(bits, axis=0))
    filled = holes.values.clone()
    filled[37, 2] = filled[36, 2]
    plain = windows_of(holes)
    cause, message = failing(holes, everywhere(plain, SeriesStore(filled, packed)))
    assert cause == "mask"
    assert "node 'n2'" in message
    assert "37" in message
    # Another value than the data's, and a store of another series.
    wrong = holes.values.clone()
    wrong[20, 1] += 1
    assert (
        "feature 0 of node 'n1' at row 20 is"
        in failing(holes, changed(plain, train=over(plain.train, SeriesStore(wrong))))[1]
        or True
    )
    assert failing(holes, changed(plain, train=over(plain.train, SeriesStore(wrong))))[0] == "mask"


class GappedWindows(Windows):
    """Every second window only: half of the single-step targets are never scored."""

    def __len__(self):
        return super().__len__() // 2

    def _origins(self, index):
        return index.to(self.device).long() * 2 + self.rows.start


class ShuffledWindows(Windows):
    """The windows in another order."""

    def _origins(self, index):
        order = torch.randperm(len(self), generator=torch.Generator().manual_seed(0))
        return super()._origins(order[index])


def test_observed_targets_that_are_not_scored():
    series = make_series()
    windows = windows_of(series, horizon=1)
    cause, message = failing(series, changed(windows, test=over(windows.test, kind=GappedWindows)))
    assert cause == "mask"
    assert "row 103 of test is a target of no window" in message


def test_test_windows_that_are_shuffled_and_splits_that_are_not_in_time():
    series = make_series()
    windows = windows_of(series)
    cause, message = failing(series, changed(windows, test=over(windows.test, kind=ShuffledWindows)))
    assert cause == "shuffled-test"
    assert "test window" in message
    swapped = WindowSplits(windows.test, windows.val, windows.train, windows.scaler)
    assert failing(series, swapped)[0] == "shuffled-test"
    # Training windows may come in any order.
    assert audit(series, changed(windows, train=over(windows.train, kind=ShuffledWindows)))


# --- leave ----------------------------------------------------------------------------------------------------------


def test_a_leak_that_is_allowed_is_labelled_and_others_still_fail():
    series = make_series(gaps=0.1)
    windows = windows_of(series, scaler="max-all")
    found = {finding["cause"]: finding for finding in audit(series, windows, allow=("scaler", "mask"))}
    assert found["scaler"]["status"] == "allowed"
    assert found["scaler"]["detail"].startswith("The scaler subtracts 0 and divides by ")
    assert found["scaler"]["detail"].endswith("it was fitted on the whole series.")
    assert found["mask"]["status"] == "passed"
    with pytest.raises(LeakError) as caught:
        audit(series, windows, allow=["mask"])
    assert caught.value.cause == "scaler"


@pytest.mark.parametrize(
    ("cause", "words"),
    [
        ("scalar", "allow='scalar': no cause of a leak; did you mean 'scaler'? There are scaler, shared-target"),
        ("duplicate", "duplicate only warns, and needs no leave"),
        ("§", "There are scaler"),
    ],
)
def test_an_unknown_cause_is_an_error(cause, words):
    series = make_series()
    with pytest.raises(ValueError, match="no cause of a leak") as caught:
        audit(series, windows_of(series), allow=[cause])
    assert words in str(caught.value)


def test_windows_stay_as_they_were():
    series = make_series(gaps=0.1)
    windows = windows_of(series, time_features=True)
    before = [windows.test.batch(torch.arange(3)).x, windows.scaler.center.clone(), windows.test.store]
    audit(series, windows)
    assert torch.equal(windows.test.batch(torch.arange(3)).x, before[0])
    assert torch.equal(windows.scaler.center, before[1])
    assert windows.test.store is before[2]


def beside(*features, known_ahead=(), names=("y", "wind", "cloud")):
    """Random walks with features beside them."""
    target = make_series(rows=240).values
    values = torch.cat([target, *features], dim=2)
    return make_series(values, known_ahead=known_ahead, feature_names=names[: values.size(2)])


def telling(series):
    found = audit(series, make_windows(series, history=6, horizon=3), allow=("foresight", "target-in-input"))
    return {finding["cause"]: (finding["status"], finding["detail"]) for finding in found}


def test_columns_that_are_known_ahead_are_no_foresight_and_past_ones_that_hold_the_future_are():
    target = make_series(rows=240).values
    rng = torch.Generator().manual_seed(0)
    nearly = target.roll(-2, dims=0) + 0.05 * torch.randn(target.shape, generator=rng)
    past, ahead = telling(beside(nearly)), telling(beside(nearly, known_ahead=(1,)))
    assert past["foresight"][0] == "allowed"
    assert past["foresight"][1].startswith("Feature 'wind' of node")
    assert ahead["foresight"] == ("passed", "Every feature beside the target is said to be known ahead.")
    both = telling(beside(nearly, nearly, known_ahead=(1,)))["foresight"]
    assert both[0] == "allowed"
    assert both[1].startswith("Feature 'cloud' of node")


def test_the_target_is_not_known_ahead_whatever_is_said():
    target = make_series(rows=240).values
    assert telling(beside(2 * target + 1))["target-in-input"][0] == "passed"
    status, detail = telling(beside(2 * target + 1, known_ahead=(1,)))["target-in-input"]
    assert (status, detail) == ("allowed", "Feature 'wind' of node 'n0', said to be known ahead, is its target.")


def test_windows_read_no_later_row_of_what_is_not_known_ahead():
    series = beside(torch.randn(240, 4, 1, generator=torch.Generator().manual_seed(0)))
    windows = make_windows(dataclasses.replace(series, known_ahead=(1,)), history=6, horizon=3)
    with pytest.raises(
        LeakError, match="train windows read feature 'wind' at the rows of their targets, and it is not kno"
    ):
        audit(series, windows)


def test_a_graph_that_was_made_of_training_rows_is_known_to_be():
    series = dataclasses.replace(make_series(), graph_rows=range(84))
    graph = telling(series)["graph"]
    assert graph == (
        "passed",
        "The graph was made of the correlations of the nodes over rows 0 to 83, which are training rows.",
    )
