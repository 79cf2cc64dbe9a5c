import math

import pandas as pd
import pytest
from rich.console import Console

from gnnkit.studies.combinations.report import (
    PUBLISHED,
    RECIPE,
    differences,
    render_terminal,
    table,
    write_report,
)


def rows(
    cell="lstm",
    length=15,
    embedding=1,
    losses=(0.69, 0.70, 0.71),
    accuracies=(0.82, 0.83, 0.84),
    initialization="report",
    **changes,
):
    common = {"cell": cell, "length": length, "embedding": embedding, "initialization": initialization, **RECIPE}
    common |= {"parameters": 68766, "seconds": 31.6}
    common |= {"hardware": "Abacus 9", "device": "cpu", "threads": 2, "torch": "2.13.0", "steps_to_99": None, **changes}
    seeds = zip((0, 24, 42), losses, accuracies, strict=False)
    return pd.DataFrame([{**common, "seed": s, "loss": loss, "accuracy": a} for s, loss, a in seeds])


def test_table_has_mean_and_deviation_beside_the_reports_where_the_recipe_is_the_reports():
    all_rows = pd.concat(
        [rows(initialization="gnnkit", losses=(0.2, 0.3, 0.4)), rows(), rows(embedding=128, steps_to_99=130)]
    )
    lines = table(all_rows, "lstm").splitlines()
    assert lines[2:] == [
        "| 15 | 1 | report | 0.7000 ± 0.0100 | 0.8300 ± 0.0100 | 0.6945 ± 0.0089 | 0.8273 ± 0.0069 | never | 68,766 "
        "| 32 | 3 |",
        "| 15 | 1 | gnnkit | 0.3000 ± 0.1000 | 0.8300 ± 0.0100 |  |  | never | 68,766 | 32 | 3 |",
        "| 15 | 128 | report | 0.7000 ± 0.0100 | 0.8300 ± 0.0100 |  |  | 130 | 68,766 | 32 | 3 |",
    ]
    assert {line.count("|") for line in lines} == {12}
    alone = table(rows(losses=(0.5,), accuracies=(0.9,)), "lstm").splitlines()[2]
    assert "0.5000 ± - | 0.9000 ± -" in alone


def test_steps_to_99_say_how_many_seeds_got_there():
    some = rows()
    some["steps_to_99"] = [1800.0, None, 1900.0]
    assert "| 1850 (2 of 3 seeds) |" in table(some, "lstm")


def test_distance_is_told_in_standard_errors_of_the_difference():
    text = differences(rows(accuracies=(0.8035, 0.8135, 0.8235)))[0]
    error = math.sqrt(0.01**2 / 3 + 0.0069**2 / 3)
    expected = f"accuracy 0.8135 ± 0.0100 (report 0.8273 ± 0.0069): 0.0138 below, {0.0138 / error:.1f} standard errors"
    assert expected in text
    assert "loss 0.7000 ± 0.0100 (report 0.6945 ± 0.0089): 0.0055 above, 0.7 standard errors" in text
    assert "under-trained, not incapable (loss 0.70 nats, where 0.69 is two candidates left)" in text
    perfect = differences(rows("bilstm", 5, losses=(0.0003,) * 3, accuracies=(1.0,) * 3))[0]
    assert "accuracy 1.0000 ± 0.0000 (report 1.0000 ± 0.0000): the same, loss" in perfect
    assert "Why" not in perfect
    # One seed has no deviation, so there is no error to measure by.
    assert "0.1945 below." in differences(rows(losses=(0.5,), accuracies=(1.0,)))[0]


def test_only_the_reports_recipe_is_held_against_the_report():
    text = " ".join(differences(rows(initialization="gnnkit")))
    assert "(report 0." not in text
    both = differences(pd.concat([rows(), rows(initialization="gnnkit", losses=(0.2, 0.3, 0.4), steps_to_99=500)]))
    assert both[1] == (
        "LSTM, T = 15: gnnkit's initialisation, all else equal, changes the accuracy from 0.8300 ± 0.0100 to 0.8300 ± "
        "0.0100 and the loss from 0.7000 ± 0.0100 to 0.3000 ± 0.1000; 99% at step: 500 (report: never)."
    )


def test_the_cure_is_told_for_each_initialisation():
    wide = rows(embedding=128, accuracies=(1.0,) * 3, losses=(0.0,) * 3, steps_to_99=130)
    text = " ".join(differences(pd.concat([rows(), wide, rows(initialization="gnnkit", losses=(0.1,) * 3)])))
    assert (
        "LSTM, T = 15, initialisation `report`: an embedding of 128 in place of 1, all else equal, changes the "
        "accuracy from 0.8300 ± 0.0100 to 1.0000 ± 0.0000 and the loss from 0.7000 ± 0.0100 to 0.0000 ± 0.0000; 99% at "
        "step: 130 (width 1: never)."
    ) in text
    assert "initialisation `gnnkit`: an embedding" not in text  # no wide runs of it


def test_another_recipe_and_other_seeds_are_told():
    text = " ".join(differences(rows(steps=50, losses=(2.5,), accuracies=(0.1,))))
    assert "The recipe is not the report's: steps 50 (report: 2000)." in text
    assert "these runs have 0." in text
    assert "under-trained" not in text  # the report's explanation is for the report's recipe
    assert "The recipe is not" not in " ".join(differences(rows()))


def test_the_report_has_a_table_a_cell(tmp_path):
    text = write_report(pd.concat([rows(), rows("bilstm", 5), rows("gru", 30)]), tmp_path / "report.md")
    assert (tmp_path / "report.md").read_text() == text
    assert [line for line in text.splitlines() if line.startswith("## Table")] == [
        "## Table 1: LSTM",
        "## Table 2: GRU",
        "## Table 3: BiLSTM",
    ]
    assert "284 seconds of training in all, on Abacus 9 (cpu, 2 threads); torch 2.13.0" in text


def test_a_terminal_gets_tables_and_sentences_and_no_markup():
    console = Console(width=80, color_system=None, force_terminal=True)
    with console.capture() as captured:
        render_terminal(pd.concat([rows(), rows("bilstm", 5), rows(initialization="gnnkit")]), console)
    lines = [line.rstrip() for line in captured.get().splitlines()]
    assert {"LSTM", "BiLSTM"} <= set(lines)
    (line,) = (" ".join(line.split()) for line in lines if line.split()[:3] == ["15", "1", "report"])
    assert line == "15 1 report 0.7000±.0100 0.8300±.0100 0.6945±.0089 0.8273±.0069 never"
    assert any(line.startswith("· LSTM, T = 15: accuracy 0.8300") for line in lines)
    assert max(map(len, lines)) <= 80
    assert not any(mark in captured.get() for mark in ("|", "![", "##", "**"))


def test_published_figures():
    assert PUBLISHED["lstm", 15][1].mean == pytest.approx(0.8273)
    assert PUBLISHED["bilstm", 10][0].std == pytest.approx(0.0008)
