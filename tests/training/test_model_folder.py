"""A folder that a model is trained into."""

import pytest
import torch

from gnnkit.training.model_folder import check_model_folder, model_folder, model_snapshots

MODEL = torch.nn.Linear(2, 1)


def keep(snapshots):
    snapshots.save(MODEL, torch.optim.Adam(MODEL.parameters()), {"step": 1})


def stop(out, snapshots):
    with model_folder(out, snapshots, is_model=False):
        keep(snapshots)
        raise KeyboardInterrupt


def cut_off(out, snapshots):
    with pytest.raises(KeyboardInterrupt, match="goes on from there"):
        stop(out, snapshots)


def test_a_training_that_was_cut_off_is_gone_on_with_and_no_other_begun(tmp_path):
    out = tmp_path / "out"
    cut_off(out, model_snapshots(out, {"epochs": 3}))
    assert sorted(path.name for path in out.iterdir()) == ["training.json", "training.safetensors"]
    check_model_folder(out, is_model=False)
    other = model_snapshots(out, {"epochs": 4})
    with (
        pytest.raises(ValueError, match=r"holds a training that is not over, with another epochs \(3 there"),
        model_folder(out, other, is_model=False),
    ):
        pass
    again = model_snapshots(out, {"epochs": 3})
    with model_folder(out, again, is_model=False):
        assert again.record() == {"step": 1}
        (out / "weights.safetensors").touch()
    assert [path.name for path in out.iterdir()] == ["weights.safetensors"]


def test_other_files_are_refused_and_a_former_model_is_not(tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"holds other files \(thesis.tex\)"):
        check_model_folder(tmp_path, is_model=False)
    check_model_folder(tmp_path, is_model=True)
    with model_folder(tmp_path, model_snapshots(tmp_path, {}), is_model=True):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_nothing_is_left_of_a_model_that_is_not_kept(tmp_path):
    with model_folder(tmp_path / "out", model_snapshots(tmp_path / "out", {}), is_model=False):
        pass
    assert not (tmp_path / "out").exists()


def test_two_trainings_do_not_share_a_folder(tmp_path):
    pytest.importorskip("fcntl")
    snapshots = model_snapshots(tmp_path, {})
    with (
        model_folder(tmp_path, snapshots, is_model=False),
        pytest.raises(ValueError, match="is in use by another run"),
        model_folder(tmp_path, snapshots, is_model=False),
    ):
        pass


def test_nothing_is_left_of_a_training_that_failed_before_its_first_snapshot(tmp_path):
    def fail(out, snapshots):
        with model_folder(out, snapshots, is_model=False):
            raise FloatingPointError("the training loss is nan")

    with pytest.raises(FloatingPointError):
        fail(tmp_path / "out", model_snapshots(tmp_path / "out", {}))
    assert not (tmp_path / "out").exists()
    with pytest.raises(FloatingPointError):
        fail(tmp_path, model_snapshots(tmp_path, {}))
    assert not any(tmp_path.iterdir())
