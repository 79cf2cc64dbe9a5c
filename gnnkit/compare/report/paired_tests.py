"""All tests of a comparison as one table for a spreadsheet, each with its standing: planned or exploratory."""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from gnnkit.compare.findings import ABLATION, CONDITIONS, SIGNIFICANCE
from gnnkit.compare.results import Results

__all__ = ["TEST_COLUMNS", "all_tests", "write_tests"]

TEST_COLUMNS = [
    *("standing", "question", "horizon", "metric", "model", "against", "difference", "low", "high", "clear", "p"),
    *("comparisons", "statistic", "effect", "skill", "detectable", "spans", "spans_needed", "seeds"),
]
"""Columns of `tests.csv`: those of `PairTest`, and `standing`."""


def all_tests(results: Results) -> pd.DataFrame:
    """A row for each test: differences are error of `model` less that of `against`, in the data's unit.

    Example:
        >>> all_tests(Results.load("gnnkit-compare"))["standing"].unique()  # doctest: +SKIP
        array(['planned', 'exploratory'], dtype=object)
    """
    rows = [vars(test) | {"standing": _standing(test.planned)} for test in SIGNIFICANCE.of(results)]
    ablation = ABLATION.of(results)
    for test in ablation.tests if ablation is not None else ():
        if not test.planned:  # that one stands among the questions
            names = {"model": f"{test.model}, {test.adjacency}", "against": f"{test.model}, {test.against}"}
            rows.append(vars(test) | names | {"question": "ablation", "metric": "mae", "standing": _standing(False)})
    for point in CONDITIONS.of(results):
        names = {"model": point.graph, "against": point.sequence, "question": f"{point.axis} {point.value:g}"}
        rows.append(vars(point) | names | {"metric": "mae", "standing": _standing(False)})
    return pd.DataFrame(rows, columns=TEST_COLUMNS)


def write_tests(results: Results, path: str | Path) -> Path:
    """Write `all_tests` as CSV."""
    path = Path(path)
    all_tests(results).to_csv(path, index=False)
    return path


def _standing(planned: bool) -> str:
    return "planned" if planned else "exploratory"
