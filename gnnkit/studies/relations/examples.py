"""Answers of a fitted link predictor on real data, as a page: pairs, partners, and how far probabilities hold."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gnnkit.kept_files import write_text
from gnnkit.relational import KnownLinks
from gnnkit.report.markdown import markdown_table
from gnnkit.studies.relations.fitted import FittedLinks, rank_partners, rank_relations
from gnnkit.studies.relations.task import LinkTask

__all__ = ["records", "reliability", "write_examples"]

#: Edges of the bins of probability; most pairs are no link, so the low ones are narrow.
BINS = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0)
_TRAIN_OR_VAL, _TEST = 1, 2
_WRITTEN = "Written by a command from a fitted model"


def reliability(
    fitted: FittedLinks, task: LinkTask, *, bins: Sequence[float] = BINS, relations_at_once: int = 8
) -> pd.DataFrame:
    """Promised and found shares of links, over every pair of every relation that training and calibration do not know.

    A probability is that of standing among the links that training does not know, of which one half went into the
    calibration. They are left out here, and a test link counts for both halves, so that promise and find mean the same.

    Args:
        fitted: The predictor.
        task: What it was trained on; its test links decide.
        bins: Edges of the bins, from 0 to 1.
        relations_at_once: Relations whose pairs are scored together. Default 8.

    Returns:
        A row a bin that holds pairs: `low`, `high`, `pairs`, `test_links`, `predicted` (mean probability), `observed`
        (share of links), and the 95% interval of that share (Wilson), `observed_low` and `observed_high`.

    Raises:
        ValueError: `bins` do not rise from 0 to 1.
    """
    edges = torch.tensor(bins, dtype=torch.float64)
    if len(bins) < 2 or bins[0] != 0 or bins[-1] != 1 or not bool((edges.diff() > 0).all()):
        raise ValueError(f"bins: {tuple(bins)} do not rise from 0 to 1")
    split, count, nodes = task.split, task.triples.num_relations, task.triples.num_entities
    hidden = torch.bincount(split.val[1], minlength=count) + torch.bincount(split.test[1], minlength=count)
    counts_for = (hidden / torch.bincount(split.test[1], minlength=count).clamp_min(1)).double()
    head, tail = (row.flatten() for row in torch.meshgrid(torch.arange(nodes), torch.arange(nodes), indexing="ij"))
    asked = head < tail if task.triples.symmetric else torch.ones_like(head, dtype=torch.bool)
    places = [_by_relation(part, nodes, count) for part in (split.train, split.val, split.test)]
    totals = torch.zeros(4, len(bins) - 1, dtype=torch.float64)  # pairs, test links, weighted pairs, weighted links
    promised = torch.zeros(len(bins) - 1, dtype=torch.float64)
    with torch.no_grad():
        z = fitted.model.encode()
        for relation in torch.arange(count).split(relations_at_once):
            scores = fitted.model.score_all(relation, z).flatten(1)
            for row, kind in enumerate(relation.tolist()):
                role = torch.zeros(nodes * nodes, dtype=torch.int8)
                for (first, cell), what in zip(places, (_TRAIN_OR_VAL, _TRAIN_OR_VAL, _TEST), strict=True):
                    role[cell[first[kind] : first[kind + 1]]] = what
                chosen = asked & (role != _TRAIN_OR_VAL)
                link = role[chosen] == _TEST
                probability = fitted.probabilities(scores[row, chosen], torch.full((), kind))
                weight = torch.where(link, counts_for[kind], 1.0)
                place = torch.bucketize(probability, edges[1:-1], right=True)
                for total, values in zip(totals, (None, link.double(), weight, weight * link), strict=True):
                    total += torch.bincount(place, values, minlength=len(total))
                promised += torch.bincount(place, weight * probability, minlength=len(promised))
    pairs, links, weighted, weighted_links = totals
    table = pd.DataFrame(
        {
            "low": edges[:-1].numpy(),
            "high": edges[1:].numpy(),
            "pairs": pairs.long().numpy(),
            "test_links": links.long().numpy(),
            "predicted": (promised / weighted).numpy(),
            "observed": (weighted_links / weighted).numpy(),
        }
    )
    table["observed_low"], table["observed_high"] = _wilson(table["observed"].to_numpy(), table["pairs"].to_numpy())
    return table.query("pairs > 0").reset_index(drop=True)


def write_examples(
    fitted: FittedLinks,
    task: LinkTask,
    target: str | Path,
    *,
    pairs: Sequence[tuple[str, str]],
    partners: Sequence[tuple[str, str]],
    names: Mapping[str, str],
    top: int = 10,
    table: pd.DataFrame | None = None,
) -> None:
    """Write a page of answers: relations of pairs, partners under relations, and the table of `reliability`.

    What stood in training is left out: it would be no answer. Whether a link stands on record is said beside it.

    Args:
        fitted: The predictor.
        task: What it was trained on.
        target: The Markdown file.
        pairs: Pairs of entities.
        partners: An entity and a relation's name or title each.
        names: Entity -> what it is called in words, where that is known.
        top: Answers shown. Default 10.
        table: Of `reliability`; None (default): it is made.

    Raises:
        ValueError: An entity or a relation is unknown, or `target` is there and is no page of this.
    """
    if Path(target).exists() and _WRITTEN not in Path(target).read_text(encoding="utf-8", errors="replace"):
        raise ValueError(f"{target} is there, and is no page of answers; give another name")
    held_out = KnownLinks(
        torch.cat([task.split.val, task.split.test], 1), task.triples.num_entities, symmetric=task.triples.symmetric
    )

    def called(entity: str) -> str:
        return f"{names[entity]} ({entity})" if entity in names else entity

    def answers(rows: pd.DataFrame, links: Tensor, column: str, titles: list[str]) -> str:
        there = held_out.contains(links).numpy()
        lines = [
            [str(place), title, f"{row['probability']:.3f}", "yes" if on else "no"]
            for place, (title, row, on) in enumerate(zip(titles, records(rows), there, strict=True), 1)
        ]
        return markdown_table(["", column, "probability", "on record"], lines)

    triples = task.triples
    parts = [
        f"# {triples.name}: what the model answers",
        f"{_WRITTEN}; nothing is chosen by hand but the questions. Left out is what stood "
        "in training. A probability is that of being on record, calibrated on validation links; `on record` says "
        "whether the link is among those that were held out. A link that is not on record may still be true: nobody "
        "may have reported it.",
    ]
    for first, second in pairs:
        rows = rank_relations(fitted, first, second)
        known = np.count_nonzero(rows["known"])
        rows = rows.query("not known").head(top)
        kind = torch.tensor([triples.relation(name) for name in rows["relation"]], dtype=torch.int64)
        ends = [torch.full_like(kind, triples.entity(name)) for name in (first, second)]
        parts += [
            f"## {called(first)} with {called(second)}",
            f"{known} links of this pair stood in training.",
            answers(rows, torch.stack([ends[0], kind, ends[1]]), "relation", rows["title"].tolist()),
        ]
    for entity, relation in partners:
        rows = rank_partners(fitted, entity, relation)
        known = np.count_nonzero(rows["known"])
        rows = rows.query("not known").head(top)
        tail = torch.tensor([triples.entity(name) for name in rows["entity"]], dtype=torch.int64)
        links = [torch.full_like(tail, triples.entity(entity)), torch.full_like(tail, triples.relation(relation)), tail]
        parts += [
            f"## {called(entity)}: with whom {relation}?",
            f"{known} partners stood in training.",
            answers(rows, torch.stack(links), "partner", [called(name) for name in rows["entity"]]),
        ]
    table = reliability(fitted, task) if table is None else table
    gap = np.average(np.abs(table["predicted"] - table["observed"]), weights=table["pairs"])
    lines = [
        [
            f"{row['low']:g} to {row['high']:g}",
            *(f"{row[name]:,}" for name in ("pairs", "test_links")),
            *(f"{row[name]:.4f}" for name in ("predicted", "observed")),
            f"{row['observed_low']:.4f} to {row['observed_high']:.4f}",
        ]
        for row in records(table)
    ]
    parts += [
        "## How far the probabilities hold",
        "Every pair of every relation that neither training nor calibration knows; observed is the share of links, a "
        f"test link counted for itself and for a validation link, and its 95% interval. Mean gap: {gap:.5f}.",
        markdown_table(["probability", "pairs", "test links", "predicted", "observed", "interval"], lines),
    ]
    write_text(target, "\n\n".join(parts) + "\n")


def records(table: pd.DataFrame) -> list[dict[str, Any]]:
    """Rows as dictionaries."""
    return [{str(name): value for name, value in row.items()} for row in table.to_dict("records")]


def _by_relation(links: Tensor, nodes: int, count: int) -> tuple[list[int], Tensor]:
    """Where each relation's links begin, and their cells in its matrix of pairs, head first and, as stored, once."""
    order = torch.argsort(links[1], stable=True)
    first = torch.bincount(links[1], minlength=count).cumsum(0)
    return [0, *first.tolist()], (links[0] * nodes + links[2])[order]


def _wilson(share: np.ndarray, number: np.ndarray, z: float = 1.96) -> tuple[np.ndarray, np.ndarray]:
    """The score interval of a share."""
    with np.errstate(divide="ignore", invalid="ignore"):
        centre = (share + z**2 / (2 * number)) / (1 + z**2 / number)
        half = z / (1 + z**2 / number) * np.sqrt(share * (1 - share) / number + z**2 / (4 * number**2))
    return centre - half, centre + half
