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
        truth = torch.full_like(out, math.nan) if forced is None else forced[:, p].unsqueeze(-1)
        read = torch.where(truth.isnan(), out, truth)
    return torch.stack(written, dim=1)


@pytest.mark.parametrize(("layers", "steps"), [(1, 1), (2, 2)])
def test_it_is_the_papers_equations(layers, steps):
    torch.manual_seed(0)
    model, x = ready(DCRNN(F, C, P, layers=layers, diffusion_steps=steps)), history()
    torch.testing.assert_close(model(x, EDGES, WEIGHT), by_hand(model, x), rtol=0, atol=1e-11)


def test_in_training_it_reads_the_truth_at_first_and_its_own_words_at_last():
    torch.manual_seed(0)
    model, x = ready(DCRNN(F, C, P)).train(), history()
    target = torch.randn(B, P, N, dtype=torch.float64)
    free = by_hand(model, x)
    forced = by_hand(model, x, forced=target)
    # At the end the truth is read once in 90,000 steps, at the beginning all but once in 2,000.
    late = model(x, EDGES, WEIGHT, target=target, progress=1.0)
    torch.testing.assert_close(late, free, rtol=0, atol=1e-11)
    early = model(x, EDGES, WEIGHT, target=target, progress=0.0)
    torch.testing.assert_close(early, forced, rtol=0, atol=1e-11)
    untold = model(x, EDGES, WEIGHT, target=target)
    torch.testing.assert_close(untold, free, rtol=0, atol=1e-11)
    never = ready(DCRNN(F, C, P, half_forced=0)).train()
    no_truth = never(x, EDGES, WEIGHT, target=target, progress=0.0)
    torch.testing.assert_close(no_truth, by_hand(never, x), rtol=0, atol=1e-11)
    model.eval()
    torch.testing.assert_close(model(x, EDGES, WEIGHT, target=target, progress=0.0), free, rtol=0, atol=1e-11)


def test_where_the_truth_was_not_observed_it_reads_its_own_words():
    torch.manual_seed(0)
    model, x = ready(DCRNN(F, C, P)).train(), history()
    target = torch.randn(B, P, N, dtype=torch.float64)
    target[0, 0, 1] = target[1, 1] = math.nan
    torch.testing.assert_close(
        model(x, EDGES, WEIGHT, target=target, progress=0.0), by_hand(model, x, forced=target), rtol=0, atol=1e-11
    )


@pytest.mark.parametrize(("progress", "expected"), [(0.25, 0.5), (0.3, 0.17945), (0.2, 0.82055)])
def test_the_share_of_truth_is_one_half_at_half_forced(progress, expected):
    torch.manual_seed(0)
    model, x = DCRNN(1, 2, 2, layers=1, half_forced=0.25).train(), torch.randn(1, 2, N, 1)
    target = torch.full((1, 2, N), 100.0)
    free = model.eval()(x, EDGES)
    model.train()
    read = sum(not torch.equal(model(x, EDGES, target=target, progress=progress), free) for _ in range(400)) / 400
    assert abs(read - expected) < 4 * math.sqrt(expected * (1 - expected) / 400)


def test_first_biases_open_the_gates():
    cell = DCRNN(F, C, P).encoder[0]
    assert cell.bias.tolist() == [1.0] * (2 * C) + [0.0] * C
