import math

import pytest

from gnnkit.studies.text_plots import draw_curves, write_curves

RUN = {
    "name": "large",
    "row": {"book": "karamazov"},
    "curve": {"step": [1, 50, 100], "nats": [4.5, 2.0, 1.2], "accuracy": [0.1, 0.4, 0.6]},
    "validation": {"step": [50, 100], "bits": [3.0, 2.0], "accuracy": [0.35, 0.5]},
}


def test_training_and_held_out_text_share_one_unit():
    loss, accuracy = draw_curves(RUN).axes[:2]
    training, held_out = loss.get_lines()
    assert list(training.get_ydata()) == [4.5, 2.0, 1.2]
    assert list(held_out.get_ydata()) == pytest.approx([3 * math.log(2), 2 * math.log(2)])
    assert [list(line.get_ydata()) for line in accuracy.get_lines()] == [[0.1, 0.4, 0.6], [0.35, 0.5]]
    low, high = loss.get_ylim()
    assert low < 1.2
    assert 3 * math.log(2) < high < 4.5  # the first steps do not squeeze the rest


def test_a_file_a_run_the_same_each_time(tmp_path):
    write_curves({"runs": [RUN, RUN]}, tmp_path)
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["curves-1.png", "curves-2.png"]
    assert files[0].read_bytes() == files[1].read_bytes()
