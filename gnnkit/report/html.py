"""Sections as an HTML page: one file that opens anywhere and asks for nothing from elsewhere."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from gnnkit.report.numbers import DASH, format_number
from gnnkit.report.sections import Drawing, Section
from gnnkit.report.theme import ModelStyle, inline_svg, model_styles, theme_variables

__all__ = ["draw_all", "render_page", "section_view", "sections_page"]

_TEMPLATES = Path(__file__).parent / "templates"


def render_page(template: Path, families: Mapping[str, str], **content: Any) -> str:
    """A whole page in the house's look.

    Args:
        template: A file that extends `page.html.j2`; it may import `sections.html.j2`, and what lies beside it.
        families: Family by model, for the models' colours; see `model_styles`.
        **content: What the template asks for.

    Returns:
        The HTML document.
    """
    styles = model_styles(families)
    colors = {name: Markup(theme_variables(styles, dark=name == "dark")) for name in ("light", "dark")}
    return _environment(template.parent).get_template(template.name).render(styles=styles, **colors, **content)


def sections_page(title: str, about: str, sections: Sequence[Section]) -> str:
    """A page of sections that draws nothing.

    Args:
        title: Its headline.
        about: A paragraph below it.
        sections: Its parts.

    Returns:
        The HTML document.
    """
    views = [section_view(section, None, {}) for section in sections]
    return render_page(_TEMPLATES / "plain.html.j2", {}, title=title, about=about, views=views)


def section_view(section: Section, source: Any, families: Mapping[str, str]) -> dict[str, Any]:
    """What `section_block` of `sections.html.j2` takes: a section with its figures drawn.

    Args:
        section: The section.
        source: What the report is of; each drawing is given it.
        families: Family by model, as the page has them.

    Returns:
        `section`, `figures` (each with its `svg`), `pictures` (label and data) and `parts`, the views of its parts.
    """
    pictures = [
        (picture.label, base64.b64encode((picture.folder / picture.name).read_bytes()).decode())
        for picture in section.pictures
    ]
    return {
        "section": section,
        "figures": draw_all(section.drawings, source, model_styles(families)),
        "pictures": pictures,
        "parts": [section_view(part, source, families) for part in section.parts],
    }


def draw_all(drawings: Iterable[Drawing], source: Any, styles: Mapping[str, ModelStyle]) -> list[dict[str, Any]]:
    """What each drawing says of itself, and its `svg`."""
    views = []
    for drawing in drawings:
        label = f"{drawing.title}. {drawing.caption}"
        svg = inline_svg(drawing.draw(source), drawing.name, styles, label=label)
        views.append({**vars(drawing), "svg": Markup(svg)})
    return views


@cache
def _environment(folder: Path) -> Environment:
    environment = Environment(
        loader=FileSystemLoader([folder, _TEMPLATES]),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(number=format_number, dash=DASH)
    return environment
