"""Registries: what code, installed packages and files add to them, from a package that is made here."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gnnkit._registry import Registry, UnknownName
from gnnkit.data import DATASETS, GraphSeries
from gnnkit.temporal import MODELS, build_forecaster

ROOT = Path(__file__).parents[1]

MODEL = """
import torch
from torch import nn
from sizes import WIDTH


class LastPlusBias(nn.Module):
    \"\"\"The last value, and a bias a step.\"\"\"

    uses_graph = False

    def __init__(self, horizon, history, *, start=0.0):
        super().__init__()
        self.bias = nn.Parameter(torch.full((horizon, WIDTH), start))

    def forward(self, x, edge_index=None, edge_weight=None, *, mask=None, target=None, progress=None):
        return x[:, -1:, :, 0] + self.bias


class Hears(LastPlusBias):
    \"\"\"The same, and a graph.\"\"\"

    uses_graph = True


broken = 3
"""
DATA = """
from gnnkit.data import simulate_traffic


def two_roads(*, days: int = 1):
    \"\"\"Two roads.\"\"\"
    return simulate_traffic(2, days)


def nothing():
    return None
"""
POINTS = """
[gnnkit.forecasters]
last-plus-bias = roads.models:LastPlusBias
gru = roads.models:Hears
absent = roads.models:Absent

[gnnkit.datasets]
two-roads = roads.data:two_roads
"""
RUN = """
import warnings
warnings.simplefilter("ignore")
from gnnkit.compare import make_spec, run
from gnnkit.forecasting import FitSettings, train_forecaster

small = {"data": "two-roads", "data_options": {"days": 2}, "epochs": 1, "horizons": [2], "device": "cpu"}
results = run(make_spec(models=["last-plus-bias", "roads.models:Hears"], seeds=[0], rivals=False, **small))
print(results.models[-2:], results.data.nodes, results.failures)
fitted = train_forecaster("roads.models:Hears", FitSettings(**small), {"start": 0.25})
print(fitted.config["model"], fitted.config["data"])
"""


@pytest.fixture
def package(tmp_path):
    """A package that is installed as pip would install it, and the folder around it."""
    folder = tmp_path / "roads"
    folder.mkdir()
    (folder / "__init__.py").write_text("")
    (folder / "models.py").write_text(MODEL.replace("from sizes", "from roads.sizes"))
    (folder / "sizes.py").write_text("WIDTH = 1\n")
    (folder / "data.py").write_text(DATA)
    about = tmp_path / "roads-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: roads\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(POINTS)
    return tmp_path


@pytest.fixture
def fresh(package, monkeypatch):
    """Registries that have not looked at entry points yet, with the package where Python finds it."""
    monkeypatch.syspath_prepend(str(package))
    models = Registry(MODELS.kind, MODELS.make, group=MODELS.group, records=[MODELS["gru"], MODELS["tgcn"]])
    sets = Registry(DATASETS.kind, DATASETS.make, group=DATASETS.group, records=[DATASETS["simulated"]])
    yield models, sets
    for name in [name for name in sys.modules if name.split(".")[0] == "roads"]:
        del sys.modules[name]


def test_an_installed_package_adds_models_and_data_sets(fresh):
    models, sets = fresh
    with pytest.warns(UserWarning, match="model 'absent': the entry point 'roads.models:Absent' cannot be used"):
        assert list(models) == ["gru", "tgcn", "last-plus-bias"]
    entry = models["last-plus-bias"]
    assert (entry.family, entry.description, entry.settings) == (
        "sequence",
        "The last value, and a bias a step",
        {"start": 0.0},
    )
    assert models["gru"] is MODELS["gru"]  # gnnkit's own is not replaced
    with pytest.raises(UnknownName, match=r"^model 'absent': the entry point .* \(AttributeError: .*\)$"):
        models["absent"]
    assert list(sets) == ["simulated", "two-roads"]
    series = sets["two-roads"].load(days=2)
    assert isinstance(series, GraphSeries)
    assert (series.num_nodes, series.num_rows) == (2, 576)
    with pytest.raises(ValueError, match="days='x': give a whole number"):
        sets["two-roads"].load(days="x")


def test_a_module_and_a_file_name_a_class(package, fresh, monkeypatch):
    assert MODELS["roads.models:Hears"].family == "graph"
    assert "roads.models:Hears" not in list(MODELS)  # it is found, and not listed
    (package / "net.py").write_text(MODEL)
    (package / "sizes.py").write_text("WIDTH = 1\n")  # beside it, as for a script
    name = f"{package / 'net.py'}:LastPlusBias"
    sizes: dict[str, Any] = {"in_channels": 1, "horizon": 3, "history": 6, "num_nodes": 2}
    model: Any = build_forecaster(name, **sizes, start=0.5)
    assert model.bias.tolist() == [[0.5]] * 3
    assert MODELS[name] is MODELS[name]
    monkeypatch.chdir(package)
    assert type(build_forecaster("net.py:LastPlusBias", **sizes)) is type(model)
    assert DATASETS[f"{package / 'roads' / 'data.py'}:two_roads"].load().num_nodes == 2
    assert DATASETS["roads.data:two_roads"].load().num_nodes == 2
    with pytest.raises(
        ValueError, match=r"data set 'roads.data:nothing' gives a NoneType, and should give a GraphSeries"
    ):
        DATASETS["roads.data:nothing"].load()


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("{0}/net.py:Net", r"net.py has no 'Net'; "),
        ("{0}/none.py:Net", r"none.py cannot be imported \(FileNotFoundError: there is no file .*none.py\)$"),
        ("{0}/wrong.py:Net", r"wrong.py cannot be imported \(ZeroDivisionError: division by zero\)$"),
        ("no.such.module:Net", r"no.such.module cannot be imported \(ModuleNotFoundError: No module named 'no'\)$"),
        ("{0}/net.py:broken", r"net.py:broken' is 3, and should be a class of torch.nn.Module"),
        ("{0}/net.py", r"net.py' is a file; name the class or function in it, as .*net.py:NAME$"),
        ("{0}/net.py:LastPlusBia", r"has no 'LastPlusBia'; did you mean 'LastPlusBias'\?"),
    ],
)
def test_a_place_that_has_none_says_why_in_a_line(name, message, package):
    (package / "net.py").write_text(MODEL)
    (package / "sizes.py").write_text("WIDTH = 1\n")
    (package / "wrong.py").write_text("1 / 0\n")
    name = name.format(package)
    assert name not in MODELS
    with pytest.raises(ValueError, match=message) as caught:
        MODELS[name]
    assert "\n" not in str(caught.value)
    assert isinstance(caught.value, KeyError)


def test_files_of_two_folders_import_each_what_lies_beside_it(tmp_path):
    folders = {"one": 1, "two": 2, "three": 3}
    for folder, width in folders.items():
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "sizes.py").write_text(f"WIDTH = {width}\n")
        for file in ("net.py", "again.py"):
            (tmp_path / folder / file).write_text(MODEL)
    for file in ("net.py", "again.py"):
        for folder, width in folders.items():
            build = MODELS[f"{tmp_path / folder / file}:LastPlusBias"].build
            assert build(horizon=2, history=1).bias.shape == (2, width)


@pytest.mark.slow
def test_what_a_package_adds_is_compared_and_trained_by_its_name(package):
    environment = {**os.environ, "PYTHONPATH": f"{package}{os.pathsep}{ROOT}"}
    done = subprocess.run([sys.executable, "-c", RUN], capture_output=True, text=True, timeout=300, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["['last-plus-bias', 'roads.models:Hears'] 2 []", "roads.models:Hears simulated"]


def test_a_registry_shows_its_kind_and_its_names():
    registry = Registry("data set", lambda name, value: value, group="none", records=[DATASETS["simulated"]])
    assert repr(registry) == "Registry('data set', ['simulated'])"
    assert repr(registry.keys()) == "KeysView(Registry('data set', ['simulated']))"


def test_first_records_that_stand_elsewhere_are_imported_with_the_first_look(tmp_path, monkeypatch):
    code = "from gnnkit.data import DATASETS\nRECORDS = [DATASETS['simulated'], DATASETS['los-loop']]\n"
    (tmp_path / "first_records.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("data set", lambda name, value: value, group="none", records="first_records:RECORDS")
    assert "first_records" not in sys.modules
    assert registry.names() == ["simulated", "los-loop"]
    del registry["los-loop"]
    assert registry.is_first("simulated")
    assert list(registry) == ["simulated"]
    sys.modules.pop("first_records")
