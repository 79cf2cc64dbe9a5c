"""Negatives: never a known link, of the right type, and the hard ones with the positives' degrees."""

import pytest
import torch

from gnnkit.relational import KnownLinks, corrupt_links, degree_preserving_negatives, random_negatives


def links(count=400, entities=20, relations=5, seed=0, symmetric=True):
    generator = torch.Generator().manual_seed(seed)
    drawn = torch.randint(entities, (3, 3 * count), generator=generator)
    drawn[1] %= relations
    if symmetric:
        drawn = torch.stack([torch.minimum(drawn[0], drawn[2]), drawn[1], torch.maximum(drawn[0], drawn[2])])
        drawn = drawn[:, drawn[0] != drawn[2]]
    return drawn.unique(dim=1)[:, torch.randperm(drawn.unique(dim=1).size(1), generator=generator)[:count]]


def as_set(made, symmetric=True):
    found = {tuple(link) for link in made.t().tolist()}
    return found | {link[::-1] for link in found} if symmetric else found


@pytest.mark.parametrize("symmetric", [True, False])
def test_what_is_known(symmetric):
    positive = links(symmetric=symmetric)
    known = KnownLinks(positive, 20, symmetric=symmetric)
    every = torch.cartesian_prod(torch.arange(20), torch.arange(5), torch.arange(20)).t()
    truth = as_set(positive, symmetric)
    assert known.contains(every).tolist() == [tuple(link) in truth for link in every.t().tolist()]


def test_nothing_is_known_of_nothing():
    known = KnownLinks(torch.empty(3, 0, dtype=torch.int64), 4)
    assert known.contains(torch.tensor([[0, 3], [0, 1], [3, 0]])).tolist() == [False, False]


@pytest.mark.parametrize("symmetric", [True, False])
def test_no_negative_is_known(symmetric):
    positive = links(symmetric=symmetric)
    known, generator = KnownLinks(positive, 20, symmetric=symmetric), torch.Generator().manual_seed(1)
    drawn = random_negatives(positive[1], known, generator)
    assert torch.equal(drawn[1], positive[1])
    made = corrupt_links(positive, known, generator, count=3)
    assert made.shape == (3, 400, 3)
    same_head, same_tail = (made[end] == positive[end].unsqueeze(1) for end in (0, 2))
    assert (same_head | same_tail).float().mean() > 0.99  # both ends change where one has no free partner
    assert 0.3 < (same_head & ~same_tail).float().mean() < 0.7
    for negative in (drawn, made.flatten(1)):
        assert not as_set(negative, symmetric) & as_set(positive, symmetric)
        assert not symmetric or bool((negative[0] != negative[2]).all())


def test_negatives_are_of_the_types_that_a_relation_joins():
    heads = torch.tensor([[0, 4], [4, 10]])
    tails = torch.tensor([[4, 10], [0, 4]])
    relation = torch.tensor([0, 1] * 200)
    positive = torch.stack([heads[relation, 0], relation, tails[relation, 0]])
    known, generator = KnownLinks(positive, 10), torch.Generator().manual_seed(0)
    types = {"heads": heads, "tails": tails}
    for made in (
        random_negatives(relation, known, generator, **types),
        corrupt_links(positive, known, generator, **types)[:, :, 0],
    ):
        assert bool(((made[0] >= heads[relation, 0]) & (made[0] < heads[relation, 1])).all())
        assert bool(((made[2] >= tails[relation, 0]) & (made[2] < tails[relation, 1])).all())
        assert not known.contains(made).any()


def test_hard_negatives_keep_the_degrees():
    positive = links(120, entities=40)
    known, generator = KnownLinks(positive, 40, symmetric=True), torch.Generator().manual_seed(0)
    made, unpaired = degree_preserving_negatives(positive, known, generator)
    assert unpaired == 0.0
    assert not as_set(made) & as_set(positive)
    for relation in range(5):
        ends = [part[:, part[1] == relation][[0, 2]].flatten().bincount(minlength=40) for part in (positive, made)]
        assert torch.equal(*ends)


def test_what_cannot_be_paired_is_left_out_and_counted():
    star = torch.tensor([[0, 0, 0], [0, 0, 0], [1, 2, 3]])
    made, unpaired = degree_preserving_negatives(star, KnownLinks(star, 4, symmetric=True), torch.Generator())
    assert made.size(1) + round(3 * unpaired) == 3
    assert not as_set(made) & as_set(star)


def test_a_full_relation_is_named():
    full = torch.cartesian_prod(torch.arange(3), torch.tensor([2]), torch.arange(3)).t()
    known = KnownLinks(full, 3)
    for draw in (lambda g: random_negatives(full[1], known, g), lambda g: corrupt_links(full, known, g)):
        with pytest.raises(ValueError, match="relation 2: no free pair was found"):
            draw(torch.Generator())
