import dataclasses
import math

import numpy as np
import pytest

from gnnkit.compare.findings import ABLATION, RANKS, SIGNIFICANCE
from gnnkit.compare.findings.plots_significance import (
    IntervalLine,
    ablation_differences,
    critical_difference,
    differences_from,
    interval_plot,
)
from gnnkit.compare.report.tables import families
from gnnkit.report.theme import inline_svg, model_styles


def intervals(axes):
    """(low, high, point, filled) of each line from top to bottom."""
    bars = [line for line in axes.lines if len(set(line.get_ydata())) == 1 and len(line.get_xdata()) == 2][0:]
    bars = [line for line in bars if line.get_linewidth() > 2]
    dots = [line for line in axes.lines if line.get_marker() == "o"]
    return [
        (*bar.get_xdata(), dot.get_xdata()[0], dot.get_markerfacecolor() != "none")
        for bar, dot in zip(bars, dots, strict=True)
    ]


def test_interval_plot_draws_what_it_is_given():
    lines = [IntervalLine("a", -1.0, -2.0, -0.5, "#123456", True), IntervalLine("b", 0.5, -1.0, 2.0, "#654321", False)]
    axes = interval_plot(lines, "difference").axes[0]
    assert intervals(axes) == [(-2.0, -0.5, -1.0, True), (-1.0, 2.0, 0.5, False)]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["a", "b"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first on top
    assert axes.get_xlabel() == "difference"


def test_differences_from_the_last_value_are_those_of_the_tests(rich_results):
    results = rich_results()
    tests = [test for test in SIGNIFICANCE.of(results) if (test.horizon, test.metric) == (12, "mae")]
    axes = differences_from(results, tests).axes[0]
    found = intervals(axes)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["lstm", "bilstm", "gru", "gcn", "tgcn"]
    np.testing.assert_allclose([line[:3] for line in found], [(t.low, t.high, t.difference) for t in tests])
    assert [line[3] for line in found] == [test.clear for test in tests]


def test_ablation_names_the_model_only_where_there_are_several(rich_results):
    results = rich_results()
    tests = list(ABLATION.of(results).tests)
    axes = ablation_differences(results, tests).axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["identity", "shuffled", "random", "complete"]
    assert [line[2] for line in intervals(axes)] == [0.21, 0.34, 0.29, 0.02]
    tests.append(dataclasses.replace(tests[0], model="gcn", low=None, high=None))
    labels = [label.get_text() for label in ablation_differences(results, tests).axes[0].get_yticklabels()]
    assert labels[0] == "tgcn, identity"
    assert labels[-1] == "gcn, identity"


def test_critical_difference_puts_models_at_their_ranks_and_bars_over_groups(fake_results):
    results = fake_results(models={"gru": ("sequence", 3.0), "tgcn": ("graph", 2.9)})
    groups = [["tgcn", "gru"], ["last-value"]]
    axes = critical_difference(results, ["tgcn", "gru", "last-value"], [1.2, 1.9, 2.9], groups, 0.8).axes[0]
    dots = [line.get_xdata()[0] for line in axes.lines if line.get_marker() == "o"]
    assert dots == [1.2, 1.9, 2.9]
    bars = [line.get_xdata() for line in axes.lines if line.get_linewidth() > 3]
    assert len(bars) == 1  # a group of one needs no bar
    assert bars[0] == pytest.approx([1.2, 1.9], abs=0.03)
    texts = {text.get_text(): text for text in axes.texts}
    assert "critical difference 0.80" in texts
    assert texts["tgcn"].get_ha() == "right"
    assert texts["last-value"].get_ha() == "left"
    assert texts["tgcn"].get_position()[1] > texts["gru"].get_position()[1]


def test_names_of_a_large_diagram_do_not_overlap(rich_results):
    models = {f"s{i}": ("sequence", 3.0) for i in range(12)} | {f"g{i}": ("graph", 3.0) for i in range(13)}
    results = rich_results(models=models, horizons=(3,))
    found = RANKS.of(results)[0]
    figure = critical_difference(results, found.models, found.mean_ranks, found.groups, found.critical_difference)
    figure.canvas.draw()
    names = [text for text in figure.axes[0].texts if text.get_text() in families(results)]
    boxes = [text.get_window_extent() for text in names]
    assert len(boxes) == 28
    for at, box in enumerate(boxes):
        assert not any(box.overlaps(other) for other in boxes[:at])


def test_hover_targets_lie_on_their_points(rich_results):
    results = rich_results()
    figure = ablation_differences(results, ABLATION.of(results).tests)
    svg = inline_svg(figure, "a", model_styles(families(results)), label="x")
    assert svg.count('class="hit"') == 4
    assert 'data-tip="shuffled: +0.340 (+0.250 to +0.430)"' in svg
    axes, scale = figure.axes[0], 72 / figure.dpi
    x, y = axes.transData.transform((0.34, 1)) * scale
    assert f'cx="{x:.1f}" cy="{72 * figure.get_size_inches()[1] - y:.1f}"' in svg


def test_points_without_a_value_say_nothing():
    line = IntervalLine("a", math.nan, math.nan, math.nan, "#123456", False)
    assert 'class="hit"' not in inline_svg(interval_plot([line], "x"), "a", {}, label="x")
