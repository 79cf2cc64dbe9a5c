from functools import partial

import pytest
import torch
from torch import nn

from gnnkit.sequence import BiLSTMForecaster, GRUForecaster, LSTMForecaster, RNNForecaster
from gnnkit.temporal import (
    A3TGCN,
    AGCRN,
    D2STGNN,
    DCRNN,
    MODELS,
    MTGNN,
    STGCN,
    STID,
    TGCN,
    DLinear,
    GCNForecaster,
    GraphWaveNet,
    ITransformer,
    MegaCRN,
    ModelEntry,
    PatchTST,
    STAEformer,
    build_forecaster,
    model_name,
)
from gnnkit.testing import check_forecaster

FORECASTERS = [name for name, entry in MODELS.items() if not entry.fits_itself]

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
    "dlinear": DLinear,
    "patchtst": PatchTST,
    "itransformer": ITransformer,
    "stid": STID,
    "staeformer": STAEformer,
    "stid-graph": STID,
    "gcn": GCNForecaster,
    "tgcn": TGCN,
    "tgcn-official": TGCN,
    "a3tgcn": A3TGCN,
    "dcrnn": DCRNN,
    "stgcn": STGCN,
    "graph-wavenet": GraphWaveNet,
    "d2stgnn": D2STGNN,
    "agcrn": AGCRN,
    "megacrn": MegaCRN,
    "mtgnn": MTGNN,
    "mtgnn-given": MTGNN,
    "mtgnn-both": MTGNN,
}
ATTENTIVE = ("itransformer", "staeformer")


@pytest.mark.parametrize("name", FORECASTERS)
def test_each_entry_says_what_it_is_and_builds(name):
    entry = MODELS[name]
    model = build_forecaster(name, **SIZES)
    assert entry.name == name
    assert type(model) is CLASSES.get(name, type(model))
    assert entry.description
    assert "\n" not in entry.description
    assert entry.paper.endswith(")")
    assert not {"in_channels", "num_nodes", "edge_index"} & set(entry.settings)


def test_the_names_and_their_order():
    assert [name for name in MODELS if name in CLASSES] == list(CLASSES)
    assert {
        name
        for name in FORECASTERS
        if MODELS[name].family == "graph" and not build_forecaster(name, **SIZES).uses_graph
    } == {
        "agcrn",
        "megacrn",
        "mtgnn",
    }


@pytest.mark.parametrize("name", FORECASTERS)
def test_every_model_keeps_the_contract(name):
    """What is asked of a stranger's model; and gnnkit's say truly whether they are tied to nodes and read a graph."""
    report, entry = check_forecaster(name), MODELS[name]
    model = build_forecaster(name, **SIZES)
    assert report["odd sizes"].outcome == report["gradients"].outcome == "ok"
    assert (report["node order"].outcome == "says") == ("num_nodes" in entry.arguments)
    graph = "It reads the edges" if model.uses_graph else "It reads nothing of the given graph, as it says."
    assert report["graph"].seen.startswith(graph)
    assert model.uses_graph or entry.family == "sequence" or model.learns_graph


@pytest.mark.parametrize("name", FORECASTERS)
def test_nodes_hear_each_other_by_a_graph_or_as_one_vector(name):
    """Or, of some transformers, because all nodes attend to all."""
    torch.manual_seed(0)
    model = build_forecaster(name, **SIZES).eval()
    x = torch.randn(2, 6, 4, 2)
    moved = x.clone()
    moved[:, :, 0] += 1.0
    others = (model(moved, EDGES, torch.ones(3)) - model(x, EDGES, torch.ones(3)))[:, :, 1:].abs().max()
    assert (others > 0) == (MODELS[name].family == "graph" or name.endswith("-joint") or name in ATTENTIVE)


@pytest.mark.parametrize("name", [name for name in FORECASTERS if MODELS[name].family == "graph"])
def test_a_graph_kept_as_edges_gives_what_its_matrix_gives(name, monkeypatch):
    torch.manual_seed(0)
    model = build_forecaster(name, **SIZES).double().eval()
    x, results = torch.randn(2, 6, 4, 2, dtype=torch.float64), []
    for limit in (1024, 1):
        monkeypatch.setattr("gnnkit.graph.propagation.DENSE_NODES", limit)
        out = model(x, EDGES.clone(), torch.tensor([1.0, 0.5, 2.0], dtype=torch.float64))
        model.zero_grad()
        out.square().sum().backward()
        results.append((out.detach(), [p.grad for p in model.parameters() if p.grad is not None]))
    torch.testing.assert_close(results[0], results[1], rtol=0, atol=1e-10)


def test_each_name_is_the_form_that_it_says():
    assert build_forecaster("lstm", **SIZES).form == "per-node"
    assert build_forecaster("lstm", **SIZES).num_nodes is None
    assert build_forecaster("lstm-joint", **SIZES).form == "joint"
    assert build_forecaster("lstm-joint", **SIZES).num_nodes == 4
    assert build_forecaster("gcn", **SIZES).history == 6
    assert [build_forecaster(name, **SIZES).graph for name in ("mtgnn", "mtgnn-given", "mtgnn-both")] == [
        "learned",
        "given",
        "both",
    ]
    assert build_forecaster("stid", **{**SIZES, "in_channels": 3}, time_channels=2).time_channels == 2
    assert [build_forecaster(name, **SIZES).diffusion_steps for name in ("stid", "stid-graph")] == [0, 2]
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
    assert build_forecaster("tgcn-official", **SIZES, gate_split="nodes").cell.gate_split == "nodes"


def test_settings_are_what_a_name_leaves_open():
    assert MODELS["lstm"].settings == {"num_layers": 1, "dropout": 0.0, "mask_input": False}
    assert MODELS["lstm-joint"].settings == MODELS["lstm"].settings
    assert MODELS["gcn"].settings == {"dropout": 0.0, "add_self_loops": "missing", "mask_input": False}
    assert list(MODELS["tgcn"].settings) == ["layers", "gate_convolutions", "add_self_loops", "mask_input"]
    assert MODELS["tgcn-official"].settings == {"gate_split": "channels", "add_self_loops": None, "mask_input": False}
    assert MODELS["dlinear"].settings == {"window": 25, "mask_input": False}
    assert "graph" not in MODELS["mtgnn"].settings
    assert "time_channels" not in MODELS["stid"].settings


@pytest.mark.parametrize(
    ("typed", "meant"), [("ltsm", "lstm"), ("TGCN", "tgcn"), ("bi-lstm", "bilstm"), ("grujoint", "gru-joint")]
)
def test_an_unknown_name_is_told_the_nearest(typed, meant):
    with pytest.raises(
        ValueError, match=rf"^unknown model '{typed}'; did you mean '{meant}'\? Known: rnn, lstm, .*mtgnn-both"
    ):
        build_forecaster(typed, **SIZES)


def test_a_name_that_is_near_to_nothing():
    with pytest.raises(ValueError, match=r"^unknown model 'xyz'; choose from rnn, "):
        build_forecaster("xyz", **SIZES)


def test_unknown_settings_are_told_what_there_is():
    with pytest.raises(
        ValueError, match=r"^model 'lstm' has no setting 'form', 'layers'; it accepts: num_layers, dropout, mask_input$"
    ):
        build_forecaster("lstm", **SIZES, layers=2, form="joint")
    with pytest.raises(ValueError, match=r"^model 'tgcn-official' has no setting 'layers'; it accepts: gate_split"):
        build_forecaster("tgcn-official", **SIZES, layers=2)


class Net(nn.Module):
    """Two numbers a node.

    And no more."""

    def __init__(
        self, horizon: int, num_nodes: int, edge_index: torch.Tensor, *, gain: float = 1.0, shift: float
    ) -> None:
        super().__init__()
        self.horizon, self.num_nodes, self.edge_index, self.gain, self.shift = (
            horizon,
            num_nodes,
            edge_index,
            gain,
            shift,
        )

    def forward(self, x, edge_index=None, edge_weight=None, *, mask=None, target=None, progress=None):
        return (self.gain * x[:, -1:, :, 0] + self.shift).expand(-1, self.horizon, -1)


class Plain(nn.Module):
    def forward(self, x):
        return x


class Strange(nn.Module):
    def forward(self, x, adjacency, *, mask=None):
        return x


class Told(Net):
    uses_graph = False


@pytest.fixture
def added():
    """Names that are taken out again."""
    names = []
    yield names
    for name in names:
        del MODELS[name]


def test_code_can_add_a_class(added):
    MODELS["net"] = Net
    MODELS["told"] = partial(Told, shift=0.5)
    MODELS["plain"] = ModelEntry("plain", "sequence", "nothing", Plain)
    added += ["net", "told", "plain"]
    assert (MODELS["net"].family, MODELS["net"].description, MODELS["net"].has_width) == (
        "graph",
        "Two numbers a node",
        False,
    )
    assert (MODELS["told"].family, list(MODELS["told"].settings)) == ("sequence", ["gain"])
    assert list(MODELS["net"].settings) == ["gain", "shift"]
    model = build_forecaster("net", **{**SIZES, "in_channels": 1}, edge_index=EDGES, shift=2.0)
    assert (model.horizon, model.num_nodes, model.shift, model.uses_graph) == (3, 4, 2.0, True)
    assert model.edge_index is EDGES
    assert not build_forecaster("told", **SIZES).uses_graph
    with pytest.raises(ValueError, match=r"^model 'net' needs a value for shift, .* set it: --set 'net.shift=…', "):
        build_forecaster("net", **SIZES)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("lstm", Net, "model 'lstm' is registered already; choose another name"),
        ("a b", Net, "model 'a b': a name has letters, digits"),
        ("x:y", Net, "model 'x:y': a name has letters, digits"),
        (
            "mine",
            3,
            "model 'mine' is 3, and should be a class of torch.nn.Module, a class with fit and predict, or a M",
        ),
        ("mine", nn.Linear(1, 1), "model 'mine' is a Linear, and should be .*; give its class"),
        ("mine", dict, "model 'mine' is the class dict, and should be a class of torch.nn.Module"),
        ("mine", len, "model 'mine' is a builtin_function_or_method, and should be a class of torch.nn.Module"),
        ("mine", Strange, "model 'mine': forward needs 'adjacency', which nobody has; it may take x, edge_index, "),
        ("mine", MODELS["gru"], "model 'mine': its record has the name 'gru'; give both the same one"),
    ],
)
def test_what_cannot_be_added(name, value, message):
    with pytest.raises(ValueError, match=message):
        MODELS[name] = value
    assert "mine" not in MODELS


@pytest.mark.parametrize("name", FORECASTERS)
def test_who_reads_a_graph_asks_for_one(name):
    model, x = build_forecaster(name, **SIZES), torch.randn(2, 6, 4, 2)
    if not model.uses_graph:
        assert model(x).shape == (2, 3, 4)
        return
    with pytest.raises(ValueError, match=r"edge_index (is None, but .* needs a graph|must be given where graph=)"):
        model(x)


@pytest.mark.parametrize("name", FORECASTERS)
def test_a_wrapper_hands_on_what_its_model_is_and_draws_it_anew(name):
    torch.manual_seed(0)
    core, model = build_forecaster(name, **SIZES), build_forecaster(name, **SIZES, residual=True).eval()
    for wrapped in (model, build_forecaster(name, **SIZES, quantiles=[0.1, 0.5])):
        assert wrapped.uses_graph == core.uses_graph
        assert wrapped.learns_graph == getattr(core, "learns_graph", False)
        assert wrapped.curriculum == getattr(core, "curriculum", 0.0)
    if model.learns_graph:
        assert torch.equal(model.learned_adjacency(), model.forecaster.learned_adjacency())
    if name != "dlinear":  # whose first weights are not drawn
        x = torch.randn(3, 6, 4, 2)
        before = model(x, EDGES)
        model.reset_parameters()
        assert not torch.equal(model(x, EDGES), before)


@pytest.mark.parametrize("name", FORECASTERS)
def test_every_model_can_read_the_mask(name):
    torch.manual_seed(0)
    # So wide that no layer's units are all dead.
    model = build_forecaster(name, **{**SIZES, "hidden_channels": 16}, mask_input=True).eval()
    if name == "dlinear":
        with torch.no_grad():
            model.rest.weight.normal_()
    x, mask = torch.randn(2, 6, 4, 2), torch.ones(2, 6, 4, 2, dtype=torch.bool)
    assert torch.equal(model(x, EDGES, mask=mask), model(x, EDGES))
    gap = mask.clone()
    gap[:, -1] = False
    assert not torch.equal(model(x, EDGES, mask=gap), model(x, EDGES))


@pytest.mark.parametrize("name", FORECASTERS)
def test_every_model_runs_under_autocast(name):
    torch.manual_seed(0)
    settings = {"node_groups": 2, "dropout": 0.0} if name.startswith("mtgnn") else {}
    model = build_forecaster(name, **SIZES, **settings)
    x, target = torch.randn(2, 6, 4, 2), torch.randn(2, 3, 4)
    out = []
    for enabled in (False, True):
        torch.manual_seed(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=enabled):
            out.append(model.train()(x, EDGES, torch.ones(3), target=target, progress=1.0).float())
    torch.testing.assert_close(out[1], out[0], rtol=0.05, atol=0.05)
    out[1].sum().backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)


@pytest.mark.parametrize("name", [name for name in FORECASTERS if hasattr(build_forecaster(name, **SIZES), "unroll")])
def test_states_are_chained(name):
    torch.manual_seed(0)
    model = build_forecaster(name, **SIZES).double()
    states = model.unroll(torch.randn(2, 6, 4, 2, dtype=torch.float64), EDGES)
    assert len(states) == 6
    (gradient,) = torch.autograd.grad(states[-1].sum(), states[0], allow_unused=name.startswith("bilstm"))
    assert name.startswith("bilstm") or gradient.abs().max() > 0


def test_a_class_has_a_name_by_which_it_is_found(added, tmp_path, monkeypatch):
    assert [model_name(model) for model in ("gru", DLinear, MODELS["tgcn"])] == ["gru", "dlinear", "tgcn"]
    assert model_name(TGCN) == "gnnkit.temporal.tgcn:TGCN"
    assert MODELS[model_name(TGCN)].build is TGCN
    (tmp_path / "net.py").write_text(
        "from torch import nn\nclass Net(nn.Module):\n    def forward(self, x):\n        return x\n"
    )
    from_file = MODELS[f"{tmp_path / 'net.py'}:Net"].build
    assert model_name(from_file) == f"{tmp_path / 'net.py'}:Net"
    monkeypatch.chdir(tmp_path)
    assert model_name(from_file) == "net.py:Net"


def test_what_is_found_nowhere_is_registered_for_this_process(added):
    def local(value):
        class Local(Net):
            uses_graph = value

        return Local

    first, again = local(True), local(False)
    added += ["Local", "Local-gain2.0", "Local-2"]
    assert [model_name(first), model_name(first)] == ["Local", "Local"]
    assert model_name(partial(first, gain=2.0)) == "Local-gain2.0"
    assert MODELS["Local-gain2.0"].settings == {"shift": MODELS["Local"].settings["shift"]}
    assert model_name(again) == "Local"  # defined anew, as by a cell that runs again
    assert MODELS["Local"].family == "sequence"
    other = type("Local", (Net,), {"__qualname__": "another.<locals>.Local"})
    assert model_name(other) == "Local-2"
    with pytest.raises(ValueError, match=r"^model 'Linear' is a Linear, and should be .*; give its class$"):
        model_name(nn.Linear(1, 1))


def test_an_entry_that_is_there_keeps_its_place():
    before = list(MODELS)
    assert model_name(MODELS["tgcn"]) == "tgcn"
    assert list(MODELS) == before
