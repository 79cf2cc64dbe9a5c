"""All tests as one table: what each is of, and its standing."""

import pandas as pd

from gnnkit.compare.report.paired_tests import TEST_COLUMNS, all_tests, write_tests


def test_every_test_has_a_row_with_its_standing(rich_results, tmp_path):
    results = rich_results()
    found = pd.read_csv(write_tests(results, tmp_path / "tests.csv"))
    assert list(found.columns) == TEST_COLUMNS
    tests, ablation = len(results.findings["significance"]), results.findings["ablation"]
    assert len(found) == tests + sum(not test.planned for test in ablation.tests) + len(results.findings["conditions"])
    assert set(found["standing"]) == {"exploratory"}  # the made-up tests are against last-value
    (row,) = found[found["model"] == "tgcn, shuffled"].to_dict("records")
    assert (row["question"], row["against"], row["metric"], row["difference"]) == (
        "ablation",
        "tgcn, given",
        "mae",
        0.34,
    )
    (row,) = found[found["question"] == "train_share 0.25"].to_dict("records")
    assert (row["model"], row["against"]) == ("tgcn", "gru")


def test_planned_tests_are_called_so(rich_results):
    results = rich_results()
    results.findings["significance"][0] |= {"question": "families", "against": "gru", "planned": True}
    assert all_tests(results)["standing"].tolist().count("planned") == 1


def test_without_tests_there_is_a_head(fake_results):
    assert all_tests(fake_results()).empty
