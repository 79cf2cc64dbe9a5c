"""`gated_recurrence` in torch's own operators: any device, type and transform."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["gated_recurrence"]


def gated_recurrence(
    x: Tensor, state: Tensor, weight_input: Tensor, weight_state: Tensor, bias: Tensor, return_sequence: bool
) -> Tensor:
    """See `gnnkit.ops.gated_recurrence`: the input product of all steps is one, and so is that of both gates."""
    hidden = weight_state.size(0)
    # The steps come first, so that each step's part is one piece of memory.
    inputs = torch.matmul(x.transpose(0, 1), weight_input) + bias
    weight_gates, weight_candidate = weight_state[:, : 2 * hidden], weight_state[:, 2 * hidden :]
    states = []
    for now in inputs.unbind(0):
        gates = torch.sigmoid(now[..., : 2 * hidden] + state @ weight_gates)
        update, reset = gates[..., :hidden], gates[..., hidden:]
        candidate = torch.tanh(now[..., 2 * hidden :] + (reset * state) @ weight_candidate)
        state = candidate + update * (state - candidate)
        states.append(state)
    if return_sequence:
        return torch.stack(states, dim=1) if states else state.unsqueeze(1)[:, :0].clone()
    return state if states else state.clone()
