"""A fitted forecaster as a web service: the latest rows come in, forecasts with intervals go out."""

from gnnkit.serving.app import make_app
from gnnkit.serving.limits import Limits
from gnnkit.serving.service import ForecastService, Overloaded, TooSlow

__all__ = ["ForecastService", "Limits", "Overloaded", "TooSlow", "make_app"]
