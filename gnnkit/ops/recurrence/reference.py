"""`gated_recurrence` as its equations stand, gate by gate and step by step: the truth for the other backends."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gated_recurrence"]


def gated_recurrence(
    x: Tensor, state: Tensor, weight_input: Tensor, weight_state: Tensor, bias: Tensor, return_sequence: bool
) -> Tensor:
    """See `gnnkit.ops.gated_recurrence`."""
    input_update, input_reset, input_candidate = weight_input.chunk(3, dim=1)
    state_update, state_reset, state_candidate = weight_state.chunk(3, dim=1)
    bias_update, bias_reset, bias_candidate = bias.chunk(3)
    states = []
    for step in range(x.size(1)):
        now = x[:, step]
        update = torch.sigmoid(now @ input_update + state @ state_update + bias_update)
        reset = torch.sigmoid(now @ input_reset + state @ state_reset + bias_reset)
        candidate = torch.tanh(now @ input_candidate + (reset * state) @ state_candidate + bias_candidate)
        state = update * state + (1 - update) * candidate
        states.append(state)
    if return_sequence:
        return torch.stack(states, dim=1) if states else state.unsqueeze(1)[:, :0].clone()
    return state if states else state.clone()
