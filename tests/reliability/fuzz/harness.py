"""Runs a function on drawn input: what comes of it is right, or an error of one line; else it is a fault."""

from __future__ import annotations

import signal
import time
import traceback
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase
from hypothesis import strategies as st

__all__ = ["Fault", "Outcome", "Target", "fuzz", "silent_nan"]

#: Of a processor, for a call: a busy machine makes none of them longer.
MOST_SECONDS = 2.0
_STOPPED = 60.0  # a kernel that is compiled must not be interrupted
_LONGEST = 2000
#: What a function may raise of its input, as its docstring says.
DOCUMENTED = (ValueError, TypeError, OSError, FloatingPointError)


@dataclass(frozen=True)
class Target:
    """What is fuzzed.

    Args:
        name: Of the reader or constructor.
        inputs: What it is given.
        call: Takes a drawn input; what it returns may be looked at by `silent_nan`. An `AssertionError` is a fault.
        share: How many cases it gets, beside 1 of the others.
        most: Cases, in any run, of one that takes long. Default: as many as asked for.
    """

    name: str
    inputs: st.SearchStrategy[Any]
    call: Callable[[Any], Any]
    share: float = 1.0
    most: int | None = None


@dataclass(frozen=True)
class Fault:
    """A kind of wrong outcome, and the shortest input that led to it."""

    target: str
    what: str
    input: str
    text: str


@dataclass
class Outcome:
    """What came of the cases of a target."""

    cases: int = 0
    right: int = 0
    refused: int = 0
    slowest: float = 0.0
    faults: dict[str, Fault] = field(default_factory=dict)


class _Hang(BaseException):
    pass


def _stop(*_: Any) -> None:
    raise _Hang


def fuzz(target: Target, cases: int, *, seed: int = 0, log: Path | None = None) -> Outcome:
    """Run a target on many inputs.

    Args:
        target: What is run.
        cases: How many; fewer where there are no more different ones.
        seed: Of the inputs.
        log: A file that gets each input before it is used: what it holds after a crash is the case.
    """
    outcome = Outcome()
    before = signal.signal(signal.SIGVTALRM, _stop)

    @hypothesis.seed(seed)
    @hypothesis.settings(
        max_examples=min(cases, target.most or cases),
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @hypothesis.given(target.inputs)
    def run(drawn: Any) -> None:
        if log is not None:
            log.write_text(f"{target.name}: {drawn!r}"[:100_000], encoding="utf-8", errors="backslashreplace")
        outcome.cases += 1
        what, text = _case(target, drawn, outcome)
        if what is not None:
            shown = repr(drawn)[:1500]
            known = outcome.faults.get(what)
            if known is None or len(shown) < len(known.input):
                outcome.faults[what] = Fault(target.name, what, shown, text)

    try:
        run()
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(signal.SIGVTALRM, before)
    return outcome


def _case(target: Target, drawn: Any, outcome: Outcome, *, again: bool = False) -> tuple[str | None, str]:
    start = time.process_time()
    signal.setitimer(signal.ITIMER_VIRTUAL, _STOPPED)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            target.call(drawn)
    except _Hang:
        return f"more than {_STOPPED:g} s", ""
    except AssertionError as error:
        return f"wrong: {str(error).splitlines()[0][:80] if str(error) else error!r}", str(error)
    except DOCUMENTED as error:
        outcome.refused += not again
        text = str(error)
        if not text.strip():
            return f"{type(error).__name__} without a word", ""
        if len(text.strip().splitlines()) > 1:
            return f"{type(error).__name__} of several lines{_where(error)}", text[:300]
        if len(text) > _LONGEST:
            return f"an error of {_LONGEST} letters{_where(error)}", text[:300]
    except Exception as error:
        return f"{type(error).__name__}{_where(error)}", str(error)[:300]
    else:
        outcome.right += not again
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        seconds = time.process_time() - start
    outcome.slowest = max(outcome.slowest, seconds if again or seconds <= MOST_SECONDS else 0.0)
    if (
        seconds > MOST_SECONDS and not again
    ):  # a kernel that was compiled, a module that was imported: not the second time
        return _case(target, drawn, outcome, again=True)
    return (f"more than {MOST_SECONDS:g} s", f"{seconds:.1f} s") if seconds > MOST_SECONDS else (None, "")


def _where(error: BaseException) -> str:
    """The last line of gnnkit's in an error's traceback."""
    frames = [frame for frame in traceback.extract_tb(error.__traceback__) if "gnnkit" in Path(frame.filename).parts]
    frames = [frame for frame in frames if "tests" not in Path(frame.filename).parts]
    return f" at {Path(frames[-1].filename).name}:{frames[-1].lineno}" if frames else ""


def silent_nan(found: Any, what: str = "the result") -> None:
    """Fail where a number that was made of finite ones is none."""
    import numpy as np
    import torch

    if isinstance(found, (tuple, list)):
        for each in found:
            silent_nan(each, what)
    elif isinstance(found, dict):
        for name, each in found.items():
            silent_nan(each, f"{what} {name}")
    elif isinstance(found, torch.Tensor) and found.layout == torch.strided and found.is_floating_point():
        assert not bool(found.isnan().any()), f"NaN in {what}"
    elif isinstance(found, np.ndarray) and found.dtype.kind == "f":
        assert not np.isnan(found).any(), f"NaN in {what}"
    elif isinstance(found, float):
        assert found == found, f"NaN in {what}"
