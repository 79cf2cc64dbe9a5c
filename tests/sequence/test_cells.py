import pytest
import torch
from torch import nn

from gnnkit.sequence import Gate, GRUCell, LSTMCell, LSTMState, RNNCell

CELLS = [(RNNCell, nn.RNNCell, nn.RNN), (LSTMCell, nn.LSTMCell, nn.LSTM), (GRUCell, nn.GRUCell, nn.GRU)]


def hidden(state):
    return state[0] if isinstance(state, tuple) else state


def parts(state):
    return list(state) if isinstance(state, tuple) else [state]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize(("ours", "theirs", "network"), CELLS)
@pytest.mark.parametrize("bias", [True, False])
def test_from_torch_gives_torchs_numbers(ours, theirs, network, bias):
    peer = theirs(3, 5, bias=bias)
    cell = ours.from_torch(peer)
    state = ours_state = None
    for x in torch.randn(4, 2, 3):
        state, ours_state = peer(x, state), cell(x, ours_state)
        for a, b in zip(parts(state), parts(ours_state), strict=True):
            torch.testing.assert_close(b, a, rtol=0, atol=1e-6)


@pytest.mark.parametrize(("ours", "theirs", "network"), CELLS)
def test_to_torch_gives_the_cells_numbers(ours, theirs, network):
    cell = ours(3, 5).double()
    peer = cell.to_torch()
    assert type(peer) is theirs
    x = torch.randn(2, 3, dtype=torch.float64)
    state = cell(x, cell(x))
    torch.testing.assert_close(hidden(peer(x, peer(x))), hidden(state), rtol=0, atol=1e-14)
    again = ours.from_torch(peer)
    assert again.state_dict().keys() == cell.state_dict().keys()
    for name, tensor in cell.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, rtol=0, atol=1e-15)


@pytest.mark.parametrize(("ours", "theirs", "network"), CELLS)
@pytest.mark.parametrize(("layer", "reverse"), [(0, False), (0, True), (1, False), (1, True)])
def test_each_layer_and_direction_of_a_network(ours, theirs, network, layer, reverse):
    net = network(3, 5, num_layers=2, bidirectional=True)
    x = torch.randn(6, 2, 3 if layer == 0 else 10)
    alone = network(x.size(-1), 5)
    suffix = f"_l{layer}" + ("_reverse" if reverse else "")
    alone.load_state_dict(
        {f"{n}_l0": getattr(net, n + suffix) for n in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    )
    states = ours.from_torch(net, layer=layer, reverse=reverse).unroll(x)
    torch.testing.assert_close(torch.stack([hidden(s) for s in states]), alone(x)[0], rtol=0, atol=1e-6)


@pytest.mark.parametrize(("ours", "theirs", "network"), CELLS)
def test_a_tied_cell_hands_gradients_to_the_network(ours, theirs, network):
    net = network(3, 5).double()
    x = torch.randn(6, 2, 3, dtype=torch.float64)
    before = torch.get_rng_state()
    cell = ours.from_torch(net, tied=True)
    assert torch.equal(torch.get_rng_state(), before)
    assert list(cell.parameters()) == []
    upstream = torch.randn(2, 5, dtype=torch.float64)
    plain = torch.autograd.grad((hidden(cell.unroll(x)[-1]) * upstream).sum(), list(net.parameters()))
    fused = torch.autograd.grad((net(x)[0][-1] * upstream).sum(), list(net.parameters()))
    for a, b in zip(plain, fused, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("ours", "theirs", "network"), CELLS)
def test_gradients_of_every_weight(ours, theirs, network):
    cell = ours(2, 3).double()
    names, values = zip(*cell.named_parameters(), strict=True)
    x = torch.randn(3, 2, 2, dtype=torch.float64)

    def run(*weights):
        state = None
        for step in x:
            state = torch.func.functional_call(cell, dict(zip(names, weights, strict=True)), (step, state))
        return hidden(state)

    assert torch.autograd.gradcheck(run, values)


def test_lstm_gates_by_hand():
    cell = LSTMCell(1, 1)
    weights = {
        "modulation": (1.0, 2.0, 0.5),
        "input": (-1.0, 0.5, 0.0),
        "forget": (0.3, -0.2, 1.0),
        "output": (2.0, 1.0, -1.0),
    }
    with torch.no_grad():
        for name, (w_x, w_h, b) in weights.items():
            gate = getattr(cell, name)
            for parameter, value in ((gate.weight_x, w_x), (gate.weight_h, w_h), (gate.bias, b)):
                parameter.fill_(value)
    x, h, c = 0.7, -0.4, 1.5
    sigmoid = lambda a: 1 / (1 + torch.tensor(-a, dtype=torch.float64).exp().item())  # noqa: E731
    tanh = lambda a: torch.tensor(a, dtype=torch.float64).tanh().item()  # noqa: E731
    expected = {n: (tanh if n == "modulation" else sigmoid)(x * wx + h * wh + b) for n, (wx, wh, b) in weights.items()}
    state = LSTMState(torch.tensor([[h]]), torch.tensor([[c]]))
    gates = cell.gates(torch.tensor([[x]]), state)
    for name, value in expected.items():
        assert getattr(gates, name).item() == pytest.approx(value, abs=1e-6)
    new_c = expected["forget"] * c + expected["input"] * expected["modulation"]
    out = cell(torch.tensor([[x]]), state)
    assert out.c.item() == pytest.approx(new_c, abs=1e-6)
    assert out.h.item() == pytest.approx(expected["output"] * tanh(new_c), abs=1e-6)


def test_gru_with_an_open_update_gate_keeps_its_state():
    cell = GRUCell(2, 4)
    with torch.no_grad():
        cell.update.bias.fill_(50.0)
    h = torch.randn(3, 4)
    torch.testing.assert_close(cell(torch.randn(3, 2), h), h)
    gates = cell.gates(torch.randn(3, 2), h)
    assert gates.update.min() == 1.0
    assert gates.reset.min() > 0
    assert gates.candidate.abs().max() < 1


def test_rnn_step_by_hand():
    cell = RNNCell(1, 2)
    with torch.no_grad():
        cell.candidate.weight_x.copy_(torch.tensor([[1.0], [2.0]]))
        cell.candidate.weight_h.copy_(torch.tensor([[0.0, 1.0], [1.0, 0.0]]))
        cell.candidate.bias.copy_(torch.tensor([0.1, 0.2]))
    out = cell(torch.tensor([[0.5]]), torch.tensor([[0.3, -0.2]]))
    torch.testing.assert_close(out, torch.tanh(torch.tensor([[0.5 - 0.2 + 0.1, 1.0 + 0.3 + 0.2]])))


def test_an_lstm_with_closed_forget_gate_forgets():
    cell = LSTMCell(2, 3)
    with torch.no_grad():
        cell.forget.bias.fill_(-60.0)
    x, h = torch.randn(2, 2), torch.randn(2, 3)
    a, b = cell(x, (h, torch.zeros(2, 3))), cell(x, (h, torch.full((2, 3), 100.0)))
    torch.testing.assert_close(a.c, b.c)


@pytest.mark.parametrize("build", [lambda i, h: Gate(i, h), lambda i, h: LSTMCell(i, h), lambda i, h: GRUCell(i, h)])
def test_sizes_are_checked(build):
    with pytest.raises(ValueError, match="hidden_channels must be a whole number of at least 1, got 0"):
        build(3, 0)
    with pytest.raises(ValueError, match="in_channels must be a whole number of at least 1, got -1"):
        build(-1, 3)


def test_what_cannot_be_converted():
    with pytest.raises(ValueError, match=r"module must be an LSTMCell or LSTM of torch.nn, got GRU"):
        LSTMCell.from_torch(nn.GRU(2, 3))
    with pytest.raises(ValueError, match="layer must be from 0 to 1, got 2"):
        LSTMCell.from_torch(nn.LSTM(2, 3, num_layers=2), layer=2)
    with pytest.raises(ValueError, match="bidirectional=True"):
        GRUCell.from_torch(nn.GRU(2, 3), reverse=True)
    with pytest.raises(ValueError, match="one layer and one direction"):
        GRUCell.from_torch(nn.GRUCell(2, 3), layer=1)
    with pytest.raises(ValueError, match="projects its state to 2 channels"):
        LSTMCell.from_torch(nn.LSTM(2, 3, proj_size=2))
    with pytest.raises(ValueError, match="nonlinearity is 'relu'; RNNCell has tanh"):
        RNNCell.from_torch(nn.RNN(2, 3, nonlinearity="relu"))
