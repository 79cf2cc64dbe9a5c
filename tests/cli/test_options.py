"""Options that are made from settings: each name, default and sentence is stated once, and read as the settings say."""

import json
import subprocess
import sys

import pytest
import typer

from gnnkit.cli import app, main
from gnnkit.cli.options import option_help, option_name, read_option
from gnnkit.compare import spec_schema
from gnnkit.compare.spec.comparison import ComparisonSpec
from gnnkit.forecasting.settings import FitSettings
from gnnkit.settings.comparison import ComparisonFields
from gnnkit.settings.fit import FitFields
from gnnkit.training import TrainingSettings


def options_of(verb):
    """The options of a verb, by the field or argument that they set."""
    command = typer.main.get_command(app).commands[verb]
    return {option.name: option for option in command.get_params(typer.Context(command))}


def schema_of(verb):
    return (spec_schema() if verb == "compare" else FitSettings.model_json_schema())["properties"]


@pytest.mark.parametrize(("verb", "settings"), [("compare", ComparisonSpec), ("train", FitSettings)])
def test_help_schema_and_fields_say_the_same(verb, settings):
    options, schema = options_of(verb), schema_of(verb)
    assert set(schema) == set(settings.model_fields) == set(options) - OWN[verb]
    values = json.loads(settings().model_dump_json())
    for name, field in settings.model_fields.items():
        key = f"--{name.replace('_', '-')}"
        assert option_name(name, field) in options[name].opts, name
        command = typer.main.get_command(app).commands[verb]
        words = [*(["gru"] if verb == "train" else []), key, *([] if options[name].is_flag else ["1"])]
        assert command.make_context(verb, words).params[name] in (True, "1", ["1"], ("1",)), name
        described = " ".join(schema[name]["description"].split())
        default = schema[name].get("default", {})
        assert default == values[name], name
        how, tail = WRITTEN.get(name, ""), "" if default in (None, [], {}) else f" Default: {shown(default)}."
        assert options[name].help == described + how + tail, name
        assert "[" not in described, f"{name}: rich would read it as markup"
        assert options[name].default in (None, []), f"{name}: only the settings know a default"
        assert option_help(field) == options[name].help


OWN = {
    "compare": {"help", "spec", "jobs", "cluster", "out", "resume", "schema", "track", "trust_code"},
    "train": {"help", "model", "setting", "node_features", "track", "seed", "out"},
}


WRITTEN = {
    "forecasts": " Repeatable.",
    "validation_forecasts": " Repeatable.",
    "seeds": " 3 is a count, and 7, a list of one.",
    "ablate_graph": " Without a value: all.",
    **dict.fromkeys(("data_options", "missing_values", "search", "settings", "allow_leaks"), " Repeatable."),
}


def shown(default):
    if isinstance(default, list):
        return ",".join(map(str, default))
    return f"{default:g}" if isinstance(default, float) else str(default).lower()


def test_one_fit_has_the_defaults_of_a_comparison_and_of_fit():
    fit, compared, trained = FitSettings(), ComparisonSpec(), TrainingSettings()
    assert {name: getattr(compared, name) for name in FitFields.model_fields} == dict(fit)
    shared = set(FitFields.model_fields) & set(TrainingSettings.model_fields)
    assert {"epochs", "learning_rate", "patience", "device", "schedule"} <= shared
    assert {name: getattr(trained, name) for name in shared} == {name: getattr(fit, name) for name in shared}


FIELDS = ComparisonFields.model_fields


@pytest.mark.parametrize(
    ("name", "texts", "value"),
    [
        ("epochs", "3", 3),
        ("epochs", "few", "few"),
        ("learning_rate", "1e-3", 1e-3),
        ("learning_rate", "inf", "inf"),
        ("series", "3", "3"),
        ("residual", False, False),
        ("loss", "mse", "mse"),
        ("horizons", "3, 6,12", [3, 6, 12]),
        ("horizons", "3,x", [3, "x"]),
        ("models", "gru,lstm,gcn", ["gru", "lstm", "gcn"]),
        ("seeds", "3", [0, 1, 2]),
        ("seeds", "7,", [7]),
        ("split", ".6,.2,.2", [0.6, 0.2, 0.2]),
        ("train_shares", ".1,1", [0.1, 1.0]),
        ("missing_values", ["-200", "9999, M"], [-200, 9999, "M"]),
        ("missing_values", ["nan,inf", "-200"], ["nan", "inf", -200]),  # JSON has neither
        ("allow_leaks", ["scaler", "mask"], ["scaler", "mask"]),
        ("data_options", ["days=2", "name=x=y"], {"days": 2, "name": "x=y"}),
        ("settings", ["gru.dropout=0.1", "gru.bias=true"], {"gru": {"dropout": 0.1, "bias": True}}),
        ("settings", ["a/my.py:Net.x=1.5", "my.v2.x=a.b"], {"a/my.py:Net": {"x": 1.5}, "my.v2": {"x": "a.b"}}),
    ],
)
def test_texts_become_values_and_what_is_no_number_is_left_to_the_settings(name, texts, value):
    read = read_option(name, FIELDS[name], texts)
    assert (read, type(read)) == (value, type(value))


def test_help_shows_one_name():
    assert option_name("horizons", FIELDS["horizons"]) == "--horizon"
    assert option_name("time_features", FIELDS["time_features"]) == "--time-features"
    assert option_name("batch_size", FIELDS["batch_size"]) == "--batch-size"


@pytest.mark.parametrize(
    ("words", "given"),
    [
        ("", {}),
        ("--ablate-graph", {"ablate_graph": "all"}),
        ("--ablate-graph --epochs 3", {"ablate_graph": "all", "epochs": "3"}),
        ("--ablate-graph gcn --no-residual", {"ablate_graph": "gcn", "residual": False}),
        ("--horizon 3 --horizon 6 --horizons 9", {"horizons": "9"}),
        ("--set a.b=1 --settings c.d=2", {"settings": ["a.b=1", "c.d=2"]}),
    ],
)
def test_words_are_taken_apart(words, given):
    command = typer.main.get_command(app).commands["compare"]
    values = command.make_context("compare", words.split()).params
    values = {name: list(v) if isinstance(v, tuple) else v for name, v in values.items() if name in FIELDS}
    assert {name: value for name, value in values.items() if value not in (None, [])} == given


@pytest.mark.parametrize("verb", ["compare", "train"])
def test_help_of_a_verb_loads_nothing_heavy(verb):
    code = (
        "import sys; from gnnkit.cli import app\n"
        f"app([{verb!r}, '--help'], standalone_mode=False)\n"
        "print([m for m in ('torch', 'pandas', 'lightning', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_the_key_of_a_spec_file_is_an_option_too(capsys):
    with pytest.raises(SystemExit) as left:
        main(["compare", "--horizons", "x", "--hidden-channels", "0", "--settings", "gru.dropout"])
    assert left.value.code == 2
    error = "settings: 'gru.dropout' is not MODEL.NAME=VALUE; write e.g. mtgnn.dropout=0.1"
    assert capsys.readouterr().err == f"gnnkit: {error}\n"
    with pytest.raises(SystemExit):
        main(["compare", "--horizons", "x", "--hidden-channels", "0"])
    error = "horizons: 'x' is not allowed: give a whole number; hidden_channels: 0 is not allowed: give at least 1"
    assert capsys.readouterr().err.startswith(f"gnnkit: {error}")
