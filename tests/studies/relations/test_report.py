"""The report: figures of the rows, the published ones beside them, and one line on the graph."""

import shutil

import pandas as pd
import pytest

from gnnkit.studies.relations.report import run_differences, write_report
from gnnkit.studies.relations.study import run_study


@pytest.fixture(scope="module")
def study(polypharmacy, tmp_path_factory):
    out = tmp_path_factory.mktemp("study")
    rows = run_study(
        polypharmacy,
        out,
        runs=["popularity", "decagon", "no-graph", "best"],
        minutes=0.02,
        device="cpu",
        changes={"validations": 1, "relations_per_step": 3},
        keep=["best"],
        source={"data": "toy"},
    )
    return out, rows


def report(out, rows, target):
    tables = {"best": pd.read_csv(out / "runs" / "best-0.02min-seed0.relations.csv")}
    write_report(rows, run_differences(out, minutes=0.02), tables, target)
    return target.read_text()


def test_differences_are_means_over_relations(study):
    out, _ = study
    table = run_differences(out, minutes=0.02)
    assert set(table["other"]) == {"no-graph", "best", "popularity"}
    assert len(table) == 3 * 6
    full, other = (pd.read_csv(out / "runs" / f"{name}-0.02min-seed0.relations.csv") for name in ("decagon", "best"))
    found = table[(table["other"] == "best") & (table["metric"] == "auprc_hard")].iloc[0]
    assert found["difference"] == pytest.approx((full["auprc_hard"] - other["auprc_hard"]).mean(), abs=1e-9)
    assert (found["seeds"], found["other_seeds"]) == (1, 1)
    assert set(table[table["other"] == "popularity"]["other_seeds"]) == {0}
    assert run_differences(out, minutes=7).empty


@pytest.fixture(scope="module")
def two_fits(study, tmp_path_factory):
    """The study with a second fit of two runs, each score of which is known."""
    out, rows = study
    folder = tmp_path_factory.mktemp("fits")
    shutil.copytree(out, folder / "study")
    again = []
    for name, shift in (("decagon", -0.02), ("no-graph", 0.01)):
        file = folder / "study" / "runs" / f"{name}-0.02min-seed0.relations.csv"
        table = pd.read_csv(file)
        scores = [column for column in table if column.startswith(("auroc", "auprc", "ap50"))]
        table[scores] += shift
        table.to_csv(file.with_name(f"{name}-0.02min-seed1.relations.csv"), index=False)
        row = rows[rows["run"] == name].copy()
        means = [column for column in row if column.endswith(("_mean", "_median"))]
        row[means] += shift
        again.append(row.assign(seed=1, seconds=row["seconds"] + 10))
    return folder / "study", pd.concat([rows, *again], ignore_index=True)


def test_differences_of_several_fits_hold_their_noise(two_fits):
    out, _ = two_fits
    table = run_differences(out, minutes=0.02, seeds=(0, 1)).set_index(["other", "metric"])
    once = run_differences(out, minutes=0.02).set_index(["other", "metric"])
    both, alone = table.loc[("no-graph", "auprc")], once.loc[("no-graph", "auprc")]
    assert both["difference"] == pytest.approx(alone["difference"] - 0.015, abs=1e-6)
    assert (both["seeds"], both["other_seeds"]) == (2, 2)
    # The fits' means lie 0.02 and 0.01 apart: that alone is a standard error of sqrt(0.01^2 + 0.005^2).
    assert (both["high"] - both["low"]) / 2 > 2 * (0.01**2 + 0.005**2) ** 0.5
    assert (table.loc[("best", "auprc")]["seeds"], table.loc[("best", "auprc")]["other_seeds"]) == (2, 1)


def test_the_page_says_whether_the_noise_between_fits_is_in_the_intervals(study, two_fits, tmp_path):
    out, rows = study
    page = report(out, rows, tmp_path / "once.md")
    assert "against hard negatives; one fit of each, the noise between fits not counted." in page
    assert "**The noise between fits is not in them**: differences are of one fit from one seed" in page
    out, rows = two_fits
    differences = run_differences(out, minutes=0.02, seeds=(0, 1))
    write_report(rows, differences, {}, tmp_path / "some.md")
    assert "differences from `best` are of one fit from one seed" in (tmp_path / "some.md").read_text()
    several = differences[differences["other"] != "best"]
    write_report(rows, several, {}, tmp_path / "several.md")
    page = (tmp_path / "several.md").read_text()
    assert "from the noise between side effects and between fits (Welch and Satterthwaite)" in page
    assert "is not in them" not in page
    assert "not counted" not in page
    full = rows[rows["run"] == "decagon"]
    mean, deviation = full["auroc_mean"].mean(), full["auroc_mean"].std(ddof=1)
    assert deviation == pytest.approx(0.02 / 2**0.5)
    assert f"| `decagon` | {mean:.4f} ± {deviation:.4f} |" in page
    assert f"| `decagon` | {full['seconds'].mean():.0f} |" in page
    best = rows[rows["run"] == "best"].iloc[0]  # one fit keeps its interval over side effects
    assert f"| `best` | {best['auroc_mean']:.4f} ({best['auroc_mean_low']:.4f} to" in page


def test_tables_of_several_fits_are_their_means(study, tmp_path):
    out, rows = study
    table = pd.read_csv(out / "runs" / "best-0.02min-seed0.relations.csv")
    other = table.assign(auprc=table["auprc"] - 0.1, seed=1)
    write_report(rows, pd.DataFrame(), {"best": pd.concat([table.assign(seed=0), other])}, tmp_path / "r.md")
    first = table.sort_values("auprc", ascending=False).iloc[0]
    line = f"| {first['title']} | {first['links']} | {first['auroc']:.3f} | {first['auprc'] - 0.05:.3f} |"
    assert line in (tmp_path / "r.md").read_text()


def test_the_page_lists_what_differs_from_the_authors_code(study, tmp_path):
    out, rows = study
    page = report(out, rows, tmp_path / "r.md")
    listed = page.split("## What differs from the authors' code")[1]
    for words in ("I is added to the adjacency", "scaled to length 1", "encoder_form=authors", "hinge of margin 0.1"):
        assert words in listed


def test_the_report_has_rows_published_figures_and_costs(study, tmp_path):
    out, rows = study
    page = report(out, rows, tmp_path / "README.md")
    assert "40 drugs, 6 side effects" in page
    assert "| *Decagon, published* | 0.872 | 0.832 | 0.803 |" in page
    assert "| *RESCAL, published* |  | 0.613 | 0.476 |" in page
    best = rows[rows["run"] == "best"].iloc[0]
    cell = f"{best['auroc_mean']:.4f} ({best['auroc_mean_low']:.4f} to {best['auroc_mean_high']:.4f})"
    assert f"| `best` | {cell} |" in page
    assert f"| `best` | {best['seconds']:.0f} |" in page
    assert best["hardware"] in page
    assert "the difference is 498" in page
    table = pd.read_csv(out / "runs" / "best-0.02min-seed0.relations.csv").sort_values("auprc", ascending=False)
    assert page.index("Best and worst side effects of `best`") < page.index(f"| {table.iloc[0]['title']} |")


@pytest.mark.parametrize(
    ("shift", "words"),
    [(0.0, "It cannot be told"), (0.2, "Yes: AUPRC with graph"), (-0.2, "No: AUPRC with graph")],
)
def test_does_the_graph_help(study, tmp_path, shift, words):
    _, rows = study
    differences = pd.DataFrame(
        [
            {
                "other": "no-graph",
                "metric": f"{metric}{kind}",
                "difference": shift,
                "low": shift - 0.1,
                "high": shift + 0.1,
                "better": 0.5,
                "seeds": 3,
                "other_seeds": 3,
            }
            for metric in ("auroc", "auprc", "ap50")
            for kind in ("", "_hard")
        ]
    )
    write_report(rows, differences, {}, tmp_path / "r.md")
    page = (tmp_path / "r.md").read_text()
    assert f"**Does the graph help here?** {words}" in page
    assert f"{shift:+.4f} ({shift - 0.1:+.4f} to {shift + 0.1:+.4f}), better in 50% of the side effects" in page


def test_what_was_not_reached_is_named(study, tmp_path):
    out, rows = study
    low = rows.assign(
        auroc_mean=0.9, auprc_mean=0.8, ap50_mean=0.9, auroc_median=0.99, auprc_median=0.99, ap50_median=1.0
    )
    page = report(out, low, tmp_path / "r.md")
    assert "AUROC 0.900 (published 0.872), AUPRC 0.800 (published 0.832)" in page
    assert "below it in AUPRC." in page
    assert "AP@50 1.000 (the aim 0.99): all reached." in page


def test_baselines_alone_make_a_report(study, tmp_path):
    _, rows = study
    alone = rows[rows["run"] == "popularity"].dropna(axis=1, how="all")
    write_report(alone, pd.DataFrame(), {}, tmp_path / "r.md")
    page = (tmp_path / "r.md").read_text()
    assert "Not measured: it takes the runs `decagon` and `no-graph`" in page
    with pytest.raises(ValueError, match="rows: there is none"):
        write_report(alone.iloc[:0], pd.DataFrame(), {}, tmp_path / "r.md")


def test_the_model_that_is_kept_answers(study):
    from gnnkit.studies.relations.fitted import load_fitted, rank_relations

    out, _ = study
    assert sorted(path.name for path in (out / "models").iterdir()) == ["best-0.02min-seed0"]
    fitted, extra = load_fitted(out / "models" / "best-0.02min-seed0")
    assert extra["source"] == {"data": "toy"}
    assert len(rank_relations(fitted, "CID100", "CID101")) == 6


def test_a_budget_of_passes_is_called_that(study, tmp_path):
    out, rows = study
    text = report(out, rows, tmp_path / "minutes.md")
    assert "; 0.02 minutes, validation included, of training a run. Intervals" in text
    assert "at one budget of time, " in text
    text = report(out, rows.assign(most_epochs=rows["minutes"] * 1500), tmp_path / "passes.md")
    assert "; 30 passes of training a run. Intervals" in text
    assert "at one budget of passes, " in text
    assert "minutes" not in text.split("Intervals")[0]
