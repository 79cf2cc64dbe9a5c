"""feature_dropout: PyTorch's on dense tensors, and on sparse ones the same over the nonzeros alone."""

import pytest
import torch
import torch.nn.functional as F

from gnnkit.layers import FeatureDropout, GATLayer, GCNLayer, feature_dropout
from gnnkit.ops import compress


def words(layout=torch.sparse_csr, size=(40, 30), dtype=torch.float32):
    dense = (torch.rand(size) < 0.2).to(dtype) * (torch.rand(size, dtype=dtype) + 0.5)
    return dense.to_sparse_csr() if layout == torch.sparse_csr else dense.to_sparse_coo()


LAYOUTS = pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo], ids=["csr", "coo"])


def test_dense_features_are_pytorchs_business():
    x = torch.randn(5, 4)
    torch.manual_seed(1)
    out = feature_dropout(x, 0.3)
    torch.manual_seed(1)
    assert torch.equal(out, F.dropout(x, 0.3))
    assert torch.equal(feature_dropout(x, 0.3, False), x)


@LAYOUTS
def test_entries_are_dropped_or_scaled_and_zeros_stay(layout):
    torch.manual_seed(0)
    x = words(layout, (200, 100))
    out = feature_dropout(x, 0.25, True)
    assert out.layout == layout
    assert out.shape == x.shape
    before, after = x.to_dense(), out.to_dense()
    kept = after != 0
    torch.testing.assert_close(after[kept], before[kept] / 0.75)
    assert not kept[before == 0].any()
    share = kept.sum() / (before != 0).sum()
    assert abs(share - 0.75) < 0.03


@LAYOUTS
def test_all_none_and_evaluation(layout):
    x = words(layout)
    assert feature_dropout(x, 1.0).to_dense().abs().sum() == 0
    assert feature_dropout(x, 0.0) is x
    assert feature_dropout(x, 0.9, training=False) is x


def test_a_seed_repeats_it_and_entries_given_in_parts_fall_together():
    x = torch.sparse_coo_tensor(torch.tensor([[0, 0, 1], [1, 1, 0]]), torch.tensor([1.0, 2.0, 4.0]), (2, 2))
    for seed in range(8):
        torch.manual_seed(seed)
        out = feature_dropout(x, 0.5).to_dense()
        torch.manual_seed(seed)
        assert torch.equal(feature_dropout(x, 0.5).to_dense(), out)
        assert out[0, 1].item() in (0.0, 6.0)


@LAYOUTS
def test_gradient_of_the_values(layout):
    x = words(layout, dtype=torch.float64).requires_grad_()
    torch.manual_seed(2)
    out = feature_dropout(x, 0.5)
    (grad,) = torch.autograd.grad(out.values().sum() if layout == torch.sparse_csr else out.to_dense().sum(), x)
    scale = (out.to_dense() / x.detach().to_dense()).nan_to_num(0.0).detach()
    torch.testing.assert_close(grad.to_dense() * (scale != 0), scale)


@LAYOUTS
def test_the_sorted_pattern_is_made_once(layout):
    x = words(layout)
    first = compress(x)
    dropped = feature_dropout(x, 0.5)
    assert compress(dropped) is first
    x_other = words(layout)
    assert compress(feature_dropout(x_other, 0.5)) is not first


@pytest.mark.parametrize("p", [-0.1, 1.5])
def test_a_probability_out_of_range_is_named(p):
    with pytest.raises(ValueError, match=rf"p must be a probability from 0 to 1, got {p}"):
        feature_dropout(torch.ones(2, 2), p)


def test_another_layout_is_named():
    with pytest.raises(ValueError, match=r"x must be dense, sparse CSR or sparse COO, got torch.sparse_csc"):
        feature_dropout(torch.eye(2).to_sparse_csc(), 0.5)


@LAYOUTS
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=["float32", "float64"])
@pytest.mark.parametrize(
    "make",
    [lambda: GCNLayer(30, 5), lambda: GATLayer(30, 3, heads=2, residual=True), lambda: GCNLayer(-1, 5)],
    ids=["GCN", "GAT", "lazy GCN"],
)
def test_layers_take_sparse_features(layout, dtype, make):
    torch.manual_seed(0)
    x, edge_index = words(layout, dtype=dtype), torch.randint(40, (2, 120))
    layer = make().to(dtype)
    out = layer(x, edge_index)
    grads = torch.autograd.grad(out.square().sum(), list(layer.parameters()))
    expected = layer(x.to_dense(), edge_index)
    torch.testing.assert_close(out, expected, rtol=1e-5, atol=1e-5)
    for got, want in zip(grads, torch.autograd.grad(expected.square().sum(), list(layer.parameters())), strict=True):
        torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-4)


def test_layers_give_sparse_features_their_gradient():
    torch.manual_seed(0)
    x, edge_index = words(dtype=torch.float64), torch.randint(40, (2, 120))
    for layer in (GCNLayer(30, 5).double(), GATLayer(30, 3, heads=2).double()):
        sparse, dense = x.clone().requires_grad_(), x.to_dense().requires_grad_()
        (got,) = torch.autograd.grad(layer(sparse, edge_index).square().sum(), sparse)
        (want,) = torch.autograd.grad(layer(dense, edge_index).square().sum(), dense)
        torch.testing.assert_close(got.to_dense(), want * (x.to_dense() != 0))


def test_sparse_features_of_another_width_are_named():
    with pytest.raises(ValueError, match=r"x has 30 features per node, the layer was made for 4"):
        GCNLayer(4, 2)(words(), torch.zeros(2, 1, dtype=torch.long))


def test_the_module_acts_in_training_alone():
    drop = FeatureDropout(0.5)
    x = torch.ones(1000)
    assert set(drop(x).unique().tolist()) == {0.0, 2.0}
    assert drop.eval()(x) is x
    assert repr(drop) == "FeatureDropout(p=0.5)"
