"""Mean ranks of models over blocks: hand-computed values, and SciPy's Friedman test."""

import numpy as np
import pytest
from scipy import stats

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.findings import RANKS
from gnnkit.compare.findings.ranks import rank_models
from tests.compare.findings.sheets import section_of


def ranked(levels, windows=94, **options):
    """Levels by block of 11 windows + 4 that are left out; the left-out ones say the opposite."""
    blocks = len(next(iter(levels.values())))
    table = {
        name: {5: [np.concatenate([[v] * 11 + [100 - v] * 4 for v in values])[:windows]]}
        for name, values in levels.items()
    }
    counts = {5: [1] * min(windows, 15 * blocks)}
    errors = ErrorTable.of_windows(table, table, counts, dict.fromkeys(levels, "graph"))
    return rank_models(errors, horizon=5, history=10, **options)


def rank(levels, **options):
    found = ranked(levels, **options)
    assert found is not None
    return found


def test_mean_ranks_and_groups_of_models_worked_out_by_hand():
    levels = {"c": [3, 3, 3, 3, 3, 3], "a": [1, 1, 1, 1, 1, 1], "b": [2, 2, 2, 2, 2, 2], "d": [4, 4, 4, 4, 4, 4]}
    found = rank(levels)
    assert (found.models, found.mean_ranks, found.blocks) == (["a", "b", "c", "d"], [1, 2, 3, 4], 6)
    # q₀.₀₅ of 4 models is 2.569 (Demšar's table): 2.569 · √(4 · 5 / 36).
    assert found.critical_difference == pytest.approx(2.569 * np.sqrt(20 / 36), abs=1e-3)
    assert found.groups == [["a", "b"], ["b", "c"], ["c", "d"]]
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*levels.values()).pvalue)


def test_friedman_with_ties_equals_scipy_and_binds_all_models_where_it_does_not_reject():
    levels = {"a": [1, 2, 3, 1, 1, 2], "b": [1, 1, 3, 2, 1, 3], "c": [2, 2, 1, 1, 1, 4]}
    found = rank(levels)
    assert found.friedman_p == pytest.approx(stats.friedmanchisquare(*levels.values()).pvalue)
    assert sorted(found.groups[0]) == ["a", "b", "c"]
    assert len(found.groups) == 1


def test_ranks_of_rmse_weigh_squared_errors_and_too_few_blocks_rank_nothing():
    assert rank({"a": [1, 1], "b": [2, 2]}, metric="rmse").metric == "rmse"
    assert ranked({"a": [1], "b": [2]}) is None


@pytest.mark.parametrize("count", [4, 5])
def test_at_most_four_rank_diagrams(rich_results, count):
    section = section_of(RANKS, rich_results(horizons=tuple(range(1, count + 1))))
    names = [drawing.name for drawing in section.drawings]
    assert names == [f"ranks-{h}-mae" for h in ((1, 2, 3, 4) if count == 4 else (1, 5))]
