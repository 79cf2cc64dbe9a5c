"""Budgets: the same epochs, seconds, parameters or trials for every model."""

import pytest

from gnnkit.compare import make_spec
from gnnkit.compare.budget import budget_record, match_budget
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.data import simulate_traffic

SMALL = {
    "rivals": False,
    "quick_look": False,
    "seeds": [5, 6],
    "horizons": [2],
    "history": 4,
    "epochs": 1,
    "device": "cpu",
    "resamples": 100,
}


@pytest.fixture(scope="module")
def series():
    return simulate_traffic(num_nodes=5, days=1, seed=1)


def spec(**values):
    return FinalSpec(**SMALL | values)


def test_by_parameters_widths_differ_and_counts_agree(series):
    final = spec(models=["gru", "bilstm", "tgcn", "dlinear"], parameters=30_000)
    budget = match_budget(final, series)
    assert set(budget.chosen) == {"gru", "bilstm", "tgcn"}
    counts = budget.record["parameters"]
    assert all(abs(counts[model] / 30_000 - 1) <= 0.02 for model in budget.chosen)
    assert budget.record["widths"] == {
        **{model: chosen["hidden_channels"] for model, chosen in budget.chosen.items()},
        "dlinear": 0,
    }
    assert budget.record["sentence"] == (
        "The width of every model was chosen to give it 30,000 parameters; 3 of 4 came within 2%; dlinear has "
        f"{counts['dlinear']:,} ({100 * (counts['dlinear'] / 30_000 - 1):+.1f}%, as it has no width)."
    )


def test_the_first_model_is_the_target_where_none_is_given(series):
    budget = match_budget(spec(models=["lstm", "gru"], budget="parameters", hidden_channels=70), series)
    assert budget.record["widths"]["lstm"] == 70
    assert budget.record["parameters"]["gru"] == pytest.approx(budget.record["parameters"]["lstm"], rel=0.02)


def test_a_model_whose_steps_are_wide_is_named_with_its_distance():
    sentence = budget_record(
        spec(models=["gru", "mtgnn"], parameters=100),
        widths={"gru": 4, "mtgnn": 4},
        parameters={"gru": 101, "mtgnn": 300},
        target=100,
    )["sentence"]
    assert sentence.endswith("1 of 2 came within 2%; mtgnn has 300 (+200.0%, the nearest that its width allows).")


def test_by_epochs_nothing_is_chosen_and_parameters_are_counted(series):
    budget = match_budget(spec(models=["gru", "tgcn"], settings={"gru": {"hidden_channels": 3}}), series)
    assert budget.chosen == {}
    assert budget.record["widths"] == {"gru": 3, "tgcn": 16}
    many = budget.record["parameters"]
    assert budget.record["sentence"] == (
        "Every fit had the same 1 epoch at most, and stopped after 5 epochs without a better validation error. "
        f"Models have from {many['gru']:,} (gru) to {many['tgcn']:,} parameters (tgcn)."
    )


def test_by_seconds_epochs_are_no_limit(series):
    final = FinalSpec(models=["gru"], budget="seconds", max_seconds=2.5)
    assert (final.epochs, final.schedule) == (1000, "cosine")
    assert (
        match_budget(final, series)
        .record["sentence"]
        .startswith(
            "Every fit had the same 2.5 seconds of wall-clock time and at most 1000 epochs, and stopped after 5 epochs"
        )
    )
    assert make_spec(budget="seconds", max_seconds=2, epochs=3, schedule="cosine").epochs == 3


def test_a_setting_that_a_model_refuses_is_an_error_before_anything_is_trained(series):
    with pytest.raises(ValueError, match="retain"):
        match_budget(spec(models=["mtgnn"], settings={"mtgnn": {"retain": 9.0}}), series)


def test_quantile_heads_are_counted(series):
    plain, wide = (match_budget(spec(models=["gru"], intervals=kind), series) for kind in ("conformal", "quantile"))
    assert wide.record["parameters"]["gru"] > plain.record["parameters"]["gru"]


def test_the_sentence_on_trials_counts_what_became_of_them():
    def trial(number, val_mae=2.0, seconds=1.0, pruned=False, chosen=False, error=None):
        named = {"model": "gru", "trial": number, "settings": {}, "error": error, "chosen": chosen}
        return named | {"val_mae": val_mae, "seconds": seconds, "pruned": pruned, "epochs": 1}

    final = spec(models=["gru"], trials=4)
    rows = [trial(1, chosen=True), trial(2, pruned=True), trial(3, None), trial(4, None, None, error="no room")]
    counts = {"widths": {"gru": 16}, "parameters": {"gru": 9}}
    assert budget_record(final, **counts, tuning=rows)["sentence"] == (
        "Every model had 4 trials on the validation rows with seed 5: its settings as given, and 3 that Optuna's TPE "
        "drew from its search space; the best is compared. Trials saw no test row. 1 of 4 trials was ended early, "
        "being behind. 1 of 4 trials could not be built or did not end with finite numbers. 1 of 4 trials was lost "
        "(gru, trial 4: no room)."
    )
    broken = budget_record(final, **counts, tuning=[trial(1, None, chosen=True)])["sentence"]
    assert broken.endswith("No trial of gru came through: the settings as given are compared.")
