"""The piece of HTML that a cell shows."""

import re
from html import unescape

from gnnkit.compare.report.notebook import render_notebook
from gnnkit.compare.results import Failure


def cells(page, model):
    """The texts of a model's row."""
    row = re.search(rf"<tr[^>]*><th[^>]*>{model}</th>(.*?)</tr>", page)[1]
    return [unescape(re.sub(r"<[^>]+>", "", cell)).strip() for cell in re.findall(r"<td.*?</td>", row)]


def test_scores_and_marks(fake_results):
    results = fake_results(horizons=(3,))
    page = render_notebook(results, "Yes & no.")
    assert "<strong>Which model is better?</strong> Yes &amp; no.</p>" in page
    mae, rmse, parameters = cells(page, "gru")
    assert re.fullmatch(r"(★ )?\d\.\d+ ± 0\.\d+", mae)
    assert re.fullmatch(r"(★ )?\d\.\d+ ± 0\.\d+", rmse)
    assert int(parameters.replace(",", "")) == results.rows[results.rows["model"] == "gru"]["parameters"].max()
    assert cells(page, "last-value")[2] == "–"
    assert "mph, over all steps up to the horizon" in page


def test_it_takes_the_colours_of_the_page_and_asks_for_nothing(fake_results):
    page = render_notebook(fake_results(), "Yes.")
    assert not re.search(r"<script|<style|https?:|src=|#[0-9a-f]{6}", page)
    assert set(re.findall(r"(?<![-\w])(?:color|background): ([^;\"]+)", page)) <= {"inherit", "none"}


def test_what_failed_is_said(fake_results):
    results = fake_results()
    results.failures.append(Failure("mine", 3, "loss is <nan>"))
    assert "mine, seed 3 failed:</strong> loss is &lt;nan&gt;" in render_notebook(results, "Yes.")
