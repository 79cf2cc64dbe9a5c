"""One model for use: train it, keep it in a folder, score it, forecast the next steps with it."""

from typing import TYPE_CHECKING

from gnnkit._lazy import import_lazily

if TYPE_CHECKING:
    from gnnkit.forecasting.fitted import FittedForecaster, load_fitted, save_fitted
    from gnnkit.forecasting.forecast import forecast_next, read_latest, read_series
    from gnnkit.forecasting.forecaster import Forecaster
    from gnnkit.forecasting.frame import forecast_frame
    from gnnkit.forecasting.settings import FitSettings
    from gnnkit.forecasting.settle import FinalFit, fit_windows, load_series, model_sizes, settle
    from gnnkit.forecasting.train import Trained, TrainedRowsWarning, evaluate_forecaster, train_forecaster, train_one
else:
    import_lazily(__name__)

__all__ = [
    "FinalFit",
    "FitSettings",
    "FittedForecaster",
    "Forecaster",
    "Trained",
    "TrainedRowsWarning",
    "evaluate_forecaster",
    "fit_windows",
    "forecast_frame",
    "forecast_next",
    "load_fitted",
    "load_series",
    "model_sizes",
    "read_latest",
    "read_series",
    "save_fitted",
    "settle",
    "train_forecaster",
    "train_one",
]
