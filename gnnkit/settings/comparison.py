"""The settings of a comparison, beside those of each of its fits."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, ValidationInfo, field_validator, model_validator

from gnnkit.settings.declared import Settings, Written, distinct
from gnnkit.settings.fit import FitFields, FoldFields
from gnnkit.settings.judging import ForecastFields, SureFields
from gnnkit.settings.problems import Key, SpecProblems

__all__ = ["DEFAULT_MODELS", "AskedFields", "BudgetFields", "ComparedFields", "ComparisonFields"]

Share = Annotated[float, Field(allow_inf_nan=False)]
BudgetKind = Literal["epochs", "seconds", "parameters", "trials"]

DEFAULT_MODELS = ("lstm", "gru", "stid", "gcn", "tgcn", "stid-graph")


class ComparedFields(Settings, frozen=True):
    """Models and seeds."""

    panel: ClassVar[str] = "What is compared"

    models: tuple[str, ...] = DEFAULT_MODELS
    """Models of `gnnkit list`, or classes of your own: file.py:Class, module:Class."""
    settings: Annotated[dict[str, dict[str, Any]], Written(("--set",), repeated=True, example="mtgnn.dropout=0.1")] = (
        Field(default_factory=dict)
    )
    """Settings of single models, by model: hidden_channels, learning_rate, weight_decay, or the model's own."""
    seeds: Annotated[tuple[int, ...], Written(counted=True)] = (0, 1, 2)
    """Seeds; every model is trained once with each."""
    rivals: bool = True
    """Simple rivals that cost seconds stand beside the models: ridge, seasonal-ridge, var and, where there is a graph,
    ridge-graph."""

    @field_validator("seeds")
    @classmethod
    def _usable_seeds(cls, seeds: tuple[int, ...]) -> tuple[int, ...]:
        if not seeds:
            raise ValueError("no seed is given; give a count (3) or a list (0,24,42)")
        for seed in seeds:
            if not 0 <= seed < 2**32:
                raise ValueError(f"{seed} is not a seed; give whole numbers from 0 to {2**32 - 1}")
        return distinct(seeds, "a seed")


class BudgetFields(Settings, frozen=True):
    """What is the same for every model."""

    panel: ClassVar[str] = "Budget"

    parameters: int | None = Field(default=None, ge=1)
    """Parameters of every model with the budget "parameters"; none: those of the first model at its width."""
    trials: int | None = Field(default=None, ge=1, le=1000)
    """Trials of every model with the budget "trials", each trained as a fit is, with the first seed."""
    search: Annotated[dict[str, dict[str, Any]], Written(repeated=True, example="mtgnn.dropout=[0, 0.3]")] = Field(
        default_factory=dict
    )
    """What the trials of single models draw their settings from, by model, in place of what the model declares; a list
    of low and high, of "log", low and high, or of "choice" and the values."""
    budget: Annotated[BudgetKind, Written(shown="epochs")] = Field(
        default_factory=lambda fields: _budget_of(fields), json_schema_extra={"default": "epochs"}
    )
    """What is the same for every model: epochs; wall seconds of a fit (`max_seconds`); parameters, by a width that is
    found for each model; or trials of a search on the validation rows (Optuna's TPE)."""


class AskedFields(Settings, frozen=True):
    """Further questions."""

    panel: ClassVar[str] = "What else is asked"

    quick_look: bool = True
    """Where there is a graph, the report begins with the answer of `gnnkit quick`; it decides nothing."""
    ablate_graph: Annotated[tuple[str, ...], Written(alone="all")] = ()
    """Graph models that are also trained on other graphs (none, shuffled, random, complete, learned): does the graph
    matter? "all": every graph model of `models`."""
    train_shares: tuple[Share, ...] = ()
    """Shares of the training rows, above 0 to 1, the latest of which models are also trained on."""
    hidden_shares: tuple[Share, ...] = ()
    """Shares of the inputs, from 0 to below 1, that outages of sensors also hide; targets stay."""
    intervals: Literal["conformal", "quantile"] = "conformal"
    """How prediction intervals are made: from the errors on the validation rows, or by quantile heads."""
    allow_leaks: Annotated[tuple[str, ...], Written(("--allow-leak",), repeated=True)] = ()
    """Causes of the leakage audit that may fail, to reproduce a published protocol; they label the rows."""

    @field_validator("train_shares", "hidden_shares")
    @classmethod
    def _shares(cls, shares: tuple[float, ...], info: ValidationInfo) -> tuple[float, ...]:
        of_rows = info.field_name == "train_shares"
        for share in shares:
            if of_rows and not 0 < share <= 1:
                raise ValueError(f"{share:g} is not a share above 0, at most 1; give e.g. 0.1,0.3,1")
            if not of_rows and not 0 <= share < 1:
                raise ValueError(f"{share:g} is not a share of at least 0 and below 1; give e.g. 0,0.2,0.5")
        return tuple(sorted(distinct(shares, "a share")))


class ComparisonFields(
    SureFields, AskedFields, BudgetFields, ComparedFields, ForecastFields, FoldFields, FitFields, frozen=True
):
    """One comparison: a data set, models, seeds and one budget for all of them."""

    @model_validator(mode="after")
    def _one_way_to_split(self) -> Self:
        if (self.folds or 1) > 1 and self.split is not None:
            text = f"{self.folds} split the rows by themselves; leave split out, or give folds = 1"
            raise SpecProblems([(("folds",), text)])
        if (self.folds or 1) > 1 and self.forecasts:
            text = f"{self.folds} with forecasts made elsewhere, which are of one split; leave folds out"
            raise SpecProblems([(("folds",), text)])
        return self

    @model_validator(mode="after")
    def _one_loss(self) -> Self:
        if self.intervals == "quantile" and self.loss != "mae":
            text = f"{self.loss!r} cannot be lowered with intervals 'quantile', which train on the pinball loss"
            raise SpecProblems([(("loss",), f"{text}; leave one of them out")])
        return self

    @model_validator(mode="after")
    def _one_budget(self) -> Self:
        found: list[tuple[Key, str]] = []
        for name in ("parameters", "trials"):
            if getattr(self, name) is not None and self.budget != name:
                found.append(((name,), f"only with the budget {name!r}, which is {self.budget!r}; leave one out"))
        for kind, name, example in (("seconds", "max_seconds", "60"), ("trials", "trials", "10")):
            if self.budget == kind and getattr(self, name) is None:
                found.append((("budget",), f"{kind!r} needs {name}; give it, e.g. {example}"))
        if self.search and self.budget != "trials":
            found.append((("search",), f"only with the budget 'trials', which is {self.budget!r}; leave one out"))
        for model, settings in self.settings.items():
            if self.budget == "parameters" and "hidden_channels" in settings:
                text = "the width is found by the budget 'parameters'; leave it out"
                found.append((("settings", model, "hidden_channels"), text))
        if found:
            raise SpecProblems(found)
        if self.budget == "seconds" and "epochs" not in self.model_fields_set:
            object.__setattr__(self, "epochs", 1000)  # seconds are the limit; frozen is what a reader sees
        return self


def _budget_of(fields: dict[str, Any]) -> BudgetKind:
    """What is the same for every model where nothing says it: whatever a number is given for."""
    if fields.get("parameters") is not None:
        return "parameters"
    return "epochs" if fields.get("trials") is None else "trials"
