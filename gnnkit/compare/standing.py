"""The simple rivals that stand in every comparison: models that cost seconds, and that a network has to beat."""

from __future__ import annotations

from gnnkit.compare.evidence import has_graph
from gnnkit.compare.spec.comparison import ComparisonSpec
from gnnkit.data import GraphSeries
from gnnkit.temporal import MODELS

__all__ = ["STANDING_RIVALS", "draws_nothing", "standing_rivals", "standing_sentence"]

STANDING_RIVALS = ("ridge", "seasonal-ridge", "var", "ridge-graph")
"""Names in the registry. All are in closed form: they have no epochs, and a seed changes nothing in them."""


def standing_rivals(spec: ComparisonSpec, series: GraphSeries) -> tuple[str, ...]:
    """The rivals that are compared beside the models that a spec names.

    Args:
        spec: `rivals = False` leaves them out; one that is among its models is none of them.
        series: its season has a profile, its graph has neighbours, and its nodes speak of each other, or not.

    Example:
        >>> from gnnkit.compare import make_spec
        >>> from gnnkit.data import simulate_traffic
        >>> standing_rivals(make_spec(models=["gru", "ridge"]), simulate_traffic(num_nodes=4, days=1))
        ('seasonal-ridge', 'var', 'ridge-graph')
    """
    if not spec.rivals:
        return ()
    fits = {"seasonal-ridge": bool(series.season), "var": series.num_nodes > 1, "ridge-graph": has_graph(series)}
    return tuple(name for name in STANDING_RIVALS if name not in spec.models and fits.get(name, True))


def draws_nothing(model: str) -> bool:
    """Whether a seed changes nothing in a model, so that one is all that there is to know of it."""
    return model in MODELS.names() and MODELS[model].is_deterministic


def standing_sentence(rivals: tuple[str, ...]) -> str:
    """What is said of them before the scores."""
    *others, last = rivals
    names, stand = (f"{', '.join(others)} and {last}", "stand") if others else (last, "stands")
    return f"{names} {stand} in every comparison: closed forms, whose one setting is chosen on the validation rows."
