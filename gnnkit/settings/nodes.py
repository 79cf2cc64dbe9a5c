"""The settings of the studies of nodes: seeds of one recipe, and recipes at many depths."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field, field_validator

from gnnkit.settings.declared import Settings, Written, distinct
from gnnkit.settings.fit import ThreadFields

__all__ = ["DepthFields", "NodeDataFields", "NodeRunFields"]

_MODELS = ("gcn", "gcn-residual", "gcn2", "gat")
Count = Annotated[int, Field(ge=1)]


class NodeDataFields(Settings, frozen=True):
    """Where the graph is."""

    panel: ClassVar[str] = "Data"

    data: str = "cora"
    """A data set of nodes that `gnnkit list` names."""
    data_root: Path | None = None
    """Folder of the data; none: GNNKIT_DATA, else the cache."""
    unverified: bool = False
    """Take Planetoid's files though they are not the published ones by their SHA-256."""


class NodeRunFields(ThreadFields, NodeDataFields, frozen=True):
    """What is trained."""

    panel: ClassVar[str] = "What is trained"

    trust_pickles: bool = False
    """Let ogb unpickle its files: they can run any code."""
    model: str = "gcn"
    """The recipe: gcn, gat or own."""
    seeds: Annotated[tuple[Annotated[int, Field(ge=0)], ...], Field(min_length=1), Written(counted=True)] = (
        *range(10),
    )
    """Seeds: a count, or a list."""
    changes: Annotated[dict[str, Any], Written(("--set",), repeated=True, example="hidden_channels=64")] = Field(
        default_factory=dict
    )
    """Arguments of the model or of its training that replace the recipe's, by name."""
    seeds_at_once: Count = 25
    """Seeds in one batched model; a block of them is also what a run that was cut off repeats."""
    batches: Literal["auto", "whole", "partition", "neighbour"] = "auto"
    """auto: the whole graph up to 50,000 nodes, else partitions; neighbour draws ten neighbours a layer."""
    num_parts: Count = 100
    """Parts of a partition; a tenth of them are in a batch."""
    device: str = "auto"
    """Where to train: auto, cpu, cuda, cuda:1, mps."""

    @field_validator("seeds")
    @classmethod
    def _different_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        return distinct(seeds, "a seed")


class DepthFields(NodeDataFields, frozen=True):
    """Which models, at which depths."""

    panel: ClassVar[str] = "What is compared"

    models: Annotated[tuple[Literal["gcn", "gcn-residual", "gcn2", "gat"], ...], Field(min_length=1)] = _MODELS
    """Plain stacks, and the cures."""
    depths: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)] = (2, 4, 8, 16, 32)
    """Numbers of layers."""
    seeds: Count = 10
    """Number of seeds, trained together."""
    epochs: Count = 200
    """Most epochs; patience is a quarter of it."""
    influence_nodes: Count = 16
    """Test nodes whose influence by hop is measured, with the first seed's model."""
