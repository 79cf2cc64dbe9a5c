"""What a running fit tells the terminal: bars for the matrix of runs and for the epochs of the current one."""

from types import TracebackType
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

__all__ = ["FitProgress", "ProgressBars", "open_progress"]


class FitProgress(Protocol):
    """What `gnnkit.training.fit` and `compare.run` report to; `ProgressBars` draws it."""

    def begin_run(self, label: str, run: int, runs: int) -> None:
        """Run number `run` (from 0) of `runs` starts; `label` names it."""
        ...

    def begin_fit(self, steps: int) -> None:
        """A fit of at most `steps` optimisation steps starts."""
        ...

    def step(self, *, epoch: int, loss: float, val_mae: float | None) -> None:
        """One step of epoch `epoch` (from 1) is done; `val_mae` is that of the last finished epoch."""
        ...

    def end_fit(self) -> None:
        """The fit is over, whether all its steps were taken or not."""
        ...


class ProgressBars:
    """Progress bars of rich: the runs above, the current fit with loss, validation MAE and seconds left below.

    Args:
        console: where to draw. The bars vanish when they are closed.

    Example:
        >>> with ProgressBars(Console(quiet=True)) as bars:
        ...     bars.begin_run("lstm, seed 0", 0, 1)
        ...     bars.begin_fit(1)
        ...     bars.step(epoch=1, loss=0.5, val_mae=None)
        ...     bars.end_fit()
    """

    def __init__(self, console: Console) -> None:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _SecondsLeft(),
            TextColumn("{task.fields[figures]}"),
        )
        self._progress = Progress(*columns, console=console, transient=True)
        self._runs = self._progress.add_task("runs", total=1, visible=False, figures="")
        self._fit = self._progress.add_task("training", total=1, visible=False, figures="")
        self._run = 0

    def __enter__(self) -> "ProgressBars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin_run(self, label: str, run: int, runs: int) -> None:
        self._run = run
        self._progress.update(self._runs, total=runs, completed=run, visible=True, figures=f"{run + 1} of {runs}")
        self._progress.update(self._fit, description=label)

    def begin_fit(self, steps: int) -> None:
        self._progress.reset(self._fit, total=steps, visible=True, figures="")

    def step(self, *, epoch: int, loss: float, val_mae: float | None) -> None:
        figures = f"epoch {epoch}  loss {loss:.4f}" + ("" if val_mae is None else f"  val MAE {val_mae:.4f}")
        self._progress.update(self._fit, advance=1, figures=figures)
        fit = self._progress.tasks[self._fit]
        self._progress.update(self._runs, completed=self._run + fit.completed / (fit.total or 1))

    def end_fit(self) -> None:
        self._progress.update(self._fit, visible=False)
        self._progress.update(self._runs, completed=self._run + 1)


def open_progress(console: Console) -> ProgressBars | None:
    """Bars on a terminal, None elsewhere: a log file or a pipe stays quiet."""
    return ProgressBars(console) if console.is_terminal else None


class _SecondsLeft(ProgressColumn):
    """Seconds left at the mean pace so far: every epoch ends in a validation, and a short mean would jump."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        elapsed, total = task.elapsed, task.total
        if not elapsed or not total or task.completed <= 0:
            return Text("- s left")
        return Text(f"{elapsed * max(total - task.completed, 0) / task.completed:.0f} s left")
