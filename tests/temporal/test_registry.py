import pytest
import torch

from gnnkit.sequence import BiLSTMForecaster, GRUForecaster, LSTMForecaster, RNNForecaster
from gnnkit.temporal import MODELS, TGCN, GCNForecaster, build_forecaster

SIZES = {"in_channels": 2, "horizon": 3, "history": 6, "num_nodes": 4, "hidden_channels": 5}
EDGES = torch.tensor([[0, 1, 2], [1, 2, 3]])
CLASSES = {
    "rnn": RNNForecaster,
    "lstm": LSTMForecaster,
    "bilstm": BiLSTMForecaster,
    "gru": GRUForecaster,
    "rnn-joint": RNNForecaster,
    "lstm-joint": LSTMForecaster,
    "bilstm-joint": BiLSTMForecaster,
    "gru-joint": GRUForecaster,
    "gcn": GCNForecaster,
    "tgcn": TGCN,
    "tgcn-official": TGCN,
}


def test_the_names_and_their_models():
    assert list(MODELS) == list(CLASSES)
    for name, entry in MODELS.items():
        assert entry.name == name
        assert type(build_forecaster(name, **SIZES)) is CLASSES[name]
        assert entry.description
        assert "\n" not in entry.description
        assert entry.paper.endswith(")")


@pytest.mark.parametrize("name", CLASSES)
def test_the_family_says_whether_the_graph_makes_a_difference(name):
    torch.manual_seed(0)
    model = build_forecaster(name, **SIZES).eval()
    x = torch.randn(2, 6, 4, 2)
    out, without = model(x, EDGES, torch.ones(3)), model(x, EDGES[:, :0], torch.ones(0))
    assert out.shape == (2, 3, 4)
    assert model.uses_graph == (MODELS[name].family == "graph") == (not torch.equal(out, without))


def test_each_name_is_the_form_that_it_says():
    assert build_forecaster("lstm", **SIZES).form == "per-node"
    assert build_forecaster("lstm", **SIZES).num_nodes is None
    assert build_forecaster("lstm-joint", **SIZES).form == "joint"
    assert build_forecaster("lstm-joint", **SIZES).num_nodes == 4
    assert build_forecaster("gcn", **SIZES).history == 6
    paper, official = build_forecaster("tgcn", **SIZES).cell, build_forecaster("tgcn-official", **SIZES).cell
    assert (paper.graph_convolution, paper.layers) == ("input", 2)
    assert (official.graph_convolution, official.layers) == ("input_and_state", 1)


def test_sizes_and_settings_arrive():
    model = build_forecaster("gru", **{**SIZES, "hidden_channels": 7}, num_layers=2, dropout=0.25)
    assert (model.in_channels, model.hidden_channels, model.horizon, model.num_layers) == (2, 7, 3, 2)
    assert model.dropout == 0.25
    del model
    default = build_forecaster("tgcn", in_channels=1, horizon=3, history=6, num_nodes=4)
    assert default.cell.hidden_channels == 64
    assert build_forecaster("tgcn", **SIZES, layers=1, gate_convolutions="separate").cell.layers == 1


def test_settings_are_what_a_name_leaves_open():
    assert MODELS["lstm"].settings == {"num_layers": 1, "dropout": 0.0, "mask_input": False}
    assert MODELS["lstm-joint"].settings == MODELS["lstm"].settings
    assert MODELS["gcn"].settings == {"dropout": 0.0, "add_self_loops": "missing", "mask_input": False}
    assert list(MODELS["tgcn"].settings) == ["layers", "gate_convolutions", "add_self_loops", "mask_input"]
    assert list(MODELS["tgcn-official"].settings) == ["add_self_loops", "mask_input"]


@pytest.mark.parametrize(
    ("typed", "meant"), [("ltsm", "lstm"), ("TGCN", "tgcn"), ("bi-lstm", "bilstm"), ("grujoint", "gru-joint")]
)
def test_an_unknown_name_is_told_the_nearest(typed, meant):
    with pytest.raises(
        ValueError, match=rf"^unknown model '{typed}'; did you mean '{meant}'\? allowed: rnn, lstm, .*tgcn-official$"
    ):
        build_forecaster(typed, **SIZES)


def test_a_name_that_is_near_to_nothing():
    with pytest.raises(ValueError, match=r"^unknown model 'xyz'; allowed: rnn, "):
        build_forecaster("xyz", **SIZES)


def test_unknown_settings_are_told_what_there_is():
    with pytest.raises(
        ValueError, match=r"^model 'lstm' has no setting 'form', 'layers'; it accepts: num_layers, dropout, mask_input$"
    ):
        build_forecaster("lstm", **SIZES, layers=2, form="joint")
    with pytest.raises(ValueError, match=r"^model 'tgcn-official' has no setting 'layers'; it accepts: add_self_loops"):
        build_forecaster("tgcn-official", **SIZES, layers=2)


def test_the_registry_cannot_be_changed_by_accident():
    with pytest.raises(TypeError):
        MODELS["lstm"] = MODELS["gru"]
