from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.data import GraphSeries, chronological_split, los_loop, make_windows, read_own, simulate_traffic
from gnnkit.data.defaults import Inferred, infer_settings, series_remarks
from tests.data.strangers import STRANGERS


def make(rows, nodes=3, *, values=None, edges=True, **other):
    if values is None:
        values = np.random.default_rng(0).normal(size=(rows, nodes))
    return GraphSeries(
        name="own",
        values=torch.from_numpy(np.asarray(values)).float().reshape(rows, -1, 1),
        edge_index=torch.tensor([[0], [1]]) if edges else torch.zeros(2, 0, dtype=torch.int64),
        edge_weight=torch.ones(1 if edges else 0),
        node_names=tuple(str(node) for node in range(np.asarray(values).reshape(rows, -1).shape[1])),
        split=chronological_split(rows),
        **other,
    )


def plain(inferred: Inferred):
    return inferred.history, inferred.horizons, inferred.season, inferred.reach_back


def test_the_known_data_sets_keep_their_settings(data_root):
    for series in (los_loop(data_root), simulate_traffic(num_nodes=4)):
        assert plain(infer_settings(series)) == (12, (3, 6, 12), 288, False)


@pytest.mark.parametrize(
    ("minutes", "unit", "season", "rows", "expected"),
    [
        (5.0, "", 288, 2000, (12, (3, 6, 12), 288, False)),
        (15.0, "", 96, 2000, (12, (3, 6, 12), 96, False)),
        (30.0, "", 48, 2000, (24, (6, 12, 24), 48, False)),
        (60.0, "", 24, 744, (24, (6, 12, 24), 24, False)),
        (360.0, "", 4, 2000, (12, (1, 2, 4), 4, False)),
        (1440.0, "", 7, 1000, (14, (1, 4, 7), 7, False)),
        (10080.0, "", 52, 520, (12, (1, 2, 4), 52, False)),
        (None, "month", 12, 300, (12, (1, 3, 6), 12, False)),
        (None, "month", 12, 60, (12, (1, 2, 3), 12, True)),
        (None, "quarter", 4, 120, (8, (1, 2, 4), 4, True)),
        (None, "year", None, 50, (6, (1, 2), None, True)),
        (None, "weekday", 5, 1000, (10, (1, 3, 5), 5, False)),
        (None, "", None, 1000, (12, (3, 6, 12), None, False)),
        (None, "", None, 60, (12, (1, 2, 3), None, True)),
        (10080.0, "", 52, 60, (12, (1, 2, 3), None, True)),  # no year of training rows
        (None, "", None, 12, (2, (1,), None, True)),
        (None, "", None, 5, (1, (1,), None, True)),
    ],
)
def test_settings_follow_the_step_and_the_length(minutes, unit, season, rows, expected):
    series = make(rows, step_minutes=minutes, step_unit=unit, season=season)
    inferred = infer_settings(series)
    assert plain(inferred) == expected
    windows = make_windows(
        series, history=inferred.history, horizon=max(inferred.horizons), reach_back=inferred.reach_back
    )
    assert min(len(windows.train), len(windows.val), len(windows.test)) >= 1
    assert all(sentence.endswith(".") for sentence in inferred.sentences)


def test_sentences_say_what_and_why():
    inferred = infer_settings(make(60, edges=False))
    assert inferred.sentences == (
        "The time from row to row is not known: models see 12 rows of history, and are scored 1, 2 and 3 steps ahead.",
        "The usual 12 rows and 12 steps are too many for 42 training, 6 validation and 12 test rows.",
        "With 6 validation and 12 test rows, their first histories reach back into the rows before them; "
        "no target does.",
        "No season is known, and the training rows show none: seasonal baselines have nothing to go by.",
        "There is no graph, so graph models see each node by itself, save those that learn a graph: give one "
        "(graph), or what one can be made of (places, or graph_from = correlation).",
    )
    short = infer_settings(make(60, step_minutes=10080.0, season=52))
    assert short.sentences[0].startswith("A row is a week: models see 12 rows")
    assert (
        "The season of 52 rows is left out: it is longer than the 42 training rows, so no value of the season before "
        "is known."
    ) in short.sentences
    weekly = infer_settings(make(520, step_minutes=10080.0, season=52))
    assert weekly.sentences[1:] == (
        "The season is 52 rows, 52 weeks.",
        "Node '2' has no edge in the graph: graph models see it by itself.",
    )
    assert infer_settings(make(300, step_unit="month", season=12)).sentences[0].startswith("A row is a month: ")
    looped = replace(make(60), edge_index=torch.tensor([[0, 1], [0, 1]]), edge_weight=torch.ones(2))
    assert "There is no graph" in infer_settings(looped).sentences[-1]


def test_a_season_is_found_in_the_training_rows_alone():
    rows, rng = np.arange(400), np.random.default_rng(0)
    wave = np.sin(2 * np.pi * rows / 24)[:, None] * [1.0, -2.0, 3.0] + rng.normal(size=(400, 3)) + 0.05 * rows[:, None]
    wave[rng.random((400, 3)) < 0.2] = np.nan
    inferred = infer_settings(make(400, values=wave))
    assert inferred.season == 24
    assert any("The season is 24 rows: the training rows repeat" in sentence for sentence in inferred.sentences)
    wave[: int(0.7 * 400)] = rng.normal(size=(280, 3))
    assert infer_settings(make(400, values=wave)).season is None
    scaled = np.sin(2 * np.pi * rows / 10)[:, None] * [1e-6, 1.0, 1e9]
    assert infer_settings(make(400, values=scaled)).season == 10


@pytest.mark.parametrize("kind", ["noise", "walks", "one walk", "constant", "missing"])
def test_no_season_is_made_up(kind):
    found = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=(200, 4))
        walk = noise.cumsum(axis=0)
        values = {
            "noise": noise,
            "walks": walk,
            "one walk": walk[:, :1] + 0.1 * noise,
            "constant": np.full((200, 4), 7.0),
            "missing": np.where(np.arange(200)[:, None] < 3, 1.0, np.nan) * np.ones(4),
        }[kind]
        found += infer_settings(make(200, values=values)).season is not None
    assert found <= 1


def test_what_is_given_is_kept():
    series = make(60)
    assert plain(infer_settings(series, history=5, horizons=(1, 6))) == (5, (1, 6), None, True)
    assert infer_settings(make(1000), history=30).horizons == (3, 6, 12)
    assert not infer_settings(make(1000), history=30).reach_back
    with pytest.raises(ValueError, match="history=40 and horizon=3: own has 42 training rows, and a window needs 43"):
        infer_settings(series, history=40)
    with pytest.raises(ValueError, match="own: 1 training row is too few"):
        infer_settings(make(3))


@pytest.mark.parametrize(
    ("name", "shape", "edges", "expected"),
    [
        ("weekly-cases", (520, 20), True, (12, (1, 2, 4), 52, False)),
        ("brain-regions", (60, 129), True, (12, (1, 2, 3), None, True)),
        ("air-quality", (744, 675), False, (24, (6, 12, 24), 24, False)),
    ],
)
def test_a_stranger_s_files(tmp_path, name, shape, edges, expected):
    series = read_own(*STRANGERS[name](tmp_path))
    assert (series.num_rows, series.num_nodes) == shape
    assert bool(series.edge_index.size(1)) is edges
    assert plain(infer_settings(series)) == expected
    if name == "weekly-cases":
        assert (series.step_minutes, series.start) == (10080.0, pd.Timestamp("2015-01-05"))
        assert (series.values == series.values.round()).all()
    if name == "air-quality":
        assert series.start == pd.Timestamp("2024-01-01")
        assert series.values[100:103].isnan().all()
        assert series.node_names[0] == "S0000"


def test_nodes_without_edges_or_training_values_and_notes_are_named():
    values = np.random.default_rng(0).normal(size=(100, 8))
    values[:75, [2, 4]] = np.nan
    series = make(100, values=values, notes=("series.csv: '-' (1 ×) is read as missing.",))
    assert series_remarks(series) == [
        "series.csv: '-' (1 ×) is read as missing.",
        "2 of 8 nodes (2, 4) have no value in the training rows: what is forecast for them is a guess.",
        "6 of 8 nodes (2, 3, 4, 5, 6, …) have no edge in the graph: graph models see each of them by itself.",
    ]
    assert infer_settings(series).sentences[-3:] == tuple(series_remarks(series))
    alone = replace(series, edge_index=torch.tensor([[0, 3], [0, 3]]), edge_weight=torch.ones(2))  # loops join nothing
    assert series_remarks(alone)[-1].startswith("There is no graph")
