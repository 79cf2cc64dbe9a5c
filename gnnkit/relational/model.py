"""Decagon: an encoder or free embeddings, a decoder, and terms for what needs neither."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from gnnkit.relational.cooccurrence import PairProfiles, fit_cooccurrence
from gnnkit.relational.decoders import build_decoder
from gnnkit.relational.encoder import DecagonEncoder

__all__ = ["Decagon", "log_popularity"]

# So that Adam, whose steps are of one size for all weights, moves the term as fast as the others.
_GAIN = 10.0


class Decagon(nn.Module):
    """Scores of typed links: the log-odds that two entities are linked, links and others at even odds.

        score(i, r, j) = decoder(z_i, r, z_j) + b_r + p_ri + q_rj + g_r T_r(i, j) + c_r log(1 + n_r(i, j))

    z is the encoder's output or a free embedding; b a bias; p and q start at how often an entity occurs in training
    under r (`popularity`); T is what the other relations of the pair say, n how many these are (`cooccurrence`, see
    `fit_cooccurrence`).

    Args:
        num_entities: N.
        num_relations: R.
        train: Links to learn from; only what `popularity` and `cooccurrence` start from is taken.
        decoder: One of `DECODERS`. Default `"dedicom"`, the paper's.
        channels: Width C of an embedding. Default 32.
        encoder: Gives z; None (default): free embeddings.
        symmetric: Whether links hold in both directions; scores are then the mean over both. Default False.
        popularity: Whether p and q are there. Default False.
        cooccurrence: Whether T and n are there. Default False.
        ridge: Of T. Default 300.
        others: The weights of T, where they are known already; None (default): fitted to `train`.
        dropout: Of the embeddings, in training. Default 0.

    Raises:
        ValueError: A number or a name is not allowed.

    Source:
        Zitnik, Agrawal & Leskovec (2018); `popularity` and `cooccurrence` are gnnkit's.

    Example:
        >>> train = torch.tensor([[0, 0], [0, 1], [1, 2]])
        >>> model = Decagon(3, 2, train, channels=4, symmetric=True).eval()
        >>> model.score_all(torch.tensor([1])).shape
        torch.Size([1, 3, 3])
    """

    others: Tensor
    _told: tuple[Tensor, Tensor] | None
    _cell: Tensor

    def __init__(
        self,
        num_entities: int,
        num_relations: int,
        train: Int[Tensor, "3 E"],
        *,
        decoder: str = "dedicom",
        channels: int = 32,
        encoder: DecagonEncoder | None = None,
        symmetric: bool = False,
        popularity: bool = False,
        cooccurrence: bool = False,
        ridge: float = 300.0,
        others: Tensor | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        if not 0 <= dropout < 1:
            raise ValueError(f"dropout must be at least 0 and below 1, got {dropout}")
        self.num_entities, self.num_relations, self.symmetric = num_entities, num_relations, symmetric
        self.decoder = build_decoder(decoder, channels, num_relations)
        self.encoder = encoder
        self.embedding = None if encoder is not None else nn.Parameter(torch.randn(num_entities, channels) * 0.3)
        self.drop = nn.Dropout(dropout)
        self.bias = nn.Parameter(torch.zeros(num_relations))
        self.head_popularity = self.tail_popularity = None
        if popularity:
            self.head_popularity = nn.Parameter(log_popularity(train, num_entities, num_relations, symmetric, end=0))
            if not symmetric:
                self.tail_popularity = nn.Parameter(log_popularity(train, num_entities, num_relations, False, end=2))
        self.profiles: PairProfiles | None = None
        if cooccurrence:
            self.profiles = PairProfiles(train, num_entities, num_relations)
            self.register_buffer("others", fit_cooccurrence(self.profiles, ridge) if others is None else others)
            self.gain = nn.Parameter(torch.ones(num_relations))
            self.count_gain = nn.Parameter(torch.zeros(num_relations))
            self._told = None
            self.register_buffer("_cell", self.profiles.cell, persistent=False)

    def encode(self) -> Float[Tensor, "N C"]:
        """Embeddings of all entities; make them once for many calls of the methods below."""
        z = self.embedding if self.encoder is None else self.encoder()
        assert z is not None
        return self.drop(z)

    def forward(self, links: Int[Tensor, "3 E"], z: Float[Tensor, "N C"] | None = None) -> Float[Tensor, " E"]:
        """Scores of links."""
        z = self.encode() if z is None else z
        score = self._one_way(links, z)
        # In training each link comes in a direction by chance; the mean over both is what is asked for afterwards.
        if self.symmetric and not self.training:
            score = (score + self._one_way(links.flip(0), z)) / 2
        return score

    def _one_way(self, links: Tensor, z: Tensor) -> Tensor:
        head, relation, tail = links
        score = self.decoder(z[head], relation, z[tail]) + self.bias[relation]
        if self.head_popularity is not None:
            tails = self.head_popularity if self.tail_popularity is None else self.tail_popularity
            score = score + self.head_popularity[relation, head] + tails[relation, tail]
        if self.profiles is not None:
            ends = (torch.minimum(head, tail), torch.maximum(head, tail)) if self.symmetric else (head, tail)
            cell = ends[0] * self.num_entities + ends[1]
            place = torch.searchsorted(self._cell, cell).clamp_max(self._cell.numel() - 1)
            there = self._cell[place] == cell
            told, counts = self._all_told()
            others = self.gain[relation] * told[relation, place] + self.count_gain[relation] * counts[relation, place]
            score = score + _GAIN * others * there
        return score

    def score_all(self, relation: Int[Tensor, " K"], z: Float[Tensor, "N C"] | None = None) -> Float[Tensor, "K N N"]:
        """Scores of all pairs under some relations, heads in rows."""
        z = self.encode() if z is None else z
        score = self.decoder.score_all(z, relation, z)
        if self.symmetric and not self.training:
            score = (score + score.transpose(1, 2)) / 2
        heads = self.bias[relation].unsqueeze(1)
        if self.head_popularity is None:
            return self._add_told(score + heads.unsqueeze(2), relation)
        tails = self.head_popularity if self.tail_popularity is None else self.tail_popularity
        score = score + (heads + self.head_popularity[relation]).unsqueeze(2) + tails[relation].unsqueeze(1)
        return self._add_told(score, relation)

    def score_tails(self, head: Int[Tensor, " B"], relation: Int[Tensor, " B"], z: Float[Tensor, "N C"]) -> Tensor:
        """Scores `[B, N]` of every entity as the tail of some heads, each under its relation."""
        count = self.num_entities
        if self.profiles is not None or self.symmetric:
            every = torch.arange(count, device=head.device).repeat(head.numel())
            links = torch.stack([head.repeat_interleave(count), relation.repeat_interleave(count), every])
            return self(links, z).view(-1, count)
        score = self.decoder.query(z[head], relation) @ self.decoder.key(z).t() + self.bias[relation].unsqueeze(1)
        if self.head_popularity is None or self.tail_popularity is None:
            return score
        return score + self.head_popularity[relation, head].unsqueeze(1) + self.tail_popularity[relation]

    def _add_told(self, score: Tensor, relation: Tensor) -> Tensor:
        """Add what other relations tell to the cells `[K, N, N]` of the pairs that have some; in place."""
        if self.profiles is None:
            return score
        told, counts = (values[relation] for values in self._all_told())  # [K, P]
        values = _GAIN * (self.gain[relation].unsqueeze(1) * told + self.count_gain[relation].unsqueeze(1) * counts)
        flat, nodes = score.view(relation.numel(), -1), self.num_entities
        flat = flat.index_add_(1, self._cell, values)
        if self.symmetric:
            flat = flat.index_add_(1, self._cell % nodes * nodes + self._cell.div(nodes, rounding_mode="floor"), values)
        return flat.view_as(score)

    def _all_told(self) -> tuple[Tensor, Tensor]:
        """T, and log(1 + n), of the pairs that are linked in training, `[R, P]`, made once."""
        device = self.bias.device
        if self._told is None or self._told[0].device != device:
            assert self.profiles is not None
            blocks = self.others.cpu().split(64, dim=1)
            told = torch.cat([self.profiles.predict(block.contiguous()).t() for block in blocks])
            self._told = told.to(device), self.profiles.log_counts().to(device)
        return self._told


def log_popularity(
    links: Int[Tensor, "3 E"], num_entities: int, num_relations: int, symmetric: bool, *, end: int
) -> Float[Tensor, "R N"]:
    """How often an entity occurs under a relation, in logarithms around the relation's mean.

        p_ri = log(n_ri + 0.1 n_i / R + 0.01) - mean over i

    n_ri counts its links under r, n_i those under all; the second stands in where there are few of the first.

    Args:
        links: What is counted.
        num_entities: N.
        num_relations: R.
        symmetric: True counts both ends.
        end: 0 counts heads, 2 tails, where links have a direction.

    Returns:
        p.
    """
    ends = (0, 2) if symmetric else (end,)
    keys = torch.cat([links[1] * num_entities + links[which] for which in ends])
    counts = torch.bincount(keys, minlength=num_relations * num_entities).view(num_relations, num_entities).float()
    logs = (counts + 0.1 * counts.sum(0) / num_relations + 0.01).log()
    return logs - logs.mean(1, keepdim=True)
