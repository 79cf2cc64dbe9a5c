"""Bars on a terminal, a line for each job elsewhere."""

import io

from rich.console import Console

from gnnkit.training import MatrixLines, ProgressBars, open_matrix, open_progress

JOBS = [("gru", "gru, seed 0"), ("gru", "gru, seed 1"), ("tgcn", "tgcn, seed 0"), ("tgcn", "tgcn, seed 1")]


def terminal():
    return Console(file=io.StringIO(), force_terminal=True, width=120)


def shown(console, bars):
    console.file.seek(0)
    console.file.truncate()
    console.print(bars._progress.get_renderable())
    return console.file.getvalue()


def test_what_is_opened_where():
    assert open_progress(Console(file=io.StringIO())) is None
    assert isinstance(open_progress(terminal()), ProgressBars)
    assert isinstance(open_matrix(Console(file=io.StringIO())), MatrixLines)
    assert isinstance(open_matrix(terminal()), ProgressBars)


def test_a_single_fit_has_one_bar_with_loss_validation_mae_and_seconds_left():
    bars = ProgressBars(console := terminal())
    bars.begin_fit(10)
    bars.step(epoch=1, loss=0.5, val_mae=None)
    bars.step(epoch=2, loss=0.25, val_mae=3.125)
    text = shown(console, bars)
    for part in ("training", "epoch 2", "loss 0.2500", "val MAE 3.1250", "s left"):
        assert part in text
    assert bars._progress.tasks[0].completed == 2
    bars.end_fit()
    assert bars._progress.tasks == []


def test_the_matrix_says_what_is_done_running_and_left():
    bars = ProgressBars(console := terminal())
    bars.begin_matrix(JOBS, {"gru, seed 0"})
    assert "1 of 4 done, 0 running, 3 left" in shown(console, bars)
    fits = [bars.begin_job(label) for _, label in JOBS[1:3]]
    for fit, steps in zip(fits, (10, 20), strict=True):
        fit.begin_fit(steps)
        for _ in range(5):
            fit.step(epoch=1, loss=0.5, val_mae=None)
    text = shown(console, bars)
    assert "1 of 4 done, 2 running, 1 left" in text
    assert "gru, seed 1" in text
    assert "tgcn, seed 0" in text
    # Three were left at the start: half of one and a quarter of another are done.
    assert bars._progress.tasks[0].completed == 0.75
    fits[0].end_fit()
    bars.end_job("gru, seed 1", "1 s")
    bars.end_job("tgcn, seed 0", "loss is nan", failed=True)
    console.file.seek(0)
    assert "tgcn, seed 0: loss is nan" in console.file.read()
    text = shown(console, bars)
    assert "3 of 4 done, 0 running, 1 left" in text
    assert text.count("■") == 2
    assert text.count("×") == 1
    assert text.count("·") == 1
    assert bars._progress.tasks[0].completed == 2


def test_a_log_gets_a_line_for_each_job():
    console = Console(file=io.StringIO(), width=40)
    lines = MatrixLines(console)
    lines.begin_matrix(JOBS, {"gru, seed 0"})
    for _, label in JOBS[1:]:
        lines.begin_job(label)
        lines.end_job(label, "2.0 s", failed=label == "tgcn, seed 0")
    found = console.file.getvalue().splitlines()
    assert found[0] == "1 of 4 fits are there from an earlier run"
    assert found[1].startswith("[2 of 4] gru, seed 1: 2.0 s; about ")
    assert found[2].startswith("[3 of 4] tgcn, seed 0 failed: 2.0 s; about ")
    assert found[3] == "[4 of 4] tgcn, seed 1: 2.0 s"
