import pytest
import torch
import torch.nn.functional as F

from gnnkit.sequence import CharLSTM, LSTMCell, LSTMState, count_parameters


def small(**options):
    torch.manual_seed(0)
    return CharLSTM(5, 4, embedding_channels=3, **options).double()


def by_hand(model, tokens):
    """Gate by gate, layer upon layer."""
    steps = model.embedding.weight[tokens.t()] * (model.embedding_channels**0.5 if model.tied else 1.0)
    states = []
    for layer in range(model.num_layers):
        states = LSTMCell.from_torch(model.network, layer=layer, tied=True).unroll(steps)
        steps = torch.stack([state.h for state in states])
    if model.tied:
        return (steps @ model.projection.weight.t() @ model.embedding.weight.t() + model.bias).transpose(0, 1)
    return (steps @ model.head.weight.t() + model.bias).transpose(0, 1)


@pytest.mark.parametrize("tied", [False, True])
@pytest.mark.parametrize("layers", [1, 2, 3])
def test_scores_and_gradients_are_those_of_the_equations(tied, layers):
    model = small(tied=tied, num_layers=layers)
    tokens = torch.tensor([[0, 1, 4, 2], [3, 3, 0, 1]])
    logits, state = model(tokens)
    assert (logits.shape, state.h.shape, state.c.shape) == ((2, 4, 5), (layers, 2, 4), (layers, 2, 4))
    expected = by_hand(model, tokens)
    torch.testing.assert_close(logits, expected)
    parameters = [p for p in model.parameters() if p.requires_grad]
    weights = torch.randn_like(logits)
    found = torch.autograd.grad((logits * weights).sum(), parameters)
    wanted = torch.autograd.grad((expected * weights).sum(), parameters)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other)


def test_a_text_read_in_pieces_gives_the_same_scores():
    model = small()
    tokens = torch.randint(5, (3, 9))
    whole, end = model(tokens)
    first, state = model(tokens[:, :4])
    second, state = model(tokens[:, 4:], state)
    torch.testing.assert_close(torch.cat([first, second], dim=1), whole)
    torch.testing.assert_close(state.c, end.c)
    torch.testing.assert_close(model(tokens, model.zero_state(3)).logits, whole)


@pytest.mark.parametrize(("tied", "expected"), [(False, 128 * 96 + 256 * 96 + 96), (True, 128 * 96 + 256 * 128 + 96)])
def test_parameters(tied, expected):
    layers = 4 * (128 * 256 + 256 * 256 + 256) + 4 * (2 * 256 * 256 + 256)
    assert count_parameters(CharLSTM(96, tied=tied)) == expected + layers


def test_defaults_are_the_reports():
    model = CharLSTM(96)
    assert (model.hidden_channels, model.embedding_channels, model.num_layers, model.dropout) == (256, 128, 2, 0.0)
    assert not model.tied


def test_dropout_acts_in_training_alone_and_on_what_goes_up():
    model = small(dropout=0.5)
    tokens = torch.randint(5, (2, 200))
    one, other = model(tokens).logits, model(tokens).logits
    assert not torch.equal(one, other)
    model.eval()
    assert torch.equal(model(tokens).logits, model(tokens).logits)
    # The first layer's state is handed on in time undropped.
    single = small(dropout=0.5, num_layers=1)
    training = single(tokens).state
    torch.testing.assert_close(training.h, single.eval()(tokens).state.h)


def test_the_second_bias_is_held_at_zero():
    model = small()
    before = {name: p.clone() for name, p in model.network.named_parameters() if name.startswith("bias_hh")}
    assert all((p == 0).all() for p in before.values())
    F.cross_entropy(model(torch.zeros(1, 3, dtype=torch.int64)).logits[0], torch.zeros(3, dtype=torch.int64)).backward()
    assert all(p.grad is None for name, p in model.network.named_parameters() if name in before)


def test_bad_input():
    model = small()
    with pytest.raises(ValueError, match=r"tokens must have shape \[B, T\] with B and T at least 1, got \[3\]"):
        model(torch.zeros(3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"got \[0, 3\]"):
        model(torch.zeros(0, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"tokens must be int64 or int32, got torch.uint8; call .long\(\)"):
        model(torch.zeros(1, 3, dtype=torch.uint8))
    with pytest.raises(ValueError, match=r"token 5 is outside the vocabulary 0 \.\.\. 4"):
        model(torch.tensor([[0, 5]]))
    with pytest.raises(ValueError, match=r"token -1 is outside"):
        model(torch.tensor([[0, -1]]))
    with pytest.raises(ValueError, match=r"state must have shape \[L, B, C\] = \[2, 1, 4\]"):
        model(torch.tensor([[0]]), LSTMState(*(torch.zeros(2, 3, 4) for _ in range(2))))
    for name in ("num_layers", "embedding_channels"):
        with pytest.raises(ValueError, match=f"{name} must be a whole number of at least 1, got 0"):
            CharLSTM(5, **{name: 0})
    with pytest.raises(ValueError, match=r"dropout must be a share from 0 up to, not including, 1, got 1\.0"):
        CharLSTM(5, dropout=1.0)
