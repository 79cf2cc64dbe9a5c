"""Bars on a terminal, silence elsewhere."""

import io

from rich.console import Console

from gnnkit.training import ProgressBars, open_progress


def test_quiet_when_not_on_a_terminal():
    assert open_progress(Console(file=io.StringIO())) is None
    assert isinstance(open_progress(Console(file=io.StringIO(), force_terminal=True)), ProgressBars)


def test_bars_show_run_loss_validation_mae_and_seconds_left():
    shown = io.StringIO()
    console = Console(file=shown, force_terminal=True, width=120)
    bars = ProgressBars(console)
    bars.begin_run("tgcn, seed 1", 1, 4)
    bars.begin_fit(10)
    bars.step(epoch=1, loss=0.5, val_mae=None)
    bars.step(epoch=2, loss=0.25, val_mae=3.125)
    console.print(bars._progress)
    text = shown.getvalue()
    for part in ("2 of 4", "tgcn, seed 1", "epoch 2", "loss 0.2500", "val MAE 3.1250", "s left"):
        assert part in text
    assert bars._progress.tasks[0].completed == 1.2
    bars.end_fit()
    assert bars._progress.tasks[0].completed == 2
