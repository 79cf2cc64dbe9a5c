"""What is said about differences, in numbers and in words."""

import numpy as np
import pytest

from gnnkit.compare.statistics.significance import significance
from gnnkit.compare.statistics.verdicts import verdicts

RNG = np.random.default_rng


FAMILIES = {
    "last-value": "baseline",
    "rolling-average": "baseline",
    "lstm": "sequence",
    "gru": "sequence",
    "tgcn": "graph",
}


def judged(levels, families=FAMILIES, seeds=3, **options):
    rng = RNG(0)
    hard = rng.gamma(4.0, 0.25, size=150)
    errors = {}
    for name, level in levels.items():
        count = 1 if families[name] == "baseline" else seeds
        spread = 0.0 if count == 1 else 0.002
        errors[name] = {"3": (level * hard + spread * rng.standard_normal((count, 1))).tolist()}
    squared = {name: {"3": (np.array(e["3"]) ** 2).tolist()} for name, e in errors.items()}
    chosen = {name: families[name] for name in levels}
    return verdicts(
        errors, squared, {"3": [10] * 150}, chosen, history=12, unit="mph", step_minutes=5, resamples=400, **options
    )


def pick(found, kind, metric="mae"):
    return [v for v in found if v["kind"] == kind and v["metric"] == metric]


def test_a_clear_winner_is_named_with_its_interval():
    found = judged({"last-value": 4.0, "rolling-average": 5.0, "lstm": 3.0, "gru": 3.5, "tgcn": 2.0})
    winner = pick(found, "winner")[0]
    assert (winner["model"], winner["against"], winner["clear"], winner["tied"]) == ("tgcn", "lstm", True, [])
    assert winner["low"] < winner["difference"] < winner["high"] < 0
    assert winner["sentence"].startswith("Up to 15 minutes (3 steps) ahead, tgcn has the lowest MAE (")
    assert "clearly below every other model: against lstm difference -" in winner["sentence"]
    assert "mph, 95% interval -" in winner["sentence"]
    assert {v["metric"] for v in found} == {"mae", "rmse"}


def test_models_that_are_as_good_are_tied_and_nobody_wins():
    found = judged({"last-value": 4.0, "lstm": 3.0, "gru": 3.0004, "tgcn": 3.0002})
    winner = pick(found, "winner")[0]
    assert not winner["clear"]
    assert sorted([winner["model"], *winner["tied"]]) == ["gru", "lstm", "tgcn"]
    assert "but not clearly below" in winner["sentence"]


def test_a_noisier_third_that_is_tied_takes_the_crown_back_and_is_named():
    rng = RNG(1)
    base = rng.gamma(4.0, 0.25, size=150)
    noise = 3 * rng.standard_normal(150)
    noisy = base + 0.25 + noise - noise.mean()
    errors = {"tgcn": base, "lstm": base + 0.1, "gru": noisy, "last-value": 9 * base}
    tables = {name: {"3": [error.tolist()]} for name, error in errors.items()}
    families = {name: FAMILIES[name] for name in errors}
    winner = pick(verdicts(tables, tables, {"3": [10] * 150}, families, history=12, resamples=400), "winner")[0]
    assert (winner["model"], winner["against"], winner["clear"], winner["tied"]) == ("tgcn", "gru", False, ["gru"])
    assert winner["low"] < winner["difference"] < 0 < winner["high"]
    assert winner["difference"] == pytest.approx(-0.25)
    assert "tgcn has the lowest MAE (" in winner["sentence"]
    assert "), but not clearly below gru: against gru difference -0.25, 95% interval " in winner["sentence"]


def test_an_interval_that_excludes_0_crowns_nobody_without_the_corrected_p():
    levels = {"last-value": 9.0, "lstm": 3.0, "tgcn": 2.0}
    families = {name: FAMILIES[name] for name in levels}
    errors = {name: {"3": (level * RNG(0).gamma(4.0, 0.25, (1, 150))).tolist()} for name, level in levels.items()}
    tables = (errors, errors, {"3": [10] * 150}, families)
    tests = significance(*tables, history=12, resamples=200)
    assert pick(verdicts(*tables, history=12, tests=tests), "winner")[0]["clear"]
    for p_value in (0.06, None):
        weak = [test | ({"dm_p_holm": p_value} if test["against"] == "lstm" else {}) for test in tests]
        winner = pick(verdicts(*tables, history=12, tests=weak), "winner")[0]
        assert (winner["clear"], winner["tied"]) == (False, ["lstm"])
        assert winner["high"] < 0
    weak = [test | {"dm_p_holm": 0.06} for test in tests]
    assert pick(verdicts(*tables, history=12, tests=weak, confidence=0.9), "winner")[0]["clear"]


@pytest.mark.parametrize("models", [5, 10])
def test_the_best_of_equal_models_is_seldom_called_better_than_any_of_them(models):
    """200 comparisons of models that differ by chance alone, on windows of which neighbours share two of three rows."""
    names = [f"model {n}" for n in range(models)]
    crowned = below = excluded = 0
    for case in range(200):
        noise = RNG([models, case]).standard_normal((models, 122))
        losses = 2 + (noise[:, 2:] + noise[:, 1:-1] + noise[:, :-2]) / 3
        errors = {name: {"3": [loss.tolist()]} for name, loss in zip(names, losses, strict=True)}
        tables = (errors, errors, {"3": [1] * 120}, dict.fromkeys(names, "graph"))
        tests = significance(*tables, history=5, resamples=100)
        winner = pick(verdicts(*tables, history=5, tests=tests), "winner")[0]
        crowned += winner["clear"]
        below += len(winner["tied"]) < models - 1
        excluded += any(test["clear"] for test in tests if test["metric"] == "mae" and test["model"] == winner["model"])
    assert crowned <= below <= 0.08 * 200
    assert excluded >= 0.2 * 200  # what the interval of each pair alone would have said


def test_persistence_is_beaten_or_not_in_so_many_words():
    found = judged({"last-value": 3.0, "lstm": 2.0, "gru": 3.0001, "tgcn": 4.0})
    summary = pick(found, "persistence-summary")[0]
    assert (summary["better"], summary["open"], summary["worse"]) == (["lstm"], ["gru"], ["tgcn"])
    assert summary["sentence"] == (
        "Up to 15 minutes (3 steps) ahead, in MAE: lstm clearly beats last-value; gru, tgcn do not clearly beat it; "
        "tgcn is clearly worse than it."
    )
    by_model = {v["model"]: v for v in pick(found, "persistence")}
    assert "lstm clearly beats last-value in MAE: difference -" in by_model["lstm"]["sentence"]
    assert "gru does not clearly differ from last-value" in by_model["gru"]["sentence"]
    assert "tgcn is clearly worse than last-value" in by_model["tgcn"]["sentence"]
    none = pick(judged({"last-value": 3.0, "lstm": 4.0}), "persistence-summary")[0]
    assert "no trained model clearly beats last-value; lstm is clearly worse than it." in none["sentence"]


@pytest.mark.parametrize(
    ("tgcn", "answer", "clear"),
    [
        (2.0, "The graph helps", True),
        (3.0001, "Not shown that the graph helps", False),
        (4.0, "The graph does not help", True),
    ],
)
def test_does_the_graph_help(tgcn, answer, clear):
    verdict = pick(judged({"last-value": 5.0, "lstm": 3.0, "gru": 3.5, "tgcn": tgcn}), "graph")[0]
    assert (verdict["model"], verdict["against"], verdict["clear"]) == ("tgcn", "lstm", clear)
    assert verdict["sentence"].startswith(
        f"{answer} up to 15 minutes (3 steps) ahead in MAE: the best graph model, tgcn ("
    )
    assert "95% interval" in verdict["sentence"]


def test_the_pair_that_validation_chose_answers_whatever_the_test_rows_say():
    found = judged({"last-value": 5.0, "lstm": 3.0, "gru": 3.5, "tgcn": 4.0}, pair=("tgcn", "gru"))
    verdict = pick(found, "graph")[0]
    assert (verdict["model"], verdict["against"]) == ("tgcn", "gru")
    assert "mph), against the best sequence model, gru (" in verdict["sentence"]
    assert " mph), chosen on validation rows: difference " in verdict["sentence"]
    assert pick(found, "winner")[0]["model"] == "lstm"


def test_without_one_of_the_families_nothing_is_said_about_the_graph():
    assert pick(judged({"last-value": 5.0, "rolling-average": 6.0, "lstm": 3.0}), "graph") == []


def test_one_seed_is_named_as_such():
    found = judged({"last-value": 5.0, "lstm": 3.0, "tgcn": 2.0}, seeds=1)
    assert (
        "One seed of tgcn and lstm: the noise between seeds is not in the interval."
        in pick(found, "graph")[0]["sentence"]
    )
    assert "One seed of tgcn:" in {v["model"]: v for v in pick(found, "persistence")}["tgcn"]["sentence"]


def test_verdicts_stand_on_the_tests_and_cite_diebold_mariano_after_holm():
    levels = {"last-value": 4.0, "lstm": 3.0, "tgcn": 2.95}
    families = {name: FAMILIES[name] for name in levels}
    rng = RNG(4)
    errors = {name: {"3": (level + rng.standard_normal((1, 150))).tolist()} for name, level in levels.items()}
    tables = (errors, errors, {"3": [10] * 150}, families)
    tests = significance(*tables, history=12, resamples=300)
    found = verdicts(*tables, history=12, resamples=300)
    assert found == verdicts(*tables, history=12, tests=tests)
    graph = pick(found, "graph")[0]
    test = next(t for t in tests if (t["metric"], t["model"], t["against"]) == ("mae", "tgcn", "lstm"))
    for name in ("difference", "low", "high", "clear", "dm_p_holm"):
        assert graph[name] == test[name]
    cited = (
        f"(Diebold-Mariano p = {test['dm_p']:.2g}, after Holm's correction over all pairs = {test['dm_p_holm']:.2g})"
    )
    assert cited in graph["sentence"]
    persistence = {v["model"]: v for v in pick(found, "persistence")}["lstm"]
    assert "(Diebold-Mariano p < 0.001, after Holm's correction over all pairs < 0.001)" in persistence["sentence"]
