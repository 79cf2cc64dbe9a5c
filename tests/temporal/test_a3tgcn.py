import torch

from gnnkit.temporal import A3TGCN
from tests.temporal.four_nodes import EDGES, WEIGHT, B, C, F, N, P, T, history, linear, ready


def by_hand(model, x):
    h, states = None, []
    for t in range(T):  # the state goes on from step to step
        h = model.cell(x[:, t], EDGES, WEIGHT, h)
        states.append(h)
    found = torch.zeros(B, P, N, dtype=torch.float64)
    for b in range(B):
        for n in range(N):
            scores = torch.stack([linear(model.score_2, linear(model.score_1, s[b, n]))[0] for s in states])
            shares = scores.exp() / scores.exp().sum()
            context = sum(share * s[b, n] for share, s in zip(shares, states, strict=True))
            found[b, :, n] = linear(model.head, context)
    return found


def test_it_is_attention_over_the_states_of_the_cell():
    torch.manual_seed(0)
    for settings in ({}, {"graph_convolution": "input_and_state"}, {"layers": 1}):
        model, x = ready(A3TGCN(F, C, P, **settings)), history()
        torch.testing.assert_close(model(x, EDGES, WEIGHT), by_hand(model, x), rtol=0, atol=1e-12)


def test_the_state_is_carried_on():
    """With all attention on the last step, the first still makes a difference: only the state can have brought it."""
    torch.manual_seed(0)
    model, x = A3TGCN(F, C, P).double().eval(), history()
    states = model.unroll(x, EDGES, WEIGHT)
    (gradient,) = torch.autograd.grad(states[-1].sum(), states[0])
    assert gradient.abs().max() > 1e-3
    changed = x.clone()
    changed[:, 0] += 1.0
    assert (model.unroll(changed, EDGES, WEIGHT)[-1] - states[-1]).abs().max() > 1e-3
