import pytest
import torch
import torch.nn.functional as F
from torch import nn

from gnnkit.sequence import SequenceClassifier

VARIANTS = [(cell, two) for cell in ("rnn", "lstm", "gru") for two in (False, True)]


@pytest.fixture(autouse=True)
def _seed():
    torch.manual_seed(0)


@pytest.mark.parametrize("shared", [False, True])
def test_it_is_the_plain_network_inline(shared):
    model = SequenceClassifier(9, 16, embedding_channels=4, bidirectional=True, shared_embedding=shared)
    with torch.no_grad():
        for recurrence in model.recurrences:
            for state in (recurrence.h_0, recurrence.c_0):
                nn.init.normal_(state)
    tokens = torch.randint(9, (5, 8))
    last = []
    for embedding, recurrence, order in zip(model.embeddings, model.recurrences, (tokens, tokens.flip(1)), strict=True):
        lstm = nn.LSTM(4, 16, batch_first=True)
        lstm.load_state_dict(recurrence.network.state_dict())
        initial = tuple(s[:, None].expand(1, 5, 16).contiguous() for s in (recurrence.h_0, recurrence.c_0))
        last.append(lstm(embedding.weight[order], initial)[1][0][0])
    expected = torch.log_softmax(torch.cat(last, dim=1) @ model.head.weight.T + model.head.bias, dim=1)
    torch.testing.assert_close(model(tokens), expected)
    assert (model.embeddings[0] is model.embeddings[1]) == shared


@pytest.mark.parametrize(("cell", "bidirectional"), VARIANTS)
def test_plain_states_give_the_fused_answer(cell, bidirectional):
    model = SequenceClassifier(7, 8, cell=cell, bidirectional=bidirectional).double()
    tokens, target = torch.randint(7, (4, 6)), torch.randint(7, (4,))
    directions = model.unroll_directions(tokens)
    last = torch.cat([directions[0][-1], *([directions[1][0]] if bidirectional else [])], dim=-1)
    torch.testing.assert_close(model.state_loss(last, target), F.nll_loss(model(tokens), target), rtol=0, atol=1e-12)
    assert len(model.unroll(tokens)) == 6
    assert model.unroll(tokens)[0].shape == (4, 16 if bidirectional else 8)


def test_log_probabilities_sum_to_one():
    model = SequenceClassifier(7, 8, out_channels=3)
    scores = model(torch.randint(7, (4, 6)))
    assert scores.shape == (4, 3)
    torch.testing.assert_close(scores.exp().sum(dim=1), torch.ones(4))


@pytest.mark.parametrize("fan", ["out", "in"])
@pytest.mark.parametrize(("cell", "gates"), [("rnn", 1), ("lstm", 4), ("gru", 3)])
def test_weights_are_drawn_by_the_fan_that_is_asked_for(cell, gates, fan):
    model = SequenceClassifier(20, 256, embedding_channels=50, cell=cell, bidirectional=True, kaiming_fan=fan)
    for embedding, recurrence in zip(model.embeddings, model.recurrences, strict=True):
        assert recurrence.network.weight_ih_l0.shape == (gates * 256, 50)
        for name, parameter in recurrence.network.named_parameters():
            if name.startswith("weight"):
                inputs = 50 if "ih" in name else 256
                deviation = (2 / (inputs if fan == "in" else 256)) ** 0.5
                assert parameter.std().item() == pytest.approx(deviation, rel=0.03)
                assert parameter.mean().abs() < 5e-3
            else:
                assert (parameter == 0).all()
        assert (recurrence.h_0 == 0).all()
        assert embedding.weight.std().item() == pytest.approx(1, rel=0.08)
    assert model.head.weight.std().item() == pytest.approx((2 / (512 if fan == "in" else 20)) ** 0.5, rel=0.03)
    assert (model.head.bias == 0).all()
    assert not torch.equal(model.embeddings[0].weight, model.embeddings[1].weight)


def test_the_reports_weights_have_the_deviation_of_torchs_routine_on_matrices_kept_in_out():
    model = SequenceClassifier(40, 256)
    into, between, output = (nn.init.kaiming_normal_(torch.empty(shape)) for shape in ((1, 256), (256, 256), (256, 40)))
    network = model.recurrences[0].network
    assert network.weight_ih_l0.std().item() == pytest.approx(into.std().item(), rel=0.15)
    assert network.weight_hh_l0.std().item() == pytest.approx(between.std().item(), rel=0.03)
    assert model.head.weight.std().item() == pytest.approx(output.std().item(), rel=0.06)


def test_it_learns_four_numbers():
    from gnnkit.data import EndlessCombinations

    model = SequenceClassifier(4, 32, embedding_channels=16)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    tokens = target = torch.empty(0)
    for _, (tokens, target) in zip(range(40), EndlessCombinations(4, batch_size=64), strict=False):
        optimizer.zero_grad()
        F.nll_loss(model(tokens), target).backward()
        optimizer.step()
    assert (model(tokens).argmax(1) == target).float().mean() == 1


def test_bad_input():
    with pytest.raises(ValueError, match="hidden_channels must be a whole number of at least 1, got 0"):
        SequenceClassifier(5, 0)
    with pytest.raises(ValueError, match="num_tokens must be a whole number of at least 1, got 0"):
        SequenceClassifier(0, 4)
    with pytest.raises(ValueError, match=r"embedding_channels must be .* got 0"):
        SequenceClassifier(5, 4, embedding_channels=0)
    with pytest.raises(ValueError, match="cell must be one of 'rnn', 'lstm', 'gru', got 'LSTM'"):
        SequenceClassifier(5, 4, cell="LSTM")
    with pytest.raises(ValueError, match="kaiming_fan must be one of 'in', 'out', got 'both'"):
        SequenceClassifier(5, 4, kaiming_fan="both")
    model = SequenceClassifier(5, 4)
    with pytest.raises(ValueError, match=r"token 5 is outside the vocabulary 0 \.\.\. 4"):
        model(torch.tensor([[1, 5, 2]]))
    with pytest.raises(ValueError, match="token -1 is outside the vocabulary"):
        model.unroll(torch.tensor([[1, -1, 2]]))
    with pytest.raises(ValueError, match=r"no empty batch.*got \[0, 3\]"):
        model(torch.zeros(0, 3, dtype=torch.int64))
    with pytest.raises(ValueError, match=r"got \[3\]"):
        model(torch.tensor([1, 2, 3]))
    with pytest.raises(ValueError, match="whole numbers"):
        model(torch.zeros(2, 3))
