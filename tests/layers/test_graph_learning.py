import pytest
import torch

from gnnkit.layers import GraphLearningLayer


def by_hand(one, two, layer, k):
    """Equations 1 to 6, an entry at a time."""
    n = len(one)
    m1 = [torch.tanh(layer.alpha * (layer.linear_1.weight @ row + layer.linear_1.bias)) for row in one]
    m2 = [torch.tanh(layer.alpha * (layer.linear_2.weight @ row + layer.linear_2.bias)) for row in two]
    a = torch.zeros(n, n, dtype=torch.float64)
    for i in range(n):
        for j in range(n):
            a[i, j] = max(0.0, torch.tanh(layer.alpha * (m1[i] @ m2[j] - m2[i] @ m1[j])).item())
        for j in a[i].argsort(descending=True)[k:].tolist():
            a[i, j] = 0.0
    return a


def test_the_graph_is_that_of_the_equations():
    torch.manual_seed(0)
    layer = GraphLearningLayer(4, 3, neighbors=2, alpha=0.7).double().eval()
    found = layer()
    torch.testing.assert_close(found, by_hand(layer.embedding_1, layer.embedding_2, layer, 2), rtol=0, atol=1e-12)
    assert ((found > 0).sum(1) <= 2).all()
    assert not ((found > 0) & (found.t() > 0)).any()  # uni-directed: who is heard does not hear
    some = torch.tensor([0, 2, 3])
    expected = by_hand(layer.embedding_1[some], layer.embedding_2[some], layer, 2)
    torch.testing.assert_close(layer(some), expected, rtol=0, atol=1e-12)


def test_static_features_take_the_place_of_embeddings():
    torch.manual_seed(0)
    features = torch.randn(4, 2, dtype=torch.float64)
    layer = GraphLearningLayer(4, 3, neighbors=9, alpha=0.7, node_features=features).double().eval()
    torch.testing.assert_close(layer(), by_hand(features, features, layer, 4), rtol=0, atol=1e-12)
    assert {name.split(".")[0] for name, _ in layer.named_parameters()} == {"linear_1", "linear_2"}
    assert "node_features" in layer.state_dict()


@pytest.mark.parametrize("features", [torch.eye(4, dtype=torch.float64), torch.eye(4).long(), torch.eye(4).tolist()])
def test_features_of_any_type_are_computed_with(features):
    torch.manual_seed(0)
    layer = GraphLearningLayer(4, 3, neighbors=2, alpha=0.7, node_features=features).eval()
    expected = by_hand(*[torch.eye(4)] * 2, layer, 2)
    assert layer().dtype == torch.float32
    torch.testing.assert_close(layer().double(), expected, rtol=0, atol=1e-6)


def test_gradients_reach_the_embeddings_through_what_is_kept():
    torch.manual_seed(0)
    layer = GraphLearningLayer(4, 3, neighbors=1, alpha=0.5).double().eval()
    layer().sum().backward()
    assert all(p.grad.abs().max() > 0 for p in (layer.embedding_1, layer.embedding_2))
    before = layer().detach()
    layer.reset_parameters()
    assert not torch.equal(layer(), before)


def test_at_the_defaults_the_embeddings_learn_though_most_entries_saturate():
    torch.manual_seed(0)
    layer = GraphLearningLayer(64, 40, neighbors=8)
    layer().sum().backward()
    assert layer.embedding_1.grad.abs().max() > 1e-6
    assert (layer() > 0).sum(1).max() == 8
    assert not torch.equal(layer(), layer())  # noise has its turn
    layer.eval()
    assert torch.equal(layer(), layer())


def test_evaluation_keeps_the_largest_where_all_of_them_are_one():
    torch.manual_seed(0)
    layer = GraphLearningLayer(64, 40, neighbors=8).eval()
    kept, exact = layer() > 0, layer.double()
    found = torch.zeros(64, 64, dtype=torch.bool)
    one, two = (
        torch.tanh(exact.alpha * linear(e))
        for linear, e in ((exact.linear_1, exact.embedding_1), (exact.linear_2, exact.embedding_2))
    )
    strength = one @ two.t() - two @ one.t()
    found[torch.arange(64)[:, None], strength.argsort(dim=1, descending=True)[:, :8]] = True
    assert torch.equal(kept, found & (strength > 0))


def test_bad_arguments():
    with pytest.raises(ValueError, match="neighbors must be a whole number of at least 1, got 0"):
        GraphLearningLayer(4, 3, neighbors=0)
    with pytest.raises(
        ValueError, match=r"node_features must have shape \[4, F\], one row for each node, got \[3, 2\]"
    ):
        GraphLearningLayer(4, 3, node_features=torch.zeros(3, 2))
