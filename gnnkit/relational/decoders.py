"""Decoders: how likely is a link of a relation between two entities, from their embeddings? Each is bilinear.

    score(head, r, tail) = <query(head, r), key(tail)>

The query holds all that depends on the relation, so that one product of matrices scores all pairs of many relations.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnnkit.ops import grouped_matmul

__all__ = ["DECODERS", "DEDICOM", "RESCAL", "ComplEx", "DistMult", "RelationalDecoder", "SimplE", "build_decoder"]


class RelationalDecoder(nn.Module):
    """Scores of links: what all decoders share. A new one says what `rows` and `map_rows` are, and `key` if it differs.

    Args:
        channels: Width C of an embedding.
        num_relations: R.

    Raises:
        ValueError: A number is below 1, or the width does not suit the decoder.
    """

    #: The width of an embedding is a multiple of this.
    parts = 1

    def __init__(self, channels: int, num_relations: int):
        super().__init__()
        if num_relations < 1:
            raise ValueError(f"num_relations must be 1 or more, got {num_relations}")
        if channels < 1 or channels % self.parts:
            raise ValueError(
                f"channels must be a positive multiple of {self.parts} for {type(self).__name__}, got {channels}"
            )
        self.channels, self.num_relations = channels, num_relations

    def map_rows(self, x: Tensor, weight: Tensor) -> Tensor:
        """The query, from embeddings and the relations' rows of weights, shapes broadcast."""
        raise NotImplementedError

    def rows(self, relation: Int[Tensor, " B"]) -> Float[Tensor, "B C"]:
        """The weights of relations, one row each."""
        return self.weight[relation]  # pyright: ignore[reportIndexIssue]

    def query(self, head: Float[Tensor, "B C"], relation: Int[Tensor, " B"]) -> Float[Tensor, "B C"]:
        """Queries of heads, each under its relation."""
        return self.map_rows(head, self.rows(relation))

    def queries(self, head: Float[Tensor, "N C"], relation: Int[Tensor, " K"]) -> Float[Tensor, "K N C"]:
        """Queries of all heads under each of some relations."""
        return self.map_rows(head, self.rows(relation).unsqueeze(1))

    def key(self, tail: Float[Tensor, "B C"]) -> Float[Tensor, "B C"]:
        """What queries are multiplied with; the same under all relations."""
        return tail

    def forward(
        self, head: Float[Tensor, "B C"], relation: Int[Tensor, " B"], tail: Float[Tensor, "B C"]
    ) -> Float[Tensor, " B"]:
        """Scores of links, each under its relation."""
        return (self.query(head, relation) * self.key(tail)).sum(-1)

    def score_all(
        self, head: Float[Tensor, "N C"], relation: Int[Tensor, " K"], tail: Float[Tensor, "M C"]
    ) -> Float[Tensor, "K N M"]:
        """Scores of every head with every tail under each of some relations."""
        return self.queries(head, relation) @ self.key(tail).t()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.channels}, num_relations={self.num_relations})"


class DistMult(RelationalDecoder):
    """A diagonal matrix a relation: `score = sum_c h_c w_rc t_c`, the same in both directions.

    Source:
        Yang et al., "Embedding entities and relations for learning and inference in knowledge bases" (2015).

    Example:
        >>> decoder = DistMult(2, 1)
        >>> decoder.weight.data = torch.tensor([[1.0, 10.0]])
        >>> decoder(torch.tensor([[1.0, 2.0]]), torch.tensor([0]), torch.tensor([[3.0, 4.0]])).item()
        83.0
    """

    def __init__(self, channels: int, num_relations: int):
        super().__init__(channels, num_relations)
        self.weight = nn.Parameter(torch.empty(num_relations, channels))
        nn.init.normal_(self.weight, std=0.3)

    def map_rows(self, x: Tensor, weight: Tensor) -> Tensor:
        return x * weight


class ComplEx(DistMult):
    """DistMult over complex numbers: `score = Re(sum_c h_c w_rc conj(t_c))`; a relation may have a direction.

    The first half of an embedding holds real parts, the second imaginary ones.

    Source:
        Trouillon et al., "Complex embeddings for simple link prediction" (2016).
    """

    parts = 2

    def map_rows(self, x: Tensor, weight: Tensor) -> Tensor:
        (x_re, x_im), (w_re, w_im) = x.chunk(2, -1), weight.chunk(2, -1)
        return torch.cat([x_re * w_re - x_im * w_im, x_re * w_im + x_im * w_re], -1)


class SimplE(DistMult):
    """Two embeddings an entity, as head a and as tail b: `score = (<a_h, w_r, b_t> + <b_h, w'_r, a_t>) / 2`.

    The first half of an embedding is a, the second b; the first half of a relation's weights w, the second w'.

    Source:
        Kazemi & Poole, "SimplE embedding for link prediction in knowledge graphs" (2018).
    """

    parts = 2

    def map_rows(self, x: Tensor, weight: Tensor) -> Tensor:
        return 0.5 * x * weight

    def key(self, tail: Tensor) -> Tensor:
        return torch.cat(tail.chunk(2, -1)[::-1], -1)


class DEDICOM(DistMult):
    """Decagon's decoder: `score = h D_r M D_r t`, one matrix M for all relations, a diagonal D_r for each.

    Source:
        Papalexakis et al. (2017), and Zitnik, Agrawal & Leskovec, "Modeling polypharmacy side effects with graph
        convolutional networks" (2018).
    """

    def __init__(self, channels: int, num_relations: int):
        super().__init__(channels, num_relations)
        nn.init.normal_(self.weight, mean=1.0, std=0.1)
        self.shared = nn.Parameter(torch.empty(channels, channels))
        nn.init.normal_(self.shared, std=0.3 / channels**0.5)

    def map_rows(self, x: Tensor, weight: Tensor) -> Tensor:
        return ((x * weight) @ self.shared) * weight


class RESCAL(RelationalDecoder):
    """A full matrix a relation: `score = h W_r t`.

    Source:
        Nickel, Tresp & Kriegel, "A three-way model for collective learning on multi-relational data" (2011).
    """

    def __init__(self, channels: int, num_relations: int):
        super().__init__(channels, num_relations)
        self.weight = nn.Parameter(torch.empty(num_relations, channels, channels))
        nn.init.normal_(self.weight, std=0.3 / channels**0.5)

    def query(self, head: Tensor, relation: Tensor) -> Tensor:
        return grouped_matmul(head, relation, self.weight)

    def queries(self, head: Tensor, relation: Tensor) -> Tensor:
        return head @ self.weight[relation]


#: Name -> decoder.
DECODERS: Mapping[str, type[RelationalDecoder]] = MappingProxyType(
    {"dedicom": DEDICOM, "distmult": DistMult, "complex": ComplEx, "simple": SimplE, "rescal": RESCAL}
)


def build_decoder(name: str, channels: int, num_relations: int) -> RelationalDecoder:
    """Make a decoder by its name.

    Args:
        name: One of `DECODERS`.
        channels: Width of an embedding.
        num_relations: R.

    Raises:
        ValueError: An unknown name, or a width that does not suit it.

    Example:
        >>> build_decoder("simple", 4, 3)
        SimplE(4, num_relations=3)
    """
    if name not in DECODERS:
        raise ValueError(f"decoder is {name!r}; choose one of {', '.join(DECODERS)}")
    return DECODERS[name](channels, num_relations)
