"""The settings of the quick look: data, windows, and how much is asked."""

from __future__ import annotations

from typing import ClassVar

from pydantic import Field

from gnnkit.settings.declared import Settings
from gnnkit.settings.fit import DataFields, FoldFields, SeenFields
from gnnkit.settings.judging import ConfidenceFields

__all__ = ["SHUFFLES", "AskedQuickly", "QuickFields"]

SHUFFLES = 5


class AskedQuickly(Settings, frozen=True):
    """How much is asked."""

    panel: ClassVar[str] = "What is asked"

    shuffles: int = Field(default=SHUFFLES, ge=1, le=100)
    """Shuffled graphs that the given one has to beat: the same edges between other nodes."""


class QuickFields(AskedQuickly, ConfidenceFields, SeenFields, FoldFields, DataFields, frozen=True):
    """One quick look: a data set, and what is asked of it."""
