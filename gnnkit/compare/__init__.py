"""One spec × models × seeds → rows, statistics and a report: does the graph help?"""

from typing import TYPE_CHECKING

from gnnkit._lazy import import_lazily

if TYPE_CHECKING:
    from gnnkit.compare.comparison import Comparison
    from gnnkit.compare.conditions import Condition
    from gnnkit.compare.errors import ErrorTable
    from gnnkit.compare.findings import ABLATION, FINDINGS, VERDICTS
    from gnnkit.compare.findings.verdicts import verdicts
    from gnnkit.compare.forecasts.judged import judge_forecasts
    from gnnkit.compare.frame import compare
    from gnnkit.compare.neighbours.quick import quick
    from gnnkit.compare.neighbours.result import Quick
    from gnnkit.compare.output import check_folder, check_output, kept_spec, write_output
    from gnnkit.compare.report.html import write_report
    from gnnkit.compare.report.latex import write_latex
    from gnnkit.compare.report.markdown import write_markdown
    from gnnkit.compare.report.side_by_side import write_side_by_side
    from gnnkit.compare.report.terminal import render_terminal
    from gnnkit.compare.results import Results
    from gnnkit.compare.runner import run
    from gnnkit.compare.scores import summarise
    from gnnkit.compare.spec.comparison import ComparisonSpec, make_spec
    from gnnkit.compare.spec.files import read_spec, spec_schema
    from gnnkit.forecasting.baselines import BASELINES, historical_average, last_value, rolling_average
    from gnnkit.forecasting.settle import load_series
    from gnnkit.settings.comparison import DEFAULT_MODELS
    from gnnkit.statistics.bootstrap import Interval, paired_interval
else:
    import_lazily(__name__)

__all__ = [
    "ABLATION",
    "BASELINES",
    "DEFAULT_MODELS",
    "FINDINGS",
    "VERDICTS",
    "Comparison",
    "ComparisonSpec",
    "Condition",
    "ErrorTable",
    "Interval",
    "Quick",
    "Results",
    "check_folder",
    "check_output",
    "compare",
    "historical_average",
    "judge_forecasts",
    "kept_spec",
    "last_value",
    "load_series",
    "make_spec",
    "paired_interval",
    "quick",
    "read_spec",
    "render_terminal",
    "rolling_average",
    "run",
    "spec_schema",
    "summarise",
    "verdicts",
    "write_latex",
    "write_markdown",
    "write_output",
    "write_report",
    "write_side_by_side",
]
