"""A graph model of one's own beside those of gnnkit: gnnkit compare --models gru,tgcn,examples/own_model.py:Mixer"""

import torch
from torch import nn


class Mixer(nn.Module):
    """Each node's history, and the mean of what its neighbours' tell, through one hidden layer."""

    def __init__(self, history, horizon, hidden_channels, *, dropout=0.0):
        super().__init__()
        self.own, self.near = nn.Linear(history, hidden_channels), nn.Linear(history, hidden_channels)
        self.out = nn.Sequential(nn.ReLU(), nn.Dropout(dropout), nn.Linear(hidden_channels, horizon))

    def forward(self, x, edge_index, edge_weight):
        h = x[..., 0].transpose(1, 2)  # [B, N, T]
        source, target = edge_index
        total = torch.zeros_like(h).index_add(1, target, edge_weight[:, None] * h[:, source])
        weight = h.new_zeros(h.size(1)).index_add(0, target, edge_weight).clamp(min=1e-6)
        return self.out(self.own(h) + self.near(total / weight[:, None])).transpose(1, 2)  # [B, P, N]
