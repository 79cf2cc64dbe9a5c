import re

import pytest

from gnnkit.compare.report.markdown import render_markdown, write_markdown


def tables(text):
    """All tables, as lists of lists of cells."""
    found, current = [], []
    for line in text.splitlines():
        if line.startswith("|"):
            current.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
        elif current:
            found.append(current)
            current = []
    return found + ([current] if current else [])


def test_verdicts_come_first_with_their_n(rich_results):
    text = render_markdown(rich_results())
    assert text.startswith("# Does the graph help? los-loop\n")
    assert (
        "- **clear**: At 15 minutes ahead, tgcn is better than gru by 0.05 mph (95% interval 0.02 to "
        "0.08). (n = 389 windows, 3 seeds)" in text
    )
    assert "- **Mind**: Leak (shared-target-rows), allowed by name" in text
    assert text.index("## Verdict") < text.index("## Scores") < text.index("## Caveats")


def test_scores_are_those_of_the_rows(fake_results):
    results = fake_results(horizons=(3,))
    rows = results.rows
    chosen = (rows["model"] == "tgcn") & (rows["score"] == "averaged") & (rows["metric"] == "mae")
    rows.loc[chosen, "value"] = [2.9, 3.0, 3.1]
    table = tables(render_markdown(results))[0]
    line = dict(zip(table[0], next(line for line in table if line[0] == "tgcn"), strict=True))
    assert line["15 min MAE"] == "**3.000** ★ ± 0.100"
    assert line["seeds"] == "3"
    assert dict(zip(table[0], table[2], strict=True))["15 min MAE"] == "3.150"  # a baseline has no deviation


def test_every_table_is_rectangular_and_each_section_is_there(rich_results):
    text = render_markdown(rich_results())
    for table in tables(text):
        assert {len(line) for line in table} == {len(table[0])}
    heads = re.findall(r"^## (.*)", text, re.MULTILINE)
    assert heads == [
        *("Verdict", "Scores", "Are the differences more than noise?", "Does the given graph matter?"),
        *("With less data, with fewer sensors", "Where the error lives", "Prediction intervals"),
        *("What each model was given", "Leakage audit", "Caveats", "How this was made"),
    ]
    assert text.count("<details>") == text.count("</details>") > 10


def test_sections_without_data_leave_no_trace(fake_results):
    heads = re.findall(r"^## (.*)", render_markdown(fake_results()), re.MULTILINE)
    assert heads == ["Verdict", "Scores", "Caveats", "How this was made"]


def test_user_text_is_no_markup(fake_results):
    evil = "a|b <img src=x> `c` *d* $e$\n# f"
    results = fake_results(name=evil, unit="m|s")
    results.notes.append(evil)
    text = render_markdown(results)
    assert text.startswith(r"# Which model is better? a\|b \<img src=x\> \`c\` \*d\* \$e\$ # f" + "\n")
    assert "<img" not in text.replace(r"\<img", "").split("```")[0]
    for table in tables(text):
        assert {len(line) for line in table} == {len(table[0])}


def test_spec_is_fenced_whatever_it_holds(fake_results):
    results = fake_results()
    results.spec["unit"] = "```"
    assert '````toml\ndata = "los-loop"' in render_markdown(results)


def test_writes_unix_lines_and_refuses_nothing(fake_results, tmp_path):
    results = fake_results()
    assert b"\r" not in write_markdown(results, tmp_path / "report.md").read_bytes()
    results.rows = results.rows.iloc[:0]
    with pytest.raises(ValueError, match=r"results.rows is empty.*run at least one model"):
        render_markdown(results)


def test_covariates_the_graph_s_making_and_who_sees_the_target_alone(fake_results):
    results = fake_results()
    assert "†" not in render_markdown(results)
    data = results.data
    data.graph_source, data.edges = "Gaussian kernel of the distances by places.csv", [[0, 1, 0.5], [1, 0, 0.5]]
    data.covariates, data.known_ahead = ["wind", "holiday"], ["holiday"]
    data.target_only = ["last-value"]
    text = render_markdown(results)
    for said in (
        "2 edges: Gaussian kernel of the distances by places.csv",
        "wind: seen up to the time of the forecast",
        "holiday: seen over the horizon too, as said in the spec",
        "† sees the target alone, and none of the covariates. Test windows",
    ):
        assert said in text
    assert [line[0] for line in tables(text)[0] if line[0].endswith("†")] == ["last-value †"]
