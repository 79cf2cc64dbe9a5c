"""The graph functions on a GPU give what they give on a CPU."""

import pytest
import torch

from gnnkit.graph import (
    from_csr,
    from_dense,
    hop_distances,
    k_hop_nodes,
    normalize_adjacency,
    receptive_field,
    set_self_loops,
    six_node_graph,
    to_csr,
    to_dense,
)
from gnnkit.layers import GCNLayer

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

EDGES = six_node_graph().edge_index
WEIGHT = torch.linspace(0.5, 2.0, EDGES.size(1))


def on_both(call):
    """What a function of a device gives on either, as a list of tensors on the CPU."""
    found = []
    for device in ("cpu", "cuda"):
        out = call(device)
        tensors = out if isinstance(out, (tuple, list)) else (out,)
        assert {tensor.device.type for tensor in tensors} == {device}
        found.append([tensor.cpu() for tensor in tensors])
    return found


@pytest.mark.parametrize(
    "call",
    [
        lambda at: to_dense(EDGES.to(at), WEIGHT.to(at), 6),
        lambda at: from_dense(to_dense(EDGES.to(at), WEIGHT.to(at), 6)),
        lambda at: from_csr(to_csr(EDGES.to(at), WEIGHT.to(at), 6)),
        lambda at: set_self_loops(EDGES.to(at), WEIGHT.to(at), 6, "remove"),
        lambda at: hop_distances(EDGES.to(at), [2, 4], num_nodes=6),
        lambda at: k_hop_nodes(EDGES.to(at), [2], 2, num_nodes=6),
        *(
            lambda at, how=how: normalize_adjacency(EDGES.to(at), WEIGHT.to(at), 6, method=how)
            for how in ("symmetric", "row", "random-walk")
        ),
    ],
)
def test_values(call):
    expected, got = on_both(call)
    for a, b in zip(expected, got, strict=True):
        torch.testing.assert_close(b, a, rtol=1e-6, atol=1e-6)


def test_receptive_field():
    torch.manual_seed(0)
    layers = [GCNLayer(4, 4) for _ in range(3)]
    x = torch.randn(6, 4)
    expected = receptive_field(layers, x, EDGES)
    got = receptive_field([layer.cuda() for layer in layers], x.cuda(), EDGES.cuda())
    torch.testing.assert_close(got.cpu(), expected, rtol=1e-4, atol=1e-6)
    assert got[4, 2] == 0  # C is four edges from E
