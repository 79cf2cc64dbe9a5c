"""The figures that every report has: error by step, training curves, true against predicted, and the map."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from markupsafe import Markup

from gnnkit.compare.report import plots
from gnnkit.compare.report.sections import Drawing
from gnnkit.compare.report.tables import best_models, families, horizon_label, step_of
from gnnkit.compare.report.theme import inline_svg, model_styles
from gnnkit.compare.results import Results

__all__ = ["draw_all", "main_drawings"]


def main_drawings(results: Results) -> list[Drawing]:
    """The four figures of every comparison."""
    best = best_models(results)
    pair = " and ".join(best[kind] for kind in ("sequence", "graph") if kind in best) or best.get("baseline", "")
    farthest = horizon_label(max(results.horizons), step_of(results))
    own = results.data.positions is not None
    where = "at the data's own positions" if own else "laid out by the graph's edges (no positions were given)"
    edges = len(plots.drawn_edges(results))
    shown = f" The {edges:,} strongest edges are drawn." if edges == plots.MAX_EDGES else ""
    traced = horizon_label(len(results.traces.rows or [0]), step_of(results))
    alone = not {"sequence", "graph"} <= set(best)
    return [
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
            f"Mean absolute error of each node up to {farthest} ahead, nodes {where}.{shown}",
            plots.error_map,
            "full",
            narrow=alone,
        ),
    ]


def draw_all(results: Results, drawings: Iterable[Drawing]) -> list[dict[str, Any]]:
    """Draw figures as SVG for the page.

    Args:
        results: What a comparison found.
        drawings: What to draw; their names become ids.

    Returns:
        For each: `name`, `title`, `caption`, `size`, `narrow` and `svg`.
    """
    styles = model_styles(families(results))
    views = []
    for drawing in drawings:
        label = f"{drawing.title}. {drawing.caption}"
        svg = Markup(inline_svg(drawing.draw(results), drawing.name, styles, label=label))
        shown = {key: getattr(drawing, key) for key in ("name", "title", "caption", "size", "narrow")}
        views.append({**shown, "svg": svg})
    return views
