"""What is asked of a comparison, checked before anything is read or trained."""

from __future__ import annotations

from typing import Any

from pydantic import ValidationInfo, field_validator

from gnnkit._registry import UnknownName
from gnnkit.compare.leakage.audit import CAUSES
from gnnkit.forecasting.model_settings import check_settings
from gnnkit.forecasting.settings import FitSettings
from gnnkit.forecasting.settle import FinalFit
from gnnkit.settings.comparison import ComparisonFields
from gnnkit.settings.declared import distinct
from gnnkit.settings.problems import Key, SpecProblems, nearest
from gnnkit.settings.ranges import read_range
from gnnkit.temporal import MODELS, model_name

__all__ = ["ComparisonSpec", "FinalSpec", "make_spec"]


class ComparisonSpec(ComparisonFields, FitSettings, frozen=True):
    """One comparison: a data set, models, seeds and one budget for all of them.

    Every model is trained once a seed, to predict max(`horizons`) steps, and scored at each horizon. `read_spec` builds
    one from a file.

    Args: the text below each field says what it is (`gnnkit.settings`); `gnnkit compare --schema` prints them all.
        Where a model is named, a class or a partial of one may stand: `gnnkit.temporal.model_name` names it.

    Raises:
        ValueError: a value is not allowed; one line names the field, the value and what is allowed, for up to three.
    """

    @field_validator("models", mode="before")
    @classmethod
    def _names_of_models(cls, models: Any) -> Any:
        """Names: a class or a partial of one may stand for its own."""
        return tuple(map(_name, models)) if isinstance(models, (list, tuple)) else models

    @field_validator("models")
    @classmethod
    def _known_models(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names:
            raise ValueError(f"no model is named; choose from {', '.join(MODELS)}")
        found: list[tuple[Key, str]] = []
        for place, name in enumerate(names):
            try:
                MODELS[name]
            except UnknownName as error:
                found.append(((place,), str(error)))
        if found:
            raise SpecProblems(found)
        return distinct(names, "a model")

    @field_validator("settings", mode="before")
    @classmethod
    def _names_in_settings(cls, settings: Any) -> Any:
        return {_name(model): own for model, own in settings.items()} if isinstance(settings, dict) else settings

    @field_validator("settings")
    @classmethod
    def _known_settings(cls, settings: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
        return check_settings(settings, info.data.get("models", tuple(MODELS)))

    @field_validator("search")
    @classmethod
    def _known_ranges(cls, search: dict[str, dict[str, Any]], info: ValidationInfo) -> dict[str, dict[str, Any]]:
        """Every range is one, of a setting that its model has, which may have what stands at its ends."""
        found: list[tuple[Key, str]] = []
        for model, ranges in search.items():
            for name, declared in ranges.items():
                try:
                    for end in read_range(declared).ends:
                        check_settings({model: {name: end}}, info.data.get("models", tuple(MODELS)))
                except SpecProblems as error:
                    found += [problem for problem in error.problems if problem not in found]
                except ValueError as error:
                    found.append(((model, name), str(error)))
        if found:
            raise SpecProblems(found)
        return search

    @field_validator("ablate_graph", mode="before")
    @classmethod
    def _all_graph_models(cls, names: Any, info: ValidationInfo) -> Any:
        if names == "all" or (isinstance(names, (list, tuple)) and list(names) == ["all"]):
            names = [name for name in info.data.get("models", ()) if MODELS[name].family == "graph"]
            if not names and "models" in info.data:
                raise ValueError("models names no graph model; add one, e.g. tgcn, or leave ablate_graph out")
        return tuple(map(_name, names)) if isinstance(names, (list, tuple)) else names

    @field_validator("ablate_graph")
    @classmethod
    def _graph_models(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        known = [name for name in info.data.get("models", MODELS) if MODELS[name].family == "graph"]
        wrong = [(i, name) for i, name in enumerate(names) if name not in known]
        if wrong:
            text = "is none of the graph models that are compared"
            raise SpecProblems([((i,), f"{name!r} {text}{nearest(name, known or ['all'])}") for i, name in wrong])
        return distinct(names, "a model")

    @field_validator("intervals")
    @classmethod
    def _quantiles_of_all(cls, intervals: str, info: ValidationInfo) -> str:
        alone = [name for name in info.data.get("models", ()) if MODELS[name].fits_itself]
        if intervals == "quantile" and alone:
            raise ValueError(
                f"'quantile' trains quantile heads, and {alone[0]!r} has fit and predict, which give one value; take "
                f"'conformal', which is the same for all, or leave {alone[0]!r} out"
            )
        return intervals

    @field_validator("allow_leaks")
    @classmethod
    def _known_causes(cls, causes: tuple[str, ...]) -> tuple[str, ...]:
        wrong = [(i, cause) for i, cause in enumerate(causes) if cause not in CAUSES]
        if wrong:
            raise SpecProblems(
                [((i,), f"{cause!r} is no cause of a leak{nearest(cause, CAUSES)}") for i, cause in wrong]
            )
        return distinct(causes, "a cause")

    def width(self, model: str) -> int:
        """The width that is asked of a model."""
        return self.settings.get(model, {}).get("hidden_channels", self.hidden_channels)


class FinalSpec(FinalFit, ComparisonSpec, frozen=True):
    """A spec in which nothing is open: `gnnkit.forecasting.settle` makes it.

    Example:
        >>> FinalSpec(horizons=[5]).history
        12
    """

    folds: int = 1


def _name(model: Any) -> Any:
    """The name of a class, of a partial of one or of an entry; what is plain data is left to the checks of names."""
    plain = model is None or isinstance(model, (str, int, float, list, tuple, dict))
    return model if plain else model_name(model)


def make_spec(**values: Any) -> ComparisonSpec:
    """Build a `ComparisonSpec`.

    Args:
        values: the arguments of `ComparisonSpec`.

    Raises:
        ValueError: a value is not allowed.

    Example:
        >>> make_spec(models=["lstm", "tgcn"], horizons=[12, 3]).horizons
        (3, 12)
    """
    return ComparisonSpec(**values)
