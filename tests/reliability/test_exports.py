"""Every forecaster as a program of torch and of ONNX: it agrees with its model, or it says why there is none."""

import pytest

from gnnkit.data import simulate_traffic
from gnnkit.export import ExportError, export_to
from gnnkit.export.forecaster import forecaster_export
from gnnkit.forecasting import FitSettings, train_forecaster
from gnnkit.temporal import MODELS
from tests.reliability.recorded import asked, record

NAMES = [name for name in MODELS.names() if not MODELS[name].fits_itself]
DRAWS = asked("draws", 8)


@pytest.mark.slow
@pytest.mark.parametrize("form", ["torch", "onnx"])
@pytest.mark.parametrize("name", NAMES)
def test_a_program_agrees_with_its_model_or_is_refused(name, form, tmp_path):
    if form == "onnx":
        pytest.importorskip("onnxruntime")
    settings = FitSettings(epochs=1, horizons=[2], history=13, hidden_channels=4, device="cpu")
    fitted = train_forecaster(name, settings, series=simulate_traffic(num_nodes=5, days=1))
    try:
        found = export_to(forecaster_export(fitted), tmp_path / "a", format=form, draws=DRAWS)
    except ExportError as error:
        assert len(str(error).splitlines()) == 1
        record("export", model=name, form=form, draws=0, refused=str(error)[:200])
        assert not list(tmp_path.iterdir())
        return
    checked = found["checked"]
    record("export", model=name, form=form, draws=checked["inputs"], largest=checked["largest_difference"])
    assert checked["inputs"] >= DRAWS
    assert checked["largest_difference"] <= checked["allowed"]
