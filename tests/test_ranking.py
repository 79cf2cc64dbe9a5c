"""Scores of link prediction against scikit-learn and by hand."""

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, roc_auc_score

from gnnkit.ranking import (
    auprc,
    auroc,
    bootstrap_interval,
    filtered_ranks,
    hits_at,
    mean_reciprocal_rank,
    precision_at,
)


def drawn(seed, relations=7, ties=False):
    rng = np.random.default_rng(seed)
    relation = rng.integers(0, relations, 900)
    labels = rng.random(900) < 0.4
    scores = rng.normal(size=900) + labels
    return (np.round(scores) if ties else scores), labels, relation


@pytest.mark.parametrize("ties", [False, True])
def test_equal_to_scikit_learn_to_1e_9(ties):
    scores, labels, relation = drawn(0, ties=ties)
    got = auroc(scores, labels, relation, 7), auprc(scores, labels, relation, 7)
    for r in range(7):
        of = relation == r
        assert got[0][r] == pytest.approx(roc_auc_score(labels[of], scores[of]), abs=1e-9)
        assert got[1][r] == pytest.approx(average_precision_score(labels[of], scores[of]), abs=1e-9)


def decagon_apk(actual, predicted, k):
    """The paper's definition, hit by hit."""
    hits, score = 0, 0.0
    for place, item in enumerate(predicted[:k], start=1):
        if item in actual:
            hits += 1
            score += hits / place
    return score / min(len(actual), k)


def test_ap_at_k_is_the_papers():
    scores, labels, relation = drawn(1)
    got = precision_at(scores, labels, relation, 7, k=50)
    for r in range(7):
        of = np.flatnonzero(relation == r)
        ranked = of[np.argsort(-scores[of])].tolist()
        assert got[r] == pytest.approx(decagon_apk(set(of[labels[of]].tolist()), ranked, 50), abs=1e-12)


def test_a_constant_score_gains_nothing():
    labels, relation = np.array([True, False] * 60), np.zeros(120, dtype=int)
    assert auroc(np.zeros(120), labels, relation, 1)[0] == 0.5
    assert auprc(np.zeros(120), labels, relation, 1)[0] == 0.5
    assert precision_at(np.zeros(120), labels, relation, 1, k=50)[0] == 0.0


def test_what_is_not_defined_is_nan():
    scores, labels, relation = np.arange(3.0), np.array([True, False, True]), np.array([0, 1, 2])
    assert np.isnan(auroc(scores, labels, relation, 4)).all()
    np.testing.assert_array_equal(auprc(scores, labels, relation, 4), [1, np.nan, 1, np.nan])
    np.testing.assert_array_equal(precision_at(scores, labels, relation, 4), [1, np.nan, 1, np.nan])
    empty = np.zeros(0), np.zeros(0, dtype=bool), np.zeros(0, dtype=int)
    assert all(np.isnan(score(*empty, 2)).all() for score in (auroc, auprc, precision_at))


def test_relations_do_not_mix():
    scores, labels, relation = drawn(2)
    shifted = scores + 100.0 * relation
    for score in (auroc, auprc, precision_at):
        np.testing.assert_allclose(score(shifted, labels, relation, 7), score(scores, labels, relation, 7), rtol=1e-12)


def test_filtered_ranks_by_hand():
    scores = np.array([[0.1, 0.9, 0.5, 0.5], [0.3, 0.3, 0.3, 0.3]])
    np.testing.assert_array_equal(filtered_ranks(scores, [2, 0]), [2.5, 2.5])
    known = np.array([[False, True, True, False], [False, False, False, True]])
    np.testing.assert_array_equal(filtered_ranks(scores, [2, 0], known), [1.5, 2.0])
    assert not known[1, 0]  # the caller's array is left alone


def test_reciprocal_ranks_and_hits():
    ranks = np.array([1.0, 2.5, 10.0, 10.5])
    assert mean_reciprocal_rank(ranks) == pytest.approx((1 + 0.4 + 0.1 + 1 / 10.5) / 4)
    assert (hits_at(ranks, 1), hits_at(ranks, 10)) == (0.25, 0.75)
    assert np.isnan(mean_reciprocal_rank([]))
    assert np.isnan(hits_at([], 1))


def test_the_interval_covers_the_mean_and_narrows():
    values = np.random.default_rng(3).normal(size=400)
    low, high = bootstrap_interval(values)
    assert low < values.mean() < high
    assert high - low == pytest.approx(2 * 1.96 * values.std() / 20, rel=0.1)
    assert bootstrap_interval(np.append(values, np.nan)) == (low, high)
    low, high = bootstrap_interval(values, np.median)
    assert low < np.median(values) < high
    assert np.isnan(bootstrap_interval([np.nan])).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: auroc([1.0], [True], [0, 1], 2), "give one of each an edge"),
        (lambda: auprc([1.0], [True], [2], 2), "there are relations 0 to 1"),
        (lambda: auroc([np.nan], [True], [0], 1), "1 scores are NaN"),
        (lambda: precision_at([1.0], [True], [0], 1, k=0), "k is 0"),
        (lambda: filtered_ranks([[1.0]], [1]), "entities 0 to 0"),
        (lambda: filtered_ranks([[1.0]], [0], [[True, False]]), "one entry a score"),
        (lambda: filtered_ranks([[np.nan]], [0]), "NaN"),
        (lambda: filtered_ranks([1.0], [0]), "do not fit"),
        (lambda: bootstrap_interval([1.0], confidence=1.0), "confidence is 1.0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
