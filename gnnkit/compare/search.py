"""What the trials of a model draw, with Optuna: from which ranges, and what next after what was found."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gnnkit._optional import optional_import
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.compare.widths import asked_width
from gnnkit.forecasting.model_settings import check_settings
from gnnkit.settings.ranges import Choice, Interval, read_range
from gnnkit.temporal import MODELS

__all__ = ["ROUND", "Told", "draw", "given_settings", "load_optuna", "search_space"]

ROUND = 4
"""Trials of a model that are drawn at a time, and may run side by side: none knows what the others of its round found.
The same whatever number of processes there is, so that the draws are the same."""
_RANDOM = 2 * ROUND
"""Finished trials before the sampler looks at what they found."""
_RATES = (1 / 8, 4.0)
_WIDTHS = (0.5, 1, 2, 4)
_DECAYS = (0.0, 1e-5, 1e-4, 1e-3)
_DROPOUTS = (0.0, 0.5)


@dataclass(frozen=True)
class Told:
    """A trial that is over, as the sampler hears of it.

    Args:
        drawn: its settings, as far as they were drawn.
        value: its best validation MAE; infinite where its numbers were not finite, or its model cannot be built; None:
            it was lost, and says nothing.
        curve: its validation MAE, an epoch after the other.
        pruned: True: it was ended early, as it was behind.
    """

    drawn: Mapping[str, Any]
    value: float | None
    curve: Sequence[float] = field(default_factory=tuple)
    pruned: bool = False


def load_optuna() -> Any:
    """Optuna.

    Raises:
        ImportError: it is not installed; the line says how to install it.
    """
    return optional_import("optuna", purpose="budget 'trials'", extra="tune")


def search_space(spec: FinalSpec, model: str) -> dict[str, Interval | Choice]:
    """What the trials of a model draw, by setting.

    For every model: the learning rate (log-uniform, from an eighth to four times the spec's), the weight decay (none,
    1e-5, 1e-4 or 1e-3) and, where it has one, the width (half, once, twice, four times the spec's) and the dropout
    (uniform, 0 to 0.5); a rival that fits itself has neither rate nor decay of the spec's. What the model declares
    (`search_space` of its class) is added or takes their place, and what `spec.search` says takes the place of both.
    What `spec.settings` gives is not drawn. A range is widened where it does not hold what the first trial has: the
    settings as given.

    Raises:
        ValueError: a model declares what is no range, or no setting of its own; or nothing is left to draw.

    Example:
        >>> from gnnkit.compare.spec.comparison import FinalSpec
        >>> spec = FinalSpec(models=["dlinear"], trials=2, search={"dlinear": {"window": (5, 9)}})
        >>> space = search_space(spec, "dlinear")
        >>> list(space), space["window"]  # 25 is the window as given
        (['learning_rate', 'weight_decay', 'window'], Interval(low=5, high=25, log=False))
    """
    entry, width = MODELS[model], asked_width(spec, model)
    declared: dict[str, Any] = {}
    if not entry.fits_itself:
        declared["learning_rate"] = ("log", *(spec.learning_rate * factor for factor in _RATES))
        declared["weight_decay"] = ("choice", *_DECAYS)
    if width:
        declared["hidden_channels"] = ("choice", *dict.fromkeys(max(1, round(width * factor)) for factor in _WIDTHS))
    if isinstance(entry.settings.get("dropout"), float):
        declared["dropout"] = _DROPOUTS
    space: dict[str, Interval | Choice] = {}
    fixed, given = spec.settings.get(model, {}), given_settings(spec, model)
    for name, values in {**declared, **entry.search_space, **spec.search.get(model, {})}.items():
        if name in fixed:
            continue
        try:
            found = read_range(values)
            for end in found.ends:
                check_settings({model: {name: end}}, [model])
        except ValueError as error:
            raise ValueError(f"search_space of {model}: {name}: {error}") from None
        space[name] = found.holding(given[name]) or found if name in given else found
    if not space and entry.fits_itself:
        raise ValueError(
            f"trials: nothing says what {model} draws; give its class a search_space, or a range (--search "
            f"'{model}.SETTING=[low, high]'), or leave it out"
        )
    if not space:
        raise ValueError(f"trials: settings of {model} leave nothing to draw; leave one of them out")
    return space


def given_settings(spec: FinalSpec, model: str) -> dict[str, Any]:
    """What a model has where nothing is drawn, as far as it has one: the first trial."""
    own = {name: value for name, value in MODELS[model].settings.items() if value is not inspect.Parameter.empty}
    width = asked_width(spec, model)
    shared = {"learning_rate": spec.learning_rate, "weight_decay": spec.weight_decay}
    shared = {} if MODELS[model].fits_itself else shared
    return own | shared | ({"hidden_channels": width} if width else {}) | spec.settings.get(model, {})


def draw(space: Mapping[str, Interval | Choice], told: Sequence[Told], count: int, seed: int) -> list[dict[str, Any]]:
    """The settings of the next trials, by Optuna's tree-structured Parzen estimator.

    The first eight are random. After them, settings are likely as far as they are more like those of good trials than
    like those of the others. The draws of one call are kept apart: each takes the ones before it for bad.

    Args:
        space: of `search_space`.
        told: the trials that are over, the first of them first.
        count: how many; the first ones do not depend on it.
        seed: of the draws, with the number of trials that are told.

    Returns:
        A dict for each trial.
    """
    optuna = load_optuna()
    ranges = {name: _distribution(optuna, each) for name, each in space.items()}
    sampler = optuna.samplers.TPESampler(
        seed=int(np.random.SeedSequence((seed, len(told))).generate_state(1)[0]),
        n_startup_trials=_RANDOM,
        multivariate=True,
        constant_liar=True,
    )
    loud = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    try:
        study = optuna.create_study(sampler=sampler)
        study.add_trials([_finished(optuna, ranges, trial) for trial in told])
        return [_plain(space, study.ask(ranges).params) for _ in range(count)]
    finally:
        optuna.logging.set_verbosity(loud)


def _distribution(optuna: Any, values: Interval | Choice) -> Any:
    if isinstance(values, Choice):
        return optuna.distributions.CategoricalDistribution(values.values)
    whole = isinstance(values.low, int) and isinstance(values.high, int)
    kind = optuna.distributions.IntDistribution if whole else optuna.distributions.FloatDistribution
    return kind(values.low, values.high, log=values.log)


def _finished(optuna: Any, ranges: Mapping[str, Any], trial: Told) -> Any:
    states = optuna.trial.TrialState
    state = states.FAIL if trial.value is None else states.PRUNED if trial.pruned else states.COMPLETE
    known = {name: trial.drawn[name] for name in ranges if name in trial.drawn}
    return optuna.trial.create_trial(
        state=state,
        value=trial.value if state == states.COMPLETE else None,
        params=known,
        distributions={name: ranges[name] for name in known},
        intermediate_values=dict(enumerate(trial.curve, start=1)),
    )


def _plain(space: Mapping[str, Interval | Choice], drawn: Mapping[str, Any]) -> dict[str, Any]:
    """What was drawn, in the order of the space, with three digits that a reader can copy."""
    found: dict[str, Any] = {}
    for name, values in space.items():
        value = drawn[name]
        if isinstance(values, Interval) and isinstance(value, float):
            value = min(max(float(f"{value:.3g}"), values.low), values.high)
        found[name] = value
    return found
