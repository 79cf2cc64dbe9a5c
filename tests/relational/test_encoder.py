"""DecagonEncoder against its formula, node by node."""

import pytest
import torch

from gnnkit.relational import DecagonEncoder, EdgeFamily
from gnnkit.relational.encoder import sample_neighbours

NODES = {"drug": 4, "protein": 3}


def families():
    drugs = torch.tensor([[0, 1, 1, 2, 0, 1], [1, 0, 2, 1, 1, 0]])
    return [
        EdgeFamily("drug", "drug", drugs, torch.tensor([0, 0, 1, 1, 2, 2]), 3),
        EdgeFamily("protein", "drug", torch.tensor([[0, 2], [1, 3]])),
        EdgeFamily("protein", "protein", torch.tensor([[0, 1], [1, 0]])),
    ]


def encoder(**options):
    torch.manual_seed(0)
    return DecagonEncoder(NODES, families(), "drug", hidden_channels=5, out_channels=2, num_bases=2, **options)


def by_hand(model):
    """The class's formula with a loop over edges."""

    def messages(layers, features, kind, out):
        for family, layer in zip(families(), layers, strict=True):
            if family.target != kind:
                continue
            kinds = torch.zeros(family.edge_index.size(1)).long() if family.edge_type is None else family.edge_type
            for (j, i), r in zip(family.edge_index.t().tolist(), kinds.tolist(), strict=True):
                of = kinds == r
                degrees = (family.edge_index[0][of] == j).sum() * (family.edge_index[1][of] == i).sum()
                weight = (
                    layer.weight[0] if layer.comp is None else torch.einsum("b,bfc->fc", layer.comp[r], layer.weight)
                )
                row = weight[j] if features is None else features[family.source][j] @ weight
                out[i] = out[i] + row / (degrees.double().sqrt().float() * family.num_relations**0.5)
        return out

    hidden = {kind: messages(model.first, None, kind, own.clone()).relu() for kind, own in model.own.items()}
    return messages(model.second, hidden, "drug", model.own_map(hidden["drug"]))


def test_equals_the_formula():
    model = encoder().eval()
    with torch.no_grad():
        torch.testing.assert_close(model(), by_hand(model))


def test_every_weight_that_reaches_the_output_learns():
    model = encoder(dropout=0.0)
    model().square().sum().backward()
    missing = [name for name, p in model.named_parameters() if p.grad is None or not p.grad.abs().sum() > 0]
    assert missing == []


def test_the_graph_is_not_saved_with_the_weights():
    assert not [name for name in encoder().state_dict() if name.startswith(("edges", "kinds", "weight"))]


def test_sampled_neighbours_only_in_training():
    model = encoder(neighbours=1, dropout=0.0)
    full = model.eval()()
    torch.testing.assert_close(full, encoder().eval()())
    drawn = torch.stack([model.train()() for _ in range(8)])
    assert (drawn != full).any()


def test_sampled_sums_stay_the_same_in_the_mean():
    torch.manual_seed(0)
    target = torch.tensor([0] * 10 + [1] * 2 + [3] * 5)
    total = torch.zeros(4)
    for _ in range(300):
        kept, scale = sample_neighbours(target, 4)
        assert torch.bincount(target[kept], minlength=4).tolist() == [4, 2, 0, 4]
        total.index_add_(0, target[kept], scale * kept.float())
    expected = torch.zeros(4).index_add(0, target, torch.arange(17.0))
    torch.testing.assert_close(total / 300, expected, rtol=0.05, atol=0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"num_nodes": {"drug": 4}}, "nodes of kind 'protein' are unknown"),
        ({"output": "gene"}, "nodes of kind 'gene' are unknown; num_nodes has drug, protein"),
        ({"num_bases": 0}, "num_bases must be 1 or more"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
        ({"num_nodes": {"drug": 2, "protein": 3}}, "edge_index"),
    ],
)
def test_bad_input(change, message):
    good = {"num_nodes": NODES, "families": families(), "output": "drug"}
    with pytest.raises(ValueError, match=message):
        DecagonEncoder(**{**good, **change})
