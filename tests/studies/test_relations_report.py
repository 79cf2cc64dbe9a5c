"""The report: figures of the rows, the published ones beside them, and one line on the graph."""

import pandas as pd
import pytest

from gnnkit.studies.relations import run_study
from gnnkit.studies.relations_report import run_differences, write_report


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
    assert run_differences(out, minutes=7).empty


def test_the_report_has_rows_published_figures_and_costs(study, tmp_path):
    out, rows = study
    page = report(out, rows, tmp_path / "README.md")
    assert "40 drugs, 6 side effects" in page
    assert "| *Decagon, published* | 0.872 [S] | 0.832 [S] | 0.803 [S] |" in page
    assert "| *RESCAL, published* | 0.693 [M] | 0.613 [S] | 0.476 [S] |" in page
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
    from gnnkit.studies.relations_fitted import load_fitted, rank_relations

    out, _ = study
    assert sorted(path.name for path in (out / "models").iterdir()) == ["best-0.02min-seed0"]
    fitted, extra = load_fitted(out / "models" / "best-0.02min-seed0")
    assert extra["source"] == {"data": "toy"}
    assert len(rank_relations(fitted, "CID100", "CID101")) == 6
