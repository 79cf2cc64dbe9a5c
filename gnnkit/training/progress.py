"""What running fits tell the terminal: one bar a fit, and for a comparison the whole matrix of them."""

import time
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Any, Protocol

from rich.console import Console, Group, RenderableType
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TaskID, TextColumn
from rich.table import Table
from rich.text import Text

from gnnkit.training.notebook import NotebookDisplay

__all__ = [
    "FitListeners",
    "FitProgress",
    "MatrixLines",
    "MatrixProgress",
    "ProgressBars",
    "open_matrix",
    "open_progress",
]

_MARKS = {"left": ("·", "dim"), "running": ("◐", "cyan"), "done": ("■", "green"), "failed": ("×", "red")}


class FitProgress(Protocol):
    """What `gnnkit.training.fit` reports to: `ProgressBars` draws it, `gnnkit.training.track` logs it."""

    def begin_fit(self, steps: int) -> None:
        """A fit of at most `steps` optimisation steps starts."""
        ...

    def step(self, *, epoch: int, loss: float, val_mae: float | None) -> None:
        """One step of epoch `epoch` (from 1) is done; `val_mae` is that of the last finished epoch."""
        ...

    def end_epoch(self, *, epoch: int, train_loss: float, val_mae: float, seconds: float) -> bool:
        """Epoch `epoch` is validated, with the figures of its `EpochRecord`; True: the fit is to end here."""
        ...

    def end_fit(self) -> None:
        """The fit is over, whether all its steps were taken or not."""
        ...


class MatrixProgress(Protocol):
    """What `gnnkit.compare.run` reports to: which jobs there are, and which of them begin and end."""

    def begin_matrix(self, jobs: Sequence[tuple[str, str]], done: Collection[str] = ()) -> None:
        """All jobs as (model, label), and the labels of those that an earlier run finished; takes the place of a former
        matrix."""
        ...

    def begin_job(self, label: str) -> FitProgress | None:
        """A job starts; what comes back hears of its fit (None: nobody does). Several may run at a time."""
        ...

    def end_job(self, label: str, summary: str, *, failed: bool = False) -> None:
        """A job is over; `summary` says how it went."""
        ...


class FitListeners:
    """Several listeners to one fit, which ends where one of them wants it to.

    Args:
        listeners: told about everything, in this order; None among them is passed over.

    Example:
        >>> heard = FitListeners(None, ProgressBars(Console(quiet=True)))
        >>> heard.end_epoch(epoch=1, train_loss=0.5, val_mae=2.0, seconds=1.0)
        False
    """

    def __init__(self, *listeners: FitProgress | None) -> None:
        self._listeners = [listener for listener in listeners if listener is not None]

    def begin_fit(self, steps: int) -> None:
        """See `FitProgress`."""
        for listener in self._listeners:
            listener.begin_fit(steps)

    def step(self, *, epoch: int, loss: float, val_mae: float | None) -> None:
        """See `FitProgress`."""
        for listener in self._listeners:
            listener.step(epoch=epoch, loss=loss, val_mae=val_mae)

    def end_epoch(self, *, epoch: int, train_loss: float, val_mae: float, seconds: float) -> bool:
        """See `FitProgress`; all hear of it, whoever wants the end."""
        figures = {"train_loss": train_loss, "val_mae": val_mae, "seconds": seconds}
        ended = [listener.end_epoch(epoch=epoch, **figures) for listener in self._listeners]
        return any(ended)

    def end_fit(self) -> None:
        """See `FitProgress`."""
        for listener in self._listeners:
            listener.end_fit()


class ProgressBars:
    """Bars of rich: the matrix of jobs on top, below it each running fit with loss, validation MAE and seconds left.

    A single fit, without a matrix, may report to it as well.

    Args:
        console: where to draw: a terminal, or the output of a notebook's cell. The bars vanish when they are closed.

    Example:
        >>> with ProgressBars(Console(quiet=True)) as bars:
        ...     bars.begin_matrix([("lstm", "lstm, seed 0"), ("lstm", "lstm, seed 1")])
        ...     fit = bars.begin_job("lstm, seed 0")
        ...     fit.begin_fit(1)
        ...     fit.step(epoch=1, loss=0.5, val_mae=None)
        ...     fit.end_fit()
        ...     bars.end_job("lstm, seed 0", "1 s")
    """

    def __init__(self, console: Console) -> None:
        self._progress = _Bars(console)
        self._fits: dict[str, _FitBar] = {}
        self._total: TaskID | None = None
        self._alone: _FitBar | None = None

    def __enter__(self) -> "ProgressBars":
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin_matrix(self, jobs: Sequence[tuple[str, str]], done: Collection[str] = ()) -> None:
        """See `MatrixProgress`."""
        self._progress.rows = {}
        for model, label in jobs:
            self._progress.rows.setdefault(model, {})[label] = "done" if label in done else "left"
        left = len(jobs) - len(done)
        if self._total is not None:  # a second matrix, behind that of the trials
            self._progress.remove_task(self._total)
        self._total = self._progress.add_task("all fits", total=max(left, 1), completed=0 if left else 1, figures="")
        self._count()

    def begin_job(self, label: str) -> FitProgress:
        """See `MatrixProgress`."""
        self._mark(label, "running")
        self._fits[label] = _FitBar(self._progress, label, self._count)
        self._count()
        return self._fits[label]

    def end_job(self, label: str, summary: str, *, failed: bool = False) -> None:
        """See `MatrixProgress`; of a failed job, `summary` stays on the screen."""
        self._mark(label, "failed" if failed else "done")
        self._fits.pop(label).close()
        self._count()
        if failed:
            self._progress.console.print(f"{label}: {summary}", style="red", markup=False, highlight=False)

    def begin_fit(self, steps: int) -> None:
        """See `FitProgress`."""
        self._alone = _FitBar(self._progress, "training", lambda: None)
        self._alone.begin_fit(steps)

    def step(self, *, epoch: int, loss: float, val_mae: float | None) -> None:
        """See `FitProgress`."""
        if self._alone:
            self._alone.step(epoch=epoch, loss=loss, val_mae=val_mae)

    def end_epoch(self, *, epoch: int, train_loss: float, val_mae: float, seconds: float) -> bool:
        """See `FitProgress`; the next step shows the validation MAE."""
        return False

    def end_fit(self) -> None:
        """See `FitProgress`."""
        if self._alone:
            self._alone.close()
            self._alone = None

    def _mark(self, label: str, state: str) -> None:
        for marks in self._progress.rows.values():
            if label in marks:
                marks[label] = state

    def _count(self) -> None:
        if self._total is None:
            return
        states = [state for marks in self._progress.rows.values() for state in marks.values()]
        over, running = sum(state in ("done", "failed") for state in states), len(self._fits)
        figures = f"{over} of {len(states)} done, {running} running, {len(states) - over - running} left"
        total = self._progress.task(self._total).total or 1
        share = sum(fit.share for fit in self._fits.values())
        left = len(states) - over
        self._progress.update(self._total, completed=max(total - left + share, 0), figures=figures)


class MatrixLines:
    """One line for each finished job: what a log file can hold.

    Args:
        console: where to write.

    Example:
        >>> lines = MatrixLines(Console(quiet=True))
        >>> lines.begin_matrix([("gru", "gru, seed 0")])
        >>> lines.begin_job("gru, seed 0")
        >>> lines.end_job("gru, seed 0", "3.1 s, validation MAE 2.95")
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._jobs = self._over = self._before = 0
        self._start = time.perf_counter()

    def __enter__(self) -> "MatrixLines":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None: ...

    def begin_matrix(self, jobs: Sequence[tuple[str, str]], done: Collection[str] = ()) -> None:
        """See `MatrixProgress`."""
        self._jobs, self._over, self._before = len(jobs), len(done), len(done)
        self._start = time.perf_counter()
        if done:
            self._print(f"{len(done)} of {len(jobs)} fits are there from an earlier run")

    def begin_job(self, label: str) -> None:
        """See `MatrixProgress`; the steps of a fit have no line."""

    def end_job(self, label: str, summary: str, *, failed: bool = False) -> None:
        """See `MatrixProgress`."""
        self._over += 1
        elapsed, finished = time.perf_counter() - self._start, self._over - self._before
        rest = elapsed * (self._jobs - self._over) / finished
        left = f"; about {rest:.0f} s left" if self._over < self._jobs else ""
        self._print(f"[{self._over} of {self._jobs}] {label}{' failed' if failed else ''}: {summary}{left}")

    def _print(self, line: str) -> None:
        self._console.print(line, markup=False, highlight=False, soft_wrap=True)


def open_progress(console: Console) -> ProgressBars | None:
    """The bar of a single fit on a terminal or in a notebook, None elsewhere: a log file or a pipe stays quiet."""
    return ProgressBars(console) if console.is_terminal or console.is_jupyter else None


def open_matrix(console: Console) -> ProgressBars | MatrixLines:
    """Bars on a terminal or in a notebook; elsewhere, as in a log file, a line for each finished job."""
    return ProgressBars(console) if console.is_terminal or console.is_jupyter else MatrixLines(console)


class _FitBar:
    """The bar of one fit among several."""

    def __init__(self, progress: "_Bars", label: str, changed: Callable[[], None]) -> None:
        self._progress, self._changed = progress, changed
        self._task = progress.add_task(label, total=None, figures="")
        self.share = 0.0

    def begin_fit(self, steps: int) -> None:
        self._progress.reset(self._task, total=steps, figures="")

    def step(self, *, epoch: int, loss: float, val_mae: float | None) -> None:
        figures = f"epoch {epoch}  loss {loss:.4f}" + ("" if val_mae is None else f"  val MAE {val_mae:.4f}")
        self._progress.update(self._task, advance=1, figures=figures)
        task = self._progress.task(self._task)
        self.share = min(task.completed / (task.total or 1), 1.0)
        self._changed()

    def end_epoch(self, *, epoch: int, train_loss: float, val_mae: float, seconds: float) -> bool:
        return False

    def end_fit(self) -> None:
        self.share = 1.0
        self._changed()

    def close(self) -> None:
        self._progress.remove_task(self._task)


class _Bars(Progress):
    """Bars, and above them a row of marks for each model: a mark a job."""

    def __init__(self, console: Console) -> None:
        self.rows: dict[str, dict[str, str]] = {}
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=24),
            _SecondsLeft(),
            TextColumn("{task.fields[figures]}"),
        )
        # In a notebook rich would ask for widgets: there the bars are drawn from here, and rich only counts.
        self._notebook = NotebookDisplay() if console.is_jupyter else None
        super().__init__(*columns, console=console, transient=True, disable=self._notebook is not None)

    def update(self, task_id: TaskID, **changes: Any) -> None:
        super().update(task_id, **changes)
        if self._notebook:
            self._notebook.show(self.get_renderable())

    def stop(self) -> None:
        super().stop()
        if self._notebook:
            self._notebook.clear()

    def task(self, number: TaskID) -> Task:
        return next(task for task in self.tasks if task.id == number)

    def get_renderable(self) -> RenderableType:
        if not self.rows:
            return super().get_renderable()
        grid = Table.grid(padding=(0, 1))
        for model, marks in self.rows.items():
            cells = Text.assemble(*(_MARKS[state] for state in marks.values()))
            over = sum(state in ("done", "failed") for state in marks.values())
            grid.add_row(model, cells, f"{over}/{len(marks)}")
        return Group(grid, super().get_renderable())


class _SecondsLeft(ProgressColumn):
    """Seconds left at the mean pace so far: every epoch ends in a validation, and a short mean would jump."""

    max_refresh = 0.5

    def render(self, task: Task) -> Text:
        elapsed, total = task.elapsed, task.total
        if not elapsed or not total or task.completed <= 0:
            return Text("- s left")
        return Text(f"{elapsed * max(total - task.completed, 0) / task.completed:.0f} s left")
