"""Every public reader and constructor on drawn input; `GNNKIT_RELIABILITY_CASES` says how many cases in all."""

import tempfile
from pathlib import Path

import pytest

from tests.reliability.fuzz.harness import MOST_SECONDS, Target, fuzz
from tests.reliability.fuzz.targets import TARGETS, shares
from tests.reliability.recorded import asked, record

CASES = asked("cases", 2000)
COUNTS = {target.name: count for target, count in shares(CASES)}
LOG = Path(tempfile.gettempdir()) / "gnnkit-fuzz-case"
"""The case that is run, where many are: what it holds after a crash is what led to it."""


def test_the_shares_are_all_cases():
    assert CASES <= sum(COUNTS.values()) <= CASES + len(TARGETS)
    assert len(COUNTS) == len(TARGETS)


@pytest.mark.parametrize("target", TARGETS, ids=lambda target: target.name)
def test_an_input_gives_what_is_right_or_an_error_of_one_line(target):
    found = fuzz(target, COUNTS[target.name], seed=CASES, log=LOG if CASES > 2000 else None)
    record("fuzz", target=target.name, cases=found.cases, right=found.right, refused=found.refused,
           slowest=round(found.slowest, 2), faults=[fault.what for fault in found.faults.values()])  # fmt: skip
    assert not found.faults, "\n".join(f"{each.what}: {each.input} {each.text}" for each in found.faults.values())


# --- the harness itself ---


def one(call):
    from hypothesis import strategies

    return fuzz(Target("t", strategies.integers(0, 3), call), 20)


def test_the_harness_tells_what_is_right_from_what_is_not():
    def several(number):
        if number == 0:
            raise ValueError("one line")
        if number == 1:
            raise KeyError("a")
        if number == 2:
            raise ValueError("two\nlines")

    found = one(several)
    assert (found.right > 0, found.refused > 0) == (True, True)
    assert sorted(found.faults) == ["KeyError", "ValueError of several lines"]
    assert found.faults["KeyError"].input == "1"


def test_the_harness_ends_what_does_not_end(monkeypatch):
    def loop(number):
        while number == 3:
            pass

    monkeypatch.setattr("tests.reliability.fuzz.harness._STOPPED", 0.2)
    found = one(loop)
    assert len(found.faults) == 1
    assert next(iter(found.faults)).startswith("more than ")
    assert MOST_SECONDS == 2


def test_not_a_number_is_found_wherever_it_is():
    from tests.reliability.fuzz.harness import silent_nan

    for value in (float("nan"), [1.0, float("nan")], {"a": (float("nan"),)}):
        with pytest.raises(AssertionError, match="NaN in x"):
            silent_nan(value, "x")
    silent_nan([1.0, "a", None], "x")
