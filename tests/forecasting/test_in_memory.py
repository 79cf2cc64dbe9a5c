"""Frames and graphs in memory, by fields of the settings; and models by class."""

import pandas as pd
import pytest

from gnnkit.data import simulate_traffic
from gnnkit.forecasting.in_memory import MEMORY_FIELDS, name_of_model, read_in_memory
from gnnkit.settings.fit import DataFields
from gnnkit.temporal import DLinear

FRAME = pd.DataFrame(
    {"a": [1.0, 2, -9, 4, 5], "b": [5.0, 4, 3, 2, 1]}, index=pd.date_range("2024", periods=5, freq="h")
)


def test_fields_are_those_of_the_settings():
    assert set(MEMORY_FIELDS) <= set(DataFields.model_fields)
    assert {"unit", "season", "missing_values"} <= set(MEMORY_FIELDS)
    series = read_in_memory(FRAME, None, {"missing_values": -9, "season": 4})
    assert (series.season, series.step_minutes) == (4, 60)
    assert series.values[:, 0, 0].isnan().tolist() == [False, False, True, False, False]


def test_a_series_is_taken_as_it_is():
    series = simulate_traffic(num_nodes=3, days=1)
    assert read_in_memory(series) is series
    for graph, fields, name in ((FRAME, {}, "graph"), (None, {"unit": "mph"}, "unit")):
        with pytest.raises(
            ValueError, match=f"^{name}: a GraphSeries knows it itself; leave it out, or give a data frame$"
        ):
            read_in_memory(series, graph, fields)


def test_a_wrong_value_is_named():
    with pytest.raises(
        ValueError,
        match=r"^step_minutes: 0 is not allowed: give more than 0; season: 1 is not allowed: give at least 2$",
    ):
        read_in_memory(FRAME, None, {"season": 1, "step_minutes": 0})


def test_a_class_that_is_registered_has_a_name():
    assert name_of_model(DLinear) == "dlinear"
    with pytest.raises(ValueError, match=r"^unknown model 'dliner'; did you mean 'dlinear'\?"):
        name_of_model("dliner")
