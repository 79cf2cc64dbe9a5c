"""What is said about differences, in numbers and in words."""

import numpy as np
import pytest

from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.findings.difference import Words
from gnnkit.compare.findings.significance import significance
from gnnkit.compare.findings.verdicts import PairVerdict, persistence_groups, verdicts
from gnnkit.compare.questions import Question
from gnnkit.statistics.spans import span_numbers, span_score, span_test

RNG = np.random.default_rng


FAMILIES = {
    "last-value": "baseline",
    "rolling-average": "baseline",
    "lstm": "sequence",
    "gru": "sequence",
    "tgcn": "graph",
}


def of_errors(errors, families=None, *, history=12, pair=None, words=None, squared=None, counts=10):
    """The verdicts on errors, `[model]` → [seed, window], at a horizon of 3."""
    errors = {name: np.atleast_2d(found) for name, found in errors.items()}
    families = families or {name: FAMILIES[name] for name in errors}
    observed = {3: [counts] * next(iter(errors.values())).shape[1]}
    squared = errors if squared is None else squared
    table = ErrorTable.of_windows(
        *({n: {3: e} for n, e in each.items()} for each in (errors, squared)), observed, families
    )
    questions = [Question("families", *pair)] if pair else []
    return verdicts(table, significance(table, history=history, questions=questions), words or Words())


def judged(levels, families=FAMILIES, seeds=3, **options):
    rng = RNG(0)
    hard = rng.gamma(4.0, 0.25, size=150)
    errors = {}
    for name, level in levels.items():
        count = 1 if families[name] == "baseline" else seeds
        spread = 0.0 if count == 1 else 0.002
        errors[name] = level * hard + spread * rng.standard_normal((count, 1))
    squared = {name: found**2 for name, found in errors.items()}
    return of_errors(errors, words=Words("mph", 5), squared=squared, **options)


def pick(found, kind, metric="mae"):
    return [v for v in found if v.kind == kind and v.metric == metric]


def test_a_clear_winner_is_named_with_its_interval():
    found = judged({"last-value": 4.0, "rolling-average": 5.0, "lstm": 3.0, "gru": 3.5, "tgcn": 2.0})
    winner = pick(found, "winner")[0]
    assert (winner.model, winner.against, winner.clear, winner.tied) == ("tgcn", "lstm", True, [])
    assert winner.low < winner.difference < winner.high < 0
    assert winner.sentence.startswith("Up to 15 minutes (3 steps) ahead, tgcn has the lowest MAE (")
    assert "clearly below every other model: against lstm difference -" in winner.sentence
    assert " mph (95% interval -" in winner.sentence
    assert winner.sentence.endswith(", p < 0.001), corrected for the choice among 5 models.")
    assert {v.metric for v in found} == {"mae", "rmse"}


def test_models_that_are_as_good_are_tied_and_nobody_wins():
    found = judged({"last-value": 4.0, "lstm": 3.0, "gru": 3.0004, "tgcn": 3.0002})
    winner = pick(found, "winner")[0]
    assert not winner.clear
    assert sorted([winner.model, *winner.tied]) == ["gru", "lstm", "tgcn"]
    assert ", not told apart from " in winner.sentence


def test_a_model_with_the_same_errors_is_no_runner_up():
    """Without a season, the value of the season before is the last value."""
    rng = RNG(3)
    families = {"last-value": "baseline", "seasonal-naive": "baseline", "gru": "sequence"}
    last = rng.gamma(4.0, 0.25, size=150)
    far = of_errors({"last-value": last, "seasonal-naive": last, "gru": last + 1 + rng.random((3, 150))}, families)
    (winner,) = pick(far, "winner")
    assert (winner.model, winner.clear, winner.tied) == ("last-value", False, ["seasonal-naive"])
    assert "last-value has, as seasonal-naive with the same errors, the lowest MAE (" in winner.sentence
    assert winner.sentence.endswith("; every other model is clearly worse.")
    wave = np.where(np.arange(150) % 2, 0.2, -0.2) + 0.001
    near = of_errors({"last-value": last, "seasonal-naive": last, "gru": last + wave}, families)
    (winner,) = pick(near, "winner")
    assert (winner.model, winner.against) == ("last-value", "gru")
    assert "the lowest MAE" in winner.sentence
    assert ", not told apart from gru: against gru difference " in winner.sentence


def test_a_noisier_third_that_is_tied_takes_the_crown_back_and_is_named():
    rng = RNG(1)
    base = rng.gamma(4.0, 0.25, size=150)
    noise = 3 * rng.standard_normal(150)
    noisy = base + 0.25 + noise - noise.mean()
    errors = {"tgcn": base, "lstm": base + 0.1, "gru": noisy, "last-value": 9 * base}
    winner = pick(of_errors(errors), "winner")[0]
    assert (winner.model, winner.against, winner.clear, winner.tied) == ("tgcn", "gru", False, ["gru"])
    assert winner.low < winner.difference < 0 < winner.high
    assert winner.difference == pytest.approx(-0.25)
    assert "tgcn has the lowest MAE (" in winner.sentence
    assert "), not told apart from gru: against gru difference -0.25 (95% interval " in winner.sentence


@pytest.mark.parametrize("models", [5, 10])
def test_the_best_of_equal_models_is_seldom_called_better_than_any_of_them(models):
    """60 comparisons of models that differ by chance alone, on windows of which neighbours share two of three rows."""
    names = [f"model {n}" for n in range(models)]
    crowned = below = excluded = 0
    for case in range(60):
        noise = RNG([models, case]).standard_normal((models, 122))
        losses = 2 + (noise[:, 2:] + noise[:, 1:-1] + noise[:, :-2]) / 3
        errors = dict(zip(names, losses, strict=True))
        winner = pick(of_errors(errors, dict.fromkeys(names, "graph"), history=5, counts=1), "winner")[0]
        crowned += winner.clear
        below += len(winner.tied) < models - 1
        spans = span_numbers([np.arange(120)])
        scores = [span_score(loss[None], np.ones(120), spans) for loss in losses]
        best = scores[names.index(winner.model)]
        excluded += any(span_test(best, score).p_value < 0.05 for score in scores)
    assert crowned <= below <= 8  # 3, and three deviations of 1.7
    assert excluded >= 0.2 * 60  # what the test of each pair alone would have said


def test_persistence_is_beaten_or_not_in_so_many_words():
    found = judged({"last-value": 3.0, "lstm": 2.0, "gru": 3.0001, "tgcn": 4.0})
    summary = pick(found, "persistence-summary")[0]
    assert (summary.better, summary.open, summary.worse) == (["lstm"], ["gru"], ["tgcn"])
    assert summary.sentence == (
        "Up to 15 minutes (3 steps) ahead, in MAE: lstm clearly beats last-value; gru, tgcn do not clearly beat it; "
        "tgcn is clearly worse than it."
    )
    by_model = {v.model: v for v in pick(found, "persistence")}
    assert "lstm clearly beats last-value in MAE: difference -" in by_model["lstm"].sentence
    assert "gru does not clearly differ from last-value" in by_model["gru"].sentence
    assert "tgcn is clearly worse than last-value" in by_model["tgcn"].sentence
    none = pick(judged({"last-value": 3.0, "lstm": 4.0}), "persistence-summary")[0]
    assert "no trained model clearly beats last-value; lstm is clearly worse than it." in none.sentence


@pytest.mark.parametrize(
    ("tgcn", "answer", "clear"),
    [(2.0, "is better than", True), (3.0001, "is not told apart from", False), (4.0, "is worse than", True)],
)
def test_two_models_that_validation_chose_are_compared_by_name(tgcn, answer, clear):
    found = judged({"last-value": 5.0, "lstm": 3.0, "gru": 3.5, "tgcn": tgcn}, pair=("tgcn", "lstm"))
    verdict = pick(found, "families")[0]
    assert (verdict.model, verdict.against, verdict.clear) == ("tgcn", "lstm", clear)
    assert verdict.sentence.startswith("Up to 15 minutes (3 steps) ahead, tgcn (")
    assert f" mph) {answer} lstm (" in verdict.sentence
    assert " mph) in MAE: difference " in verdict.sentence
    assert verdict.sentence.endswith(" The validation rows chose tgcn of tgcn and lstm of lstm, gru.")
    assert not [v for v in found if "graph" in v.sentence]


def test_the_pair_that_validation_chose_answers_whatever_the_test_rows_say():
    found = judged({"last-value": 5.0, "lstm": 3.0, "gru": 3.5, "tgcn": 4.0}, pair=("tgcn", "gru"))
    verdict = pick(found, "families")[0]
    assert (verdict.model, verdict.against) == ("tgcn", "gru")
    assert pick(found, "winner")[0].model == "lstm"


def test_without_a_pair_no_two_models_are_singled_out():
    assert pick(judged({"last-value": 5.0, "lstm": 3.0, "tgcn": 4.0}), "families") == []


def test_one_seed_is_named_as_such():
    found = judged({"last-value": 5.0, "lstm": 3.0, "tgcn": 2.0}, seeds=1, pair=("tgcn", "lstm"))
    assert (
        "One seed of tgcn and lstm: the noise between seeds is not in the interval."
        in pick(found, "families")[0].sentence
    )
    assert "One seed of tgcn:" in {v.model: v for v in pick(found, "persistence")}["tgcn"].sentence


def test_mark_interval_p_and_sentence_agree_whatever_the_errors():
    words = {"families": ("is better than", "is worse than"), "persistence": ("clearly beats", "is clearly worse than")}
    seen = set()
    for case in range(60):
        rng = RNG(case)
        levels = dict(zip(FAMILIES, rng.uniform(2.9, 3.1, len(FAMILIES)), strict=True))
        errors = {name: level + rng.standard_normal((1, 60)) for name, level in levels.items()}
        found = of_errors(errors, pair=("tgcn", "gru"))
        for verdict in (v for v in found if isinstance(v, PairVerdict) and v.kind != "winner"):
            excludes = verdict.low > 0 or verdict.high < 0
            assert verdict.clear == excludes == (verdict.p < 0.05)
            said = words[verdict.kind][int(verdict.difference > 0)]
            assert (f" {said} " in verdict.sentence) == verdict.clear
            seen.add((verdict.kind, verdict.clear))
        winner = pick(found, "winner")[0]
        assert winner.clear == (not winner.tied) == ("clearly below every other" in winner.sentence)
        assert (winner.p < 0.05) == (winner.high < 0) == winner.clear
    assert len(seen) >= 3


def test_verdicts_stand_on_the_tests():
    levels = {"last-value": 4.0, "lstm": 3.0, "tgcn": 2.95}
    rng = RNG(4)
    errors = {name: {3: level + rng.standard_normal((1, 150))} for name, level in levels.items()}
    table = ErrorTable.of_windows(errors, errors, {3: [10] * 150}, {name: FAMILIES[name] for name in levels})
    pair = ("tgcn", "lstm")
    tests = significance(table, history=12, questions=[Question("families", *pair)])
    found = verdicts(table, tests, Words())
    verdict, test = pick(found, "families")[0], tests[0]
    for name in ("difference", "low", "high", "clear", "p"):
        assert getattr(verdict, name) == getattr(test, name)
    assert f", p = {test.p:.2g})." in verdict.sentence
    persistence = {v.model: v for v in pick(found, "persistence")}["lstm"]
    assert ", p < 0.001)." in persistence.sentence


def test_too_few_windows_have_scores_and_no_verdict():
    errors = {name: [1.0] * 9 for name in FAMILIES}
    found = of_errors(errors, pair=("tgcn", "gru"), words=Words(test_share=0.2), counts=4)
    assert [(v.kind, v.metric) for v in found] == [("too-few", "mae")]
    assert found[0].sentence == (
        "Up to 3 steps ahead: 9 test windows are too few to judge: at least 16 are needed (about 35 more rows), which "
        "hold 6 spans of 3 steps without a common row."
    )


def test_one_model_alone_has_no_winner():
    table = ErrorTable.of_windows(*[{"last-value": {1: [[1.0] * 9]}}] * 2, {1: [4] * 9}, {"last-value": "baseline"})
    assert verdicts(table, significance(table, history=3), Words()) == []


def test_who_beats_the_last_value_is_told_from_the_single_verdicts():
    found = judged({"last-value": 3.0, "lstm": 2.0, "gru": 3.0001, "tgcn": 4.0})
    assert persistence_groups(found, 3) == {"better": ["lstm"], "open": ["gru"], "worse": ["tgcn"]}
    assert persistence_groups(found, 6) == {}
