"""A fitted link predictor as a folder, and what can be asked of it: which relations of a pair, which partners."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from gnnkit.data import Triples
from gnnkit.relational import Decagon, KnownLinks
from gnnkit.studies.relations_task import LinkTask
from gnnkit.studies.relations_training import RelationsSettings, scorer
from gnnkit.training import load_checkpoint, save_checkpoint

__all__ = ["FittedLinks", "fit_calibration", "load_fitted", "make_fitted", "rank_partners", "rank_relations"]

_LINKS = "links.safetensors"


class FittedLinks(nn.Module):
    """A model with its entities encoded once, names, and the three numbers that turn scores into probabilities.

        P(link | score s under r) = sigma(a s + b + c logit(share_r))

    `share_r` is the share of links among all pairs that training does not know. The probability is that of being on
    record, for a pair drawn from these.

    Args:
        names: `entities`, `relations`, `titles`, lists of names.
        settings: `decoder`, `channels`, `popularity`, `cooccurrence`, `symmetric`.
        train: Links that the model was trained on.
    """

    calibration: Tensor
    log_odds: Tensor

    def __init__(self, names: dict[str, list[str]], settings: dict[str, Any], train: Tensor):
        super().__init__()
        self.names, self.settings = names, settings
        entities, relations = len(names["entities"]), len(names["relations"])
        others = torch.zeros(relations, relations) if settings["cooccurrence"] else None
        self.model = Decagon(entities, relations, train, others=others, **settings)
        self.register_buffer("calibration", torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
        self.register_buffer("log_odds", torch.zeros(relations, dtype=torch.float64))
        self.train_links = train
        self.known = KnownLinks(train, entities, symmetric=settings["symmetric"])
        self.triples = Triples(
            "fitted",
            tuple(names["entities"]),
            tuple(names["relations"]),
            torch.empty(3, 0, dtype=torch.int64),
            settings["symmetric"],
            tuple(names["titles"]),
        )

    def probabilities(self, scores: Tensor, relation: Tensor) -> Tensor:
        """Calibrated probabilities of links, from their scores."""
        a, b, c = self.calibration
        return (a * scores.double() + b + c * self.log_odds[relation]).sigmoid()

    def save(self, directory: str | Path, extra: dict[str, Any]) -> None:
        """Write weights, configuration and training links; `extra` goes into the configuration."""
        directory = Path(directory)
        save_checkpoint(directory, self, {"names": self.names, "settings": self.settings, "extra": extra})
        save_file({"train": self.train_links.to(torch.int32).contiguous()}, directory / _LINKS)


def make_fitted(model: Decagon, task: LinkTask, settings: RelationsSettings) -> FittedLinks:
    """Encode the entities of a trained model and calibrate it on the validation links.

    Args:
        model: Trained.
        task: What it was trained on.
        settings: How.
    """
    triples = task.triples
    names = {
        "entities": list(triples.entities),
        "relations": list(triples.relations),
        "titles": list(triples.relation_titles),
    }
    fitted = FittedLinks(
        names,
        {
            "decoder": settings.decoder,
            "channels": settings.channels,
            "popularity": settings.popularity,
            "cooccurrence": settings.cooccurrence,
            "symmetric": triples.symmetric,
        },
        task.split.train,
    )
    state = {name: value.cpu() for name, value in model.state_dict().items() if not name.startswith("encoder.")}
    with torch.no_grad():
        state["embedding"] = model.eval().encode().detach().cpu().clone()
    fitted.model.load_state_dict(state)
    fitted.eval()
    calibration, log_odds = fit_calibration(fitted.model, task)
    fitted.calibration.copy_(calibration)
    fitted.log_odds.copy_(log_odds)
    return fitted


def fit_calibration(model: Decagon, task: LinkTask) -> tuple[Tensor, Tensor]:
    """Fit a, b and c of `FittedLinks` on the validation links and their negatives, by weighted logistic regression.

    A negative stands for all the pairs of its relation that it was drawn from; a validation link for itself and for a
    test link, as the two parts are of one size.

    Args:
        model: Trained.
        task: What it was trained on.

    Returns:
        (a, b, c), and the logit of each relation's share of links.
    """
    triples, split = task.triples, task.split
    count, entities = triples.num_relations, triples.num_entities

    def per_relation(links: Tensor) -> np.ndarray:
        return torch.bincount(links[1], minlength=count).double().numpy()

    pairs = entities * (entities - 1) / 2 if triples.symmetric else float(entities**2)
    hidden = per_relation(split.val) + per_relation(split.test)
    free = np.maximum(pairs - per_relation(split.train) - hidden, 1.0)
    log_odds = np.log(np.maximum(hidden, 0.5) / free)
    negative = task.negatives["val"]
    links = torch.cat([split.val, negative], 1)
    relation = links[1].numpy()
    weight = np.where(
        np.arange(links.size(1)) < split.val.size(1),
        (hidden / np.maximum(per_relation(split.val), 1))[relation],
        (free / np.maximum(per_relation(negative), 1))[relation],
    )
    score = scorer(model)
    scores = torch.cat([score(part).cpu() for part in links.split(2**16, dim=1)]).double().numpy()
    labels = np.arange(links.size(1)) < split.val.size(1)
    regression = LogisticRegression(C=1e6, max_iter=1000)
    regression.fit(np.column_stack([scores, log_odds[relation]]), labels, sample_weight=weight / weight.mean())
    a, c = regression.coef_[0]
    return torch.tensor([a, float(np.asarray(regression.intercept_)[0]), c], dtype=torch.float64), torch.from_numpy(
        log_odds
    )


def load_fitted(directory: str | Path) -> tuple[FittedLinks, dict[str, Any]]:
    """Read what `FittedLinks.save` wrote.

    Returns:
        The predictor, and the `extra` that it was saved with.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: The files do not belong together.
    """
    path = Path(directory) / _LINKS
    if not path.is_file():
        raise FileNotFoundError(f"{directory} holds no {_LINKS}: it is no folder of gnnkit relations train")
    links = load_file(path)["train"].long()

    def build(names: dict[str, list[str]], settings: dict[str, Any], extra: dict[str, Any]) -> FittedLinks:
        return FittedLinks(names, settings, links)

    fitted, config = load_checkpoint(directory, build)
    assert isinstance(fitted, FittedLinks)
    return fitted, config["extra"]


def rank_relations(fitted: FittedLinks, first: str, second: str) -> pd.DataFrame:
    """All relations of a pair, the likeliest first.

    Args:
        fitted: The predictor.
        first: Name of an entity, the head where links have a direction.
        second: Name of another.

    Returns:
        A row a relation: `relation`, `title`, `score`, `probability`, and `known`: the link stood in training (its
        probability says nothing new then).

    Raises:
        ValueError: A name is unknown (the message has the nearest), or both are the same.
    """
    triples = fitted.triples
    head, tail = triples.entity(first), triples.entity(second)
    if head == tail:
        raise ValueError(f"{first!r} is given twice; a pair needs two different entities")
    relation = torch.arange(triples.num_relations)
    links = torch.stack([torch.full_like(relation, head), relation, torch.full_like(relation, tail)])
    return _ranked(fitted, links, {"relation": list(triples.relations), "title": list(triples.relation_titles)})


def rank_partners(fitted: FittedLinks, entity: str, relation: str) -> pd.DataFrame:
    """All entities that one may have a relation with, the likeliest first.

    Args:
        fitted: The predictor.
        entity: Name of an entity, the head where links have a direction.
        relation: Name of a relation, or its title.

    Returns:
        A row an entity, but for the one that was asked for: `entity`, `score`, `probability`, `known`.

    Raises:
        ValueError: A name is unknown; the message has the nearest.
    """
    triples = fitted.triples
    head, kind = triples.entity(entity), triples.relation(relation)
    others = torch.tensor([i for i in range(triples.num_entities) if i != head])
    links = torch.stack([torch.full_like(others, head), torch.full_like(others, kind), others])
    return _ranked(fitted, links, {"entity": [triples.entities[i] for i in others.tolist()]})


def _ranked(fitted: FittedLinks, links: Tensor, columns: dict[str, list[str]]) -> pd.DataFrame:
    scores = scorer(fitted.model)(links)
    table = pd.DataFrame(
        {
            **columns,
            "score": scores.double().numpy(),
            "probability": fitted.probabilities(scores, links[1]).numpy(),
            "known": fitted.known.contains(links).numpy(),
        }
    )
    return table.sort_values("probability", ascending=False, kind="stable", ignore_index=True)
