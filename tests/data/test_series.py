from dataclasses import replace

import pandas as pd
import pytest
import torch

from gnnkit.data import GraphSeries, Split

NAN = float("nan")


def make(**changes) -> GraphSeries:
    values = torch.arange(24, dtype=torch.float32).view(8, 3, 1)
    values[2, 1] = NAN
    fields = {
        "name": "three roads",
        "values": values,
        "edge_index": torch.tensor([[0, 1], [1, 2]]),
        "edge_weight": torch.tensor([1.0, 0.5]),
        "node_names": ("a", "b", "c"),
        "split": Split(range(5), range(5, 6), range(6, 8)),
    }
    return GraphSeries(**(fields | changes))


def test_sizes():
    series = make()
    assert (series.num_rows, series.num_nodes, series.num_features) == (8, 3, 1)


def test_digest_is_that_of_values_graph_and_split():
    series = make()
    digest = series.digest()
    assert len(digest) == 64
    assert digest == make().digest() == replace(series, name="other", unit="mph", season=4).digest()
    other_values = series.values.clone()
    other_values[7, 2] += 1e-5
    assert replace(series, values=other_values).digest() != digest
    assert replace(series, edge_weight=torch.tensor([1.0, 0.25])).digest() != digest
    assert replace(series, edge_index=torch.tensor([[0, 2], [1, 1]])).digest() != digest
    assert replace(series, split=Split(range(4), range(5, 6), range(6, 8))).digest() != digest
    assert replace(series, split=replace(series.split, drop_last_window=True)).digest() != digest


def test_digest_does_not_depend_on_the_bits_of_nan():
    series = make()
    values = series.values.clone()
    values.view(torch.int32)[2, 1, 0] = 0x7FC0BEEF
    assert values[2, 1].isnan()
    assert replace(series, values=values).digest() == series.digest()


def test_digest_does_not_depend_on_memory_layout():
    series = make()
    columns_first = series.values.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert replace(series, values=columns_first).digest() == series.digest()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": torch.zeros(8, 3)}, r"float32 of shape \[rows, nodes, features\]"),
        ({"values": torch.zeros(8, 3, 1, dtype=torch.float64)}, "got torch.float64"),
        ({"values": torch.full((8, 3, 1), torch.inf)}, "infinite at row 0, node 0 .'[^']+'., feature 0"),
        ({"edge_index": torch.tensor([[0, 1], [1, 3]])}, "node numbers from 0 to 3"),
        ({"edge_index": torch.zeros(2, 2)}, "edge_index: expected int64"),
        ({"edge_weight": torch.ones(3)}, r"edge_weight: expected float32 of shape \[2\]"),
        ({"edge_weight": torch.tensor([1.0, -0.5])}, "finite and not negative"),
        ({"edge_weight": torch.tensor([1.0, NAN])}, "finite and not negative"),
        ({"node_names": ("a", "b")}, "2 names"),
        ({"node_names": ("a", "b", "b")}, "2 of them distinct"),
        ({"split": Split(range(5), range(5, 6), range(6, 9))}, "goes on to row 8, but the series has 8 rows"),
        ({"season": 0}, "season=0"),
        ({"step_minutes": -5.0}, "step_minutes=-5.0"),
        ({"positions": torch.zeros(2, 2)}, r"positions: expected shape \[3, 2\]"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make(**changes)


def test_a_step_has_minutes_or_a_name():
    assert make(step_unit="month").step_unit == "month"
    with pytest.raises(ValueError, match="step_unit='month': only for rows without a fixed number of minutes"):
        make(step_unit="month", step_minutes=5.0)


def test_the_line_says_what_is_in_it():
    values = torch.zeros(1200, 3, 2)
    values[:300, 0, 0] = float("nan")
    series = GraphSeries(
        name="air",
        values=values,
        edge_index=torch.tensor([[0, 1], [1, 2]]),
        edge_weight=torch.ones(2),
        node_names=("a", "b", "c"),
        split=Split(range(800), range(800, 900), range(900, 1200)),
        unit="µg/m³",
        step_minutes=60,
        start=pd.Timestamp("2024-01-01"),
    )
    assert repr(series) == (
        "GraphSeries('air': 1,200 rows × 3 nodes × 2 features, a row an hour from 2024-01-01 00:00, in µg/m³, "
        "8.3% missing; 2 edges; train 800, validation 100, test 300 rows)"
    )
