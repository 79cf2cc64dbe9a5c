"""Searches for objects that hold each other: seldom inside, as before outside, after an error too."""

import gc

import pytest

from gnnkit.cli.garbage import seldom_collected


def failing(before) -> None:
    with seldom_collected():
        assert gc.get_threshold() == (100_000, *before[1:])
        assert gc.isenabled()
        raise ValueError("over")


def test_what_was_set_comes_back():
    before = gc.get_threshold()
    with pytest.raises(ValueError, match="over"):
        failing(before)
    assert gc.get_threshold() == before
