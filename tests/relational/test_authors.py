"""The authors' graph convolution against their equations with dense matrices, relation by relation."""

import pytest
import torch

from gnnkit.relational import DecagonEncoder, EdgeFamily
from gnnkit.relational.authors import AuthorsConvolution, relation_graph, symmetric_weights

NODES = {"drug": 5, "protein": 3, "effect": 2}


def both_ways(pairs):
    edges = torch.tensor(pairs).T
    return torch.cat([edges, edges.flip(0)], 1)


def families():
    """Drug pairs of three relations (the last has none), proteins, targets both ways; effects, which hear nothing."""
    drugs = both_ways([[0, 1], [1, 2], [0, 2], [3, 1]])
    targets = torch.tensor([[0, 1, 3, 3], [0, 0, 1, 2]])
    return [
        EdgeFamily("drug", "drug", drugs, torch.tensor([0, 0, 1, 1] * 2), 3),
        EdgeFamily("protein", "drug", targets.flip(0)),
        EdgeFamily("drug", "protein", targets),
        EdgeFamily("protein", "protein", both_ways([[0, 2]])),
        EdgeFamily("effect", "drug", torch.tensor([[0, 0, 1], [0, 4, 4]])),
    ]


def encoder(**options):
    torch.manual_seed(0)
    options = {"hidden_channels": 6, "out_channels": 4, "form": "authors", **options}
    return DecagonEncoder(NODES, families(), "drug", **options).double()


def normalised(family):
    """Their preprocessing, a dense matrix [targets, sources] a relation: I within a kind, then degrees^-1/2."""
    sources, targets = NODES[family.source], NODES[family.target]
    matrices = []
    for r in range(family.num_relations):
        a = torch.zeros(targets, sources, dtype=torch.float64)
        for e in range(family.edge_index.size(1)):
            if family.edge_type is None or family.edge_type[e] == r:
                a[family.edge_index[1, e], family.edge_index[0, e]] += 1
        if family.source == family.target:
            a += torch.eye(sources, dtype=torch.float64)
        rows, columns = a.sum(1), a.sum(0)
        left, right = (torch.where(d > 0, d, torch.inf) ** -0.5 for d in (rows, columns))
        matrices.append(left[:, None] * a * right)
    return matrices


def as_published(model):
    """Features are I; a family's sum is scaled to length 1; relu between the layers and none behind the second."""

    def layer(features, weights):
        out = {}
        for family, weight in zip(families(), weights, strict=True):
            if family.source not in features or weight is None:
                continue
            total = sum(a @ features[family.source] @ weight[r] for r, a in enumerate(normalised(family)))
            length = total.square().sum(1, keepdim=True).clamp_min(1e-12).sqrt()
            out[family.target] = out.get(family.target, 0) + total / length
        return out

    identity = {kind: torch.eye(count, dtype=torch.float64) for kind, count in NODES.items()}
    hidden = {kind: h.relu() for kind, h in layer(identity, [c.weight for c in model.first]).items()}
    return layer(hidden, [getattr(c, "weight", None) for c in model.second])["drug"]


def test_it_is_the_authors_encoder():
    model = encoder().eval()
    expected = as_published(model)
    # The weights of edges are in single precision.
    torch.testing.assert_close(model(), expected, rtol=0, atol=1e-6)
    parameters = list(model.parameters())
    upstream = torch.randn(expected.shape, dtype=torch.float64)
    found = torch.autograd.grad((model() * upstream).sum(), parameters)
    wanted = torch.autograd.grad((expected * upstream).sum(), parameters)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
        assert one.abs().max() > 1e-3


def test_it_has_weights_for_each_relation_and_nothing_else():
    model = encoder()
    assert {name: tuple(p.shape) for name, p in model.named_parameters()} == {
        "first.0.weight": (3, 5, 6),
        "first.1.weight": (1, 3, 6),
        "first.2.weight": (1, 5, 6),
        "first.3.weight": (1, 3, 6),
        "first.4.weight": (1, 2, 6),
        "second.0.weight": (3, 6, 4),
        "second.1.weight": (1, 6, 4),
    }
    for _, p in model.named_parameters():
        assert p.abs().max() <= (6 / (p.size(1) + p.size(2))) ** 0.5  # Glorot's bound
    assert not [name for name in model.state_dict() if "weight" not in name]


def test_identity_is_in_both_layers():
    # Node 4 has no drug pair: within drugs it hears itself alone, under each of the three relations.
    family = [families()[0]]
    torch.manual_seed(0)
    model = DecagonEncoder({"drug": 5}, family, "drug", form="authors", dropout=0.0).double()
    first, second = model.first[0].weight, model.second[0].weight
    hidden = torch.nn.functional.normalize(first[:, 4].sum(0), dim=0).relu()
    expected = torch.nn.functional.normalize((hidden @ second).sum(0), dim=0)
    torch.testing.assert_close(model()[4], expected, rtol=0, atol=1e-12)


def test_degrees_count_the_node_itself_within_a_kind():
    graph = relation_graph(torch.tensor([[0, 1], [1, 0]]), torch.tensor([1, 1]), 2, 3, within=True)
    found = {
        (int(graph.relation[p]), int(graph.node[p]), int(i)): round(float(w), 6)
        for (p, i), w in zip(graph.edges.T, graph.weight, strict=True)
    }
    alone = {(r, n, n): 1.0 for r in range(2) for n in range(3)}
    assert found == {**alone, (1, 0, 1): 0.5, (1, 1, 0): 0.5, (1, 0, 0): 0.5, (1, 1, 1): 0.5}


def test_dropout_is_drawn_for_each_relation_by_itself(monkeypatch):
    torch.manual_seed(0)
    relations, nodes = 400, 3
    none = torch.empty(2, 0, dtype=torch.long)
    graph = relation_graph(none, none[0], relations, nodes, within=True)
    first, second = AuthorsConvolution(relations, nodes, 1, 0.25), AuthorsConvolution(relations, 2, 1, 0.25)
    first.weight.data.fill_(1.0)
    second.weight.data.copy_(torch.tensor([[1.0], [1000.0]]).expand(relations, 2, 1))
    monkeypatch.setattr(torch.nn.functional, "normalize", lambda x, **_: x)
    # A node hears itself alone, under 400 relations: its sum counts those that were kept, 4 / 3 each.
    kept = first(None, graph, nodes).flatten() * 3 / 4
    torch.testing.assert_close(kept, kept.round(), rtol=0, atol=1e-2)
    assert ((kept > 250) & (kept < 350)).all()
    assert len(set(kept.tolist())) > 1  # not all nodes at once
    sums = (second(torch.ones(nodes, 2), graph, nodes).flatten() * 3 / 4).round()
    one, other = sums.remainder(1000), sums.div(1000, rounding_mode="floor")
    assert ((one > 250) & (one < 350) & (other > 250) & (other < 350)).all()
    assert (one != other).any()  # each feature by itself
    assert first.eval()(None, graph, nodes).tolist() == [[400.0]] * 3


def test_weights_by_hand():
    edges, kinds = torch.tensor([[0, 0, 1], [1, 2, 2]]), torch.tensor([0, 0, 1])
    assert symmetric_weights(edges, kinds, 2).tolist() == pytest.approx([2**-0.5, 2**-0.5, 1.0])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"form": "paper"}, "form is 'paper'; choose 'gnnkit' or 'authors'"),
        ({"num_bases": 4}, "num_bases is 4, but form='authors' has none; leave it out"),
        ({"neighbours": 9}, "neighbours is 9, but form='authors' has none"),
        (
            {"families": families()[1:]},
            "form='authors' has no term of a node itself: 'drug' needs a family from 'drug'",
        ),
    ],
)
def test_bad_input(change, message):
    good = {"num_nodes": NODES, "families": families(), "output": "drug", "form": "authors"}
    with pytest.raises(ValueError, match=message):
        DecagonEncoder(**{**good, **change})
