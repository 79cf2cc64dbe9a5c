from gnnkit.compare.report.checks import audit_section, audit_statements, budget_section, checks, intervals_section


def line_of(sheet, name):
    line = next(line for line in sheet.lines if line[0].text == name)
    return dict(zip(sheet.columns, (entry.text for entry in line), strict=True))


def test_nothing_noted_is_no_section(fake_results):
    assert checks(fake_results()) == []


def interval(model, seed, coverage, **more):
    return {"model": model, "seed": seed, "horizon": 12, "method": "conformal", "nominal": 0.9, "coverage": coverage,
            "width": 8.0 + seed, "crps": 2.0 + seed, "pinball": {"0.05": 0.4, "0.5": 1.5},
            "observed": 9100} | more  # fmt: skip


def test_intervals_are_means_over_seeds_and_far_coverage_is_marked(fake_results):
    results = fake_results()
    results.intervals = [interval("gru", 0, 0.86), interval("gru", 1, 0.88), interval("last-value", 0, 0.885)]
    sheet = intervals_section(results).sheets[0].choices[0][1]
    assert line_of(sheet, "gru") == {
        "model": "gru", "method": "conformal", "nominal": "90 %", "coverage": "87.0 ± 1.4 %", "width (mph)": "8.50",
        "CRPS": "2.500", "pinball 0.05": "0.400", "pinball 0.5": "1.500"}  # fmt: skip
    assert line_of(sheet, "last-value")["coverage"] == "88.5 %"
    assert [line[3].mark for line in sheet.lines] == ["", "bad"]
    assert "n = 9,100 target values, 2 seeds" in sheet.caption


def test_many_levels_become_a_mean_and_heads_show_what_they_had_raw(fake_results):
    results = fake_results()
    levels = {f"{level / 10:g}": float(level) for level in range(1, 8)}
    results.intervals = [interval("gru", 0, 0.9, pinball=levels, method="quantile", raw_coverage=0.71, raw_width=5.0)]
    section = intervals_section(results)
    line = line_of(section.sheets[0].choices[0][1], "gru")
    assert (line["pinball"], line["raw coverage"]) == ("4.000", "71.0 %")
    assert "quantile heads" in section.statements[0].text


def test_unknown_figures_are_dashes(fake_results):
    results = fake_results()
    results.intervals = [interval("gru", 0, None, width=None, crps=None, pinball=None)]
    line = line_of(intervals_section(results).sheets[0].choices[0][1], "gru")
    assert (line["coverage"], line["CRPS"]) == ("–", "–")


def test_budget_counts_every_trial(rich_results):
    section = budget_section(rich_results())
    assert section.statements[0].text == "Every model has 18,000 parameters, within 2%."
    line = line_of(section.sheets[0].choices[0][1], "bilstm")
    assert (line["width"], line["parameters"], line["tuning trials"], line["epochs"]) == ("32", "18,010", "4", "30.0")
    trials = section.sheets[1]
    assert trials.title == "All 20 tuning trials"
    assert trials.folded
    chosen = [line for line in trials.choices[0][1].lines if line[4].text == "chosen"]
    assert len(chosen) == 5
    assert chosen[0][5].text == "learning_rate 0.01"


def test_audit_tells_first_what_did_not_pass(rich_results, fake_results):
    results = rich_results()
    words = [said.text for said in audit_statements(results)]
    assert words == [
        "Leak (shared-target-rows), allowed by name: rows 1400 to 1410 are targets of two splits.",
        "Warning (constant-series): 2 nodes never change: node 3, node 9.",
    ]
    assert all(said.warning for said in audit_statements(results))
    results.audit = results.audit[:1]
    section = audit_section(results)
    assert section.statements[0].text == (
        "Nothing was found by the checks that were made: scaler-fitted-on-test. What each looked at stands beside it; "
        "how the values and the graph came about before gnnkit read them was not checked."
    )
    assert [entry.text for entry in section.sheets[0].choices[0][1].lines[0]] == [
        "scaler-fitted-on-test", "passed", "fitted on rows 0 to 1410, the training rows"]  # fmt: skip
