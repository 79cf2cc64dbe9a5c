"""Decoders against their formulas, term by term."""

import pytest
import torch

from gnnkit.relational import DECODERS, build_decoder


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def formula(name, decoder, h, r, t):
    """The score of one link as its paper writes it."""
    w = decoder.weight[r]
    half = len(h) // 2
    if name == "distmult":
        return (h * w * t).sum()
    if name == "complex":
        h, w, t = (torch.complex(v[:half], v[half:]) for v in (h, w, t))
        return (h * w * t.conj()).sum().real
    if name == "simple":
        return 0.5 * ((h[:half] * w[:half] * t[half:]).sum() + (h[half:] * w[half:] * t[:half]).sum())
    if name == "dedicom":
        return h @ w.diag() @ decoder.shared @ w.diag() @ t
    return h @ w @ t


@pytest.mark.parametrize("name", DECODERS)
def test_every_way_of_asking_gives_the_papers_score(name):
    decoder = build_decoder(name, 6, 4).double()
    z = torch.randn(5, 6, dtype=torch.float64)
    links = torch.tensor([[0, 1, 4, 4, 2, 0], [3, 0, 0, 1, 3, 2], [1, 1, 0, 2, 3, 0]])
    head, relation, tail = links
    expected = torch.stack([formula(name, decoder, z[h], r, z[t]) for h, r, t in links.t().tolist()])
    torch.testing.assert_close(decoder(z[head], relation, z[tail]), expected)
    kinds = torch.tensor([3, 0, 2, 1])
    every = decoder.score_all(z, kinds, z)
    assert every.shape == (4, 5, 5)
    torch.testing.assert_close(every[kinds.argsort()][relation, head, tail], expected)
    torch.testing.assert_close((decoder.query(z[head], relation) * decoder.key(z[tail])).sum(-1), expected)


@pytest.mark.parametrize("name", DECODERS)
def test_gradients(name):
    decoder = build_decoder(name, 4, 3).double()
    links = torch.tensor([[0, 1, 1], [2, 0, 2], [1, 0, 2]])

    def call(z, *weights):
        names = [key for key, _ in decoder.named_parameters()]
        inputs = (z[links[0]], links[1], z[links[2]])
        return torch.func.functional_call(decoder, dict(zip(names, weights, strict=True)), inputs)

    inputs = [torch.randn(3, 4, dtype=torch.float64), *(p.detach() for p in decoder.parameters())]
    assert torch.autograd.gradcheck(call, [value.clone().requires_grad_() for value in inputs])


def test_which_relations_have_a_direction():
    z, links = torch.randn(2, 4), (torch.tensor([0]), torch.tensor([0]), torch.tensor([1]))
    for name in DECODERS:
        decoder = build_decoder(name, 4, 1)
        there = decoder(z[links[0]], links[1], z[links[2]])
        back = decoder(z[links[2]], links[1], z[links[0]])
        assert torch.allclose(there, back, atol=1e-7) == (name == "distmult")


def test_bad_input():
    with pytest.raises(ValueError, match="decoder is 'transe'; choose one of dedicom, distmult"):
        build_decoder("transe", 4, 1)
    with pytest.raises(ValueError, match="channels must be a positive multiple of 2 for ComplEx, got 3"):
        build_decoder("complex", 3, 1)
    with pytest.raises(ValueError, match="num_relations must be 1 or more"):
        build_decoder("rescal", 3, 0)
