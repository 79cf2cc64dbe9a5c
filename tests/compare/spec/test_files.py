"""A spec as a file: what is read, and what is said about the rest."""

import json

import pytest

from gnnkit.compare import make_spec, read_spec, spec_schema
from gnnkit.compare.spec.comparison import ComparisonSpec
from gnnkit.data.scaling import SCALERS
from gnnkit.temporal import MODELS


@pytest.fixture
def write(tmp_path):
    def write(text):
        (tmp_path / "spec.toml").write_bytes(text if isinstance(text, bytes) else text.encode())
        return tmp_path / "spec.toml"

    return write


WHOLE = """
data = "simulated"
horizons = [12, 3]
models = ["gru", "mtgnn"]
seeds = [7]
learning_rate = 1e-3
ablate_graph = "all"
train_shares = [1, 0.5]

[data_options]
num_nodes = 16

[settings.mtgnn]
dropout = 0
hidden_channels = 32
"""


def test_a_file_is_a_spec(write):
    spec = read_spec(write(WHOLE))
    assert spec == make_spec(
        data="simulated",
        horizons=[3, 12],
        models=["gru", "mtgnn"],
        seeds=[7],
        learning_rate=1e-3,
        ablate_graph=["mtgnn"],
        train_shares=[0.5, 1.0],
        data_options={"num_nodes": 16},
        settings={"mtgnn": {"dropout": 0.0, "hidden_channels": 32}},
    )


def test_options_override_the_file_and_settings_are_merged(write):
    more = {"seeds": [1, 2], "settings": {"mtgnn": {"dropout": 0.5}, "gru": {"num_layers": 2}}}
    spec = read_spec(write(WHOLE), more | {"data_options": {"days": 2}})
    assert spec.seeds == (1, 2)
    assert spec.settings == {"mtgnn": {"dropout": 0.5, "hidden_channels": 32}, "gru": {"num_layers": 2}}
    assert spec.data_options == {"num_nodes": 16, "days": 2}


def test_paths_are_relative_to_the_file(write, tmp_path, monkeypatch):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "speeds.csv").write_text("1,2\n")
    monkeypatch.chdir("/")
    assert read_spec(write('series = "in/speeds.csv"')).series == tmp_path / "in" / "speeds.csv"
    assert read_spec(write(f'series = "{tmp_path}/in/speeds.csv"')).series == tmp_path / "in" / "speeds.csv"


BAD = {
    "empty": ("", ' is empty; write what to compare, e.g. models = ["gru", "tgcn"], or leave it out'),
    "comments": ("# epochs = 3\n", " is empty; write what to compare"),
    "binary": (b'epochs = 3\nloss = "\xe9"\n', ":2: byte 0xe9 is not UTF-8; save the file as UTF-8"),
    "no TOML": ("epochs = 3\nloss = mae\n", ":2: not TOML: invalid value in 'loss = mae': texts stand in quotes, "),
    "no equals": ("epochs 3\n", ":1: not TOML: expected '=' after a key in a key/value pair in 'epochs 3': a line is "),
    "twice": ("epochs = 3\n\nepochs = 4\n", ":3: not TOML: cannot overwrite a value in 'epochs = 4': the key is given"),
    "open list": ("seeds = [1,\n2\n", ":2: not TOML: "),
    "unknown key": ("\n\nepoch = 3", ":3: epoch: there is no such setting; did you mean 'epochs'?"),
    "unknown table": (
        "epochs = 3\n[setings.gru]\nx = 1",
        ":2: setings: there is no such table; did you mean 'settings'?",
    ),
    "quoted number": ('loss = "mae"\nepochs = "3"', ":2: epochs: '3' is not allowed: give a whole number"),
    "truth value": ("seeds = [\n 0,\n true]", ":3: seeds: True is not allowed: give a whole number"),
    "table": (
        "[training]\nepochs = 3",
        ":1: training: there is no such table; all keys but settings, search and data_options ",
    ),
    "no list": ('models = "gru, tgcn"', ':1: models: \'gru, tgcn\' is not a list; write ["gru", "tgcn"]'),
    "a date": ("epochs = 2024-01-01", ":1: epochs: 2024-01-01 is a date, and no setting is one"),
    "infinite": ("learning_rate = inf", ":1: learning_rate: inf is not allowed: give a finite number"),
    "item": ('models = [\n  "gru",\n  "tgcm",\n]', ":3: models: unknown model 'tgcm'; did you mean 'tgcn'? Known: rnn"),
    "setting": (
        'models = ["mtgnn"]\n[settings.mtgnn]\n\ndropuot = 0.3',
        ":4: settings.mtgnn.dropuot: model 'mtgnn' has no such setting; did you mean 'dropout'? Known: hidden_channels",
    ),
    "dotted setting": ("settings.gru.dropout = true", ":1: settings.gru.dropout: True is not allowed: give a number"),
    "range": (
        'models = ["gru"]\ntrials = 2\n[search.gru]\nlearning_rate = ["log", 0.0, 0.1]',
        ":4: search.gru.learning_rate: ['log', 0.0, 0.1] is not allowed: give 0 < low < high",
    ),
    "inline setting": (
        "settings = { gru = { num_layers = 0.5 } }",
        ":1: settings.gru.num_layers: 0.5 is not allowed: give a whole number (default 1)",
    ),
    "ablation": ('\nablate_graph = ["gru"]', ":2: ablate_graph: 'gru' is none of the graph models that are compared; "),
    "leak": (
        'allow_leaks = ["shufled-test"]',
        ":1: allow_leaks: 'shufled-test' is no cause of a leak; did you mean 'shu",
    ),
    "missing file": ('epochs = 1\nseries = "nowhere.csv"', ":2: series: no such file: "),
    "folder": ('series = "."', " is a folder; give a file"),
    "two sources": ('data = "simulated"\nseries = "spec.toml"', ": both data (simulated) and series ("),
    "budget": ('budget = "seconds"', ":1: budget: 'seconds' needs max_seconds; give it, e.g. 60"),
    "width": (
        "parameters = 9000\n[settings.gru]\nhidden_channels = 4",
        ":3: settings.gru.hidden_channels: the width is found by the budget 'parameters'; leave it out",
    ),
    "split": (
        "split = [0.5, 0.2, 0.2]",
        ":1: split: 0.5, 0.2, 0.2 are not three positive shares with sum 1; give e.g. 0.7",
    ),
    "short split": ("split = [0.5, 0.5]", ":1: split: [0.5, 0.5] is too short: there is no value 3"),
}


@pytest.mark.parametrize("name", BAD)
def test_errors_are_one_line_with_file_line_and_key(name, write):
    text, message = BAD[name]
    path = write(text)
    with pytest.raises(ValueError) as caught:
        read_spec(path)
    assert str(caught.value).startswith(str(path)) or name == "folder"
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_all_faults_are_found_at_once(write):
    path = write('epochs = 0\nloss = "x"\n\nmodels = ["a"]\ndevice = "tpu"\nclip = 0\n')
    with pytest.raises(ValueError) as caught:
        read_spec(path)
    text = str(caught.value)
    assert text.startswith(f"{path}:1: epochs: 0 is not allowed: ")
    assert f"; {path}:2: loss: 'x' is not allowed: " in text
    assert f"; {path}:4: models: unknown model 'a'" in text
    assert text.endswith("; and 2 more")


def test_a_fault_of_an_option_has_no_line_of_the_file(write):
    with pytest.raises(ValueError, match=r"^epochs: 0 is not allowed"):
        read_spec(write("epochs = 3"), {"epochs": 0})


def test_no_file_and_a_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^spec: no such file: .*nowhere.toml$"):
        read_spec(tmp_path / "nowhere.toml")
    with pytest.raises(ValueError, match=r"^spec: .* is a folder; give a TOML file$"):
        read_spec(tmp_path)


def test_the_schema_names_what_may_be_given():
    schema = spec_schema()
    assert json.loads(json.dumps(schema)) == schema
    fields = schema["properties"]
    assert list(fields) == list(ComparisonSpec.model_fields)
    assert all(len(field["description"]) > 10 for field in fields.values())
    assert fields["models"]["items"]["anyOf"][0]["enum"] == list(MODELS)
    assert (fields["epochs"]["default"], fields["budget"]["default"], fields["epochs"]["minimum"]) == (8, "epochs", 1)
    assert fields["settings"]["properties"]["mtgnn"]["properties"]["dropout"] == {"type": "number", "default": 0.3}
    assert fields["settings"]["properties"]["gru"]["properties"]["hidden_channels"] == {"type": "integer"}
    assert "hidden_channels" not in fields["settings"]["properties"]["dlinear"]["properties"]
    assert "dropout" in fields["search"]["properties"]["mtgnn"]["properties"]


@pytest.mark.parametrize("place", ["my.py:Net", "some/folder/my-nets.py:Net", "pkg:Net", "pkg.mod:Net"])
def test_a_model_of_ones_own_is_valid_by_the_schema(place):
    check = pytest.importorskip("jsonschema").Draft202012Validator(spec_schema()).is_valid
    spec = {"models": ["gru", place], "ablate_graph": [place], "settings": {place: {"layers": 2}}}
    assert check({**spec, "search": {place: {"layers": [1, 3]}}})
    assert not check({"models": [place + ":"]})
    assert not check({"settings": {place: 2}})
    for wrong in ("gruu", "my.py", ":Net", "my.py:", "a b:Net", "pkg.mod:2"):
        assert not check({"models": [wrong]})
        assert not check({"settings": {wrong: {"layers": 2}}})


def test_the_spec_knows_every_scaler():
    assert spec_schema()["properties"]["scaler"]["enum"] == list(SCALERS)


def test_a_model_in_a_file_lies_beside_the_spec(write, tmp_path, monkeypatch):
    (tmp_path / "specs").mkdir()
    text = """
from torch import nn
class Net(nn.Module):
    def __init__(self, *, gain=1.0):
        super().__init__()
    def forward(self, x, edge_index):
        return x
"""
    (tmp_path / "specs" / "my.py").write_text(text)
    file = tmp_path / "specs" / "spec.toml"
    file.write_text('models = ["gru", "my.py:Net"]\nablate_graph = ["my.py:Net"]\n[settings."my.py:Net"]\ngain = 2\n')
    monkeypatch.chdir(tmp_path)
    spec = read_spec("specs/spec.toml", {"settings": {"specs/my.py:Net": {"learning_rate": 0.5}}})
    assert spec.models == ("gru", "specs/my.py:Net")
    assert spec.ablate_graph == ("specs/my.py:Net",)
    assert spec.settings == {"specs/my.py:Net": {"gain": 2.0, "learning_rate": 0.5}}
