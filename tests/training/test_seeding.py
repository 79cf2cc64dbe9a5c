"""Random states: seeded, shared between models, and the caller's left alone."""

import random

import numpy as np
import pytest
import torch

from gnnkit.training import isolated_seed, seed_everything, shuffled_batches


def draws():
    return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002


def test_seed_everything_reaches_python_numpy_and_torch():
    seed_everything(42)
    first = draws()
    seed_everything(42)
    assert draws() == first
    seed_everything(43)
    assert all(a != b for a, b in zip(draws(), first, strict=True))


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_seeds_out_of_range_are_refused(seed):
    with pytest.raises(ValueError, match=f"seed is {seed}; give a whole number from 0 to 4294967295"):
        seed_everything(seed)


def test_isolated_seed_repeats_itself_and_gives_the_callers_state_back():
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    with isolated_seed(0):
        inside = torch.rand(3)
    assert torch.equal(torch.rand(3), expected)
    with isolated_seed(0):
        assert torch.equal(torch.rand(3), inside)


def test_batches_hold_every_index_once_in_a_new_order_each_epoch():
    generator = torch.Generator().manual_seed(0)
    first = list(shuffled_batches(10, 4, generator))
    second = list(shuffled_batches(10, 4, generator))
    assert [len(batch) for batch in first] == [4, 4, 2]
    assert sorted(torch.cat(first).tolist()) == list(range(10))
    assert torch.cat(first).tolist() != torch.cat(second).tolist()
    again = list(shuffled_batches(10, 4, torch.Generator().manual_seed(0)))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_batch_size_must_be_positive():
    with pytest.raises(ValueError, match="batch_size is 0"):
        shuffled_batches(3, 0, torch.Generator())
