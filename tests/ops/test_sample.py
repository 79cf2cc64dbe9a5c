"""gnnkit.ops.sample: every backend draws from the exact distribution; the compiled one draws as the reference does."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import chisquare

from gnnkit._optional import is_available
from gnnkit.ops import use_backend
from gnnkit.ops.sample import draw_neighbors, number_nodes

BACKENDS = ["reference", "torch"] + (["numba"] if is_available("numba") else [])


def csc(degrees):
    return torch.tensor([0, *degrees]).cumsum(0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("count", [1, 2, 3, 4])
def test_every_set_is_equally_likely(backend, count):
    pointers, nodes = csc([3, 5]), torch.ones(4000, dtype=torch.int64)
    with use_backend(backend):
        positions, numbers = draw_neighbors(pointers, nodes, count, seed=1)
    assert set(numbers.tolist()) == {count}
    drawn = [tuple(sorted(row)) for row in positions.view(-1, count).tolist()]
    sets = list(itertools.combinations(range(3, 8), count))
    assert chisquare([drawn.count(one) for one in sets]).pvalue > 1e-3
    assert sum(map(drawn.count, sets)) == 4000


@pytest.mark.parametrize("backend", BACKENDS)
def test_large_counts_are_as_likely(backend):
    # Above 64 another algorithm draws.
    with use_backend(backend):
        positions, _ = draw_neighbors(csc([90]), torch.zeros(300, dtype=torch.int64), 70, seed=2)
    rows = positions.view(300, 70)
    assert all(len(set(row)) == 70 for row in rows.tolist())
    often = torch.bincount(positions, minlength=90).double()
    # Each edge is in 70 of 90 draws; the counts are less spread than binomial ones, for each draw has just 70.
    spread = math.sqrt(300 * (70 / 90) * (20 / 90))
    assert (often - 300 * 70 / 90).abs().max() < 4.5 * spread
    assert 0.6 * spread < often.std() < 1.4 * spread


@pytest.mark.parametrize("backend", BACKENDS)
def test_with_replacement(backend):
    with use_backend(backend):
        positions, numbers = draw_neighbors(csc([4, 0]), torch.tensor([0, 1] * 2000), 3, seed=3, replace=True)
    assert numbers.tolist() == [3, 0] * 2000
    triples = (positions.view(-1, 3) * torch.tensor([16, 4, 1])).sum(1)
    assert chisquare(torch.bincount(triples, minlength=64)).pvalue > 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("replace", [False, True])
def test_by_weight(backend, replace):
    weight = torch.tensor([1.0, 2.0, 0.0, 5.0])
    with use_backend(backend):
        positions, numbers = draw_neighbors(
            csc([4]), torch.zeros(6000, dtype=torch.int64), 2, seed=4, replace=replace, weight=weight
        )
    assert set(numbers.tolist()) == {2}
    share = (weight / weight.sum()).tolist()
    # The probability of a set: the first by its share, the second by its share of the rest.
    expected, found = {}, {}
    for one, other in itertools.product((0, 1, 3), repeat=2):
        if replace or one != other:
            chance = share[one] * (share[other] if replace else share[other] / (1 - share[one]))
            key = tuple(sorted((one, other)))
            expected[key] = expected.get(key, 0) + 6000 * chance
    for row in positions.view(-1, 2).tolist():
        found[tuple(sorted(row))] = found.get(tuple(sorted(row)), 0) + 1
    assert found.keys() == expected.keys()
    assert chisquare([found[key] for key in expected], list(expected.values())).pvalue > 1e-3


@pytest.mark.parametrize("backend", BACKENDS)
def test_times(backend):
    pointers, time = csc([5, 2]), torch.tensor([1, 2, 2, 4, 9, 3, 7])
    nodes, until = torch.tensor([0, 0, 1, 0, 1]), torch.tensor([2, 0, 7, 9, 4])
    with use_backend(backend):
        positions, numbers = draw_neighbors(pointers, nodes, -1, seed=0, time=time, until=until)
        assert numbers.tolist() == [3, 0, 2, 5, 1]
        assert positions.tolist() == [0, 1, 2, 5, 6, 0, 1, 2, 3, 4, 5]
        positions, numbers = draw_neighbors(pointers, nodes, 2, seed=0, time=time, until=until, last=True)
        assert numbers.tolist() == [2, 0, 2, 2, 1]
        assert positions.tolist() == [1, 2, 5, 6, 3, 4, 5]
        positions, numbers = draw_neighbors(pointers, nodes, 2, seed=0, time=time, until=until)
        assert numbers.tolist() == [2, 0, 2, 2, 1]
        assert set(positions[:2].tolist()) < {0, 1, 2}


@pytest.mark.parametrize("backend", BACKENDS)
def test_all_stand_in_order_and_nothing_is_nothing(backend):
    with use_backend(backend):
        for count in (-1, 3, 7):
            positions, numbers = draw_neighbors(csc([2, 0, 3]), torch.tensor([2, 1, 0, 2]), count, seed=5)
            assert positions.tolist() == [2, 3, 4, 0, 1, 2, 3, 4]
            assert numbers.tolist() == [3, 0, 2, 3]
        assert [part.tolist() for part in draw_neighbors(csc([2]), torch.tensor([0]), 0, seed=0)] == [[], [0]]
        empty = torch.empty(0, dtype=torch.int64)
        assert [part.tolist() for part in draw_neighbors(csc([2]), empty, 3, seed=0)] == [[], []]
        assert [part.tolist() for part in number_nodes(empty, empty)] == [[], []]


@pytest.mark.skipif("numba" not in BACKENDS, reason="numba is not installed")
@settings(max_examples=60, deadline=None)
@given(
    degrees=st.lists(st.integers(0, 100), min_size=1, max_size=6),
    count=st.integers(-1, 90),
    seed=st.integers(0, 2**62),
    replace=st.booleans(),
    kind=st.sampled_from(["plain", "weight", "time", "last"]),
)
def test_compiled_draws_are_the_references(degrees, count, seed, replace, kind):
    generator = torch.Generator().manual_seed(seed % 1000)
    pointers = csc(degrees)
    edges = int(pointers[-1])
    nodes = torch.randint(len(degrees), (7,), generator=generator)
    options = {"seed": seed, "replace": replace and kind != "last"}
    if kind == "weight":
        options["weight"] = torch.randint(4, (edges,), generator=generator).float()
    elif kind != "plain":
        parts = [torch.randint(9, (degree,), generator=generator).sort().values for degree in degrees]
        options |= {"time": torch.cat(parts), "until": torch.randint(9, (7,), generator=generator)}
        options["last"] = kind == "last"
    found = {}
    for backend in ("reference", "numba"):
        with use_backend(backend):
            found[backend] = [part.tolist() for part in draw_neighbors(pointers, nodes, count, **options)]
    assert found["reference"] == found["numba"]


@given(
    known=st.lists(st.integers(0, 30), max_size=20),
    ids=st.lists(st.one_of(st.integers(0, 40), st.integers(2**40, 2**40 + 3)), max_size=40),
)
@settings(max_examples=60, deadline=None)
def test_places_give_the_ids_back(known, ids):
    expected = None
    for backend in BACKENDS:
        with use_backend(backend):
            places, new = number_nodes(torch.tensor(known, dtype=torch.int64), torch.tensor(ids, dtype=torch.int64))
        assert new.tolist() == [one for one in dict.fromkeys(ids) if one not in known]
        both = torch.tensor([*known, *new.tolist()], dtype=torch.int64)
        assert both[places].tolist() == ids
        assert expected in (None, places.tolist())
        expected = places.tolist()


def test_seeds_differ_and_repeat():
    draws = [draw_neighbors(csc([50]), torch.zeros(9, dtype=torch.int64), 5, seed=seed)[0] for seed in (0, 0, 1)]
    assert torch.equal(draws[0], draws[1])
    assert not torch.equal(draws[0], draws[2])


def test_nonsense_is_refused():
    pointers, nodes = csc([2, 2]), torch.tensor([0, 1])
    for message, options in {
        "count=-2: it is how many": {"count": -2},
        "nodes holds 5, but there are 2 nodes": {"nodes": torch.tensor([5])},
        "nodes holds -1, but": {"nodes": torch.tensor([-1])},
        "time and until go together": {"time": torch.zeros(4)},
        "last=True takes the latest edges": {"last": True},
        r"time has shape \[3\], but should be \[4\]": {"time": torch.zeros(3), "until": torch.zeros(2)},
        r"until has shape \[1\], but should be \[2\]": {"time": torch.zeros(4), "until": torch.zeros(1)},
        r"weight has shape \[5\], but should be \[4\]": {"weight": torch.ones(5)},
        "weight: some are negative": {"weight": torch.tensor([1.0, -1, 1, 1])},
        "weight: some are negative or no": {"weight": torch.tensor([1.0, math.nan, 1, 1])},
    }.items():
        arguments = {"pointers": pointers, "nodes": nodes, "count": 1, "seed": 0} | options
        with pytest.raises(ValueError, match=message):
            draw_neighbors(**arguments)
    with pytest.raises(ValueError, match="ids holds -3: ids are 0 or more"):
        number_nodes(nodes, torch.tensor([2, -3]))
