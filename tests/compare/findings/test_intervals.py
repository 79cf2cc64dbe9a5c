import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import stats

from gnnkit.compare.conditions import Condition
from gnnkit.compare.findings import INTERVALS
from gnnkit.compare.findings.intervals import score_intervals
from gnnkit.compare.scores import Outcome
from gnnkit.statistics.conformal import crps_from_pinball, interval_levels
from tests.compare.findings.sheets import line_of, section_of

LEVELS = interval_levels(0.9)


def outcome(predicted, validation=None, **options):
    return Outcome("a model", "graph", 3, predicted, None, validation=validation, **options)


def everywhere(values):
    return torch.ones_like(values, dtype=torch.bool)


def score(outcomes, true, validation_true, *, windows=None, mask=None, validation_mask=None, **options):
    windows = {true.size(1): len(true)} if windows is None else windows
    mask = everywhere(true) if mask is None else mask
    validation_mask = everywhere(validation_true) if validation_mask is None else validation_mask
    options = {"coverage": 0.9, "levels": LEVELS} | options
    return score_intervals(outcomes, true, mask, validation_true, validation_mask, windows, **options)


def test_a_small_case_by_hand():
    """One node, one step, validation errors ±1 … ±10 around the forecast 0, coverage .8: n = 20."""
    errors = torch.tensor([float(e) for k in range(1, 11) for e in (k, -k)])
    validation_true = errors.view(-1, 1, 1)
    true = torch.tensor([12.0, -7.0, 20.0, 3.0]).view(-1, 1, 1)
    mask = torch.tensor([True, True, True, False]).view(-1, 1, 1)
    given = outcome(torch.full_like(true, 10.0), torch.zeros_like(validation_true))
    (row,) = score([given], true, validation_true, mask=mask, coverage=0.8, levels=(0.1, 0.5, 0.9))
    # Places 2.1 → 2, 10.5 → 11 and 18.9 → 19 of −10 … −1, 1 … 10.
    low, middle, high = 10.0 - 9.0, 10.0 + 1.0, 10.0 + 9.0
    observed = [12.0, -7.0, 20.0]
    pinball = [
        np.mean([max(t * (y - q), (t - 1) * (y - q)) for y in observed])
        for t, q in ((0.1, low), (0.5, middle), (0.9, high))
    ]
    assert row.coverage == pytest.approx(1 / 3)  # 12 is inside 1 … 19, −7 and 20 are not
    assert row.width == pytest.approx(18.0)
    assert list(row.pinball) == ["0.1", "0.5", "0.9"]
    assert list(row.pinball.values()) == pytest.approx(pinball, rel=1e-6)
    area = 0.1 * pinball[0] / 2 + 0.4 * sum(pinball[:2]) / 2 + 0.4 * sum(pinball[1:]) / 2 + 0.1 * pinball[2] / 2
    assert row.crps == pytest.approx(2 * area, rel=1e-6)
    assert {key: getattr(row, key) for key in ("model", "seed", "horizon", "method", "nominal", "observed")} == {
        "model": "a model", "seed": 3, "horizon": 1, "method": "conformal", "nominal": 0.8, "observed": 3,
    }  # fmt: skip


@pytest.mark.parametrize("method", ["conformal", "quantile"])
def test_coverage_of_exchangeable_errors_is_within_binomial_bounds(method):
    """Skewed, biased errors that grow with the step and differ from node to node; the forecast knows none of it."""
    rng = torch.Generator().manual_seed(1)
    size = torch.tensor([0.5, 1.0, 4.0, 20.0])
    steps = torch.tensor([1.0, 2.0, 5.0])[:, None]

    def draw(count):
        return (torch.empty(count, 3, 4).exponential_(generator=rng) - 0.3) * size * steps

    true, validation_true = draw(3000), draw(3000)
    options = {}
    if method == "quantile":  # heads with quantiles that are far too narrow
        options = {
            f"{part}quantiles": (0.1 * torch.tensor(LEVELS) * size[:, None] * steps[..., None]).expand(3000, 3, 4, -1)
            for part in ("", "validation_")
        }
    given = outcome(torch.zeros_like(true), torch.zeros_like(validation_true), **options)
    for coverage, levels in ((0.9, LEVELS), (0.5, interval_levels(0.5))):
        if method == "quantile" and coverage != 0.9:
            continue
        for row in score([given], true, validation_true, windows={1: 3000, 3: 3000}, coverage=coverage, levels=levels):
            # Test and calibration counts both vary: the variance of a share is doubled.
            bound = 4 * math.sqrt(2 * coverage * (1 - coverage) / row.observed)
            assert row.method == method
            assert abs(row.coverage - coverage) < bound
            assert method == "conformal" or row.raw_coverage < 0.2
    if method == "conformal":  # every node has its share, not only all together
        for node in range(4):
            mask = torch.zeros_like(true, dtype=torch.bool)
            mask[:, :, node] = True
            (row,) = score([given], true, validation_true, mask=mask)
            assert abs(row.coverage - 0.9) < 0.015


def test_the_crps_of_a_normal_distribution_is_the_closed_form_within_the_error_of_the_levels():
    levels = torch.tensor(LEVELS, dtype=torch.float64)
    density = stats.norm.pdf(stats.norm.ppf(LEVELS))  # the mean pinball loss at level τ of N(0, 1) is φ(z_τ)
    exact = 1 / math.sqrt(math.pi)
    assert crps_from_pinball(LEVELS, density) == pytest.approx(0.9902 * exact, rel=1e-3)
    true = torch.special.ndtri(torch.linspace(0.00005, 0.99995, 10_000, dtype=torch.float64)).view(-1, 1, 1)
    heads = torch.special.ndtri(levels).expand(10_000, 1, 1, -1)
    given = outcome(torch.zeros_like(true), quantiles=heads, validation_quantiles=heads)
    (row,) = score([given], true, true)
    assert row.crps == pytest.approx(exact, rel=0.011)
    assert row.crps < exact
    assert list(row.pinball.values()) == pytest.approx(list(density), rel=1e-3)
    assert row.raw_coverage == pytest.approx(0.9, abs=2e-4)
    assert row.coverage == pytest.approx(0.9, abs=2e-4)  # nothing to correct
    assert row.width == pytest.approx(2 * stats.norm.ppf(0.95), rel=1e-3)
    conformal = outcome(torch.zeros_like(true), torch.zeros_like(true))
    (same,) = score([conformal], true, true)
    assert same.crps == pytest.approx(row.crps, rel=1e-3)


@pytest.mark.parametrize("method", ["conformal", "quantile"])
def test_everything_scales_with_the_unit(method):
    rng = torch.Generator().manual_seed(0)
    true, validation_true = torch.randn(60, 2, 3, generator=rng), torch.randn(50, 2, 3, generator=rng)
    mask, validation_mask = torch.rand(60, 2, 3, generator=rng) > 0.2, torch.rand(50, 2, 3, generator=rng) > 0.2
    made = [torch.randn(60, 2, 3, generator=rng), torch.randn(50, 2, 3, generator=rng)]
    heads = [torch.randn(n, 2, 3, len(LEVELS), generator=rng).sort(dim=-1).values for n in (60, 50)]

    def rows(factor, shift):
        def move(values):
            return factor * values + shift

        options = {"quantiles": move(heads[0]), "validation_quantiles": move(heads[1])} if method == "quantile" else {}
        given = outcome(move(made[0]), move(made[1]), **options)
        masks = {"mask": mask, "validation_mask": validation_mask}
        return score([given], move(true), move(validation_true), windows={1: 60, 2: 59}, **masks)

    for plain, moved in zip(rows(1.0, 0.0), rows(8.0, 64.0), strict=True):
        assert moved.coverage == plain.coverage
        assert moved.observed == plain.observed == int(mask[: 61 - plain.horizon, : plain.horizon].sum())
        assert moved.width == pytest.approx(8 * plain.width, rel=1e-4)
        assert moved.crps == pytest.approx(8 * plain.crps, rel=1e-4)


def test_masked_targets_and_windows_that_are_not_scored_change_nothing():
    rng = torch.Generator().manual_seed(0)
    true, validation_true = torch.randn(40, 2, 3, generator=rng), torch.randn(40, 2, 3, generator=rng)
    mask = torch.rand(40, 2, 3, generator=rng) > 0.3
    given = outcome(torch.zeros(40, 2, 3), torch.zeros(40, 2, 3))
    options = {"windows": {1: 30, 2: 25}, "mask": mask, "validation_mask": mask}
    plain = score([given], true, validation_true, **options)
    other, other_validation = true.clone(), validation_true.clone()
    other[~mask], other_validation[~mask] = 1e6, -1e6
    other[30:], other[25:, 1] = 1e6, 1e6
    assert score([given], other, other_validation, **options) == plain


def test_cqr_moves_both_bounds_by_one_margin():
    """Heads −1 and 1 on every node, validation targets 1 … 39 by absolute value: the 36-th of 39 is 36, margin 35."""
    sign = torch.where(torch.arange(39) % 2 == 0, 1.0, -1.0)
    validation_true = (torch.arange(1.0, 40.0) * sign).view(-1, 1, 1)
    true = torch.tensor([35.9, -35.9, 36.1, -36.1, 0.5]).view(-1, 1, 1)
    levels = (0.05, 0.5, 0.95)
    heads = torch.tensor([-1.0, 0.0, 1.0])
    options = {"quantiles": heads.expand(5, 1, 1, 3), "validation_quantiles": heads.expand(39, 1, 1, 3)}
    (row,) = score([outcome(torch.zeros_like(true), **options)], true, validation_true, levels=levels)
    assert (row.coverage, row.width) == (3 / 5, 72.0)
    assert (row.raw_coverage, row.raw_width) == (1 / 5, 2.0)
    assert row.pinball["0.95"] == pytest.approx(
        np.mean([max(0.95 * (y - 1), -0.05 * (y - 1)) for y in true.flatten().tolist()]), rel=1e-6
    )


def test_heads_that_are_too_wide_are_drawn_in_and_never_cross():
    true = torch.zeros(50, 1, 1)
    heads = torch.tensor([-3.0, 1.0, 7.0]).expand(50, 1, 1, 3)
    given = outcome(true, quantiles=heads, validation_quantiles=heads)
    (row,) = score([given], true, true, levels=(0.05, 0.5, 0.95))
    assert (row.width, row.coverage) == (4.0, 1.0)  # drawn in by 3 on either side: 0 … 4
    shifted = outcome(true, quantiles=heads, validation_quantiles=heads)
    (row,) = score([shifted], torch.full_like(true, 2.0), torch.full_like(true, 2.0), levels=(0.05, 0.5, 0.95))
    assert row.width == 0.0


def test_a_perfect_forecast_has_intervals_of_no_width():
    true = torch.randn(30, 1, 2)
    (row,) = score([outcome(true, true)], true, true)
    assert (row.coverage, row.width, row.crps) == (1.0, 0.0, 0.0)


def test_too_few_validation_targets_have_no_interval():
    true, few = torch.randn(30, 2, 1), torch.randn(19, 2, 1)
    given = outcome(torch.zeros_like(true), torch.zeros_like(few))
    assert [row.horizon for row in score([given], true, few, windows={1: 30, 2: 29})] == [1, 2]
    mask = everywhere(few)
    mask[0, 1] = False  # 18 targets at the second step: the place of .05 is below the first
    rows = score([given], true, few, windows={1: 30, 2: 29}, validation_mask=mask)
    assert [row.horizon for row in rows] == [1]
    assert score([given], true, few, mask=torch.zeros_like(everywhere(true))) == []


def test_what_is_passed_over():
    true = torch.randn(30, 1, 2)
    base = outcome(true, true)
    hidden = dataclasses.replace(base, condition=Condition(hidden_share=0.5))
    rows = score([dataclasses.replace(base, validation=None), hidden, base], true, true)
    assert [row.model for row in rows] == ["a model"]


def test_errors():
    true = torch.randn(30, 1, 2)
    heads = torch.randn(30, 1, 2, 3).sort(dim=-1).values
    with pytest.raises(ValueError, match=r"^levels are \(0.9, 0.1\); give rising levels inside \(0, 1\), such as"):
        score([outcome(true, true)], true, true, levels=(0.9, 0.1))
    with pytest.raises(ValueError, match=r"^a model has quantiles but no validation_quantiles; predict the validation"):
        score([outcome(true, quantiles=heads)], true, true)
    both = outcome(true, quantiles=heads, validation_quantiles=heads)
    with pytest.raises(
        ValueError, match=r"^a model has 3 quantiles, of the validation windows 3, but levels are \(0.05"
    ):
        score([both], true, true)
    with pytest.raises(ValueError, match=r"^levels \(0.1, 0.5, 0.9\) lack the bounds \(0.05, 0.95\) of coverage 0.9;"):
        score([both], true, true, levels=(0.1, 0.5, 0.9))


def interval(model, seed, coverage, **more):
    return {"model": model, "seed": seed, "horizon": 12, "method": "conformal", "nominal": 0.9, "coverage": coverage,
            "width": 8.0 + seed, "crps": 2.0 + seed, "pinball": {"0.05": 0.4, "0.5": 1.5},
            "observed": 9100} | more  # fmt: skip


def test_intervals_are_means_over_seeds_and_far_coverage_is_marked(fake_results):
    results = fake_results()
    results.findings["intervals"] = [
        interval("gru", 0, 0.86),
        interval("gru", 1, 0.88),
        interval("last-value", 0, 0.885),
    ]
    sheet = section_of(INTERVALS, results).sheets[0].choices[0][1]
    assert line_of(sheet, "gru") == {
        "model": "gru", "method": "conformal", "nominal": "90 %", "coverage": "87.0 ± 1.4 %", "width (mph)": "8.50",
        "CRPS": "2.500", "pinball 0.05": "0.400", "pinball 0.5": "1.500"}  # fmt: skip
    assert line_of(sheet, "last-value")["coverage"] == "88.5 %"
    assert [line[3].mark for line in sheet.lines] == ["", "bad"]
    assert "n = 9,100 target values, 2 seeds" in sheet.caption


def test_many_levels_become_a_mean_and_heads_show_what_they_had_raw(fake_results):
    results = fake_results()
    levels = {f"{level / 10:g}": float(level) for level in range(1, 8)}
    results.findings["intervals"] = [
        interval("gru", 0, 0.9, pinball=levels, method="quantile", raw_coverage=0.71, raw_width=5.0)
    ]
    section = section_of(INTERVALS, results)
    line = line_of(section.sheets[0].choices[0][1], "gru")
    assert (line["pinball"], line["raw coverage"]) == ("4.000", "71.0 %")
    assert "quantile heads" in section.statements[0].text


def test_unknown_figures_are_dashes(fake_results):
    results = fake_results()
    results.findings["intervals"] = [interval("gru", 0, None, width=None, crps=None, pinball=None)]
    line = line_of(section_of(INTERVALS, results).sheets[0].choices[0][1], "gru")
    assert (line["coverage"], line["CRPS"]) == ("–", "–")
