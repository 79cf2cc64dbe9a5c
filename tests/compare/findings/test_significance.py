"""Every test of a comparison, by the question that it answers, and the section that shows it."""

import numpy as np
import pytest
from scipy import stats

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.findings import SIGNIFICANCE
from gnnkit.compare.findings.significance import significance
from gnnkit.compare.questions import Question
from gnnkit.statistics.spans import span_score, span_test
from gnnkit.statistics.step_down import step_down
from tests.compare.findings.sheets import line_of, section_of, sheet_of

RNG = np.random.default_rng
FAMILIES = {"last-value": "baseline", "seasonal-naive": "baseline", "lstm": "sequence", "tgcn": "graph", "gcn": "graph"}
LEVELS = {"last-value": 4.0, "seasonal-naive": 5.0, "lstm": 3.0, "tgcn": 2.0, "gcn": 3.5}


def tables(levels=LEVELS, families=FAMILIES, seeds=2, windows=160):
    rng = RNG(0)
    absolute = {}
    for name, level in levels.items():
        count = 1 if families[name] == "baseline" else seeds
        found = level * rng.gamma(40.0, 1 / 40, size=(count, windows)) + 0.01 * rng.standard_normal((count, 1))
        absolute[name] = {3: found}
    squared = {name: {3: found[3] ** 2} for name, found in absolute.items()}
    return ErrorTable.of_windows(absolute, squared, {3: [4] * windows}, families)


def test_each_question_has_its_pairs_and_its_correction():
    found = significance(tables(), history=12, questions=[Question("families", "gcn", "lstm")])
    pairs = [(t.question, t.model, t.against, t.comparisons) for t in found if t.metric == "mae"]
    assert pairs == [
        ("families", "gcn", "lstm", 1),
        *(("last-value", name, "last-value", 3) for name in ("lstm", "tgcn", "gcn")),
        *(("seasonal-naive", name, "seasonal-naive", 3) for name in ("lstm", "tgcn", "gcn")),
        *(("best", "tgcn", name, 4) for name in ("last-value", "seasonal-naive", "lstm", "gcn")),
    ]
    assert {(t.horizon, t.metric) for t in found} == {(3, "mae"), (3, "rmse")}
    assert not [t for t in significance(tables(), history=12) if t.question == "families"]


@pytest.mark.parametrize("metric", ["mae", "rmse"])
def test_every_figure_of_a_pair_is_that_of_its_own_function(metric):
    table, root = tables(seeds=6), metric == "rmse"
    found = [
        t
        for t in significance(table, history=12, questions=[Question("families", "gcn", "lstm")])
        if t.metric == metric
    ]
    losses = {name: table.window_errors(name, 3, metric) for name in FAMILIES}
    scores = {name: table.span_score(name, 3, metric) for name in FAMILIES}

    def t(a, b):
        return span_test(scores[a], scores[b])

    trained = ("lstm", "tgcn", "gcn")
    parts = np.stack([scores[name].parts - scores["last-value"].parts for name in trained])
    against = [test.p for test in found if test.question == "last-value"]
    assert against == pytest.approx(step_down([t(name, "last-value") for name in trained], parts))
    for test in found:
        own = t(test.model, test.against)
        assert (test.difference, test.statistic) == pytest.approx((own.difference, own.statistic))
        assert own.p_value <= test.p <= 1
    alone = t("gcn", "lstm")
    reach = stats.t.isf(0.025, alone.degrees) * alone.deviation
    test = found[0]
    assert (test.difference, test.low, test.high, test.p, test.statistic) == pytest.approx(
        (alone.difference, alone.difference - reach, alone.difference + reach, alone.p_value, alone.statistic)
    )
    a, b = losses["gcn"], losses["lstm"]
    score_a, score_b = ((np.sqrt(x.mean(axis=1)) if root else x.mean(axis=1)) for x in (a, b))
    assert test.skill == pytest.approx(1 - score_a.mean() / score_b.mean())
    assert test.seeds == 6
    # Blocks of 15 windows, the last 2 of each left out; a last one of 10 does not count.
    parts = [slice(start, start + 13) for start in range(0, 150, 15)]
    gaps = np.array([[(np.sqrt(x[:, p].mean(axis=1)) if root else x[:, p].mean(axis=1)).mean() for x in (a, b)]
                     for p in parts])  # fmt: skip
    gaps = gaps[:, 0] - gaps[:, 1]
    assert test.effect == pytest.approx(gaps.mean() / gaps.std(ddof=1))


def test_the_best_of_all_may_be_a_baseline():
    found = significance(tables(LEVELS | {"last-value": 1.0}), history=12)
    best = [t for t in found if (t.question, t.metric) == ("best", "mae")]
    assert {t.model for t in best} == {"last-value"}
    assert all(t.difference < 0 for t in best)


@pytest.mark.parametrize(("windows", "tested"), [(1, False), (15, False), (16, True)])
def test_too_few_windows_have_no_test(windows, tested):
    """A horizon of 3: six windows without a common target row begin in window 0, 3, … 15."""
    assert bool(significance(tables(windows=windows), history=12)) == tested


def test_a_comparison_of_25_models_and_4_horizons_sums_each_model_once(monkeypatch):
    families = {f"model{i}": "graph" if i % 2 else "sequence" for i in range(21)}
    families |= dict.fromkeys(("last-value", "rolling-average", "historical-average", "seasonal-naive"), "baseline")
    table = tables(dict.fromkeys(families, 1.0), families, seeds=3, windows=400)
    absolute, squared = (
        {name: dict.fromkeys(range(3, 7), table.window_errors(name, 3, metric)) for name in families}
        for metric in ("mae", "rmse")
    )
    many = ErrorTable.of_windows(absolute, squared, dict.fromkeys(range(3, 7), table.counts(3)), families)
    made = []

    def counted(*arguments, **options):
        made.append(arguments)
        return span_score(*arguments, **options)

    monkeypatch.setattr("gnnkit.compare.errors.span_score", counted)
    found = significance(many, history=12, questions=[Question("families", "model1", "model0")])
    assert len(made) == 25 * 4 * 2  # the errors of a model are summed once, whoever asks
    assert len(found) == 8 * (1 + 2 * 21 + 24)


def test_each_test_has_its_interval_p_values_effect_and_skill(rich_results):
    results = rich_results()
    chosen = {"horizon": 12, "metric": "mae", "model": "gru", "against": "last-value"}
    numbers = {"difference": -0.2, "low": -0.3, "high": -0.1, "clear": True, "statistic": -2.5, "p": 0.0123}
    numbers |= {"effect": -0.8, "skill": 0.048, "detectable": 0.15}
    next(test for test in results.findings["significance"] if chosen.items() <= test.items()).update(numbers)
    section = section_of(SIGNIFICANCE, results)
    sheet = sheet_of(section, "60 min, MAE")
    assert sheet.caption == "MAE (mph) up to 60 min ahead; n = 380 windows, 3 seeds"
    assert line_of(sheet, "against last-value", "gru", "last-value") == {
        "question": "against last-value", "model": "gru", "against": "last-value",
        "standing": "exploratory", "difference": "−0.200",
        "95% interval": "−0.300 to −0.100",
        "p": ".012", "tests": "5", "t": "−2.50", "effect": "−0.80", "could find": "0.150",
        "skill": "+4.8 %"}  # fmt: skip
    assert section.sheets[0].choices[section.sheets[0].chosen][0] == "60 min, MAE"
    assert len(section.notes) == 1  # what a p is corrected for; no test stands beside it that decides nothing
