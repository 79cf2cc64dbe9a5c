"""Every form of the same forecasts gives the same table, and every wrong one a line that says what to do."""

import pickle

import numpy as np
import pandas as pd
import pytest
import torch

from gnnkit.compare.forecasts.read import read_forecasts

ORIGINS = np.arange(42, 59)


@pytest.fixture
def long(tiny, test_forecasts):
    """The forecasts as a long frame, with the origin's and the target's time."""
    values = test_forecasts()
    window, step, node = (index.ravel() for index in np.indices(values.shape))
    frame = pd.DataFrame({"origin": ORIGINS[window], "step": step + 1, "node": np.array(list("abc"))[node]})
    frame["timestamp"] = tiny.start + pd.to_timedelta(frame["origin"] + frame["step"], unit="h")
    return frame.assign(value=values.ravel())


def test_arrays_tensors_and_files_of_them(tiny, test_forecasts, tmp_path):
    values = test_forecasts()
    np.save(tmp_path / "plain.npy", values.astype(np.float64))
    np.savez(tmp_path / "alone.npz", anything=values)
    times = [str(tiny.start + pd.Timedelta(hours=int(row))) for row in ORIGINS]
    np.savez(tmp_path / "turned.npz", forecasts=values[::-1, :, [2, 0, 1]], origins=times[::-1], nodes=list("cab"))
    sources = [values, torch.tensor(values), values[..., None], tmp_path / "plain.npy", tmp_path / "alone.npz"]
    for source in sources:
        given = read_forecasts(source, "x", tiny)
        assert given.origins is None
        assert np.array_equal(given.values, values[None])
    given = read_forecasts(tmp_path / "turned.npz", "x", tiny)
    assert given.origins.tolist() == ORIGINS.tolist()
    assert np.array_equal(given.values, values[None])


@pytest.mark.parametrize("dropped", ["origin", "timestamp", "step"])
@pytest.mark.parametrize("ending", ["csv", "csv.gz", "parquet", "frame"])
def test_long_tables_in_any_order(tiny, test_forecasts, long, tmp_path, dropped, ending):
    table = long.drop(columns=dropped).sample(frac=1, random_state=0)
    source = tmp_path / f"long.{ending}"
    if ending == "parquet":
        table.to_parquet(source)
    elif ending == "frame":
        source = table
    else:
        table.to_csv(source, index=False)
    given = read_forecasts(source, "x", tiny)
    assert given.origins.tolist() == ORIGINS.tolist()
    assert np.array_equal(given.values, test_forecasts()[None])


def test_models_seeds_and_quantiles_of_a_long_table(tiny, test_forecasts, long, tmp_path):
    two = [long.assign(model=model, seed=seed, value=long.value + seed) for model in "mn" for seed in (7, 9)]
    table = pd.concat(two).assign(**{"q0.05": 1.0, "0.95": 2.0}).drop(columns="timestamp")
    table.loc[table.model == "n", "value"] = 0.0
    table.to_csv(tmp_path / "all.csv", index=False, sep=";", decimal=",")
    given = read_forecasts(tmp_path / "all.csv", "m", tiny)
    assert (given.seeds, given.levels) == ((7, 9), (0.05, 0.95))
    assert np.array_equal(given.values, np.stack([test_forecasts() + seed for seed in (7, 9)]))
    assert given.quantiles.shape == (2, 17, 2, 3, 2)
    assert np.array_equal(given.quantiles[0, 0, 0, 0], [1.0, 2.0])


def test_ends_of_intervals_as_nixtla_writes_them_are_quantiles(tiny, test_forecasts, long):
    table = long.rename(columns={"value": "AutoETS"}).drop(columns="timestamp")
    ends = {"AutoETS-lo-90": -1.0, "AutoETS-hi-90": 9.0, "AutoETS-lo-99.5": -2.0, "AutoETS-hi-99.5": 12.0}
    given = read_forecasts(table.assign(**ends, **{"Theta": 0.0, "Theta-lo-90": 7.0}), "AutoETS", tiny)
    assert given.levels == (0.0025, 0.05, 0.95, 0.9975)
    assert given.quantiles[0, 0, 0, 0].tolist() == [-2.0, -1.0, 9.0, 12.0]
    assert np.array_equal(given.values, test_forecasts()[None])
    bare = long.drop(columns="timestamp").assign(**{"lo-80": 1.0, "hi-80": 2.0})
    assert read_forecasts(bare, "x", tiny).levels == (0.1, 0.9)
    for ends, wrong in (
        ({"lo-100": 1.0}, r"column lo-100 is the end of an interval of 100%; give 0 to 100$"),
        ({"lo-90": 1.0, "q0.05": 1.0}, r"the columns lo-90 and q0.05 both say the quantile 0.05; leave one of them"),
    ):
        with pytest.raises(ValueError, match=wrong):
            read_forecasts(long.drop(columns="timestamp").assign(**ends), "x", tiny)


def test_the_median_stands_for_forecasts_that_are_not_there(tiny, test_forecasts):
    heads = np.stack([test_forecasts(error) for error in (-1.0, 0.5, 2.0)], axis=-1)
    given = read_forecasts({"quantiles": heads, "levels": [0.1, 0.5, 0.9]}, "x", tiny)
    assert np.array_equal(given.values, test_forecasts(0.5)[None])


def test_the_digest_follows_the_values(tiny, test_forecasts):
    digests = [read_forecasts(test_forecasts(error), "x", tiny).digest() for error in (1.0, 1.0, 1.5)]
    assert digests[0] == digests[1] != digests[2]


def test_wrong_arrays(tiny, test_forecasts, tmp_path):
    values = test_forecasts()
    with (tmp_path / "pickle.npy").open("wb") as file:
        pickle.dump(values, file)
    np.save(tmp_path / "objects.npy", np.array([{}], dtype=object), allow_pickle=True)
    (tmp_path / "x.mat").write_text("")
    np.savez(tmp_path / "two.npz", one=values, other=values)
    wrong = {
        r"forecasts x \(pickle.npy\): holds pickled objects, which are never read": tmp_path / "pickle.npy",
        r"forecasts x \(objects.npy\): holds pickled objects": tmp_path / "objects.npy",
        r"\(x.mat\): .mat is not known; give .npz, .npy, .csv or .parquet": tmp_path / "x.mat",
        r"which array are the forecasts\? It has one, other; call one of them forecasts": tmp_path / "two.npz",
        r"2 nodes, and tiny has 3; .*give their names too": values[..., :2],
        r"2 nodes, and tiny has 3; .*axis steps has 3: put nodes last": values.transpose(0, 2, 1),
        r"shape \[17, 2\]; give \[windows, steps, nodes\] or \[seeds, windows, steps, nodes\]": values[..., 0],
        "<U1 is no type of numbers": np.full((2, 2, 3), "x"),
        "3 origins for 17 windows": {"forecasts": values, "origins": [1, 2, 3]},
        "origins come twice, 1 in all, the first of them row 5": {"forecasts": values[:2], "origins": [5, 5]},
        "node 'z' is none of tiny; its nodes are a, b, c": {"forecasts": values, "nodes": list("abz")},
        "node 'a' comes twice": {"forecasts": values, "nodes": list("aab")},
        "1 levels for 2 quantiles": {"quantiles": np.zeros((17, 2, 3, 2)), "levels": [0.5]},
        "there are quantiles and no forecasts": {"quantiles": np.zeros((17, 2, 3, 1)), "levels": [0.9]},
        "'origin' is unknown; give forecasts, origins": {"forecasts": values, "origin": ORIGINS},
        r"99 is no row|999 is no row of tiny, whose rows are 0 to 59": {"forecasts": values[:1], "origins": [999]},
        "2024-01-02 00:30:00 is the time of no row": {"forecasts": values[:1], "origins": ["2024-01-02T00:30"]},
        "'soon' is no time": {"forecasts": values[:1], "origins": ["soon"]},
    }
    for text, source in wrong.items():
        with pytest.raises(ValueError, match=text) as error:
            read_forecasts(source, "x", tiny)
        assert "\n" not in str(error.value)
    with pytest.raises(FileNotFoundError, match="forecasts x: no such file"):
        read_forecasts(tmp_path / "no.npy", "x", tiny)


def test_wrong_tables(tiny, long, tmp_path):
    plain = long.drop(columns="timestamp")
    wrong = {
        "3 rows come twice, the first of them origin row 42, step 1, node a; leave one": pd.concat([plain, plain[:3]]),
        "node 'zz' is none of tiny": plain.replace({"node": {"c": "zz"}}),
        "its columns are origin, node, value; give two of origin": plain.drop(columns="step"),
        "no column of forecasts; call it value": plain.drop(columns="value"),
        "no column node, and tiny has 3 nodes": plain.drop(columns="node"),
        "51 rows do not fit, the first is row 1 .*step 1 is the row after the origin": plain.assign(
            step=plain.step - 1
        ),
        "column value has 'x', which is no number": plain.assign(value="x"),
        "column origin is empty in 1 rows, first in row 1": plain.assign(origin=plain.origin.where(plain.index > 0)),
        "the columns origin and cutoff both say the origin": plain.assign(cutoff=1),
        "it has the models p, q and none is called x": plain.assign(model=["p", "q"] * 51),
        "102 rows do not fit.*origin 42, target 44, step 1": long.assign(
            timestamp=long.timestamp + pd.Timedelta(hours=1)
        ),
    }
    for text, table in wrong.items():
        with pytest.raises(ValueError, match=text) as error:
            read_forecasts(table, "x", tiny)
        assert "\n" not in str(error.value)
    (tmp_path / "empty.csv").write_text("")
    with pytest.raises(ValueError, match=r"\(empty.csv\): is no table \(Empty CSV file\)"):
        read_forecasts(tmp_path / "empty.csv", "x", tiny)


def test_times_need_a_series_that_knows_its_own(tiny, long):
    from dataclasses import replace

    with pytest.raises(ValueError, match="has times, and tiny does not know those of its rows; give row numbers"):
        read_forecasts(long.drop(columns="origin"), "x", replace(tiny, start=None, step_minutes=None))
    months = replace(tiny, step_minutes=None, step_unit="month")
    table = long.drop(columns="timestamp").assign(
        origin=[f"{2024 + row // 12}-{row % 12 + 1:02}-01" for row in long.origin]
    )
    assert read_forecasts(table, "x", months).origins.tolist() == ORIGINS.tolist()
