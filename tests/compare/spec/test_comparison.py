"""What may be asked of a comparison, and what is said about the rest."""

import json

import pytest
from pydantic import ValidationError

from gnnkit.compare import DEFAULT_MODELS, ComparisonSpec, make_spec
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.temporal import MODELS


def test_defaults_are_the_simulated_network_with_sequence_and_graph_models():
    spec = make_spec()
    assert spec.models == DEFAULT_MODELS
    assert {MODELS[name].family for name in spec.models} == {"sequence", "graph"}
    assert (spec.horizons, spec.history, spec.seeds) == (None, None, (0, 1, 2))
    final = FinalSpec()
    assert (final.horizons, final.history) == ((3, 6, 12), 12)


def test_horizons_are_sorted():
    assert make_spec(horizons=[12, 3, 6]).horizons == (3, 6, 12)


def test_training_settings_carry_everything_but_the_seed():
    settings = make_spec(epochs=7, learning_rate=0.1, loss="mse", device="cpu", max_seconds=3).training_settings(24)
    assert (settings.epochs, settings.learning_rate, settings.loss, settings.device) == (7, 0.1, "mse", "cpu")
    assert (settings.max_seconds, settings.seed) == (3, 24)


def test_to_json_is_json_and_builds_the_same_spec(tmp_path):
    (tmp_path / "speeds.csv").write_text("1,2\n")
    spec = make_spec(series=tmp_path / "speeds.csv", season=288, models=["gru"], seeds=[7])
    document = json.loads(json.dumps(spec.to_json()))
    assert document["series"] == str(tmp_path / "speeds.csv")
    assert make_spec(**document) == spec


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"models": ["lstn"]}, "models: unknown model 'lstn'; did you mean 'lstm'? Known: rnn, lstm"),
        ({"models": ["xyzzy"]}, "models: unknown model 'xyzzy'; choose from rnn, lstm"),
        ({"models": []}, "models: no model is named; choose from rnn"),
        ({"models": ["gru", "gru"]}, "models: gru is given twice; give a model once"),
        ({"data": "los-lop"}, "data: unknown data set 'los-lop'; did you mean 'los-loop'? Known: simulated, los-loop"),
        (
            {"horizons": [3, -6]},
            "horizons: -6 is not a number of steps ahead; give positive whole numbers, e.g. 3,6,12",
        ),
        ({"horizons": [0]}, "horizons: 0 is not a number of steps ahead"),
        ({"horizons": []}, "horizons: no horizon is given"),
        ({"horizons": [3, 3]}, "horizons: 3 is given twice; give a horizon once"),
        ({"seeds": []}, "seeds: no seed is given; give a count (3) or a list (0,24,42)"),
        ({"seeds": [-1]}, "seeds: -1 is not a seed"),
        ({"seeds": [1, 1]}, "seeds: 1 is given twice"),
        ({"history": 0}, "history: 0 is not allowed: give at least 1"),
        ({"epochs": 1.5}, "epochs: 1.5 is not allowed: "),
        ({"loss": "rmse"}, "loss: 'rmse' is not allowed: give 'mae', 'mse' or 'huber'"),
        ({"device": "tpu"}, "device: device is 'tpu'; choose auto, cpu"),
        ({"epoch": 3}, "epoch: there is no such setting; did you mean 'epochs'?"),
        ({"series": "nowhere.csv"}, "series: no such file: nowhere.csv"),
        ({"graph": __file__}, "graph is given without series; give the file of the series too"),
        ({"series": __file__, "data": "simulated"}, "both data (simulated) and series ("),
        (
            {"loss": "mse", "intervals": "quantile"},
            "loss: 'mse' cannot be lowered with intervals 'quantile', which train on the pinball loss; leave one of "
            "them out",
        ),
        (
            {"series": __file__, "data_options": {"days": 2}, "data_root": "x"},
            "data_root, data_options: only for a known data set, not for series; leave it out",
        ),
        (
            {"search": {"gru": {"dropout": [0, 1]}}},
            "search: only with the budget 'trials', which is 'epochs'; leave one",
        ),
        (
            {"trials": 2, "search": {"gru": {"dropout": [0.5, 0.1]}}},
            "search.gru.dropout: [0.5, 0.1] is not allowed: give low < high",
        ),
        (
            {"trials": 2, "search": {"gru": {"num_layers": [1, 2.5]}}},
            "search.gru.num_layers: 1.0 is not allowed: give a whole number (default 1)",
        ),
        (
            {"trials": 2, "search": {"gru": {"dropuot": [0, 0.5]}}},
            "search.gru.dropuot: model 'gru' has no such setting; did you mean 'dropout'?",
        ),
        ({"trials": 2, "search": {"gruu": {"dropout": [0, 0.5]}}}, "search.gruu: unknown model 'gruu'"),
        ({"season": 288}, "season: only for your own files; give series, or leave it out"),
        ({"step_minutes": -5}, "step_minutes: -5 is not allowed: give more than 0"),
    ],
)
def test_errors_are_one_line_that_names_the_setting(values, message):
    with pytest.raises(ValueError) as caught:
        make_spec(**values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def test_a_document_raises_pydantics_error_which_tells_where_each_fault_is():
    with pytest.raises(ValidationError) as caught:
        ComparisonSpec.model_validate_json('{"models": ["lstn"], "epochs": "3"}', strict=True)
    assert [error["loc"] for error in caught.value.errors()][:2] == [("epochs",), ("models",)]


def test_quantiles_with_the_default_loss_and_what_is_read_back_from_it_are_allowed():
    spec = make_spec(intervals="quantile")
    assert make_spec(**json.loads(json.dumps(spec.to_json()))) == spec


def test_missing_values_and_decimals_are_those_of_own_files(tmp_path):
    path = tmp_path / "series.csv"
    path.write_text("a;b\n1,5;2\n")
    spec = make_spec(series=path, missing_values=[-200, "M"], decimal=",")
    assert (spec.missing_values, spec.decimal) == ((-200.0, "M"), ",")
    assert make_spec(series=path, missing_values=9999).missing_values == (9999.0,)
    assert ComparisonSpec.model_validate_json(spec.model_dump_json()) == spec
    with pytest.raises(ValueError, match="missing_values: only for your own files; give series, or leave it out"):
        make_spec(missing_values=[-200])
    with pytest.raises(ValueError, match=r"decimal: ';' is not allowed: give '\.' or ','"):
        make_spec(series=path, decimal=";")
