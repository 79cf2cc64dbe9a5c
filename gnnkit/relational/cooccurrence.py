"""What the other relations of a pair tell about one relation: a linear model from relations to relations."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor

from gnnkit.ops import CompressedGraph, compress, spmm

__all__ = ["PairProfiles", "fit_cooccurrence"]

_LARGEST = 5000


class PairProfiles:
    """The relations that each linked pair has, as a sparse matrix X `[P, R]`.

    Args:
        links: Links to learn from; for symmetric ones the head is below the tail.
        num_entities: N.
        num_relations: R.

    Shape:
        links `[3, E]`; `cell` `[P]`: head N + tail of each pair.
    """

    def __init__(self, links: Int[Tensor, "3 E"], num_entities: int, num_relations: int):
        self.num_entities, self.num_relations = num_entities, num_relations
        self.cell, pair = torch.unique(links[0] * num_entities + links[2], return_inverse=True)
        # Relations send to the pairs that they hold of.
        edges = torch.stack([links[1], pair])
        self.graph: CompressedGraph = compress(edges, num_dst=self.cell.numel(), num_src=num_relations)

    def gram(self) -> Float[Tensor, "R R"]:
        """`X^T X`: in how many pairs two relations meet."""
        total = torch.zeros(self.num_relations, self.num_relations)
        for rows in torch.arange(self.graph.num_dst).split(8192):
            ends = self.graph.rowptr[[int(rows[0]), int(rows[-1]) + 1]].tolist()
            dense = torch.zeros(rows.numel(), self.num_relations)
            counts = self.graph.degree[rows].long()
            dense[torch.repeat_interleave(torch.arange(rows.numel()), counts), self.graph.col[slice(*ends)].long()] = 1
            total += dense.t() @ dense
        return total

    def predict(self, weight: Float[Tensor, "R K"]) -> Float[Tensor, "P K"]:
        """`X W`, for some columns of W."""
        return spmm(self.graph, weight)

    def log_counts(self) -> Float[Tensor, "R P"]:
        """`log(1 + n)` with n the relations of a pair other than the row's own."""
        graph = self.graph
        counts = graph.degree.float()
        logs = counts.log1p().repeat(self.num_relations, 1)
        pair = torch.repeat_interleave(torch.arange(graph.num_dst), graph.degree.long())
        logs[graph.col.long(), pair] = counts[pair].log()  # one of them is the row's own
        return logs


def fit_cooccurrence(profiles: PairProfiles, ridge: float = 300.0) -> Float[Tensor, "R R"]:
    """Ridge regression of each relation on all others, over the linked pairs, in closed form.

        W = argmin |X - X W|² + ridge |W|²   with a zero diagonal:   W = I - P diag(P)^-1,  P = (X^T X + ridge I)^-1

    A pair's relation never explains itself, so a link of the training part may be scored by it as well.

    Args:
        profiles: X.
        ridge: Default 300.

    Returns:
        W; column r holds what each relation says about r.

    Raises:
        ValueError: `ridge` is not positive, or there are more than 5000 relations.

    Source:
        Steck, "Embarrassingly shallow autoencoders for sparse data" (2019); there users and items, here pairs and
        relations.

    Example:
        >>> links = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1], [2, 2, 3, 3]])
        >>> fit_cooccurrence(PairProfiles(links, 4, 2), ridge=1.0).round(decimals=3)
        tensor([[0.0000, 0.6670],
                [0.6670, 0.0000]])
    """
    if not ridge > 0:
        raise ValueError(f"ridge is {ridge}; give a positive number")
    if profiles.num_relations > _LARGEST:
        raise ValueError(f"{profiles.num_relations} relations are too many to invert; at most {_LARGEST}: leave it out")
    inverse = torch.linalg.inv((profiles.gram() + ridge * torch.eye(profiles.num_relations)).double())
    weight = -inverse / inverse.diagonal()
    weight.fill_diagonal_(0)
    return weight.float()
