"""Trainings that are cut off at a step and go on: they end as those end that were not."""

import pytest
import torch

from gnnkit.data import make_windows, simulate_traffic
from gnnkit.temporal import MODELS, build_forecaster
from gnnkit.training import DamagedSnapshotWarning, Snapshots, TrainingSettings, fit, isolated_seed

SERIES = simulate_traffic(num_nodes=5, days=2)
WINDOWS = make_windows(SERIES, history=6, horizon=2)
MODULES = sorted(name for name, entry in MODELS.items() if not entry.fits_itself)


class CutOff(Exception): ...


class Scissors:
    """Ends a fit after a number of steps, as a kill does."""

    def __init__(self, steps):
        self.left = steps

    def begin_fit(self, steps): ...

    def step(self, **figures):
        self.left -= 1
        if self.left == 0:
            raise CutOff

    def end_epoch(self, **figures):
        return False

    def end_fit(self): ...


def train(name="gru", snapshots=None, cut=None, **changes):
    settings = TrainingSettings(**{"epochs": 3, "batch_size": 100, "device": "cpu", **changes})
    sizes = {"in_channels": 1, "hidden_channels": 4, "horizon": 2, "history": 6, "num_nodes": 5}
    with isolated_seed(3):
        model = build_forecaster(name, **sizes, edge_index=SERIES.edge_index)
    graph = (SERIES.edge_index, SERIES.edge_weight)
    result = fit(model, WINDOWS, *graph, settings, progress=cut and Scissors(cut), snapshots=snapshots)
    return (
        model.state_dict(),
        [(each.epoch, each.train_loss, each.val_mae) for each in result.epochs],
        result.best_epoch,
    )


def same(one, other):
    weights = all(torch.equal(one[0][name], tensor) for name, tensor in other[0].items())
    return weights and one[1:] == other[1:]


@pytest.mark.parametrize("name", MODULES)
def test_every_model_goes_on_bit_for_bit(tmp_path, name):
    whole = train(name)
    snapshots = Snapshots(tmp_path / "a", {}, every=0)
    with pytest.raises(CutOff):
        train(name, snapshots, cut=6)  # in the midst of the second epoch
    assert snapshots.exist()
    assert same(train(name, snapshots), whole)


@pytest.mark.parametrize("cut", range(1, 13))
def test_cut_off_at_any_step(tmp_path, cut):
    changes = {"schedule": "cosine", "patience": 1, "weight_decay": 0.01}
    whole = train(**changes)
    with pytest.raises(CutOff):
        train(snapshots=Snapshots(tmp_path / "a", {}, every=0), cut=cut, **changes)
    assert same(train(snapshots=Snapshots(tmp_path / "a", {}, every=0), **changes), whole)


def test_a_budget_that_is_cut_off_at_any_step(tmp_path):
    from torch import nn

    from gnnkit.training import BudgetSettings, PassOrder, fit_within_budget

    def run(snapshots=None, cut=None):
        torch.manual_seed(0)
        model, order, taken = nn.Sequential(nn.Linear(3, 2), nn.Dropout(0.5), nn.Linear(2, 1)), PassOrder(4), []
        x = torch.arange(30.0).reshape(10, 3).sin()

        def losses():
            shuffled = torch.randperm(10, generator=order.generator)
            for rows in order.rest(shuffled.split(3)):
                taken.append(rows)
                if len(taken) == cut:
                    raise CutOff
                noise = torch.rand(len(rows), 1, generator=order.generator)
                yield (model(x[rows]) - noise).square().mean()

        settings = BudgetSettings(seconds=600, epochs=3, validations=5, seed=7)
        score = lambda: {"score": -float(model(x).square().mean())}  # noqa: E731
        done = fit_within_budget(model, losses, score, settings, choose_by="score", order=order, snapshots=snapshots)
        history = [{name: value for name, value in row.items() if name != "seconds"} for row in done.history]
        return model.state_dict(), history, done.steps, done.epochs, done.best_score

    whole = run()
    for cut in range(1, 13):
        path = tmp_path / str(cut)
        with pytest.raises(CutOff):
            run(Snapshots(path, {}, every=0), cut)
        assert same(run(Snapshots(path, {}, every=0)), whole), cut


@pytest.mark.parametrize("layer", ["gcn", "gat"])
def test_seeds_that_are_cut_off_at_any_epoch(tmp_path, layer):
    from gnnkit.training.seeds import SeedSettings, fit_seeds
    from tests.training.test_seeds import stack_of, two_rings

    settings = SeedSettings(epochs=12, learning_rate=0.2, patience=2, keep="best", weight_decay=(("*", 1e-3),))

    def run(snapshots=None, cut=None):
        def on_epoch(epoch, left):
            if epoch == cut:
                raise CutOff

        found = fit_seeds(
            stack_of([3, 4, 5], layer=layer, dropout=0.5), two_rings(), settings, on_epoch=on_epoch, snapshots=snapshots
        )
        weights = {f"{each.seed}.{name}": tensor for each in found for name, tensor in each.state.items()}
        return weights, [(each.seed, each.epochs, each.epoch, each.val_loss, each.test_accuracy) for each in found]

    whole = run()
    assert layer == "gcn" or len({epochs for _, epochs, *_ in whole[1]}) > 1  # some leave before others
    for cut in range(1, max(epochs for _, epochs, *_ in whole[1])):
        with pytest.raises(CutOff):
            run(Snapshots(tmp_path / str(cut), {}, every=0), cut)
        assert same(run(Snapshots(tmp_path / str(cut), {}, every=0)), whole), cut


def test_mini_batches_that_are_cut_off_at_any_epoch(tmp_path):
    from gnnkit.layers import NodeClassifier
    from gnnkit.loader import PartitionLoader
    from gnnkit.training.node_batches import fit_batches
    from gnnkit.training.seeds import SeedSettings
    from tests.training.test_seeds import two_rings

    def run(snapshots=None, cut=None):
        def on_epoch(epoch, loss):
            if epoch == cut:
                raise CutOff

        with isolated_seed(0):
            model = NodeClassifier(6, 8, 2, dropout=0.5)
        data, settings = two_rings(), SeedSettings(epochs=6, keep="best")
        batches = PartitionLoader(data, 6, parts_per_batch=2, seed=1)
        found = fit_batches(model, data, batches, settings, seed=2, on_epoch=on_epoch, snapshots=snapshots)
        return found.state, (found.epoch, found.val_loss, found.test_accuracy)

    whole = run()
    for cut in range(1, 6):
        with pytest.raises(CutOff):
            run(Snapshots(tmp_path / str(cut), {}, every=0), cut)
        assert same(run(Snapshots(tmp_path / str(cut), {}, every=0)), whole), cut


def test_combinations_that_are_cut_off_at_any_step(tmp_path):
    from gnnkit.studies.combinations.settings import CombinationsSettings
    from gnnkit.studies.combinations.training import train as train_run

    settings = CombinationsSettings(
        lengths=(4,), cells=("bilstm",), embeddings=(2,), seeds=(5,), steps=8, hidden_channels=4, batch_size=8,
        test_sequences=20, device="cpu",
    )  # fmt: skip
    run = next(iter(settings.runs()))
    state = torch.get_rng_state()

    def one(snapshots=None, cut=None):
        def on_step(step, loss, accuracy):
            if step == cut:
                raise CutOff

        found = train_run(run, settings, on_step=on_step, snapshots=snapshots)
        for name in ("seconds",):
            del found["row"][name]
        return found

    whole = one()
    for cut in range(1, 8):
        with pytest.raises(CutOff):
            one(Snapshots(tmp_path / str(cut), {}, every=0), cut)
        assert one(Snapshots(tmp_path / str(cut), {}, every=0)) == whole, cut
    assert torch.equal(torch.get_rng_state(), state)  # the caller's


def test_a_damaged_snapshot_is_passed_over_for_the_one_before(tmp_path):
    whole = train()
    with pytest.raises(CutOff):
        train(snapshots=Snapshots(tmp_path / "a", {}, every=0), cut=6)
    latest = tmp_path / "a"
    for damage in (lambda content: content[: len(content) // 2], lambda content: content[:-9] + b"\x07" + content[-8:]):
        good = latest.read_bytes()
        latest.write_bytes(damage(good))
        with pytest.warns(DamagedSnapshotWarning, match=r"a is damaged.*; it goes on from the one before"):
            found = Snapshots(latest, {}).read()
        assert found is not None
        assert found[0].name == "a.previous"
        latest.write_bytes(good)
    latest.write_bytes(b"")
    with pytest.warns(DamagedSnapshotWarning):
        assert same(train(snapshots=Snapshots(latest, {}, every=1e9)), whole)
    (tmp_path / "a.previous").write_bytes(b"no")
    with pytest.warns(DamagedSnapshotWarning, match="the training begins anew"):
        assert same(train(snapshots=Snapshots(latest, {}, every=1e9)), whole)


def test_a_snapshot_of_something_else_is_refused_and_the_field_named(tmp_path):
    with pytest.raises(CutOff):
        train(snapshots=Snapshots(tmp_path / "a", {"epochs": 3, "code": "a" * 64}, every=0), cut=4)
    other = {"epochs": 4, "code": "a" * 64}
    with pytest.raises(ValueError, match=r"a is of a training with another epochs \(3 there, and 4 now\): repeat that"):
        train(snapshots=Snapshots(tmp_path / "a", other))
    with pytest.raises(ValueError, match=r"another code \(SHA-256 aaaaaaaaaaaa… there, and SHA-256 bbbb"):
        train(snapshots=Snapshots(tmp_path / "a", {"epochs": 3, "code": "b" * 64}))
    assert same(train(snapshots=Snapshots(tmp_path / "a", other, anew=True)), train())


def test_snapshots_are_spaced_by_their_cost_and_removed(tmp_path, monkeypatch):
    clock = [100.0]
    monkeypatch.setattr("gnnkit.training.snapshot.time.perf_counter", lambda: clock[0])
    snapshots = Snapshots(tmp_path / "deep" / "a", {}, every=30)
    model = torch.nn.Linear(1, 1)
    adam = torch.optim.Adam(model.parameters())
    clock[0] += 29
    assert not snapshots.due()
    clock[0] += 1
    assert snapshots.due()

    def slow(*args, real=torch.get_rng_state, **options):
        clock[0] += 2.0  # seconds that it takes
        return real()

    monkeypatch.setattr("gnnkit.training.snapshot.torch.get_rng_state", slow)
    snapshots.save(model, adam, {"step": 1})
    clock[0] += 99
    assert not snapshots.due()
    clock[0] += 1.5
    assert snapshots.due()
    snapshots.save(model, adam, {"step": 2})
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == ["a", "a.previous"]
    assert set(snapshots.files()) >= {"a", "a.previous"}
    assert snapshots.record() == {"step": 2}
    snapshots.remove()
    assert not any((tmp_path / "deep").iterdir())
    assert not snapshots.exist()
    assert snapshots.record() is None


def test_a_training_that_explodes_names_batch_gradients_and_the_last_good_snapshot(tmp_path):
    snapshots = Snapshots(tmp_path / "a", {}, every=0)
    with pytest.raises(
        FloatingPointError,
        match=r"the training loss is inf at epoch 1, step \d: lower learning_rate \(now 1e\+30\).*the batch is of "
        r"training windows \d+, .* and 95 more; the largest gradients are .*\d.*; the last good snapshot, of epoch "
        r"1, step \d, is kept as a.exploded",
    ):
        train("dlinear", snapshots, loss="mse", learning_rate=1e30, clip=1e30)
    assert [path.name for path in tmp_path.iterdir()] == ["a.exploded"]
    assert not snapshots.exist()
