from gnnkit.report.latex import escape_latex, latex_sheet
from gnnkit.report.sections import Entry, Sheet


def test_text_stands_for_itself():
    assert escape_latex("a_b & 5% #1 {x} ~ ^ \\ $ − ± “q” ²") == (
        r"a\_b \& 5\% \#1 \{x\} \textasciitilde{} \textasciicircum{} \textbackslash{} \$ $-$ $\pm$ ``q'' "
        r"\textsuperscript{2}"
    )


def test_a_long_table_is_split_and_words_stand_at_the_left():
    lines = tuple((Entry(f"m_{at}"), Entry("−0.5", -0.5), Entry("a note")) for at in range(41))
    first, second = latex_sheet(Sheet("What was found", ("model", "MAE", ""), lines, words=1), "scores", "On a road. ")
    assert r"\begin{tabular}{lrl}" in first
    assert "\\toprule\nmodel & MAE &  \\\\\n\\midrule\n" in first
    assert r"m\_0 & $-$0.5 & a note \\" in first
    assert r"\caption{On a road. What was found. Part 1 of 2.}" in first
    assert r"\label{tab:scores}" in first
    assert r"\label{tab:scores-2}" in second
    assert second.count(r"a note \\") == 1
