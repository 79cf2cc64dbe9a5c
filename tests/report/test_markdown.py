from pathlib import Path

import pytest

from gnnkit.report.markdown import escape_markdown, fenced, markdown_table, section_blocks, sections_document
from gnnkit.report.sections import Entry, Picture, Section, Sheet, Sheets, Statement


def test_columns_of_numbers_stand_at_the_right():
    lines = [["a", "1.5", "", "−2", "< .001", "3 runs"], ["b", "", "", "+2", ".04", "many"]]
    rule = markdown_table(["", "x", "empty", "change", "p", "note"], lines).splitlines()[1]
    assert rule == "| --- | --: | --- | --: | --: | --- |"


def test_columns_of_numbers_can_be_named():
    assert markdown_table(["a", "b"], [["1", "2"]], [1]) == "| a | b |\n| --- | --: |\n| 1 | 2 |"
    assert markdown_table(["a", "b"], [], ()) == "| a | b |\n| --- | --- |"


@pytest.mark.parametrize(("text", "fence"), [("a = 1", "```"), ("a ```` b", "`````")])
def test_a_fence_is_longer_than_what_it_holds(text, fence):
    assert fenced(text, "toml") == f"{fence}toml\n{text}\n{fence}"


def test_text_stands_for_itself_on_one_line():
    assert escape_markdown("a|b\n *c* <d>") == r"a\|b \*c\* \<d\>"


def test_a_section_has_its_blocks_in_order_and_empty_ones_leave_no_trace():
    sheet = Sheet("Made_up", ("model", "MAE"), ((Entry("gru"), Entry("3.1", 3.1, "good")),))
    whole = Section(
        "all",
        "All",
        statements=(
            Statement("A wins.", True, "n = 3"),
            Statement("Mind it.", warning=True),
            Statement("B.", label="1 h"),
        ),
        sheets=(Sheets("Scores", (("near", sheet), ("far", sheet)), chosen=1),),
        notes=("small",),
        parts=(
            Section("list", "List", bullets=("one", "two")),
            Section("facts", "Facts", facts=(("name", "a|b"),)),
            Section("rest", "The rest", bullets=("three",), folded=True),
            Section("code", "Code", code="x = 1", language="toml"),
        ),
    )
    table = "Made\\_up\n\n| model | MAE |\n| --- | --: |\n| gru | **3.1** |"
    assert section_blocks(whole) == [
        "## All",
        "- **clear**: A wins. (n = 3)\n- **Mind**: Mind it.\n- **1 h**: B.",
        f"<details><summary>Scores: near</summary>\n\n{table}\n\n</details>",
        table,
        "small",
        "### List",
        "- one\n- two",
        "### Facts",
        "|  |  |\n| --- | --- |\n| name | a\\|b |",
        "<details><summary>The rest</summary>\n\n- three\n\n</details>",
        "### Code",
        "```toml\nx = 1\n```",
    ]
    assert section_blocks(Section("none", "None")) == []


def test_verbatim_text_is_code_with_its_line_ends():
    sheet = Sheet("Samples", ("text",), ((Entry("a`b\nc|d", verbatim=True),),))
    assert section_blocks(Section("s", "S", sheets=(Sheets("s", (("", sheet),)),)))[-1].endswith("| `` a`b↵c\\|d `` |")


def test_a_document_has_title_paragraph_pictures_and_tables_without_caption():
    sheet = Sheet("", ("a",), ((Entry("x"),),))
    section = Section("s", "S", sheets=(Sheets("s", (("", sheet),)),), pictures=(Picture("c.png", "A [b]", Path()),))
    text = sections_document("Title", "Of <one>.", [section])
    assert text == "# Title\n\nOf \\<one\\>.\n\n## S\n\n![A \\[b\\]](c.png)\n\n| a |\n| --- |\n| x |\n"
