"""The fit loop on forecasters so small that every number can be worked out by hand."""

import itertools
import math
import sys
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gnnkit.data import Split, make_windows
from gnnkit.training import EpochRecord, FitListeners, FitResult, TrainingSettings, fit, predict
from tests.training.toys import EDGES, WEIGHTS, Constant, Linear, make_series, wave_windows, waves


def weights_after(settings, dropout=0.3):
    torch.manual_seed(settings.seed)
    model = Linear(dropout=dropout)
    fit(model, wave_windows(), EDGES, WEIGHTS, settings)
    return model.state_dict()


def test_the_same_seed_gives_the_same_weights_bit_for_bit_and_another_does_not():
    settings = TrainingSettings(epochs=3, batch_size=8, device="cpu", seed=1)
    first = weights_after(settings)
    torch.rand(17)  # what was drawn before must not matter
    second = weights_after(settings)
    assert all(torch.equal(first[name], second[name]) for name in first)
    other = weights_after(TrainingSettings(epochs=3, batch_size=8, device="cpu", seed=2))
    assert not torch.equal(first["map.weight"], other["map.weight"])


def test_fit_leaves_the_callers_random_state_alone():
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    model = Linear.__new__(Linear)
    with torch.random.fork_rng():
        model = Linear(dropout=0.5)
    fit(model, wave_windows(), EDGES, WEIGHTS, TrainingSettings(epochs=1, device="cpu"))
    assert torch.equal(torch.rand(2), expected)


def test_training_learns_what_can_be_learned():
    model = Linear()
    result = fit(
        model,
        wave_windows(),
        EDGES,
        WEIGHTS,
        TrainingSettings(epochs=60, patience=60, batch_size=16, device="cpu", learning_rate=0.03),
    )
    assert result.epochs[0].val_mae > 2 * result.best_val_mae
    assert result.best_val_mae < 2.0  # the noise alone has a mean absolute value of 0.8
    assert result.parameters == 4 * 3 + 3
    assert result.stopped == "epochs"
    assert len(result.epochs) == 60
    assert result.wall_seconds >= sum(e.seconds for e in result.epochs) * 0.9
    assert result.peak_memory_mb > 1


def planted():
    """Training targets are 10 (σ-scaled: far up), validation targets lie on the way: its error falls, then grows."""
    torch.manual_seed(0)
    train = 10 + torch.randn(60, 2)
    val = torch.full((20, 2), 9.0)
    split = Split(range(60), range(60, 80), range(80, 100))
    values = torch.cat([train, val, torch.full((20, 2), 10.0)])
    return make_windows(make_series(values, split), history=2, horizon=1)


def test_best_weights_come_back_when_validation_turns_round():
    # The level starts at −4 σ, is drawn to 0, and validation is best on its way, near −1 σ.
    model = Constant(horizon=1, start=-4.0)
    windows = planted()
    settings = TrainingSettings(
        epochs=40, patience=40, batch_size=64, learning_rate=0.3, schedule="constant", device="cpu"
    )
    result = fit(model, windows, EDGES, WEIGHTS, settings)
    errors = [epoch.val_mae for epoch in result.epochs]
    assert result.best_val_mae == min(errors)
    assert 1 < result.best_epoch < 40
    assert result.best_epoch == errors.index(min(errors)) + 1
    assert errors[-1] > result.best_val_mae + 0.3
    predicted = predict(model, windows.val, EDGES, WEIGHTS, device="cpu")
    truth = windows.val.batch(torch.arange(len(windows.val))).y
    assert (predicted - truth).abs().mean().item() == pytest.approx(result.best_val_mae, rel=1e-5)


def test_patience_stops_training_that_many_epochs_after_the_best():
    settings = TrainingSettings(
        epochs=40, patience=3, batch_size=64, learning_rate=0.3, schedule="constant", device="cpu"
    )
    result = fit(Constant(horizon=1, start=-4.0), planted(), EDGES, WEIGHTS, settings)
    assert result.stopped == "patience"
    assert len(result.epochs) == result.best_epoch + 3


def test_patience_begins_when_all_horizons_are_learned():
    model = Constant(horizon=1, start=-4.0)
    model.curriculum = 0.5
    settings = TrainingSettings(
        epochs=40, patience=3, batch_size=64, learning_rate=0.3, schedule="constant", device="cpu"
    )
    result = fit(model, planted(), EDGES, WEIGHTS, settings)
    assert result.best_epoch + 3 < 22  # where it would have ended without
    assert (len(result.epochs), result.stopped) == (22, "patience")  # the first 19 of 40 are below one half


def test_max_seconds_ends_training_and_the_epoch_cut_short_is_validated():
    settings = TrainingSettings(epochs=1000, max_seconds=1e-6, batch_size=4, device="cpu")
    model = Linear()
    result = fit(model, wave_windows(), EDGES, WEIGHTS, settings)
    assert result.stopped == "seconds"
    assert len(result.epochs) == 1
    assert len(model.shares) == 1  # more than all of so short a time is spent before the first step
    assert math.isfinite(result.best_val_mae)


@pytest.fixture
def clock(monkeypatch):
    """A clock on which every look takes a millisecond, however busy the machine is."""
    ticks = itertools.count()
    fake = SimpleNamespace(perf_counter=lambda: next(ticks) / 1000)
    monkeypatch.setattr(sys.modules["gnnkit.training.fit"], "time", fake)


def test_the_rate_falls_over_max_seconds_where_they_end_first(monkeypatch, clock):
    asked = []
    monkeypatch.setattr(
        sys.modules["gnnkit.training.fit"], "schedule_rate", lambda schedule, done: asked.append(done) or 1.0
    )
    settings = TrainingSettings(epochs=100_000, max_seconds=0.5, batch_size=64, patience=100_000, device="cpu")
    assert fit(Linear(), wave_windows(), EDGES, WEIGHTS, settings).stopped == "seconds"
    assert asked == sorted(asked)
    assert asked[0] < 0.01
    assert asked[-1] >= 0.98
    asked.clear()
    fit(Linear(), wave_windows(), EDGES, WEIGHTS, TrainingSettings(epochs=2, batch_size=64, device="cpu"))
    assert asked == [0.0, 0.25, 0.5, 0.75, 1.0][:: 4 // (len(asked) - 1)]


def test_validation_mae_weighs_every_observed_value_once_in_the_datas_unit():
    values = waves()
    values[85, 0] = float("nan")
    values[90:93, 1] = float("nan")
    split = Split(range(80), range(80, 100), range(100, 120))
    windows = make_windows(make_series(values, split), history=4, horizon=3)
    model = Linear()
    result = fit(model, windows, EDGES, WEIGHTS, TrainingSettings(epochs=1, batch_size=7, device="cpu"))
    batch = windows.val.batch(torch.arange(len(windows.val)))
    error = (predict(model, windows.val, EDGES, WEIGHTS, device="cpu") - batch.y).abs()[batch.y_mask]
    assert len(error) < batch.y.numel()
    assert result.epochs[0].val_mae == pytest.approx(error.mean().item(), rel=1e-5)


@pytest.mark.parametrize("loss", ["mae", "mse", "huber"])
def test_train_loss_is_the_error_in_training_deviations(loss):
    windows = wave_windows()
    model = Linear()
    batch = windows.train.batch(torch.arange(len(windows.train)))
    with torch.no_grad():
        predicted = windows.scaler.inverse_target(model.eval()(batch.x, EDGES, WEIGHTS))
    targets = waves()[:80].double()
    error = (predicted - batch.y).abs() / targets.std(unbiased=False)
    assert error.min() < 1 < error.max()  # both arms of Huber's
    losses = {"mae": error, "mse": error**2, "huber": torch.where(error < 1, error**2, 2 * error - 1)}
    expected = losses[loss].mean().item()
    settings = TrainingSettings(epochs=1, batch_size=len(windows.train), loss=loss, device="cpu")
    result = fit(model, windows, EDGES, WEIGHTS, settings)
    assert result.epochs[0].train_loss == pytest.approx(expected, rel=1e-5)


def test_missing_targets_have_no_gradient():
    values = waves()
    values[:80, 1] = float("nan")
    values[0, 1] = 50.0  # the history of one window only; never a target
    split = Split(range(80), range(80, 100), range(100, 120))
    windows = make_windows(make_series(values, split), history=4, horizon=3)

    class PerNode(Constant):
        def __init__(self):
            super().__init__(horizon=3)
            self.level = nn.Parameter(torch.zeros(2))

    model = PerNode()
    fit(model, windows, EDGES, WEIGHTS, TrainingSettings(epochs=1, patience=1, device="cpu"))
    assert model.level[0] != 0
    assert model.level[1] == 0


def test_target_and_progress_are_there_for_curricula():
    windows = wave_windows()
    model = Linear()
    fit(model, windows, EDGES, WEIGHTS, TrainingSettings(epochs=2, batch_size=40, device="cpu"))
    assert model.shares == [0.0, 0.25, 0.5, 0.75]
    scaled = torch.cat(model.targets[:2]).flatten(0, 1)
    everything = windows.scaler.transform_target(windows.train.batch(torch.arange(len(windows.train))).y).flatten(0, 1)
    assert torch.allclose(scaled.sort(dim=0).values, everything.sort(dim=0).values, atol=1e-5)


def test_progress_is_the_share_of_max_seconds_where_they_end_first(clock):
    model = Linear()
    settings = TrainingSettings(epochs=100_000, max_seconds=0.5, batch_size=64, patience=100_000, device="cpu")
    assert fit(model, wave_windows(), EDGES, WEIGHTS, settings).stopped == "seconds"
    assert model.shares == sorted(model.shares)
    assert model.shares[0] < 0.01
    assert 0.98 < model.shares[-1] < 1.0


def test_a_target_that_was_not_observed_is_none():
    values = waves()
    values[10:20, 1] = float("nan")
    windows = make_windows(make_series(values, Split(range(80), range(80, 100), range(100, 120))), history=4, horizon=3)
    model = Linear()
    fit(model, windows, EDGES, WEIGHTS, TrainingSettings(epochs=1, batch_size=1000, device="cpu"))
    (target,) = model.targets
    assert target.isnan().sum(dim=(0, 1)).tolist() == [0, 30]


def test_a_loss_that_is_not_finite_names_epoch_and_step():
    class Breaks(Linear):
        def forward(self, *args, progress=None, **kwargs):
            out = super().forward(*args, progress=progress, **kwargs)
            return out * (float("nan") if progress is not None and len(self.shares) == 6 else 1.0)

    settings = TrainingSettings(epochs=5, batch_size=20, device="cpu", learning_rate=0.01)
    with pytest.raises(
        FloatingPointError, match=r"training loss is nan at epoch 2, step 2: lower learning_rate \(now 0.01"
    ):
        fit(Breaks(), wave_windows(), EDGES, WEIGHTS, settings)


def test_a_gradient_that_is_not_finite_is_not_swallowed():
    class Root(Constant):
        def forward(self, x, *graph, **kwargs):
            # √0 has the value 0 and an infinite slope.
            return super().forward(x, *graph, **kwargs) + (self.level * 0).sqrt()

    with pytest.raises(FloatingPointError, match=r"gradient's norm is (nan|inf) at epoch 1, step 1"):
        fit(Root(horizon=3, start=1.0), wave_windows(), EDGES, WEIGHTS, TrainingSettings(device="cpu"))


def test_gradients_are_clipped_by_norm():
    class Record(Constant):
        def forward(self, x, *graph, **kwargs):
            return 1e6 * super().forward(x, *graph, **kwargs)

    model = Record(horizon=3, start=1.0)
    norms = []
    model.level.register_post_accumulate_grad_hook(lambda p: norms.append(p.grad.norm().item()))
    fit(model, wave_windows(), EDGES, WEIGHTS, TrainingSettings(epochs=1, clip=0.5, device="cpu"))
    assert norms[-1] > 1e3
    assert model.level.grad.norm().item() == pytest.approx(0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("schedule", "last"), [("constant", 0.1), ("cosine", 0.1 * 0.5 * (1 + math.cos(math.pi * 3 / 4)))]
)
def test_schedules(schedule, last, monkeypatch):
    rates = []
    step = torch.optim.Adam.step

    def spy(self, *args, **kwargs):
        rates.append(self.param_groups[0]["lr"])
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    settings = TrainingSettings(epochs=2, batch_size=40, learning_rate=0.1, schedule=schedule, device="cpu")
    fit(Linear(), wave_windows(), EDGES, WEIGHTS, settings)
    assert len(rates) == 4
    assert rates[0] == pytest.approx(0.1)
    assert rates[-1] == pytest.approx(last)


def test_progress_hears_of_every_step_and_of_the_end():
    class Heard:
        def __init__(self):
            self.calls = []

        def begin_fit(self, steps):
            self.calls.append(("begin", steps))

        def step(self, *, epoch, loss, val_mae):
            self.calls.append((epoch, val_mae is None, math.isfinite(loss)))

        def end_epoch(self, **figures):
            self.calls.append(tuple(figures))
            return False

        def end_fit(self):
            self.calls.append("end")

    heard = Heard()
    fit(
        Linear(),
        wave_windows(),
        EDGES,
        WEIGHTS,
        TrainingSettings(epochs=2, batch_size=40, device="cpu"),
        progress=heard,
    )
    over = ("epoch", "train_loss", "val_mae", "seconds")
    steps = [(1, True, True), (1, True, True), over, (2, False, True), (2, False, True), over]
    assert heard.calls == [("begin", 4), *steps, "end"]


def test_a_listener_may_end_the_fit_after_an_epoch():
    class Enough:
        def begin_fit(self, steps): ...

        def step(self, **figures): ...

        def end_epoch(self, *, epoch, **figures):
            return epoch == 2

        def end_fit(self): ...

    class Heard(Enough):
        epochs = 0

        def end_epoch(self, *, epoch, **figures):
            self.epochs = epoch
            return False

    settings = TrainingSettings(epochs=4, batch_size=40, device="cpu")
    result = fit(
        Linear(), wave_windows(), EDGES, WEIGHTS, settings, progress=FitListeners(Enough(), None, heard := Heard())
    )
    assert (len(result.epochs), result.stopped, heard.epochs) == (2, "pruned", 2)


def test_predict_does_not_depend_on_the_batch_size():
    windows = wave_windows()
    model = Linear(dropout=0.9)
    whole = predict(model, windows.test, EDGES, WEIGHTS, batch_size=1000, device="cpu")
    parts = predict(model, windows.test, EDGES, WEIGHTS, batch_size=3, device="cpu")
    assert whole.shape == (len(windows.test), 3, 2)
    assert torch.allclose(whole, parts, atol=1e-5)
    batch = windows.test.batch(torch.arange(len(windows.test)))
    expected = windows.scaler.inverse_target(model(batch.x, EDGES, WEIGHTS))
    assert torch.allclose(whole, expected, atol=1e-5)


@pytest.mark.parametrize(("part", "rows"), [("training", slice(4, 80)), ("validation", slice(80, 100))])
def test_a_split_without_values_is_refused(part, rows):
    values = waves()
    values[rows] = float("nan")
    split = Split(range(80), range(80, 100), range(100, 120))
    windows = make_windows(make_series(values, split), history=4, horizon=3)
    with pytest.raises(ValueError, match=f"the {part} windows hold no observed target"):
        fit(Linear(), windows, EDGES, WEIGHTS, TrainingSettings(epochs=1, device="cpu"))


def test_the_line_of_a_fit_says_what_it_did():
    records = [EpochRecord(epoch, 0.5, 2.5, 0.1) for epoch in (1, 2, 3)]
    result = FitResult(records, 2, 2.41337, 12.34, 4.0, 100.0, 1420, "patience")
    assert repr(result) == (
        "FitResult(validation MAE 2.4134 after epoch 2 of 3, 1,420 parameters, 12.3 s, stopped: no better for a while)"
    )
