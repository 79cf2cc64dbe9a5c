import numpy as np
import pytest

from gnnkit.compare.report.plots_conditions import condition_curves


def test_errors_above_and_differences_below(rich_results):
    top, bottom = condition_curves(rich_results(), "train_share").axes
    lines = {line.get_label(): line for line in top.lines}
    np.testing.assert_allclose(lines["tgcn"].get_xdata(), [10, 25, 50, 100])
    np.testing.assert_allclose(lines["tgcn"].get_ydata(), [5.5, 4.8, 4.3, 4.05])
    np.testing.assert_allclose(lines["gru"].get_ydata(), [5.8, 4.96, 4.36, 4.06])
    dots = [line for line in bottom.lines if line.get_marker() == "o"]
    np.testing.assert_allclose([dot.get_ydata()[0] for dot in dots], [-0.3, -0.16, -0.06, -0.01])
    assert [dot.get_markerfacecolor() != "none" for dot in dots] == [True, True, False, False]
    assert (bottom.get_xlabel(), top.get_ylabel()) == ("training rows used (%)", "MAE (mph)")


def test_a_column_for_each_horizon_and_names_of_changing_winners(rich_results):
    results = rich_results()
    results.conditions += [point | {"horizon": 3, "graph": "gcn"} for point in results.conditions]
    results.conditions[0]["sequence"] = "lstm"
    axes = condition_curves(results, "train_share").axes
    assert [axis.get_title(loc="left") for axis in axes[:2]] == ["15 min ahead", "60 min ahead"]
    assert [line.get_label() for line in axes[0].lines] == ["gru", "gcn"]
    assert [line.get_label() for line in axes[1].lines] == ["best sequence model", "tgcn"]


def test_an_axis_without_points_is_an_error(rich_results):
    with pytest.raises(ValueError, match=r"axis is 'noise', the results have \['hidden_share', 'train_share'\]"):
        condition_curves(rich_results(), "noise")
