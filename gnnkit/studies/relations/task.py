"""A link-prediction task: links, their split, and the negatives that every model is scored on."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnnkit.data import DecagonData, LoadedTriples, Triples, TripleSplit, check_no_leak, split_by_relation
from gnnkit.ranking import (
    auprc,
    auroc,
    bootstrap_interval,
    filtered_ranks,
    hits_at,
    mean_reciprocal_rank,
    precision_at,
)
from gnnkit.relational import EdgeFamily, KnownLinks, degree_preserving_negatives, random_negatives

__all__ = [
    "GRAPH_PARTS",
    "METRICS",
    "LinkTask",
    "decagon_families",
    "digest_task",
    "make_task",
    "mean_scores",
    "rank_entities",
    "score_relations",
    "summarise",
]

METRICS = ("auroc", "auprc", "ap50")
#: What the encoder's graph is made of besides the drug pairs; a run may leave some out.
GRAPH_PARTS = ("proteins", "targets", "single-effects")

#: Scores of links `[3, E]`.
Scorer = Callable[[Int[Tensor, "3 E"]], Float[Tensor, " E"]]
_CHUNK = 2**16


@dataclass(frozen=True, eq=False)
class LinkTask:
    """What models are trained and scored on; one task, many models.

    `known` holds all links of all parts, so that no negative is a held-out link; `trained` those of training alone:
    more than these no model may know.
    """

    triples: Triples
    split: TripleSplit
    seed: int
    known: KnownLinks
    trained: KnownLinks
    negatives: dict[str, Tensor] = field(default_factory=dict)
    unpaired: float = 0.0
    decagon: DecagonData | None = None

    @property
    def name(self) -> str:
        """Name of the data."""
        return self.triples.name


def make_task(data: DecagonData | LoadedTriples | Triples, *, seed: int = 0) -> LinkTask:
    """Split links 80/10/10 a relation (files that bring a split keep theirs) and draw the negatives.

    For every held-out link there is a random pair of its relation, as in the paper; and for the test a second set, in
    which every entity stands as often as in the positives.

    Args:
        data: From `load_decagon` or `load_triples`, or links.
        seed: Of the split and the negatives. Default 0.

    Raises:
        ValueError: A pair stands in two parts of the split (a split that came with the files is taken as it is).
    """
    decagon = data if isinstance(data, DecagonData) else None
    if isinstance(data, LoadedTriples):
        triples, split, _ = data
    else:
        triples = data.pairs if isinstance(data, DecagonData) else data
        split = split_by_relation(triples, seed=seed)
        check_no_leak(split)
    count = triples.num_entities
    known = KnownLinks(triples.triples, count, symmetric=triples.symmetric)
    trained = KnownLinks(split.train, count, symmetric=triples.symmetric)
    generator = torch.Generator().manual_seed(seed)
    negatives = {
        "val": random_negatives(split.val[1], known, generator),
        "random": random_negatives(split.test[1], known, generator),
    }
    negatives["hard"], unpaired = degree_preserving_negatives(split.test, known, generator)
    return LinkTask(triples, split, seed, known, trained, negatives, unpaired, decagon)


def digest_task(task: LinkTask) -> dict[str, str]:
    """SHA-256 of each part of a task that a result depends on, as 64 hexadecimal digits.

    Args:
        task: A task.

    Returns:
        `links`, `names` (of entities and relations), `split`, and for Decagon's data `graph`: its other tables.
    """
    triples, decagon = task.triples, task.decagon
    names = repr((triples.entities, triples.relations, triples.relation_titles)).encode()
    found = {"links": triples.digest(), "names": hashlib.sha256(names).hexdigest()}
    found["split"] = _sha256(task.split.train, task.split.val, task.split.test)
    if decagon is not None:
        found["graph"] = _sha256(decagon.interactions, decagon.targets, decagon.single_effects)
    return found


def _sha256(*tables: Tensor) -> str:
    found = hashlib.sha256()
    for table in tables:
        found.update(f"{table.dtype} {list(table.shape)}".encode() + table.contiguous().numpy().tobytes())
    return found.hexdigest()


def decagon_families(task: LinkTask, leave_out: tuple[str, ...] = ()) -> tuple[dict[str, int], list[EdgeFamily]]:
    """Kinds of nodes and families of edges for a `DecagonEncoder`; drug pairs are those of training alone.

    Args:
        task: A task; without Decagon's other tables its links are the graph.
        leave_out: Of `GRAPH_PARTS`.

    Raises:
        ValueError: `leave_out` names something else.
    """
    wrong = [name for name in leave_out if name not in GRAPH_PARTS]
    if wrong:
        raise ValueError(f"leave_out: {wrong[0]!r} is no part of the graph; choose of {', '.join(GRAPH_PARTS)}")
    head, relation, tail = task.split.train
    count = task.triples.num_relations
    nodes = {"drug": task.triples.num_entities}
    edges = torch.stack([torch.cat([head, tail]), torch.cat([tail, head])])
    further = 0 if task.triples.symmetric else count  # else the way back is a relation of its own
    families = [EdgeFamily("drug", "drug", edges, torch.cat([relation, relation + further]), count + further)]
    if task.decagon is None:
        return nodes, families
    data = task.decagon
    proteins = "proteins" not in leave_out
    if proteins or "targets" not in leave_out:
        nodes["protein"] = len(data.proteins)
    if "targets" not in leave_out:
        families.append(EdgeFamily("protein", "drug", data.targets.flip(0)))
        families.append(EdgeFamily("drug", "protein", data.targets))
    if proteins:
        both = torch.cat([data.interactions, data.interactions.flip(0)], 1)
        families.append(EdgeFamily("protein", "protein", both))
    if "single-effects" not in leave_out:
        nodes["effect"] = len(data.single_effect_names)
        families.append(EdgeFamily("effect", "drug", data.single_effects.flip(0)))
    return nodes, families


def score_relations(task: LinkTask, scorer: Scorer, part: str = "random") -> pd.DataFrame:
    """AUROC, AUPRC and AP@50 of every relation.

    Args:
        task: The task.
        scorer: Scores of links; it is called with some ten thousand at a time.
        part: `"val"`; or the test links against `"random"` (default) or `"hard"` negatives.

    Returns:
        A row a relation: `relation`, `title`, `links` (held out), and the scores, NaN where nothing is held out.
    """
    positive, negative = task.split.val if part == "val" else task.split.test, task.negatives[part]
    links = torch.cat([positive, negative], 1)
    order = torch.argsort(links[1], stable=True)  # a chunk then holds few relations
    scores = np.empty(links.size(1))
    for rows in order.split(_CHUNK):
        scores[rows.numpy()] = scorer(links[:, rows]).double().cpu().numpy()
    labels = np.arange(links.size(1)) < positive.size(1)
    relation, count = links[1].numpy(), task.triples.num_relations
    return pd.DataFrame(
        {
            "relation": task.triples.relations,
            "title": task.triples.relation_titles,
            "links": torch.bincount(positive[1], minlength=count).numpy(),
            "auroc": auroc(scores, labels, relation, count),
            "auprc": auprc(scores, labels, relation, count),
            "ap50": precision_at(scores, labels, relation, count, k=50),
        }
    )


def mean_scores(table: pd.DataFrame) -> dict[str, float]:
    """Means over relations of a table of `score_relations`."""
    return {name: float(cast(float, table[name].mean())) for name in METRICS}


def summarise(table: pd.DataFrame, prefix: str = "") -> dict[str, float]:
    """Means, medians and 95% intervals of both over relations, as columns of a row."""
    row: dict[str, float] = {}
    for name in METRICS:
        values = table[name].to_numpy()
        known = values[~np.isnan(values)]
        for label, statistic in (("mean", np.mean), ("median", np.median)):
            low, high = bootstrap_interval(values, statistic)
            row[f"{prefix}{name}_{label}"] = float(statistic(known)) if known.size else float("nan")
            row[f"{prefix}{name}_{label}_low"], row[f"{prefix}{name}_{label}_high"] = low, high
    return row


def rank_entities(
    task: LinkTask, score_tails: Callable[[Tensor, Tensor], Tensor], part: str = "test"
) -> dict[str, Any]:
    """Filtered MRR and Hits@1, 3, 10 over tails, and over heads where links are symmetric too.

    Args:
        task: The task.
        score_tails: From heads `[B]` and relations `[B]` to scores `[B, N]` of all tails.
        part: `"test"` (default) or `"val"`.

    Returns:
        `mrr`, `hits1`, `hits3`, `hits10`, `ranked` (the number of questions).
    """
    links = task.split.test if part == "test" else task.split.val
    if task.triples.symmetric:
        links = torch.cat([links, links.flip(0)], 1)
    count = task.triples.num_entities
    ranks = []
    for head, relation, tail in zip(*(row.split(max(1, 2**22 // count)) for row in links), strict=True):
        scores = score_tails(head, relation).cpu()
        every = torch.arange(count).repeat(head.numel())
        asked = torch.stack([head.repeat_interleave(count), relation.repeat_interleave(count), every])
        right = task.known.contains(asked).view(-1, count)
        ranks.append(filtered_ranks(scores.detach().numpy(), tail.numpy(), right.numpy()))
    found = np.concatenate(ranks) if ranks else np.zeros(0)
    hits = {f"hits{k}": hits_at(found, k) for k in (1, 3, 10)}
    return {"mrr": mean_reciprocal_rank(found), **hits, "ranked": len(found)}
