import html
import math
import re
import tomllib
from html.parser import HTMLParser

import pytest

from gnnkit.compare.findings import FINDINGS
from gnnkit.compare.report.html import render_html, write_report
from gnnkit.compare.report.protocol import caveats, protocol, rerun_command, spec_text
from gnnkit.compare.results import Failure


class Tables(HTMLParser):
    """Every cell of the score tables, every attribute and every tag of a report."""

    def __init__(self, text: str):
        super().__init__()
        self.tags, self.attributes, self.cells, self.ids = [], [], [], []
        self._score = self._row = self._model = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]
        self.ids += [found["id"]] if "id" in found else []
        if "data-score" in found:
            self._score, self._column = found["data-score"], 0
        if tag == "tr":
            self._model, self._column = found.get("data-model"), 0
        if tag == "td" and self._model and self._score:
            self.cells.append((self._score, self._model, self._column, found))
            self._column += 1


def cells_of(text, score, model):
    return [found for s, m, _, found in Tables(text).cells if (s, m) == (score, model)]


@pytest.fixture
def without_figures(monkeypatch):
    """Only the words and tables: figures take most of a report's time and have tests of their own."""
    monkeypatch.setattr("gnnkit.report.html.draw_all", lambda *_: [])


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("score", ["averaged", "last-step"])
def test_numbers_in_the_table_equal_the_rows(fake_results, score):
    results = fake_results()
    text = render_html(results)
    rows = results.rows[results.rows["score"] == score]
    for model in results.models:
        expected = []
        for metrics in (("mae", "rmse", "mape"), ("accuracy", "r2", "var")):
            for horizon in (3, 6, 12):
                for metric in metrics:
                    found = (rows["model"] == model) & (rows["horizon"] == horizon) & (rows["metric"] == metric)
                    expected.append(rows.loc[found, "value"].mean())
        found = [cell["data-value"] for cell in cells_of(text, score, model) if "title" in cell]
        assert [float(value) for value in found] == pytest.approx(expected, rel=1e-12)


@pytest.mark.usefixtures("without_figures")
def test_cell_shows_mean_and_sample_deviation(fake_results):
    results = fake_results(horizons=(3,))
    rows = results.rows
    chosen = (rows["model"] == "lstm") & (rows["score"] == "averaged") & (rows["metric"] == "mae")
    rows.loc[chosen, "value"] = [3.0, 3.1, 3.5]
    text = render_html(results)
    (cell, *_) = cells_of(text, "averaged", "lstm")
    assert [float(part) for part in cell["title"].split(" ± ")] == pytest.approx([3.2, math.sqrt(0.07)])
    assert re.search(r'<span class="value">3\.200</span><small>± 0\.265</small>', text)


@pytest.mark.usefixtures("without_figures")
def test_baselines_are_set_apart_and_have_a_dash_for_their_deviation(fake_results):
    text = render_html(fake_results())
    row = re.search(r'<tr class="baseline" data-model="last-value">.*?</tr>', text, re.DOTALL)
    assert row is not None
    assert set(re.findall(r"<small>± (.*?)</small>", row.group())) == {"–"}


@pytest.mark.usefixtures("without_figures")
def test_winner_is_marked_only_where_the_verdict_is_clear(fake_results):
    results = fake_results()
    for verdict in results.findings["verdicts"]:
        if verdict["kind"] == "winner":
            verdict["clear"] = verdict["horizon"] == 6 and verdict["metric"] == "mae"
    found = Tables(render_html(results)).cells
    # column 3 is the MAE of the second horizon; the last step has no verdict of its own
    assert [(s, m, c) for s, m, c, cell in found if "winner" in cell.get("class", "")] == [("averaged", "tgcn", 3)]


@pytest.mark.usefixtures("without_figures")
def test_no_winner_and_marks_for_the_undecided_without_a_clear_verdict(fake_results):
    text = render_html(fake_results(clear=False))
    found = Tables(text).cells
    assert not [cell for *_, cell in found if "winner" in cell.get("class", "")]
    assert {model for _, model, _, cell in found if "tied" in cell.get("class", "")} == {"tgcn", "gru"}


@pytest.mark.usefixtures("without_figures")
def test_verdicts_in_words_come_before_the_scores(fake_results):
    text = render_html(fake_results())
    assert text.index("At 15 minutes ahead, tgcn is better than gru") < text.index(
        "At 15 minutes ahead, tgcn has the lowest MAE"
    )
    assert text.index("At 60 minutes ahead, tgcn has the lowest MAE") < text.index('id="scores"')


@pytest.mark.usefixtures("without_figures")
@pytest.mark.parametrize("clear", [True, False])
def test_a_verdict_is_called_clear_only_where_it_is(fake_results, clear):
    results = fake_results()
    for verdict in results.findings["verdicts"]:
        verdict["clear"] = clear
    text = render_html(results)
    assert text.count('<span class="tag clear">clear</span>') == (text.count('class="tag ') if clear else 0)
    assert text.count('<span class="tag open">open</span>') == (0 if clear else text.count('class="tag '))
    assert text.count('class="tag ') > 0


def test_says_plainly_who_does_not_beat_the_last_value(fake_results):
    words = " ".join(render_html(fake_results()).split())
    assert (
        "15 min: better in MAE than the last value: lstm, gru, tgcn; not told apart from the last value: bilstm; "
        "worse than the last value: gcn." in words
    )


def test_user_text_is_escaped(fake_results):
    evil = "</title><script>alert(1)</script>\"'$x_1$"
    results = fake_results(name=evil, unit=evil)
    results.data.source = results.data.split = results.environment["hardware"] = evil
    results.traces.nodes = [evil] * 3
    results.notes.append(evil)
    results.findings["verdicts"][0]["sentence"] = evil
    text = render_html(results)
    assert "<script>alert" not in text
    assert text.count("<script>") == text.count("</script>") == text.count("</title>") == 1
    assert "&lt;script&gt;alert(1)" in text


def test_opens_offline(whole):
    text = whole
    parsed = Tables(text)
    links = {"src", "href", "xlink:href", "data", "action", "srcset", "poster"}
    # the colour bars of the maps are small pictures inside the file
    inside = ("#", "data:image/png;base64,")
    assert all(value.startswith(inside) for _, name, value in parsed.attributes if name in links)
    assert not {"link", "iframe", "img", "object", "embed", "base"} & set(parsed.tags)
    without_namespaces = re.sub(r'xmlns(:\w+)?="[^"]*"', "", text)
    assert not re.search(r"https?://|@import|url\((?!#)|<!DOCTYPE svg|<metadata", without_namespaces)


def test_ids_are_unique_and_every_reference_has_its_target(whole):
    text = whole
    ids = Tables(text).ids
    assert len(ids) == len(set(ids))
    assert set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text)) <= set(ids)


def test_the_same_results_give_the_same_bytes(fake_results, tmp_path):
    first = write_report(fake_results(positions=False), tmp_path / "a.html").read_bytes()
    assert first == write_report(fake_results(positions=False), tmp_path / "b.html").read_bytes()
    assert first.startswith(b"<!doctype html>")
    assert b"\r" not in first


def test_report_of_saved_results_is_the_report_of_the_results(fake_results, whole, tmp_path):
    results = fake_results()
    results.save(tmp_path)
    assert render_html(type(results).load(tmp_path)) == whole


@pytest.mark.parametrize(
    "odd",
    [
        {"seeds": (0,)},
        {"models": {"tgcn": ("graph", 2.9)}},
        {"models": {"lstm": ("sequence", 2.9)}},
        {"models": {}},
        {"positions": False},
        {"nan_mape": True},
        {"horizons": (1,)},
        {"step_minutes": None, "unit": ""},
        {"step_minutes": 10080.0},
        {"nodes": 1},
        {"nodes": 675, "positions": False, "horizons": (1,), "seeds": (7,), "models": {"tgcn": ("graph", 2.9)}},
    ],
    ids=str,
)
def test_odd_results_have_a_report(fake_results, odd):
    text = render_html(fake_results(name="mine", **odd))
    shown = re.sub(r"<(script|style)>.*?</\1>", "", text, flags=re.DOTALL)
    assert text.count("<svg") == 4
    shown = re.sub(r"base64,[^\"]*", "", shown)
    assert not re.search(r"\b(nan|NaN|None|inf)\b", shown)


def test_dark_and_light_follow_the_page(whole):
    text = whole
    assert "prefers-color-scheme: dark" in text
    assert ':root[data-theme="dark"]' in text
    assert "@media print" in text
    drawings = " ".join(re.findall(r"<svg.*?</svg>", text, re.DOTALL))
    assert "var(--ink)" in drawings
    assert "var(--sequence-0)" in drawings
    # no text or rule may keep a colour of its own: it would vanish on the other page
    assert not re.search(r"#1a1d23|#5c6370|#c9ced6|#000000", drawings)


@pytest.mark.usefixtures("without_figures")
def test_published_figures_stand_apart_with_their_marks(fake_results):
    text = render_html(fake_results(name="los-loop"))
    block = re.search(r'<section id="published">.*?</section>', text, re.DOTALL)
    assert block is not None
    assert "5.1264 / 3.1802" in block.group()
    assert "[C]" in block.group()
    assert "[S]" in block.group()
    assert "best test epoch (4809 of 5000)" in block.group()
    assert "data-score" not in block.group()
    own = re.search(r'<tr class="graph">\s*<th scope="row">tgcn.*?</tr>', block.group(), re.DOTALL)
    cells = cells_of(text, "averaged", "tgcn")
    assert own is not None
    assert f"{float(cells[1]['data-value']):.4f} / {float(cells[0]['data-value']):.4f}" in own.group()
    assert 'id="published"' not in render_html(fake_results(name="simulated"))


def test_caveats_name_what_the_results_show(fake_results):
    found = " ".join(caveats(fake_results(positions=False, nan_mape=True)))
    for words in ("3 seeds", "380 test windows", "1.25 % of the values are missing", "MAPE has no value",
                  "no positions", "historical-average uses"):  # fmt: skip
        assert words in found
    assert "One seed" in " ".join(caveats(fake_results(seeds=(4,))))
    assert "seeds" not in " ".join(caveats(fake_results(seeds=tuple(range(6)))))


def test_caveats_name_models_that_were_still_improving_and_fits_that_failed(fake_results):
    results = fake_results()
    results.rows.loc[results.rows["model"] == "gcn", "best_epoch"] = 30
    results.failures.append(Failure("lstm", 5, "loss is NaN"))
    found = caveats(results)
    assert "lstm with seed 5 failed and has no row: loss is NaN" in found
    assert any("last tenth of the budget: gcn." in sentence for sentence in found)


def test_rerun_command(fake_results):
    results = fake_results(name="los-loop", models={"gru": ("sequence", 3.0)})
    expected = (
        "gnnkit compare --data los-loop --horizons 3,6,12 --models gru --seeds 3 --epochs 30 --hidden-channels 32"
    )
    assert rerun_command(results) == expected
    results.spec = {"series": "my speeds.csv", "seeds": [7], "data_options": {"num_nodes": 16}}
    assert rerun_command(results) == "gnnkit compare --series 'my speeds.csv' --seeds 7, --data-options num_nodes=16"
    results.spec = {"data": "los-loop", "allow_leaks": ["scaler", "mask"], "split": [0.6, 0.2, 0.2], "residual": False}
    flags = "--data los-loop --allow-leaks scaler,mask --split 0.6,0.2,0.2 --no-residual"
    assert rerun_command(results) == f"gnnkit compare {flags}"
    results.spec = {"models": ["gru"], "search": {"gru": {"dropout": [0, 0.3]}}, "trials": 2}
    assert rerun_command(results) == "gnnkit compare --spec spec.toml"
    results.spec = {"command": "gnnkit compare --spec mine.toml"}
    assert rerun_command(results) == "gnnkit compare --spec mine.toml"


def test_no_rows_is_an_error(fake_results):
    results = fake_results()
    results.rows = results.rows.iloc[:0]
    with pytest.raises(ValueError, match=r"results.rows is empty.*run at least one model"):
        render_html(results)


@pytest.mark.slow
def test_a_comparison_of_everything_stays_below_three_megabytes(rich_results):
    models = {f"sequence-{i}-joint": ("sequence", 3 + i / 20) for i in range(12)}
    models |= {f"graph-wavenet-{i}": ("graph", 2.9 + i / 20) for i in range(13)}
    results = rich_results(models=models, nodes=207, horizons=(3, 6, 9, 12))
    known = results.findings["significance"][0]
    results.findings["significance"] = [
        known | {"horizon": horizon, "metric": metric, "model": model, "against": against}
        for horizon in results.horizons
        for metric in ("mae", "rmse")
        for model in models
        for against in ("last-value", "rolling-average", "graph-wavenet-0", "sequence-0-joint")
    ]
    assert len(render_html(results).encode()) < 3_000_000


@pytest.mark.usefixtures("without_figures")
def test_rows_of_other_conditions_are_in_no_main_table(rich_results):
    results = rich_results()
    assert (results.rows["value"] == 99.0).any()  # tgcn on a shuffled graph
    for _, model, _, cell in Tables(render_html(results)).cells:
        assert cell.get("data-value") != "99.0", model


@pytest.mark.usefixtures("without_figures")
def test_spec_is_shown_as_the_toml_that_it_is(rich_results):
    results = rich_results()
    results.spec |= {"settings": {"gru": {"dropout": 0.1}, "m.x": {"name": 'a "b" \\'}}, "data_options": {"days": 3}}
    assert tomllib.loads(spec_text(results)) == {key: v for key, v in results.spec.items() if v is not None}
    shown = re.search(r"What was asked for</h3>\s*<pre>(.*?)</pre>", render_html(results), re.DOTALL)
    assert shown is not None
    assert html.unescape(shown[1]) == spec_text(results)
    assert rerun_command(results) == "gnnkit compare --spec spec.toml"


@pytest.mark.parametrize(("scaler", "words"), [("standard", "training rows alone"), ("max-all", "test rows included")])
def test_protocol_says_what_the_scaler_read(fake_results, scaler, words):
    results = fake_results()
    results.spec["scaler"] = scaler
    assert words in dict(dict(protocol(results))["Protocol"])["scaling"]


def test_methods_are_those_that_were_used(fake_results, rich_results):
    def names(results):
        return [sentence.split(":")[0].split(" (")[0] for sentence in FINDINGS.methods(results)]

    (needs,) = names(fake_results())
    assert needs.startswith("A verdict needs test windows that hold 6 spans of the horizon without a common row")
    tests = ["Differences are tested by Student's t over spans of test windows", "Mean ranks", "Ablation"]
    rest = ["Conditions", "Groups of targets", "Prediction intervals"]
    assert names(rich_results()) == [*tests, needs, *rest]


def test_methods_say_how_the_best_is_judged_and_at_what_level(rich_results):
    results = rich_results()
    results.spec["confidence"] = 0.9
    tests, _, _, spans = FINDINGS.methods(results)[:4]
    rule = "One rule decides mark, interval, p and sentence: the corrected p is below 10%, and the 90% interval is"
    assert rule in tests
    assert "whether it is among the best (model confidence set; Hansen, Lunde and Nason, 2011)" in tests
    assert "hold 5 spans of the horizon" in spans
