"""Recipes for whole graphs: models, their training, and the settings of which validation graphs choose."""

from __future__ import annotations

import difflib
import inspect
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from types import MappingProxyType
from typing import Any

from gnnkit.layers import GraphPredictor

__all__ = ["GRAPH_RECIPES", "RIVAL", "GraphRecipe", "GraphSettings", "graph_recipe"]

RIVAL = "structure-blind"
"""The recipe that looks at no edge."""


@dataclass(frozen=True)
class GraphSettings:
    """How a model is trained: Adam on shuffled batches of graphs, the best epoch by its validation graphs.

    Args:
        epochs: Most epochs. Default 200.
        patience: Epochs without a better validation after which it ends. Default 30.
        batch_size: Graphs in a batch. Default 64.
        learning_rate, weight_decay: Adam's. Defaults 0.001, 0.

    Raises:
        ValueError: A number is out of range.
    """

    epochs: int = 200
    patience: int = 30
    batch_size: int = 64
    learning_rate: float = 0.001
    weight_decay: float = 0.0

    def __post_init__(self) -> None:
        for name, least in (("epochs", 1), ("patience", 1), ("batch_size", 2)):
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} must be a whole number of at least {least}, got {value!r}")
        for name, allowed in (("learning_rate", "a positive number"), ("weight_decay", "a number of at least 0")):
            value = getattr(self, name)
            right = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            if not right or value < 0 or (value == 0 and name == "learning_rate"):
                raise ValueError(f"{name} must be {allowed}, got {value!r}")


@dataclass(frozen=True)
class GraphRecipe:
    """A model, how it is trained, and what is tried.

    Args:
        name: On the command line.
        description: One line.
        model: Arguments of `gnnkit.layers.GraphPredictor`, without what the data says.
        settings: The training.
        tried: Values of arguments of either, of which validation graphs choose.
    """

    name: str
    description: str
    model: Mapping[str, Any]
    settings: GraphSettings = field(default_factory=GraphSettings)
    tried: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def configs(self) -> list[dict[str, Any]]:
        """All that is tried, a set of values each; one empty set where nothing is."""
        return [dict(zip(self.tried, values, strict=True)) for values in itertools.product(*self.tried.values())]

    def with_values(self, values: Mapping[str, Any]) -> GraphRecipe:
        """The recipe with some arguments of its model or training replaced."""
        training = {each.name for each in fields(GraphSettings)}
        settings = replace(self.settings, **{name: value for name, value in values.items() if name in training})
        model = {**self.model, **{name: value for name, value in values.items() if name not in training}}
        return replace(self, model=model, settings=settings)

    def as_json(self) -> str:
        """All settings, as the rows name them."""
        return json.dumps({**self.model, **asdict(self.settings)}, sort_keys=True)


_TRIED = MappingProxyType({"readout": ("sum", "mean"), "learning_rate": (0.01, 0.001)})
_BLIND = MappingProxyType({"hidden_channels": (64, 256), "learning_rate": (0.01, 0.001)})


def _recipe(name: str, description: str, **model: Any) -> tuple[str, GraphRecipe]:
    return name, GraphRecipe(name, description, model, tried=_BLIND if name == RIVAL else _TRIED)


GRAPH_RECIPES: Mapping[str, GraphRecipe] = MappingProxyType(
    dict(
        (
            _recipe(
                "gin", "GIN of Xu et al. (2019), with edges' features as Hu et al. (2020): 4 layers of 64", layer="gin"
            ),
            _recipe("gcn", "GCN of Kipf & Welling (2017): 4 layers of 64; edges' features are left out", layer="gcn"),
            _recipe("gin-virtual-node", "GIN with a node beside all others", layer="gin", virtual_node=True),
            _recipe("gcn-virtual-node", "GCN with a node beside all others", layer="gcn", virtual_node=True),
            _recipe(RIVAL, "a network on the sum of a graph's node features: it sees no edge", layer="none"),
        )
    )
)
_OF_DATA = {"in_channels", "out_channels", "category_sizes", "edge_channels", "edge_category_sizes"}


def graph_recipe(model: str, changes: Mapping[str, Any], tried: Mapping[str, Any]) -> GraphRecipe:
    """A recipe with changes in it.

    Args:
        model: One of `GRAPH_RECIPES`.
        changes: Values that replace the recipe's; what is changed is not tried.
        tried: Lists of values that replace all that the recipe tries; an empty list tries nothing of that name.

    Raises:
        ValueError: A name is unknown, what is tried is no list, or a value is out of range.

    Example:
        >>> graph_recipe("gin", {"readout": "max"}, {}).configs()
        [{'learning_rate': 0.01}, {'learning_rate': 0.001}]
    """
    if model not in GRAPH_RECIPES:
        near = difflib.get_close_matches(model, GRAPH_RECIPES, n=1, cutoff=0.0)
        raise ValueError(f"model={model!r}: did you mean {near[0]!r}? There are {', '.join(GRAPH_RECIPES)}")
    recipe = GRAPH_RECIPES[model]
    known = set(inspect.signature(GraphPredictor).parameters) - _OF_DATA - {"layer"}
    known |= {each.name for each in fields(GraphSettings)}
    for what, given in (("changes", changes), ("tried", {k: v for k, v in tried.items() if v != []})):
        for name in given:
            if name not in known:
                raise ValueError(f"{what}: {name!r} is none of {', '.join(sorted(known))}")
    for name, values in tried.items():
        if not isinstance(values, list | tuple):
            raise ValueError(f"tried: {name} needs a list of values, e.g. {name}=[0.01,0.001], got {values!r}")
    chosen = {name: tuple(values) for name, values in (tried or recipe.tried).items() if len(values)}
    if both := sorted(set(chosen) & set(changes) & set(tried)):
        raise ValueError(f"{both[0]} is both set and tried; give one of the two")
    chosen = {name: values for name, values in chosen.items() if name not in changes}
    recipe = replace(recipe.with_values(changes), tried=chosen)
    for config in recipe.configs():
        GraphPredictor(1, 2, **recipe.with_values(config).model)  # its errors name what does not fit
    return recipe
