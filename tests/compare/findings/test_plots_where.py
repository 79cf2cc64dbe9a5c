import json
import re
from html import unescape

import numpy as np
import pytest

from gnnkit.compare.findings import WHERE
from gnnkit.compare.findings.plots_where import heat_map, strata_plot, windows_plot
from gnnkit.compare.report.tables import families
from gnnkit.report.theme import inline_svg, model_styles


def svg_of(results, figure):
    return inline_svg(figure, "a", model_styles(families(results)), label="x")


def test_strata_have_an_axes_each_with_dots_at_the_differences(rich_results):
    results = rich_results()
    styles = model_styles(families(results))
    axes = [axis for axis in strata_plot(results, WHERE.of(results)).axes if axis.get_visible()]
    titles = [axis.get_title(loc="left") for axis in axes]
    assert titles[:3] == ["Step ahead (minutes)", "Hour of the day", "Day of the week"]
    assert titles[3:] == ["Neighbours (edges)", "Speed level (mph)"]
    dots = [line for line in axes[2].lines if line.get_marker() == "o"]
    np.testing.assert_allclose([dot.get_ydata()[0] for dot in dots], -0.1 + 0.03 * np.arange(7))
    # the hours 00 to 06 lie within noise, at 07 the interval's low end is above 0: the sequence model wins
    filled = [line.get_markerfacecolor() for line in axes[1].lines if line.get_marker() == "o"]
    assert filled[:7] == ["none"] * 7
    assert set(filled[7:]) == {styles["gru"].color}


def test_a_group_without_an_interval_is_drawn_and_told(rich_results):
    results = rich_results()
    results.findings["where"]["strata"][3]["groups"][0] |= {"low": None, "high": None}
    svg = svg_of(results, strata_plot(results, WHERE.of(results)))
    assert "Neighbours 0–1: −0.100 (– to –); tgcn 3, gru 3.1, n = 8,000" in unescape(svg)


def test_heat_map_has_a_cell_for_each_node_and_hour(rich_results):
    results = rich_results()
    figure = heat_map(results, WHERE.of(results))
    image = figure.axes[0].get_images()[0]
    table = np.ma.filled(image.get_array(), np.nan)
    given = [[np.nan if value is None else value for value in line] for line in WHERE.of(results).heat.difference]
    np.testing.assert_allclose(table, given)
    assert image.get_clim()[0] == -image.get_clim()[1]
    # orange, the colour of graph models, where graph − sequence is below zero
    red, _, blue, _ = image.cmap(image.norm(-1.0))
    assert red > blue
    grid = json.loads(unescape(re.search(r'data-grid="(.*?)"', svg_of(results, figure))[1]))
    assert grid["rows"][:2] == ["node 0", "node 1"]
    assert grid["values"][1][:4] == [None] * 4
    assert grid["values"][0][5] == pytest.approx(given[0][5], rel=5e-3)


def test_windows_are_small_multiples_of_truth_and_both_forecasts(rich_results):
    results = rich_results()
    axes = windows_plot(results, WHERE.of(results), "graph").axes
    assert len(axes) == 10
    assert axes[0].get_title(loc="left") == "node 0\n2012-03-06 14:20  −2.50"
    lines = {line.get_label(): line.get_ydata() for line in axes[0].lines}
    assert np.isnan(lines["true"][2])
    np.testing.assert_allclose(lines["gru"], 48.0 + 0.1 * np.arange(12))
    np.testing.assert_allclose(lines["tgcn"], 47.0 - 0.4 * np.arange(12))


def test_three_windows_without_times_leave_no_empty_axes(rich_results):
    results = rich_results()
    kept = [window | {"time": None} for window in results.findings["where"]["windows"]["sequence"][:3]]
    results.findings["where"]["windows"]["sequence"] = kept
    axes = [axis for axis in windows_plot(results, WHERE.of(results), "sequence").axes if axis.get_visible()]
    assert [axis.get_title(loc="left").splitlines()[1] for axis in axes] == [
        "row 1,630  +2.50", "row 1,640  +2.40", "row 1,650  +2.30"]  # fmt: skip


def test_a_side_that_is_neither_is_refused(rich_results):
    with pytest.raises(ValueError, match="side is 'both'; ask for the wins of 'graph' or of 'sequence'"):
        windows_plot(rich_results(), None, "both")
