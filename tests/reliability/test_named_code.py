"""Folders that name code: it runs where the user says so, and nowhere else."""

import json

import pandas as pd
import pytest

from gnnkit.cli import main
from gnnkit.compare import Results, kept_spec
from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, Forecaster, load_fitted, save_fitted, train_forecaster
from gnnkit.kept_files import read_json, sha256_of, write_json
from gnnkit.temporal import MODELS


@pytest.fixture
def evil(tmp_path, monkeypatch):
    """A file that says that it ran, and the name of a class in it."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "evil.py").write_text(
        "from pathlib import Path\nPath('ran').write_text('')\n\n\nclass Net:\n    pass\n"
    )
    yield "evil.py:Net"
    assert not (tmp_path / "ran").exists()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A fitted forecaster and a comparison, each in a folder."""
    folder = tmp_path_factory.mktemp("made")
    settings = FitSettings(epochs=1, horizons=[2], history=4, device="cpu")
    save_fitted(train_forecaster("dlinear", settings, series=simulate_traffic(num_nodes=3, days=1)), folder / "fitted")
    words = "compare --data-option num_nodes=4 --data-option days=2 --epochs 1 --horizon 2 --history 3 --models gru"
    more = f"--hidden 2 --device cpu --batch-size 200 --seeds 0, --resamples 100 --out {folder / 'cmp'}"
    with pytest.raises(SystemExit) as left:
        main([*words.split(), *more.split()])
    assert left.value.code == 0
    return folder


def renamed(source, target, name, of="dlinear"):
    """A copy of a folder in which a model has another name, with all checksums right."""
    target.mkdir()
    for path in source.iterdir():
        if path.is_file():
            (target / path.name).write_bytes(path.read_bytes().replace(of.encode(), name.encode()))
    for path in target.glob("*.json"):
        document = json.loads(path.read_text())
        for key, file in (("rows_sha256", "rows.csv"), ("weights_sha256", "weights.safetensors")):
            if key in document:
                document[key] = sha256_of(target / file)
        write_json(path, document)
    return target


SAID = r"its (model|data set) is the code of {}, which reading it would run; where you trust it, say trust_code=True"


def test_a_fitted_folder_that_names_code_does_not_run_it(evil, made, tmp_path, capsys):
    folder = renamed(made / "fitted", tmp_path / "fitted", evil)
    for load in (load_fitted, Forecaster.load):
        with pytest.raises(ValueError, match=SAID.format(evil)):
            load(folder)
    (tmp_path / "s.csv").write_text("a\n1\n")
    for words in ("evaluate fitted", "forecast fitted --series s.csv", "export fitted --out a.pt2", "serve fitted"):
        with pytest.raises(SystemExit) as left:
            main(words.split())
        assert left.value.code == 2, words
        assert "--trust-code" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["evil:Net", "os:system", "subprocess:run", "evil.py:Net"])
def test_no_module_is_imported_because_a_folder_names_it(evil, made, tmp_path, monkeypatch, place):
    monkeypatch.syspath_prepend(str(tmp_path))
    folder = renamed(made / "fitted", tmp_path / "fitted", "gru")
    config = read_json(folder / "config.json")
    config["config"] |= {"place": place, "settings": {"args": ["touch", "ran"]}}
    write_json(folder / "config.json", config)
    with pytest.raises(ValueError, match=SAID.format(place)):
        load_fitted(folder)


def test_a_data_set_that_a_folder_names_is_not_imported(evil, made, tmp_path):
    folder = renamed(made / "fitted", tmp_path / "fitted", "dlinear")
    config = read_json(folder / "config.json")
    config["config"]["spec"]["data"] = "evil.py:roads"
    write_json(folder / "config.json", config)
    with pytest.raises(ValueError, match=SAID.format("evil.py:roads")):
        load_fitted(folder)


def test_a_comparison_that_names_code_does_not_run_it(evil, made, tmp_path, capsys):
    folder = renamed(made / "cmp", tmp_path / "cmp", evil, of="gru")
    with pytest.raises(ValueError, match=SAID.format(evil)):
        kept_spec(folder)
    for words in ("report cmp --judge", "compare --resume cmp"):
        with pytest.raises(SystemExit) as left:
            main(words.split())
        assert left.value.code == 2, words
        assert "--trust-code" in capsys.readouterr().err


def test_a_report_is_drawn_without_the_code_of_its_models(evil, made, tmp_path):
    folder = renamed(made / "cmp", tmp_path / "cmp", evil, of="gru")
    found = Results.load(folder)
    assert evil in set(pd.read_csv(folder / "rows.csv")["model"])
    with pytest.raises(SystemExit) as left:
        main(["report", str(folder), "--out", str(tmp_path / "again")])
    assert left.value.code == 0
    assert evil in (tmp_path / "again" / "report.md").read_text()
    assert found is not None


def test_code_that_was_imported_runs_without_a_word(tmp_path, made):
    file = tmp_path / "mine.py"
    file.write_text("from gnnkit.temporal import DLinear\n\n\nclass Mine(DLinear):\n    pass\n")
    name = f"{file}:Mine"
    assert not MODELS.is_loaded(name)
    assert MODELS.is_loaded("gru")
    assert MODELS.is_loaded("nowhere")
    settings = FitSettings(epochs=1, horizons=[2], history=12, device="cpu")
    fitted = train_forecaster(name, settings, series=simulate_traffic(num_nodes=3, days=1))
    assert MODELS.is_loaded(name)
    assert load_fitted(save_fitted(fitted, tmp_path / "fitted")).config["model"] == name
    file.write_text(file.read_text() + "# edited\n")
    with pytest.raises(ValueError, match="which reading it would run"):
        load_fitted(tmp_path / "fitted")
    assert load_fitted(tmp_path / "fitted", trust_code=True).config["model"] == name
