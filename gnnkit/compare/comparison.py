"""The results of a comparison for Python and notebooks: they say, tabulate and draw what they hold."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import pandas as pd

from gnnkit.compare.findings import ABLATION, VERDICTS
from gnnkit.compare.findings.verdicts import PairVerdict, Verdict
from gnnkit.compare.questions import PLANNED
from gnnkit.compare.report import plots
from gnnkit.compare.report.html import write_report
from gnnkit.compare.report.notebook import render_notebook
from gnnkit.compare.report.tables import METRIC_NAMES, SCORE_NAMES, base_rows, families, untyped
from gnnkit.compare.results import Results
from gnnkit.compare.scores import summarise
from gnnkit.report.theme import HoverFigure
from gnnkit.settings.problems import nearest

__all__ = ["Comparison"]


class Comparison(Results):
    """`Results` that answer in a notebook: the last line of a cell shows the verdict and the scores.

    `gnnkit.compare.compare` and `run` give one, `Comparison.load` reads one from a folder; `Comparison.of` makes one of
    any results. It holds what they hold, and nothing more.

    Example:
        >>> from gnnkit.compare import make_spec, run
        >>> small = {"num_nodes": 6, "days": 2}
        >>> found = run(make_spec(data_options=small, models=["dlinear"], seeds=[0], epochs=1, horizons=[3]))
        >>> list(found.table(3).columns)
        ['family', 'mae', 'deviation', 'seeds', 'parameters']
    """

    @classmethod
    def of(cls, results: Results) -> Self:
        """The same results; what is changed in one of the two is changed in the other."""
        made = cls.__new__(cls)
        made.__dict__ = results.__dict__
        return made

    def verdict(self, horizon: int | None = None) -> str:
        """The answer in a sentence, with the interval and the p value that it stands on.

        Args:
            horizon: steps ahead (default: the largest that was scored).

        Returns:
            Whether the graph helps, where a model was also trained without it (`ablate_graph`); else how the best graph
            model does against the best sequence model, both chosen on the validation rows; else how a model with
            neighbours does against the same without; else how the best of all models does against the next one, which
            is exploratory. `gnnkit.compare.VERDICTS.of` gives all verdicts as numbers.

        Raises:
            ValueError: a horizon that was not scored.
        """
        largest = max(self.horizons)
        horizon = self._known("horizon", horizon, self.horizons) if horizon is not None else largest
        told = [each for each in VERDICTS.of(self) if (each.horizon, each.metric) == (horizon, "mae")]
        ablation = ABLATION.of(self)
        for kind in ("too-few", *PLANNED, "winner"):
            if kind == "families" and ablation is not None and ablation.horizon == horizon:
                return ablation.sentence  # that the question has no answer
            found = next((each for each in told if each.kind == kind and _was_planned(each)), None)
            if found is not None:
                exploratory = isinstance(found, PairVerdict) and not found.planned
                return f"Exploratory: {found.sentence}" if exploratory else found.sentence
        return "No two models were compared, so there is no verdict; the scores stand alone."

    def table(self, horizon: int | None = None, metric: str = "mae", *, score: str = "averaged") -> pd.DataFrame:
        """The scores of all models, means over seeds, under the base condition.

        Args:
            horizon: steps ahead; None (default): all that were scored, a column each.
            metric: mae, rmse, mape, accuracy, r2 or var.
            score: "averaged" over the steps 1 … horizon (default), or "last-step".

        Returns:
            A row a model, in the data's unit. For one horizon, the best model first, with its family, the deviation
            over seeds (NaN for baselines and a single seed), the number of seeds and the parameters.

        Raises:
            ValueError: a horizon, a metric or a score that is not there.

        Example:
            >>> Comparison.load("gnnkit-results").table(12, "rmse")  # doctest: +SKIP
        """
        self._known("metric", metric, METRIC_NAMES)
        self._known("score", score, SCORE_NAMES)
        summary = untyped(summarise(self.rows))
        summary = summary[(summary["metric"] == metric) & (summary["score"] == score)]
        if horizon is None:
            wide = summary.pivot(index="model", columns="horizon", values="mean")
            return wide.reindex(list(families(self)))
        self._known("horizon", horizon, self.horizons)
        table = summary[summary["horizon"] == horizon].set_index("model")
        parameters = base_rows(self).groupby("model", sort=False)["parameters"].max()
        table = table.assign(parameters=parameters).rename(columns={"mean": metric, "std": "deviation"})
        table = table[["family", metric, "deviation", "seeds", "parameters"]]
        return table.sort_values(metric, ascending=metric in ("mae", "rmse", "mape"), kind="stable")

    def to_frame(self) -> pd.DataFrame:
        """All rows, one for each model, seed, condition, horizon, score and metric: those of `rows.csv`."""
        return self.rows.copy()

    def plot_scores(self, metric: str = "mae") -> HoverFigure:
        """Error of every step ahead, mean over seeds as a line, one deviation as a band; `metric` is mae or rmse."""
        return plots.error_by_step(self, metric)

    def plot_errors(self) -> HoverFigure:
        """MAE of every node on the graph: of the best sequence model, of the best graph model, and the difference."""
        return plots.error_map(self)

    def plot_training(self) -> HoverFigure:
        """Validation error after every epoch; the dot is the epoch whose weights were kept."""
        return plots.training_curves(self)

    def plot_forecasts(self) -> HoverFigure:
        """Some nodes over a season of the test rows: what was, and what the best of each family forecast."""
        return plots.traces(self)

    def report(self, path: str | Path) -> Path:
        """Write the whole report as one HTML file that opens anywhere.

        Args:
            path: the file; its folder must be there.

        Returns:
            The path.
        """
        return write_report(self, path)

    def _repr_html_(self) -> str:
        return render_notebook(self, self.verdict())

    def _known(self, what: str, value: Any, known: Any) -> Any:
        if value not in known:
            raise ValueError(f"{what} is {value!r}{nearest(str(value), [str(each) for each in known])}")
        return value


def _was_planned(verdict: Verdict) -> bool:
    """Whether a question of a planned kind was planned; those of other kinds need not be."""
    return verdict.kind not in PLANNED or (isinstance(verdict, PairVerdict) and verdict.planned)
