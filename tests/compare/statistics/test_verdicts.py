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
    assert "clearly below lstm: difference -" in winner["sentence"]
    assert "mph, 95% interval -" in winner["sentence"]
    assert {v["metric"] for v in found} == {"mae", "rmse"}


def test_models_that_are_as_good_are_tied_and_nobody_wins():
    found = judged({"last-value": 4.0, "lstm": 3.0, "gru": 3.0004, "tgcn": 3.0002})
    winner = pick(found, "winner")[0]
    assert not winner["clear"]
    assert sorted([winner["model"], *winner["tied"]]) == ["gru", "lstm", "tgcn"]
    assert "but not clearly below" in winner["sentence"]


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
    assert f"(Diebold-Mariano p = {test['dm_p_holm']:.2g} after Holm's correction)" in graph["sentence"]
    persistence = {v["model"]: v for v in pick(found, "persistence")}["lstm"]
    assert "(Diebold-Mariano p < 0.001 after Holm's correction)" in persistence["sentence"]
