import re

import pytest

from gnnkit.compare.report.latex import render_latex, write_latex


def environments(text):
    return dict(re.findall(r"\\label\{tab:(.*?)\}\n(.*?)\\end\{table\}", text, re.DOTALL))


def test_main_table_by_hand(fake_results):
    results = fake_results(models={"gru": ("sequence", 3.0), "tgcn": ("graph", 2.9)}, horizons=(3,))
    rows = results.rows
    for model, values in (("gru", [3.0, 3.1, 3.2]), ("tgcn", [2.9, 3.0, 3.1])):
        chosen = (rows["model"] == model) & (rows["score"] == "averaged") & (rows["metric"] == "mae")
        rows.loc[chosen, "value"] = values
    body = environments(render_latex(results))["scores"]
    assert r"\begin{tabular}{lrr}" in body
    assert r" & \multicolumn{2}{c}{15 min} \\" in body
    assert r"\cmidrule(lr){2-3}" in body
    assert r"last-value & 3.150 & 5.355 \\" in body
    assert re.search(r"\ngru & 3\.100 \$\\pm\$ 0\.100 & ", body)
    assert re.search(r"\ntgcn & \\textbf\{3\.000\}\$\^\\star\$ \$\\pm\$ 0\.100 & ", body)
    assert body.count(r"\midrule") == 3  # below the heads, and between the families


def test_lowest_is_bold_even_where_no_model_clearly_wins(fake_results):
    body = environments(render_latex(fake_results(clear=False)))["scores"]
    assert r"\star" not in body
    assert body.count(r"\textbf{") == 6  # three horizons, two metrics


def test_more_than_four_horizons_are_split(fake_results):
    found = environments(render_latex(fake_results(horizons=tuple(range(1, 7)))))
    assert list(found) == ["scores", "scores-2"]
    assert r"\cmidrule(lr){8-9}" in found["scores"]
    assert r"\begin{tabular}{lrrrr}" in found["scores-2"]


def test_later_tables_only_where_there_is_something(rich_results, fake_results):
    assert list(environments(render_latex(fake_results()))) == ["scores"]
    found = environments(render_latex(rich_results()))
    assert list(found) == ["scores", "tests", "ablation", "intervals"]
    assert r"identity & planned & 4.110 & 0.020 & +0.210 & +0.120 to +0.300 & .016 & 3 \\" in found["ablation"]


def test_captions_say_what_a_table_is(rich_results):
    text = render_latex(rich_results())
    assert r"\caption{The same models with another graph. " in text
    assert r"\caption{Paired tests. " in text


def test_lines_have_as_many_cells_as_columns(rich_results):
    for body in environments(render_latex(rich_results())).values():
        columns = len(re.search(r"\\begin\{tabular\}\{([lr]+)\}", body)[1])
        lines = [line for line in body.splitlines() if line.endswith(r" \\") and "multicolumn" not in line]
        assert {len(re.split(r"(?<!\\)&", line)) for line in lines} == {columns}


def test_long_tables_are_split(rich_results):
    results = rich_results()
    test = next(test for test in results.findings["significance"] if (test["horizon"], test["metric"]) == (12, "mae"))
    results.findings["significance"] = [test] * 81
    found = environments(render_latex(results))
    assert [name for name in found if name.startswith("tests")] == ["tests", "tests-2", "tests-3"]
    assert found["tests-3"].count(r" & last-value & ") == 1


def test_user_text_is_escaped(fake_results, tmp_path):
    text = write_latex(fake_results(name="los_loop", unit="m³/s"), tmp_path / "tables.tex").read_text()
    assert r"Errors on los\_loop in m\textsuperscript{3}/s" in text


def test_no_rows_is_an_error(fake_results):
    results = fake_results()
    results.rows = results.rows[results.rows["score"] == "last-step"]
    with pytest.raises(ValueError, match="score is 'averaged', the rows have"):
        render_latex(results)
