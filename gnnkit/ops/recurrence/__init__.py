"""The gates of T-GCN over all time steps."""

from gnnkit.ops.recurrence.front import gated_recurrence

__all__ = ["gated_recurrence"]
