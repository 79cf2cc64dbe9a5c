from dataclasses import replace

import pytest

from gnnkit.compare.findings.difference import Words
from gnnkit.compare.neighbours.judged import _kind
from gnnkit.compare.neighbours.record import Answer, Gain, Left
from gnnkit.compare.neighbours.words import (
    answer_at,
    answer_of,
    below_margin,
    detectable_in_percent,
    interval_in_percent,
    left_in_words,
    percent,
)


def gain(against, difference, other, *, horizon=3, clear=False, p=0.2, detectable=0.3):
    low, high = difference - 0.1, difference + 0.1
    numbers = {"difference": difference, "low": low, "high": high, "clear": clear, "p": p, "detectable": detectable}
    return Gain(horizon=horizon, against=against, mae=other + difference, other=other, **numbers)


WORDS = Words("mph", 5.0)


def test_an_answer_at_a_horizon_has_its_numbers():
    gains = {"none": gain("none", -0.2, 4.0, clear=True, p=0.01), "shuffled": gain("shuffled", -0.1, 3.9, p=0.3)}
    assert answer_at("nodes", gains, WORDS) == (
        "Up to 15 minutes (3 steps) ahead: Not shown: other nodes help ridge regression, but its neighbours not "
        "clearly more than shuffled ones: MAE 3.8 mph with the neighbours of the given graph, 4 mph without (−5.0%, "
        "95% interval −7.5% to −2.5%, p = 0.010) and 3.9 mph with shuffled ones (−2.6%, 95% interval −5.1% to 0.0%, "
        "p = 0.300). A true difference of 0.3 mph (7.7%) would be found with a chance of 80%; this one, in 9 times the "
        "rows."
    )


def test_the_answer_over_horizons_puts_the_same_together():
    gains = [gain("none", -0.2, 4.0, horizon=p) for p in (3, 6, 12)]
    kinds = zip((3, 6, 12), ("graph", "graph", "open"), strict=True)
    answers = [Answer(horizon=p, kind=kind, sentence="") for p, kind in kinds]
    kind, sentence = answer_of(answers, gains, WORDS)
    assert kind == "some"
    assert sentence == (
        "Yes: ridge regression gains by its neighbours, and shuffled neighbours do not give it that (up to 15 and 30 "
        "minutes: at 30 minutes −5.0% error). Open: ridge regression is not told apart with and without its neighbours "
        "(up to 60 minutes: −5.0% error; 7.5% would be found with a chance of 80%)."
    )


def test_a_gain_of_less_than_the_margin_is_not_the_graphs():
    """Clear against shuffled graphs, and smaller than what matters."""
    shuffled = gain("shuffled", -0.02, 3.82, clear=True, p=0.01)
    shuffled = replace(shuffled, low=-0.03, high=-0.01)
    own = {"none": gain("none", -0.2, 4.0, clear=True, p=0.01), "shuffled": shuffled}
    assert below_margin(shuffled)
    assert not below_margin(own["none"])
    said = "Not shown: other nodes help ridge regression, and its neighbours less than 1% more than shuffled ones"
    assert said in answer_at("nodes", own, WORDS)
    answers = [Answer(horizon=3, kind="nodes", sentence="")]
    assert answer_of(answers, list(own.values()), WORDS)[1].startswith(f"{said} (up to 15 minutes: −5.0% error")


@pytest.mark.parametrize(
    ("difference", "half", "kind"),
    [
        (0.002, 0.001, "no"),  # clear, and too small to matter
        (-0.002, 0.001, "no"),
        (0.002, 0.0385, "no"),
        (0.2, 0.1, "harms"),
        (-0.2, 0.1, "nodes"),
        (-0.02, 0.1, "open"),
    ],
)
def test_the_kind_agrees_with_interval_and_mark(difference, half, kind):
    low, high = difference - half, difference + half
    own = replace(gain("none", difference, 4.0), low=low, high=high, clear=low * high > 0)
    assert _kind({"none": own}) == kind


def test_a_change_too_small_for_a_decimal_is_not_printed_as_none():
    tiny = gain("none", 0.0012, 4.0, clear=True, detectable=0.001)
    assert percent(tiny.share) == "+0.03%"
    assert detectable_in_percent(tiny) == "0.03%"
    assert detectable_in_percent(replace(tiny, detectable=1e-6)) == "<0.01%"
    assert detectable_in_percent(None) == "–"


def left_row(model, *, clear):
    return Left(model=model, part="lagged", statistic=2.0, p=0.03, agreement=0.55, clear=clear)


@pytest.mark.parametrize(
    ("without", "with_graph", "said"),
    [
        (True, False, ("something is left that", "nothing more is seen")),
        (True, True, ("something is left that", "something is left still")),
        (False, True, ("their signs show nothing that", "of ridge-graph: something is seen here")),
        (False, False, ("their signs show nothing that", "of ridge-graph: nothing is seen")),
    ],
)
def test_what_is_said_of_both_models_does_not_contradict_itself(without, with_graph, said):
    sentence = left_in_words([left_row("ridge", clear=without), left_row("ridge-graph", clear=with_graph)])
    assert all(text in sentence for text in said)
    asked = "Neighbours tell of the next step: --horizon 1 asks about that alone."
    assert asked not in sentence  # the next step was scored
    rows = [left_row("ridge", clear=without), left_row("ridge-graph", clear=with_graph)]
    assert (asked in left_in_words(rows, shortest=6)) == (without and not with_graph)
    assert asked not in left_in_words(rows, shortest=6, found=True)


def test_an_error_of_zero_has_no_percent():
    assert interval_in_percent(gain("none", 0.0, 0.0)) == "–"


@pytest.mark.parametrize(
    ("clear", "said"), [(True, "something is left that"), (False, "their signs show nothing that")]
)
def test_what_is_left_is_said_with_both_shares(clear, said):
    row = Left(model="ridge", part="lagged", statistic=5.0, p=1e-6, agreement=0.55, shuffled=0.5, shuffled_p=0.02)
    row = Left(**{**row.__dict__, "clear": clear})
    sentence = left_in_words([row])
    assert said in sentence
    assert "(55.0% agree in sign, p < .001; 50.0% on shuffled graphs, p = .020 against them)" in sentence
    assert left_in_words([]) == ""
