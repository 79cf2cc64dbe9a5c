"""Fits in an experiment tracker: what is logged, and that nothing of it is worth a fit."""

import sys
from types import SimpleNamespace

import pytest
import torch

from gnnkit.training import TrainingSettings, fit
from gnnkit.training.track import TRACKERS, Track, TrackerWarning, open_track
from tests.training.toys import EDGES, WEIGHTS, Linear, wave_windows

SETTINGS = TrainingSettings(epochs=2, batch_size=40, device="cpu")
PARAMETERS = {"model": "linear", "seed": 3, "learning_rate": 0.1, "schedule": None}


def trained(progress=None):
    torch.manual_seed(0)
    model = Linear(dropout=0.5)
    result = fit(model, wave_windows(), EDGES, WEIGHTS, SETTINGS, progress=progress)
    return model, result


def tracked(track, **options):
    with track.fit("linear-seed3", "linear, seed 3", PARAMETERS, **options) as listener:
        model, result = trained(listener)
        listener.log_final({"test/mae_3": 2.5})
    return model, result


class Recorded:
    """Stands for a tracker and for its logger; breaks where it is told to."""

    def __init__(self, breaks=()):
        self.calls, self.breaks = [], breaks

    def _call(self, name, *given):
        self.calls.append((name, *given))
        if name in self.breaks:
            raise ConnectionError("the net\nis down")

    def open(self, folder):
        self._call("open")

    def logger(self, folder, key, label, tags):
        self._call("logger", key, label, dict(tags))
        return self

    def log_hyperparams(self, parameters):
        self._call("parameters", dict(parameters))

    def log_metrics(self, metrics, step):
        self._call("metrics", step, dict(metrics))

    def close(self, logger, fit, status):
        self._call("close", status, fit.epochs, fit.final)


@pytest.fixture
def recorded(monkeypatch):
    tracker = Recorded()
    monkeypatch.setitem(TRACKERS, "recorded", tracker)
    return tracker


def test_a_fit_is_a_run_and_its_numbers_stay(recorded, tmp_path):
    plain, before = trained()
    model, result = tracked(open_track("recorded", tmp_path, {"data_hash": "ab"}))
    assert torch.equal(plain.map.weight, model.map.weight)
    assert [epoch.val_mae for epoch in before.epochs] == [epoch.val_mae for epoch in result.epochs]
    epochs = [
        ("metrics", each.epoch, {"train_loss": each.train_loss, "val_mae": each.val_mae, "epoch_seconds": each.seconds})
        for each in result.epochs
    ]
    final = {"best_val_mae": result.best_val_mae, "best_epoch": result.best_epoch, "test/mae_3": 2.5}
    assert recorded.calls == [
        ("open",),
        ("logger", "linear-seed3", "linear, seed 3", {"data_hash": "ab"}),
        ("parameters", PARAMETERS | {"data_hash": "ab"}),
        *epochs,
        ("close", "success", 2, final),
    ]


def test_a_fit_that_fails_is_a_run_that_failed(recorded, tmp_path):
    track = open_track("recorded", tmp_path)
    with pytest.raises(FloatingPointError), track.fit("a", "a", {}):
        raise FloatingPointError("the loss is nan")
    assert recorded.calls[-1] == ("close", "failed", 0, {})


@pytest.mark.parametrize("where", ["logger", "parameters", "metrics", "close"])
def test_a_tracker_that_fails_later_is_warned_of_once(recorded, tmp_path, where):
    track = open_track("recorded", tmp_path)
    recorded.breaks = (where,)
    with pytest.warns(TrackerWarning) as caught:
        (model, _), _ = tracked(track), tracked(track)
    assert [str(warning.message) for warning in caught] == [
        "track: recorded failed (ConnectionError: the net is down); fits go on, and are not tracked any more"
    ]
    assert torch.equal(model.map.weight, trained()[0].map.weight)
    assert recorded.calls[-1][0] == where


def test_what_cannot_be_reached_or_is_not_installed_is_said_in_a_line(recorded, tmp_path, monkeypatch):
    recorded.breaks = ("open",)
    with pytest.raises(ValueError) as caught:
        open_track("recorded", tmp_path)
    assert str(caught.value) == (
        "track: recorded cannot be reached (ConnectionError: the net is down); start it, or leave track out"
    )
    for name in ("tensorboard", "mlflow", "wandb"):
        monkeypatch.setitem(sys.modules, name, None)
        with pytest.raises(ImportError) as missing:
            open_track(name, tmp_path)
        assert str(missing.value) == (
            f'track: {name} needs {name}, which cannot be imported here: pip install "gnnkit[{name}]"'
        )


def test_tensorboard_has_the_curves_the_scores_and_the_parameters(tmp_path):
    pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install tensorboard")
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    track = open_track("tensorboard", tmp_path)
    tracked(track)
    _, result = tracked(track)  # in place of the first, as after a run that was cut off
    found = EventAccumulator(str(tmp_path / "tensorboard" / "linear-seed3")).Reload()
    curve = [(event.step, event.value) for event in found.Scalars("val_mae")]
    assert curve == [(each.epoch, pytest.approx(each.val_mae)) for each in result.epochs]
    assert [(event.step, event.value) for event in found.Scalars("test/mae_3")] == [(2, 2.5)]
    assert [event.value for event in found.Scalars("best_val_mae")] == [pytest.approx(result.best_val_mae)]
    start = found.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    assert b"learning_rate" in start
    assert track.look == f"tensorboard --logdir {tmp_path / 'tensorboard'}"


def test_mlflow_has_a_run_with_tags(tmp_path, monkeypatch):
    mlflow = pytest.importorskip(
        "mlflow", reason="MLflow is not installed: pip install mlflow-skinny sqlalchemy alembic"
    )
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    _, result = tracked(open_track("mlflow", tmp_path, {"data_hash": "ab"}))
    client = mlflow.MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}")
    (run,) = client.search_runs([client.get_experiment_by_name("gnnkit").experiment_id])
    assert (run.info.run_name, run.info.status, run.data.tags["data_hash"]) == ("linear, seed 3", "FINISHED", "ab")
    assert run.data.params["learning_rate"] == "0.1"
    assert run.data.metrics["test/mae_3"] == 2.5
    curve = client.get_metric_history(run.info.run_id, "val_mae")
    assert [(each.step, each.value) for each in curve] == [(each.epoch, each.val_mae) for each in result.epochs]


@pytest.mark.parametrize("elsewhere", [False, True])
def test_mlflow_ends_the_runs_of_a_process_that_was_killed(tmp_path, monkeypatch, elsewhere):
    """A stub of its client: a run of this folder that was killed, one of another folder, on a server one of others."""
    folders = {"mine": str(tmp_path), "other": "another/folder", "stranger": None}
    ended, made = [], []

    class Client:
        def __init__(self, uri):
            pass

        def get_experiment_by_name(self, name):
            return SimpleNamespace(experiment_id="7")

        def search_runs(self, experiments, condition, max_results):
            assert (experiments, condition) == (["7"], "attributes.status = 'RUNNING'")
            return [
                SimpleNamespace(
                    info=SimpleNamespace(run_id=name),
                    data=SimpleNamespace(tags={} if folder is None else {"gnnkit.folder": folder}),
                )
                for name, folder in folders.items()
            ]

        def set_terminated(self, run, status):
            ended.append((run, status))

    monkeypatch.setitem(sys.modules, "mlflow", SimpleNamespace(MlflowClient=Client))
    if elsewhere:
        monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://somewhere")
    else:
        monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    import lightning.pytorch.loggers

    monkeypatch.setattr(lightning.pytorch.loggers, "MLFlowLogger", lambda name, **options: made.append(options["tags"]))
    track = open_track("mlflow", tmp_path)
    assert ended == [(name, "KILLED") for name in (["mine"] if elsewhere else list(folders))]
    TRACKERS["mlflow"].logger(track.folder, "a", "a", {"data_hash": "ab"})
    assert made == [{"data_hash": "ab", "gnnkit.folder": str(tmp_path)}]


@pytest.mark.parametrize(("key", "offline"), [(None, True), ("a key", False)])
def test_wandb_is_offline_unless_one_is_logged_in_and_each_fit_ends_its_run(tmp_path, monkeypatch, key, offline):
    made, ended = [], []

    class Logger(Recorded):
        def __init__(self, name, save_dir, **options):
            super().__init__()
            made.append((name, save_dir, options["offline"], options["project"]))
            self.experiment = SimpleNamespace(finish=lambda exit_code: ended.append((exit_code, self.calls[-1])))

    module = SimpleNamespace(Settings=lambda **values: values, api=SimpleNamespace(api_key=key))
    monkeypatch.setitem(sys.modules, "wandb", module)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.delenv("WANDB_PROJECT", raising=False)
    import lightning.pytorch.loggers

    monkeypatch.setattr(lightning.pytorch.loggers, "WandbLogger", Logger)
    track = open_track("wandb", tmp_path)
    _, result = tracked(track)
    assert made == [("linear, seed 3", tmp_path, offline, "gnnkit")]
    final = {"best_val_mae": result.best_val_mae, "best_epoch": result.best_epoch, "test/mae_3": 2.5}
    assert ended == [(0, ("metrics", 2, final))]
    assert ("wandb sync" in track.look) is offline


def test_a_copy_of_a_track_is_one_of_its_own():
    import pickle

    track = Track("tensorboard", None, {"data": "a"})
    assert pickle.loads(pickle.dumps(track)) == track
