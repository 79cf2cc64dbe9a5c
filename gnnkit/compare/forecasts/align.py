"""Forecasts → outcomes on one set of windows: every rival is judged on the same targets."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Int
from numpy.typing import NDArray
from torch import Tensor

from gnnkit.compare.forecasts.checks import alignment, scale
from gnnkit.compare.forecasts.given import GivenForecasts
from gnnkit.compare.forecasts.origins import Placed, place_windows
from gnnkit.compare.scores import Outcome
from gnnkit.data import GraphSeries, Windows, WindowSplits
from gnnkit.settings.judging import ForecastFields

__all__ = ["Aligned", "align"]


@dataclass(frozen=True)
class Aligned:
    """Forecasts beside each other.

    Args:
        outcomes: one for each model and seed.
        windows: the test windows that are judged, and the validation windows that calibrate.
        test, validation: their numbers among the windows that there were; None for `validation` where no forecast has
            any: these are as they were.
        covered: the targets that every forecast has, `[W, P, N]`; None: all that were observed.
        checks: what was looked at, as the leakage audit says it.
        sentences: what was inferred or left out.
        digests: SHA-256 of the forecasts, by name.
    """

    outcomes: list[Outcome]
    windows: WindowSplits
    test: Int[Tensor, " W"]
    validation: Int[Tensor, " V"] | None
    covered: Bool[Tensor, "W P N"] | None
    checks: list[dict[str, str]]
    sentences: list[str]
    digests: dict[str, str]

    def on_judged(self, outcome: Outcome) -> Outcome:
        """What a fit predicted on the windows that are judged."""

        def of(part: Tensor | None, numbers: Tensor | None) -> Tensor | None:
            whole = part is None or numbers is None or len(numbers) == len(part)
            return part if whole else part[numbers]  # pyright: ignore[reportOptionalSubscript]

        parts: dict[str, Any] = {name: of(getattr(outcome, name), self.test) for name in ("predicted", "quantiles")}
        later = ("validation", "validation_quantiles")
        parts |= {name: of(getattr(outcome, name), self.validation) for name in later}
        return replace(outcome, **parts)


def align(
    given: Sequence[GivenForecasts],
    validation: Sequence[GivenForecasts],
    windows: WindowSplits,
    series: GraphSeries,
    settings: ForecastFields,
) -> Aligned:
    """Put forecasts on the windows that they were made for.

    Where a forecast says its origins, those that are origins of test windows are judged, and those of validation
    windows calibrate its intervals. Where it does not, its windows are all test windows, or begin at
    `settings.origins`.

    Args:
        given: the forecasts.
        validation: forecasts of validation rows, of some of the same models.
        windows: the windows that there are.
        series: the data.
        settings: what is done where a forecast is missing; which ones are of graph models.

    Returns:
        The forecasts on the windows that all of them have.

    Raises:
        ValueError: windows or steps that do not fit, an unknown name, or a target that a forecast lacks.
    """
    families = _families(given, validation, settings)
    for each in (*given, *validation):
        _check_steps(each, windows.test.horizon)
    placed = {each.name: place_windows(each, windows, series, settings) for each in given}
    later = {each.name: place_windows(each, windows, series, settings, part="val") for each in validation}
    later = {name: found for name in placed if (found := later.get(name, placed[name].of_validation)) is not None}
    leave_out = settings.missing_forecasts == "leave-out"
    test = _common(list(placed.values()), leave_out)
    judged = replace(windows, test=windows.test.select(test))
    covered, tables = _covered(list(placed.values()), test, judged.test, series, leave_out)
    numbers, calibrating = None, {}
    if later:
        numbers = _common(list(later.values()), leave_out)
        judged = replace(judged, val=windows.val.select(numbers))
        _, calibrating = _covered(list(later.values()), numbers, judged.val, series, leave_out=False)
    outcomes = [
        outcome
        for name, found in placed.items()
        for outcome in _outcomes(found, families[name], test, tables[name], later.get(name), numbers, calibrating)
    ]
    true, mask = judged.test.targets()
    seen = mask if covered is None else covered
    sentences = [sentence for found in placed.values() for sentence in found.sentences]
    if len(test) < len(windows.test):
        sentences.append(f"{len(test):,} of {len(windows.test):,} test windows are judged: those that forecasts have.")
    if covered is not None:
        sentences.append(
            f"{int((mask & ~covered).sum()):,} of {int(mask.sum()):,} observed targets, which a forecast lacks, are "
            f"left out for all models."
        )
    checks = [_coverage(given, seen), scale(outcomes, true, seen), alignment(outcomes, true, seen, test)]
    digests = {each.name: each.digest() for each in given}
    return Aligned(outcomes, judged, test, numbers, covered, checks, sentences, digests)


def _check_steps(given: GivenForecasts, horizon: int) -> None:
    steps = given.values.shape[2]
    if steps < horizon:
        raise ValueError(
            f"{given.about}: {steps} steps, and {horizon} ahead are scored; give horizons up to {steps} (--horizon), "
            f"or longer forecasts"
        )


def _outcomes(
    found: Placed,
    family: str,
    test: Int[Tensor, " W"],
    table: NDArray[np.float32],
    later: Placed | None,
    numbers: Int[Tensor, " V"] | None,
    calibrating: dict[str, NDArray[np.float32]],
) -> list[Outcome]:
    """An outcome for each seed; the validation forecasts are those of the same seed."""
    given, horizon = found.given, table.shape[2]
    heads = found.quantiles(test, horizon)
    before = None if later is None or numbers is None else later.quantiles(numbers, horizon)
    outcomes = []
    for place, seed in enumerate(given.seeds):
        parts: dict[str, Any] = {}
        if heads is not None:
            parts["quantiles"] = torch.from_numpy(heads[place])
        if later is not None and seed in later.given.seeds:
            at = later.given.seeds.index(seed)
            parts["validation"] = torch.from_numpy(calibrating[given.name][at])
            if before is not None and later.given.levels == given.levels:
                parts["validation_quantiles"] = torch.from_numpy(before[at])
        outcome = Outcome(given.name, family, seed, torch.from_numpy(table[place]), None, **parts, levels=given.levels)
        outcomes.append(outcome)
    return outcomes


def _families(
    given: Sequence[GivenForecasts], validation: Sequence[GivenForecasts], settings: ForecastFields
) -> dict[str, str]:
    families = {each.name: "forecast" for each in given}
    named = {"graph": settings.graph_forecasts, "sequence": settings.sequence_forecasts}
    asked = [
        *((f"{family}_forecasts", name) for family, names in named.items() for name in names),
        *(("validation_forecasts", each.name) for each in validation),
    ]
    for field, name in asked:
        if name not in families:
            raise ValueError(f"{field}: {name!r} is none of the forecasts; choose from {', '.join(families)}")
    return families | {name: family for family, names in named.items() for name in names}


def _common(placed: Sequence[Placed], leave_out: bool) -> Int[Tensor, " W"]:
    """The windows that all have; an error where some lack one, unless these are to be left out."""
    every = np.unique(np.concatenate([found.numbers for found in placed]))
    common = every
    for found in placed:
        lacking = np.setdiff1d(every, found.numbers)
        if len(lacking) and not leave_out:
            other = next(one for one in placed if lacking[0] in one.numbers)
            raise ValueError(
                f"{found.given.about}: lacks {len(lacking):,} of the {len(every):,} windows of {other.given.name}, the "
                f"first with origin row {found.first_row + lacking[0]}; give them, or leave them out for all "
                f"(--missing-forecasts leave-out)"
            )
        common = np.intersect1d(common, found.numbers)
    if not len(common):
        names = " and ".join(found.given.name for found in placed)
        raise ValueError(f"forecasts: {names} have no window in common; give forecasts of the same origins")
    return torch.from_numpy(common)


def _covered(
    placed: Sequence[Placed],
    numbers: Int[Tensor, " W"],
    windows: Windows,
    series: GraphSeries,
    leave_out: bool,
) -> tuple[Tensor | None, dict[str, NDArray[np.float32]]]:
    """The targets that every forecast has, None where these are all that were observed; and the forecasts."""
    mask = windows.targets()[1].numpy()
    covered, tables = mask, {}
    for found in placed:
        table = found.values(numbers, windows.horizon)
        there = np.isfinite(table).all(axis=0)  # [W, P, N]
        lacking = mask & ~there
        if lacking.any() and not leave_out:
            window, step, node = np.argwhere(lacking)[0]
            origin = found.first_row + int(numbers[window])
            raise ValueError(
                f"{found.given.about}: lacks {int(lacking.sum()):,} of {int(mask.sum()):,} observed targets (NaN, "
                f"infinite or no row), the first of them origin row {origin}, step {step + 1}, node "
                f"{series.node_names[node]}; give them, or leave them out for all (--missing-forecasts leave-out)"
            )
        covered = covered & there
        tables[found.given.name] = table if there.all() else np.where(np.isfinite(table), table, np.float32(0))
    if not covered.any():
        raise ValueError("forecasts: no observed target is left that all of them have; give forecasts of the same ones")
    return None if covered is mask or (covered == mask).all() else torch.from_numpy(covered), tables


def _coverage(given: Sequence[GivenForecasts], seen: Bool[Tensor, "W P N"]) -> dict[str, str]:
    names = ", ".join(each.name for each in given)
    detail = f"{int(seen.sum()):,} observed targets in {len(seen):,} windows, the same for {names}"
    return {"cause": "coverage", "status": "passed", "detail": detail}
