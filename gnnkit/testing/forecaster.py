"""All checks of a forecaster, one after the other: a fault that would spoil others stops these, and no more."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import torch
from torch import nn

from gnnkit.forecasting.model_settings import check_settings
from gnnkit.settings.problems import SpecProblems
from gnnkit.temporal import MODELS
from gnnkit.testing import forms, graphs, learning, repeats, sight
from gnnkit.testing.report import Check, CheckReport, Found
from gnnkit.testing.subject import ModelError, Refused, Subject

__all__ = ["check_forecaster", "inspect_forecaster"]

# Name -> the check, and the checks that have to end well before it can say anything.
CHECKS: dict[str, tuple[Callable[[Subject], Found], tuple[str, ...]]] = {
    "call": (forms.call, ()),
    "odd sizes": (forms.odd_sizes, ("call",)),
    "repeatable": (repeats.repeatable, ("call",)),
    "no state": (repeats.no_state, ("repeatable",)),
    "inputs kept": (repeats.inputs_kept, ("call",)),
    "saves and loads": (repeats.saves_and_loads, ("repeatable", "no state")),
    "float64": (forms.float64, ("repeatable", "saves and loads")),
    "no peeking": (sight.no_peeking, ("repeatable",)),
    "windows apart": (sight.windows_apart, ("repeatable",)),
    "gaps": (sight.gaps, ("repeatable", "no peeking")),
    "gradients": (learning.gradients, ("no peeking",)),
    "node order": (graphs.node_order, ("repeatable",)),
    "edge order": (graphs.edge_order, ("repeatable",)),
    "empty graph": (graphs.empty_graph, ("call",)),
    "graph": (graphs.graph, ("repeatable", "empty graph")),
    "cost": (learning.cost, ("no state", "gradients")),
}


def inspect_forecaster(
    model: str | type[nn.Module] | Callable[..., nn.Module],
    settings: Mapping[str, Any] | None = None,
    *,
    cost: bool = True,
) -> CheckReport:
    """Hold a forecaster to the contract of all forecasters, and say what was seen.

    It is built by the names in its constructor, at several sizes, and called on random windows; nothing is trained.
    The caller's random states stay as they were.

    Args:
        model: A name of `gnnkit list`, `"file.py:Class"`, `"package.module:Class"`, a class, or a partial of one.
        settings: Of the model, by name. Default None: its own defaults.
        cost: Whether a step of training is timed on 50, 200 and 800 nodes. Default True.

    Returns:
        The report: a line for each check, whether it found a fault or not.

    Raises:
        ValueError: There is no such model, it is no forecaster (one with fit and predict is not checked), it needs a
            setting or does not have one, or its constructor refuses the usual sizes.

    Example:
        >>> report = inspect_forecaster("dlinear", cost=False)
        >>> report["no peeking"].outcome, report["graph"].seen
        ('ok', 'It reads nothing of the given graph, as it says.')
    """
    with _named(model) as name:
        try:
            given = check_settings({name: settings or {}}, [name])[name]
        except SpecProblems as problems:
            key, text = problems.problems[0]
            raise ValueError(f"{key[-1]}: {text}") from None
        subject, checks = Subject(name, given), {}
        try:
            subject.build()
        except Refused as error:
            raise ValueError(str(error)) from error
        except ModelError:
            pass  # the first check says it
        for what, (check, needs) in CHECKS.items():
            if what != "cost" or cost:
                checks[what] = _run(subject, what, check, [checks[need] for need in needs])
            ok = {name for name, check in checks.items() if check.outcome in ("ok", "says")}
            subject.dtype = torch.float64 if "float64" in ok else torch.float32
            subject.stateless = {"no state", "inputs kept"} <= ok
        return CheckReport(name, tuple(checks.values()))


def check_forecaster(
    model: str | type[nn.Module] | Callable[..., nn.Module], settings: Mapping[str, Any] | None = None
) -> CheckReport:
    """Fail unless a forecaster keeps the contract of all forecasters; for a test of one's own.

    Args:
        model, settings: As in `inspect_forecaster`.

    Returns:
        The report, without a fault.

    Raises:
        AssertionError: A check found a fault; the text is the table.
        ValueError: As in `inspect_forecaster`.

    Example:
        >>> check_forecaster("dlinear").faults
        ()
    """
    report = inspect_forecaster(model, settings, cost=False)
    if report.faults:
        raise AssertionError(str(report))
    return report


def _run(subject: Subject, what: str, check: Callable[[Subject], Found], needs: list[Check]) -> Check:
    missing = next((need for need in needs if need.outcome in ("fault", "not checked")), None)
    if missing is not None:
        return Check(what, "not checked", f"First mend: {_root(missing)}.")
    try:
        return Check(what, *check(subject))
    except ModelError as error:
        return Check(what, "fault", str(error))
    except Refused as error:
        return Check(what, "fault", f"Its constructor refuses the usual sizes the second time: {error}")
    except Exception as error:  # a model can spoil a check in ways that nobody thought of
        return Check(what, "fault", f"It stops this check: {subject.words(error)}.")


def _root(missing: Check) -> str:
    """The name of the fault that a check waits for."""
    return missing.name if missing.outcome == "fault" else missing.seen.removeprefix("First mend: ").rstrip(".")


@contextmanager
def _named(model: Any) -> Iterator[str]:
    """The name of a model; a class has one as long as the block runs."""
    if isinstance(model, nn.Module):
        raise ValueError(
            f"model is an instance of {type(model).__name__}, and is built at several sizes; give its class, or a name"
        )
    core = _core(MODELS[model].build if isinstance(model, str) else model)
    if isinstance(core, type) and not issubclass(core, nn.Module) and hasattr(core, "fit"):
        raise ValueError(
            f"model {core.__name__!r} has fit and predict; only forecasters, which are torch modules, are checked"
        )
    if isinstance(model, str):
        yield model
        return
    name = getattr(core, "__name__", type(core).__name__)
    while name in MODELS:
        name += "_"
    MODELS[name] = model
    try:
        yield name
    finally:
        del MODELS[name]


def _core(build: Any) -> Any:
    return build.func if isinstance(build, partial) else build
