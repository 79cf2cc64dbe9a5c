import shutil

import pandas as pd
import pytest
import torch

from gnnkit.data import DATASETS, load, los_loop, simulate_traffic, traffic


@pytest.fixture
def elsewhere(tmp_path, monkeypatch):
    """No data folder, no user's cache, and a source that refuses to answer."""
    monkeypatch.delenv("GNNKIT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(traffic, "LOS_LOOP_URL", "http://127.0.0.1:9/")
    return tmp_path


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


def test_download_is_checked_and_kept(data_root, elsewhere, monkeypatch):
    monkeypatch.setattr(traffic, "LOS_LOOP_URL", (data_root / "losloop").resolve().as_uri() + "/")
    digest = los_loop(elsewhere / "mine").digest()
    assert sorted(path.name for path in (elsewhere / "mine/losloop").iterdir()) == ["los_adj.csv", "los_speed.csv"]
    monkeypatch.setattr(traffic, "LOS_LOOP_URL", "http://127.0.0.1:9/")
    assert los_loop(elsewhere / "mine").digest() == digest
    wrong = elsewhere / "wrong"
    wrong.mkdir()
    for name in traffic.LOS_LOOP_FILES:
        (wrong / name).write_text("not found")
    monkeypatch.setattr(traffic, "LOS_LOOP_URL", wrong.as_uri() + "/")
    with pytest.raises(ValueError, match="SHA-256"):
        los_loop(elsewhere / "empty")
    assert not (elsewhere / "empty").exists()


def test_without_a_network_the_message_says_where_to_put_the_files(elsewhere):
    with pytest.raises(
        FileNotFoundError, match=r"put los_speed.csv and los_adj.csv into '.*cache/gnnkit/losloop'"
    ) as caught:
        los_loop()
    assert "\n" not in str(caught.value)
    assert "GNNKIT_DATA" in str(caught.value)


def test_load_by_name():
    assert load("simulated", num_nodes=3, days=1, seed=2).digest() == simulate_traffic(3, 1, 2).digest()
    assert list(DATASETS) == ["simulated", "los-loop", "metr-la", "pems-bay"]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("loss-loop", {}, "did you mean 'los-loop'"),
        ("Simulate", {}, "did you mean 'simulated'"),
        ("simulated", {"nodes": 3}, "nodes=3: data set 'simulated' takes num_nodes, days, seed"),
        ("los-loop", {"seed": 3}, "seed=3: data set 'los-loop' takes no options"),
        ("simulated", {"root": "x"}, "root='x': the simulated network"),
    ],
)
def test_load_refuses(name, options, message):
    with pytest.raises(ValueError, match=message):
        load(name, **options)
