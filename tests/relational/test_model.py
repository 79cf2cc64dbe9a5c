"""Decagon: its score is the sum that its docstring writes, however it is asked."""

import pytest
import torch

from gnnkit.relational import Decagon, DecagonEncoder, EdgeFamily
from gnnkit.relational.model import log_popularity


def links(symmetric):
    torch.manual_seed(0)
    drawn = torch.randint(7, (3, 60))
    drawn[1] %= 4
    if symmetric:
        drawn = torch.stack([torch.minimum(drawn[0], drawn[2]), drawn[1], torch.maximum(drawn[0], drawn[2])])
        drawn = drawn[:, drawn[0] != drawn[2]]
    return drawn.unique(dim=1)


@pytest.mark.parametrize("symmetric", [True, False])
@pytest.mark.parametrize("terms", [{}, {"popularity": True}, {"popularity": True, "cooccurrence": True}], ids=str)
@pytest.mark.parametrize("decoder", ["dedicom", "simple", "rescal"])
def test_one_score_however_it_is_asked(symmetric, terms, decoder):
    train = links(symmetric)
    model = Decagon(7, 4, train, decoder=decoder, channels=4, symmetric=symmetric, ridge=1.0, **terms)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    every = torch.cartesian_prod(torch.arange(7), torch.arange(4), torch.arange(7)).t()
    for mode in (model.eval(), model.train()):
        dense = mode.score_all(torch.tensor([2, 0, 3, 1]))[torch.tensor([1, 3, 0, 2])]
        torch.testing.assert_close(dense[every[1], every[0], every[2]], mode(every))
    model.eval()
    tails = model.score_tails(torch.tensor([3, 5]), torch.tensor([1, 0]), model.encode())
    dense = model.score_all(torch.tensor([0, 1]))
    torch.testing.assert_close(tails, torch.stack([dense[1, 3], dense[0, 5]]))
    if symmetric:
        torch.testing.assert_close(dense, dense.transpose(1, 2))


def test_cooccurrence_leaves_the_link_itself_out():
    """The score of a training link is that of a model that never saw it, at the same weights."""
    train = links(True)
    model = Decagon(7, 4, train, channels=4, symmetric=True, cooccurrence=True, ridge=1.0).eval()
    # A pair of at least two relations, so that it is known with and without the first of them.
    key = train[0] * 7 + train[2]
    first = next(i for i in range(train.size(1)) if (key == key[i]).sum() > 1)
    rest = torch.cat([train[:, :first], train[:, first + 1 :]], 1)
    other = Decagon(7, 4, rest, channels=4, symmetric=True, cooccurrence=True, others=model.others).eval()
    other.load_state_dict(model.state_dict())
    torch.testing.assert_close(model(train[:, first : first + 1]), other(train[:, first : first + 1]))


def test_popularity_by_hand():
    train = torch.tensor([[0, 0, 1], [0, 0, 1], [1, 2, 2]])
    found = log_popularity(train, 3, 2, True, end=0)
    counts = torch.tensor([[2.0, 1.0, 1.0], [0.0, 1.0, 1.0]])
    expected = (counts + 0.1 * torch.tensor([2.0, 2.0, 2.0]) / 2 + 0.01).log()
    torch.testing.assert_close(found, expected - expected.mean(1, keepdim=True))
    heads = log_popularity(train, 3, 2, False, end=0)
    assert heads[0, 0] > heads[0, 1] > heads[0, 2]  # the second is a head under the other relation


def test_an_encoder_takes_the_place_of_embeddings():
    train = links(True)
    encoder = DecagonEncoder(
        {"drug": 7}, [EdgeFamily("drug", "drug", train[[0, 2]], train[1], 4)], "drug", out_channels=4
    )
    model = Decagon(7, 4, train, channels=4, encoder=encoder, symmetric=True)
    assert model.embedding is None
    model(train).sum().backward()
    assert all(p.grad is not None for p in encoder.parameters())


def test_bad_input():
    with pytest.raises(ValueError, match="dropout must be"):
        Decagon(7, 4, links(True), dropout=1.0)
    with pytest.raises(ValueError, match="decoder is 'x'"):
        Decagon(7, 4, links(True), decoder="x")
