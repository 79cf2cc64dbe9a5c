"""The layers on a GPU give the numbers that they give on a CPU."""

import copy

import pytest
import torch

from gnnkit.layers import GATLayer, GCNLayer

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

LAYERS = pytest.mark.parametrize(
    "make",
    [lambda: GCNLayer(5, 4), lambda: GATLayer(5, 4, heads=3), lambda: GATLayer(5, 7, heads=2, concat=False)],
    ids=["GCN", "GAT", "GAT, mean of heads"],
)


@LAYERS
def test_values_and_gradients_of_every_graph(graph, dtype, make, assert_near):
    edges, num_nodes = graph
    torch.manual_seed(0)
    layer = make().to(dtype)
    x = torch.randn(num_nodes, 5, dtype=dtype)
    results = []
    for device, module in (("cpu", layer), ("cuda", copy.deepcopy(layer).cuda())):
        given = x.clone().to(device).requires_grad_()
        out = module(given, edges.to(device))
        out.square().sum().backward()
        gradients = [given.grad, *(parameter.grad for _, parameter in sorted(module.named_parameters()))]
        results.append([tensor.cpu() for tensor in (out.detach(), *gradients)])
    scale = max((float(tensor.abs().max()) for tensor in results[0] if tensor.numel()), default=1.0)
    for number, (expected, got) in enumerate(zip(*results, strict=True)):
        assert_near(got, expected, f"result {number}", scale)


@LAYERS
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_autocast(dtype, make):
    torch.manual_seed(0)
    layer, edges = make().cuda(), torch.randint(20, (2, 80)).cuda()
    x = torch.randn(20, 5).cuda()
    expected = layer(x, edges)
    with torch.autocast("cuda", dtype=dtype):
        found = layer(x, edges)
    torch.testing.assert_close(found.float(), expected, rtol=0.05, atol=0.05)
