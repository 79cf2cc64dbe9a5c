import pytest
import torch
from torch import nn

from gnnkit.sequence import GRU, LSTM, RNN, BiGRU, BiLSTM, BiRNN, LSTMState

NETWORKS = [RNN, LSTM, GRU, BiRNN, BiLSTM, BiGRU]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


def filled(network, *, learned_state):
    """With initial states that are not zero, as after training."""
    model = network(3, 5, learned_state=learned_state).double()
    with torch.no_grad():
        for name in ("h_0", "c_0"):
            if getattr(model, name) is not None:
                nn.init.normal_(getattr(model, name))
    return model


@pytest.mark.parametrize("learned_state", [True, False])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_plain_path_is_the_fused_path(network, learned_state):
    model = filled(network, learned_state=learned_state)
    x = torch.randn(4, 7, 3, dtype=torch.float64)
    fused = model(x)
    torch.testing.assert_close(torch.stack(model.unroll(x), dim=1), fused.all, rtol=0, atol=1e-12)
    parameters = [p for p in model.parameters() if p.requires_grad]
    upstream = torch.randn_like(fused.all)
    a = torch.autograd.grad((fused.all * upstream).sum(), parameters)
    b = torch.autograd.grad((torch.stack(model.unroll(x), dim=1) * upstream).sum(), parameters)
    for one, other in zip(a, b, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-12)


@pytest.mark.parametrize("network", [BiRNN, BiLSTM, BiGRU])
def test_last_has_read_everything_in_both_directions(network):
    model = filled(network, learned_state=True)
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    last = model(x).last
    forward, backward = model.unroll_directions(x)
    torch.testing.assert_close(last, torch.cat([forward[-1], backward[0]], dim=-1))
    # The backward direction is the forward one of a network with its weights that reads the reversed sequence.
    names = [n for n, _ in model.network.named_parameters() if n.endswith("_reverse")]
    alone = type(model).__mro__[1](3, 5, learned_state=True).double()
    alone.network.load_state_dict({n.removesuffix("_reverse"): getattr(model.network, n) for n in names})
    with torch.no_grad():
        alone.h_0.copy_(model.h_0[1:])
        if alone.c_0 is not None:
            alone.c_0.copy_(model.c_0[1:])
    torch.testing.assert_close(alone(x.flip(1)).last, last[:, 5:])


@pytest.mark.parametrize("network", NETWORKS)
def test_without_learned_states_it_is_torchs_network(network):
    model = network(3, 5)
    peer = network.fused(3, 5, bidirectional=model.bidirectional)
    peer.load_state_dict(model.network.state_dict())
    x = torch.randn(4, 7, 3)
    torch.testing.assert_close(model(x).all, peer(x.transpose(0, 1))[0].transpose(0, 1))


def test_the_second_bias_is_held_at_zero_except_in_a_gru():
    for network in NETWORKS:
        model = network(3, 5)
        second = [p for n, p in model.network.named_parameters() if n.startswith("bias_hh")]
        assert len(second) == model.directions
        is_gru = issubclass(network, GRU)
        assert all(p.requires_grad == is_gru and bool((p == 0).all()) != is_gru for p in second)


def test_learned_states_are_trained():
    model = BiLSTM(2, 3, learned_state=True)
    model(torch.randn(4, 5, 2)).last.square().sum().backward()
    assert model.h_0.grad.abs().min() > 0
    assert model.c_0.grad.abs().min() > 0
    assert GRU(2, 3, learned_state=True).c_0 is None


def test_unroll_states_holds_cell_states():
    model = LSTM(2, 3)
    (states,) = model.unroll_states(torch.randn(4, 5, 2))
    assert all(isinstance(state, LSTMState) for state in states)
    # h = output * tanh(c): the cell state is that of the same step.
    assert (states[-1].h.abs() < states[-1].c.tanh().abs()).all()


def test_bad_input():
    with pytest.raises(ValueError, match="hidden_channels must be a whole number of at least 1, got 0"):
        LSTM(3, 0)
    with pytest.raises(ValueError, match=r"F = in_channels = 3, got \[2, 5, 4\]"):
        LSTM(3, 2)(torch.zeros(2, 5, 4))
    with pytest.raises(ValueError, match=r"got \[0, 5, 3\]"):
        LSTM(3, 2)(torch.zeros(0, 5, 3))
    with pytest.raises(ValueError, match=r"got \[2, 0, 3\]"):
        LSTM(3, 2).unroll(torch.zeros(2, 0, 3))
