import io

import pytest
from rich.console import Console

from gnnkit.compare.comparison import Comparison
from gnnkit.compare.report.terminal import render_terminal
from gnnkit.compare.results import Failure

MANY = {f"{kind}{form}": ("sequence", 3.0 + i / 10) for i, kind in enumerate(("rnn", "lstm", "bilstm", "gru"))
        for form in ("", "-joint")} | {
        "gcn": ("graph", 4.1), "tgcn": ("graph", 2.9), "tgcn-official": ("graph", 3.1)}  # fmt: skip


def printed(results, width=100):
    console = Console(file=io.StringIO(), width=width, color_system=None)
    render_terminal(results, console)
    return console.file.getvalue()


@pytest.mark.parametrize("horizons", [(1,), (3, 6), (3, 6, 12), (3, 6, 9, 12), tuple(range(1, 13))])
@pytest.mark.parametrize("width", [100, 160])
def test_fits_a_hundred_columns(fake_results, horizons, width):
    text = printed(fake_results(models=MANY, horizons=horizons), width)
    assert max(map(len, text.splitlines())) <= 100
    assert "…" not in text
    for model in MANY:
        assert model in text


def test_shows_every_horizon_in_compact_form(fake_results):
    results = fake_results()
    rows = results.rows
    for metric, values in (("mae", [2.9, 3.0, 3.1]), ("rmse", [5.0, 5.0, 5.3])):
        chosen = (rows["model"] == "tgcn") & (rows["horizon"] == 6) & (rows["metric"] == metric)
        rows.loc[chosen & (rows["score"] == "averaged"), "value"] = values
    line = next(line for line in printed(results).splitlines() if line.strip().startswith("tgcn "))
    assert "*3.00±.10/5.10" in line
    assert line.count("*") == 3
    assert "3.15/5.35" in printed(results)  # the last value at 15 minutes: no deviation


def test_one_horizon_has_mape(fake_results):
    text = printed(fake_results(horizons=(3,)))
    assert "MAPE" in text
    assert "8.2" in text


def test_a_name_with_the_mark_of_the_target_alone_is_whole(fake_results):
    results = fake_results()
    results.data.target_only = ["last-value", "historical-average"]
    lines = [line.split("  ")[0].strip() for line in printed(results).splitlines()]
    assert {"last-value †", "historical-average †"} <= set(lines)


def test_no_mark_without_a_clear_winner(fake_results):
    text = printed(fake_results(clear=False))
    assert "*" not in text
    assert "No model is best in MAE by more than the noise." in text


def test_verdicts_come_before_the_table(fake_results):
    text = " ".join(printed(fake_results()).split())
    assert text.index("• At 15 minutes ahead, tgcn is better than gru") < text.rindex("historical-average")
    assert (
        "• Exploratory: 15 min: better in MAE than the last value: lstm, gru, tgcn; not told apart from "
        "the last value: bilstm; worse than the last value: gcn." in text
    )


def test_user_text_is_no_markup(fake_results):
    assert "[red]mine[/red]" in printed(fake_results(name="[red]mine[/red]", models={"gru": ("sequence", 3.0)}))


@pytest.mark.parametrize(
    "odd", [{"models": {}}, {"nan_mape": True, "horizons": (1,)}, {"step_minutes": None, "unit": ""}]
)
def test_odd_results_are_shown(fake_results, odd):
    text = printed(fake_results(**odd))
    assert "last-value" in text
    assert "nan" not in text.lower()


def test_inferred_settings_ablation_and_audit_are_told(rich_results):
    text = " ".join(printed(rich_results()).split())
    assert text.startswith("history 12: inferred as one hour of 5-minute rows. season 288")
    assert "• The given graph helps tgcn up to 60 minutes ahead: without edges the MAE rises by 0.21." in text
    assert "! Leak (shared-target-rows), allowed by name: rows 1400 to 1410 are targets of two splits." in text
    assert "! Warning (constant-series): 2 nodes never change: node 3, node 9." in text
    assert "scaler-fitted-on-test" not in text  # a check that passed needs no line


@pytest.mark.parametrize("planned", [True, False])
def test_no_mark_can_be_read_as_an_answer(rich_results, planned):
    """A tick beside "is not told apart" reads as a yes: every sentence has the same bullet."""
    results = rich_results()
    results.findings["verdicts"][-1] |= {"planned": planned, "sentence": "What was found of the graph."}
    results.findings["ablation"]["notes"] = ["What was found of wrong graphs."]
    text = printed(results)
    assert ("• What was found of the graph." in text) == planned
    assert "• Exploratory: What was found of wrong graphs." in text
    assert not set("✓✗✔·") & set(text)
    assert max(map(len, text.splitlines())) <= 100


def test_an_exploratory_answer_is_told_once(fake_results):
    results = fake_results(models={"gru": ("sequence", 3.0)})
    answer = Comparison.of(results).verdict()
    assert answer.startswith("Exploratory: At 60 minutes ahead, gru has the lowest MAE")
    assert " ".join(printed(results).split()).count(answer) == 1


def test_too_few_windows_are_told_in_place_of_verdicts(fake_results):
    results = fake_results(horizons=(3,))
    sentence = "Up to 3 steps ahead: 1 test window is too few to judge: at least 16 are needed."
    base = {"kind": "too-few", "horizon": 3, "metric": "mae", "score": "averaged"}
    results.findings["verdicts"] = [base | {"sentence": sentence}]
    text = " ".join(printed(results).split())
    assert f"! {sentence}" in text
    assert not [word for word in ("noise", "better", "interval", "beat") if word in text]


def test_fits_that_failed_were_run(fake_results):
    results = fake_results(models={})
    assert "Only baselines were run." in printed(results)
    results.failures = [Failure("gcn", 0, "the training loss is nan")]
    assert "No fit came to its end: these are baselines." in printed(results)


@pytest.mark.parametrize("horizons", [(3,), (3, 6), (3, 6, 12), tuple(range(1, 13))])
@pytest.mark.parametrize("models", [{"gru": ("sequence", 3.0), "tgcn": ("graph", 2.9)}, MANY, MANY | {
    f"own-{number}": ("graph", 3 + number) for number in range(20)}])  # fmt: skip
def test_the_last_screen_has_the_answer_first_and_the_best_below_it(fake_results, horizons, models):
    results = fake_results(models=models, horizons=horizons)
    lines = printed(results).rstrip("\n").split("\n")
    answer = Comparison.of(results).verdict()
    start = max(place for place, line in enumerate(lines) if line.startswith(f"• {answer[:30]}"))
    screen = lines[start:]
    assert len(screen) <= 22  # beside the place of the report, and the prompt
    assert max(map(len, screen)) <= 80
    assert " ".join(" ".join(screen).split()).startswith(f"• {answer}")
    shown = [line.split()[0] for line in screen if line.split()[0] in models]
    best = sorted(models, key=lambda name: models[name][1])
    assert set(shown) >= set(best[:3])
    assert " ".join(printed(results).split()).count(answer) == 1
    for model in models:  # those that have no room there stand before it
        assert any(line.strip().startswith(model) for line in lines)
