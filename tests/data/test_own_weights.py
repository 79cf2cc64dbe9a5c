import numpy as np
import pytest

from gnnkit.data.own_weights import Doubt, doubt_weights

RNG = np.random.default_rng(0)
PLACES = RNG.uniform(0, 100, size=(8, 2))
FAR = np.linalg.norm(PLACES[:, None] - PLACES, axis=2)


def doubt(matrix, length="", **known):
    edge_index = np.stack(matrix.nonzero())
    return doubt_weights(edge_index, matrix[edge_index[0], edge_index[1]], length, len(matrix), **known)


def some(matrix):
    """A third of the entries: roads between some pairs."""
    return np.where(np.arange(64).reshape(8, 8) % 3 == 1, matrix, 0)


def test_weights_that_surely_are_distances():
    found = doubt(some(FAR), "cost")
    assert found.sure
    assert found.words.startswith("stand under 'cost' and go from ")
    found = doubt(some(FAR), distance=FAR)
    assert found.sure
    assert found.words.endswith("and grow with the distance between the places of the nodes")
    found = doubt(FAR)
    assert found.sure
    assert found.words.endswith("join each node with all others but not with itself, and no way round is shorter")
    found = doubt(some(FAR), alike=lambda: np.exp(-FAR / 30))
    assert found.sure
    assert found.words.endswith("the larger one is the less alike are the training values of the two nodes")


@pytest.mark.parametrize("places", [0, 1, 2, 8])
@pytest.mark.parametrize("size", [4, 5, 8])
def test_distances_that_were_rounded_and_those_of_few_nodes_are_known(size, places):
    for seed in range(10):
        where = np.random.default_rng(seed).uniform(0, 1000, size=(size, 2))
        far = np.linalg.norm(where[:, None] - where, axis=2).round(places)
        apart = far[~np.eye(size, dtype=bool)]
        if apart.max() > 2 * apart.min():
            assert doubt(far).sure


def test_a_small_matrix_that_is_no_metric_or_not_the_same_both_ways_is_not_refused():
    near = np.array([[0, 9, 1, 1], [9, 0, 1, 1], [1, 1, 0, 9], [1, 1, 9, 0.0]])  # 9 > 1 + 1
    assert not doubt(near).sure
    flows = np.array([[0, 5, 4, 3], [2, 0, 4, 5], [3, 5, 0, 4], [4, 5, 3, 0.0]])
    assert not doubt(flows).sure
    assert doubt(flows).words  # it is told of


def test_weights_that_may_be_distances():
    assert doubt(some(FAR)) == Doubt(f"go from {some(FAR)[some(FAR) > 0].min():.4g} to {some(FAR).max():.4g}")
    flows = np.round(RNG.uniform(1, 1000, size=(8, 8))) * (1 - np.eye(8))
    found = doubt(flows)  # all pairs, and ways round that are shorter
    assert (found.sure, found.words[:29]) == (False, "join each node with all other")
    found = doubt(some(FAR), alike=lambda: RNG.uniform(size=(8, 8)))  # values that go together with nothing
    assert (found.sure, bool(found.words)) == (False, True)


def test_weights_that_are_similarities():
    near = np.exp(-np.square(FAR / 30))
    assert doubt(near) == Doubt()
    assert doubt(some(near), distance=FAR) == Doubt()
    assert doubt(some(100 * near), alike=lambda: near) == Doubt()  # large, but with what goes together
    assert doubt(some(FAR) > 0) == Doubt()
    assert doubt(1 - np.eye(8)) == Doubt()
