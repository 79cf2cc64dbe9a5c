"""Checks of the graph: what order changes, what is left without edges, what of them is read."""

from __future__ import annotations

from dataclasses import replace

import torch

from gnnkit.testing.report import Found
from gnnkit.testing.subject import Inputs, ModelError, Sizes, Subject, difference

__all__ = ["edge_order", "empty_graph", "graph", "node_order"]


def node_order(subject: Subject) -> Found:
    """Nodes in another order give the same forecasts in that order, unless weights belong to single nodes."""
    inputs, order = subject.inputs, torch.tensor([3, 0, 4, 1, 2])
    there = torch.empty_like(order)
    there[order] = torch.arange(len(order))
    assert inputs.mask is not None
    moved = replace(
        inputs,
        x=inputs.x[:, :, order],
        mask=inputs.mask[:, :, order],
        target=inputs.target[..., order],
        edge_index=there[inputs.edge_index],
    )
    apart = difference(subject.run(inputs)[..., order], subject.run(moved))
    if apart <= subject.tolerance:
        return Found("ok", "Nodes in another order have the same forecasts.")
    weights = _weights_of_nodes(subject)
    if weights:
        names = f"{', '.join(weights[:3])}{', …' * (len(weights) > 3)}"
        return Found("says", f"It knows the nodes by number, by weights whose size is theirs: {names}.")
    return Found(
        "fault",
        f"Nodes in another order have other forecasts, by {apart:.2g} of the largest value, and no weight belongs to a "
        "single node: does a view or a reshape mix nodes with steps or windows?",
    )


def _weights_of_nodes(subject: Subject) -> list[str]:
    """Names of the weights whose shape grows with the number of nodes."""
    if not subject.takes("num_nodes"):
        return []
    few, more = (subject.build(Sizes(nodes=nodes)).state_dict() for nodes in (subject.sizes.nodes, 7))
    return [name for name, value in few.items() if name not in more or value.shape != more[name].shape]


def edge_order(subject: Subject) -> Found:
    """Edges in another order change nothing."""
    inputs = subject.inputs
    order = torch.randperm(inputs.edge_index.size(1), generator=torch.Generator().manual_seed(0))
    apart = difference(subject.run(inputs), subject.run(_with_edges(inputs, order)))
    if apart > subject.tolerance:
        return Found("fault", f"Edges in another order change the forecast, by {apart:.2g} of the largest value.")
    return Found("ok", "Edges in another order change nothing.")


def empty_graph(subject: Subject) -> Found:
    """It survives a graph without edges."""
    if not subject.run(_with_edges(subject.inputs, slice(0, 0))).isfinite().all():
        return Found("fault", "Without edges the forecast is NaN: is there a division by a degree of zero?")
    return Found("ok", "Without edges the forecast is finite.")


def graph(subject: Subject) -> Found:
    """What of the given graph makes a difference."""
    inputs = subject.inputs
    assert inputs.edge_weight is not None
    whole, says = subject.run(inputs), bool(getattr(subject.build(), "uses_graph", False))
    reads = {
        "the edges": difference(whole, subject.run(_with_edges(inputs, slice(0, 0)))),
        "their direction": difference(whole, subject.run(replace(inputs, edge_index=inputs.edge_index.flip(0)))),
        "their weights": difference(whole, subject.run(replace(inputs, edge_weight=inputs.edge_weight.flip(0) ** 2))),
    }
    used = [name for name, apart in reads.items() if apart > subject.tolerance]
    if used and not says:
        return Found(
            "fault",
            f"It counts as a model without a graph, and {used[0]} change the forecast by {reads[used[0]]:.2g}; write "
            "uses_graph = True in the class.",
        )
    if not used:
        text = ", and counts as one that does; write uses_graph = False in the class" if says else ", as it says"
        return Found("says", f"It reads nothing of the given graph{text}.")
    unused = [name for name in reads if name not in used]
    text = f"It reads {_listed(used)}" + (f", and not {_listed(unused)}." if unused else ".")
    try:
        subject.run(replace(inputs, edge_weight=None))
    except ModelError:
        text += " It cannot do without weights; gnnkit's series have some."
    return Found("says", text)


def _with_edges(inputs: Inputs, which: torch.Tensor | slice) -> Inputs:
    weight = None if inputs.edge_weight is None else inputs.edge_weight[which]
    return replace(inputs, edge_index=inputs.edge_index[:, which], edge_weight=weight)


def _listed(names: list[str]) -> str:
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)
