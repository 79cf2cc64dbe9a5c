import sys

import pytest

from gnnkit._optional import is_available, optional_import


def test_a_module_that_is_there_is_given():
    import math

    assert is_available("math")
    assert optional_import("math", purpose="this test") is math


def test_a_missing_module_says_what_it_is_for_and_how_to_get_it():
    assert not is_available("no_such_module.inside")
    with pytest.raises(ImportError, match=r"the clock needs no_such_module, .* pip install no-such-module"):
        optional_import("no_such_module", purpose="the clock")
    with pytest.raises(ImportError, match=r'pip install "gnnkit\[clock\]"'):
        optional_import("no_such_module", purpose="the clock", extra="clock")


def test_a_blocked_module_is_not_available(monkeypatch):
    monkeypatch.setitem(sys.modules, "numba", None)
    assert not is_available("numba")
