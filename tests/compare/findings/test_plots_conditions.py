import numpy as np

from gnnkit.compare.findings import CONDITIONS
from gnnkit.compare.findings.plots_conditions import condition_curves


def curves(results, axis):
    points = [point for point in CONDITIONS.of(results) if point.axis == axis]
    return condition_curves(results, points, axis)


def test_errors_above_and_differences_below(rich_results):
    top, bottom = curves(rich_results(), "train_share").axes
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
    results.findings["conditions"] += [
        point | {"horizon": 3, "graph": "gcn"} for point in results.findings["conditions"]
    ]
    results.findings["conditions"][0]["sequence"] = "lstm"
    axes = curves(results, "train_share").axes
    assert [axis.get_title(loc="left") for axis in axes[:2]] == ["15 min ahead", "60 min ahead"]
    assert [line.get_label() for line in axes[0].lines] == ["gru", "gcn"]
    assert [line.get_label() for line in axes[1].lines] == ["best sequence model", "tgcn"]
