"""Is a model of one's own a forecaster? All that is asked of one, in a call, for pytest and `gnnkit check-model`."""

from gnnkit.testing.forecaster import check_forecaster, inspect_forecaster
from gnnkit.testing.report import Check, CheckReport

__all__ = ["Check", "CheckReport", "check_forecaster", "inspect_forecaster"]
