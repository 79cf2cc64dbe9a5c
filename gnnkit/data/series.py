"""A series on a graph: what every loader returns and everything after it reads."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from gnnkit.data.mapped import gaps_and_infinite, mapped_file, row_blocks
from gnnkit.data.spans import every_step
from gnnkit.data.splits import Split

__all__ = ["GraphSeries"]


@dataclass(frozen=True, eq=False, repr=False)
class GraphSeries:
    """Values of N nodes over L rows of time, and the graph that joins the nodes.

    Args:
        name: Short name for reports, e.g. `"los-loop"`.
        values: The series, `[L, N, F]` float32; NaN is a missing value; feature 0 is the target.
        edge_index: Edges, `[2, E]` int64; messages flow `edge_index[0]` → `edge_index[1]`.
        edge_weight: Weights, `[E]` float32, finite and not negative.
        node_names: N distinct names.
        split: The data set's own split, or `chronological_split(L)`.
        unit: Unit of the target, e.g. `"mph"`; `""` when unknown.
        step_minutes: Minutes from one row to the next; None when unknown, or not the same for all rows.
        step_unit: What a row is where it has no fixed number of minutes, e.g. `"month"`, `"quarter"` or `"weekday"`.
        start: Time of row 0; None when unknown.
        season: Rows in one season (a day of 5-minute rows: 288); None when unknown.
        history, horizons: Rows that a model sees, and steps ahead that are scored, where nobody asks for others; None:
            by the step (see `gnnkit.data.infer_settings`).
        positions: Places on a map, `[N, 2]` as (x, y); None when unknown.
        source: One line that says where the data comes from.
        notes: What a reader should know of how it was read, a sentence each.
        extra: Whatever else is known, by name; for simulated data the truth, e.g. its incidents.
        feature_names: F names, that of the target first; empty when unknown.
        known_ahead: Numbers of the features that are known before their time (holidays, a weather forecast): models see
            their values over the horizon too. All other features but the target are past covariates.
        ahead: What these features are after the last row, `[A, N, K]`, in the order of `known_ahead`; None: not known.
        graph_source: How the graph was made, where gnnkit made it; a few words.
        graph_rows: Rows whose values the graph was made of; None: of none, or unknown.
        make_graph: Makes such a graph of the target's values in other rows, `[R, N]`: gives edges, weights, and how it
            was made, in words. None: the graph is what it is, whatever the split.

    Shape:
        values `[L, N, F]`, edge_index `[2, E]`, edge_weight `[E]`, positions `[N, 2]`, ahead `[A, N, K]`.

    Raises:
        ValueError: A tensor has another shape or type, a value is infinite, an edge names a node that is not there,
            a weight is negative or not finite, names repeat, the split names rows that are not there, the target is
            said to be known ahead, or the graph was made of rows that are not for training.

    Example:
        >>> from gnnkit.data import Split
        >>> series = GraphSeries(
        ...     name="two roads", values=torch.zeros(6, 2, 1), edge_index=torch.tensor([[0], [1]]),
        ...     edge_weight=torch.ones(1), node_names=("a", "b"), split=Split(range(0, 3), range(3, 4), range(4, 6)),
        ... )
        >>> series
        GraphSeries('two roads': 6 rows × 2 nodes, times unknown; 1 edge; train 3, validation 1, test 2 rows)
    """

    name: str
    values: Tensor
    edge_index: Tensor
    edge_weight: Tensor
    node_names: tuple[str, ...]
    split: Split
    unit: str = ""
    step_minutes: float | None = None
    step_unit: str = ""
    start: pd.Timestamp | None = None
    season: int | None = None
    history: int | None = None
    horizons: tuple[int, ...] | None = None
    positions: Tensor | None = None
    source: str = ""
    notes: tuple[str, ...] = ()
    extra: Mapping[str, Tensor] = field(default_factory=dict)
    feature_names: tuple[str, ...] = ()
    known_ahead: tuple[int, ...] = ()
    ahead: Tensor | None = None
    graph_source: str = ""
    graph_rows: range | None = None
    make_graph: Callable[[Tensor], tuple[Tensor, Tensor, str]] | None = None

    def __post_init__(self) -> None:
        if self.values.dim() != 3 or self.values.dtype != torch.float32 or self.values.numel() == 0:
            raise ValueError(
                f"values: expected float32 of shape [rows, nodes, features] with no size 0, "
                f"got {self.values.dtype} of shape {list(self.values.shape)}"
            )
        if (infinite := gaps_and_infinite(self.values)[1]) is not None:
            row, node, feature = infinite
            raise ValueError(
                f"values: infinite at row {row}, node {node}{self._called(node)}, feature {feature}; mark missing "
                f"values as NaN"
            )
        self._check_graph()
        if len(self.node_names) != self.num_nodes or len(set(self.node_names)) != self.num_nodes:
            raise ValueError(
                f"node_names: {len(self.node_names)} names, {len(set(self.node_names))} of them distinct, "
                f"for {self.num_nodes} nodes; give one distinct name to each"
            )
        if self.split.num_rows > self.num_rows:
            raise ValueError(
                f"split: goes on to row {self.split.num_rows - 1}, but the series has {self.num_rows} rows"
            )
        if self.start is not None and pd.isna(self.start):
            raise ValueError(f"start={self.start}: no time; None when unknown")
        if self.season is not None and self.season < 1:
            raise ValueError(f"season={self.season}: rows in a season; at least 1, or None when unknown")
        if self.step_minutes is not None and not self.step_minutes > 0:
            raise ValueError(f"step_minutes={self.step_minutes}: must be positive, or None when unknown")
        if self.step_minutes is not None and self.step_unit:
            raise ValueError(
                f"step_unit={self.step_unit!r}: only for rows without a fixed number of minutes; "
                f"leave it out, or step_minutes={self.step_minutes:g}"
            )
        if self.positions is not None and tuple(self.positions.shape) != (self.num_nodes, 2):
            raise ValueError(f"positions: expected shape [{self.num_nodes}, 2], got {list(self.positions.shape)}")
        self._check_features()
        if self.graph_rows is not None and self.graph_rows.stop > self.split.train.stop:
            raise ValueError(
                f"graph_rows: the graph was made of the values of rows {self.graph_rows.start} to "
                f"{self.graph_rows.stop - 1}, and the training rows end at row {self.split.train.stop - 1}; make it of "
                f"training rows alone: series.with_split(split) does"
            )

    def _called(self, node: int) -> str:
        return f" ({self.node_names[node]!r})" if node < len(self.node_names) else ""

    def _check_features(self) -> None:
        names, known = self.feature_names, self.known_ahead
        if names and (len(names) != self.num_features or len(set(names)) != len(names)):
            raise ValueError(
                f"feature_names: {len(names)} names, {len(set(names))} of them distinct, for {self.num_features} "
                f"features; give one distinct name to each"
            )
        wrong = [feature for feature in known if not 0 < feature < self.num_features]
        if wrong or len(set(known)) != len(known):
            raise ValueError(
                f"known_ahead={known}: give distinct numbers of features from 1 to {self.num_features - 1}; feature 0 "
                f"is the target"
            )
        expected = [self.num_nodes, len(known)]
        if self.ahead is not None and (list(self.ahead.shape[1:]) != expected or self.ahead.dim() != 3):
            raise ValueError(
                f"ahead: expected shape [rows, {expected[0]}, {expected[1]}], got {list(self.ahead.shape)}"
            )

    def _check_graph(self) -> None:
        edges, weights = self.edge_index, self.edge_weight
        if edges.dim() != 2 or edges.size(0) != 2 or edges.dtype != torch.int64:
            raise ValueError(
                f"edge_index: expected int64 of shape [2, E], got {edges.dtype} of shape {list(edges.shape)}"
            )
        if tuple(weights.shape) != (edges.size(1),) or weights.dtype != torch.float32:
            raise ValueError(
                f"edge_weight: expected float32 of shape [{edges.size(1)}], "
                f"got {weights.dtype} of shape {list(weights.shape)}"
            )
        if edges.numel() and not (int(edges.min()) >= 0 and int(edges.max()) < self.num_nodes):
            raise ValueError(
                f"edge_index: node numbers from {int(edges.min())} to {int(edges.max())}, "
                f"but the series has the nodes 0 to {self.num_nodes - 1}"
            )
        if not (torch.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(
                "edge_weight: must be finite and not negative; the graph models normalise by sums of weights"
            )

    def __repr__(self) -> str:
        features = f" × {self.num_features} features" if self.num_features > 1 else ""
        since = "" if self.start is None else f" from {self.start:%Y-%m-%d %H:%M}"
        unit = f", in {self.unit}" if self.unit else ""
        count = sum(int(block[..., 0].isnan().sum()) for _, block in row_blocks(self.values))
        gaps = count / (self.num_rows * self.num_nodes)
        missing = f", {100 * gaps:.2g}% missing" if gaps else ""
        edges = self.edge_index.size(1)
        graph = f"{edges:,} edge{'' if edges == 1 else 's'}" if edges else "no graph"
        train, val, test = (len(rows) for rows in self.split.parts.values())
        return (
            f"GraphSeries({self.name!r}: {self.num_rows:,} rows × {self.num_nodes:,} nodes{features}, "
            f"{every_step(self.step_minutes, self.step_unit)}{since}{unit}{missing}; {graph}; "
            f"train {train:,}, validation {val:,}, test {test:,} rows)"
        )

    @property
    def num_rows(self) -> int:
        """Rows of time, L."""
        return self.values.size(0)

    @property
    def num_nodes(self) -> int:
        """Nodes, N."""
        return self.values.size(1)

    @property
    def num_features(self) -> int:
        """Features, F; feature 0 is the target."""
        return self.values.size(2)

    @property
    def covariates(self) -> tuple[str, ...]:
        """Names of the features beside the target; numbers where they have none."""
        return self.feature_names[1:] or tuple(str(feature) for feature in range(1, self.num_features))

    @property
    def known_names(self) -> tuple[str, ...]:
        """Names of the features that are known ahead."""
        return tuple(self.covariates[feature - 1] for feature in self.known_ahead)

    def with_split(self, split: Split) -> GraphSeries:
        """The series with another split; a graph that was made of training rows is made anew, of the new ones.

        Args:
            split: The one that it is to have.

        Raises:
            ValueError: The split names rows that are not there, or its training rows make no graph.

        Example:
            >>> from gnnkit.data import chronological_split, simulate_traffic
            >>> simulate_traffic(num_nodes=4, days=1).with_split(chronological_split(288, (0.5, 0.2, 0.3))).split.val
            range(144, 202)
        """
        if split == self.split:
            return self
        if self.make_graph is None:
            return replace(self, split=split)
        rows = split.train
        edge_index, edge_weight, words = self.make_graph(self.values[rows.start : rows.stop, :, 0])
        graph = {"edge_index": edge_index, "edge_weight": edge_weight, "graph_source": words, "graph_rows": rows}
        return replace(self, split=split, **graph)

    def digest(self) -> str:
        """Fingerprint of what a model can see: values, what is known ahead, graph and split.

        Returns:
            SHA-256 as 64 hexadecimal digits. Two series with the same values, gaps, edges, weights and split rows have
            the same; names, units and bit patterns of NaN do not count.
        """
        values = self.values.detach().cpu()
        header = {
            "shape": list(values.shape),
            "edges": self.edge_index.size(1),
            "split": [[rows.start, rows.stop] for rows in self.split.parts.values()],
            "drop_last_window": self.split.drop_last_window,
        }
        header |= {"known_ahead": list(self.known_ahead)} if self.known_ahead else {}
        begun = json.dumps(header, sort_keys=True)
        found = mapped_file(values)
        if found is not None and (begun, values.data_ptr()) in found.known:
            digest = found.known[begun, values.data_ptr()].copy()
            return self._digest_graph(digest)
        digest = hashlib.sha256(begun.encode())
        # One pattern for every NaN, little-endian everywhere: the hash must not depend on who wrote the gap or where.
        for _, block in row_blocks(values):
            part = block.numpy()
            canonical = np.where(np.isnan(part), np.float32(np.nan), part).astype("<f4")
            digest.update(np.ascontiguousarray(canonical).data)
        if found is not None:
            found.known[begun, values.data_ptr()] = digest.copy()
        return self._digest_graph(digest)

    def _digest_graph(self, digest: Any) -> str:
        digest.update(np.ascontiguousarray(self.edge_index.cpu().numpy().astype("<i8")).tobytes())
        digest.update(np.ascontiguousarray(self.edge_weight.detach().cpu().numpy().astype("<f4")).tobytes())
        return digest.hexdigest()
