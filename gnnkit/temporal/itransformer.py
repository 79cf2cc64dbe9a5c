"""iTransformer: a transformer whose tokens are the nodes' whole histories."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.sequence._contract import ForecasterModule, Graph, check_dropout, check_size
from gnnkit.temporal.attention import EncoderLayer
from gnnkit.temporal.clock import check_clock, without_clock

__all__ = ["ITransformer", "normalize_history"]


class ITransformer(ForecasterModule):
    r"""Forecast with attention among the nodes, each of them one token: the linear map of its whole history.

        h_0 = W (x − mean) / deviation + b;  h_l = EncoderLayer_l(h_{l−1})
        y = deviation · (W_out LayerNorm(h_L) + b_out) + mean

    Mean and deviation are those of a node's feature 0 in the history. All nodes attend to all: the given graph is
    ignored, and weights are tied to no node. In training time and memory grow with the square of the nodes.

    Args:
        in_channels, horizon, history, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of a token. The authors' is 512 for most sets.
        time_channels: 2 if the last features of x are the time of day and the weekday: the two are tokens of their
            own, embedded as the nodes' values are. Default 0.
        layers: Encoder layers. Default 2.
        heads: Heads of the attention. Default 8.
        inner_channels: Width of the layers' perceptrons. Default None: C.
        normalize: Whether the history is taken out of the input and put back into the forecast by mean and deviation.
            Default True; the authors' scripts for road traffic have it off.
        dropout: Share dropped of embeddings, attention and perceptrons. Default 0.1.

    In the residual form (`ResidualForecaster`) the mean is not put back, since the last value is.

    Raises:
        ValueError: A size below 1, a share outside [0, 1), or `time_channels` other than 0 or 2.

    Source:
        Liu et al., "iTransformer: inverted transformers are effective for time series forecasting" (2024). A node's
        other features, and its mask, are part of its token, not tokens of their own, and only feature 0 is normalised.

    Example:
        >>> ITransformer(1, 8, horizon=3, history=12)(torch.randn(4, 12, 5, 1)).shape
        torch.Size([4, 3, 5])
    """

    #: Whether the mean is put back; not in the residual form, whose level is the last value.
    adds_level: bool = True
    search_space: ClassVar[dict[str, tuple]] = {"layers": (1, 4), "normalize": ("choice", True, False)}

    def __init__(
        self,
        in_channels: int,
        hidden_channels: int,
        horizon: int,
        *,
        history: int,
        time_channels: Literal[0, 2] = 0,
        layers: int = 2,
        heads: int = 8,
        inner_channels: int | None = None,
        normalize: bool = True,
        dropout: float = 0.1,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "history": history}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.time_channels = check_clock(time_channels, in_channels)
        self.normalize, self.dropout = normalize, check_dropout(dropout)
        c, features = self.hidden_channels, self.width - self.time_channels * (2 if mask_input else 1)
        inner = c if inner_channels is None else check_size("inner_channels", inner_channels)
        shares = dict.fromkeys(("dropout", "attention_dropout", "heard_dropout", "inner_dropout"), self.dropout)
        self.embed = nn.Linear(features * self.history, c)
        self.encoder = nn.ModuleList(
            EncoderLayer(c, heads, inner, **shares) for _ in range(check_size("layers", layers))
        )
        self.norm = nn.LayerNorm(c)
        self.head = nn.Linear(c, self.horizon)

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        values = without_clock(x, self.in_channels, self.time_channels)
        values, mean, deviation = normalize_history(values) if self.normalize else (values, 0.0, 1.0)
        tokens = values.permute(0, 2, 3, 1).flatten(2)  # [B, N, D T], feature 0 first
        if self.time_channels:
            clock = x[:, :, 0, self.in_channels - self.time_channels : self.in_channels].transpose(1, 2)  # [B, 2, T]
            tokens = torch.cat([tokens, F.pad(clock, (0, tokens.size(-1) - clock.size(-1)))], dim=1)
        h = F.dropout(self.embed(tokens), self.dropout, self.training)
        for layer in self.encoder:
            h, _ = layer(h)
        y = self.head(self.norm(h[:, : x.size(2)])).transpose(1, 2) * deviation
        return y + mean if self.adds_level else y

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.hidden_channels}, horizon={self.horizon}, history={self.history}"


def normalize_history(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Bring each node's feature 0 to mean 0 and variance 1 over its history; x `[B, T, N, F]`.

    Returns:
        x, its feature 0 normalised; the mean and the deviation, `[B, 1, N]`, that bring it back.

    Source:
        Kim et al., "Reversible instance normalization" (2022), as iTransformer and PatchTST use it: without weights,
        1e-5 added to the variance.

    Example:
        >>> x, mean, deviation = normalize_history(torch.tensor([1.0, 3.0]).view(1, 2, 1, 1))
        >>> [round(value, 3) for value in (*x.flatten().tolist(), mean.item(), deviation.item())]
        [-1.0, 1.0, 2.0, 1.0]
    """
    value = x[..., 0]
    mean = value.mean(dim=1, keepdim=True)
    deviation = (value.var(dim=1, keepdim=True, unbiased=False) + 1e-5).sqrt()
    return torch.cat([((value - mean) / deviation).unsqueeze(-1), x[..., 1:]], dim=-1), mean, deviation
