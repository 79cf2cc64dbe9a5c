import math

import pytest
import torch

from gnnkit.sequence import CharLSTM, Sampling, write_characters

LOGITS = torch.tensor([[math.log(0.5), math.log(0.3), math.log(0.15), math.log(0.05)]])


def shares(**options):
    return Sampling(**options).distribution(LOGITS)[0].tolist()


def test_tau_multiplies_the_logits():
    assert shares() == pytest.approx([0.5, 0.3, 0.15, 0.05])
    squares = [0.25, 0.09, 0.0225, 0.0025]
    assert shares(tau=2.0) == pytest.approx([square / sum(squares) for square in squares])
    roots = [share**0.5 for share in (0.5, 0.3, 0.15, 0.05)]
    assert shares(tau=0.5) == pytest.approx([root / sum(roots) for root in roots])


def test_top_k_and_top_p_cut_off_the_unlikely():
    assert shares(top_k=2) == pytest.approx([0.625, 0.375, 0, 0])
    assert shares(top_k=9) == pytest.approx([0.5, 0.3, 0.15, 0.05])
    # The fewest that together have the share: .5 + .3 reaches .8, and .81 asks for one more.
    assert shares(top_p=0.79) == pytest.approx([0.625, 0.375, 0, 0])
    assert shares(top_p=0.81) == pytest.approx([0.5 / 0.95, 0.3 / 0.95, 0.15 / 0.95, 0])
    assert shares(top_p=0.01) == [1, 0, 0, 0]
    assert shares(top_p=1.0) == pytest.approx([0.5, 0.3, 0.15, 0.05])
    # Both, after τ: of the squares .25, .09, ... the first has .73 of two.
    assert shares(tau=2.0, top_k=2, top_p=0.7) == pytest.approx([1, 0, 0, 0])
    tied = Sampling(top_k=2).distribution(torch.zeros(1, 4))[0].tolist()
    assert tied == [0.5, 0.5, 0, 0]


def test_draws_follow_the_distribution():
    generator = torch.Generator().manual_seed(0)
    drawn = Sampling().choose(LOGITS.expand(20_000, -1), generator)
    counts = torch.bincount(drawn, minlength=4) / 20_000
    assert counts.tolist() == pytest.approx([0.5, 0.3, 0.15, 0.05], abs=0.015)
    assert (Sampling(top_k=2).choose(LOGITS.expand(1000, -1), generator) < 2).all()


def test_greedy_takes_the_likeliest():
    assert shares(greedy=True) == [1, 0, 0, 0]
    assert Sampling(greedy=True).choose(torch.tensor([[1.0, 4.0, 2.0], [3.0, 1.0, 0.0]])).tolist() == [1, 0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tau": 0.0}, r"tau must be a positive number \(it multiplies the logits: 1 / temperature\), got 0.0"),
        ({"tau": -1.0}, "got -1.0; for the most likely character take greedy"),
        ({"tau": math.inf}, "got inf"),
        ({"tau": math.nan}, "got nan"),
        ({"top_k": 0}, "top_k must be a whole number of at least 1, got 0"),
        ({"top_p": 0.0}, "top_p must be a share above 0, at most 1, got 0.0"),
        ({"top_p": 1.5}, "got 1.5"),
        ({"greedy": True, "tau": 2.0}, "leave out tau, top_k and top_p"),
        ({"greedy": True, "top_k": 2}, "leave out tau, top_k and top_p"),
    ],
)
def test_bad_sampling(options, message):
    with pytest.raises(ValueError, match=message):
        Sampling(**options)


def model():
    torch.manual_seed(0)
    return CharLSTM(7, 6, embedding_channels=3, dropout=0.5)


@pytest.mark.parametrize("options", [{}, {"tied": True}, {"num_layers": 1}, {"num_layers": 3, "tied": True}])
def test_greedy_writing_is_that_of_reading_the_whole_prefix_again(options):
    torch.manual_seed(0)
    network = CharLSTM(7, 6, embedding_channels=3, dropout=0.5, **options).double().eval()
    with torch.no_grad():
        network.bias.mul_(3)
    start = torch.tensor([[0, 3], [5, 1]])
    text = start
    for _ in range(40):
        text = torch.cat([text, network(text).logits[:, -1:].argmax(dim=-1)], dim=1)
    network.train()  # writing puts it in evaluation mode
    written = torch.stack(list(write_characters(network, start, 40, Sampling(greedy=True))), dim=1)
    assert torch.equal(written, text[:, 2:])


@pytest.mark.parametrize("tied", [False, True])
def test_the_scores_at_each_step_are_those_of_the_network(tied):
    torch.manual_seed(0)
    network = CharLSTM(7, 6, embedding_channels=3, tied=tied).double().eval()
    seen = []

    class Watched(Sampling):
        def choose(self, logits, generator=None):
            seen.append(logits)
            return super().choose(logits, generator)

    written = torch.stack(list(write_characters(network, torch.tensor([[0], [4]]), 9, Watched())), dim=1)
    text = torch.cat([torch.tensor([[0], [4]]), written], dim=1)
    expected = network(text[:, :-1]).logits.float()
    torch.testing.assert_close(torch.stack(seen, dim=1), expected)


def test_the_start_is_read_once(monkeypatch):
    network, seen = model(), []
    forward = network.forward
    monkeypatch.setattr(network, "forward", lambda tokens: seen.append(tokens.shape) or forward(tokens))
    list(write_characters(network, torch.zeros(3, 20, dtype=torch.int64), 5))
    assert seen == [(3, 20)]


def test_the_seed_decides_and_the_iterator_is_lazy():
    def text(seed):
        generator = torch.Generator().manual_seed(seed)
        start = torch.zeros(2, 1, dtype=torch.int64)
        return torch.stack(list(write_characters(model(), start, 30, generator=generator)))

    assert torch.equal(text(1), text(1))
    assert not torch.equal(text(1), text(2))
    stream = write_characters(model(), torch.zeros(1, 1, dtype=torch.int64), 10**9)
    assert next(stream).shape == (1,)
    assert torch.is_grad_enabled()
    assert not torch.is_inference_mode_enabled()


def test_a_length_below_one_is_refused_at_once():
    with pytest.raises(ValueError, match="length must be a whole number of at least 1, got 0"):
        write_characters(model(), torch.zeros(1, 1, dtype=torch.int64), 0)


@pytest.mark.parametrize("options", [{"tau": 1e39}, {"tau": 1e308}, {"top_p": 1e-50}])
def test_extremes_are_greedy(options):
    sampling = Sampling(**options)
    assert sampling.distribution(LOGITS + 30)[0].tolist() == [1, 0, 0, 0]
    assert sampling.choose(LOGITS * 1e3).tolist() == [0]
