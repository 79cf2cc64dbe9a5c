"""Bars in a notebook, drawn by what a cell can always show."""

import io

from rich.console import Console

from gnnkit.training import ProgressBars, notebook, open_matrix, open_progress
from gnnkit.training.notebook import NotebookDisplay


class Cell:
    """What IPython's display and its handle are asked for."""

    def __init__(self):
        self.shown = []

    def display(self, data, *, raw, display_id):
        assert raw
        assert display_id
        self.shown.append(data)
        return self

    def update(self, data, *, raw):
        assert raw
        self.shown.append(data)


def test_it_is_drawn_in_one_place_and_not_at_every_step(monkeypatch):
    seconds = iter([10.0, 10.1, 10.2, 10.5, 10.5])
    monkeypatch.setattr(notebook.time, "monotonic", lambda: next(seconds))
    cell = Cell()
    place = NotebookDisplay(cell.display)
    for text in ("[red]first[/red]", "too soon", "later"):
        place.show(text)
    place.clear()
    assert [data["text/plain"].strip() for data in cell.shown] == ["first", "later", ""]
    assert "color: #800000" in cell.shown[0]["text/html"]
    assert "color: inherit; background: none" in cell.shown[0]["text/html"]


def test_what_was_never_shown_is_not_cleared():
    cell = Cell()
    NotebookDisplay(cell.display).clear()
    assert cell.shown == []


def test_bars_are_drawn_there_and_vanish():
    console = Console(file=io.StringIO(), force_jupyter=True)
    assert isinstance(open_progress(console), ProgressBars)
    assert isinstance(open_matrix(console), ProgressBars)
    cell = Cell()
    bars = ProgressBars(console)
    bars._progress._notebook = NotebookDisplay(cell.display)
    with bars:
        bars.begin_matrix([("gru", "gru, seed 0")])
        fit = bars.begin_job("gru, seed 0")
        fit.begin_fit(4)
        bars._progress._notebook._last = 0.0  # some time ago
        fit.step(epoch=1, loss=0.5, val_mae=2.5)
    assert "gru, seed 0" in cell.shown[-2]["text/plain"]
    assert "epoch 1  loss 0.5000  val MAE 2.5000" in cell.shown[-2]["text/plain"]
    assert cell.shown[-1]["text/plain"] == ""
