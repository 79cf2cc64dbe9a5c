"""The settings of one fit, checked before anything is read or trained."""

from __future__ import annotations

from typing import Any

from pydantic import field_validator

from gnnkit.data import DATASETS
from gnnkit.settings.fit import FitFields, TrainingFields
from gnnkit.training import TrainingSettings, resolve_device

__all__ = ["FitSettings"]


class FitSettings(FitFields, frozen=True):
    """One fit: data, windows and training; a comparison has the same ones for every model.

    A model is trained to predict max(`horizons`) steps, and scored at each horizon.

    Args: the text below each field says what it is (`gnnkit.settings.fit`); `gnnkit train --help` prints them all.

    Raises:
        ValueError: a value is not allowed; one line names the field, the value and what is allowed, for up to three.

    Example:
        >>> FitSettings(horizons=[12, 3]).horizons
        (3, 12)
    """

    @field_validator("data")
    @classmethod
    def _known_data(cls, name: str | None) -> str | None:
        if name is not None:
            DATASETS[name]  # whose error names the nearest one
        return name

    @field_validator("device")
    @classmethod
    def _present_device(cls, device: str) -> str:
        resolve_device(device)
        return device

    def training_settings(self, seed: int) -> TrainingSettings:
        """The training settings of one run, but for what a model's own settings say."""
        return TrainingSettings(seed=seed, **{name: getattr(self, name) for name in TrainingFields.model_fields})

    def to_json(self) -> dict[str, Any]:
        """Everything that was asked for, as JSON values."""
        return self.model_dump(mode="json")
