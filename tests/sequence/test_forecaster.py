import math

import pytest
import torch

from gnnkit.sequence import BiLSTMForecaster, GRUForecaster, LSTMForecaster, RNNForecaster

MODELS = [RNNForecaster, LSTMForecaster, BiLSTMForecaster, GRUForecaster]
FORMS = ["per-node", "joint"]
B, T, N, F, C, P = 3, 6, 4, 2, 5, 2

each_model = pytest.mark.parametrize("model", MODELS)
each_form = pytest.mark.parametrize("form", FORMS)


def build(model, form="per-node", **settings):
    torch.manual_seed(0)
    return model(F, C, P, form=form, num_nodes=N, **settings).double()


def history(seed=1):
    return torch.randn(B, T, N, F, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def sigmoid(value):
    return 1 / (1 + math.exp(-value))


def test_the_forecast_of_width_one_by_hand():
    x = [0.3, -0.7]
    a, u, b, v = 0.4, -0.6, 0.1, 0.2  # input weight, state weight, both biases: the same for every gate
    h_rnn = h_gru = h_lstm = c = 0.0
    for value in x:
        h_rnn = math.tanh(a * value + b + u * h_rnn + v)
        gate = sigmoid(a * value + b + u * h_lstm + v)
        c, modulation = c * gate, math.tanh(a * value + b + u * h_lstm + v)
        c += gate * modulation
        h_lstm = gate * math.tanh(c)
        gate = sigmoid(a * value + b + u * h_gru + v)
        h_gru = gate * h_gru + (1 - gate) * math.tanh(a * value + b + gate * (u * h_gru + v))
    for model, h in ((RNNForecaster, h_rnn), (LSTMForecaster, h_lstm), (GRUForecaster, h_gru)):
        forecaster = model(1, 1, 2).double()
        with torch.no_grad():
            for name, value in (("weight_ih", a), ("weight_hh", u), ("bias_ih", b), ("bias_hh", v)):
                getattr(forecaster.rnn, f"{name}_l0").fill_(value)
            forecaster.head.weight.copy_(torch.tensor([[1.0], [2.0]]))
            forecaster.head.bias.copy_(torch.tensor([0.0, 5.0]))
        out = forecaster(torch.tensor(x, dtype=torch.float64).view(1, 2, 1, 1))
        assert out.flatten().tolist() == pytest.approx([h, 2 * h + 5], abs=1e-12)


def test_the_backward_lstm_reads_the_history_backwards():
    forecaster = build(BiLSTMForecaster)
    with torch.no_grad():  # both directions get the same weights, and the head the difference of the two
        for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
            getattr(forecaster.rnn, f"{name}_l0_reverse").copy_(getattr(forecaster.rnn, f"{name}_l0"))
        forecaster.head.weight[:, C:] = -forecaster.head.weight[:, :C]
        forecaster.head.bias.zero_()
    x = history()
    torch.testing.assert_close(forecaster(x), -forecaster(x.flip(1)))
    palindrome = torch.cat([x, x.flip(1)], dim=1)
    torch.testing.assert_close(forecaster(palindrome), torch.zeros(B, P, N, dtype=torch.float64))


@each_model
def test_per_node_sees_one_node_and_joint_sees_all(model):
    x = history()
    changed = x.clone()
    changed[:, :, 1] += 1.0
    same = [0, 2, 3]
    assert torch.equal(build(model)(changed)[:, :, same], build(model)(x)[:, :, same])
    difference = (build(model, "joint")(changed) - build(model, "joint")(x)).abs()
    assert (difference.amax(dim=(0, 1)) > 1e-4).all()


@each_model
@each_form
@pytest.mark.parametrize("num_layers", [1, 2])
def test_unroll_goes_through_the_states_of_the_fused_path(model, form, num_layers):
    forecaster, x = build(model, form, num_layers=num_layers), history()
    seen = []
    hook = forecaster.rnn.register_forward_hook(lambda _, __, out: seen.append(out[0]))
    out = forecaster(x)
    hook.remove()
    states = forecaster.unroll(x)
    width = 2 * C if model is BiLSTMForecaster else C
    shape = (B, N, width) if form == "per-node" else (B, width)
    assert len(states) == T
    assert all(state.shape == shape for state in states)
    torch.testing.assert_close(torch.stack(states), seen[0].view(T, *shape), rtol=0, atol=1e-12)
    # The head on the last states gives the forecast.
    last = torch.cat([states[-1][..., :C], states[0][..., C:]], dim=-1)
    by_hand = forecaster.head(last)
    by_hand = by_hand.transpose(1, 2) if form == "per-node" else by_hand.view(B, P, N)
    torch.testing.assert_close(out, by_hand, rtol=0, atol=1e-12)


@each_model
@each_form
def test_unroll_in_float32_is_within_rounding_of_the_fused_path(model, form):
    forecaster, x = build(model, form).float(), history().float()
    seen = []
    forecaster.rnn.register_forward_hook(lambda _, __, out: seen.append(out[0]))
    forecaster(x)
    unrolled = torch.stack(forecaster.unroll(x))
    torch.testing.assert_close(unrolled, seen[0].view(unrolled.shape), rtol=0, atol=1e-6)


def test_unrolled_states_are_links_of_one_chain():
    forecaster = build(RNNForecaster)
    states = forecaster.unroll(history())
    first, last = states[0], states[-1]
    (gradient,) = torch.autograd.grad(last.sum(), first, retain_graph=True)
    # dh_T/dh_1 is the product of diag(1 - h_t^2) W_h.
    expected = torch.ones(B, N, C, dtype=torch.float64)
    for h in reversed(states[1:]):
        expected = (expected * (1 - h.detach() ** 2)) @ forecaster.rnn.weight_hh_l0.detach()
    torch.testing.assert_close(gradient, expected, rtol=0, atol=1e-12)


@each_model
@each_form
def test_gradients_of_the_fused_path_are_those_of_the_plain_one(model, form):
    forecaster, x = build(model, form), history().requires_grad_()
    torch.manual_seed(3)
    weight = torch.randn(B, P, N, dtype=torch.float64)
    inputs = [x, *forecaster.parameters()]
    fused = torch.autograd.grad((forecaster(x) * weight).sum(), inputs)
    states = forecaster.unroll(x)
    out = forecaster.head(torch.cat([states[-1][..., :C], states[0][..., C:]], dim=-1))
    out = out.transpose(1, 2) if form == "per-node" else out.view(B, P, N)
    plain = torch.autograd.grad((out * weight).sum(), inputs)
    for one, other in zip(fused, plain, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-10)
        assert one.abs().max() > 0


@pytest.mark.parametrize(("model", "gates"), [(RNNForecaster, 1), (LSTMForecaster, 4), (GRUForecaster, 3)])
@each_form
def test_parameters(model, gates, form):
    count = sum(p.numel() for p in build(model, form).parameters())
    nodes = N if form == "joint" else 1
    assert count == gates * (nodes * F * C + C * C + 2 * C) + C * nodes * P + nodes * P


def test_bilstm_has_two_lstms():
    count = sum(p.numel() for p in build(BiLSTMForecaster).parameters())
    assert count == 2 * 4 * (F * C + C * C + 2 * C) + 2 * C * P + P


@each_form
def test_the_mask_is_read_only_if_asked_for(form):
    x, mask = history(), torch.ones(B, T, N, F, dtype=torch.bool)
    hidden = mask.clone()
    hidden[:, -1] = False
    plain, reading = build(GRUForecaster, form), build(GRUForecaster, form, mask_input=True)
    assert torch.equal(plain(x, mask=hidden), plain(x))
    assert torch.equal(reading(x, mask=mask), reading(x))
    assert (reading(x, mask=hidden) - reading(x)).abs().max() > 1e-3
    torch.testing.assert_close(
        reading.unroll(x, mask=hidden)[-1], build(GRUForecaster, form, mask_input=True).unroll(x, mask=hidden)[-1]
    )


def test_dropout_acts_in_training_only_and_with_one_layer_too():
    x = history()
    forecaster = build(GRUForecaster, dropout=0.5)
    assert not torch.equal(forecaster(x), forecaster(x))
    torch.testing.assert_close(forecaster.eval()(x), build(GRUForecaster)(x))


def test_per_node_takes_any_number_of_nodes_unless_told_one():
    x = torch.randn(2, 3, 7, 1)
    assert LSTMForecaster(1, 4, 2)(x).shape == (2, 2, 7)
    with pytest.raises(ValueError, match=r"x has N = 7 .*built for num_nodes=5"):
        LSTMForecaster(1, 4, 2, num_nodes=5)(x)


@each_model
def test_joint_is_tied_to_its_nodes(model):
    with pytest.raises(ValueError, match=r"x has N = 3 in \[3, 6, 3, 2\], but .* was built for num_nodes=4"):
        build(model, "joint")(history()[:, :, :3])
    with pytest.raises(ValueError, match="form='joint' reads all nodes as one vector and needs their number"):
        model(F, C, P, form="joint")


@each_form
def test_an_input_of_another_shape(form):
    forecaster = build(GRUForecaster, form)
    with pytest.raises(ValueError, match=r"x must have shape \[B, T, N, F\]"):
        forecaster(history()[0])
    with pytest.raises(ValueError, match="x has F = 1"):
        forecaster(history()[..., :1])


@pytest.mark.parametrize(
    ("sizes", "settings", "message"),
    [
        ((0, 4, 2), {}, "in_channels must be a whole number of at least 1, got 0"),
        ((1, 0, 2), {}, "hidden_channels must be a whole number of at least 1, got 0"),
        ((1, 4, 0), {}, "horizon must be a whole number of at least 1, got 0"),
        ((1, 4, 2), {"num_layers": 0}, "num_layers must be a whole number of at least 1, got 0"),
        ((1, 4, 2), {"num_nodes": 0}, "num_nodes must be a whole number of at least 1, got 0"),
        ((1, 4, 2), {"dropout": 1.0}, "dropout must be a share"),
        ((1, 4, 2), {"form": "both"}, "form must be one of 'per-node', 'joint', got 'both'"),
    ],
)
@each_model
def test_bad_arguments(model, sizes, settings, message):
    with pytest.raises(ValueError, match=message):
        model(*sizes, **settings)


@each_model
def test_reset_parameters_draws_anew(model):
    forecaster, x = build(model), history()
    before = forecaster(x)
    forecaster.reset_parameters()
    assert not torch.equal(forecaster(x), before)


@each_model
def test_it_says_what_it_is(model):
    assert f"{F}, {C}, horizon={P}, form='joint', num_nodes={N}" in repr(build(model, "joint"))
