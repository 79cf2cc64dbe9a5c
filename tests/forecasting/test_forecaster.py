"""A forecaster for data frames: what goes in, what comes out, and what it says of input that it cannot take."""

import networkx as nx
import numpy as np
import pandas as pd
import pytest
from sklearn.base import clone

from gnnkit.cli import main
from gnnkit.data import read_own
from gnnkit.forecasting import Forecaster, TrainedRowsWarning, evaluate_forecaster, forecast_frame

SMALL = {"epochs": 1, "horizons": [2, 3], "history": 6, "hidden_channels": 4, "device": "cpu", "progress": False}
TIMES = pd.date_range("2024-01-01", periods=240, freq="h")
FRAME = pd.DataFrame(
    20 + np.random.default_rng(0).normal(size=(240, 3)).cumsum(axis=0), index=TIMES, columns=["a", "b", "c"]
)
ROADS = nx.Graph([("a", "b", {"weight": 0.5}), ("c", "b")])


@pytest.fixture(scope="module")
def model():
    return Forecaster("gcn", **SMALL, unit="mph").fit(FRAME, ROADS)


def test_what_is_fitted_is_what_was_given(model):
    config = model.fitted.config
    assert (config["model"], config["node_names"], config["unit"]) == ("gcn", ["a", "b", "c"], "mph")
    assert model.fitted.edge_index.shape[1] == 4
    assert model.get_params() == {"model": "gcn", "seed": 0, **SMALL, "unit": "mph"}


def test_the_forecast_of_a_frame_is_that_of_its_series(model):
    found = model.predict(FRAME.tail(20)[["c", "a", "b"]], coverage=0.8)
    assert found.equals(forecast_frame(model.fitted, read_own(FRAME.tail(20)), coverage=0.8))
    assert found.equals(model.predict(coverage=0.8))
    assert found.loc[found["node"] == "b"].index.tolist() == list(TIMES[-1] + pd.to_timedelta([1, 2, 3], unit="h"))
    assert (found["low"] < found["high"]).all()


def test_rows_without_times_go_on_where_the_frame_ends():
    plain = FRAME.reset_index(drop=True)
    model = Forecaster("dlinear", **SMALL).fit(plain)
    assert model.predict(plain.tail(10)).index.unique().tolist() == [240, 241, 242]
    assert model.predict(plain.tail(10)).index.name == "row"


def test_a_score_is_a_row_for_each_horizon_and_model(model):
    table = model.score()
    assert table.index.tolist() == [(h, name) for h in (2, 3) for name in ("gcn", "last-value")]
    rows = evaluate_forecaster(model.fitted, read_own(FRAME), device="cpu").set_index(
        ["horizon", "model", "score", "metric"]
    )
    assert table.loc[(3, "gcn"), "mae"] == rows.loc[(3, "gcn", "averaged", "mae"), "value"]


def test_all_rows_of_another_frame_are_scored(model):
    """A line that rises by 1 a row: the last value is 1, 2 and 3 off."""
    later = pd.DataFrame(np.arange(12.0)[:, None] + [0, 5, 9], columns=["a", "b", "c"])
    later.index = pd.date_range("2024-02-01", periods=12, freq="h")
    table = model.score(later)
    assert table["mae"].xs("last-value", level="model").tolist() == [1.5, 2]
    with pytest.warns(TrainedRowsWarning, match="it is scored from 2024-01-01 06:00:00 on, but"):
        model.score(FRAME)
    with pytest.raises(ValueError, match=r"^series: 7 rows are too few to score; give at least 8$"):
        model.score(later.head(7))


def test_a_folder_holds_all_but_the_rows(model, tmp_path):
    folder = model.save(tmp_path / "kept")
    again = Forecaster.load(folder)
    latest = FRAME.tail(20)
    assert again.predict(latest).equals(model.predict(latest))
    assert {name: again.get_params()[name] for name in ("model", "unit", "epochs", "horizons")} == {
        "model": "gcn", "unit": "mph", "epochs": 1, "horizons": (2, 3),
    }  # fmt: skip
    latest.to_csv(tmp_path / "latest.csv")
    with pytest.raises(SystemExit) as left:
        main(["forecast", str(folder), "--series", str(tmp_path / "latest.csv"), "--out", str(tmp_path / "next.csv")])
    assert left.value.code == 0
    printed = pd.read_csv(tmp_path / "next.csv", index_col="time", parse_dates=True)
    wide = model.predict(latest).pivot(columns="node", values="high")
    np.testing.assert_allclose(printed[["a high", "b high", "c high"]], wide, rtol=1e-5)
    for ask in (again.predict, again.score):
        with pytest.raises(
            ValueError, match=r"^a folder keeps no rows; give some: predict\(latest\), score\(series\)$"
        ):
            ask()
    with pytest.raises(SystemExit):
        main(["evaluate", str(folder)])


def test_scikit_learn_makes_another_like_it(model):
    other = clone(model)
    assert other.get_params() == model.get_params()
    assert repr(other.set_params(epochs=2, seed=1)).startswith("Forecaster('gcn', seed=1, progress=False, epochs=2, ")
    assert other.set_params(model="mtgnn", dropout=0.1).get_params()["dropout"] == 0.1
    with pytest.raises(ValueError, match=r"^this Forecaster is not fitted; call fit\(series, graph\) first"):
        other.predict()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"epoch": 3}, "stid-graph has no setting 'epoch'; did you mean 'epochs'\\?"),
        ({"epochs": 0}, "epochs: 0 is not allowed: give at least 1"),
        ({"season": 1}, "season: 1 is not allowed: give at least 2"),
        ({"model": "stid-grap"}, "unknown model 'stid-grap'; did you mean 'stid-graph'\\?"),
        ({"series": "speeds.csv"}, "series: give the data to fit\\(series, graph\\), not to the Forecaster"),
    ],
)
def test_a_setting_that_is_none(settings, message):
    with pytest.raises(ValueError, match=f"^{message}"):
        Forecaster(**settings)


@pytest.mark.parametrize(
    ("frame", "message"),
    [
        (pd.DataFrame(), "series: no values, its shape is 0 × 0"),
        (FRAME.astype({"b": str}), "series: column 'b' is not numeric \\(its type is str\\)"),
        (
            FRAME.set_axis([TIMES[0]] * 240),
            "series: (240 rows have only 1 times|1 rows are too few)",
        ),
        (
            FRAME.set_axis([TIMES[0], *TIMES[:-1]]),
            "series: row 1 \\(counted from 0\\) is at 2024-01-01 00:00:00 like the row before",
        ),
        (FRAME.set_axis(TIMES + pd.to_timedelta(np.arange(240) ** 2, unit="min")), "series: "),
        (FRAME[["a", "b"]], "graph: 'c' is no node of the series, whose first is 'a'"),
    ],
)
def test_a_frame_that_is_no_series(frame, message):
    with pytest.raises(ValueError, match=f"^{message}") as caught:
        Forecaster("gcn", **SMALL).fit(frame, ROADS)
    assert "\n" not in str(caught.value)
