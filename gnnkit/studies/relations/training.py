"""One model of a link-prediction task, from settings to weights."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, fields
from typing import Any, Literal

import torch
from torch import Tensor

from gnnkit.relational import (
    DECODERS,
    LOSSES,
    Decagon,
    DecagonEncoder,
    all_pairs_cross_entropy,
    corrupt_links,
)
from gnnkit.studies.relations.task import (
    GRAPH_PARTS,
    LinkTask,
    decagon_families,
    mean_scores,
    rank_entities,
    score_relations,
)
from gnnkit.training import BudgetFit, BudgetSettings, fit_within_budget, isolated_seed, resolve_device
from gnnkit.training.finite import check_finite

__all__ = ["RECIPES", "RelationsSettings", "build_model", "recipe", "scorer", "train_model"]

# Up to so many entities, the scores of all pairs are a small matrix, and every pair that is no link is a negative.
_MOST_FOR_ALL_PAIRS = 3000


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
                if getattr(self, name) is not None:
                    raise ValueError(
                        f"{name} is {getattr(self, name)}, but encoder_form 'authors' has none; leave it out"
                    )
        wrong = [part for part in self.leave_out if part not in GRAPH_PARTS]
        if wrong:
            raise ValueError(f"leave_out: {wrong[0]!r} is no part of the graph; choose of {', '.join(GRAPH_PARTS)}")
        self.budget()

    def budget(self) -> BudgetSettings:
        """Time and rates, for `fit_within_budget`."""
        return BudgetSettings(
            seconds=60 * self.minutes,
            epochs=self.epochs,
            learning_rate=self.learning_rate,
            weight_decay=self.weight_decay,
            validations=self.validations,
            seed=self.seed,
        )

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


def build_model(task: LinkTask, settings: RelationsSettings) -> Decagon:
    """An untrained model for a task; its weights depend on the seed alone."""
    with isolated_seed(settings.seed):
        encoder = None
        if settings.encoder:
            nodes, families = decagon_families(task, settings.leave_out)
            encoder = DecagonEncoder(
                nodes,
                families,
                "drug",
                form=settings.encoder_form,
                hidden_channels=settings.hidden_channels,
                out_channels=settings.channels,
                num_bases=settings.num_bases,
                dropout=settings.dropout,
                neighbours=settings.neighbours,
            )
        return Decagon(
            task.triples.num_entities,
            task.triples.num_relations,
            task.split.train,
            decoder=settings.decoder,
            channels=settings.channels,
            encoder=encoder,
            symmetric=task.triples.symmetric,
            popularity=settings.popularity,
            cooccurrence=settings.cooccurrence,
            ridge=settings.ridge,
            dropout=settings.dropout if encoder is None else 0.0,
        )


def train_model(
    task: LinkTask,
    settings: RelationsSettings,
    *,
    on_scores: Callable[[float, int, float, dict[str, float]], None] | None = None,
) -> tuple[Decagon, BudgetFit]:
    """Train one model; the weights that it keeps are those of the best validation.

    Symmetric links are validated by AUROC, AUPRC and AP@50, and chosen by AUPRC; others by filtered MRR.

    Args:
        task: Links and their split.
        settings: Model and budget.
        on_scores: Told about every validation: seconds, step, loss, scores.

    Returns:
        The model, in evaluation mode on its device, and what was done.

    Raises:
        FloatingPointError: A loss, a weight or a link's score is not finite, or the loss has exploded.
        ValueError: There is nothing to train on or to validate by, or the device is not there.
    """
    for name, part in (("training", task.split.train), ("validation", task.split.val)):
        if not part.numel():
            raise ValueError(f"{task.name}: no {name} links; a relation needs about ten for a split of 80/10/10")
    device = resolve_device(settings.device)
    model = build_model(task, settings).to(device)
    every_pair = settings.negatives == "all" or (
        settings.negatives == "auto" and task.triples.num_entities <= _MOST_FOR_ALL_PAIRS
    )
    if every_pair:
        batches = _AllPairs(model, task, settings, device)
    else:
        batches = _Sampled(model, task, settings, device)

    def finite(scores: Tensor) -> Tensor:
        """The scores of links; a model that has diverged cannot be ranked."""
        wrong = ~scores.isfinite()
        if bool(wrong.any()):
            value = float(scores[wrong][0])
            check_finite("a link's score", value, "a validation", learning_rate=settings.learning_rate)
        return scores

    def validate() -> dict[str, float]:
        if task.triples.symmetric:
            score = scorer(model)
            return mean_scores(score_relations(task, lambda links: finite(score(links)), "val"))
        z = model.encode()
        ranks = rank_entities(task, lambda head, r: finite(model.score_tails(head.to(device), r.to(device), z)), "val")
        return {name: ranks[name] for name in ("mrr", "hits1", "hits3", "hits10")}

    choose_by = "auprc" if task.triples.symmetric else "mrr"
    fit = fit_within_budget(
        model, batches.losses, validate, settings.budget(), choose_by=choose_by, on_scores=on_scores
    )
    return model, fit


def scorer(model: Decagon) -> Callable[[Tensor], Tensor]:
    """Scores of links by a model as it is now: entities are encoded once."""
    with torch.no_grad():
        z = model.encode()

    def score(links: Tensor) -> Tensor:
        with torch.no_grad():
            return model(links.to(z.device), z)

    return score


class _AllPairs:
    """A step: some relations, all their links as positives, and all other pairs as negatives."""

    def __init__(self, model: Decagon, task: LinkTask, settings: RelationsSettings, device: torch.device) -> None:
        self.model, self.symmetric, self.size = model, task.triples.symmetric, settings.relations_per_step
        links = task.split.train[:, torch.argsort(task.split.train[1], stable=True)]
        self.head, self.tail = links[0].to(device), links[2].to(device)
        self.counts = torch.bincount(links[1], minlength=task.triples.num_relations)
        self.first = self.counts.cumsum(0) - self.counts
        self.order = torch.Generator().manual_seed(settings.seed)
        # Without links there is nothing to learn about a relation.
        self.relations = self.counts.nonzero().flatten()

    def losses(self) -> Iterator[Tensor]:
        shuffled = self.relations[torch.randperm(self.relations.numel(), generator=self.order)]
        for relations in shuffled.split(self.size):
            scores = self.model.score_all(relations.to(self.head.device))
            yield all_pairs_cross_entropy(scores, self._cells(relations), ignore_diagonal=self.symmetric)

    def _cells(self, relations: Tensor) -> Tensor:
        """Where the links of these relations lie in their scores `[K, N, N]`."""
        counts, nodes = self.counts[relations], self.model.num_entities
        starts = self.first[relations] - (counts.cumsum(0) - counts)
        places = torch.arange(int(counts.sum())) + torch.repeat_interleave(starts, counts)
        block = torch.repeat_interleave(torch.arange(relations.numel()) * nodes * nodes, counts).to(self.head.device)
        places = places.to(self.head.device)
        head, tail = self.head[places], self.tail[places]
        forth = block + head * nodes + tail
        return torch.cat([forth, block + tail * nodes + head]) if self.symmetric else forth


class _Sampled:
    """A step: a batch of links, and some negatives of each."""

    def __init__(self, model: Decagon, task: LinkTask, settings: RelationsSettings, device: torch.device) -> None:
        self.model, self.task, self.settings, self.device = model, task, settings, device
        self.loss = LOSSES[settings.loss]
        self.draws = torch.Generator().manual_seed(settings.seed)

    def losses(self) -> Iterator[Tensor]:
        train, count = self.task.split.train, self.settings.negatives_per_link
        for rows in torch.randperm(train.size(1), generator=self.draws).split(self.settings.batch_size):
            links = train[:, rows]
            if self.task.triples.symmetric:
                flip = torch.rand(rows.numel(), generator=self.draws) < 0.5
                links = torch.where(flip, links.flip(0), links)
            negative = corrupt_links(links, self.task.trained, self.draws, count=count)
            z = self.model.encode()
            scores = self.model(torch.cat([links, negative.flatten(1)], 1).to(self.device), z)
            yield self.loss(scores[: rows.numel()], scores[rows.numel() :].view(-1, count))
