import numpy as np
import pytest
from scipy import signal, stats

from gnnkit.statistics.spans import MOST_SPANS, span_numbers, span_score, span_test


def compared(a, b, counts, spans, **options):
    return span_test(*(span_score(errors, counts, spans, **options) for errors in (a, b)))


def test_equal_spans_are_a_one_sample_t_test_of_their_means():
    rng = np.random.default_rng(0)
    a, b = rng.gamma(2.0, size=(2, 1, 60))
    spans = np.arange(60) // 10
    found = compared(a, b, np.ones(60), spans)
    means = (a - b)[0].reshape(6, 10).mean(axis=1)
    peer = stats.ttest_1samp(means, 0.0)
    assert found.statistic == pytest.approx(peer.statistic)
    assert found.p_value == pytest.approx(peer.pvalue)
    assert found.degrees == 5


def test_two_models_change_places_with_their_sign():
    rng = np.random.default_rng(1)
    a, b = rng.gamma(2.0, size=(2, 3, 40))
    counts, spans = rng.integers(0, 5, 40).astype(float), np.arange(40) // 8
    one, other = (compared(*pair, counts, spans, squared=True) for pair in ((a, b), (b, a)))
    assert one.statistic == pytest.approx(-other.statistic)
    assert one.p_value == pytest.approx(other.p_value)


def test_what_a_window_without_a_target_holds_is_not_read():
    rng = np.random.default_rng(2)
    a, b = rng.gamma(2.0, size=(2, 1, 30))
    counts, spans = np.ones(30), np.arange(30) // 5
    counts[3] = 0
    wild = a.copy()
    wild[0, 3] = np.nan
    assert compared(wild, b, counts, spans) == compared(a, b, counts, spans)


def test_a_span_without_any_target_does_not_count():
    rng = np.random.default_rng(3)
    a, b = rng.gamma(2.0, size=(2, 1, 30))
    counts = np.ones(30)
    counts[25:] = 0
    assert compared(a, b, counts, np.arange(30) // 5).degrees == 4


def test_the_profile_of_a_day_is_no_noise_where_spans_are_days():
    """The same difference at each hour of each day, and a little noise: only whole days tell."""
    rng = np.random.default_rng(4)
    day = 48
    rows = np.arange(4 * day)
    a = 5 + np.sin(2 * np.pi * rows / day) + 0.05 + 0.01 * rng.standard_normal(len(rows))
    b = np.full(len(rows), 5.0)
    by_day = compared(a[None], b[None], np.ones(len(rows)), span_numbers([rows], season=day))
    by_parts = compared(a[None], b[None], np.ones(len(rows)), span_numbers([rows]))
    assert by_day.p_value < 0.001
    assert by_parts.p_value > 0.5


@pytest.mark.parametrize("phi", [0.0, 0.9, 0.97])
def test_true_nulls_are_rejected_in_about_five_of_a_hundred(phi):
    """On differentials like real ones: a moving average of 12 on an autoregression; the seed is fixed."""
    rng, cases, days, day = np.random.default_rng(5), 600, 4, 288
    noise = rng.standard_normal((cases, days * day + 400))
    found = signal.lfilter(np.ones(12) / 12, [1], signal.lfilter([1], [1, -phi], noise, axis=1), axis=1)[:, 400:]
    found = found / found.std() + np.sqrt(2) * np.sin(2 * np.pi * np.arange(days * day) / day)
    rows = np.arange(days * day)
    spans, counts = span_numbers([rows], season=day), np.ones(len(rows))
    p = [compared(one[None] + 20, np.full((1, len(rows)), 20.0), counts, spans).p_value for one in found]
    # 5% of 600 is 30, with a deviation of 5.3.
    assert 14 <= (np.array(p) < 0.05).sum() <= 46


def test_spans_are_seasons_of_their_part_and_the_rest_belongs_to_the_last():
    numbers = span_numbers([np.arange(7), np.arange(100, 112)], season=3)
    assert numbers.tolist() == [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5]


def test_windows_that_the_horizon_takes_from_a_season_leave_it_one():
    """A day of 24 rows has 13 windows of 12 steps; four such parts are four days."""
    numbers = span_numbers([np.arange(24 * k, 24 * k + 13) for k in range(4)], season=24)
    assert numbers.tolist() == [k for k in range(4) for _ in range(13)]


def test_many_seasons_are_joined():
    numbers = span_numbers([np.arange(203 * 24)], season=24)
    assert numbers.max() + 1 == MOST_SPANS
    lengths = np.bincount(numbers)
    assert set(lengths % 24) == {0}
    assert lengths.max() - lengths.min() == 24


@pytest.mark.parametrize("season", [None, 500])
def test_without_enough_seasons_spans_are_equally_long(season):
    assert np.bincount(span_numbers([np.arange(380)], season=season)).tolist() == [64, 63, 63, 64, 63, 63]


def test_shapes_that_do_not_fit_are_named():
    with pytest.raises(ValueError, match=r"spans \(4,\); give the same W windows"):
        compared(np.ones((1, 5)), np.ones((1, 5)), np.ones(5), np.zeros(4, dtype=int))
    with pytest.raises(ValueError, match="1 of them have an observed target; a test needs at least 2"):
        compared(np.ones((1, 5)), np.ones((1, 5)), np.ones(5), np.zeros(5, dtype=int))
