"""The jobs of a comparison in a tracker: one run a fit, and the same rows."""

import pytest

from gnnkit.compare import make_spec, run
from gnnkit.training.environment import commit

pytest.importorskip("tensorboard", reason="TensorBoard is not installed: pip install tensorboard")

SPEC = {
    "rivals": False, "quick_look": False,
    "data_options": {"num_nodes": 4, "days": 2}, "models": ["dlinear"], "seeds": [0, 1], "horizons": [2],
    "epochs": 2, "device": "cpu", "resamples": 100, "threads": 1,
}  # fmt: skip
TIMES = ["epoch_seconds", "wall_seconds", "peak_memory_mb", "commit", "date"]


def events(folder):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return {
        path.name: EventAccumulator(str(path)).Reload() for path in sorted((folder / "track" / "tensorboard").iterdir())
    }


def test_every_fit_is_a_run_with_its_test_scores_and_a_finished_one_is_not_logged_again(tmp_path):
    results = run(make_spec(**SPEC), directory=tmp_path, track="tensorboard")
    found = events(tmp_path)
    assert list(found) == ["dlinear-seed0", "dlinear-seed1"]
    rows = results.rows.query("model == 'dlinear' and metric == 'mae' and score == 'averaged'").set_index("seed")
    for seed in (0, 1):
        accumulated = found[f"dlinear-seed{seed}"]
        assert [event.step for event in accumulated.Scalars("val_mae")] == [1, 2]
        (score,) = accumulated.Scalars("test/mae_2")
        assert score.value == pytest.approx(rows["value"][seed], rel=1e-6)
        facts = accumulated.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
        assert results.environment["data_hash"].encode() in facts
        assert commit().partition("-")[0].encode() in facts
    plain = run(make_spec(**SPEC)).rows
    assert results.rows.drop(columns=TIMES).equals(plain.drop(columns=TIMES))
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "track").rglob("*")}
    run(make_spec(**SPEC), directory=tmp_path, track="tensorboard")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "track").rglob("*")} == files


@pytest.mark.slow
def test_workers_track_their_fits_and_a_trial_has_no_test_score(tmp_path):
    pytest.importorskip("optuna", reason="Optuna is not installed: pip install optuna")
    run(make_spec(**SPEC | {"trials": 2}), directory=tmp_path, track="tensorboard", jobs=2)
    found = events(tmp_path)
    assert list(found) == [f"dlinear-seed0{trial}" for trial in ("", "-trial1", "-trial2")] + ["dlinear-seed1"]
    for name, accumulated in found.items():
        assert ("test/mae_2" in accumulated.Tags()["scalars"]) is ("trial" not in name)


def test_a_tracker_needs_a_folder_that_stays():
    with pytest.raises(ValueError, match=r"^track: tensorboard needs a folder that stays; give a directory$"):
        run(make_spec(**SPEC), track="tensorboard")
