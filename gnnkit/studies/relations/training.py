"""One model of a link-prediction task, from settings to weights."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from gnnkit.relational import (
    LOSSES,
    Decagon,
    DecagonEncoder,
    all_pairs_cross_entropy,
    corrupt_links,
)
from gnnkit.studies.relations.settings import RelationsSettings
from gnnkit.studies.relations.task import (
    LinkTask,
    decagon_families,
    mean_scores,
    rank_entities,
    score_relations,
)
from gnnkit.training import BudgetFit, PassOrder, Snapshots, fit_within_budget, isolated_seed, resolve_device
from gnnkit.training.finite import check_finite

__all__ = ["CODE", "build_model", "scorer", "train_model"]

CODE = ("ops", "graph", "layers", "data", "relational", "training", "studies/relations")
"""What a model's numbers come from, as far as it is gnnkit's."""

# Up to so many entities, the scores of all pairs are a small matrix, and every pair that is no link is a negative.
_MOST_FOR_ALL_PAIRS = 3000


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
    snapshots: Snapshots | None = None,
) -> tuple[Decagon, BudgetFit]:
    """Train one model; the weights that it keeps are those of the best validation.

    Symmetric links are validated by AUROC, AUPRC and AP@50, and chosen by AUPRC; others by filtered MRR.

    Args:
        task: Links and their split.
        settings: Model and budget.
        on_scores: Told about every validation: seconds, step, loss, scores.
        snapshots: See `gnnkit.training.fit_within_budget`.

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
        model,
        batches.losses,
        validate,
        settings.budget(),
        choose_by=choose_by,
        on_scores=on_scores,
        order=batches.order,
        snapshots=snapshots,
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
        self.order = PassOrder(settings.seed)
        # Without links there is nothing to learn about a relation.
        self.relations = self.counts.nonzero().flatten()

    def losses(self) -> Iterator[Tensor]:
        shuffled = self.relations[torch.randperm(self.relations.numel(), generator=self.order.generator)]
        for relations in self.order.rest(shuffled.split(self.size)):
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
        self.order = PassOrder(settings.seed)

    def losses(self) -> Iterator[Tensor]:
        train, count, draws = self.task.split.train, self.settings.negatives_per_link, self.order.generator
        shuffled = torch.randperm(train.size(1), generator=draws)
        for rows in self.order.rest(shuffled.split(self.settings.batch_size)):
            links = train[:, rows]
            if self.task.triples.symmetric:
                flip = torch.rand(rows.numel(), generator=draws) < 0.5
                links = torch.where(flip, links.flip(0), links)
            negative = corrupt_links(links, self.task.trained, draws, count=count)
            z = self.model.encode()
            scores = self.model(torch.cat([links, negative.flatten(1)], 1).to(self.device), z)
            yield self.loss(scores[: rows.numel()], scores[rows.numel() :].view(-1, count))
