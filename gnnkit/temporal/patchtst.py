"""PatchTST: a transformer whose tokens are patches of one node's history."""

from __future__ import annotations

from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gnnkit.sequence._contract import ForecasterModule, Graph, check_dropout, check_size
from gnnkit.temporal.attention import EncoderLayer
from gnnkit.temporal.itransformer import normalize_history

__all__ = ["PatchTST"]


class PatchTST(ForecasterModule):
    r"""Forecast each node alone, with attention among the patches of its history.

        z = (x − mean) / deviation, its last step repeated;  h_0 = W patches(z) + b + E_place
        h_l = EncoderLayer_l(h_{l−1});  y = deviation · (W_out [all patches of h_L] + b_out) + mean

    Mean and deviation are those of a node's feature 0 in the history. The layers' norms run over the batch, and a
    layer's attention scores are added to the next one's. One network is shared by all nodes; the graph is ignored.

    Args:
        in_channels, horizon, history, mask_input: As in `ForecasterModule`.
        hidden_channels: Width C of a patch. The authors' is 128 for most sets.
        layers: Encoder layers. Default 3.
        heads: Heads of the attention. Default 16.
        inner_channels: Width of the layers' perceptrons. Default None: 2 C.
        patch_length: Steps of a patch. Default None: 16, the authors', or a third of a history of fewer than 48 steps.
        stride: Steps from a patch to the next. Default None: half of a patch.
        normalize: Whether the history is taken out of the input and put back into the forecast by mean and deviation.
            Default True.
        dropout: Share dropped. Default 0.2.

    In the residual form (`ResidualForecaster`) the mean is not put back, since the last value is.

    Raises:
        ValueError: A size below 1, a share outside [0, 1), or a patch that is longer than the history.

    Source:
        Nie et al., "A time series is worth 64 words: long-term forecasting with transformers" (2023), as its code runs
        on the sets of many series (`PatchTST_supervised`). Where a node has other features, or a mask, a patch holds
        those too, and feature 0 alone is normalised; the authors have one feature, and a history of 336 steps.

    Example:
        >>> PatchTST(1, 8, horizon=3, history=12)(torch.randn(4, 12, 5, 1)).shape
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
        layers: int = 3,
        heads: int = 16,
        inner_channels: int | None = None,
        patch_length: int | None = None,
        stride: int | None = None,
        normalize: bool = True,
        dropout: float = 0.2,
        mask_input: bool = False,
    ) -> None:
        sizes = {"hidden_channels": hidden_channels, "history": history}
        super().__init__(in_channels, horizon, mask_input=mask_input, **sizes)
        self.normalize, self.dropout, c = normalize, check_dropout(dropout), self.hidden_channels
        self.patch_length = max(1, min(16, history // 3)) if patch_length is None else patch_length
        self.stride = max(1, self.patch_length // 2) if stride is None else check_size("stride", stride)
        if check_size("patch_length", self.patch_length) > self.history:
            raise ValueError(f"patch_length={patch_length} is longer than the history, {history} steps; shorten it")
        # The history's last step is repeated a stride long, so that one patch more begins in it.
        self.patches = (self.history - self.patch_length) // self.stride + 2
        inner = 2 * c if inner_channels is None else check_size("inner_channels", inner_channels)
        self.embed = nn.Linear(self.patch_length * self.width, c)
        self.place = nn.Parameter(torch.empty(self.patches, c))
        self.encoder = nn.ModuleList(
            EncoderLayer(
                c,
                heads,
                inner,
                norm="batch",
                residual_scores=True,
                dropout=self.dropout,
                heard_dropout=1 - (1 - self.dropout) ** 2,  # the authors drop it twice
                inner_dropout=self.dropout,
            )
            for _ in range(check_size("layers", layers))
        )
        self.head = nn.Linear(self.patches * c, self.horizon)
        nn.init.uniform_(self.place, -0.02, 0.02)

    def reset_parameters(self) -> None:
        """Draw all weights anew; those of the patches' places small and uniform."""
        nn.init.uniform_(self.place, -0.02, 0.02)
        super().reset_parameters()

    def predict(self, x: Tensor, graph: Graph) -> Tensor:
        x, mean, deviation = normalize_history(x) if self.normalize else (x, 0.0, 1.0)
        x = torch.cat([x, x[:, -1:].expand(-1, self.stride, -1, -1)], dim=1)
        patches = x.unfold(1, self.patch_length, self.stride)  # [B, patches, N, F, steps]
        h = self.embed(patches.transpose(1, 2).flatten(3)) + self.place  # [B, N, patches, C]
        h, scores = F.dropout(h, self.dropout, self.training), None
        for layer in self.encoder:
            h, scores = layer(h, scores)
        y = self.head(h.flatten(2)).transpose(1, 2) * deviation
        return y + mean if self.adds_level else y

    def extra_repr(self) -> str:
        return f"{self.in_channels}, {self.hidden_channels}, horizon={self.horizon}, patches={self.patches}"
