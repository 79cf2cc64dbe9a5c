"""Means over seeds, intervals of differences, and what is said about them."""

import math

import numpy as np
import pandas as pd
import pytest

from gnnkit.compare.statistics import Interval, block_weights, paired_interval, summarise, verdicts

RNG = np.random.default_rng


def test_summarise_gives_mean_and_deviation_over_seeds_in_the_order_of_the_rows():
    def row(model, family, seed, value):
        return {
            "model": model,
            "family": family,
            "seed": seed,
            "horizon": 3,
            "score": "averaged",
            "metric": "mae",
            "value": value,
        }

    rows = pd.DataFrame(
        [row("last-value", "baseline", 0, 3.0), *(row("gru", "sequence", s, v) for s, v in enumerate([1, 2, 6]))]
    )
    table = summarise(rows)
    assert table["model"].tolist() == ["last-value", "gru"]
    assert table["mean"].tolist() == [3.0, 3.0]
    assert math.isnan(table["std"][0])
    assert table["std"][1] == pytest.approx(math.sqrt(7))
    assert table["seeds"].tolist() == [1, 3]


def test_block_weights_are_whole_blocks_of_neighbours():
    weights = block_weights(10, block=5, resamples=50, seed=3)
    assert weights.shape == (50, 10)
    assert (weights.sum(axis=1) == 10).all()
    starts = {tuple(w) for w in block_weights(10, block=10, resamples=20)}
    assert starts == {(1.0,) * 10}  # one block can only be everything
    for row in block_weights(7, block=4, resamples=20):
        assert row.sum() == 7
        # A block of 4 and a cut one of 3: undoing the best pair of starts leaves nothing.
        pairs = [np.array([(a <= i < a + 4) + (b <= i < b + 3) for i in range(7)]) for a in range(4) for b in range(4)]
        assert any((row == pair).all() for pair in pairs)


def test_block_weights_refuse_blocks_that_do_not_fit():
    with pytest.raises(ValueError, match="block=6: must be 1 to the number of windows, 5"):
        block_weights(5, block=6, resamples=1)


def test_difference_is_that_of_the_seed_means_with_every_target_weighing_the_same():
    a, b = np.array([[1.0, 4.0], [3.0, 4.0]]), np.array([[2.0, 2.0]])
    counts = np.array([3.0, 1.0])
    found = paired_interval(a, b, counts, block=1)
    assert found.difference == pytest.approx((7 / 4 + 13 / 4) / 2 - 2.0)
    squared = paired_interval(a, b, counts, block=1, squared=True)
    assert squared.difference == pytest.approx((math.sqrt(7 / 4) + math.sqrt(13 / 4)) / 2 - math.sqrt(2))


def test_windows_without_targets_do_not_count():
    a, b = np.array([[1.0, np.nan, 3.0]]), np.array([[2.0, np.nan, 3.0]])
    assert paired_interval(a, b, np.array([1.0, 0.0, 1.0]), block=1).difference == pytest.approx(-0.5)


def test_a_constant_gap_is_clear_whatever_the_noise_both_share():
    hard = RNG(0).gamma(1.0, 5.0, size=(1, 300))
    found = paired_interval(hard - 0.1, hard, np.ones(300), block=20)
    assert found.clear
    assert (found.low, found.high) == pytest.approx((-0.1, -0.1))
    mirrored = paired_interval(hard, hard - 0.1, np.ones(300), block=20)
    assert (mirrored.low, mirrored.high) == pytest.approx((0.1, 0.1))


def test_noise_between_seeds_widens_the_interval():
    base = np.ones((1, 200))
    calm = base + np.array([[-0.1], [0.0], [0.1]]) * 0.01
    wild = base + np.array([[-0.1], [0.0], [0.1]])
    reference = base + 0.05
    assert paired_interval(calm, reference, np.ones(200), block=10).clear
    found = paired_interval(wild, reference, np.ones(200), block=10, resamples=20000)
    assert not found.clear
    # s / √3 · t with two degrees of freedom, and no noise from windows at all.
    assert found.high - found.difference == pytest.approx(0.1 / math.sqrt(3) * 4.303, rel=0.1)


def test_the_same_seed_gives_the_same_interval():
    a, b = RNG(0).random((2, 60)), RNG(1).random((2, 60))
    first = paired_interval(a, b, np.ones(60), block=5, seed=4)
    assert paired_interval(a, b, np.ones(60), block=5, seed=4) == first
    assert paired_interval(a, b, np.ones(60), block=5, seed=5) != first


def test_a_single_window_gives_an_interval_without_width_and_no_crash():
    found = paired_interval(np.array([[1.0]]), np.array([[2.0]]), np.ones(1), block=24)
    assert found == Interval(-1.0, -1.0, -1.0)


def test_shapes_and_empty_counts_are_refused():
    with pytest.raises(ValueError, match=r"shapes \(1, 3\) and \(1, 4\)"):
        paired_interval(np.ones((1, 3)), np.ones((1, 4)), np.ones(3), block=1)
    with pytest.raises(ValueError, match="no window has an observed target"):
        paired_interval(np.ones((1, 3)), np.ones((1, 3)), np.zeros(3), block=1)


def overlapping_noise(rng, windows, horizon):
    """Errors of overlapping windows: an AR(1) with 0.5, averaged over the horizon."""
    shocks = rng.standard_normal(windows + horizon + 50)
    series = np.zeros_like(shocks)
    for t in range(1, len(series)):
        series[t] = 0.5 * series[t - 1] + shocks[t]
    return np.convolve(series, np.ones(horizon) / horizon, "valid")[-windows:]


def test_coverage_is_about_right_for_overlapping_windows():
    rng, horizon, windows, cases = RNG(0), 12, 380, 300
    covered = 0
    for case in range(cases):
        noise = overlapping_noise(rng, windows, horizon)
        found = paired_interval(
            10 + noise[None], np.full((1, windows), 10.0), np.ones(windows), block=24, resamples=400, seed=case
        )
        covered += found.low <= 0 <= found.high
    assert 0.90 <= covered / cases <= 0.98


def test_coverage_is_about_right_when_seeds_differ():
    rng, windows, cases = RNG(1), 200, 300
    covered = 0
    for case in range(cases):
        a = 5 + 0.2 * rng.standard_normal((3, 1)) + 0.3 * rng.standard_normal(windows)
        b = np.full((1, windows), 5.0)
        found = paired_interval(a, b, np.ones(windows), block=5, resamples=400, seed=case)
        covered += found.low <= 0 <= found.high
    assert 0.90 <= covered / cases <= 0.99


def test_power_finds_a_difference_of_two_deviations():
    rng = RNG(2)
    noise = [overlapping_noise(rng, 380, 12) for _ in range(50)]
    gap = 5 * np.std([n.mean() for n in noise])
    found = [
        paired_interval(10 + n[None] - gap, np.full((1, 380), 10.0), np.ones(380), block=24, resamples=400)
        for n in noise
    ]
    assert np.mean([f.high < 0 for f in found]) > 0.9


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


def test_without_one_of_the_families_nothing_is_said_about_the_graph():
    assert pick(judged({"last-value": 5.0, "rolling-average": 6.0, "lstm": 3.0}), "graph") == []


def test_one_seed_is_named_as_such():
    found = judged({"last-value": 5.0, "lstm": 3.0, "tgcn": 2.0}, seeds=1)
    assert (
        "One seed of tgcn and lstm: the noise between seeds is not in the interval."
        in pick(found, "graph")[0]["sentence"]
    )
    assert "One seed of tgcn:" in {v["model"]: v for v in pick(found, "persistence")}["tgcn"]["sentence"]
