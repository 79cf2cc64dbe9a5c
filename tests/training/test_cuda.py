"""What is trained on a GPU is kept and read back: every forecaster, and a character LSTM that was cut off."""

import pytest
import torch
from safetensors.torch import load_file

from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, evaluate_forecaster, load_fitted, save_fitted, train_forecaster
from gnnkit.studies.text import training as text
from gnnkit.studies.text.settings import TextSettings
from gnnkit.studies.text.training import train_text
from gnnkit.temporal import MODELS

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


@pytest.mark.parametrize("name", list(MODELS))
def test_every_forecaster(name, tmp_path):
    series = simulate_traffic(6, 4)
    sizes = {"history": 6, "horizons": [1, 3], "hidden_channels": 8, "epochs": 1, "batch_size": 64}
    fitted = train_forecaster(name, FitSettings(device="cuda", **sizes), series=series)
    save_fitted(fitted, tmp_path)
    expected = evaluate_forecaster(fitted, series, device="cuda")
    # cuDNN multiplies in TF32, with ten bits behind the point: 3.6e-4 from the CPU's float32 at most was seen.
    for device, near in (("cuda", 1e-6), ("cpu", 2e-3)):
        found = evaluate_forecaster(load_fitted(tmp_path), series, device=device)
        torch.testing.assert_close(
            torch.tensor(found["value"].to_numpy()), torch.tensor(expected["value"].to_numpy()), rtol=near, atol=near
        )


def test_a_character_lstm_is_cut_off_and_goes_on(tmp_path, monkeypatch):
    book = tmp_path / "book.txt"
    book.write_text("It was the best of times, it was the worst of times. " * 60)
    sizes = {"window": 10, "batch_size": 4, "hidden_channels": 8, "embedding_channels": 4}
    settings = TextSettings(**sizes, steps=30, validate_every=10, checkpoint_every=10, device="cuda")
    whole = train_text(book, settings, tmp_path / "whole")
    make, steps = text.train_step, iter(range(15))

    def cut_off(*given, **options):
        step = make(*given, **options)

        def once(*inputs):
            if next(steps, None) is None:
                raise KeyboardInterrupt
            return step(*inputs)

        return once

    with monkeypatch.context() as patch:
        patch.setattr(text, "train_step", cut_off)
        with pytest.raises(KeyboardInterrupt):
            train_text(book, settings, tmp_path / "cut")
    again = train_text(book, settings, tmp_path / "cut")
    assert whole["device"] == again["device"] == "cuda"
    assert again["val_bits"] == pytest.approx(whole["val_bits"], rel=1e-3)
    one, other = (load_file(tmp_path / name / "weights.safetensors") for name in ("whole", "cut"))
    for name, weight in one.items():
        torch.testing.assert_close(other[name], weight, rtol=1e-3, atol=1e-4)
