"""From the errors of ridge regressions on several graphs to what they say."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gnnkit.compare.conditions import BASE, Condition
from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.evidence import Evidence
from gnnkit.compare.findings.difference import MARGIN, Words, judged_columns
from gnnkit.compare.neighbours.fits import ONE_GRAPH, SHUFFLED, WITH, WITHOUT
from gnnkit.compare.neighbours.left import what_is_left
from gnnkit.compare.neighbours.record import Answer, Gain, Kind, Neighbours
from gnnkit.compare.neighbours.words import answer_at, answer_of, below_margin, left_in_words
from gnnkit.statistics.paired import detectable
from gnnkit.statistics.spans import Compared
from gnnkit.statistics.step_down import judge_family

__all__ = ["judge_neighbours"]

_OTHERS: dict[Any, tuple[str, Condition]] = {"none": (WITHOUT, BASE), "shuffled": (WITH, SHUFFLED)}


def judge_neighbours(evidence: Evidence) -> Neighbours:
    """Say whether the values of neighbours help ridge regression, and whether that is the graph's doing.

    At each horizon, ridge with the given graph is tested against ridge without neighbours, and against ridge with
    shuffled graphs: a t over spans of windows (`span_test`), in which the shuffled graphs count as seeds. All these
    tests are one family (`judge_family`). A gain is the graph's only where both tests stand out.

    Args:
        evidence: from `gnnkit.compare.neighbours.fits.fit_ridges`.
    """
    table, words, spec = evidence.table, Words.of(evidence), evidence.spec
    shuffles = len(table.fits.get((WITH, SHUFFLED), ()))
    gains = _gains(table, spec.confidence, [kind for kind in _OTHERS if kind == "none" or shuffles])
    judged = [p for p in table.horizons if table.is_enough(p, spec.confidence)]
    answers = []
    for horizon in table.horizons:
        own = {gain.against: gain for gain in gains if gain.horizon == horizon}
        kind: Kind = _kind(own) if horizon in judged else "too-few"
        shortage = "" if horizon in judged else words.shortage(table.counts(horizon), horizon)
        answers.append(Answer(horizon=horizon, kind=kind, sentence=answer_at(kind, own, words, shortage)))
    whole, sentence = answer_of(answers, gains, words)
    left = what_is_left(evidence)
    longest = table.horizons[-1]
    return Neighbours(
        kind=whole,
        sentence=sentence,
        answers=answers,
        gains=gains,
        left=left,
        left_sentence=left_in_words(left, shortest=table.horizons[0], found=whole == "graph"),
        windows=int((table.counts(longest) > 0).sum()),
        spans=len(np.unique(table.spans(longest)[table.counts(longest) > 0])),
        folds=spec.folds,
        shuffles=shuffles,
        notes=[] if shuffles else [ONE_GRAPH],
    )


def _gains(table: ErrorTable, confidence: float, others: Sequence[Any]) -> list[Gain]:
    rows: list[dict[str, Any]] = []
    asked: list[Compared] = []
    tested: list[int] = []
    for horizon in table.horizons:
        for against in others:
            model, condition = _OTHERS[against]
            mae, other = table.score(WITH, horizon), table.score(model, horizon, condition=condition)
            if table.is_enough(horizon, confidence):
                errors = table.window_errors(WITH, horizon), table.window_errors(model, horizon, condition=condition)
                tested.append(len(rows))
                asked.append(table.compare(*errors, horizon))
            found = {"difference": mae - other, "mae": mae, "other": other}
            rows.append({"horizon": horizon, "against": against, **found})
    for place, judged, one in zip(tested, judge_family(asked, confidence), asked, strict=True):
        rows[place] |= judged_columns(judged) | {"detectable": detectable(one.test, level=judged.level)}
    return [Gain(**row) for row in rows]


def _kind(own: dict[str, Gain]) -> Kind:
    """A change that is clear and smaller than the margin is none that matters."""
    none, shuffled = own["none"], own.get("shuffled")
    if none.low is None or none.high is None or not none.other:
        return "open" if none.other else "no"
    if none.clear and none.difference > 0 and none.high >= MARGIN * none.other:
        return "harms"
    if -none.low < MARGIN * none.other:
        return "no"
    if none.clear and none.difference < 0:
        graphs = shuffled is not None and shuffled.clear and shuffled.difference < 0 and not below_margin(shuffled)
        return "graph" if graphs else "nodes"
    return "open"
