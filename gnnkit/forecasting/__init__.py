"""One model for use: train it, keep it in a folder, score it, forecast the next steps with it."""

from gnnkit.forecasting.fitted import FittedForecaster, load_fitted, save_fitted
from gnnkit.forecasting.forecast import forecast_next, read_latest, read_series
from gnnkit.forecasting.train import TrainedRowsWarning, evaluate_forecaster, train_forecaster

__all__ = [
    "FittedForecaster",
    "TrainedRowsWarning",
    "evaluate_forecaster",
    "forecast_next",
    "load_fitted",
    "read_latest",
    "read_series",
    "save_fitted",
    "train_forecaster",
]
