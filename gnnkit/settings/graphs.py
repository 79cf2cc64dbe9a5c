"""The settings of a run on graphs as examples."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from gnnkit.settings.declared import Settings, Written, distinct

__all__ = ["GraphDataFields", "GraphRunFields"]


class GraphDataFields(Settings, frozen=True):
    """What is read of the folder, and how it is split."""

    panel: ClassVar[str] = "Data"

    target: Literal["auto", "classes", "numbers"] = "auto"
    """Of TUDataset's files: graph labels, or graph attributes; auto: labels where they are there."""
    degrees: bool = False
    """Give each node its degree as a feature; every model sees it."""
    folds: Annotated[int, Field(ge=2, le=100)] = 10
    """Folds of the cross-validation, of data without a split of its own."""
    validation: Annotated[float, Field(gt=0, le=0.5)] = 0.1
    """Share of the training graphs that chooses, where the data has no split of its own."""
    split_seed: Annotated[int, Field(ge=0)] = 0
    """Of the folds."""


class GraphRunFields(GraphDataFields, frozen=True):
    """What is trained."""

    panel: ClassVar[str] = "What is trained"

    model: str = "gin"
    """gin, gcn, gin-virtual-node or gcn-virtual-node."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), Written(counted=True)] = (0, 1, 2)
    """Seeds of each fold's chosen settings: a count, or a list."""
    changes: Annotated[dict[str, Any], Written(("--set",), repeated=True, example="hidden_channels=32")] = Field(
        default_factory=dict
    )
    """Arguments of the model or of its training that replace the recipe's, by name."""
    tried: Annotated[
        dict[str, Any], Written(("--try",), repeated=True, example='readout=["sum","mean"]', shown="the recipe's")
    ] = Field(default_factory=dict)
    """Values of an argument, of which validation graphs choose; --try none=[] tries nothing."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda, cuda:1, mps."""

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return distinct(seeds, "a seed")
