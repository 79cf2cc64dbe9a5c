"""The figures that every report has: error by step, training curves, true against predicted, and the map."""

from __future__ import annotations

from gnnkit.compare.report import plots
from gnnkit.compare.report.tables import horizon_label, shown_models, step_of
from gnnkit.compare.results import Results
from gnnkit.report.sections import Drawing

__all__ = ["main_drawings"]


def main_drawings(results: Results) -> list[Drawing]:
    """The four figures of every comparison."""
    shown = shown_models(results)
    pair = " and ".join(shown)
    farthest = horizon_label(max(results.horizons), step_of(results))
    own = results.data.positions is not None
    where = "at the data's own positions" if own else "laid out by the graph's edges (no positions were given)"
    edges = len(plots.drawn_edges(results))
    strongest = f" The {edges:,} strongest edges are drawn." if edges == plots.MAX_EDGES else ""
    traced = horizon_label(len(results.traces.rows or [0]), step_of(results))
    alone = len(shown) < 2
    drawings = [
        Drawing(
            "steps",
            "Error by step ahead",
            "Each step scored alone, on the windows of the largest horizon. Lines: mean over seeds; bands: ± one "
            "standard deviation. Greys are baselines.",
            plots.error_by_step,
        ),
        Drawing(
            "training",
            "Training curves",
            "Validation error after each epoch, in the data's unit. Thin: one seed; thick: mean; the mark is the epoch "
            "whose weights were kept.",
            plots.training_curves,
        ),
        Drawing(
            "traces",
            "True against predicted",
            f"Predictions {farthest} ahead of {pair}, over {traced} of the test rows.",
            plots.traces,
            "full",
        ),
        Drawing(
            "map",
            "The error on the graph",
            f"Mean absolute error of each node up to {farthest} ahead, nodes {where}.{strongest}",
            plots.error_map,
            "full",
            narrow=alone,
        ),
    ]
    # Of forecasts that were made elsewhere nothing is known of how they were trained.
    untrained = results.curves.empty and bool(results.environment.get("forecasts"))
    return [drawing for drawing in drawings if not (untrained and drawing.name == "training")]
