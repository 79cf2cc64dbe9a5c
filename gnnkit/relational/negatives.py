"""Negatives: pairs that are no link of a relation, drawn so that a known link never comes out."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Int
from torch import Tensor

__all__ = ["KnownLinks", "corrupt_links", "degree_preserving_negatives", "random_negatives"]

Links = Int[Tensor, "3 E"]
_ROUNDS = 200


class KnownLinks:
    """A set of links that answers for many links at once, by a search in sorted keys.

    Args:
        links: Heads, relations and tails of what is known, in any order, repeats allowed.
        num_entities: N.
        symmetric: True where (a, r, b) and (b, r, a) are the same link. Default False.

    Example:
        >>> known = KnownLinks(torch.tensor([[0], [0], [2]]), 3, symmetric=True)
        >>> known.contains(torch.tensor([[2, 0], [0, 0], [0, 1]])).tolist()
        [True, False]
    """

    def __init__(self, links: Links, num_entities: int, *, symmetric: bool = False):
        self.num_entities, self.symmetric = num_entities, symmetric
        self.keys = torch.unique(self._key(links))

    def _key(self, links: Links) -> Tensor:
        head, relation, tail = links
        if self.symmetric:
            head, tail = torch.minimum(head, tail), torch.maximum(head, tail)
        return (relation * self.num_entities + head) * self.num_entities + tail

    def contains(self, links: Links) -> Bool[Tensor, " E"]:
        """True for each link that is known."""
        keys = self._key(links)
        if not self.keys.numel():
            return torch.zeros_like(keys, dtype=torch.bool)
        place = torch.searchsorted(self.keys, keys).clamp_max(self.keys.numel() - 1)
        return self.keys[place] == keys

    def forbids(self, links: Links) -> Bool[Tensor, " E"]:
        """True for each link that may not be a negative: it is known, or symmetric and of one entity with itself."""
        known = self.contains(links)
        return known | (links[0] == links[2]) if self.symmetric else known


def random_negatives(
    relation: Int[Tensor, " E"],
    known: KnownLinks,
    generator: torch.Generator,
    *,
    heads: Int[Tensor, "R 2"] | None = None,
    tails: Int[Tensor, "R 2"] | None = None,
) -> Links:
    """Draw both ends at random, a pair for each given relation, as in Decagon's evaluation.

    Args:
        relation: The relation of each negative.
        known: What may not come out.
        generator: Of the draw, on the relations' device.
        heads: For each relation the first entity that may be a head, and the one after the last; default: all.
        tails: The same for tails.

    Returns:
        The negatives, in the order of `relation`; one and the same may come twice.

    Raises:
        ValueError: A relation holds (nearly) all pairs that it could hold.
    """
    links = torch.stack([_draw(relation, heads, known, generator), relation, _draw(relation, tails, known, generator)])
    bad = relation.new_empty(0)
    for _ in range(_ROUNDS):
        bad = known.forbids(links).nonzero().flatten()
        if not bad.numel():
            return links
        kinds = relation[bad]
        links[0, bad], links[2, bad] = _draw(kinds, heads, known, generator), _draw(kinds, tails, known, generator)
    raise ValueError(_crowded(relation[bad]))


def corrupt_links(
    links: Links,
    known: KnownLinks,
    generator: torch.Generator,
    *,
    count: int = 1,
    heads: Int[Tensor, "R 2"] | None = None,
    tails: Int[Tensor, "R 2"] | None = None,
) -> Int[Tensor, "3 E K"]:
    """Put another entity in the place of a link's head or of its tail, either with even odds.

    Args:
        links: What negatives are made of.
        known: What may not come out.
        generator: Of the draw, on the links' device.
        count: Negatives K of each link. Default 1.
        heads, tails: As for `random_negatives`.

    Returns:
        The negatives; each shares relation and one end with its link, as long as some entity is free there: an end
        whose others are all known links gives way to a pair of which both ends are drawn.

    Raises:
        ValueError: A relation holds (nearly) all pairs that it could hold.
    """
    made = links.unsqueeze(2).expand(3, -1, count).reshape(3, -1).clone()
    relation, todo = made[1], torch.arange(made.size(1), device=made.device)
    original = made.clone()
    for turn in range(_ROUNDS):
        kinds = relation[todo]
        at_head = torch.rand(todo.numel(), generator=generator, device=made.device) < 0.5
        both = turn >= _ROUNDS // 2
        new_head, new_tail = _draw(kinds, heads, known, generator), _draw(kinds, tails, known, generator)
        made[0, todo] = torch.where(at_head | both, new_head, original[0, todo])
        made[2, todo] = torch.where(~at_head | both, new_tail, original[2, todo])
        todo = todo[known.forbids(made[:, todo])]
        if not todo.numel():
            return made.view(3, -1, count)
    raise ValueError(_crowded(relation[todo]))


def degree_preserving_negatives(
    links: Links, known: KnownLinks, generator: torch.Generator, *, rounds: int = 100
) -> tuple[Links, float]:
    """Pair the ends of a relation's links anew: hard negatives, as each entity occurs as often as in the positives.

    Tails of one relation are shuffled among its links; those that met a known link are shuffled again, each round with
    as many others. How often an entity occurs then says nothing about a pair.

    Args:
        links: The positives.
        known: What may not come out.
        generator: Of the draw, on the CPU.
        rounds: Most shuffles. Default 100.

    Returns:
        The negatives, in the relations' order, one for each positive whose end found a partner; and the share that
        found none and is left out, because nearly all others are known links of that entity.
    """
    links = links[:, torch.argsort(links[1], stable=True)]
    made = links.clone()
    if known.symmetric:  # either end may change places
        flip = torch.rand(made.size(1), generator=generator) < 0.5
        made[:, flip] = made[:, flip].flip(0)
    active = torch.ones(made.size(1), dtype=torch.bool)
    for _ in range(rounds):
        place = active.nonzero().flatten()
        # A random order within each relation: sort by relation, then by a random number.
        key = made[1, place].double() + torch.rand(place.numel(), generator=generator, dtype=torch.float64) * 0.999
        made[2, place] = made[2, place[key.argsort()]]
        bad = known.forbids(made)
        if not bad.any():
            break
        share = torch.bincount(made[1, bad], minlength=int(made[1].max()) + 1) / torch.bincount(made[1])
        active = bad | (torch.rand(made.size(1), generator=generator) < share[made[1]])
    bad = known.forbids(made)
    return made[:, ~bad], float(bad.double().mean()) if made.size(1) else 0.0


def _draw(relation: Tensor, ranges: Tensor | None, known: KnownLinks, generator: torch.Generator) -> Tensor:
    share = torch.rand(relation.shape, generator=generator, device=relation.device, dtype=torch.float64)
    if ranges is None:
        return (share * known.num_entities).long()
    first, stop = ranges[relation].unbind(1)
    return first + (share * (stop - first)).long()


def _crowded(relation: Tensor) -> str:
    return (
        f"relation {int(relation[0])}: no free pair was found in {_ROUNDS} draws, as it holds nearly all that there "
        f"can be; leave the relation out"
    )
