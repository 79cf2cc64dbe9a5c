"""Weights and inputs by a formula, the same on every machine: what the authors' code makes of them stands in tests."""

import torch

from gnnkit.sequence._contract import ForecasterModule


def numbers(*shape, start=0.0):
    """Numbers in [−1, 1] without a pattern."""
    i = torch.arange(torch.Size(shape).numel(), dtype=torch.float64)
    return torch.cos(start + 0.37 * i * i).view(shape)


def filled(model: ForecasterModule) -> ForecasterModule:
    """The model in float64, evaluated, its weights and the statistics of its norms drawn by the formula."""
    model = model.double().eval()
    state = {name: value for name, value in model.state_dict().items() if value.is_floating_point()}
    with torch.no_grad():
        for number, name in enumerate(sorted(state)):
            drawn = numbers(*state[name].shape, start=number)
            if name.endswith("running_var"):
                drawn = 1 + 0.5 * drawn
            elif "norm" in name and name.endswith("weight"):
                drawn = 1 + 0.3 * drawn
            elif drawn.dim() > 1 and "embedding" not in name:
                drawn = drawn * (3 / state[name].size(-1)) ** 0.5
            state[name].copy_(drawn)
    return model


def clock(batch, steps, nodes, *, slots=288, start=280, day=5):
    """Time of day, the middle of a slot, and weekday over 7; the second window is a day and half an hour later."""
    rows = start + torch.arange(steps) + torch.arange(batch)[:, None] * (slots + 6)
    time, days = (rows % slots + 0.5).double() / slots, (day + rows // slots).double() % 7 / 7
    return torch.stack([time, days], dim=-1)[:, :, None].expand(batch, steps, nodes, 2)


def assert_is_the_authors(model, x, values, total, parameters, *, edges=()):
    """What a filled model makes of x, beside what their code did.

    Args:
        model, x, edges: What is called.
        values: The first numbers of the first window, node by node.
        total: The sum over all of the forecast.
        parameters: How many their code trains of those that reach its forecast.
    """
    with torch.no_grad():
        out = model(x, *edges)
    first = out[0].t().flatten()[: len(values)]
    torch.testing.assert_close(first, torch.tensor(values, dtype=torch.float64), rtol=2e-9, atol=0)
    torch.testing.assert_close(out.sum(), torch.tensor(total, dtype=torch.float64), rtol=2e-9, atol=0)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
