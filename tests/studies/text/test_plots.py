import math

import pytest

from gnnkit.studies.text.plots import draw_curves, write_curves

LARGE = {
    "name": "large",
    "row": {"book": "karamazov", "characters": 2000},
    "curve": {"step": [1, 50, 100], "nats": [4.5, 2.0, 1.2], "accuracy": [0.1, 0.4, 0.6]},
    "validation": {"step": [50, 100], "bits": [3.0, 2.0], "accuracy": [0.35, 0.5]},
}
SHORT = {
    "name": "short",
    "row": {"book": "heart_of_darkness", "characters": 200},
    "curve": {"step": [1, 20, 40], "nats": [4.4, 1.5, 0.8], "accuracy": [0.1, 0.6, 0.8]},
    "validation": {"step": [40], "bits": [3.5], "accuracy": [0.45]},
}


def test_all_books_stand_in_one_figure_and_training_and_held_out_text_share_one_unit():
    figure = draw_curves([LARGE, SHORT])
    loss, accuracy = figure.axes[:2]
    assert [list(line.get_ydata()) for line in loss.get_lines()] == [
        [4.5, 2.0, 1.2],
        pytest.approx([3 * math.log(2), 2 * math.log(2)]),
        [4.4, 1.5, 0.8],
        pytest.approx([3.5 * math.log(2)]),
    ]
    assert [list(line.get_ydata()) for line in accuracy.get_lines()] == [
        [0.1, 0.4, 0.6],
        [0.35, 0.5],
        [0.1, 0.6, 0.8],
        [0.45],
    ]
    colours = [line.get_color() for line in loss.get_lines()]
    assert colours[0] == colours[1] != colours[2] == colours[3]
    assert [line.get_linestyle() for line in loss.get_lines()] == ["-", "--", "-", "--"]
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == [
        "large (2,000 characters)",
        "short (200 characters)",
        "training batches",
        "held-out text, one stream",
    ]
    low, high = loss.get_ylim()
    assert low < 0.8
    assert 3.5 * math.log(2) < high < 4.4  # the first steps do not squeeze the rest


def test_more_models_than_colours_are_told_apart_by_their_mark():
    lines = draw_curves([LARGE] * 9).axes[0].get_lines()[1::2]
    assert len({(line.get_color(), line.get_marker()) for line in lines}) == 9


def test_one_file_the_same_each_time(tmp_path):
    contents = []
    for _ in range(2):
        write_curves({"runs": [LARGE, SHORT]}, tmp_path)
        contents.append({path.name: path.read_bytes() for path in tmp_path.iterdir()})
    assert list(contents[0]) == ["curves.png"]
    assert contents[0] == contents[1]
