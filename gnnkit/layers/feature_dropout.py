"""Dropout of node features, dense or sparse."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

__all__ = ["FeatureDropout", "feature_dropout"]


class FeatureDropout(nn.Module):
    """`feature_dropout` as a module, which acts in training alone.

    Args:
        p: Probability, from 0 to 1, that an entry is dropped. Default 0.5.

    Raises:
        ValueError: `p` is not a probability.

    Example:
        >>> FeatureDropout(1.0)(torch.ones(2)).tolist()
        [0.0, 0.0]
    """

    def __init__(self, p: float = 0.5):
        super().__init__()
        if not 0.0 <= p <= 1.0:
            raise ValueError(f"dropout must be a probability from 0 to 1, got {p}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Drop features at random in training."""
        return feature_dropout(x, self.p, self.training)

    def extra_repr(self) -> str:
        return f"p={self.p}"


def feature_dropout(x: Tensor, p: float = 0.5, training: bool = True) -> Tensor:
    """Set features to zero at random and let the others grow; of sparse features the nonzeros alone are looked at.

        out = x * m / (1 - p),  m = 0 with probability p, else 1

    Zeros stay zero whatever is drawn for them, so both forms have the same distribution; the sparse one costs no more
    than its nonzeros, which is a hundredth for bags of words.

    Args:
        x: Features of a floating-point type: dense, sparse CSR or sparse COO.
        p: Probability, from 0 to 1, that an entry is dropped. Default 0.5.
        training: False returns `x` as it is. Default True.

    Shape:
        `x`: any, two axes where it is sparse; returned: the same.

    Returns:
        A tensor of x's layout. A sparse one keeps x's pattern: entries that are dropped are stored as zeros.

    Raises:
        ValueError: `p` is not a probability, or `x` has another layout.

    Source:
        Srivastava et al., "Dropout: a simple way to prevent neural networks from overfitting" (2014); on the nonzeros
        as in Kipf & Welling's code of "Semi-supervised classification with graph convolutional networks" (2017).

    Example:
        >>> x = torch.eye(3).to_sparse_csr()
        >>> feature_dropout(x, 1.0).to_dense().sum().item()
        0.0
        >>> feature_dropout(x, 0.5, training=False) is x
        True
    """
    if not 0.0 <= p <= 1.0:
        raise ValueError(f"p must be a probability from 0 to 1, got {p}")
    if x.layout == torch.strided:
        return F.dropout(x, p, training)
    if x.layout not in (torch.sparse_csr, torch.sparse_coo):
        raise ValueError(f"x must be dense, sparse CSR or sparse COO, got {x.layout}; use x.to_sparse_csr()")
    if not training or p == 0:
        return x
    if x.layout == torch.sparse_csr:
        values = F.dropout(x.values(), p)
        out = torch.sparse_csr_tensor(x.crow_indices(), x.col_indices(), values, x.shape, check_invariants=False)
    else:
        x = x.coalesce()  # else the parts of one entry would be dropped one by one
        out = torch.sparse_coo_tensor(
            x.indices(), F.dropout(x.values(), p), x.shape, is_coalesced=True, check_invariants=False
        )
    return out
