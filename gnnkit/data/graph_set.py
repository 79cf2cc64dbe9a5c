"""Many graphs, each of them an example with a label: in a few long tensors, from which any of them make a batch."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import cached_property

import torch
from torch import Tensor

__all__ = ["TASKS", "GraphBatch", "GraphSet", "categories_of"]

TASKS = ("classes", "yes-or-no", "numbers")
"""What is said of a graph: one of several classes; yes or no to one question or many; one number or many."""


@dataclass(frozen=True)
class GraphBatch:
    """Some graphs as one, of parts that no edge connects.

    Args:
        x: `[N, F]` numbers of each node; F may be 0.
        categories: `[N, K]` categories of each node; K may be 0.
        edge_index: `[2, E]`.
        edge_attr: `[E, D]` numbers of each edge.
        edge_categories: `[E, L]`.
        batch: `[N]`, the graph of each node, in rising order.
        num_graphs: B.
        y: Labels of the graphs, as in `GraphSet`.
    """

    x: Tensor
    categories: Tensor
    edge_index: Tensor
    edge_attr: Tensor
    edge_categories: Tensor
    batch: Tensor
    num_graphs: int
    y: Tensor

    def to(self, device: torch.device) -> GraphBatch:
        """The same on a device."""
        moved = {name: value.to(device) for name, value in vars(self).items() if isinstance(value, Tensor)}
        return replace(self, **moved)


@dataclass(frozen=True, eq=False)
class GraphSet:
    """G graphs; nodes and edges of a graph lie together, in the order of the graphs.

    Args:
        name: Of the data set.
        node_counts, edge_counts: `[G]`, int64.
        edge_index: `[2, E]`, numbered from 0 within each graph.
        y: `[G]` int64 for classes; `[G, T]` float32 for yes-or-no (0, 1, NaN: not known) and numbers.
        task: One of `TASKS`.
        metric: What it is scored by: acc, rocauc, ap or rmse.
        num_classes: Of classes; else the number of questions or numbers T.
        x: `[N, F]` float32. Default: none.
        categories: `[N, K]` int64, from 0, and how many there are in each column. Default: none.
        edge_attr, edge_categories, edge_category_sizes: The same of edges.
        split: Rows of training, validation and test, where the data set has a split of its own.
        remarks: What a reader did that its user should know.

    Raises:
        ValueError: A part has another shape or is out of range; names the graph or the part.
    """

    name: str
    node_counts: Tensor
    edge_counts: Tensor
    edge_index: Tensor
    y: Tensor
    task: str
    metric: str
    num_classes: int
    x: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    categories: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.int64))
    category_sizes: tuple[int, ...] = ()
    edge_attr: Tensor = field(default_factory=lambda: torch.empty(0, 0))
    edge_categories: Tensor = field(default_factory=lambda: torch.empty(0, 0, dtype=torch.int64))
    edge_category_sizes: tuple[int, ...] = ()
    split: tuple[Tensor, Tensor, Tensor] | None = None
    remarks: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        nodes, edges = int(self.node_counts.sum()), int(self.edge_counts.sum())
        empty = {"x": nodes, "categories": nodes, "edge_attr": edges, "edge_categories": edges}
        for name, count in empty.items():
            part: Tensor = getattr(self, name)
            if part.numel() == 0:
                object.__setattr__(self, name, part.new_empty(count, 0))
            elif part.dim() != 2 or part.size(0) != count:
                raise ValueError(f"{name} has shape {list(part.shape)}; one row for each of {count} belongs there")
        self._check(nodes, edges)

    def _check(self, nodes: int, edges: int) -> None:
        count = len(self)
        if count == 0:
            raise ValueError(f"{self.name}: there is no graph")
        if self.edge_counts.shape != (count,) or self.y.size(0) != count:
            raise ValueError(
                f"{self.name}: {count} graphs, {self.edge_counts.numel()} counts of edges, {self.y.size(0)} labels; "
                "give each graph one"
            )
        if bool((self.node_counts < 1).any()):
            raise ValueError(f"{self.name}: graph {int((self.node_counts < 1).int().argmax())} has no node")
        if bool((self.edge_counts < 0).any()) or self.edge_index.shape != (2, edges):
            raise ValueError(f"{self.name}: edge_index has shape {list(self.edge_index.shape)} for {edges} edges")
        limit = torch.repeat_interleave(self.node_counts, self.edge_counts)
        wrong = ((self.edge_index < 0) | (self.edge_index >= limit)).any(dim=0)
        if bool(wrong.any()):
            edge = int(wrong.int().argmax())
            graph = int(torch.searchsorted(self.edge_ptr, edge, right=True)) - 1
            raise ValueError(
                f"{self.name}: an edge of graph {graph} runs from {int(self.edge_index[0, edge])} to "
                f"{int(self.edge_index[1, edge])}; its nodes are numbered from 0 to {int(self.node_counts[graph]) - 1}"
            )
        for part, sizes in (
            (self.categories, self.category_sizes),
            (self.edge_categories, self.edge_category_sizes),
        ):
            if part.size(1) != len(sizes) or (
                part.numel() and bool((part < 0).any() | (part >= part.new_tensor(sizes)).any())
            ):
                raise ValueError(f"{self.name}: categories are numbered from 0, below their number in each column")
        if self.task == "classes" and bool((self.y < 0).any() | (self.y >= self.num_classes).any()):
            raise ValueError(f"{self.name}: a label is no class from 0 to {self.num_classes - 1}")
        for rows in self.split or ():
            if rows.numel() == 0 or bool((rows < 0).any() | (rows >= count).any()):
                raise ValueError(
                    f"{self.name}: each part of the split names graphs from 0 to {count - 1}, at least one"
                )
        if self.split is not None:
            named = torch.cat(self.split)
            if named.unique().numel() != named.numel():
                raise ValueError(f"{self.name}: the split names a graph twice; a graph is in one part")

    def __len__(self) -> int:
        return self.node_counts.numel()

    @cached_property
    def node_ptr(self) -> Tensor:
        """`[G + 1]`: where each graph's nodes begin."""
        return torch.nn.functional.pad(self.node_counts.cumsum(0), (1, 0))

    @cached_property
    def edge_ptr(self) -> Tensor:
        """`[G + 1]`: where each graph's edges begin."""
        return torch.nn.functional.pad(self.edge_counts.cumsum(0), (1, 0))

    def batch(self, graphs: Tensor) -> GraphBatch:
        """Some graphs, by their numbers, as one."""
        nodes, node_graph, starts = _rows(self.node_ptr, self.node_counts, graphs)
        edges, edge_graph, _ = _rows(self.edge_ptr, self.edge_counts, graphs)
        return GraphBatch(
            self.x[nodes],
            self.categories[nodes],
            self.edge_index[:, edges] + starts[edge_graph],
            self.edge_attr[edges],
            self.edge_categories[edges],
            node_graph,
            graphs.numel(),
            self.y[graphs],
        )

    def with_degrees(self) -> GraphSet:
        """With log(1 + the number of its incoming edges) as one more number of each node."""
        targets = self.edge_index[1] + torch.repeat_interleave(self.node_ptr[:-1], self.edge_counts)
        degree = torch.bincount(targets, minlength=int(self.node_ptr[-1])).float().log1p()
        return replace(self, x=torch.cat([self.x, degree.unsqueeze(1)], dim=1))

    def digests(self) -> dict[str, str]:
        """SHA-256 of all that a result depends on, by part."""
        parts = ["node_counts", "edge_counts", "edge_index", "y", "x", "categories", "edge_attr", "edge_categories"]
        found = {name: _digest(getattr(self, name)) for name in parts if getattr(self, name).numel()}
        return found | ({} if self.split is None else {"split": "".join(_digest(rows)[:20] for rows in self.split)})


def _rows(ptr: Tensor, counts: Tensor, graphs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """The rows of some graphs, the place among them of each row's graph, and where each begins in the batch."""
    sizes = counts[graphs]
    ends = sizes.cumsum(0)
    starts, total = ends - sizes, int(ends[-1]) if graphs.numel() else 0
    place = torch.repeat_interleave(torch.arange(graphs.numel()), sizes, output_size=total)
    return torch.arange(total) + (ptr[graphs] - starts)[place], place, starts


def _digest(value: Tensor) -> str:
    found = hashlib.sha256(f"{value.dtype} {list(value.shape)}".encode())
    found.update(value.contiguous().reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


def categories_of(labels: Tensor) -> tuple[Tensor, tuple[int, ...]]:
    """Labels `[N, K]` of any whole numbers as categories from 0, and how many there are in each column.

    Example:
        >>> found, sizes = categories_of(torch.tensor([[5, 1], [-2, 1]]))
        >>> found.tolist(), sizes
        ([[1, 0], [0, 0]], (2, 1))
    """
    columns, sizes = [], []
    for column in labels.t():
        values, place = column.unique(return_inverse=True)
        columns.append(place)
        sizes.append(values.numel())
    return torch.stack(columns, dim=1), tuple(sizes)
