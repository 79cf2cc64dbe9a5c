"""The settings of a judgement: forecasts that were made elsewhere, and how sure intervals are."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, field_validator, model_validator

from gnnkit.settings.declared import Settings, Written, distinct
from gnnkit.settings.fit import DataFields, SeenFields
from gnnkit.settings.problems import Key, SpecProblems

__all__ = ["ConfidenceFields", "CoverageFields", "ForecastFields", "JudgeFields", "SureFields"]


class ForecastFields(Settings, frozen=True):
    """Forecasts that were made elsewhere, by name."""

    panel: ClassVar[str] = "Forecasts made elsewhere"

    forecasts: Annotated[dict[str, Path], Written(repeated=True, example="tgcn=tgcn.npz")] = Field(default_factory=dict)
    """Files of forecasts by the names that they get: NPZ, NPY, CSV or Parquet."""
    validation_forecasts: Annotated[dict[str, Path], Written(repeated=True, example="tgcn=tgcn-val.npz")] = Field(
        default_factory=dict
    )
    """The same forecasters' files for validation rows, which calibrate their intervals."""
    origins: int | str | None = None
    """Row (counted from 0) or time of the last known row of the first window, for files that do not say it; none: they
    are the test windows."""
    missing_forecasts: Literal["refuse", "leave-out"] = "refuse"
    """What is done where a forecast lacks a target that was observed: refuse, or leave the target out for all."""
    graph_forecasts: tuple[str, ...] = ()
    """Names of forecasts that a graph model made; they are compared with sequence models as a family."""
    sequence_forecasts: tuple[str, ...] = ()
    """Names of forecasts that a model without a graph made."""

    @field_validator("forecasts", "validation_forecasts")
    @classmethod
    def _files_by_name(cls, files: dict[str, Path]) -> dict[str, Path]:
        found: list[tuple[Key, str]] = []
        for name, path in files.items():
            if not name.strip() or name != name.strip() or set(name) & set(",=\n"):
                found.append(((name,), f"{name!r} is no name of a forecast; give a short one without , and ="))
            elif path.is_dir():
                found.append(((name,), f"{path} is a folder; give a file"))
            elif not path.is_file():
                found.append(((name,), f"no such file: {path}"))
        if found:
            raise SpecProblems(found)
        return files

    @field_validator("origins", mode="before")
    @classmethod
    def _a_place(cls, value: object) -> object:
        if isinstance(value, bool) or (isinstance(value, int) and value < 0):
            raise ValueError(f"{value} is no row; give the number of a row from 0 on, or a time")
        return value

    @field_validator("graph_forecasts", "sequence_forecasts")
    @classmethod
    def _named_once(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        return distinct(names, "a name")

    @model_validator(mode="after")
    def _one_family(self) -> Self:
        both = [name for name in self.graph_forecasts if name in self.sequence_forecasts]
        if both:
            text = f"{both[0]!r} is among sequence_forecasts too; leave it out of one of them"
            raise SpecProblems([(("graph_forecasts",), text)])
        return self


class ConfidenceFields(Settings, frozen=True):
    """How sure a verdict is."""

    panel: ClassVar[str] = "What else is asked"

    confidence: float = Field(default=0.95, gt=0.5, le=0.999)
    """Confidence of the intervals of differences."""


class CoverageFields(Settings, frozen=True):
    """How much a prediction interval holds, and how finely groups of targets are judged."""

    panel: ClassVar[str] = "What else is asked"

    coverage: float = Field(default=0.9, gt=0, lt=1)
    """Share of the targets that a prediction interval should hold."""
    resamples: int = Field(default=2000, ge=100)
    """Draws by which groups of targets are corrected together: where the errors of two models differ."""


class SureFields(ConfidenceFields, CoverageFields, frozen=True):
    """How sure intervals are."""

    panel: ClassVar[str] = "What else is asked"


class JudgeFields(SureFields, ForecastFields, SeenFields, DataFields, frozen=True):
    """One judgement: a data set, and forecasts of its test rows."""
