"""Multi-head attention among tokens, and the encoder layer that transformers stack: for nodes, steps or patches."""

from __future__ import annotations

from typing import Literal

import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor, nn

from gnnkit.sequence._contract import check_choice, check_size

__all__ = ["Attention", "EncoderLayer"]


class Attention(nn.Module):
    r"""Let each token read from a memory: `W_o [softmax(q_k m_k^T / √d) v_k]_k + b` over the heads k.

    Args:
        channels: Width C of a token.
        heads: Heads K; each is `max(1, C // K)` wide, so that C need not be a multiple of K.
        dropout: Share of the attention that is dropped in training. Default 0.

    Shape:
        x `[..., L, C]`, memory `[..., M, C]` (None: x itself); returned `[..., L, C]`.

    Source:
        Vaswani et al., "Attention is all you need" (2017).

    Example:
        >>> import torch
        >>> Attention(8, 2)(torch.randn(3, 5, 8)).shape
        torch.Size([3, 5, 8])
    """

    def __init__(self, channels: int, heads: int, *, dropout: float = 0.0) -> None:
        super().__init__()
        self.heads, self.dropout = check_size("heads", heads), dropout
        self.head_channels = max(1, channels // heads)
        inner = heads * self.head_channels
        self.query = nn.Linear(channels, inner)
        self.key = nn.Linear(channels, inner)
        self.value = nn.Linear(channels, inner)
        self.out = nn.Linear(inner, channels)

    def reset_parameters(self) -> None:
        """Draw the weights anew, torch's own for linear maps."""
        for linear in (self.query, self.key, self.value, self.out):
            linear.reset_parameters()

    def forward(self, x: Float[Tensor, "*S L C"], memory: Tensor | None = None) -> Float[Tensor, "*S L C"]:
        """What each token reads; no matrix of all pairs is kept where torch has a kernel for it."""
        query, key, value = self._heads(x, x if memory is None else memory)
        heard = F.scaled_dot_product_attention(query, key, value, dropout_p=self.dropout if self.training else 0.0)
        return self._join(heard, x)

    def with_scores(self, x: Float[Tensor, "*S L C"], before: Tensor | None) -> tuple[Tensor, Tensor]:
        """The same among the tokens, with the scores of the layer before added to these; and these scores.

        Source:
            He et al., "RealFormer: transformer likes residual attention" (2021).
        """
        query, key, value = self._heads(x, x)
        scores = (query @ key.transpose(-1, -2)) * self.head_channels**-0.5
        scores = scores if before is None else scores + before
        weights = F.dropout(scores.softmax(dim=-1), self.dropout, self.training)
        return self._join(weights @ value, x), scores

    def _heads(self, x: Tensor, memory: Tensor) -> list[Tensor]:
        """Queries, keys and values, `[S, K, L, d]`."""
        pairs = ((self.query, x), (self.key, memory), (self.value, memory))
        shape = (self.heads, self.head_channels)
        return [linear(h.flatten(0, -3)).unflatten(-1, shape).transpose(1, 2) for linear, h in pairs]

    def _join(self, heard: Tensor, x: Tensor) -> Tensor:
        return self.out(heard.transpose(1, 2).flatten(2)).view(*x.shape)

    def extra_repr(self) -> str:
        return f"heads={self.heads}, head_channels={self.head_channels}"


class EncoderLayer(nn.Module):
    r"""Attention and a perceptron, each added to what went in and then normed.

        h = Norm(x + Attention(x));  y = Norm(h + W_2 act(W_1 h + b_1) + b_2)

    The dropouts are those places at which published models differ.

    Args:
        channels: Width C of a token.
        heads: Heads of the attention.
        inner_channels: Width of the perceptron's hidden layer.
        activation: `"gelu"` or `"relu"`.
        norm: `"layer"` (default): of each token by itself; `"batch"`: of each channel over all tokens of the batch.
        residual_scores: True: the scores of the layer before are added to this one's. Default False.
        dropout: Share dropped of what the perceptron gives. Default 0.
        attention_dropout: Of the attention's weights. Default 0.
        heard_dropout: Of what the attention gives. Default 0.
        inner_dropout: Of the perceptron's hidden layer. Default 0.

    Shape:
        x `[..., L, C]`; returned `[..., L, C]`, and scores for the next layer (None unless `residual_scores`).

    Raises:
        ValueError: A size below 1, an unknown activation or norm.

    Example:
        >>> import torch
        >>> EncoderLayer(8, 2, 16)(torch.randn(3, 5, 8))[0].shape
        torch.Size([3, 5, 8])
    """

    def __init__(
        self,
        channels: int,
        heads: int,
        inner_channels: int,
        *,
        activation: Literal["gelu", "relu"] = "gelu",
        norm: Literal["layer", "batch"] = "layer",
        residual_scores: bool = False,
        dropout: float = 0.0,
        attention_dropout: float = 0.0,
        heard_dropout: float = 0.0,
        inner_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        check_choice("activation", activation, ("gelu", "relu"))
        check_choice("norm", norm, ("layer", "batch"))
        self.activation = F.gelu if activation == "gelu" else F.relu
        self.residual_scores = residual_scores
        self.dropout, self.heard_dropout, self.inner_dropout = dropout, heard_dropout, inner_dropout
        self.attention = Attention(channels, heads, dropout=attention_dropout)
        make_norm = nn.LayerNorm if norm == "layer" else nn.BatchNorm1d
        self.norm_1, self.norm_2 = make_norm(channels), make_norm(channels)
        self.linear_1 = nn.Linear(channels, check_size("inner_channels", inner_channels))
        self.linear_2 = nn.Linear(inner_channels, channels)

    def reset_parameters(self) -> None:
        """Draw the weights anew, torch's own for linear maps; norms begin as the identity."""
        for module in (self.attention, self.norm_1, self.norm_2, self.linear_1, self.linear_2):
            module.reset_parameters()

    def forward(self, x: Float[Tensor, "*S L C"], scores: Tensor | None = None) -> tuple[Tensor, Tensor | None]:
        """The tokens after the layer, and its scores; see the class."""
        if self.residual_scores:
            heard, scores = self.attention.with_scores(x, scores)
        else:
            heard = self.attention(x)
        h = self._normed(self.norm_1, x + F.dropout(heard, self.heard_dropout, self.training))
        inner = F.dropout(self.activation(self.linear_1(h)), self.inner_dropout, self.training)
        change = F.dropout(self.linear_2(inner), self.dropout, self.training)
        return self._normed(self.norm_2, h + change), scores

    def _normed(self, norm: nn.Module, x: Tensor) -> Tensor:
        # A layer norm has no use for one row per token, but no harm of it either.
        return norm(x.flatten(0, -2)).view(x.shape)
