import pytest
import torch
import torch.nn.functional as F

from gnnkit.sequence import (
    GRUCell,
    LSTMCell,
    RNNCell,
    SequenceClassifier,
    gradient_flow,
    jacobian_products,
    rnn_gradients,
    state_jacobians,
)


def network(batch=3, length=6, features=2, channels=4, classes=5, seed=0):
    g = torch.Generator().manual_seed(seed)
    draw = lambda *shape: torch.randn(*shape, generator=g, dtype=torch.float64)  # noqa: E731
    weights = {
        "w_hx": draw(channels, features),
        "w_hh": draw(channels, channels),
        "b_h": draw(channels),
        "w_ph": draw(classes, channels),
        "b_p": draw(classes),
    }
    return draw(batch, length, features), torch.randint(classes, (batch,), generator=g), weights, draw(batch, channels)


def by_autograd(x, target, weights, h_0):
    """The loss, and W_hh taken apart: one copy a step, so that autograd gives each step's term alone."""
    copies = [weights["w_hh"].clone().requires_grad_() for _ in range(x.size(1))]
    w_ph = weights["w_ph"].clone().requires_grad_()
    h, states = h_0, []
    for t, w_hh in enumerate(copies):
        h = torch.tanh(x[:, t] @ weights["w_hx"].T + h @ w_hh.T + weights["b_h"])
        states.append(h)
    loss = F.cross_entropy(h @ w_ph.T + weights["b_p"], target)
    grads = torch.autograd.grad(loss, [w_ph, *copies], retain_graph=True)
    return loss, states, grads[0], torch.stack(grads[1:])


@pytest.mark.parametrize("length", [1, 2, 6])
@pytest.mark.parametrize("with_state", [True, False])
def test_closed_form_equals_autograd(length, with_state):
    x, target, weights, h_0 = network(length=length)
    found = rnn_gradients(x, target, **weights, h_0=h_0 if with_state else None)
    loss, states, w_ph, terms = by_autograd(x, target, weights, h_0 if with_state else torch.zeros_like(h_0))
    close = {"rtol": 0, "atol": 1e-10}
    torch.testing.assert_close(found.loss, loss.detach(), **close)
    torch.testing.assert_close(found.states, torch.stack(states).detach(), **close)
    torch.testing.assert_close(found.w_ph, w_ph, **close)
    torch.testing.assert_close(found.terms, terms, **close)
    torch.testing.assert_close(found.w_hh, terms.sum(0), **close)
    if not with_state:
        assert (found.terms[0] == 0).all()


def test_products_are_the_jacobians_of_the_last_state():
    x, target, weights, h_0 = network(batch=2, length=5, channels=3)
    found = rnn_gradients(x, target, **weights, h_0=h_0)
    _, states, _, _ = by_autograd(x, target, weights, h_0)
    for i in range(4):
        for b in range(2):
            for row in range(3):
                (gradient,) = torch.autograd.grad(states[-1][b, row], states[i], retain_graph=True)
                torch.testing.assert_close(found.products[i, b, row], gradient[b], rtol=0, atol=1e-10)
    torch.testing.assert_close(found.products[-1], torch.eye(3, dtype=torch.float64).expand(2, 3, 3))


def test_a_linear_chain_of_two_steps_by_hand():
    # One channel, W_hh = w, small enough that nothing saturates: h_1 = tanh(x_1), h_2 = tanh(w h_1).
    w, x_1 = 0.5, 0.3
    one = torch.ones(1, 1, dtype=torch.float64)
    x = torch.tensor([[[x_1], [0.0]]], dtype=torch.float64)
    weights = {
        "w_hx": one,
        "w_hh": w * one,
        "b_h": one[0] * 0,
        "w_ph": torch.tensor([[1.0], [0.0]]).double(),
        "b_p": torch.zeros(2).double(),
    }
    found = rnn_gradients(x, torch.tensor([0]), **weights)
    h_1 = torch.tensor(x_1).double().tanh()
    h_2 = (w * h_1).tanh()
    p = torch.stack([h_2, h_2 * 0]).softmax(0)
    torch.testing.assert_close(found.w_ph, torch.stack([(p[0] - 1) * h_2, p[1] * h_2])[:, None])
    torch.testing.assert_close(found.w_hh.squeeze(), (p[0] - 1) * (1 - h_2**2) * h_1)
    torch.testing.assert_close(found.products[0].squeeze(), (1 - h_2**2) * w)


def test_shapes_are_checked():
    x, target, weights, h_0 = network()
    with pytest.raises(ValueError, match=r"w_hx must have shape \[4, 2\] .* got \[4, 3\]"):
        rnn_gradients(x, target, **{**weights, "w_hx": torch.zeros(4, 3).double()})
    with pytest.raises(ValueError, match=r"h_0 must have shape \[3, 4\]"):
        rnn_gradients(x, target, **weights, h_0=h_0[:1])
    with pytest.raises(ValueError, match=r"x must have shape \[B, T, F\]"):
        rnn_gradients(x[:0], target[:0], **weights)
    with pytest.raises(ValueError, match=r"outside 0 \.\.\. 4"):
        rnn_gradients(x, target + 5, **weights)


def test_jacobian_products_by_hand():
    jacobians = torch.randn(4, 2, 3, 3, dtype=torch.float64)
    products = jacobian_products(jacobians)
    torch.testing.assert_close(products[0], jacobians[3] @ jacobians[2] @ jacobians[1])
    torch.testing.assert_close(products[2], jacobians[3])
    with pytest.raises(ValueError, match="jacobians must have shape"):
        jacobian_products(torch.zeros(4, 3, 2))


@pytest.mark.parametrize("kind", [RNNCell, LSTMCell, GRUCell])
def test_state_jacobians_chain_to_the_last_state(kind):
    torch.manual_seed(0)
    cell = kind(2, 3).double()
    x = torch.randn(5, 2, dtype=torch.float64)
    products = jacobian_products(state_jacobians(cell, x))
    first = cell(x[:1])
    vector = torch.cat(list(first), dim=1)[0].detach() if kind is LSTMCell else first[0].detach()

    def rest(s):
        state = (s[None, :3], s[None, 3:]) if kind is LSTMCell else s[None]
        state = cell.unroll(x[1:, None], state)[-1]
        return torch.cat(list(state), dim=1)[0] if kind is LSTMCell else state[0]

    torch.testing.assert_close(products[0], torch.autograd.functional.jacobian(rest, vector), rtol=0, atol=1e-12)
    with pytest.raises(ValueError, match=r"one sequence \[T, F\]"):
        state_jacobians(cell, x[:, :1])


def test_an_lstms_cell_state_keeps_what_its_forget_gate_keeps():
    cell = LSTMCell(1, 2).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.zero_()
        cell.forget.bias.fill_(2.0)
    jacobians = state_jacobians(cell, torch.zeros(3, 1, dtype=torch.float64))
    forget = torch.sigmoid(torch.tensor(2.0, dtype=torch.float64))
    torch.testing.assert_close(jacobians[1][2:, 2:], forget * torch.eye(2, dtype=torch.float64))
    torch.testing.assert_close(jacobian_products(jacobians)[0][2:, 2:], forget**2 * torch.eye(2, dtype=torch.float64))


@pytest.mark.parametrize("cell", ["rnn", "lstm", "gru"])
def test_gradient_flow_is_autograds(cell):
    torch.manual_seed(0)
    model = SequenceClassifier(6, 4, cell=cell).double()
    tokens, target = torch.randint(6, (3, 5)), torch.randint(6, (3,))
    flow = gradient_flow(model, (tokens, target))
    states = model.unroll(tokens)
    loss = model.state_loss(states[-1], target)
    expected = [torch.autograd.grad(loss, s, retain_graph=True)[0].square().sum().sqrt() for s in states]
    torch.testing.assert_close(flow, torch.stack(expected))
    assert all(p.grad is None for p in model.parameters())


def test_gradient_flow_equals_a_perturbation():
    """The RNN's gradient, by finite differences: the loss when h_t is moved and the rest is computed from there."""
    torch.manual_seed(0)
    model = SequenceClassifier(6, 3, cell="rnn").double()
    tokens, target = torch.randint(6, (1, 4)), torch.randint(6, (1,))
    x = model.embeddings[0](tokens)
    cell = RNNCell.from_torch(model.recurrences[0].network)
    with torch.no_grad():
        h = model.unroll(tokens)[1]
        gradient = []
        for c in range(3):
            ends = [cell.unroll(x[:, 2:].unbind(1), h + sign * 1e-5 * torch.eye(3).double()[c])[-1] for sign in (1, -1)]
            gradient.append((model.state_loss(ends[0], target) - model.state_loss(ends[1], target)) / 2e-5)
    assert gradient_flow(model, (tokens, target))[1].item() == pytest.approx(
        torch.stack(gradient).norm().item(), rel=1e-6
    )


def test_both_directions_have_their_own_flow():
    torch.manual_seed(0)
    model = SequenceClassifier(6, 4, bidirectional=True).double()
    batch = torch.randint(6, (3, 5)), torch.randint(6, (3,))
    each = gradient_flow(model, batch, per_direction=True)
    assert each.shape == (2, 5)
    torch.testing.assert_close(gradient_flow(model, batch), each.norm(dim=0))
    # Each direction's gradient is largest where it was read last, and dies down the other way.
    assert each[0].argmax() == 4
    assert each[1].argmax() == 0
    # The mirrored sequence with the directions' weights swapped has the mirrored flow.
    other = SequenceClassifier(6, 4, bidirectional=True).double()
    own = model.state_dict()
    other_side = str.maketrans("01", "10")
    state = {
        n: own[".".join([*n.split(".")[:1], n.split(".")[1].translate(other_side), *n.split(".")[2:]])] for n in own
    }
    state["head.weight"] = torch.cat([own["head.weight"][:, 4:], own["head.weight"][:, :4]], dim=1)
    other.load_state_dict(state)
    torch.testing.assert_close(gradient_flow(other, (batch[0].flip(1), batch[1])), each.norm(dim=0).flip(0))


def test_small_weights_vanish_and_large_ones_explode():
    torch.manual_seed(0)
    model = SequenceClassifier(6, 16, cell="rnn").double()
    batch = torch.randint(6, (8, 30)), torch.randint(6, (8,))
    orthogonal = torch.linalg.qr(torch.randn(16, 16, dtype=torch.float64)).Q
    with torch.no_grad():
        model.embeddings[0].weight.zero_()  # states stay near zero, where tanh is the identity
        model.recurrences[0].network.weight_hh_l0.copy_(0.5 * orthogonal)
        vanishing = gradient_flow(model, batch)
        model.recurrences[0].network.weight_hh_l0.copy_(1.5 * orthogonal)
    exploding = gradient_flow(model, batch)
    torch.testing.assert_close(
        vanishing[0] / vanishing[-1], torch.tensor(0.5**29, dtype=torch.float64), rtol=1e-6, atol=0
    )
    torch.testing.assert_close(
        exploding[0] / exploding[-1], torch.tensor(1.5**29, dtype=torch.float64), rtol=1e-6, atol=0
    )


def test_any_model_with_unroll_will_do():
    class Sum(torch.nn.Module):
        """h_t = 2 h_{t-1} + a x_t: the gradient doubles with every step back."""

        def __init__(self):
            super().__init__()
            self.a = torch.nn.Parameter(torch.ones(1, dtype=torch.float64))

        def unroll(self, x, edge_index, edge_weight):
            h, states = torch.zeros_like(x[:, 0]), []
            for step in x.unbind(1):
                h = 2 * h + self.a * step
                states.append(h)
            return states

    x, y = torch.ones(1, 4, 1, 1, dtype=torch.float64), torch.zeros(1, 1, 1, dtype=torch.float64)
    flow = gradient_flow(Sum(), (x, None, None, y), loss=lambda last, y: (last - y).sum())
    assert flow.tolist() == [8, 4, 2, 1]
    with pytest.raises(ValueError, match=r"Sum has no state_loss\(last, target\); give one"):
        gradient_flow(Sum(), (x, None, None, y))
    with pytest.raises(ValueError, match=r"Linear has no unroll\(\)"):
        gradient_flow(torch.nn.Linear(1, 1), (x, y))


def test_t_gcn_flows_through_the_same_function():
    from gnnkit.temporal import TGCN

    torch.manual_seed(0)
    model = TGCN(1, 4, 2).double()
    edge_index = torch.tensor([[0, 1, 1, 2], [1, 0, 2, 1]])
    x, y = torch.randn(2, 6, 3, 1, dtype=torch.float64), torch.randn(2, 3, 4, dtype=torch.float64)
    weight = torch.ones(4, dtype=torch.float64)
    flow = gradient_flow(model, (x, edge_index, weight, y), loss=lambda last, y: (last.view_as(y) - y).square().mean())
    states = model.unroll(x, edge_index, weight)
    loss = (states[-1].view_as(y) - y).square().mean()
    expected = torch.stack([torch.autograd.grad(loss, s, retain_graph=True)[0].norm() for s in states])
    torch.testing.assert_close(flow, expected)
    assert flow.shape == (6,)
    assert flow.min() > 0


def test_joined_states_lead_nowhere_and_say_so():
    from gnnkit.sequence import BiLSTMForecaster

    model = BiLSTMForecaster(1, 4, 2)
    x = torch.randn(2, 5, 3, 1)
    if hasattr(model, "unroll_directions"):
        assert gradient_flow(model, (x, None), loss=lambda last, y: last.square().sum()).min() > 0
    else:
        with pytest.raises(ValueError, match="unroll_directions"):
            gradient_flow(model, (x, None), loss=lambda last, y: last.square().sum())
    frozen = SequenceClassifier(6, 4).requires_grad_(False)
    with pytest.raises(ValueError, match="the states need gradients"):
        gradient_flow(frozen, (torch.randint(6, (3, 5)), torch.randint(6, (3,))))
