import numpy as np
import pytest

from gnnkit.studies.combinations.plots import draw_curves, draw_flow, write_figures


def run(cell="lstm", length=5, embedding=1, seed=0, loss=(1.0, 0.1), accuracy=(0.5, 1.0), steps=2000, **start):
    row = {"cell": cell, "length": length, "embedding": embedding, "initialization": "report", "seed": seed, **start}
    row["steps"] = steps
    flow = {"start": [1e-4, 1.0], "end": [1e-2, 1.0]}
    return {
        "row": row,
        "curve": {"step": [steps // 2, steps], "loss": list(loss), "accuracy": list(accuracy)},
        "flow": flow,
    }


RUNS = [
    run(seed=0, accuracy=(0.4, 0.98)),
    run(seed=24, accuracy=(0.6, 1.0), loss=(1.0, 0.001)),
    run(embedding=128),
    run("bilstm", 15),
]


def test_a_panel_a_length_with_mean_and_band():
    figure = draw_curves(RUNS, "accuracy")
    left, right = figure.axes
    titles = [axis.get_title(loc="left") for axis in figure.axes]
    assert titles == ["T = 5, initialisation report", "T = 15, initialisation report"]
    lines = {line.get_label(): line for line in left.get_lines()}
    assert set(lines) == {"LSTM, embedding 1", "LSTM, embedding 128", "LSTM, report"}
    np.testing.assert_allclose(lines["LSTM, embedding 1"].get_ydata(), [0.5, 0.99])
    np.testing.assert_allclose(lines["LSTM, report"].get_xydata(), [[2000, 1.0]])
    assert lines["LSTM, embedding 1"].get_color() == lines["LSTM, embedding 128"].get_color()
    assert lines["LSTM, embedding 1"].get_linestyle() != lines["LSTM, embedding 128"].get_linestyle()
    band = left.collections[0].get_paths()[0].vertices
    deviation = np.std([0.4, 0.6], ddof=1)
    assert band[:, 1].min() == pytest.approx(0.5 - deviation)
    assert band[:, 1].max() == 1.0  # no accuracy above 1
    assert {line.get_label() for line in right.get_lines()} == {"BiLSTM, embedding 1", "BiLSTM, report"}


def test_losses_are_averaged_as_logarithms():
    axis = draw_curves(RUNS, "loss").axes[0]
    assert axis.get_yscale() == "log"
    assert axis.get_lines()[0].get_ydata()[1] == pytest.approx((0.1 * 0.001) ** 0.5)


def test_short_studies_show_no_report():
    labels = [line.get_label() for line in draw_curves([run(steps=10)], "loss").axes[0].get_lines()]
    assert labels == ["LSTM, embedding 1"]


def test_each_initialisation_has_panels_of_its_own_and_the_report_stands_beside_its_own():
    own = {"initialization": "gnnkit"}
    figure = draw_curves([*RUNS, run(accuracy=(0.1, 0.2), **own), run("bilstm", 30, **own)], "accuracy")
    shown = {axis.get_title(loc="left"): axis for axis in figure.axes if axis.get_visible()}
    assert list(shown) == [
        "T = 5, initialisation report",
        "T = 15, initialisation report",
        "T = 5, initialisation gnnkit",
        "T = 30, initialisation gnnkit",
    ]
    lines = {line.get_label(): line for line in shown["T = 5, initialisation gnnkit"].get_lines()}
    assert list(lines) == ["LSTM, embedding 1"]
    np.testing.assert_allclose(lines["LSTM, embedding 1"].get_ydata(), [0.1, 0.2])


def test_more_than_three_lengths_take_a_second_row():
    figure = draw_curves([run(length=length) for length in (5, 10, 15, 30, 50)], "loss")
    assert [axis.get_visible() for axis in figure.axes] == [True] * 5 + [False]


def test_flow_is_that_of_the_longest_and_narrowest():
    figure = draw_flow(
        [*RUNS, run("lstm", 15), run("lstm", 15, embedding=128), run("gru", 15, initialization="gnnkit")]
    )
    assert "T = 15, embedding 1, report" in figure.get_suptitle()
    left = figure.axes[0]
    assert [line.get_label() for line in left.get_lines()] == ["LSTM", "BiLSTM"]
    np.testing.assert_allclose(left.get_lines()[0].get_ydata(), [1e-4, 1.0])
    assert "T = 5, embedding 1, gnnkit" in draw_flow([run(initialization="gnnkit")]).get_suptitle()


def test_files(tmp_path):
    write_figures(RUNS, tmp_path)
    first = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert set(first) == {"loss.png", "accuracy.png", "gradient_flow.png"}
    assert all(content.startswith(b"\x89PNG") and len(content) < 200_000 for content in first.values())
    write_figures(RUNS, tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == first


def test_what_cannot_be_drawn():
    with pytest.raises(ValueError, match="quantity must be 'loss' or 'accuracy', got 'speed'"):
        draw_curves(RUNS, "speed")
    with pytest.raises(ValueError, match="there is no run to draw"):
        draw_curves([], "loss")
    with pytest.raises(ValueError, match="5 widths of embedding are more than the 4 dashes"):
        draw_curves([run(embedding=width) for width in (1, 2, 3, 4, 5)], "loss")
