"""Where the variance of the planned differences comes from, and what more budget should go to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.difference import Words
from gnnkit.compare.findings.finding import Finding
from gnnkit.compare.questions import NO_GRAPH, Question
from gnnkit.compare.report.tables import horizon_label, step_of
from gnnkit.compare.results import Results
from gnnkit.report.numbers import DASH
from gnnkit.report.sections import Entry, Section, Sheet, Sheets, Statement
from gnnkit.statistics.components import Components, variance_components

__all__ = ["VARIANCE", "VarianceSource", "variance_sources"]

_MORE = {
    "seed": "more seeds would narrow its interval most",
    "fold": "more folds would narrow its interval most",
    "window": "more rows to test would narrow its interval most",
}


@dataclass(frozen=True, kw_only=True)
class VarianceSource:
    """What seeds, folds and windows add to the variance of one planned difference, as shares of what is known.

    Args:
        model, against: the two sides.
        horizon: P; errors are absolute.
        seeds, folds, spans: how many there are; seeds: of the side that has fewer.
        seed, fold, window: the shares; None where there is one of its kind alone, which tells nothing of it.
        sentence: in words, with what more budget should go to.
    """

    model: str
    against: str
    horizon: int
    seeds: int
    folds: int
    spans: int
    seed: float | None
    fold: float | None
    window: float | None
    sentence: str


def variance_sources(
    table: ErrorTable, questions: Sequence[Question], words: Words, folds: dict[int, np.ndarray]
) -> list[VarianceSource]:
    """Where the variance of each planned difference comes from, at each horizon that can be judged.

    Args:
        table: the errors.
        questions: the planned ones.
        words: for the sentences.
        folds: horizon P → the fold of each test window.

    Returns:
        None of a difference without any variance.
    """
    found = []
    for horizon in (p for p in table.horizons if table.is_enough(p, words.confidence)):
        spans = _Spans(table, horizon, folds[horizon])
        for question in questions:
            sides = _sides(table, question, horizon)
            components = variance_components([spans.means(side) for side in sides], spans.folds) if sides else None
            if components is None or not components.shares:
                continue
            shares = components.shares
            found.append(
                VarianceSource(
                    model=question.model,
                    against=question.against,
                    horizon=horizon,
                    seeds=min(len(side) for side in sides),
                    folds=len(np.unique(spans.folds)),
                    spans=len(spans.folds),
                    seed=shares.get("seed"),
                    fold=shares.get("fold"),
                    window=shares.get("window"),
                    sentence=_sentence(words, question, horizon, components),
                )
            )
    return found


def _sides(table: ErrorTable, question: Question, horizon: int) -> list[np.ndarray]:
    """The errors of both sides, [S, W] each; of an ablation, what is paired seed by seed is one side."""
    if question.kind != "ablation":
        return [table.window_errors(name, horizon) for name in (question.model, question.against)]
    errors = table.paired_errors(question.model, NO_GRAPH, horizon)
    return [] if errors is None else [errors[0] - errors[1]]


class _Spans:
    """The spans of a horizon that hold a target, and the fold of each."""

    def __init__(self, table: ErrorTable, horizon: int, folds: np.ndarray) -> None:
        self.counts = table.counts(horizon)
        seen = self.counts > 0
        self.numbers = np.unique(table.spans(horizon)[seen])
        self.inside = (table.spans(horizon) == self.numbers[:, None]) & seen  # [q, W]
        self.folds = np.array([folds[own][0] for own in self.inside])

    def means(self, errors: np.ndarray) -> np.ndarray:
        """[S, q]: the mean error in each span."""
        weighed = np.where(self.counts > 0, errors, 0.0) * self.counts
        return (weighed @ self.inside.T) / (self.inside @ self.counts)


def _sentence(words: Words, question: Question, horizon: int, components: Components) -> str:
    shares = components.shares
    parts = [
        f"{100 * share:.0f}% from {'windows' if name == 'window' else f'{name}s'}" for name, share in shares.items()
    ]
    most = max(shares, key=lambda name: shares[name])
    unknown = [name for name in ("seed", "fold") if getattr(components, name) is None]
    blind = f" One {' and one '.join(unknown)}: what {'these add' if len(unknown) > 1 else 'it adds'} is not known."
    return (
        f"Of what is known of the noise in {question.model} less {question.against} {words.ahead(horizon)}, "
        f"{', '.join(parts)}: {_MORE[most]}.{blind if unknown else ''}"
    )


def _find(evidence: Evidence) -> list[VarianceSource]:
    folds = {
        p: np.repeat(np.arange(len(evidence.folds)), [fold.windows.test.count(p) for fold in evidence.folds])
        for p in evidence.judged
    }
    return variance_sources(evidence.table, evidence.questions, Words.of(evidence), folds)


def _section(results: Results, found: list[VarianceSource]) -> Section:
    farthest = max(row.horizon for row in found)
    lines = tuple(
        (
            *(Entry(row.model), Entry(row.against), Entry(horizon_label(row.horizon, step_of(results)), row.horizon)),
            *(Entry(DASH if share is None else f"{100 * share:.0f} %", share) for share in _shares(row)),
            *(Entry(str(number), number) for number in (row.seeds, row.folds, row.spans)),
        )
        for row in found
    )
    heads = ("model", "against", "up to", "from seeds", "from folds", "from windows", "seeds", "folds", "spans")
    about = "Shares of the variance of the planned differences in MAE; a dash: one alone tells nothing of it"
    said = tuple(Statement(row.sentence) for row in found if row.horizon == farthest)
    sheets = (Sheets("Sources of variance", (("all", Sheet(about, heads, lines, names=3)),)),)
    return Section("variance", "Where does the noise come from?", said, sheets=sheets)


def _shares(row: VarianceSource) -> tuple[float | None, ...]:
    return row.seed, row.fold, row.window


_METHOD = (
    "Where the noise comes from: components of the variance of the planned differences by the analysis of variance, "
    "seeds crossed with spans of test windows, spans nested in folds (Searle, Casella and McCulloch, 1992). They rest "
    "on few seeds and folds, and say where to spend, not how sure a difference is."
)

VARIANCE = Finding("variance", list[VarianceSource], _find, show=_section, method=_METHOD, after_figures=True)
