"""Parameters, and the width that gives so many."""

import pytest

from gnnkit.compare.widths import count_parameters, match_width
from gnnkit.temporal import MODELS, build_forecaster

FORECASTERS = [name for name, entry in MODELS.items() if not entry.fits_itself]

SIZES = {"in_channels": 3, "horizon": 3, "history": 12, "num_nodes": 7, "time_channels": 2, "residual": True}


@pytest.mark.parametrize("model", FORECASTERS)
def test_counted_without_numbers_is_counted_with_them(model):
    forecaster = build_forecaster(model, hidden_channels=8, **SIZES)
    real = sum(parameter.numel() for parameter in forecaster.parameters() if parameter.requires_grad)
    assert count_parameters(model, 8, SIZES) == real


def test_a_gru_has_what_its_equations_say():
    width, features, horizon = 5, 3, 3
    gates = 3 * (width * features + width * width + 2 * width)
    assert count_parameters("gru", width, SIZES) == gates + width * horizon + horizon


@pytest.mark.parametrize("model", [name for name in MODELS if MODELS[name].has_width])
def test_no_other_width_comes_nearer(model):
    target = 200_000
    width, found = match_width(model, target, SIZES)
    assert width is not None
    assert found == count_parameters(model, width, SIZES)
    for other in (width - 1, width + 1):
        if other >= 4:  # MTGNN has a channel for each of four kernels at least
            assert abs(count_parameters(model, other, SIZES) - target) >= abs(found - target)
    if model not in ("agcrn", "d2stgnn", "stid-graph"):  # one channel more is over 4% of them
        assert found == pytest.approx(target, rel=0.02)


def test_a_target_that_a_width_meets_is_met():
    for width in (1, 2, 31, 64):
        assert match_width("tgcn", count_parameters("tgcn", width, SIZES), SIZES)[0] == width


def test_settings_count():
    plain = match_width("gru", 20_000, SIZES)[0]
    deep = match_width("gru", 20_000, SIZES, {"num_layers": 3})[0]
    assert plain is not None
    assert deep is not None
    assert deep < plain


def test_a_model_without_a_width_is_left_as_it_is():
    assert match_width("dlinear", 10_000, SIZES) == (None, count_parameters("dlinear", 16, SIZES))


def test_too_few_parameters_are_the_narrowest_model():
    assert match_width("gru", 1, SIZES) == (1, count_parameters("gru", 1, SIZES))
    assert match_width("mtgnn", 1, SIZES)[0] == 4


def test_what_cannot_be_had_is_an_error():
    with pytest.raises(ValueError, match=r"^parameters is 0; give a whole number of at least 1"):
        match_width("gru", 0, SIZES)
    with pytest.raises(
        ValueError, match=r"^parameters is 1000000000000000, and gru has \d+ at a width of 65536; ask for"
    ):
        match_width("gru", 10**15, SIZES)
    with pytest.raises(ValueError, match=r"model 'gru' has no setting 'depth'"):
        match_width("gru", 100, SIZES, {"depth": 2})
    with pytest.raises(ValueError, match=r"retain"):
        match_width("mtgnn", 100_000, SIZES, {"retain": 7.0})
