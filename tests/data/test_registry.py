"""The data sets by name: each loads or says what it needs, and anyone can add one."""

import dataclasses
import re
import shutil

import pandas as pd
import pytest
import torch

from gnnkit.data import (
    DATASETS,
    Dataset,
    chronological_split,
    files,
    infer_settings,
    load,
    los_loop,
    simulate_traffic,
)
from gnnkit.data.nodes import NODE_DATASETS


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """No data folder, no user's cache, and no network."""
    monkeypatch.delenv("GNNKIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(files, "RETRIES", 0)
    monkeypatch.setattr("requests.get", _no_network)
    return tmp_path


def _no_network(*_, **__):
    raise ConnectionError


@pytest.mark.parametrize("record", [*DATASETS.values(), *NODE_DATASETS.values()], ids=lambda record: record.name)
def test_each_record_says_whose_the_data_are_and_loads_or_says_what_it_needs(record, elsewhere):
    assert record.description
    assert "\n" not in record.description
    assert record.licence
    assert record.source != "not stated"
    assert re.fullmatch(r".+ \(\d{4}.*\)", record.paper)
    for file in record.files:
        assert not file.url or (len(file.sha256) == 64 and file.size > 0)
    if record.name == "simulated":
        assert record.load(num_nodes=2, days=1).num_nodes == 2
        return
    with pytest.raises(FileNotFoundError, match=f"^{record.name}: .* GNNKIT_DATA|OGB's archive") as caught:
        record.load()
    assert "\n" not in str(caught.value)


def test_los_loop(data_root):
    series = los_loop(data_root)
    assert series.values.shape == (2016, 207, 1)
    assert not series.values.isnan().any()
    assert series.edge_index.size(1) == 2833
    loops = series.edge_index[0] == series.edge_index[1]
    assert int(loops.sum()) == 207
    assert (series.edge_weight[loops] == 1).all()
    assert series.node_names[0] == "773869"
    assert (series.start, series.season, series.unit) == (pd.Timestamp("2012-03-01"), 288, "mph")
    assert [len(rows) for rows in series.split.parts.values()] == [1451, 161, 404]
    assert series.split.drop_last_window
    assert series.split.label == "official (1612/404), last 10% of training rows validate"


def test_edges_follow_the_matrix(data_root):
    series = los_loop(data_root)
    matrix = pd.read_csv(data_root / "losloop/los_adj.csv", header=None).to_numpy(dtype="float32")
    dense = torch.zeros(207, 207)
    dense[series.edge_index[0], series.edge_index[1]] = series.edge_weight
    assert torch.equal(dense, torch.from_numpy(matrix))


def test_files_are_found_in_each_place(data_root, elsewhere, monkeypatch):
    digest = los_loop(data_root).digest()
    assert los_loop(data_root / "losloop").digest() == digest
    monkeypatch.setenv("GNNKIT_DATA", str(data_root))
    assert los_loop().digest() == digest == load("los-loop").digest()
    monkeypatch.delenv("GNNKIT_DATA")
    shutil.copytree(data_root / "losloop", elsewhere / "cache/gnnkit/losloop")
    assert los_loop().digest() == digest


def test_files_with_other_content_are_refused(data_root, elsewhere):
    shutil.copytree(data_root / "losloop", elsewhere / "losloop")
    path = elsewhere / "losloop/los_speed.csv"
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"64", b"65", 1))
    with pytest.raises(ValueError, match=r"los_speed.csv': its SHA-256 is .*…, the published file's is 7b732d86ae32…"):
        los_loop(elsewhere)


def test_without_a_network_the_message_says_where_to_put_the_files(elsewhere):
    with pytest.raises(FileNotFoundError) as caught:
        los_loop()
    cache = elsewhere / "cache/gnnkit/losloop"
    assert str(caught.value) == (
        "los-loop: los_speed.csv and los_adj.csv are not on this machine, and https://raw.githubusercontent.com/"
        f"lehaifeng/T-GCN/master/data/los_speed.csv cannot be fetched (ConnectionError); put them into {str(cache)!r}, "
        "or into a folder losloop and set GNNKIT_DATA to the folder around it"
    )


def test_a_registered_series_fills_in_what_its_reader_leaves_open():
    def read():
        """Two roads."""
        return dataclasses.replace(simulate_traffic(3, 2), unit="", season=None, source="")

    record = Dataset("roads", "roads", read, source="a test", unit="km/h", season=12, history=5, horizons=(1, 4))
    series = record.load()
    assert (series.unit, series.season, series.source, series.history, series.horizons) == (
        "km/h",
        12,
        "a test",
        5,
        (1, 4),
    )
    assert (record.of("roads", record), Dataset.of("bare", read).description) == (record, "Two roads")
    inferred = infer_settings(series)
    assert (inferred.history, inferred.horizons, inferred.season) == (5, (1, 4), 12)
    short = dataclasses.replace(series, split=chronological_split(20))
    assert infer_settings(short).horizons == (1,)  # four steps are too many for two validation rows


def test_load_by_name():
    assert load("simulated", num_nodes=3, days=1, seed=2).digest() == simulate_traffic(3, 1, 2).digest()
    assert list(DATASETS)[:4] == ["simulated", "los-loop", "metr-la", "pems-bay"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("loss-loop", {}, "did you mean 'los-loop'"),
        ("Simulate", {}, "unknown data set 'Simulate'; did you mean 'simulated'"),
        ("traffic", {}, "unknown data set 'traffic'; choose from simulated, los-loop, metr-la, pems-bay"),
        ("simulated", {"nodes": 3}, "nodes=3: data set 'simulated' takes num_nodes, days, seed"),
        ("los-loop", {"seed": 3}, "seed=3: data set 'los-loop' takes no options"),
        ("simulated", {"root": "x"}, "root='x': data set 'simulated' is read from no files"),
    ],
)
def test_load_refuses(name, options, message):
    with pytest.raises(ValueError, match=message):
        load(name, **options)
