"""A forecaster in the data's unit: fill gaps, scale, forecast and scale back, as one module of torch's operators."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from gnnkit.data.known_ahead import known_rows
from gnnkit.data.scaling import scale_features
from gnnkit.forecasting.fitted import FittedForecaster

__all__ = ["UnitForecast", "fill_gaps"]


def fill_gaps(history: Float[Tensor, "B T N F"], fill: Float[Tensor, "N F"]) -> Float[Tensor, "B T N F"]:
    """Fill gaps (NaN) from the past; where there is none, with `fill`.

    Example:
        >>> nan = float("nan")
        >>> fill_gaps(torch.tensor([nan, 1.0, nan]).view(1, 3, 1, 1), torch.tensor([[7.0]])).flatten()
        tensor([7., 1., 1.])
    """
    known, rows = fill, []
    for row in history.unbind(1):
        known = torch.where(row.isnan(), known, row)
        rows.append(known)
    return torch.stack(rows, dim=1)


class UnitForecast(nn.Module):
    """What a fitted module of torch makes of histories in the data's unit; the scaler and the graph are its buffers.

    Args:
        fitted: the fitted forecaster, no rival with `fit` and `predict`.

    Shape:
        history `[B, T, N, F]`, NaN where nothing was observed; ahead `[B, P, N, K]`, what is known ahead at the steps
        to come; time_of_day `[B, T]`, a share in [0, 1); weekday `[B, T]`, Monday 0 to Sunday 6; returned `[B, P, N]`,
        in the data's unit.

    Example:
        >>> from gnnkit.data import simulate_traffic
        >>> from gnnkit.forecasting import FitSettings, train_forecaster
        >>> series = simulate_traffic(num_nodes=4, days=2)
        >>> fitted = train_forecaster("dlinear", FitSettings(epochs=1, horizons=[2], history=12), series=series)
        >>> UnitForecast(fitted)(series.values[None, -12:]).shape
        torch.Size([1, 2, 4])
    """

    weekdays: Tensor
    center: Tensor
    scale: Tensor
    fill: Tensor
    edge_index: Tensor
    edge_weight: Tensor

    def __init__(self, fitted: FittedForecaster) -> None:
        super().__init__()
        config = fitted.config
        self.history, self.horizon = int(config["history"]), int(config["horizon"])
        self.known_ahead = list(config["known_ahead"])
        self.tells_time = bool(config["time_features"])
        self.forecaster: Any = fitted.forecaster
        for name in ("center", "scale", "fill", "edge_index", "edge_weight"):
            self.register_buffer(name, getattr(fitted, name))
        self.register_buffer("weekdays", torch.tensor(config["weekdays"]))

    def forward(
        self,
        history: Float[Tensor, "B T N F"],
        ahead: Float[Tensor, "B P N K"] | None = None,
        time_of_day: Float[Tensor, "B T"] | None = None,
        weekday: Int[Tensor, "B T"] | None = None,
    ) -> Float[Tensor, "B P N"]:
        """Forecast; see the class for shapes."""
        filled, observed = fill_gaps(history, self.fill), ~history.isnan()
        return self.of_filled(filled, observed, ahead, self.clock(time_of_day, weekday))

    def clock(self, time_of_day: Tensor | None, weekday: Tensor | None) -> Float[Tensor, "B T 2"] | None:
        """The features that tell the time, as `gnnkit.data.clock_features` makes them; None where none are read."""
        if not self.tells_time or time_of_day is None or weekday is None:
            return None
        told = self.weekdays.to(time_of_day.dtype)[weekday] / 7
        return torch.stack([time_of_day, told], dim=-1)

    def of_filled(
        self,
        history: Float[Tensor, "B T N F"],
        observed: Bool[Tensor, "B T N F"],
        ahead: Float[Tensor, "B P N K"] | None,
        clock: Float[Tensor, "B T 2"] | None,
    ) -> Float[Tensor, "B P N"]:
        """Forecast from histories whose gaps are filled already; `observed` says where there were none."""
        return self.with_statistics(
            history, observed, ahead, clock, (self.center, self.scale), (self.edge_index, self.edge_weight)
        )

    def with_statistics(
        self,
        history: Tensor,
        observed: Tensor,
        ahead: Tensor | None,
        clock: Tensor | None,
        scaler: tuple[Tensor, Tensor],
        graph: tuple[Tensor, Tensor],
    ) -> Float[Tensor, "B P N"]:
        """As `of_filled`, with the scaler's center and scale, `[N, F]` or `[1, F]`, and the graph given."""
        center, scale = scaler
        x, mask = scale_features(history, center, scale), observed
        if self.known_ahead and ahead is not None:
            # What is known ahead stands beside the history, at the rows of the horizon.
            later = known_rows(torch.arange(self.history), self.history, self.horizon)  # [T, M]
            known = torch.cat([history[..., self.known_ahead], ahead], dim=1)  # [B, T + P, N, K]
            seen = torch.cat([observed[..., self.known_ahead], torch.ones_like(ahead, dtype=torch.bool)], dim=1)
            known = scale_features(known, center[:, self.known_ahead], scale[:, self.known_ahead], covariates_from=0)
            # [B, T, M, N, K] → [B, T, N, M K]
            known, seen = (each[:, later].transpose(2, 3).flatten(3) for each in (known, seen))
            x, mask = torch.cat([x, known], dim=-1), torch.cat([mask, seen], dim=-1)
        if clock is not None:
            clock = clock.unsqueeze(2).expand(-1, -1, x.size(2), -1)
            x = torch.cat([x, clock], dim=-1)
            mask = torch.cat([mask, torch.ones_like(clock, dtype=torch.bool)], dim=-1)
        scaled = self.forecaster(x, *graph, mask=mask)
        return scaled * scale[:, 0] + center[:, 0]
