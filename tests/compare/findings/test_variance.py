"""Where the variance of a planned difference comes from, on errors whose noise is known."""

import numpy as np
import pytest

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.findings import VARIANCE
from gnnkit.compare.findings.difference import Words
from gnnkit.compare.findings.variance import variance_sources
from gnnkit.compare.questions import Question
from gnnkit.statistics.components import variance_components
from tests.compare.findings.sheets import line_of, section_of, sheet_of

FAMILIES = {"gcn": "graph", "gru": "sequence"}
ASKED = [Question("families", "gcn", "gru")]
FOLDS = {2: np.repeat([0, 1, 2], 40)}
SPANS = np.arange(120) // 20


def sources(seed=0.0, fold=0.0, window=0.0, seeds=3, folds=FOLDS, counts=None):
    rng = np.random.default_rng(0)
    errors = {}
    for name in FAMILIES:
        luck = seed * rng.standard_normal((seeds, 1))
        of_folds = fold * rng.standard_normal(3)[FOLDS[2]]
        errors[name] = {2: 10 + luck + of_folds + window * rng.standard_normal((seeds, 120))}
    table = ErrorTable.of_windows(errors, errors, {2: counts or [4] * 120}, FAMILIES, {2: SPANS})
    return table, variance_sources(table, ASKED, Words(), folds)


@pytest.mark.parametrize(
    ("noise", "told"),
    [
        ({"seed": 1.0}, "more seeds would narrow its interval most."),
        ({"fold": 1.0}, "more folds would narrow its interval most."),
        ({"window": 1.0}, "more rows to test would narrow its interval most."),
    ],
)
def test_the_budget_goes_to_the_largest_source(noise, told):
    _, (row,) = sources(**{"seed": 0.001, "fold": 0.001, "window": 0.001} | noise)
    assert row.sentence.startswith("Of what is known of the noise in gcn less gru up to 2 steps ahead, ")
    assert told in row.sentence
    (name,) = noise
    assert getattr(row, name) > 0.9
    assert row.seed + row.fold + row.window == pytest.approx(1)
    assert (row.seeds, row.folds, row.spans) == (3, 3, 6)


def test_shares_are_those_of_the_span_means():
    table, (row,) = sources(0.2, 0.1, 1.0)
    means = [table.window_errors(name, 2).reshape(3, 6, 20).mean(axis=2) for name in FAMILIES]
    shares = variance_components(means, np.array([0, 0, 1, 1, 2, 2])).shares
    assert (row.seed, row.fold, row.window) == pytest.approx((shares["seed"], shares["fold"], shares["window"]))


def test_one_seed_and_one_fold_are_named():
    _, (row,) = sources(window=1.0, seeds=1, folds={2: np.zeros(120, dtype=int)})
    assert (row.seed, row.fold, row.window) == (None, None, 1.0)
    assert row.sentence.endswith(" One seed and one fold: what these add is not known.")
    _, (row,) = sources(window=1.0, seeds=1)
    assert row.sentence.endswith(" One seed: what it adds is not known.")


def test_windows_without_a_target_do_not_count():
    _, (row,) = sources(window=1.0, counts=[4] * 100 + [0] * 20)
    assert row.spans == 5


def test_no_noise_and_too_few_windows_have_no_row():
    assert sources()[1] == []
    assert sources(window=1.0, counts=[4] * 5 + [0] * 115)[1] == []


def test_the_section_has_a_line_for_each_difference(fake_results):
    results = fake_results()
    results.findings["variance"] = sources(0.2, 0.1, 1.0)[1] + sources(window=1.0, seeds=1)[1]
    section = section_of(VARIANCE, results)
    line = line_of(sheet_of(section, "all"), "gcn", "gru", "10 min")
    assert (line["seeds"], line["folds"], line["spans"]) == ("3", "3", "6")
    assert [statement.text for statement in section.statements] == [r.sentence for r in results.findings["variance"]]
    assert sheet_of(section, "all").lines[1][3].text == "–"
