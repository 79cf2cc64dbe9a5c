"""A fitted link predictor as a folder, and what can be asked of it: which relations of a pair, which partners."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression
from torch import Tensor, nn

from gnnkit.data import Triples
from gnnkit.data.arrays import check_ids
from gnnkit.kept_files import new_name
from gnnkit.kept_tensors import load_tensors, save_tensors
from gnnkit.relational import Decagon, KnownLinks, random_negatives
from gnnkit.studies.relations.settings import RelationsSettings
from gnnkit.studies.relations.task import LinkTask
from gnnkit.studies.relations.training import scorer
from gnnkit.training import kept_beside, load_checkpoint, save_checkpoint

__all__ = ["FittedLinks", "fit_calibration", "load_fitted", "make_fitted", "rank_partners", "rank_relations"]

_LINKS = "links.safetensors"
_NEGATIVES = 2**17  # that a calibration sees, at least
_QUANTILES = (0.0, 0.1, 0.3, 0.5, 0.7, 0.9)  # of the links' log-odds, where g may bend
_BENDS = len(_QUANTILES) + 2
_FAR = 100.0  # log-odds that no score reaches


class FittedLinks(nn.Module):
    """A model with its entities encoded once, names, and what turns scores into probabilities.

        P(link | score s under r) = sigma(g(a s + b + c logit(share_r)))

    `share_r` is the share of links among all pairs that training does not know, and g a line with bends that never
    falls: scores of an over-sure model go on rising where the share of links does not. The probability is that of being
    on record, for a pair drawn from those that training does not know.

    Args:
        names: `entities`, `relations`, `titles`, lists of names.
        settings: `decoder`, `channels`, `popularity`, `cooccurrence`, `symmetric`.
        train: Links that the model was trained on.
    """

    calibration: Tensor
    log_odds: Tensor
    bends: Tensor

    def __init__(self, names: dict[str, list[str]], settings: dict[str, Any], train: Tensor):
        super().__init__()
        self.names, self.settings = names, settings
        entities, relations = len(names["entities"]), len(names["relations"])
        others = torch.zeros(relations, relations) if settings["cooccurrence"] else None
        self.model = Decagon(entities, relations, train, others=others, **settings)
        self.register_buffer("calibration", torch.tensor([1.0, 0.0, 1.0], dtype=torch.float64))
        self.register_buffer("log_odds", torch.zeros(relations, dtype=torch.float64))
        self.register_buffer("bends", torch.linspace(-_FAR, _FAR, _BENDS, dtype=torch.float64).repeat(2, 1))
        self.train_links = train
        self.trained = torch.bincount(train[1], minlength=relations) > 0  # relations of which something is known
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
        return _bent(a * scores.double() + b + c * self.log_odds[relation], self.bends).sigmoid()

    def save(self, directory: str | Path, extra: dict[str, Any]) -> None:
        """Write weights, configuration and training links; `extra` goes into the configuration."""
        links = {"train": self.train_links.to(torch.int32)}
        config = {"names": self.names, "settings": self.settings, "extra": extra}
        save_checkpoint(directory, self, config, {_LINKS: lambda path: save_tensors(path, links)})


def make_fitted(model: Decagon, task: LinkTask, settings: RelationsSettings) -> FittedLinks:
    """Encode the entities of a trained model and calibrate it on the validation links.

    Args:
        model: Trained.
        task: What it was trained on.
        settings: How.
    """
    triples = task.triples
    names = {"entities": triples.entities, "relations": triples.relations, "titles": triples.relation_titles}
    chosen = {name: getattr(settings, name) for name in ("decoder", "channels", "popularity", "cooccurrence")}
    chosen["symmetric"] = triples.symmetric
    fitted = FittedLinks({kind: list(found) for kind, found in names.items()}, chosen, task.split.train)
    state = {name: value.cpu() for name, value in model.state_dict().items() if not name.startswith("encoder.")}
    with torch.no_grad():
        state["embedding"] = model.eval().encode().detach().cpu().clone()
    fitted.model.load_state_dict(state)
    fitted.eval()
    buffers = (fitted.calibration, fitted.log_odds, fitted.bends)
    for buffer, found in zip(buffers, fit_calibration(fitted.model, task), strict=True):
        buffer.copy_(found)
    return fitted


def fit_calibration(model: Decagon, task: LinkTask) -> tuple[Tensor, Tensor, Tensor]:
    """Fit a, b, c and g of `FittedLinks` on the validation links and their negatives.

    a, b and c come from a weighted logistic regression, g from a second one on pieces of its log-odds.

    A negative stands for all the pairs of its relation that it was drawn from; a validation link for itself and for a
    test link, as the two parts are of one size. The mean probability over the pairs that training does not know is then
    the share of links among them, as far as validation links are scored like test links.

    Args:
        model: Trained.
        task: What it was trained on.

    Returns:
        (a, b, c); the logit of each relation's share of links; and the bends of g `[2, 8]`, where and how high.
    """
    triples, split = task.triples, task.split
    count, entities = triples.num_relations, triples.num_entities

    def per_relation(links: Tensor) -> np.ndarray:
        return torch.bincount(links[1], minlength=count).double().numpy()

    pairs = entities * (entities - 1) / 2 if triples.symmetric else float(entities**2)
    hidden = per_relation(split.val) + per_relation(split.test)
    free = np.maximum(pairs - per_relation(split.train) - hidden, 1.0)
    log_odds = np.log(np.maximum(hidden, 0.5) / free)
    # Few negatives would leave the level of all probabilities to chance: on a small graph each relation gets many.
    rounds = max(1, _NEGATIVES // max(split.val.size(1), 1))
    draws = torch.Generator().manual_seed(task.seed)
    negative = torch.cat(
        [task.negatives["val"], random_negatives(split.val[1].repeat(rounds - 1), task.known, draws)], 1
    )
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
    features = np.column_stack([scores, log_odds[relation]])
    # Of one size, so that the penalty keeps c near 0 where all relations have one share and nothing could tell it.
    centre, size = features.mean(axis=0), np.maximum(features.std(axis=0), 1e-6)
    regression = LogisticRegression(max_iter=1000)
    regression.fit((features - centre) / size, labels, sample_weight=weight / weight.mean())
    a, c = regression.coef_[0] / size
    b = float(np.asarray(regression.intercept_)[0]) - centre @ (a, c)
    bends = _fit_bends(a * scores + b + c * log_odds[relation], labels, weight)
    return torch.tensor([a, b, c], dtype=torch.float64), torch.from_numpy(log_odds), torch.from_numpy(bends)


def _fit_bends(log_odds: np.ndarray, labels: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """Places and heights of g `[2, 8]`: a logistic regression on the log-odds cut at quantiles of the links'.

    Each piece has a slope of its own, at least 0 and drawn towards 1 where few links speak for another.
    """
    inner = np.quantile(log_odds[labels], _QUANTILES)
    if (np.diff(inner) <= 0).any():
        return np.linspace(-_FAR, _FAR, _BENDS)[None].repeat(2, axis=0)
    places = np.array([inner[0] - _FAR, *inner, inner[-1] + _FAR])
    # How far each piece is walked through: from the first inner place to the log-odds, backwards below it.
    walked = np.column_stack([np.clip(log_odds - low, 0, high - low) for low, high in pairwise(places)])
    walked[:, 0] -= _FAR
    weight = weight * labels.sum() / weight[labels].sum()  # a link counts as one

    def loss(parameters: np.ndarray) -> tuple[float, np.ndarray]:
        level, slopes = parameters[0], parameters[1:]
        odds = level + walked @ slopes
        value = weight @ (np.logaddexp(0, odds) - labels * odds) + 0.5 * np.square(slopes - 1).sum()
        error = weight * (expit(odds) - labels)
        return value, np.concatenate([[error.sum()], error @ walked + slopes - 1])

    bounds = [(None, None), *[(0, None)] * (len(places) - 1)]
    start = np.array([inner[0], *np.ones(len(places) - 1)])
    level, *slopes = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds).x
    heights = np.cumsum([level - _FAR * slopes[0], *(np.diff(places) * slopes)])
    return np.stack([places, heights])


def _bent(log_odds: Tensor, bends: Tensor) -> Tensor:
    """g: linear between its bends."""
    places, heights = bends
    right = torch.searchsorted(places, log_odds.contiguous()).clamp(1, places.numel() - 1)
    left = right - 1
    return torch.lerp(heights[left], heights[right], (log_odds - places[left]) / (places[right] - places[left]))


def load_fitted(directory: str | Path) -> tuple[FittedLinks, dict[str, Any]]:
    """Read what `FittedLinks.save` wrote.

    Returns:
        The predictor, and the `extra` that it was saved with.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: The files do not belong together, or are damaged.
    """
    path = Path(directory) / _LINKS
    if not path.is_file() and not new_name(path).is_file():
        raise FileNotFoundError(f"{directory} holds no {_LINKS}: it is no folder of gnnkit relations train")
    _, kept = load_tensors(kept_beside(directory, _LINKS))
    if "train" not in kept:
        raise ValueError(f"{path} holds no training links; train the model again")
    links = kept["train"].long()

    def build(names: dict[str, list[str]], settings: dict[str, Any], extra: dict[str, Any]) -> FittedLinks:
        entities, relations = len(names["entities"]), len(names["relations"])
        if links.dim() != 2 or links.size(0) != 3:
            raise ValueError(f"{path}: train has shape {list(links.shape)}, wanted is [3, E]")
        for row, (ids, count) in enumerate(zip(links.numpy(), (entities, relations, entities), strict=True)):
            check_ids(ids, count, f"{path}: train[{row}]", of="relations" if row == 1 else "entities")
        return FittedLinks(names, settings, links)

    fitted, config = load_checkpoint(directory, build)
    assert isinstance(fitted, FittedLinks)
    return fitted, config["extra"]


def rank_relations(fitted: FittedLinks, first: str, second: str) -> pd.DataFrame:
    """All relations of a pair, the likeliest first; one without training links is left out, as nothing is known of it.

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
    relation = fitted.trained.nonzero().flatten()
    links = torch.stack([torch.full_like(relation, head), relation, torch.full_like(relation, tail)])
    names = {"relation": triples.relations, "title": triples.relation_titles}
    return _ranked(fitted, links, {what: [words[i] for i in relation.tolist()] for what, words in names.items()})


def rank_partners(fitted: FittedLinks, entity: str, relation: str) -> pd.DataFrame:
    """All entities that one may have a relation with, the likeliest first.

    Args:
        fitted: The predictor.
        entity: Name of an entity, the head where links have a direction.
        relation: Name of a relation, or its title.

    Returns:
        A row an entity, but for the one that was asked for: `entity`, `score`, `probability`, `known`.

    Raises:
        ValueError: A name is unknown (the message has the nearest), or the relation has no training links.
    """
    triples = fitted.triples
    head, kind = triples.entity(entity), triples.relation(relation)
    if not fitted.trained[kind]:
        raise ValueError(f"relation {relation!r} has no training links, so nothing can be said of it; choose another")
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
    return table.sort_values(["probability", "score"], ascending=False, kind="stable", ignore_index=True)
