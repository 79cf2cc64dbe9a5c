import math

import pytest
import torch

from gnnkit.temporal import DCRNN
from tests.temporal.four_nodes import EDGES, WEIGHT, B, C, F, N, P, T, history, linear, ready, walk


def diffused(x, steps):
    parts = [x]
    for reverse in (False, True):
        h = x
        for _ in range(steps):
            h = walk(h, reverse)
            parts.append(h)
    return torch.cat(parts, dim=-1)


def cell_step(cell, x, h):
    """The paper's equation 3, with the convolution of [x, h] written as the sum of its two parts."""
    c = h.size(-1)
    w, b = cell.input_weight, cell.bias
    dx = diffused(x, cell.steps)
    gates = torch.sigmoid(dx @ w[:, : 2 * c] + diffused(h, cell.steps) @ cell.gate_weight + b[: 2 * c])
    reset, update = gates[..., :c], gates[..., c:]
    kept = diffused(reset * h, cell.steps)
    candidate = torch.tanh(dx @ w[:, 2 * c :] + kept @ cell.candidate_weight + b[2 * c :])
    return update * h + (1 - update) * candidate


def by_hand(model, x, forced=None):
    states = [torch.zeros(B, N, C, dtype=torch.float64) for _ in model.encoder]
    for t in range(T):
        h = x[:, t]
        for layer, cell in enumerate(model.encoder):
            states[layer] = h = cell_step(cell, h, states[layer])
    read, written = torch.zeros(B, N, 1, dtype=torch.float64), []
    for p in range(P):
        h = read
        for layer, cell in enumerate(model.decoder):
            states[layer] = h = cell_step(cell, h, states[layer])
        out = linear(model.head, h)
        written.append(out[..., 0])
        read = out if forced is None else forced[:, p].unsqueeze(-1)
    return torch.stack(written, dim=1)


@pytest.mark.parametrize(("layers", "steps"), [(1, 1), (2, 2)])
def test_it_is_the_papers_equations(layers, steps):
    torch.manual_seed(0)
    model, x = ready(DCRNN(F, C, P, layers=layers, diffusion_steps=steps)), history()
    torch.testing.assert_close(model(x, EDGES, WEIGHT), by_hand(model, x), rtol=0, atol=1e-11)


def test_in_training_it_reads_the_truth_at_first_and_its_own_words_at_last():
    torch.manual_seed(0)
    model, x = ready(DCRNN(F, C, P, sampling_decay=50)).train(), history()
    target = torch.randn(B, P, N, dtype=torch.float64)
    free = by_hand(model, x)
    forced = by_hand(model, x, forced=target)
    late = model(x, EDGES, WEIGHT, target=target, step=10**9)
    torch.testing.assert_close(late, free, rtol=0, atol=1e-11)
    torch.manual_seed(0)
    draws = [torch.rand(()).item() for _ in range(P)]
    assert max(draws) < 50 / (50 + 1)
    torch.manual_seed(0)
    torch.testing.assert_close(model(x, EDGES, WEIGHT, target=target, step=0), forced, rtol=0, atol=1e-11)
    torch.testing.assert_close(model.eval()(x, EDGES, WEIGHT, target=target, step=0), free, rtol=0, atol=1e-11)


def test_the_share_of_truth_falls_as_in_the_paper():
    torch.manual_seed(0)
    model, x = DCRNN(1, 2, 2, layers=1, sampling_decay=20).train(), torch.randn(1, 2, N, 1)
    target = torch.full((1, 2, N), 100.0)
    step = 60
    free = model.eval()(x, EDGES)
    model.train()
    read = sum(not torch.equal(model(x, EDGES, target=target, step=step), free) for _ in range(400)) / 400
    expected = 20 / (20 + math.exp(step / 20))
    assert abs(read - expected) < 4 * math.sqrt(expected * (1 - expected) / 400)


def test_first_biases_open_the_gates():
    cell = DCRNN(F, C, P).encoder[0]
    assert cell.bias.tolist() == [1.0] * (2 * C) + [0.0] * C
