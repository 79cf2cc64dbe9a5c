"""Every kind of file that gnnkit keeps or reads, cut off or with a flipped bit: noticed in a line, or harmless."""

import gzip
import importlib.util
import random
import shutil
import warnings

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.cli import main
from gnnkit.compare import Results, kept_spec
from gnnkit.compare.store import _read_record
from gnnkit.data import read_own
from gnnkit.forecasting import load_fitted
from gnnkit.kept_files import check_claim, read_json
from gnnkit.kept_tensors import load_tensors
from gnnkit.layers import GraphPredictor
from gnnkit.studies.combinations.study import load_runs
from gnnkit.studies.graphs.study import read_rows as read_graph_rows
from gnnkit.studies.nodes.training import _read_rows
from gnnkit.studies.relations.fitted import load_fitted as load_links
from gnnkit.studies.text.study import study_run
from gnnkit.studies.text.writer import CharWriter
from gnnkit.training import Snapshots, load_checkpoint
from tests.cli.test_cut_off import VERBS
from tests.cli.test_cut_off import files as _files

files = _files

_FLIPS = 20
GOOD = {}
"""What the whole files say that a folder is claimed with."""


@pytest.fixture(scope="module")
def kept(files, tmp_path_factory):
    """What each verb keeps, and people's own files."""
    folder = tmp_path_factory.mktemp("kept")
    for verb, words in VERBS.items():
        with pytest.raises(SystemExit) as left:
            main([*words.replace("FILES", str(files)).split(), "--out", str(folder / verb)])
        assert left.value.code == 0, verb
    digest = read_json(folder / "nodes" / "rows.json")["rows"][0]["data_hash"]
    GOOD["nodes"] = {"digest": digest, "run": read_json(folder / "nodes" / "run.json")}
    digest = read_json(folder / "graphs" / "rows.json")["rows"][0]["data_hash"]
    GOOD["graphs"] = {"digest": digest, "run": read_json(folder / "graphs" / "run.json")}
    GOOD["sequence"] = read_json(folder / "sequence" / "recipe.json")
    model = torch.nn.Linear(2, 1)
    snapshots = Snapshots(folder / "snapshot" / "training.safetensors", {"epochs": 3})
    snapshots.save(model, torch.optim.Adam(model.parameters()), {"step": 1})
    own = folder / "own"
    own.mkdir()
    values = pd.DataFrame(np.random.default_rng(0).normal(50, 5, size=(40, 3)).round(2), columns=["a", "b", "c"])
    values.to_csv(own / "series.csv", index=False)
    (own / "series.csv.gz").write_bytes(gzip.compress((own / "series.csv").read_bytes(), mtime=0))
    values.to_parquet(own / "series.parquet")
    np.savez(own / "series.npz", data=values.to_numpy())
    values.to_hdf(own / "series.h5", key="df") if _has_tables() else None
    np.savez(own / "graph.npz", adjacency=np.ones((3, 3)))
    return folder


def _has_tables():
    return importlib.util.find_spec("tables") is not None


def weights(module):
    return {name: tensor.tolist() for name, tensor in module.state_dict().items()}


def of_fitted(folder):
    fitted = load_fitted(folder)
    return weights(fitted), fitted.config["history"], fitted.config["node_names"]


def of_links(folder):
    fitted, extra = load_links(folder)
    return weights(fitted), fitted.names, extra


def of_text(folder):
    writer = CharWriter.load(folder)
    found = study_run(folder, writer, starts=["O"], samples=1, length=60, seed=0)
    return weights(writer.model), found["row"]["val_bits"], found["curve"], found["stages"]


def of_results(folder):
    found = Results.load(folder)
    return found.rows.to_csv(), found.step_errors.to_csv(), found.notes, found.errors.to_json()


def of_job(folder):
    path = folder / "jobs" / "gru-seed0.safetensors"
    tensors = load_tensors(path)[1]
    return _read_record(path), {name: tensor.tolist() for name, tensor in tensors.items()}


def of_snapshot(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = Snapshots(folder / "training.safetensors", {"epochs": 3}).read()
    assert found is not None
    return found[1], {name: tensor.tolist() for name, tensor in found[2].items()}


def of_nodes(folder):
    table = _read_rows(folder / "rows.json", GOOD["nodes"]["digest"])
    check_claim(folder, "run.json", GOOD["nodes"]["run"], "a run", finished=lambda: True)
    return table.to_csv()


def of_graphs(folder):
    table = read_graph_rows(folder / "rows.json", GOOD["graphs"]["digest"])
    check_claim(folder, "run.json", GOOD["graphs"]["run"], "a run", finished=lambda: True)
    return table.to_csv()


def of_predictions(folder):
    tensors = load_tensors(folder / "predictions" / "gin-fold0-seed0.safetensors")[1]
    return {name: tensor.tolist() for name, tensor in tensors.items()}


def of_predictor(folder):
    model, config = load_checkpoint(folder / "model", GraphPredictor)
    return weights(model), config


def of_recipe(folder):
    check_claim(folder, "recipe.json", GOOD["sequence"], "runs", finished=lambda: True)
    return "the same"


#: Verb, a file that it keeps, and what reads it.
KEPT = [
    ("train", "weights.safetensors", of_fitted),
    ("train", "config.json", of_fitted),
    ("relations", "weights.safetensors", of_links),
    ("relations", "links.safetensors", of_links),
    ("relations", "config.json", of_links),
    ("text", "weights.safetensors", of_text),
    ("text", "config.json", of_text),
    ("text", "row.json", of_text),
    ("text", "recipe.json", of_text),
    ("text", "book.txt", of_text),
    ("text", "curve.csv", of_text),
    ("text", "stages/step-1.safetensors", of_text),
    ("nodes", "rows.json", of_nodes),
    ("nodes", "run.json", of_nodes),
    ("graphs", "rows.json", of_graphs),
    ("graphs", "run.json", of_graphs),
    ("graphs", "predictions/gin-fold0-seed0.safetensors", of_predictions),
    ("graphs", "model/weights.safetensors", of_predictor),
    ("graphs", "model/config.json", of_predictor),
    ("sequence", "runs/gru-T3-embedding2-report-seed7.json", load_runs),
    ("sequence", "recipe.json", of_recipe),
    ("compare", "jobs/gru-seed0.safetensors", of_job),
    ("compare", "spec.json", lambda folder: kept_spec(folder).to_json()),
    ("compare", "results.json", of_results),
    ("compare", "rows.csv", of_results),
    ("snapshot", "training.safetensors", of_snapshot),
]


def variants(content, seed):
    draw = random.Random(seed)
    yield from (b"", content[: len(content) // 2], content[:-1], bytes(len(content)), content + b"garbage")
    yield from (b'{"a": 1}', b"[1, 2]", b"null", b"\xff\xfe" + content, draw.randbytes(len(content)))
    for _ in range(_FLIPS):
        flipped = bytearray(content)
        flipped[draw.randrange(len(content))] ^= 1 << draw.randrange(8)
        yield bytes(flipped)


def damaged(kept, tmp_path, name, file, seed):
    folder = tmp_path / name
    shutil.copytree(kept / name, folder)
    content = (folder / file).read_bytes()
    for number, variant in enumerate(variants(content, seed)):
        (folder / file).write_bytes(variant)
        yield folder, number


@pytest.mark.parametrize(("name", "file", "load"), KEPT, ids=[f"{name}-{file}" for name, file, _ in KEPT])
def test_damage_of_a_kept_file_is_noticed_or_harmless(kept, tmp_path, name, file, load):
    good, noticed = repr(load(kept / name)), 0
    for folder, number in damaged(kept, tmp_path, name, file, seed=3):
        try:
            found = repr(load(folder))
        except (ValueError, FileNotFoundError, UserWarning) as error:
            said = str(error).splitlines()
            noticed += len(said) == 1
        else:
            assert found == good, number
    assert noticed >= _FLIPS // 2


OWN = ["series.csv", "series.csv.gz", "series.parquet", "series.npz", "series.h5", "graph.npz"]


@pytest.mark.parametrize("file", OWN)
def test_damage_of_a_file_of_ones_own_is_an_error_of_one_line_or_a_series(kept, tmp_path, file):
    if not (kept / "own" / file).exists():
        pytest.skip("PyTables is not there")
    said = []
    for folder, _ in damaged(kept, tmp_path, "own", file, seed=4):
        graph = folder / file if file == "graph.npz" else None
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                read_own(folder / ("series.csv" if graph else file), graph)
            except ValueError as error:
                said.append(str(error))
    assert all(said)
