"""Sums, means, maxima and softmax over groups of rows."""

from gnnkit.ops.segment.front import segment_max, segment_mean, segment_softmax, segment_sum

__all__ = ["segment_max", "segment_mean", "segment_softmax", "segment_sum"]
