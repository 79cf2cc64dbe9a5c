"""What is drawn in a notebook's cell and drawn again in its place, without widgets."""

from __future__ import annotations

import io
import time
from collections.abc import Callable
from typing import Any

from rich.console import Console, RenderableType

__all__ = ["NotebookDisplay"]

_SECONDS = 0.25
"""Between two drawings: a page that is redrawn at every step is slower than the step."""
_WIDTH = 100
# The text has the colour of the page, which may be dark or bright.
_FORMAT = (
    '<pre style="white-space: pre; overflow-x: auto; line-height: normal; color: inherit; background: none; '
    "font-family: Menlo, 'DejaVu Sans Mono', consolas, 'Courier New', monospace\">{code}</pre>"
)


class NotebookDisplay:
    """One output of a cell, which is replaced whenever something new is shown.

    rich draws live bars in a notebook by ipywidgets, which many have not; this asks for IPython alone, which a notebook
    always has.

    Args:
        display: `IPython.display.display` (default), or what is called like it.

    Example:
        >>> NotebookDisplay(display=lambda *data, **options: None).show("training", now=True)
    """

    def __init__(self, display: Callable[..., Any] | None = None) -> None:
        self._display = display
        self._handle: Any = None
        self._last = 0.0

    def show(self, what: RenderableType, *, now: bool = False) -> None:
        """Draw something in the place of what was shown before; passed over if that was just now, unless `now`."""
        if not now and time.monotonic() - self._last < _SECONDS:
            return
        self._last = time.monotonic()
        console = Console(file=io.StringIO(), record=True, width=_WIDTH, force_terminal=True, force_jupyter=False)
        console.print(what)
        text = console.export_text(clear=False)
        self._put({"text/html": console.export_html(inline_styles=True, code_format=_FORMAT), "text/plain": text})

    def clear(self) -> None:
        """Leave nothing of it."""
        if self._handle is not None:
            self._put({"text/html": "", "text/plain": ""})

    def _put(self, data: dict[str, str]) -> None:
        if self._handle is not None:
            self._handle.update(data, raw=True)
            return
        if self._display is None:
            from IPython.display import display

            self._display = display
        self._handle = self._display(data, raw=True, display_id=True)
