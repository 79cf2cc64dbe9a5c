"""Predictions → rows, errors per window, and what is drawn from them."""

import math

import pandas as pd
import pytest

from gnnkit.compare.scores import summarise


def test_summarise_gives_mean_and_deviation_over_seeds_in_the_order_of_the_rows():
    def row(model, family, seed, value):
        return {
            "model": model,
            "family": family,
            "seed": seed,
            "horizon": 3,
            "score": "averaged",
            "metric": "mae",
            "value": value,
        }

    rows = pd.DataFrame(
        [row("last-value", "baseline", 0, 3.0), *(row("gru", "sequence", s, v) for s, v in enumerate([1, 2, 6]))]
    )
    table = summarise(rows)
    assert table["model"].tolist() == ["last-value", "gru"]
    assert table["mean"].tolist() == [3.0, 3.0]
    assert math.isnan(table["std"][0])
    assert table["std"][1] == pytest.approx(math.sqrt(7))
    assert table["seeds"].tolist() == [1, 3]
