import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg

from gnnkit.compare.report.plots import (
    MAX_EDGES,
    drawn_edges,
    error_by_step,
    error_map,
    node_positions,
    traces,
    training_curves,
)
from gnnkit.compare.report.tables import families
from gnnkit.report.theme import model_styles

FIGURES = [error_by_step, training_curves, traces, error_map]


@pytest.mark.parametrize("draw", FIGURES)
def test_leaves_no_global_state(fake_results, draw):
    before = dict(matplotlib.rcParams)
    figure = draw(fake_results())
    assert plt.get_fignums() == []
    assert dict(matplotlib.rcParams) == before
    assert isinstance(figure.canvas, FigureCanvasAgg)


@pytest.mark.parametrize("draw", FIGURES)
@pytest.mark.parametrize(
    "odd",
    [{"models": {}}, {"seeds": (0,), "horizons": (1,)}, {"nodes": 1, "positions": False}, {"step_minutes": None}],
    ids=str,
)
def test_odd_results_are_drawn(fake_results, draw, odd):
    figure = draw(fake_results(**odd))
    figure.canvas.draw()
    assert figure.axes


def test_error_by_step_draws_the_means_in_minutes(fake_results):
    results = fake_results()
    axes = error_by_step(results).axes[0]
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == results.models
    table = results.step_errors
    expected = table[table["model"] == "gru"].groupby("step")["mae"].mean()
    np.testing.assert_allclose(lines["gru"].get_ydata(), expected)
    np.testing.assert_allclose(lines["gru"].get_xdata(), 5.0 * np.arange(1, 13))
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("minutes ahead", "MAE (mph)")
    assert len(axes.collections) == 5  # a band for each trained model, none for baselines


def test_error_by_step_band_is_one_standard_deviation(fake_results):
    results = fake_results(models={"gru": ("sequence", 3.0)}, horizons=(1,))
    band = error_by_step(results, "rmse").axes[0].collections[0].get_paths()[0].vertices
    values = results.step_errors.loc[results.step_errors["model"] == "gru", "rmse"]
    assert [band[:, 1].min(), band[:, 1].max()] == pytest.approx(
        [values.mean() - values.std(), values.mean() + values.std()]
    )


def test_error_by_step_refuses_another_metric(fake_results):
    with pytest.raises(ValueError, match="metric is 'mape'; step errors are kept as 'mae' and 'rmse'"):
        error_by_step(fake_results(), "mape")


def test_colours_are_the_same_in_all_figures(fake_results):
    results = fake_results()
    styles = model_styles(families(results))
    for figure in (error_by_step(results), training_curves(results), traces(results)):
        for line in figure.axes[0].lines:
            if line.get_label() in styles:
                assert line.get_color() == styles[line.get_label()].color


def test_training_curves_draw_each_seed_and_the_mean_and_cut_the_first_epochs(fake_results):
    results = fake_results(models={"gru": ("sequence", 3.0)})
    results.curves.loc[results.curves["epoch"] == 1, "val_mae"] = 100.0
    axes = training_curves(results).axes[0]
    assert len(axes.lines) == 3 + 1 + 1  # seeds, mean, mark of the kept epoch
    mean = results.curves.groupby("epoch")["val_mae"].mean()
    np.testing.assert_allclose(axes.lines[3].get_ydata(), mean)
    assert axes.get_ylim()[1] == pytest.approx(2.5 * results.curves["val_mae"].min())
    assert "axis cut" in axes.get_title(loc="left")


def test_training_curves_without_training_say_so(fake_results):
    assert training_curves(fake_results(models={})).axes[0].texts[0].get_text() == "no model was trained"


def test_traces_show_the_best_of_each_family_and_leave_gaps(fake_results):
    results = fake_results()
    figure = traces(results)
    assert [line.get_label() for line in figure.axes[0].lines] == ["true", "gru", "tgcn"]
    true = figure.axes[0].lines[0].get_ydata()
    assert np.isnan(true[40])
    assert np.isfinite(np.delete(true, 40)).all()
    # row 1612 of 5-minute rows from midnight, 1 March: 134.33 h later, 6 March 14:20
    assert figure.axes[-1].lines[0].get_xdata()[0] == pytest.approx(14 + 20 / 60)
    assert "2012-03-06" in figure.axes[-1].get_xlabel()
    assert "60 min ahead" in figure.axes[-1].get_xlabel()


def test_names_of_nodes_are_no_formulas(fake_results):
    results = fake_results()
    results.traces.nodes = ["$\\frac{broken$", "b", "c"]
    figure = traces(results)
    figure.canvas.draw()
    assert figure.axes[0].get_title(loc="left") == "$\\frac{broken$"


def test_error_map_draws_both_models_and_their_difference(fake_results):
    results = fake_results()
    figure = error_map(results)
    assert [axes.get_title(loc="left") for axes in figure.axes[:3]] == ["gru", "tgcn", "tgcn − gru"]
    values = [np.asarray(axes.collections[1].get_array()) for axes in figure.axes[:3]]
    np.testing.assert_allclose(values[2], values[1] - values[0])
    assert len(values[0]) == 23  # node 1 has no observed target
    limits = figure.axes[2].collections[1].get_clim()
    assert limits[0] == -limits[1]  # white is no difference
    assert figure.axes[0].collections[1].get_clim() == figure.axes[1].collections[1].get_clim()


def test_one_family_has_one_map(fake_results):
    figure = error_map(fake_results(models={"tgcn": ("graph", 2.9)}))
    assert [axes.get_title(loc="left") for axes in figure.axes][:1] == ["tgcn"]
    assert len(figure.axes) == 2


def test_positions_are_the_data_s_own_or_a_fixed_layout(fake_results):
    own = fake_results()
    found, given = node_positions(own)
    assert given
    assert found.tolist() == own.data.positions
    first, given = node_positions(fake_results(positions=False))
    again, _ = node_positions(fake_results(positions=False))
    assert not given
    assert first.shape == (24, 2)
    assert (first == again).all()
    assert np.isfinite(first).all()


def test_drawn_edges_are_undirected_without_loops_and_the_strongest(fake_results):
    results = fake_results()
    results.data.edges = [[0, 1, 0.5], [1, 0, 0.7], [2, 2, 9.0], [2, 1, 0.6]]
    assert drawn_edges(results).tolist() == [[0, 1], [1, 2]]
    results.data.edges = [[0, j, j / 1e4] for j in range(1, MAX_EDGES + 11)]
    assert drawn_edges(results)[:, 1].min() == 11
    assert len(drawn_edges(results)) == MAX_EDGES
    results.data.edges = []
    assert drawn_edges(results).shape == (0, 2)
