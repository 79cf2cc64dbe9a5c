import pytest

from gnnkit.data import Split, chronological_split, rolling_splits


def test_fractions_become_rows_in_order_of_time():
    split = chronological_split(2016)
    assert (split.train, split.val, split.test) == (range(1411), range(1411, 1613), range(1613, 2016))
    assert split.label == "70/10/20 by time"
    assert not split.drop_last_window


@pytest.mark.parametrize("num_rows", [3, 4, 5, 10, 97])
def test_every_row_is_in_exactly_one_part(num_rows):
    split = chronological_split(num_rows, (0.6, 0.2, 0.2))
    assert [*split.train, *split.val, *split.test] == list(range(num_rows))
    assert min(len(rows) for rows in split.parts.values()) >= 1


@pytest.mark.parametrize(
    ("train", "val", "test", "message"),
    [
        (range(10), range(9, 12), range(12, 20), "val starts at row 9, but train goes on to row 9"),
        (range(10), range(10, 12), range(5, 20), "test starts at row 5, but val goes on to row 11"),
        (range(10, 20), range(5, 8), range(20, 30), "val starts at row 5"),
        (range(10), range(10, 10), range(10, 20), "val=range"),
        (range(0, 10, 2), range(10, 12), range(12, 20), "train=range"),
        (range(-3, 10), range(10, 12), range(12, 20), "train=range"),
    ],
)
def test_overlap_disorder_and_empty_parts_are_refused(train, val, test, message):
    with pytest.raises(ValueError, match=message.replace("(", r"\(")):
        Split(train, val, test)


def test_parts_need_not_touch():
    assert Split(range(5), range(7, 9), range(20, 22)).num_rows == 22


@pytest.mark.parametrize("fractions", [(0.7, 0.3, 0.0), (0.5, 0.1, 0.1), (0.7, 0.3), (1.2, -0.1, -0.1)])
def test_fractions_must_be_three_positive_shares(fractions):
    with pytest.raises(ValueError, match="three positive shares"):
        chronological_split(100, fractions)


def test_two_rows_cannot_be_split():
    with pytest.raises(ValueError, match="num_rows=2"):
        chronological_split(2)


def test_rolling_splits_test_whole_seasons_that_follow_each_other_to_the_last_row():
    splits = rolling_splits(2016, 4, season=288)
    assert [split.test for split in splits] == [range(288 * day, 288 * (day + 1)) for day in (3, 4, 5, 6)]
    assert [split.val.start for split in splits] == [756, 1008, 1260, 1512]
    assert splits[1].label == "rolling origins, fold 2 of 4"


def test_folds_of_unequal_length_where_seasons_cannot_be_shared_out():
    assert [len(split.test) // 288 for split in rolling_splits(2016, 3, season=288)] == [1, 1, 2]


@pytest.mark.parametrize("season", [None, 7])
def test_a_short_series_is_cut_by_rows(season):
    splits = rolling_splits(12, 3, season=season)
    assert [split.test for split in splits] == [range(5, 7), range(7, 9), range(9, 12)]


@pytest.mark.parametrize(
    ("given", "text"),
    [
        ({"folds": 0}, "folds=0: must be a whole number of at least 1"),
        ({"folds": 9}, "num_rows=12: too few for 9 folds; give more rows, or fewer folds"),
        ({"folds": 2, "tested": 1.0}, "tested=1: must be a share inside"),
    ],
)
def test_rolling_splits_that_cannot_be(given, text):
    with pytest.raises(ValueError, match=text):
        rolling_splits(12, **given)
