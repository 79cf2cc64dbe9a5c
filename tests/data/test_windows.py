from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnkit.data import (
    GraphSeries,
    SeriesStore,
    Split,
    StandardScaler,
    Windows,
    chronological_split,
    los_loop,
    make_windows,
    simulate_traffic,
)

NAN = float("nan")


def random_series(rows=60, nodes=4, features=2, missing=0.2, seed=0, **changes) -> GraphSeries:
    generator = torch.Generator().manual_seed(seed)
    values = torch.randn(rows, nodes, features, generator=generator) * 10 + 50
    values[torch.rand(values.shape, generator=generator) < missing] = NAN
    fields = {
        "name": "random",
        "values": values,
        "edge_index": torch.zeros(2, 0, dtype=torch.int64),
        "edge_weight": torch.zeros(0),
        "node_names": tuple(map(str, range(nodes))),
        "split": chronological_split(rows),
    }
    return GraphSeries(**(fields | changes))


def last_observed(series: GraphSeries, row: int, node: int, feature: int) -> float:
    """The value at a place, or the last one before it, or the node's training mean: as a plain loop."""
    for before in range(row, -1, -1):
        value = series.values[before, node, feature].item()
        if value == value:
            return value
    train = series.values[list(series.split.train), node, feature]
    return train[~train.isnan()].double().mean().item()


@pytest.mark.parametrize("missing", [0.0, 0.3])
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_batch_equals_a_plain_loop(missing, part):
    series = random_series(missing=missing)
    history, horizon = 3, 2
    windows = make_windows(series, history=history, horizon=horizon)
    chosen: Windows = getattr(windows, part)
    index = torch.arange(len(chosen)).flip(0)
    batch = chosen.batch(index)
    assert len(chosen) == len(series.split.parts[part]) - history - horizon + 1
    assert (batch.mask is None) == (missing == 0.0)
    for place, window in enumerate(index.tolist()):
        first = chosen.rows.start + window
        for node in range(series.num_nodes):
            for step in range(history):
                for feature in range(series.num_features):
                    value = last_observed(series, first + step, node, feature)
                    center, scale = windows.scaler.center[node, feature], windows.scaler.scale[node, feature]
                    scaled = ((value - center) / scale).item()
                    assert batch.x[place, step, node, feature].item() == pytest.approx(scaled, rel=1e-4, abs=1e-5)
                    if batch.mask is not None:
                        seen = not series.values[first + step, node, feature].isnan()
                        assert batch.mask[place, step, node, feature].item() == seen
            for step in range(horizon):
                value = series.values[first + history + step, node, 0]
                assert batch.y_mask[place, step, node].item() == (not value.isnan())
                if batch.y_mask[place, step, node]:
                    assert batch.y[place, step, node].item() == value.item()
    assert torch.isfinite(batch.x).all()
    assert torch.isfinite(batch.y).all()


@settings(max_examples=60, deadline=None)
@given(
    rows=st.integers(1, 40),
    nodes=st.integers(1, 3),
    missing=st.sampled_from([0.0, 0.1, 0.9]),
    seed=st.integers(0, 1000),
)
def test_packed_mask_gives_back_every_bit(rows, nodes, missing, seed):
    series = random_series(rows + 3, nodes, 1, missing, seed)
    values = series.values.clone()
    values[0, 0] = 1.0  # something is observed in the training rows
    series = random_series(rows + 3, nodes, 1, values=values)
    observed = SeriesStore.from_series(series).observed(torch.arange(rows + 3))
    if observed is None:
        assert not values.isnan().any()
    else:
        assert torch.equal(observed, ~values.isnan())


@pytest.mark.parametrize("history", [12, 288])
@pytest.mark.parametrize("missing", [0.0, 0.1])
def test_memory_is_that_of_the_series(history, missing):
    series = random_series(2016, 20, 1, missing, split=Split(range(1000), range(1000, 1400), range(1400, 2016)))
    windows = make_windows(series, history=history, horizon=12)
    held = {}
    for part in (windows.train, windows.val, windows.test):
        tensors = [value for value in vars(part.store).values() if isinstance(value, torch.Tensor)]
        tensors += [value for value in vars(part).values() if isinstance(value, torch.Tensor)]
        tensors += [value for value in vars(part.scaler).values() if isinstance(value, torch.Tensor)]
        held |= {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in tensors}
    raw = series.values.nbytes
    assert raw <= sum(held.values()) <= 1.1 * raw
    assert windows.nbytes <= 1.1 * raw
    if missing == 0.0:
        assert windows.train.store.filled.data_ptr() == series.values.data_ptr()


def test_gaps_are_filled_from_the_past_only():
    series = random_series(missing=0.4)
    window = 3
    before = make_windows(series, history=4, horizon=2).test.batch(torch.tensor([window]))
    values = series.values.clone()
    values[series.split.test.start + window + 4 :] = 1e6  # all that comes after the history
    after = make_windows(random_series(values=values), history=4, horizon=2).test.batch(torch.tensor([window]))
    assert torch.equal(before.x, after.x)
    assert torch.equal(before.mask, after.mask)
    # The past does count: the same change one row earlier is seen.
    values[series.split.test.start + window + 3] = 1e6
    leaked = make_windows(random_series(values=values), history=4, horizon=2).test.batch(torch.tensor([window]))
    assert not torch.equal(before.x, leaked.x)


def test_gaps_at_the_start_take_training_means():
    values = torch.tensor([[NAN, NAN], [NAN, NAN], [4.0, NAN], [8.0, NAN], [20.0, 1.0], [30.0, NAN]]).unsqueeze(-1)
    series = random_series(6, 2, values=values, split=Split(range(4), range(4, 5), range(5, 6)))
    store = SeriesStore.from_series(series)
    assert store.filled[..., 0].tolist() == [[6, 6], [6, 6], [4, 6], [8, 6], [20, 1], [30, 1]]


def test_scaler_of_windows_sees_training_rows_only():
    series = random_series()
    values = series.values.clone()
    values[series.split.train.stop :] = 1e6
    leaky = random_series(values=values)
    for scaler in ("standard", "max"):
        one = make_windows(series, history=3, horizon=2, scaler=scaler).scaler
        other = make_windows(leaky, history=3, horizon=2, scaler=scaler).scaler
        assert torch.equal(one.center, other.center)
        assert torch.equal(one.scale, other.scale)
        assert one.target_deviation == other.target_deviation


def test_no_row_is_shared_by_the_splits():
    series = random_series(rows=100)
    windows = make_windows(series, history=3, horizon=4, min_horizon=2)
    read = []
    for part in (windows.train, windows.val, windows.test):
        index = torch.arange(len(part))
        targets = part.target_rows(index)[part.batch(index).y_mask.any(dim=-1)]
        history = (index[:, None] + part.rows.start + torch.arange(3)).flatten()
        read.append(set(targets.tolist()) | set(history.tolist()))
        assert read[-1] <= set(part.rows)
    assert not read[0] & read[1]
    assert not read[1] & read[2]
    assert not read[0] & read[2]
    assert max(read[0]) < min(read[1]) <= max(read[1]) < min(read[2])


def test_min_horizon_masks_targets_that_stick_out():
    values = torch.arange(20, dtype=torch.float32).view(20, 1, 1)
    series = random_series(20, 1, values=values, split=Split(range(8), range(8, 14), range(14, 20)))
    train = make_windows(series, history=2, horizon=4, min_horizon=1).train
    assert len(train) == 6
    assert [train.count(horizon) for horizon in (1, 2, 3, 4)] == [6, 5, 4, 3]
    batch = train.batch(torch.tensor([5]))
    assert train.target_rows(torch.tensor([5])).tolist() == [[7, 8, 9, 10]]
    assert batch.y_mask[0, :, 0].tolist() == [True, False, False, False]
    assert batch.y[0, :, 0].tolist() == [7.0, 7.0, 7.0, 7.0]  # rows 8 to 10 are validation rows: never read
    assert batch.mask is None


def test_drop_last_leaves_out_one_window_at_every_horizon():
    series = random_series(60, split=Split(range(30), range(30, 40), range(40, 60), drop_last_window=True))
    windows = make_windows(series, history=4, horizon=6, min_horizon=2)
    assert [windows.test.count(horizon) for horizon in (2, 4, 6)] == [14, 12, 10]
    assert [windows.val.count(horizon) for horizon in (2, 4)] == [5, 3]


def test_windows_of_a_series_equal_those_of_its_store():
    series = random_series()
    scaler = StandardScaler.fit(series.values, series.split.train)
    rows = series.split.train
    one = Windows(series, rows, history=3, horizon=2, scaler=scaler)
    other = Windows(SeriesStore.from_series(series), rows, history=3, horizon=2, scaler=scaler)
    index = torch.tensor([4, 0, 4])
    for a, b in zip(one.batch(index), other.batch(index), strict=True):
        assert torch.equal(a, b)


def test_to_keeps_one_store():
    windows = make_windows(random_series(), history=3, horizon=2)
    moved = windows.to("cpu")
    assert moved.train.store is moved.val.store is moved.test.store is windows.train.store
    assert moved.train.device == torch.device("cpu")
    assert [len(moved.train), len(moved.val), len(moved.test)] == [
        len(windows.train),
        len(windows.val),
        len(windows.test),
    ]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_batches_on_a_gpu_are_the_same():
    windows = make_windows(random_series(), history=3, horizon=2)
    index = torch.arange(len(windows.train))
    moved = windows.to("cuda").train.batch(index)
    for a, b in zip(windows.train.batch(index), moved, strict=True):
        assert b.is_cuda
        assert torch.allclose(a.float(), b.cpu().float(), rtol=1e-6)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"history": 0}, "history=0"),
        ({"horizon": -3}, "horizon=-3"),
        ({"min_horizon": 0}, "min_horizon=0"),
        ({"min_horizon": 9}, "min_horizon=9"),
        ({"history": 50}, "train split has 42 of 60 rows, and history=50 with horizon=2 needs 52 there .about 75 rows"),
        ({"history": 5}, "val split has 6 of 60 rows, and history=5 with horizon=2 needs 7 there .about 70 rows"),
        ({"scaler": "minmax"}, "scaler='minmax'"),
    ],
)
def test_bad_settings_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_windows(random_series(), **({"history": 3, "horizon": 2} | changes))


def test_series_without_any_value_is_refused():
    with pytest.raises(ValueError, match="NaN in every one"):
        make_windows(random_series(values=torch.full((60, 4, 2), NAN)), history=3, horizon=2)


def test_window_numbers_and_horizons_are_checked():
    train = make_windows(random_series(), history=3, horizon=2).train
    for index in ([len(train)], [-1]):
        with pytest.raises(ValueError, match=f"the windows are 0 to {len(train) - 1}"):
            train.batch(torch.tensor(index))
    with pytest.raises(ValueError, match="horizon=3"):
        train.count(3)
    assert train.batch(torch.zeros(0, dtype=torch.int64)).x.shape == (0, 3, 4, 2)
    with pytest.raises(ValueError, match="one window needs 5 rows"):
        Windows(train.store, range(4), history=3, horizon=2, scaler=train.scaler)
    with pytest.raises(ValueError, match="inside the 60 rows"):
        Windows(train.store, range(55, 65), history=3, horizon=2, scaler=train.scaler)


# REFERENCES: RMSE / MAE / accuracy / R² on Los-loop by horizon, averaged over all steps up to it.
PERSISTENCE = {
    3: (5.5428, 3.1561, 0.9056, 0.8403),
    6: (6.6986, 3.6317, 0.8859, 0.7676),
    9: (7.6281, 4.0417, 0.8701, 0.6997),
    12: (8.4555, 4.4332, 0.8559, 0.6322),
}
ROLLING = {3: (7.3067, 3.8782, 0.8756, 0.7225), 6: (7.9575, 4.1699), 9: (8.5986, 4.4824), 12: (9.2619, 4.828)}


def scores(predicted: torch.Tensor, true: torch.Tensor) -> tuple[float, ...]:
    error = (true - predicted).double()
    true = true.double()
    accuracy = 1 - error.norm() / true.norm()
    explained = 1 - error.square().sum() / (true - true.mean()).square().sum()
    return error.square().mean().sqrt().item(), error.abs().mean().item(), accuracy.item(), explained.item()


def test_all_targets_are_those_of_the_batches():
    series = simulate_traffic(num_nodes=4, days=1)
    values = series.values.clone()
    values[200:210, 1] = float("nan")
    windows = make_windows(replace(series, values=values), history=6, horizon=5, min_horizon=2).test
    y, y_mask = windows.targets()
    batch = windows.batch(torch.arange(len(windows)))
    assert torch.equal(y, batch.y)
    assert torch.equal(y_mask, batch.y_mask)
    assert not y_mask[-1, 2:].any()
    assert y_mask[-1, :2].all()
    assert torch.equal(windows.targets(torch.tensor([3, 0]))[0], y[[3, 0]])


def test_los_loop_baselines_are_those_of_the_references(data_root):
    """One Windows object, every horizon on its 404 - 12 - P official windows."""
    series = los_loop(data_root)
    test = make_windows(series, history=12, horizon=12, min_horizon=3).test
    assert {horizon: test.count(horizon) for horizon in PERSISTENCE} == {3: 389, 6: 386, 9: 383, 12: 380}
    for horizon in PERSISTENCE:
        batch = test.batch(torch.arange(test.count(horizon)))
        assert batch.mask is None
        assert batch.y_mask[:, :horizon].all()
        true = batch.y[:, :horizon]
        history = test.scaler.inverse_target(batch.x[..., 0]).double()
        last = history[:, -1:].expand(-1, horizon, -1)
        assert scores(last, true) == pytest.approx(PERSISTENCE[horizon], abs=5.1e-5)
        # "Historical average, rolling": the mean of the last 12 rows, each prediction taking the place of the oldest
        # one.
        rolled = history
        for _ in range(horizon):
            rolled = torch.cat([rolled, rolled[:, -12:].mean(dim=1, keepdim=True)], dim=1)
        expected = ROLLING[horizon]
        assert scores(rolled[:, 12:], true)[: len(expected)] == pytest.approx(expected, abs=5.1e-5)


def test_time_features_come_last_are_not_scaled_and_count_as_observed():
    series = simulate_traffic(num_nodes=3, days=2)
    plain = make_windows(series, history=4, horizon=2)
    timed = make_windows(series, history=4, horizon=2, time_features=True, weekdays=range(7))
    index = torch.tensor([0, 7])
    a, b = plain.val.batch(index), timed.val.batch(index)
    assert (plain.val.num_features, plain.val.time_channels) == (1, 0)
    assert (timed.val.num_features, timed.val.time_channels) == (3, 2)
    assert torch.equal(b.x[..., :1], a.x)
    assert torch.equal(b.mask[..., :1], a.mask)
    assert b.mask[..., 1:].all()
    assert torch.equal(a.y, b.y)
    first = timed.val.rows.start
    for i, offset in enumerate((0, 7)):
        for t in range(4):
            row = first + offset + t
            assert (b.x[i, t, :, 1] - row % 288 / 288).abs().max() < 1e-6
            assert (b.x[i, t, :, 2] - (3 + row // 288) % 7 / 7).abs().max() < 1e-6  # from a Thursday on
    assert timed.nbytes == plain.nbytes + 2 * 4 * series.num_rows
    assert timed.to("cpu").test.num_features == 3


def test_a_lead_moves_the_targets_on():
    series = simulate_traffic(num_nodes=3, days=2, missing=0.0)
    near, far = (make_windows(series, history=4, horizon=1, lead=lead) for lead in (1, 6))
    assert len(far.test) == len(near.test) - 5
    index = torch.tensor([0, 3])
    assert torch.equal(far.test.batch(index).x, near.test.batch(index).x)
    assert torch.equal(far.test.batch(index).y, near.test.batch(index + 5).y)
    assert far.test.target_rows(index)[:, 0].tolist() == [far.test.rows.start + 9, far.test.rows.start + 12]
    last = far.test.target_rows(torch.tensor([len(far.test) - 1]))
    assert int(last) == series.num_rows - 1
    with pytest.raises(ValueError, match="lead=0: must be at least 1 row"):
        make_windows(series, history=4, horizon=1, lead=0)


def test_reaching_back_makes_every_row_of_a_split_a_target():
    series = simulate_traffic(num_nodes=3, days=2, missing=0.0)
    windows = make_windows(series, history=10, horizon=1, lead=3, reach_back=True)
    for part in (windows.val, windows.test):
        rows = part.target_rows(torch.arange(len(part)))[:, 0].tolist()
        split = series.split.val if part is windows.val else series.split.test
        assert rows == list(split)
    assert windows.train.rows == series.split.train


def test_some_windows_are_windows_of_their_own():
    series = simulate_traffic(num_nodes=3, days=1)
    test = make_windows(series, history=6, horizon=4, min_horizon=1).test
    some = test.select(torch.tensor([2, 5, len(test) - 1]))
    assert (len(some), some.count(1), some.count(4)) == (3, 3, 2)  # the last one has a single target
    index = torch.tensor([2, 5, len(test) - 1])
    assert torch.equal(some.target_rows(torch.arange(3)), test.target_rows(index))
    for one, other in zip(some.batch(torch.arange(3)), test.batch(index), strict=True):
        assert (one is None and other is None) or torch.equal(one, other)
    assert (
        some.select(torch.tensor([1])).target_rows(torch.tensor([0])).tolist() == test.target_rows(index[1:2]).tolist()
    )
    with pytest.raises(ValueError, match="index: window numbers must rise, and none may come twice; sort them"):
        test.select(torch.tensor([3, 3]))
    with pytest.raises(ValueError, match="but the windows are 0 to 2"):
        some.target_rows(torch.tensor([3]))
