"""CONTRIBUTING.md says what there is: its paths lead somewhere, its rooms are the house's, its walks can be walked."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

from gnnkit.cli import main
from gnnkit.data import DATASETS, Dataset, load, simulate_traffic
from gnnkit.data.files import DataFile
from gnnkit.forecasting import FitSettings, fit_windows, settle, train_one
from gnnkit.forecasting.baselines import last_value
from gnnkit.temporal import MODELS, ModelEntry, build_forecaster
from tests.compare import test_widths
from tests.data import test_registry as datasets_of_all
from tests.forecasting import test_fitted
from tests.temporal import test_quantile
from tests.temporal import test_registry as models_of_all
from tests.test_architecture import ALLOWED

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
WALKS = {
    title: section.split("\n## ")[0]
    for title, section in (part.split("\n", 1) for part in TEXT.split("\n### Walk: ")[1:])
}
NAMED = re.findall(r"`([\w.-]+/[\w./-]*)(?:::(\w+))?`", TEXT)


@pytest.mark.parametrize(("path", "test"), sorted(set(NAMED)))
def test_each_path_leads_somewhere(path, test):
    place = next((root for root in (ROOT, ROOT / "gnnkit") if list(root.glob(path.replace("NAME", "*")))), None)
    assert place is not None or path == "site/", f"there is no {path}"
    if test:
        assert f"\ndef {test}(" in (ROOT / path).read_text(encoding="utf-8")


def test_the_rooms_are_those_of_the_house_from_the_top_down():
    rooms = re.findall(r"^\| `(\w+)/` \|", TEXT, re.MULTILINE)
    beside = {room for room in ALLOWED if (ROOT / "gnnkit" / f"{room}.py").is_file()}
    assert rooms == [room for room in reversed(ALLOWED) if room not in beside]
    assert all(f"`{name}.py`" in TEXT for name in beside)


@pytest.mark.parametrize(
    ("walk", "most"),
    [
        ("a forecaster", 3),
        ("a data set", 3),
        ("a finding", 3),
        ("a layer on an existing op", 3),
        ("an op with kernels", 9),
    ],
)
def test_no_walk_touches_more_files_than_it_may(walk, most):
    files = re.findall(r"^(\d+)\. `([^`]+)`: ", WALKS[walk], re.MULTILINE)
    assert [int(number) for number, _ in files] == list(range(1, len(files) + 1))
    assert 3 <= len({path for _, path in files}) == len(files) <= most
    assert "\nTried by `tests/" in WALKS[walk]


def module_of(walk: str, folder: Path):
    """The file that a walk shows, imported, and the text of what it shows for the registry."""
    code, entry = re.findall(r"```python\n(.*?)```", WALKS[walk], re.DOTALL)
    path = folder / f"{walk.split()[-1]}_of_a_walk.py"
    path.write_text(code, encoding="utf-8")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, entry


def listed(capsys) -> str:
    with pytest.raises(SystemExit):
        main(["list"])
    return capsys.readouterr().out


def test_the_walk_of_a_forecaster(tmp_path, capsys):
    module, entry = module_of("a forecaster", tmp_path)
    MODELS["nlinear"] = eval(entry, {"ModelEntry": ModelEntry, "NLinear": module.NLinear})
    try:
        model = build_forecaster("nlinear", in_channels=1, horizon=2, history=3, num_nodes=2)
        with torch.no_grad():
            model.linear.weight.copy_(torch.tensor([[1.0, 0.0, 5.0], [0.0, 2.0, 5.0]]))
            model.linear.bias.copy_(torch.tensor([0.0, 0.5]))
        x = torch.tensor([[1.0, 10.0], [2.0, 20.0], [4.0, 40.0]]).view(1, 3, 2, 1)
        # The last value, and of each step what it is above that: (1 − 4, 2 − 4, 0), (10 − 40, 20 − 40, 0).
        assert model(x).tolist() == [[[4.0 - 3, 40.0 - 30], [4.0 - 4 + 0.5, 40.0 - 40 + 0.5]]]
        # What the tests that walk the registry ask of every model.
        models_of_all.test_each_entry_says_what_it_is_and_builds("nlinear")
        models_of_all.test_the_names_and_their_order()
        models_of_all.test_every_model_keeps_the_contract("nlinear")
        models_of_all.test_nodes_hear_each_other_by_a_graph_or_as_one_vector("nlinear")
        models_of_all.test_a_wrapper_hands_on_what_its_model_is_and_draws_it_anew("nlinear")
        models_of_all.test_every_model_can_read_the_mask("nlinear")
        models_of_all.test_every_model_runs_under_autocast("nlinear")
        test_quantile.test_every_model_gives_quantiles_around_its_own_forecast("nlinear", False)
        test_widths.test_counted_without_numbers_is_counted_with_them("nlinear")
        series = simulate_traffic(num_nodes=5, days=2)
        test_fitted.test_the_loaded_model_gives_the_numbers_of_the_one_in_memory("nlinear", series, tmp_path / "fitted")
        assert re.search(rf"sequence +{re.escape(MODELS['nlinear'].description)}", listed(capsys))
    finally:
        del MODELS["nlinear"]


def test_the_rival_with_fit_and_predict(tmp_path):
    section = TEXT.split("### A rival with fit and predict\n")[1].split("\n### ")[0]
    (tmp_path / "drift.py").write_text(re.findall(r"```python\n(.*?)```", section, re.DOTALL)[0])
    settings, series, _ = settle(FitSettings(horizons=[2], device="cpu"), simulate_traffic(num_nodes=4, days=1))
    training = settings.training_settings(seed=0)
    trained = train_one(settings, series, f"{tmp_path / 'drift.py'}:Drift", training, own={"damping": 0.0})
    assert torch.equal(trained.predicted["test"], last_value(series, fit_windows(settings, series).test))
    assert trained.forecaster.rival.change.shape == (2, 4)


def test_the_walk_of_a_data_set(tmp_path, capsys, monkeypatch):
    module, entry = module_of("a data set", tmp_path)
    names = {"Dataset": Dataset, "DataFile": DataFile, "read_two_towns": module.read_two_towns}
    DATASETS["two-towns"] = eval(entry, names)
    monkeypatch.delenv("GNNKIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    try:
        datasets_of_all.test_each_record_says_whose_the_data_are_and_loads_or_says_what_it_needs(
            DATASETS["two-towns"], tmp_path
        )
        rows = [f"2020-01-01 {hour:02}:00,{hour},{-hour}" for hour in range(10)]
        (tmp_path / "towns.csv").write_text("\n".join(["time,north,south", *rows]))
        series = load("two-towns", tmp_path)
        assert series.values[:3, :, 0].tolist() == [[0.0, 0.0], [1.0, -1.0], [2.0, -2.0]]
        assert (series.node_names, series.unit, series.season) == (("north", "south"), "°C", 24)
        assert series.edge_index.tolist() == [[0, 1], [1, 0]]
        assert load("two-towns", tmp_path, both_ways=False).edge_index.tolist() == [[0], [1]]
        assert DATASETS["two-towns"].description in listed(capsys)
    finally:
        del DATASETS["two-towns"]
