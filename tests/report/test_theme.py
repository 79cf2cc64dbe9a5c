import re

import pytest
from matplotlib.figure import Figure

from gnnkit.report.theme import INK, inline_svg, model_styles, new_figure, theme_variables

FAMILIES = {"last-value": "baseline", "lstm": "sequence", "gru": "sequence", "tgcn": "graph"}


def luminance(color):
    channels = [int(color[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_models_differ_in_colour_and_in_more_than_colour():
    many = {f"s{i}": "sequence" for i in range(12)} | {f"g{i}": "graph" for i in range(12)} | FAMILIES
    styles = model_styles(many)
    assert len({(style.color, str(style.dash)) for style in styles.values()}) == len(many)
    assert model_styles(many) == styles
    assert len({styles[f"s{i}"].marker for i in range(8)}) == 8


def test_colours_stand_out_on_both_pages():
    styles = model_styles({f"{family}{i}": family for family in ("sequence", "graph") for i in range(8)})
    for style in styles.values():
        assert 1.05 / (luminance(style.color) + 0.05) > 2.4
        assert (luminance(style.dark) + 0.05) / (luminance("#14171c") + 0.05) > 4.5


def test_unknown_family_is_an_error():
    with pytest.raises(ValueError, match="family of model 'x' is 'magic'; use one of sequence, graph, baseline"):
        model_styles({"x": "magic"})


def test_theme_variables():
    styles = model_styles({"lstm": "sequence", "tgcn": "graph"})
    assert theme_variables(styles, dark=False) == "--graph-0: #d1490c; --sequence-0: #0b62a8;"
    assert theme_variables(styles, dark=True) == "--graph-0: #ff8a4c; --sequence-0: #5bb0f5;"


def test_inline_svg_is_themed_and_clean():
    styles = model_styles(FAMILIES)

    def draw():
        figure, (axes,) = new_figure(3, 2)
        axes.plot([0, 1], [0.123456, 1], color=styles["lstm"].color)
        axes.text(0.5, 0.5, f'a <b> & "c" {INK}', color=INK)
        return inline_svg(figure, "one", styles, label='say "hi" <now>')

    svg = draw()
    assert svg.startswith('<svg role="img" aria-label="say &quot;hi&quot; &lt;now&gt;"')
    assert svg.endswith("</svg>")
    assert "stroke: var(--sequence-0)" in svg
    assert "fill: var(--ink)" in svg
    assert "var(--font)" in svg
    assert f'a &lt;b&gt; &amp; "c" {INK}</text>' in svg  # the user's text is left as it is
    assert "<metadata" not in svg
    assert "<!--" not in svg
    assert "Matplotlib" not in svg
    assert all(name.startswith("one-") for name in re.findall(r' id="([^"]+)"', svg))
    assert not re.search(r'(?:x|y|d|transform)="[^"]*\.\d{3}', svg)
    assert svg == draw()


def test_new_figure_gives_axes_in_reading_order():
    figure, axes = new_figure(4, 3, 2, 2)
    assert isinstance(figure, Figure)
    assert len(axes) == 4
    assert axes == figure.axes


def test_a_notebook_shows_a_figure_as_a_picture():
    figure, (axes,) = new_figure(2, 1)
    axes.plot([0, 1], [1, 0])
    assert figure._repr_png_().startswith(b"\x89PNG\r\n")


def test_a_figure_is_laid_out_once_and_keeps_its_canvas_size_and_ground():
    figure, (axes,) = new_figure(3, 2)
    axes.plot([0, 1], [1.0, 2.0])
    axes.set_facecolor("#ff0000")
    before = (figure.canvas, figure.dpi, axes.get_facecolor())
    drawn = inline_svg(figure, "one", {}, label="a line")
    assert "#ff0000" not in drawn
    assert (figure.canvas, figure.dpi, axes.get_facecolor()) == before
    assert axes.get_position().x0 > 0.05  # room for the numbers
    assert inline_svg(figure, "one", {}, label="a line") == drawn
