"""One look for all figures: a colour, marker and dash per model, and SVG that follows the page's theme."""

from __future__ import annotations

import html
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

__all__ = [
    "INK", "MUTED", "RULE", "STYLE", "HoverFigure", "ModelStyle", "difference_colors", "inline_svg", "model_styles",
    "new_figure", "theme_variables",
]  # fmt: skip

#: Colours that stand for the page's text, secondary text and hairlines; `inline_svg` turns them into CSS variables.
INK, MUTED, RULE = "#1a1d23", "#5c6370", "#c9ced6"

# (on white, on black). Cool hues are sequence models, warm ones graph models, greys baselines, both forecasts made
# elsewhere; within a family the lightness differs too, and markers repeat the distinction for readers who do not see
# the hue.
_SEQUENCE = (
    ("#0b62a8", "#5bb0f5"), ("#0a8f7c", "#3ccbb4"), ("#5b4bc4", "#a99bff"), ("#3ba3d8", "#8ad4ff"),
    ("#4e8f1e", "#9ad35b"), ("#1f3a73", "#7f9be0"), ("#2d6a6a", "#79b8b8"), ("#7d9bc1", "#c3d7f2"),
)  # fmt: skip
_GRAPH = (
    ("#d1490c", "#ff8a4c"), ("#b0267a", "#f277be"), ("#b98300", "#f2be3a"), ("#8c2d19", "#e0806a"),
    ("#e0607e", "#ff9db2"), ("#7a6a00", "#c9b84a"), ("#7b2d8e", "#ce8ce0"), ("#c98a6b", "#f0c4ab"),
)  # fmt: skip
_BASELINE = (("#5f6671", "#b4bac4"), ("#7f8791", "#949ba6"), ("#9aa1ab", "#7b828d"))
_FORECAST = (
    ("#6d3fb0", "#b893f2"), ("#0a7d85", "#4cc3cc"), ("#a8447f", "#e88fc0"), ("#4a6fb5", "#93b2ee"),
    ("#7d6a1d", "#cdb75c"), ("#2f7a4d", "#7cc79b"), ("#93542a", "#dba078"), ("#5c5c8a", "#a9a9d6"),
)  # fmt: skip
_PALETTES = {"sequence": _SEQUENCE, "graph": _GRAPH, "baseline": _BASELINE, "forecast": _FORECAST}
_MARKERS = ("o", "s", "^", "D", "v", "P", "X", "*")
_BASELINE_DASHES: tuple[Any, ...] = ((0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
_SPARE_DASHES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1.5, 1)))

#: Settings of every figure: `@mpl.rc_context(STYLE)` on each function that draws, so that the process keeps its own.
STYLE: Any = {
    "font.size": 10, "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": RULE,
    "xtick.color": MUTED, "ytick.color": MUTED, "xtick.labelsize": 9, "ytick.labelsize": 9, "grid.color": RULE,
    "grid.linewidth": 0.6, "axes.grid": True, "axes.axisbelow": True, "axes.spines.top": False,
    "text.parse_math": False, "axes.spines.right": False, "axes.titlesize": 10, "axes.titlelocation": "left",
    "legend.frameon": False, "legend.fontsize": 9, "lines.linewidth": 1.6, "lines.markersize": 4,
    "svg.fonttype": "none", "axes.facecolor": "none",
}  # fmt: skip


@dataclass(frozen=True)
class ModelStyle:
    """How one model is drawn, in every figure and table of a report.

    Args:
        color: Hex colour on a light page.
        dark: Hex colour on a dark page.
        marker: matplotlib marker.
        dash: matplotlib line style.
        variable: Name of the CSS variable that holds the colour.
    """

    color: str
    dark: str
    marker: str
    dash: Any
    variable: str


class HoverFigure(Figure):
    """A figure whose points say their values when a reader points at them in the page.

    `hover` and `hover_grid` note what is said where; `inline_svg` lays transparent targets over the drawing.
    """

    def __init__(self, *args: Any, **options: Any):
        super().__init__(*args, **options)
        self._points: list[tuple[Axes, float, float, str]] = []
        self._grids: list[tuple[Axes, str]] = []

    def hover(self, axes: Axes, x: float, y: float, text: str) -> None:
        """Say `text` at the point (x, y) of `axes`, in data coordinates; a point without a value says nothing."""
        if math.isfinite(x) and math.isfinite(y):
            self._points.append((axes, x, y, text))

    def hover_grid(
        self, axes: Axes, rows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[Any]]
    ) -> None:
        """Say `row, column: value` in each cell of a grid that fills `axes`, first row on top; None says "no value"."""
        cells = {"rows": list(rows), "columns": list(columns), "values": [list(line) for line in values]}
        self._grids.append((axes, json.dumps(cells, separators=(",", ":"), ensure_ascii=False)))

    def _repr_png_(self) -> bytes:
        """What a notebook shows of it, whether pyplot is imported there or not."""
        buffer = io.BytesIO()
        self.savefig(buffer, format="png", bbox_inches="tight", facecolor="white")
        return buffer.getvalue()

    def hover_targets(self) -> str:
        """SVG elements with what `hover` and `hover_grid` noted; to be read after the figure was drawn."""
        scale, height = 72 / self.dpi, 72 * self.get_size_inches()[1]
        targets = []
        for axes, cells in self._grids:
            box = axes.get_window_extent()
            place = f'x="{box.x0 * scale:.1f}" y="{height - box.y1 * scale:.1f}"'
            size = f'width="{box.width * scale:.1f}" height="{box.height * scale:.1f}"'
            targets.append(f'<rect class="hit" {place} {size} data-grid="{html.escape(cells)}"/>')
        for axes, x, y, text in self._points:
            at = axes.transData.transform((x, y)) * scale
            if axes.get_window_extent().padded(2).contains(*(at / scale)):
                place = f'cx="{at[0]:.1f}" cy="{height - at[1]:.1f}"'
                targets.append(f'<circle class="hit" r="5" {place} data-tip="{html.escape(text)}"/>')
        return "\n".join(targets)


def model_styles(families: Mapping[str, str]) -> dict[str, ModelStyle]:
    """Give every model its colour, marker and dash.

    Args:
        families: Family ("baseline", "forecast", "sequence" or "graph") by model name, in the order of display.

    Returns:
        The styles by model name; the same models in the same order always get the same styles.

    Raises:
        ValueError: A family is not one of these.

    Example:
        >>> styles = model_styles({"last-value": "baseline", "lstm": "sequence", "tgcn": "graph"})
        >>> styles["lstm"].color, styles["tgcn"].marker
        ('#0b62a8', 'o')
    """
    counts = dict.fromkeys(_PALETTES, 0)
    styles: dict[str, ModelStyle] = {}
    for model, family in families.items():
        if family not in _PALETTES:
            raise ValueError(f"family of model {model!r} is {family!r}; use one of {', '.join(_PALETTES)} in the rows")
        index, palette = counts[family], _PALETTES[family]
        counts[family] += 1
        light, dark = palette[index % len(palette)]
        if family == "baseline":
            dash = _BASELINE_DASHES[index % len(_BASELINE_DASHES)]
        else:
            dash = _SPARE_DASHES[index // len(palette) % len(_SPARE_DASHES)]
        marker = "" if family == "baseline" else _MARKERS[index % len(_MARKERS)]
        styles[model] = ModelStyle(light, dark, marker, dash, f"--{family}-{index % len(palette)}")
    return styles


def theme_variables(styles: Mapping[str, ModelStyle], *, dark: bool) -> str:
    """CSS declarations of the models' colours.

    Args:
        styles: Styles by model name.
        dark: The colours of the dark page instead of the light one's.

    Returns:
        One line of declarations, sorted by variable.
    """
    values = {style.variable: style.dark if dark else style.color for style in styles.values()}
    return " ".join(f"{name}: {value};" for name, value in sorted(values.items()))


def difference_colors() -> LinearSegmentedColormap:
    """Colours of graph − sequence: warm below zero, where the graph is better; cool above; grey between."""
    return LinearSegmentedColormap.from_list("graph-sequence", ["#d24a0d", "#eba57f", "#e6e6e6", "#8fbbdd", "#0c63a9"])


def new_figure(
    width: float, height: float, rows: int = 1, columns: int = 1, **grid: Any
) -> tuple[HoverFigure, list[Any]]:
    """A figure of its own, tied to no pyplot state, and its axes in reading order.

    Args:
        width: Inches.
        height: Inches.
        rows: Rows of axes.
        columns: Columns of axes.
        **grid: More arguments of `Figure.subplots`.

    Returns:
        The figure and the flat list of its axes.
    """
    figure = HoverFigure(figsize=(width, height), layout="constrained", facecolor="none")
    FigureCanvasAgg(figure)
    axes = figure.subplots(rows, columns, squeeze=False, **grid)
    for axis in axes.flat:
        axis.tick_params(length=0)
    return figure, list(axes.flat)


def inline_svg(figure: Figure, name: str, styles: Mapping[str, ModelStyle], *, label: str) -> str:
    """Draw a figure as an SVG element to put inside an HTML page: themed, small, the same bytes
    for the same drawing. The figure's layout is settled by that.

    Colours of text, rules and models become CSS variables; dates, generator and document type are left out, numbers
    are cut to two decimals, and ids carry `name`, so that several figures live in one page.

    Args:
        figure: The figure.
        name: Prefix of all ids, unique in the page; letters, digits and dashes.
        styles: Styles by model name, as the figure used them.
        label: What a screen reader says.

    Returns:
        The `<svg>` element, without XML prolog.
    """
    buffer = io.StringIO()
    with mpl.rc_context({**STYLE, "svg.hashsalt": name}):
        _write_svg(figure, buffer)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<!--.*?-->\s*|<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    # Only tags are rewritten: text between them is the user's and stays as it is.
    svg = re.sub(r"<[^>]+>", lambda tag: _themed_tag(tag.group(), name, styles), svg)
    svg = re.sub(r">\s+<", ">\n<", svg)
    if isinstance(figure, HoverFigure):
        svg = svg.replace("</svg>", figure.hover_targets() + "</svg>")
    return svg.replace("<svg ", f'<svg role="img" aria-label="{html.escape(label)}" ', 1).strip()


def _write_svg(figure: Figure, buffer: io.StringIO) -> None:
    """Lay a figure out, once and for all, and draw it; `savefig` would draw it twice, the first time for the layout."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG

    engine = figure.get_layout_engine()
    if engine is not None:
        for axes in figure.axes:
            axes.apply_aspect()
        engine.execute(figure)
        figure.set_layout_engine("none")
    canvas, dpi = figure.canvas, figure.dpi
    patches = [each.patch for each in (figure, *figure.axes)]
    colors = [(patch.get_facecolor(), patch.get_edgecolor()) for patch in patches]
    for patch in patches:
        patch.set(facecolor="none", edgecolor="none")  # the page's own ground is seen
    try:
        FigureCanvasSVG(figure).print_svg(buffer, metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    finally:
        figure.set_canvas(canvas)
        figure.dpi = dpi
        for patch, (face, edge) in zip(patches, colors, strict=True):
            patch.set(facecolor=face, edgecolor=edge)


def _themed_tag(tag: str, name: str, styles: Mapping[str, ModelStyle]) -> str:
    if tag.startswith("<svg"):
        return re.sub(r'(width|height)="[^"]*"\s*', "", tag)
    tag = re.sub(r'\bid="', f'id="{name}-', tag)
    tag = re.sub(r'href="#', f'href="#{name}-', tag)
    tag = tag.replace("url(#", f"url(#{name}-")
    tag = re.sub(r"(\d\.\d{2})\d+", r"\1", re.sub(r"(\d+\.\d{2})\d+", r"\1", tag))
    tag = re.sub(r"font-family: [^;\"]*", "font-family: var(--font)", tag)
    # Older matplotlib writes one shorthand.
    tag = re.sub(r"(font: [^'\"]*?px )[^;\"]*", r"\1var(--font)", tag)
    variables = {INK: "var(--ink)", MUTED: "var(--muted)", RULE: "var(--rule)"}
    variables |= {style.color: f"var({style.variable})" for style in styles.values()}
    return re.sub(r"#[0-9a-f]{6}\b", lambda found: variables.get(found.group(), found.group()), tag)
