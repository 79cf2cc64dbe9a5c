import base64
import re
from pathlib import Path

import gnnkit.report
from gnnkit.report.html import render_page, section_view, sections_page
from gnnkit.report.sections import Drawing, Entry, Picture, Section, Sheet, Sheets, Statement
from gnnkit.report.theme import new_figure

PLAIN = Path(gnnkit.report.__file__).parent / "templates" / "plain.html.j2"


def page(section, source=None, families=None):
    families = families or {}
    views = [section_view(section, source, families)]
    return render_page(PLAIN, families, title="<Mine>", about="", views=views)


def test_what_a_section_says_is_escaped_and_empty_parts_leave_no_trace():
    text = page(Section("a", "A & B", statements=(Statement("x < y", False), Statement("plain")), bullets=("<li>",)))
    assert "<title>&lt;Mine&gt;</title>" in text
    body = re.search(r'<section id="a">.*</section>', text, re.DOTALL)
    assert body is not None
    assert "<h2>A &amp; B</h2>" in body.group()
    assert '<span class="tag open">open</span></span><span>x &lt; y</span>' in body.group()
    assert "<li>&lt;li&gt;</li>" in body.group()
    assert not re.search(r"<(table|dl|pre|figure|details|h3)", body.group())


def test_parts_stand_below_and_those_of_facts_side_by_side():
    facts = [Section(name, name.title(), facts=((name, "1"),)) for name in ("data", "rules")]
    fold = Section("rest", "Rest", statements=(Statement("late", label="1 h"),), folded=True)
    text = page(Section("a", "A", parts=(fold, *facts, Section("c", "C", code="run <x>"))))
    assert "<details><summary>Rest</summary>" in text
    assert '<li><span class="when">1 h</span><span>late</span></li>' in text
    lists = re.search(r'<div class="lists">(.*?</dl>.*?</dl>\s*</div>)\s*</div>', text, re.DOTALL)
    assert lists is not None
    assert re.findall(r"<h3>(.*?)</h3>", lists[1]) == ["Data", "Rules"]
    assert "<h3>C</h3>\n<pre>run &lt;x&gt;</pre>" in text


def test_drawings_are_given_the_source_and_models_their_colour():
    def draw(source):
        figure, (axes,) = new_figure(2, 2)
        axes.plot([0, 1], source, color="#0b62a8")
        return figure

    sheet = Sheet("Scores", ("model", "MAE"), ((Entry("gru"), Entry("3.1", 3.1, "bad")),))
    section = Section("a", "A", drawings=(Drawing("curve", "Curve", "It rises.", draw),))
    text = page(
        Section("b", "B", sheets=(Sheets("All", (("one", sheet),)),), parts=(section,)), [1, 2], {"gru": "sequence"}
    )
    assert 'aria-label="Curve. It rises."' in text
    assert "var(--sequence-0)" in re.search(r"<svg.*?</svg>", text, re.DOTALL).group()
    assert '<i class="swatch" style="background: var(--sequence-0)"></i>gru' in text
    assert '<td data-value="3.1" class="mark-bad">3.1</td>' in text


def test_verbatim_text_shows_its_line_ends():
    sheet = Sheet("Samples", ("start", "text"), ((Entry("a"), Entry("b\n<c>", verbatim=True)),), names=2)
    assert "<code>b↵&lt;c&gt;</code>" in page(Section("a", "A", sheets=(Sheets("Samples", (("all", sheet),)),)))


def test_a_page_of_sections_holds_its_pictures_and_asks_nothing_from_elsewhere(tmp_path):
    (tmp_path / "curve.png").write_bytes(b"a picture")
    section = Section("a", "A", pictures=(Picture("curve.png", "It <rises>", tmp_path),))
    text = sections_page("<Mine>", "Of one run.", [section])
    assert "<h1>&lt;Mine&gt;</h1>" in text
    assert '<p class="muted">Of one run.</p>' in text
    assert f'<img src="data:image/png;base64,{base64.b64encode(b"a picture").decode()}" alt="It &lt;rises&gt;">' in text
    assert not re.search(r'(src|href)="(?!data:)', text)
