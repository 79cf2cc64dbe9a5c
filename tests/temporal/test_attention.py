"""Attention and the encoder layer beside torch's own, which have the same weights in one matrix."""

import pytest
import torch
from torch import nn

from gnnkit.temporal.attention import Attention, EncoderLayer
from tests.temporal.fixed import numbers


def into_torch(attention, theirs):
    with torch.no_grad():
        parts = (attention.query, attention.key, attention.value)
        theirs.in_proj_weight.copy_(torch.cat([part.weight for part in parts]))
        theirs.in_proj_bias.copy_(torch.cat([part.bias for part in parts]))
        theirs.out_proj.load_state_dict(attention.out.state_dict())


def test_it_is_torchs_attention_on_any_axes_before_the_tokens():
    torch.manual_seed(0)
    ours, theirs = Attention(8, 4).double(), nn.MultiheadAttention(8, 4, batch_first=True).double()
    into_torch(ours, theirs)
    x, memory = numbers(2, 3, 5, 8), numbers(2, 3, 6, 8, start=1.0)
    for read in (x, memory):
        flat = [each.flatten(0, 1) for each in (x, read, read)]
        torch.testing.assert_close(ours(x, read).flatten(0, 1), theirs(*flat)[0], rtol=0, atol=1e-12)
    torch.testing.assert_close(ours(x), ours(x, x), rtol=0, atol=0)


def test_scores_of_the_layer_before_are_added_to_its_own():
    torch.manual_seed(0)
    layer, x = Attention(4, 1).double(), numbers(1, 3, 4)
    heard, scores = layer.with_scores(x, None)
    torch.testing.assert_close(heard, layer(x), rtol=0, atol=1e-12)
    query, key, value = (part(x)[0] for part in (layer.query, layer.key, layer.value))
    torch.testing.assert_close(scores[0, 0], query @ key.t() / 2, rtol=0, atol=1e-12)
    before = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
    before[..., 2] = 100.0  # all look at the last token
    heard, added = layer.with_scores(x, before)
    torch.testing.assert_close(heard[0], layer.out(value[2]).expand(3, 4), rtol=0, atol=1e-12)
    torch.testing.assert_close(added, scores + before, rtol=0, atol=0)


@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_an_encoder_layer_is_torchs(activation):
    torch.manual_seed(0)
    ours = EncoderLayer(8, 2, 12, activation=activation).double()
    theirs = nn.TransformerEncoderLayer(8, 2, 12, 0.0, activation, batch_first=True).double()
    into_torch(ours.attention, theirs.self_attn)
    for name, part in (("norm1", ours.norm_1), ("norm2", ours.norm_2), ("linear1", ours.linear_1)):
        getattr(theirs, name).load_state_dict(part.state_dict())
    theirs.linear2.load_state_dict(ours.linear_2.state_dict())
    x = numbers(3, 5, 8)
    out, scores = ours(x)
    torch.testing.assert_close(out, theirs(x), rtol=0, atol=1e-12)
    assert scores is None


def test_batch_norms_run_over_all_tokens_of_the_batch():
    torch.manual_seed(0)
    layer, x = EncoderLayer(8, 2, 12, norm="batch", residual_scores=True).double(), numbers(3, 2, 5, 8)
    out, scores = layer(x)
    assert scores.shape == (6, 2, 5, 5)
    torch.testing.assert_close(out.mean((0, 1, 2)), torch.zeros(8, dtype=torch.float64), rtol=0, atol=1e-12)
    torch.testing.assert_close(out.var((0, 1, 2), unbiased=False), torch.ones(8).double(), rtol=1e-3, atol=0)


def test_each_share_is_dropped_where_it_says():
    torch.manual_seed(0)
    x = numbers(1, 4, 8)
    nearly = 1 - 1e-9
    for name in ("dropout", "heard_dropout", "inner_dropout", "attention_dropout"):
        layer = EncoderLayer(8, 2, 12, **{name: nearly}).double()
        out, whole = layer(x)[0], layer.eval()(x)[0]
        with torch.no_grad():
            if name == "heard_dropout":
                layer.attention.out.weight.zero_()
                layer.attention.out.bias.zero_()
            elif name == "attention_dropout":
                layer.attention.out.weight.zero_()
            elif name == "dropout":
                layer.linear_2.bias.zero_()
                layer.linear_2.weight.zero_()
            else:
                layer.linear_2.weight.zero_()
        torch.testing.assert_close(out, layer(x)[0], rtol=0, atol=1e-12)
        assert (out - whole).abs().max() > 1e-3


def test_a_width_that_heads_do_not_divide_and_bad_arguments():
    assert Attention(5, 8).head_channels == 1
    assert Attention(20, 8).head_channels == 2
    with pytest.raises(ValueError, match="heads must be a whole number of at least 1, got 0"):
        Attention(4, 0)
    with pytest.raises(ValueError, match="activation must be one of 'gelu', 'relu', got 'tanh'"):
        EncoderLayer(4, 2, 4, activation="tanh")
    with pytest.raises(ValueError, match="norm must be one of 'layer', 'batch', got 'none'"):
        EncoderLayer(4, 2, 4, norm="none")
