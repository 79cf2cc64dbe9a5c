"""A model of links and how it is trained: its settings, and recipes by name."""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

from gnnkit.relational import DECODERS, LOSSES
from gnnkit.studies.relations.task import GRAPH_PARTS
from gnnkit.training import BudgetSettings

__all__ = ["RECIPES", "RelationsSettings", "recipe"]

# Settings that are whole numbers, with the least that each may be; other numbers; and those that may be None.
_WHOLE = {"channels": 1, "hidden_channels": 1, "num_bases": 1, "neighbours": 1, "negatives_per_link": 1}
_WHOLE |= {"batch_size": 1, "relations_per_step": 1, "epochs": 1, "validations": 1, "seed": 0}
_NUMBERS = ("ridge", "dropout", "learning_rate", "weight_decay", "minutes")
_OPTIONAL = ("num_bases", "neighbours", "epochs")


@dataclass(frozen=True)
class RelationsSettings:
    """A model and how it is trained.

    Args:
        decoder: One of `gnnkit.relational.DECODERS`. Default `"dedicom"`.
        channels: Width of an embedding. Default 32.
        encoder: Whether embeddings come from Decagon's graph convolution; else each is learnt by itself. Default True.
        encoder_form: `"gnnkit"` (default), or `"authors"`, the encoder of the authors' code; see `DecagonEncoder`.
        hidden_channels: Width between its layers. Default 64.
        num_bases: Shared matrices of its drug-pair weights; None (default): 16. Not of the authors' form.
        neighbours: Edges of a family that a node hears in a training step; None (default): all. Nor of theirs.
        leave_out: Parts of the graph that the encoder does not see, of `GRAPH_PARTS`. Default none.
        popularity: See `Decagon`. Default False.
        cooccurrence: See `Decagon`. Default False.
        ridge: See `Decagon`. Default 300.
        dropout: Of free embeddings or the encoder's hidden features, in the authors' form of its inputs. Default 0.1.
        negatives: `"all"`: every pair that is no link; `"sampled"`: a few for each link; `"auto"` (default): all, on
            graphs of up to 3000 entities.
        loss: Of sampled negatives: one of `gnnkit.relational.LOSSES`. Default `"cross-entropy"`.
        negatives_per_link: Default 1.
        batch_size: Links in a step with sampled negatives. Default 65536.
        relations_per_step: With all negatives. Default 64.
        learning_rate: Adam's, at the start. Default 0.01.
        weight_decay: L2 penalty in Adam. Default 0.
        minutes: Budget, validation included. Default 10.
        epochs: Most passes within it; None (default): as many as fit.
        validations: How often it is validated, for the choice of weights. Default 10.
        seed: Of weights, batches and dropout. Default 0.
        device: `"auto"` (default), `"cpu"`, `"cuda"`, ...

    Raises:
        ValueError: A value is not allowed.
    """

    decoder: str = "dedicom"
    channels: int = 32
    encoder: bool = True
    encoder_form: Literal["gnnkit", "authors"] = "gnnkit"
    hidden_channels: int = 64
    num_bases: int | None = None
    neighbours: int | None = None
    leave_out: tuple[str, ...] = ()
    popularity: bool = False
    cooccurrence: bool = False
    ridge: float = 300.0
    dropout: float = 0.1
    negatives: str = "auto"
    loss: str = "cross-entropy"
    negatives_per_link: int = 1
    batch_size: int = 65536
    relations_per_step: int = 64
    learning_rate: float = 0.01
    weight_decay: float = 0.0
    minutes: float = 10.0
    epochs: int | None = None
    validations: int = 10
    seed: int = 0
    device: str = "auto"

    def __post_init__(self) -> None:
        for name, allowed in (
            ("decoder", tuple(DECODERS)),
            ("negatives", ("auto", "all", "sampled")),
            ("loss", tuple(LOSSES)),
            ("encoder_form", ("gnnkit", "authors")),
        ):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; choose one of {', '.join(allowed)}")
        for name, least in _WHOLE.items():
            value = getattr(self, name)
            if value is None and name in _OPTIONAL:
                continue
            if isinstance(value, bool) or not isinstance(value, int) or value < least:
                raise ValueError(f"{name} is {value!r}; give a whole number of at least {least}")
        for name in _NUMBERS:
            value = getattr(self, name)
            if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"{name} is {value!r}; give a number")
        for name in ("encoder", "popularity", "cooccurrence"):
            if not isinstance(getattr(self, name), bool):
                raise ValueError(f"{name} is {getattr(self, name)!r}; give True or False (true or false behind --set)")
        if self.encoder_form == "authors":
            if not self.encoder:
                raise ValueError("encoder_form is 'authors', but encoder is False; leave one of them out")
            for name in ("num_bases", "neighbours"):
                if (value := getattr(self, name)) is not None:
                    raise ValueError(f"{name} is {value}, but encoder_form 'authors' has none; leave it out")
        wrong = [part for part in self.leave_out if part not in GRAPH_PARTS]
        if wrong:
            raise ValueError(f"leave_out: {wrong[0]!r} is no part of the graph; choose of {', '.join(GRAPH_PARTS)}")
        self.budget()

    def budget(self) -> BudgetSettings:
        """Time and rates, for `fit_within_budget`."""
        names = ("epochs", "learning_rate", "weight_decay", "validations", "seed")
        return BudgetSettings(seconds=60 * self.minutes, **{name: getattr(self, name) for name in names})

    def as_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        return json.loads(json.dumps(asdict(self)))


#: What `--model` names: settings that differ from the defaults.
RECIPES: dict[str, dict[str, Any]] = {
    "decagon": {},
    "best": {
        "decoder": "simple",
        "channels": 256,
        "encoder": False,
        "popularity": True,
        "cooccurrence": True,
        "relations_per_step": 16,
    },
    **{
        name: {"decoder": name, "channels": 32 if name == "rescal" else 128, "encoder": False, "relations_per_step": 16}
        for name in DECODERS
    },
}


def recipe(name: str, **changes: Any) -> RelationsSettings:
    """Settings by name: `"decagon"`, `"best"`, or a decoder's name for that decoder on free embeddings.

    Raises:
        ValueError: An unknown name or setting, or a value that is not allowed.

    Example:
        >>> recipe("decagon").encoder, recipe("rescal", channels=8).channels
        (True, 8)
    """
    if name not in RECIPES:
        raise ValueError(f"model is {name!r}; choose one of {', '.join(RECIPES)}")
    known = [field.name for field in fields(RelationsSettings)]
    for change in changes:
        if change not in known:
            raise ValueError(f"{change!r} is no setting; there are {', '.join(known)}")
    return RelationsSettings(**{**RECIPES[name], **changes})
