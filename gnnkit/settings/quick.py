"""The settings of the quick look: data, windows, and how much is asked."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from gnnkit.settings.declared import Settings, Written
from gnnkit.settings.fit import DataFields, SeenFields
from gnnkit.settings.judging import ConfidenceFields

__all__ = ["SHUFFLES", "AskedQuickly", "QuickFields"]

SHUFFLES = 5


class AskedQuickly(Settings, frozen=True):
    """How much is asked."""

    panel: ClassVar[str] = "What is asked"

    folds: Annotated[int | None, Written(shown="3 where the rows allow it, else 1")] = Field(default=None, ge=1, le=50)
    """Rolling origins: each fold trains on the rows before its test rows, and the test rows of all folds follow each
    other over most of the series. 1: one split."""
    shuffles: int = Field(default=SHUFFLES, ge=1, le=100)
    """Shuffled graphs that the given one has to beat: the same edges between other nodes."""


class QuickFields(AskedQuickly, ConfidenceFields, SeenFields, DataFields, frozen=True):
    """One quick look: a data set, and what is asked of it."""
