import dataclasses

import numpy as np
import pytest
import torch

from gnnkit.compare import make_spec
from gnnkit.compare.fold_choice import FOLDS, choose_folds, fold_splits
from gnnkit.compare.folds import settle_folds
from gnnkit.data import GraphSeries, chronological_split

DAY = 24


def hourly(days: float, *, nodes: int = 3, season: int | None = DAY, **more) -> GraphSeries:
    rows = round(days * DAY)
    values = torch.from_numpy(np.random.default_rng(0).normal(size=(rows, nodes, 1)).astype(np.float32))
    return GraphSeries(
        **{
            "name": "hours",
            "values": values,
            "edge_index": torch.tensor([[0], [1]]),
            "edge_weight": torch.ones(1),
            "node_names": tuple(map(str, range(nodes))),
            "split": chronological_split(rows),
            "step_minutes": 60,
            "season": season,
        }
        | more
    )


def spec(**more):
    return make_spec(**{"history": 6, "horizons": [3]} | more)


def test_three_folds_where_the_rows_are_enough_and_each_tests_whole_seasons():
    series = hourly(10)
    final, settled, sentences = settle_folds(spec(), series)
    assert (final.folds, final.reach_back) == (FOLDS, True)
    splits = fold_splits(series.num_rows, FOLDS, 3, DAY)
    assert [split.test for split in splits] == [range(96, 144), range(144, 192), range(192, 240)]
    assert settled.split == splits[0]
    assert "3 folds with rolling origins test the last 60% of the rows, each row once" in sentences[-1]


def test_one_fold_is_the_split_of_the_data_set_and_what_is_asked_for_stays():
    own = chronological_split(240, (0.5, 0.25, 0.25))
    final, settled, sentences = settle_folds(spec(folds=1), hourly(10, split=own))
    assert (final.folds, settled.split) == (1, own)
    assert not [sentence for sentence in sentences if "split" in sentence]
    assert settle_folds(spec(split=(0.6, 0.2, 0.2)), hourly(10))[0].folds == 1
    assert settle_folds(spec(folds=5), hourly(10))[0].folds == 5


def test_forecasts_made_elsewhere_are_of_one_split(tmp_path):
    np.savez(tmp_path / "theirs.npz", forecasts=np.zeros((1, 3, 3)))
    assert choose_folds(spec(forecasts={"theirs": tmp_path / "theirs.npz"}), hourly(10)) == (1, "")


@pytest.mark.parametrize(
    ("series", "more", "reason"),
    [
        (hourly(4), {}, "3 folds that test whole seasons of 24 rows need 120 rows, and there are 96"),
        (
            hourly(5, season=None),
            {},
            "the first of 3 folds would have 42 training and 6 validation rows, which make 34 training windows, and 50 "
            "are wanted",
        ),
        (
            hourly(10),
            {"train_shares": [0.5, 1]},
            "the first of 3 folds would have 84 training and 12 validation rows, which make 34 training windows of the "
            "42 rows that are trained on, and 50 are wanted",
        ),
        (
            hourly(8),
            {"history": None, "horizons": None},
            "the first of 3 folds would have 76 training and 20 validation rows, too few for 24 rows of history and 10 "
            "steps ahead",
        ),
        (hourly(0.17, season=None), {"history": 1, "horizons": [1]}, "4 rows are too few for 3 folds"),
    ],
)
def test_one_split_where_three_folds_would_be_poor_and_why(series, more, reason):
    assert choose_folds(spec(**more), series) == (1, f"One split: {reason}.")
    assert settle_folds(spec(**more), series)[2][-1] == f"One split: {reason}."


def test_one_split_where_a_fold_would_be_silent():
    values = hourly(10).values.clone()
    values[:90] = torch.nan
    _, why = choose_folds(spec(), hourly(10, values=values))
    assert why == "One split: no value is observed in the train rows of fold 1 of 3."
    values = hourly(10).values.clone()
    values[:100, 1] = torch.nan
    _, why = choose_folds(spec(), hourly(10, values=values))
    assert why == "One split: 1 of 3 nodes have no value in the training rows of the first of 3 folds."
    many = hourly(10, nodes=20)
    late = many.values.clone()
    late[:100, :2] = torch.nan  # two of twenty are a tenth
    assert choose_folds(spec(), dataclasses.replace(many, values=late)) == (3, "")


def test_validation_rows_hold_twice_the_horizon_where_there_are_rows_for_it():
    assert [len(split.val) for split in fold_splits(240, 3, 3, DAY)] == [12, 18, 24]
    assert [len(split.val) for split in fold_splits(240, 3, 10, DAY)] == [20, 20, 24]
    assert len(fold_splits(240, 3, 40, DAY)[0].val) == 24  # a quarter of the 96 rows before
