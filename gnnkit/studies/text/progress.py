"""What a running text training says: a bar on a terminal, and a line with a sample per validation."""

from __future__ import annotations

import math
import time
from types import TracebackType

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn

__all__ = ["TextProgress"]


class TextProgress:
    """Steps per second, loss, accuracy and seconds left; nothing without a console.

    Args:
        console: Where to write; the bar is drawn only on a terminal.
        steps: Of the whole training.
        step: Where it begins, more than 0 if it goes on.

    Example:
        >>> with TextProgress(None, 10, 0) as progress:
        ...     progress.advance(10, 1.2, 0.6)
    """

    def __init__(self, console: Console | None, steps: int, step: int) -> None:
        self.console, self.steps, self.step = console, steps, step
        self.nats, self.accuracy = math.nan, math.nan
        self._pace: float | None = None  # steps per second, smoothed over some blocks
        self._clock = time.perf_counter()
        self._bar: Progress | None = None
        if console is not None and console.is_terminal:
            columns = (TextColumn("{task.description}"), BarColumn(bar_width=24), TextColumn("{task.fields[figures]}"))
            self._bar = Progress(*columns, console=console, transient=True)
            self._task = self._bar.add_task("training", total=steps, completed=step, figures="")
        if console is not None and step > 0:
            console.print(f"going on after step {step:,} of {steps:,}", highlight=False)

    def __enter__(self) -> TextProgress:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def advance(self, step: int, nats: float, accuracy: float) -> None:
        """Some steps are done; loss and accuracy are those of the last few."""
        now = time.perf_counter()
        pace = (step - self.step) / max(now - self._clock, 1e-9)
        self._pace = pace if self._pace is None else 0.9 * self._pace + 0.1 * pace
        self.step, self._clock, self.nats, self.accuracy = step, now, nats, accuracy
        if self._bar is not None:
            self._bar.update(self._task, completed=step, figures=self._figures())

    def validated(self, step: int, bits: float, sample: str) -> None:
        """A validation is done; its sample is shown on one line."""
        self._clock = time.perf_counter()  # a validation is no step
        if self.console is None:
            return
        self.console.print(
            f"step {step:,}  {self._figures()}  validation {bits:.3f} bits a character\n"
            f"  [dim]{escape(' '.join(sample.split()))}[/dim]",
            highlight=False,
            soft_wrap=True,
        )

    def _figures(self) -> str:
        if not self._pace:
            return ""
        left = (self.steps - self.step) / self._pace
        return f"{self._pace:.1f} steps/s  loss {self.nats:.4f}  accuracy {self.accuracy:.3f}  {left:.0f} s left"
