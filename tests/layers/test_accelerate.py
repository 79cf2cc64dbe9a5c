"""`accelerate` on models of PyG and on models like those of its examples: the same numbers, and the way back."""

import copy
import pickle
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
import torch_geometric.nn as pyg
from torch import nn
from torch_geometric.data import HeteroData
from torch_geometric.nn import models

import gnnkit
from gnnkit.layers import GATLayer, GCNLayer, SAGELayer, _trial
from gnnkit.layers._linear import Linear
from gnnkit.layers._trial import difference
from gnnkit.layers.accelerate import accelerate, decelerate

N, E = 30, 120


@pytest.fixture
def example():
    torch.manual_seed(0)
    return torch.randn(N, 16), torch.randint(N, (2, E))


@pytest.fixture
def any_speed(monkeypatch):
    """Clocks play no part: all sides take the same time."""
    monkeypatch.setattr(_trial, "seconds", lambda sides, device: [1.0 for _ in sides])


class Net(nn.Module):
    """As in most examples: some convolutions, a nonlinearity and dropout between them."""

    def __init__(self, *convs):
        super().__init__()
        self.convs = nn.ModuleList(convs)

    def forward(self, x, edge_index):
        for conv in self.convs[:-1]:
            x = F.dropout(F.elu(conv(x, edge_index)), p=0.5, training=self.training)
        return F.log_softmax(self.convs[-1](x, edge_index), dim=-1)


class Pooled(nn.Module):
    """Graph classification."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList(pyg.GINConv(models.MLP([width, 32, 32])) for width in (16, 32))
        self.head = models.MLP([32, 8, 4], norm=None)

    def forward(self, x, edge_index):
        for conv in self.convs:
            x = conv(x, edge_index).relu()
        return self.head(pyg.global_add_pool(x, torch.arange(N) // 10))


class Linked(nn.Module):
    """Link prediction: an encoder, and products of its embeddings."""

    def __init__(self):
        super().__init__()
        self.encoder = models.GAE(Net(pyg.GCNConv(16, 32), pyg.GCNConv(32, 8)))

    def forward(self, x, edge_index):
        return self.encoder.decode(self.encoder.encode(x, edge_index), edge_index)


class Propagated(nn.Module):
    """APPNP after a perceptron."""

    def __init__(self):
        super().__init__()
        self.lin, self.prop = nn.Linear(16, 4), pyg.APPNP(5, 0.1)

    def forward(self, x, edge_index):
        return self.prop(self.lin(x), edge_index)


def sequential():
    return pyg.Sequential(
        "x, edge_index",
        [(pyg.GraphConv(16, 8), "x, edge_index -> x"), nn.ReLU(), (pyg.TAGConv(8, 4), "x, edge_index -> x")],
    )


MODELS = {
    "GCN": (lambda: models.GCN(16, 32, 2, 4), 2),
    "GraphSAGE": (lambda: models.GraphSAGE(16, 32, 2, 4), 2),
    "GraphSAGE max": (lambda: models.GraphSAGE(16, 32, 2, 4, aggr="max"), 2),
    "GIN": (lambda: models.GIN(16, 32, 3, 4), 3),
    "GAT": (lambda: models.GAT(16, 32, 2, 4, heads=2), 2),
    "GCN with jumps": (lambda: models.GCN(16, 32, 3, 4, jk="cat"), 3),
    "GCN with norms": (lambda: models.GCN(16, 32, 3, 4, norm="BatchNorm", act="elu"), 3),
    "GraphUNet": (lambda: models.GraphUNet(16, 32, 4, depth=2), 5),
    "DeepGraphInfomax": (
        lambda: models.DeepGraphInfomax(8, models.GCN(16, 8, 1), lambda z, *_: z.mean(0), lambda x, e: (x.flip(0), e)),
        1,
    ),
    "ARGA": (lambda: Net(models.ARGA(models.GCN(16, 8, 1), nn.Linear(8, 1)).encoder, pyg.GCNConv(8, 4)), 2),
    "RECT_L": (lambda: models.RECT_L(16, 32), 1),
    "SGFormer": (lambda: models.SGFormer(16, 32, 4, trans_num_layers=1, gnn_num_layers=2), 2),
    "gcn.py": (lambda: Net(pyg.GCNConv(16, 8), pyg.GCNConv(8, 4)), 2),
    "gat.py": (lambda: Net(pyg.GATConv(16, 8, heads=2, dropout=0.6), pyg.GATConv(16, 4, concat=False)), 2),
    "sgc.py": (lambda: Net(pyg.SGConv(16, 4, K=2)), 1),
    "tagcn.py": (lambda: Net(pyg.TAGConv(16, 8), pyg.TAGConv(8, 4)), 2),
    "mutag_gin.py": (Pooled, 2),
    "link_pred.py": (Linked, 2),
    "appnp.py": (Propagated, 1),
    "sequential": (sequential, 2),
}


def outcome(model, args):
    model.zero_grad(set_to_none=True)
    torch.manual_seed(1)
    out = model(*args)
    parts = [part for part in (out if isinstance(out, tuple) else (out,)) if part.requires_grad]
    torch.manual_seed(2)
    sum((part * torch.randn_like(part)).sum() for part in parts).backward()
    return [
        *(part.detach() for part in parts),
        *(None if p.grad is None else p.grad.clone() for p in model.parameters()),
    ]


@pytest.mark.usefixtures("any_speed")
@pytest.mark.parametrize("name", list(MODELS))
def test_the_same_numbers_and_the_way_back(name, example):
    make, count = MODELS[name]
    torch.manual_seed(0)
    model = make().eval()
    if name == "SGFormer":
        example = (*example, torch.zeros(N, dtype=torch.long))
    if name == "RECT_L":
        example = (*example, torch.rand(E))
    before, parameters, classes = outcome(model, example), list(model.parameters()), list(map(type, model.modules()))
    report = accelerate(model, example)
    assert len(report.swapped) == count, report
    assert difference(outcome(model, example), before) <= 1e-5
    assert all(mine is theirs for mine, theirs in zip(model.parameters(), parameters, strict=True))
    assert decelerate(model) == count
    assert list(map(type, model.modules())) == classes
    assert difference(outcome(model, example), before) == 0.0


def test_in_place_for_optimisers_hooks_flags_and_checkpoints(example):
    torch.manual_seed(0)
    model, seen = models.GraphSAGE(16, 32, 2, 4), []
    twin, state = copy.deepcopy(model), list(model.state_dict())
    model.convs[0].register_forward_hook(lambda *arguments: seen.append(1))
    model.convs[1].eval()
    sides = [(one, torch.optim.Adam(one.parameters(), lr=0.1)) for one in (model, twin)]
    assert str(accelerate(model)).splitlines() == [
        "2 of 2 message-passing layers run on gnnkit",
        "  convs.0: SAGEConv → SAGELayer",
        "  convs.1: SAGEConv → SAGELayer",
    ]
    assert [conv.training for conv in model.convs] == [True, False]
    assert list(model.state_dict()) == state
    for one, optimiser in sides:
        for _ in range(2):
            optimiser.zero_grad()
            one(*example).square().mean().backward()
            optimiser.step()
    assert seen == [1, 1]
    torch.testing.assert_close(model(*example), twin(*example), rtol=1e-4, atol=1e-4)
    for again in (copy.deepcopy(model), pickle.loads(pickle.dumps(models.GCN(16, 8, 2)))):
        accelerate(again)
        again(*example).sum().backward()
    # A second time there is nothing to do, and a layer by itself is a model.
    assert len(accelerate(model).swapped) == 2
    layer = pyg.GCNConv(16, 4)
    assert str(accelerate(layer)) == "1 of 1 message-passing layers run on gnnkit\n  (the model): GCNConv → GCNLayer"
    assert type(layer) is GCNLayer


@pytest.mark.usefixtures("any_speed")
def test_kinds_of_nodes():
    data = HeteroData()
    data["paper"].x, data["author"].x = torch.randn(6, 4), torch.randn(3, 4)
    data["author", "writes", "paper"].edge_index = torch.tensor([[0, 1, 2, 0], [0, 3, 5, 2]])
    data["paper", "of", "author"].edge_index = torch.tensor([[0, 3, 5, 2], [0, 1, 2, 0]])
    torch.manual_seed(0)
    given = (data.x_dict, data.edge_index_dict)
    hetero = pyg.HeteroConv({edge: pyg.SAGEConv((-1, -1), 8) for edge in data.edge_types})
    with torch.no_grad():
        hetero(*given)
    made = pyg.to_hetero(models.GraphSAGE(4, 8, 2), data.metadata())
    for model, count in ((hetero, 2), (made, 4)):
        before = model(*given)
        report = accelerate(model, given)
        assert len(report.swapped) == count, report
        for kind, out in model(*given).items():
            torch.testing.assert_close(out, before[kind])
        assert {type(part) for part in model.modules()} >= {SAGELayer}


def test_what_stays_says_why(example, monkeypatch):
    class Own(pyg.GCNConv):
        pass

    model = Net(
        pyg.GCNConv(16, 16),
        Own(16, 16),
        pyg.SAGEConv(16, 16, aggr="median"),
        pyg.ClusterGCNConv(16, 16),
        GATLayer(16, 16),
    )
    model.spare = pyg.GCNConv(16, 16)
    monkeypatch.setattr(_trial, "seconds", lambda sides, device: [1.0, 0.5])
    report = accelerate(model, example)
    assert [layer.name for layer in report.swapped] == ["convs.0"]
    assert [(layer.name, layer.reason) for layer in report.left] == [
        ("convs.1", "it is a class of its own, made of GCNConv"),
        ("convs.2", "its aggregation is 'median', which gnnkit runs as PyG does"),
        ("convs.3", "gnnkit has no counterpart of ClusterGCNConv"),
        ("convs.4", "it is gnnkit's already"),
        ("spare", "the example does not reach it"),
    ]
    assert "1 of 6 message-passing layers run on gnnkit; the model is 2.0 × as fast" in str(report)
    assert "convs.0: GCNConv → GCNLayer, 2.0 × as fast" in str(report)
    assert "convs.3: ClusterGCNConv stays, because gnnkit has no counterpart" in str(report)


def test_what_is_slower_or_differs_is_undone(example, monkeypatch):
    model = models.GCN(16, 8, 2, 4)
    monkeypatch.setattr(_trial, "seconds", lambda sides, device: [1.0, 1.2])
    report = accelerate(model, example)
    assert [layer.reason for layer in report.layers] == ["it would be slower (1200.00 ms, PyG's 1000.00 ms)"] * 2
    monkeypatch.setattr(_trial, "seconds", lambda sides, device: [1.0, 1.0])
    monkeypatch.setattr(
        GCNLayer, "forward", lambda self, *given, **named: pyg.GCNConv.forward(self, *given, **named) * 1.001
    )
    report = accelerate(model, example)
    assert all("outputs or gradients would be" in layer.reason for layer in report.layers)

    def refuse(self, *given, **named):
        raise ValueError("no")

    monkeypatch.setattr(GCNLayer, "forward", refuse)
    assert [layer.reason for layer in accelerate(model, example).layers] == ["gnnkit's says: no"] * 2
    assert [type(conv) for conv in model.convs] == [pyg.GCNConv] * 2
    assert model.training
    assert all(parameter.grad is None for parameter in model.parameters())


@pytest.mark.usefixtures("any_speed")
def test_an_example_leaves_no_trace(example):
    model = Net(pyg.GCNConv(16, 8, cached=True), pyg.SGConv(8, 4, cached=True))
    state = torch.get_rng_state()
    assert len(accelerate(model, {"x": example[0], "edge_index": example[1]}).swapped) == 2
    assert torch.equal(torch.get_rng_state(), state)
    assert model.convs[0]._cached_edge_index is None
    assert model.convs[1]._cached_x is None


@pytest.mark.usefixtures("any_speed")
def test_a_model_that_writes_into_what_it_gave_a_layer_stays_as_it_is(example):
    class Residual(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm = nn.LayerNorm(16)
            self.conv = pyg.GINConv(nn.Sequential(nn.Linear(16, 4), nn.ReLU(), nn.Linear(4, 16)))

        def forward(self, x, edge_index):
            h = self.norm(x)
            h += self.conv(h, edge_index)  # PyG's keeps no h for the backward pass
            return h

    model = Residual()
    (layer,) = accelerate(model, example).layers
    assert layer.reason.startswith(
        "the whole model says: one of the variables needed for gradient computation has been"
    )
    assert type(model.conv) is pyg.GINConv
    model(*example).sum().backward()


def test_an_interruption_leaves_the_model_as_it_was(example, monkeypatch):
    def interrupt(sides, device):
        if len(calls := model.calls) == 2:  # after the trials of both layers: the whole model's
            raise KeyboardInterrupt
        calls.append(None)
        return [1.0, 1.0]

    model = models.GCN(16, 8, 2, 4)
    model.calls = []
    monkeypatch.setattr(_trial, "seconds", interrupt)
    with pytest.raises(KeyboardInterrupt):
        accelerate(model, example)
    assert [type(conv) for conv in model.convs] == [pyg.GCNConv] * 2
    assert type(model.convs[0].lin) is pyg.Linear


def test_the_way_back_leaves_the_users_own_parts():
    class Inner(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = SAGELayer(16, 16)

    own, theirs, inner = Linear(16, 16), pyg.Linear(16, 16), Inner()
    model = nn.ModuleList(pyg.GINConv(part) for part in (own, theirs, inner))
    model.append(pyg.TAGConv(16, 16))
    accelerate(model)
    assert type(theirs) is Linear
    assert decelerate(model) == 4
    assert [type(part) for part in (own, theirs, inner.layer.lin_l)] == [Linear, pyg.Linear, Linear]
    assert [type(part) for part in model[3].lins] == [pyg.Linear] * 4
    assert vars(theirs).keys() == vars(pyg.Linear(16, 16)).keys()


def test_mistakes_and_a_light_import():
    with pytest.raises(TypeError, match=r"model is a str: accelerate takes a torch\.nn\.Module"):
        accelerate("model")  # pyright: ignore[reportArgumentType]
    with pytest.raises(TypeError, match=r"model is a NoneType: decelerate takes a torch\.nn\.Module"):
        decelerate(None)  # pyright: ignore[reportArgumentType]
    with pytest.raises(AttributeError, match=r"module 'gnnkit' has no attribute"):
        gnnkit.decellerate  # noqa: B018
    code = "import gnnkit, sys; assert 'torch' not in sys.modules; print(gnnkit.accelerate.__name__)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "accelerate\n"
