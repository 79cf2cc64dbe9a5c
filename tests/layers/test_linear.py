"""The linear map: PyG's, on sparse features too, and when it is nothing but a product."""

import pytest
import torch
from torch_geometric.nn import Linear as PyGLinear

from gnnkit.layers._linear import Linear, is_plain


@pytest.mark.parametrize("layout", [torch.strided, torch.sparse_csr, torch.sparse_coo])
@pytest.mark.parametrize("bias", [True, False])
def test_it_is_pygs_in_every_layout(layout, bias):
    ours, theirs = Linear(5, 3, bias=bias), PyGLinear(5, 3, bias=bias)
    ours.load_state_dict(theirs.state_dict())
    x = torch.randn(4, 5).relu()
    torch.testing.assert_close(ours(x if layout == torch.strided else x.to_sparse(layout=layout)), theirs(x))


def test_features_of_another_type_are_named_but_under_autocast():
    lin, x = Linear(5, 3), torch.randn(4, 5, dtype=torch.bfloat16)
    with pytest.raises(ValueError, match=r"features are of type torch.bfloat16, .* of torch.float32; convert one"):
        lin(x)
    with torch.autocast("cpu", torch.bfloat16):
        assert lin(x).dtype == torch.bfloat16


def test_nothing_but_a_product():
    assert is_plain(Linear(5, 3, bias=False))
    assert not is_plain(Linear(5, 3))
    assert is_plain(PyGLinear(5, 3, bias=False))
    assert is_plain(torch.nn.Linear(5, 3, bias=False))
    assert not is_plain(type("Mine", (torch.nn.Linear,), {})(5, 3, bias=False))
    assert not is_plain(torch.nn.Identity())
    assert not is_plain(torch.nn.utils.parametrizations.weight_norm(Linear(5, 3, bias=False)))
    for register in ("register_forward_hook", "register_forward_pre_hook", "register_full_backward_hook"):
        lin = Linear(5, 3, bias=False)
        handle = getattr(lin, register)(lambda *_: None)
        assert not is_plain(lin)
        handle.remove()
        assert is_plain(lin)
    lin.forward = torch.nn.functional.relu
    assert not is_plain(lin)
