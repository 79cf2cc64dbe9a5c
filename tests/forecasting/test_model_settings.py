"""Settings of single models."""

import pytest

from gnnkit.compare import DEFAULT_MODELS, make_spec
from gnnkit.forecasting.model_settings import check_settings, known_settings
from gnnkit.temporal import MODELS, build_forecaster


def test_a_model_has_a_width_where_its_constructor_takes_one():
    assert {name: MODELS[name].has_width for name in ("dlinear", "gru", "stid")} == {
        "dlinear": False,
        "gru": True,
        "stid": True,
    }


def test_what_a_model_knows_is_what_it_is_built_with():
    assert known_settings("dlinear") == ["learning_rate", "weight_decay", "window", "mask_input"]
    for model in (name for name, entry in MODELS.items() if not entry.fits_itself):
        own = {name: MODELS[model].settings[name] for name in known_settings(model) if name in MODELS[model].settings}
        build_forecaster(model, in_channels=1, horizon=2, history=12, num_nodes=3, hidden_channels=8, **own)


def test_values_take_the_type_of_the_default():
    checked = check_settings({"mtgnn": {"dropout": 0, "layers": 2, "node_features": None}}, ["mtgnn"])
    assert checked == {"mtgnn": {"dropout": 0.0, "layers": 2, "node_features": None}}
    assert isinstance(checked["mtgnn"]["dropout"], float)


BAD = {
    "settings.lstn: unknown model 'lstn'; did you mean 'lstm'?": {"lstn": {}},
    "settings.mtgnn: 'mtgnn' is not among the models that are compared; add it to models, or leave this out": {
        "mtgnn": {}
    },
    "settings.gru.dropuot: model 'gru' has no such setting; did you mean 'dropout'? Known: hidden": {
        "gru": {"dropuot": 0.1}
    },
    "settings.gru.dropout: 'x' is not allowed: give a number (default 0)": {"gru": {"dropout": "x"}},
    "settings.gru.dropout: True is not allowed: give a number (default 0)": {"gru": {"dropout": True}},
    "settings.gru.num_layers: 1.5 is not allowed: give a whole number (default 1)": {"gru": {"num_layers": 1.5}},
    "settings.gru.mask_input: 1 is not allowed: give true or false": {"gru": {"mask_input": 1}},
    "settings.gcn.add_self_loops: 1 is not allowed: give a text (default 'missing')": {"gcn": {"add_self_loops": 1}},
    "settings.gru.hidden_channels: 0 is not allowed: give a whole number of at least 1": {
        "gru": {"hidden_channels": 0}
    },
    "settings.gru.learning_rate: 0 is not allowed: give a positive number": {"gru": {"learning_rate": 0}},
    "settings.gru.weight_decay: -1 is not allowed: give 0 or a positive number": {"gru": {"weight_decay": -1}},
}


@pytest.mark.parametrize("message", BAD)
def test_errors_name_model_and_setting(message):
    with pytest.raises(ValueError) as caught:
        make_spec(models=DEFAULT_MODELS, settings=BAD[message])
    assert str(caught.value).startswith(message)


def test_a_model_without_a_width_says_so():
    with pytest.raises(
        ValueError, match=r"settings.dlinear.hidden_channels: model 'dlinear' has no width; leave it out"
    ):
        make_spec(models=["dlinear"], settings={"dlinear": {"hidden_channels": 4}})
