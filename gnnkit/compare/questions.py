"""The questions that are fixed before anything is trained: the headline family of a comparison."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from gnnkit.compare.conditions import Adjacency

__all__ = ["NO_GRAPH", "PLANNED", "Kind", "Question", "planned_questions", "without_edges"]

Kind = Literal["ablation", "families", "twin"]
PLANNED: tuple[Kind, ...] = get_args(Kind)
"""The kinds of planned questions, in the order in which they are told."""

NO_GRAPH: Adjacency = "identity"
"""The graph that has no edges."""


@dataclass(frozen=True)
class Question:
    """Is `model` better than `against`?

    Args:
        kind: `"ablation"`: one model with the given graph and without edges. `"families"`: the graph and the sequence
            model that are best on the validation rows. `"twin"`: a model with neighbours and the same without.
        model: a name.
        against: another; of an ablation, what `without_edges` calls it.
    """

    kind: Kind
    model: str
    against: str


def without_edges(model: str) -> str:
    """What a model is called that was trained without edges.

    Example:
        >>> without_edges("tgcn")
        'tgcn without edges'
    """
    return f"{model} without edges"


def planned_questions(
    pair: tuple[str, str] | None, twins: Mapping[str, str], validation: Mapping[str, float], ablated: Sequence[str]
) -> list[Question]:
    """The headline family: which two models are compared is fixed by the plan, or chosen on validation rows.

    Args:
        pair: the graph and the sequence model that the validation rows chose; None: a family has no model.
        twins: a model with neighbours → the same without.
        validation: validation MAE of each model.
        ablated: models that were also trained without edges; one of them is asked about: that of the pair, else the
            best on the validation rows.

    Example:
        >>> asked = planned_questions(("gcn", "gru"), {"ridge-graph": "ridge"}, {"gcn": 2.0, "tgcn": 1.0}, ["gcn"])
        >>> [(question.kind, question.model, question.against) for question in asked]
        [('ablation', 'gcn', 'gcn without edges'), ('families', 'gcn', 'gru'), ('twin', 'ridge-graph', 'ridge')]
    """
    found = []
    if ablated:
        one = pair[0] if pair and pair[0] in ablated else min(ablated, key=lambda name: validation.get(name, 0.0))
        found.append(Question("ablation", one, without_edges(one)))
    if pair:
        found.append(Question("families", *pair))
    return found + [Question("twin", one, other) for one, other in twins.items() if (one, other) != pair]
