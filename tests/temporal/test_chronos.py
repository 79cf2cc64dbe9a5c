"""Chronos: what is handed to its library and what comes back; with the library itself, where it is installed."""

import json
import sys
from types import ModuleType, SimpleNamespace

import numpy as np
import pytest
import torch

from gnnkit.temporal import MODELS
from gnnkit.temporal.chronos import Chronos
from tests.temporal.rivals import made, parts

ROWS, NODES = 120, 3


class Pipeline:
    """The interface of its pipelines: it forecasts the last seen value and the number of the step."""

    inner_model = torch.nn.Linear(3, 2)
    forecast_type = SimpleNamespace(name="QUANTILES")
    as_list = False

    def __init__(self):
        self.asked = []

    def predict_quantiles(self, inputs, prediction_length, quantile_levels):
        assert quantile_levels == [0.5]
        self.asked += [each.clone() for each in inputs]
        last = torch.stack([each[~each.isnan()][-1] for each in inputs])
        found = last[:, None, None] + torch.arange(1.0, prediction_length + 1)[:, None]
        return (list(found.unsqueeze(1)) if self.as_list else found), None


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "config.json").write_text("{}")
    return tmp_path / "weights"


@pytest.fixture
def opened(monkeypatch):
    """A library in place of the real one; the list has what was opened, and its pipelines."""
    found = []

    def from_pretrained(path, **options):
        found.append((path, options, Pipeline()))
        return found[-1][2]

    library = ModuleType("chronos")
    library.BaseChronosPipeline = SimpleNamespace(from_pretrained=from_pretrained)
    monkeypatch.setitem(sys.modules, "chronos", library)
    return found


def series():
    values = np.random.default_rng(0).standard_normal((ROWS, NODES)).cumsum(axis=0)
    values[100:115, 1] = np.nan
    return made(values, edges=((0, 1), (1, 2)))


@pytest.mark.parametrize("as_list", [False, True])
@pytest.mark.parametrize("batch", [1, 4, 256])
def test_each_history_is_forecast_from_its_own_values(folder, opened, monkeypatch, as_list, batch):
    monkeypatch.setattr(Pipeline, "as_list", as_list)
    train, val, test = parts(series(), horizon=2)
    found = Chronos(path=str(folder), batch=batch)
    found.fit(train, val)
    predicted = found.predict(test)
    last = test.filled[:, -1, :, 0]
    np.testing.assert_allclose(predicted, np.stack([last + 1, last + 2], axis=1), rtol=0, atol=1e-6)
    ((path, options, pipeline),) = opened
    assert path == folder
    assert options == {"device_map": "cpu", "dtype": "float32", "local_files_only": True}
    assert len(pipeline.asked) == len(test) * NODES
    history = torch.stack(pipeline.asked).view(len(test), NODES, -1).transpose(1, 2).numpy()
    unseen = np.isnan(test.x[..., 0]).all(axis=1)  # [W, N]
    assert unseen.any()
    wanted = np.where(unseen[:, None], test.filled[..., 0], test.x[..., 0])
    np.testing.assert_array_equal(history, wanted)
    assert np.isnan(history).any()  # other gaps stay gaps
    assert found.num_parameters == 8


def test_a_lead_is_stepped_over(folder, opened):
    windows = SimpleNamespace(x=np.ones((1, 4, 1, 1)), filled=np.ones((1, 4, 1, 1)), lead=3, horizon=2)
    assert Chronos(path=str(folder)).predict(windows).ravel().tolist() == [4.0, 5.0]


def test_it_comes_back_from_its_file(folder, opened, tmp_path):
    Chronos(path=str(folder), batch=7).save(tmp_path)
    again = Chronos.load(tmp_path)
    assert (again.path, again.batch, again.device) == (folder, 7, "cpu")


def test_the_registry_knows_it():
    entry = MODELS["chronos"]
    assert (entry.family, entry.fits_itself, entry.is_deterministic, entry.sees_target_alone) == (
        "sequence",
        True,
        True,
        True,
    )
    with pytest.raises(ValueError, match=r"^model 'chronos' needs a value for path, .*--set 'chronos.path=…'"):
        entry.make({}, {})


def test_what_cannot_be_opened_is_said_in_a_line(folder, opened, monkeypatch):
    with pytest.raises(
        ValueError, match=r"^model 'chronos': path='.*nowhere' is no folder with a config.json; give the one that holds"
    ):
        Chronos(path="nowhere")
    with pytest.raises(ValueError, match="batch must be a whole number of at least 1, got 0"):
        Chronos(path=str(folder), batch=0)
    monkeypatch.setattr(Pipeline, "forecast_type", SimpleNamespace(name="SAMPLES"))
    with pytest.raises(ValueError, match=r"holds a Chronos that draws samples; give Chronos-Bolt or Chronos-2, which"):
        Chronos(path=str(folder)).fit(None, None)

    def broken(path, **options):
        raise OSError("no file named model.safetensors\nand more")

    monkeypatch.setattr(sys.modules["chronos"].BaseChronosPipeline, "from_pretrained", broken)
    with pytest.raises(ValueError, match=r"weights of Chronos that can be read: no file named model.safetensors$"):
        Chronos(path=str(folder)).fit(None, None)


def test_without_the_library(folder, monkeypatch):
    monkeypatch.setitem(sys.modules, "chronos", None)
    with pytest.raises(ImportError, match=r"^model 'chronos' needs chronos, .*: pip install \"gnnkit\[chronos\]\"$"):
        MODELS["chronos"].check_installed()
    with pytest.raises(ImportError, match=r"^model 'chronos' needs chronos, "):
        Chronos(path=str(folder)).fit(None, None)


@pytest.mark.parametrize("kind", ["bolt", "2"])
def test_a_tiny_model_of_the_library_itself(tmp_path, kind):
    """Randomly initialised weights of the published classes, kept and opened as the published ones are."""
    chronos = pytest.importorskip("chronos")
    transformers = pytest.importorskip("transformers")

    torch.manual_seed(0)
    levels = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]
    shape = {"d_model": 8, "d_kv": 4, "d_ff": 8, "num_layers": 1, "num_heads": 2, "vocab_size": 2, "reg_token_id": 1}
    own = {"context_length": 64, "input_patch_size": 4, "input_patch_stride": 4, "quantiles": levels}
    if kind == "bolt":
        bolt = pytest.importorskip("chronos.chronos_bolt")
        own |= {"prediction_length": 8, "use_reg_token": True}
        shape |= {"num_decoder_layers": 1, "decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 1}
        config = transformers.T5Config(**shape, chronos_config=own, chronos_pipeline_class="ChronosBoltPipeline")
        model = bolt.ChronosBoltModelForForecasting(config)
    else:
        second = pytest.importorskip("chronos.chronos2.config")
        own |= {"output_patch_size": 4, "max_output_patches": 2, "use_reg_token": True, "use_arcsinh": True}
        own |= {"time_encoding_scale": 64}
        config = second.Chronos2CoreConfig(**shape, chronos_config=own, chronos_pipeline_class="Chronos2Pipeline")
        model = chronos.Chronos2Model(config)
    model.eval().save_pretrained(tmp_path)
    said = json.loads((tmp_path / "config.json").read_text())
    assert said["chronos_pipeline_class"] == config.chronos_pipeline_class

    train, val, test = parts(series(), horizon=3)
    found = Chronos(path=str(tmp_path))
    found.fit(train, val)
    predicted = found.predict(test)
    assert found.num_parameters == sum(parameter.numel() for parameter in model.parameters())
    row, node = 5, 2
    context = torch.from_numpy(test.x[row, :, node, 0].copy()).unsqueeze(0)
    with torch.no_grad():
        if kind == "bolt":
            alone = model(context=context).quantile_preds
        else:
            alone = model(context=context, num_output_patches=1).quantile_preds
    np.testing.assert_allclose(predicted[row, :, node], alone[0, levels.index(0.5), :3], rtol=1e-4, atol=1e-5)
    assert np.isfinite(predicted).all()
