"""What goes over the wire, as types: they check a request and make the OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Self

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, model_validator

__all__ = ["ForecastRequest", "ForecastResponse", "Health", "ModelCard", "Problem", "Table"]

Name = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Text = Annotated[str, StringConstraints(max_length=500)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Table(_Strict):
    """A table as a CSV file has it: names of columns, and rows of numbers, texts or null."""

    columns: list[Name] = Field(
        min_length=1,
        max_length=100_000,
        description="Names of the nodes, in any order; the first may be the column of times, as time.",
    )
    rows: list[list[FiniteFloat | Text | None]] = Field(
        min_length=1,
        description="A row a time, the oldest first; a cell for each column. Null: nothing was observed.",
    )

    @model_validator(mode="after")
    def _rectangular(self) -> Self:
        for number, row in enumerate(self.rows):
            if len(row) != len(self.columns):
                raise ValueError(
                    f"rows[{number}] has {len(row)} cells and columns {len(self.columns)} names; give a cell for each"
                )
        return self


class ForecastRequest(_Strict):
    """The latest rows of the nodes that the model knows, at least as many as its history."""

    series: Table = Field(description="The latest rows.")
    covariates: Table | None = Field(
        default=None, description="What stands beside them, where the model reads it; what is known ahead goes on."
    )
    coverage: float = Field(
        default=0.9, ge=0.01, le=0.99, description="Share of the values that an interval should hold, whole percent."
    )
    step_minutes: FiniteFloat | None = Field(
        default=None, gt=0, description="Minutes from row to row; default: from the times, else the model's own."
    )


class ForecastResponse(BaseModel):
    """Forecasts of the steps after the last row: a row a step, a column a node, in the data's unit."""

    model: str
    unit: str
    coverage: float
    nodes: list[str]
    steps: list[int] = Field(description="1 for the step after the last row.")
    times: list[str] | None = Field(description="Of the steps, ISO 8601; null where the rows have none.")
    forecast: list[list[float]]
    low: list[list[float | None]] | None = Field(
        description="Lower ends of the intervals; a null has no end; null where the model keeps no errors."
    )
    high: list[list[float | None]] | None = Field(description="Upper ends of the intervals.")
    remarks: list[str] = Field(description="What the reader should know, such as nodes without a recent value.")


class Health(BaseModel):
    """Whether the service answers."""

    status: str
    model: str
    waiting: int = Field(description="Requests that wait or run.")
    uptime_seconds: float


class ModelCard(BaseModel):
    """What the model is, and what rows it needs."""

    gnnkit: str
    model: str
    data: str
    unit: str
    nodes: list[str]
    features: list[str]
    known_ahead: list[str]
    history: int = Field(description="Rows that it reads, at least.")
    horizon: int = Field(description="Steps that it forecasts.")
    step_minutes: float | None
    step_unit: str
    trained_until: str | None
    intervals: bool
    limits: dict[str, Any]


class Problem(BaseModel):
    """What was wrong, in a line."""

    detail: str
