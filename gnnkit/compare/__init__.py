"""One spec × models × seeds → rows, statistics and a report: does the graph help?"""

from gnnkit.compare.baselines import BASELINES, historical_average, last_value, rolling_average
from gnnkit.compare.bootstrap import Interval, paired_interval
from gnnkit.compare.conditions import Condition
from gnnkit.compare.output import check_output, kept_spec, write_output
from gnnkit.compare.report import write_report
from gnnkit.compare.results import Results
from gnnkit.compare.runner import load_series, run
from gnnkit.compare.scores import summarise
from gnnkit.compare.spec import DEFAULT_MODELS, ComparisonSpec, make_spec
from gnnkit.compare.terminal import render_terminal
from gnnkit.compare.verdicts import verdicts

__all__ = [
    "BASELINES",
    "DEFAULT_MODELS",
    "ComparisonSpec",
    "Condition",
    "Interval",
    "Results",
    "check_output",
    "historical_average",
    "kept_spec",
    "last_value",
    "load_series",
    "make_spec",
    "paired_interval",
    "render_terminal",
    "rolling_average",
    "run",
    "summarise",
    "verdicts",
    "write_output",
    "write_report",
]
