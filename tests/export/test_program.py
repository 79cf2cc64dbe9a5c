"""Programs: torch's operators alone, checked against their module; failures name the operator."""

import re

import pytest
import torch
from torch import nn

from gnnkit.export.graphs import KINDS, WEIGHTS, random_graph
from gnnkit.export.program import Export, ExportError, Value, check_agreement, export_program, failed_operator
from gnnkit.layers import GATLayer, GCN2Layer, GCNLayer, RelationalGCNLayer

X, EDGES = Value("x", ("N", 4), "features"), Value("edge_index", (2, "E"), "edges", dtype="int64")
WEIGHT, KIND = Value("edge_weight", ("E",), "weights"), Value("edge_type", ("E",), "relations", dtype="int64")


class Layer(nn.Module):
    """A layer whose output has a name."""

    def __init__(self, layer, first=False):
        super().__init__()
        self.layer, self.first = layer, first

    def forward(self, x, edge_index, edge_weight=None, edge_attr=None, edge_type=None):
        start = (x, x * 2) if self.first else (x,)
        given = {"edge_weight": edge_weight, "edge_attr": edge_attr, "edge_type": edge_type}
        more = {name: value for name, value in given.items() if value is not None}
        return {"out": self.layer(*start, edge_index, **more)}


def draw_with(inputs):
    def draw(seed):
        count = 7 if seed < 0 else 1 + seed * 5 % 13
        graph = random_graph(count, max(seed, 0))
        generator = torch.Generator().manual_seed(seed + 1)
        drawn = {"x": torch.randn(count, 4, generator=generator), "edge_index": graph.edge_index}
        drawn |= {"edge_weight": graph.edge_weight, "edge_attr": graph.edge_weight[:, None]}
        drawn["edge_type"] = torch.randint(0, 3, (graph.edge_index.size(1),), generator=generator)
        return {value.name: drawn[value.name] for value in inputs}, graph.kind

    return draw


def export_of(layer, *more, first=False):
    inputs = (X, EDGES, *more)
    return Export(Layer(layer, first), inputs, (Value("out", ("N", 4), "features"),), draw_with(inputs))


LAYERS = {
    "GCNLayer": lambda: export_of(GCNLayer(4, 4), WEIGHT),
    "GATLayer": lambda: export_of(GATLayer(4, 2, heads=2)),
    "GATLayer with features of edges": lambda: export_of(
        GATLayer(4, 2, heads=2, edge_dim=1), Value("edge_attr", ("E", 1), "features")
    ),
    "GCN2Layer": lambda: export_of(GCN2Layer(4, 0.1, 0.5, 1), WEIGHT, first=True),
    **{
        f"RelationalGCNLayer {settings}": lambda settings=settings: export_of(
            RelationalGCNLayer(4, 4, 3, **settings), KIND, WEIGHT
        )
        for settings in ({}, {"num_bases": 2}, {"num_blocks": 2}, {"aggr": "add"})
    },
}


@pytest.mark.parametrize("name", LAYERS)
def test_a_layer_says_the_same_as_a_program(name):
    torch.manual_seed(0)
    export = LAYERS[name]()
    program = export_program(export)
    assert not [node for node in program.graph.nodes if "gnnkit" in str(node.target)]
    run = program.module()
    assert check_agreement(export, lambda inputs: run(**inputs), 32, "it").largest < 1e-5


def test_every_kind_of_graph_is_drawn():
    seen = {random_graph(5, seed).kind for seed in range(len(KINDS) * len(WEIGHTS))}
    assert seen == {f"{kind} edges, weights {weights}" for kind in KINDS for weights in WEIGHTS}
    assert (random_graph(9, 24).edge_weight < 0).any()
    assert not (random_graph(9, 24, negative=False).edge_weight < 0).any()
    edges = random_graph(8, 1).edge_index
    assert (edges[0] == edges[1]).sum() >= 5
    assert random_graph(8, 3).edge_index.max() < 4
    assert random_graph(1, 5).edge_index.tolist() == [[0], [0]]


class Plain(nn.Module):
    """Something that is exported, or cannot be."""

    def __init__(self, work):
        super().__init__()
        self.work = work

    def forward(self, x):
        return {"out": self.work(x)}


def plain(work, shape=("N", 4)):
    return Export(Plain(work), (X,), (Value("out", shape, ""),), draw_with((X,)), description={"model": "mine"})


@pytest.mark.parametrize(
    ("work", "message"),
    [
        (
            lambda x: x * 2 if float(x.sum()) > 0 else x,
            "mine cannot be exported with open nodes: its code looks at the numbers of a tensor (item(), bool() or a "
            "branch on values)",
        ),
        (lambda x: x.view(7, 4) + 1, "mine cannot be exported with open nodes: its code fixes one of these sizes"),
        (lambda x: 1 / 0 * x, "mine cannot be exported with open nodes: division by zero"),
    ],
)
def test_what_cannot_be_exported_is_told_in_a_line(work, message):
    with pytest.raises(ExportError, match=f"^{re.escape(message)}$"):
        export_program(plain(work))


def test_a_program_that_differs_is_refused():
    export = plain(lambda x: x)
    with pytest.raises(
        ExportError, match=r"it of mine is wrong: out differs from the model's by .*x \[1, 4\] \(any edges"
    ):
        check_agreement(export, lambda inputs: {"out": inputs["x"] + 1e-3}, 3, "it")
    with pytest.raises(ExportError, match=r"it of mine gives out \[1, 8\] where the model gives \[1, 4\]"):
        check_agreement(export, lambda inputs: {"out": inputs["x"].repeat(1, 2)}, 3, "it")
    with pytest.raises(ExportError, match=r"it of mine fails on x \[1, 4\] \(any edges, weights positive\): 'no'"):
        check_agreement(export, lambda inputs: {"out": inputs["no"]}, 3, "it")
    nan = check_agreement(plain(lambda x: x / 0), lambda inputs: {"out": inputs["x"] / 0}, 3, "it")
    assert nan.largest == 0


def test_the_operator_is_found_wherever_an_error_names_it():
    inner = RuntimeError("no function for <OpOverload(op='aten.cummax', overload='default')>")
    outer = RuntimeError("conversion failed")
    outer.__cause__ = inner
    assert failed_operator(outer) == "the operator aten.cummax"
    assert failed_operator(RuntimeError("aten::nonzero is not there")) == "the operator aten.nonzero"
    assert failed_operator(KeyError()) == "KeyError"
