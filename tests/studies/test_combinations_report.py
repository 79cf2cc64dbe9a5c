import pandas as pd
import pytest

from gnnkit.studies.combinations_report import PUBLISHED, RECIPE, differences, table, write_report


def rows(cell="lstm", length=15, embedding=1, losses=(0.69, 0.70, 0.71), accuracies=(0.82, 0.83, 0.84), **changes):
    common = {"cell": cell, "length": length, "embedding": embedding, **RECIPE, "parameters": 68766, "seconds": 31.6}
    common |= {"hardware": "Abacus 9", "device": "cpu", "threads": 2, "torch": "2.13.0", "steps_to_99": None, **changes}
    seeds = zip((0, 24, 42), losses, accuracies, strict=False)
    return pd.DataFrame([{**common, "seed": s, "loss": loss, "accuracy": a} for s, loss, a in seeds])


def test_table_has_mean_and_deviation_beside_the_reports():
    lines = table(pd.concat([rows(), rows(embedding=128, steps_to_99=130)]), "lstm").splitlines()
    assert lines[2] == (
        "| 15 | 1 | 0.7000 ± 0.0100 | 0.8300 ± 0.0100 | 0.6945 ± 0.0089 | 0.8273 ± 0.0069 | never | 68,766 | 32 | 3 |"
    )
    assert lines[3] == "| 15 | 128 | 0.7000 ± 0.0100 | 0.8300 ± 0.0100 |  |  | 130 | 68,766 | 32 | 3 |"
    alone = table(rows(losses=(0.5,), accuracies=(0.9,)), "lstm").splitlines()[2]
    assert "0.5000 ± - | 0.9000 ± -" in alone


def test_steps_to_99_say_how_many_seeds_got_there():
    some = rows()
    some["steps_to_99"] = [1800.0, None, 1900.0]
    assert "| 1850 (2 of 3 seeds) |" in table(some, "lstm")


def test_distance_is_told_in_the_reports_deviations():
    text = differences(rows(accuracies=(0.8135, 0.8135, 0.8135)))[0]
    assert "accuracy 0.0138 below the report's, 2.0 of its deviations, 1.01 × its loss" in text
    assert "under-trained, not incapable (loss 0.70 nats, where 0.69 is two candidates left)" in text
    perfect = differences(rows("bilstm", 5, losses=(0.0003,) * 3, accuracies=(1.0,) * 3))[0]
    assert "the same accuracy, 1.50 × its loss" in perfect
    assert "Why" not in perfect


def test_the_cure_is_told():
    text = " ".join(differences(pd.concat([rows(), rows(embedding=128, accuracies=(1.0,) * 3, steps_to_99=130)])))
    assert (
        "LSTM, T = 15: an embedding of 128 in place of 1, all else equal, changes the accuracy from 0.8300 ± 0.0100 to "
        "1.0000 ± 0.0000; 99% at step 130 (width 1: never)."
    ) in text


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


def test_published_figures():
    assert PUBLISHED["lstm", 15][1].mean == pytest.approx(0.8273)
    assert PUBLISHED["bilstm", 10][0].std == pytest.approx(0.0008)
