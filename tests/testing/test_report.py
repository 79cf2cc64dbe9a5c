import pytest

from gnnkit.testing import Check, CheckReport

REPORT = CheckReport(
    "mine",
    (
        Check("call", "ok", "It runs."),
        Check("gaps", "says", "It does not read the mask."),
        Check("no state", "fault", "It keeps state."),
        Check("gradients", "fault", "No gradient reaches w [a.b]."),
        Check("cost", "not checked", "First mend: no state."),
    ),
)


def test_the_summary_counts_and_names_the_faults():
    assert REPORT.summary == "mine: 1 ok, 2 faults (no state, gradients), 1 says, 1 not checked"
    assert [check.name for check in REPORT.faults] == ["no state", "gradients"]


def test_the_text_is_the_summary_and_a_line_for_each_check():
    lines = str(REPORT).splitlines()
    assert lines[0] == REPORT.summary
    assert [line.strip() for line in lines[4:]][:4] == [
        "call       ok           It runs.",
        "gaps       says         It does not read the mask.",
        "no state   fault        It keeps state.",
        "gradients  fault        No gradient reaches w [a.b].",
    ]


def test_a_check_that_there_is_not():
    assert REPORT["gaps"].outcome == "says"
    with pytest.raises(KeyError, match="there is no check 'gasp'; choose from call, gaps, no state, gradients, cost"):
        REPORT["gasp"]
