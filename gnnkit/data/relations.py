"""Typed links: entities, relations and the triples between them; splits in which no test pair leaks into training."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["TripleSplit", "Triples", "check_no_leak", "count_leaks", "split_by_relation"]


@dataclass(frozen=True, eq=False)
class Triples:
    """Links (head, relation, tail) between entities.

    Args:
        name: Of the data set.
        entities: Names, one an entity, all different.
        relations: Names of the relations, all different, e.g. codes.
        relation_titles: What the relations are called in words; default: their names.
        triples: Head, relation and tail of each link.
        symmetric: True where a link holds in both directions; it is stored once then, head below tail.

    Shape:
        triples `[3, E]`, int64.

    Raises:
        ValueError: A shape or type is wrong, a number out of range, a name not unique, or a symmetric link is stored
            with its head above its tail.
    """

    name: str
    entities: tuple[str, ...]
    relations: tuple[str, ...]
    triples: Tensor
    symmetric: bool = False
    relation_titles: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        t = self.triples
        if t.dim() != 2 or t.size(0) != 3 or t.dtype != torch.int64:
            raise ValueError(f"triples: expected int64 of shape [3, E], got {t.dtype} of shape {list(t.shape)}")
        if not self.relation_titles:
            object.__setattr__(self, "relation_titles", self.relations)
        if len(self.relation_titles) != len(self.relations):
            raise ValueError(f"relation_titles: {len(self.relation_titles)} for {len(self.relations)} relations")
        for what, names in (("entities", self.entities), ("relations", self.relations)):
            if len(set(names)) < len(names):
                raise ValueError(f"{what}: {len(names) - len(set(names))} names occur twice; give each its own")
        counts = {"head": self.num_entities, "relation": self.num_relations, "tail": self.num_entities}
        for (what, count), row in zip(counts.items(), t, strict=True):
            if row.numel() and not 0 <= int(row.min()) <= int(row.max()) < count:
                raise ValueError(
                    f"triples: {what} from {int(row.min())} to {int(row.max())}, allowed are 0 to {count - 1}"
                )
        if self.symmetric and bool((t[0] >= t[2]).any()):
            raise ValueError("triples: a symmetric link is stored once, its head below its tail; sort the ends")

    @property
    def num_entities(self) -> int:
        """N."""
        return len(self.entities)

    @property
    def num_relations(self) -> int:
        """R."""
        return len(self.relations)

    @property
    def counts(self) -> Int[Tensor, " R"]:
        """Links of each relation."""
        return torch.bincount(self.triples[1], minlength=self.num_relations)

    def entity(self, name: str) -> int:
        """The number of an entity.

        Raises:
            ValueError: There is none of that name; the message has the nearest ones.
        """
        return _look_up("entity", name, self.entities)

    def relation(self, name: str) -> int:
        """The number of a relation, by its name or by its title, whatever the case.

        Raises:
            ValueError: There is none of that name; the message has the nearest ones.
        """
        titles = [title.lower() for title in self.relation_titles]
        if name not in self.relations and name.lower() in titles:
            return titles.index(name.lower())
        return _look_up("relation", name, self.relations, self.relation_titles)

    def keep_relations(self, which: Sequence[int] | Tensor) -> Triples:
        """The links of some relations alone; entities stay as they are."""
        chosen = torch.as_tensor(which, dtype=torch.int64)
        number = torch.full((self.num_relations,), -1)
        number[chosen] = torch.arange(chosen.numel())
        kept = number[self.triples[1]]
        head, _, tail = self.triples
        there = kept >= 0
        names = chosen.tolist()
        return Triples(
            self.name,
            self.entities,
            tuple(self.relations[r] for r in names),
            torch.stack([head[there], kept[there], tail[there]]),
            self.symmetric,
            tuple(self.relation_titles[r] for r in names),
        )

    def digest(self) -> str:
        """SHA-256 of the links, as 64 hexadecimal digits; names do not count."""
        found = hashlib.sha256(repr((self.num_entities, self.num_relations, self.symmetric)).encode())
        found.update(self.triples.contiguous().numpy().tobytes())
        return found.hexdigest()


@dataclass(frozen=True, eq=False)
class TripleSplit:
    """Links to train on, to choose by, and to score at the end.

    Shape:
        train, val, test: `[3, ·]`.
    """

    train: Tensor
    val: Tensor
    test: Tensor


def split_by_relation(triples: Triples, *, val: float = 0.1, test: float = 0.1, seed: int = 0) -> TripleSplit:
    """Split the links of each relation at random, the two directions of a pair always into one part.

    Args:
        triples: All links.
        val: Share of a relation's pairs that validates, rounded. Default 0.1.
        test: Share that is kept for the end, rounded. Default 0.1.
        seed: Of the draw. Default 0.

    Returns:
        The parts, links in the order in which they were. A relation of few pairs may have none to test.

    Raises:
        ValueError: The shares leave nothing to train on.

    Example:
        >>> ends = torch.combinations(torch.arange(5))
        >>> links = torch.stack([ends[:, 0], torch.zeros(10, dtype=torch.int64), ends[:, 1]])
        >>> split = split_by_relation(Triples("toy", tuple("abcde"), ("r",), links, symmetric=True))
        >>> split.train.size(1), split.val.size(1), split.test.size(1)
        (8, 1, 1)
    """
    if min(val, test) < 0 or not val + test < 1:
        raise ValueError(f"val={val} and test={test}: shares from 0, together below 1")
    pair_relation, pair_of_link = _pairs(triples)
    rng = np.random.default_rng(seed)
    order = np.lexsort((rng.random(len(pair_relation)), pair_relation))
    counts = np.bincount(pair_relation, minlength=triples.num_relations)
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - np.repeat(counts.cumsum() - counts, counts)
    tested = np.floor(test * counts + 0.5)[pair_relation]
    validated = np.floor(val * counts + 0.5)[pair_relation]
    part = np.where(place < tested, 2, np.where(place < tested + validated, 1, 0))[pair_of_link]
    return TripleSplit(*(triples.triples[:, torch.from_numpy(part == which)] for which in (0, 1, 2)))


def count_leaks(train: Int[Tensor, "3 E"], held_out: Int[Tensor, "3 H"]) -> int:
    """Links of `held_out` whose pair stands in `train` under the same relation, in either direction."""
    count = 1 + max((int(part[[0, 2]].max()) for part in (train, held_out) if part.numel()), default=0)

    def keys(part: Tensor) -> np.ndarray:
        low, high = torch.minimum(part[0], part[2]), torch.maximum(part[0], part[2])
        return ((part[1] * count + low) * count + high).numpy()

    seen, asked = keys(train), keys(held_out)
    # A table of all possible pairs beats sorting, as long as it is no larger than half a gigabyte.
    kind = "table" if seen.size and seen.max() < 2**29 else "sort"
    return int(np.isin(asked, seen, kind=kind).sum())


def check_no_leak(split: TripleSplit) -> None:
    """See to it that nothing that is scored was trained on, in either direction.

    Raises:
        ValueError: A pair of the validation or test part stands in another part under the same relation.
    """
    for name, seen, held_out in (
        ("validation links in training", split.train, split.val),
        ("test links in training", split.train, split.test),
        ("test links in validation", split.val, split.test),
    ):
        leaks = count_leaks(seen, held_out)
        if leaks:
            raise ValueError(f"split: {leaks} {name}, counted in both directions; split with split_by_relation")


def _pairs(triples: Triples) -> tuple[np.ndarray, np.ndarray]:
    """Relation of each unordered pair, and the pair of each link."""
    head, relation, tail = triples.triples.numpy()
    if triples.symmetric:  # every link is a pair of its own
        return relation, np.arange(len(relation))
    keys = (relation * triples.num_entities + np.minimum(head, tail)) * triples.num_entities + np.maximum(head, tail)
    unique, pair = np.unique(keys, return_inverse=True)
    return unique // triples.num_entities**2, pair


def _look_up(what: str, name: str, *known: tuple[str, ...]) -> int:
    if name in known[0]:
        return known[0].index(name)
    lower = {choice.lower(): choice for names in known for choice in names}
    near = [lower[match] for match in difflib.get_close_matches(name.lower(), lower, n=3, cutoff=0.5)]
    hint = f"; did you mean {', '.join(map(repr, near))}?" if near else f"; there are e.g. {', '.join(known[0][:3])}"
    raise ValueError(f"{what} {name!r} is unknown{hint}")
