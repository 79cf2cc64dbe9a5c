"""Links, their splits, and that nothing leaks."""

import pytest
import torch

from gnnkit.data import Triples, TripleSplit, check_no_leak, split_by_relation
from gnnkit.data.relations import count_leaks


def toy(symmetric=True, counts=(40, 7, 1, 0), seed=0):
    generator = torch.Generator().manual_seed(seed)
    ends = torch.combinations(torch.arange(12))
    parts = []
    for relation, count in enumerate(counts):
        chosen = ends[torch.randperm(len(ends), generator=generator)[:count]]
        parts.append(torch.stack([chosen[:, 0], torch.full((count,), relation), chosen[:, 1]]))
    links = torch.cat(parts, 1)
    return Triples("toy", tuple("abcdefghijkl"), tuple(f"r{i}" for i in range(len(counts))), links, symmetric)


def test_every_relation_is_split_by_its_shares():
    triples = toy()
    split = split_by_relation(triples)
    counts = [torch.bincount(part[1], minlength=4).tolist() for part in (split.train, split.val, split.test)]
    assert counts == [[32, 5, 1, 0], [4, 1, 0, 0], [4, 1, 0, 0]]
    assert torch.cat([split.train, split.val, split.test], 1).unique(dim=1).size(1) == 48
    check_no_leak(split)


def test_the_split_depends_on_the_seed_alone():
    triples = toy()
    first, again, other = (split_by_relation(triples, seed=seed).test for seed in (0, 0, 1))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_both_directions_of_a_pair_stay_together():
    one_way = toy(counts=(40, 30))
    links = torch.cat([one_way.triples, one_way.triples.flip(0)], 1)
    split = split_by_relation(Triples("both", one_way.entities, one_way.relations, links))
    check_no_leak(split)
    assert [part.size(1) for part in (split.train, split.val, split.test)] == [112, 14, 14]


def test_a_leak_is_found_in_either_direction():
    train = torch.tensor([[0, 3], [0, 1], [1, 2]])
    assert count_leaks(train, torch.tensor([[0, 1], [0, 1], [1, 2]])) == 1
    assert count_leaks(train, torch.tensor([[1, 2], [0, 0], [0, 3]])) == 1
    nothing = torch.empty(3, 0, dtype=torch.int64)
    assert count_leaks(nothing, train) == count_leaks(train, nothing) == 0
    with pytest.raises(ValueError, match="1 test links in training, counted in both directions"):
        check_no_leak(TripleSplit(train, nothing, torch.tensor([[1], [0], [0]])))


def test_some_relations_alone():
    triples = toy(counts=(3, 5, 2))
    kept = triples.keep_relations([2, 0])
    assert kept.relations == ("r2", "r0")
    assert kept.counts.tolist() == [2, 3]
    assert kept.num_entities == 12
    assert kept.digest() != triples.digest()


def test_names_are_looked_up_and_the_nearest_offered():
    links = torch.tensor([[0], [0], [1]])
    triples = Triples("t", ("CID1234", "CID9"), ("C01",), links, True, ("nausea",))
    assert (triples.entity("CID9"), triples.relation("C01"), triples.relation("Nausea")) == (1, 0, 0)
    with pytest.raises(ValueError, match=r"entity 'CID1235' is unknown; did you mean 'CID1234'"):
        triples.entity("CID1235")
    with pytest.raises(ValueError, match=r"relation 'nausa' is unknown; did you mean 'nausea'"):
        triples.relation("nausa")
    with pytest.raises(ValueError, match=r"there are e.g. CID1234"):
        triples.entity("~~~~")


BAD = {
    "shape": ({"triples": torch.zeros(2, 3).long()}, r"expected int64 of shape \[3, E\]"),
    "range": ({"triples": torch.tensor([[0], [1], [1]])}, "relation from 1 to 1, allowed are 0 to 0"),
    "order": ({"triples": torch.tensor([[1], [0], [0]]), "symmetric": True}, "stored once, its head below its tail"),
    "itself": ({"triples": torch.tensor([[1], [0], [1]]), "symmetric": True}, "stored once"),
    "names": ({"entities": ("a", "a")}, "entities: 1 names occur twice"),
    "titles": ({"relation_titles": ("x", "y")}, "relation_titles: 2 for 1 relations"),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD)
def test_bad_links(change, message):
    good = {"name": "t", "entities": ("a", "b"), "relations": ("r",), "triples": torch.tensor([[0], [0], [1]])}
    with pytest.raises(ValueError, match=message):
        Triples(**{**good, **change})


def test_bad_shares():
    with pytest.raises(ValueError, match="together below 1"):
        split_by_relation(toy(), val=0.5, test=0.5)
