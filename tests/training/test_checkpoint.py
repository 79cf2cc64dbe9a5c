"""A fitted forecaster as a folder, and back."""

import json

import pytest
import torch
from safetensors import safe_open
from torch import nn

from gnnkit.kept_files import new_name, read_json, write_json
from gnnkit.training import kept_beside, load_checkpoint, save_checkpoint


class Tied(nn.Module):
    """Shared weights and a buffer: what a plain safetensors call would stumble over."""

    def __init__(self, width):
        super().__init__()
        self.first = nn.Linear(width, width)
        self.second = nn.Linear(width, width)
        self.second.weight = self.first.weight
        self.register_buffer("count", torch.tensor(3))
        self.dropout = nn.Dropout(0.5)

    def forward(self, x):
        return self.dropout(self.second(self.first(x)))


def test_round_trip_is_exact_and_the_copy_is_in_evaluation_mode(tmp_path):
    model = Tied(4)
    model.count += 4
    save_checkpoint(tmp_path / "deep" / "model", model, {"width": 4})
    again, config = load_checkpoint(tmp_path / "deep" / "model", Tied)
    assert config == {"width": 4}
    assert not again.training
    assert again.count.item() == 7
    x = torch.randn(2, 4)
    assert torch.equal(again(x), model.eval()(x))


class OneBuffer(nn.Module):
    """Weights that are parts of one buffer, as cuDNN makes an LSTM's on a GPU."""

    def __init__(self, flat):
        super().__init__()
        self.lstm = nn.LSTM(2, 3)
        if not flat:
            return
        buffer = torch.cat([parameter.detach().flatten() for parameter in self.lstm.parameters()])
        first = 0
        for parameter in self.lstm.parameters():
            parameter.data = buffer[first : first + parameter.numel()].view(parameter.shape)
            first += parameter.numel()


def test_weights_in_one_buffer_are_kept_each_for_itself(tmp_path):
    model = OneBuffer(flat=True)
    save_checkpoint(tmp_path, model, {"flat": False})
    again, _ = load_checkpoint(tmp_path, OneBuffer)
    for name, weight in model.state_dict().items():
        assert torch.equal(again.state_dict()[name], weight), name
    first, second = list(model.lstm.parameters())[:2]
    assert first.untyped_storage().data_ptr() == second.untyped_storage().data_ptr()  # the model itself is as it was


def test_files_are_safetensors_and_json(tmp_path):
    save_checkpoint(tmp_path, nn.Linear(2, 1), {"in_features": 2, "out_features": 1})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "weights.safetensors"]
    with safe_open(tmp_path / "weights.safetensors", framework="pt") as file:
        assert set(file.keys()) == {"weight", "bias"}
    document = json.loads((tmp_path / "config.json").read_text())
    assert document["config"] == {"in_features": 2, "out_features": 1}
    assert len(document["weights_sha256"]) == 64


def test_a_config_that_json_cannot_hold_leaves_nothing_behind(tmp_path):
    with pytest.raises(TypeError):
        save_checkpoint(tmp_path / "new", nn.Linear(2, 1), {"tensor": torch.ones(1)})
    assert not (tmp_path / "new").exists()


def test_missing_and_changed_files_are_refused(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"holds no config.json: it is not a checkpoint of gnnkit"):
        load_checkpoint(tmp_path, nn.Linear)
    save_checkpoint(tmp_path, nn.Linear(2, 1), {"in_features": 2, "out_features": 1})
    with pytest.raises(ValueError, match=r"do not fit the forecaster that was built"):
        load_checkpoint(tmp_path, lambda in_features, out_features: nn.Linear(in_features + 1, out_features))
    weights = tmp_path / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    with pytest.raises(ValueError, match=r"weights.safetensors is damaged, or not the file that belongs to"):
        load_checkpoint(tmp_path, nn.Linear)


def test_a_later_layout_is_refused(tmp_path):
    save_checkpoint(tmp_path, nn.Linear(2, 1), {"in_features": 2, "out_features": 1})
    write_json(tmp_path / "config.json", read_json(tmp_path / "config.json") | {"format": 99})
    with pytest.raises(ValueError, match="has layout 99"):
        load_checkpoint(tmp_path, nn.Linear)


def test_a_configuration_that_was_changed_is_noticed(tmp_path):
    save_checkpoint(tmp_path, nn.Linear(2, 1), {"in_features": 2, "out_features": 1})
    text = (tmp_path / "config.json").read_text()
    (tmp_path / "config.json").write_text(text.replace('"out_features": 1', '"out_features": 2'))
    with pytest.raises(ValueError, match=r"config.json is damaged \(its checksum does not fit"):
        load_checkpoint(tmp_path, nn.Linear)
    write_json(tmp_path / "config.json", {"format": 1, "weights_sha256": 3, "config": {}})
    with pytest.raises(ValueError, match=r"is not one of gnnkit's, or is damaged: it has no weights_sha256"):
        load_checkpoint(tmp_path, nn.Linear)


@pytest.mark.parametrize("cut_at", range(8))
def test_cut_off_at_any_moment_the_checkpoint_before_or_this_one_is_there(tmp_path, monkeypatch, cut_at):
    import os

    def write(text):
        return {"note": lambda path: path.write_text(text), "folder": lambda path: (path.mkdir(), (path / "a").touch())}

    old, new = nn.Linear(2, 1), nn.Linear(2, 1)
    save_checkpoint(tmp_path, old, {"in_features": 2, "out_features": 1}, write("old"))
    moves = []

    def cut(source, target, real=os.replace):
        if len(moves) == cut_at:
            raise KeyboardInterrupt
        moves.append(target)
        real(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(os, "replace", cut)
        try:
            save_checkpoint(tmp_path, new, {"in_features": 2, "out_features": 1}, write("new"))
        except KeyboardInterrupt:
            pass
        else:
            assert cut_at > 4
    again, _ = load_checkpoint(tmp_path, nn.Linear)
    text = kept_beside(tmp_path, "note").read_text()
    assert torch.equal(again.weight, (new if text == "new" else old).weight)
    assert (text == "new") == (cut_at > 1)
    assert (kept_beside(tmp_path, "folder") / "a").is_file()
    with pytest.raises(FileNotFoundError, match="has no links: it is another kind of model, or of an earlier gnnkit"):
        kept_beside(tmp_path, "links")
    for place in (tmp_path / "folder", new_name(tmp_path / "folder")):
        place.mkdir(exist_ok=True)
        (place / "b").touch()
    with pytest.raises(ValueError, match="folder is damaged, or not the file that belongs to those beside it"):
        kept_beside(tmp_path, "folder")
