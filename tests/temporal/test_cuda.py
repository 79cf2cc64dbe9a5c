"""Every forecaster on a GPU gives the numbers that it gives on a CPU."""

import copy

import pytest
import torch

from gnnkit.temporal import MODELS, TGCN, build_forecaster

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]

EDGES = torch.tensor([[0, 0, 1, 2, 3, 3], [1, 2, 2, 1, 3, 2]])
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 4.0, 1.5])


@pytest.mark.parametrize("settings", [{}, {"layers": 1}, {"graph_convolution": "input_and_state"}], ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_values_and_gradients(settings, dtype):
    torch.manual_seed(0)
    model = TGCN(2, 64, 3, **settings).to(dtype)
    x = torch.randn(3, 5, 4, 2, dtype=dtype)
    results = []
    for device, module in (("cpu", model), ("cuda", copy.deepcopy(model).cuda())):
        out = module(x.to(device), EDGES.to(device), WEIGHT.to(device, dtype))
        out.square().sum().backward()
        gradients = [parameter.grad for _, parameter in sorted(module.named_parameters())]
        results.append([tensor.cpu() for tensor in (out.detach(), *gradients)])
    tolerance = 1e-5 if dtype == torch.float32 else 1e-12
    scale = max(float(tensor.abs().max()) for tensor in results[0])
    for expected, got in zip(*results, strict=True):
        torch.testing.assert_close(got, expected, rtol=0, atol=tolerance * scale)


@pytest.mark.parametrize("name", list(MODELS))
def test_every_model(name):
    torch.manual_seed(0)
    model = build_forecaster(name, in_channels=1, horizon=3, history=6, num_nodes=4, hidden_channels=16).double().eval()
    x = torch.randn(2, 6, 4, 1, dtype=torch.float64)
    expected = model(x, EDGES, WEIGHT.double())
    got = model.cuda()(x.cuda(), EDGES.cuda(), WEIGHT.double().cuda())
    torch.testing.assert_close(got.cpu(), expected, rtol=0, atol=1e-10)
