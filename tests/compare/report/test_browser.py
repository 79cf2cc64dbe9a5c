"""The report in a real browser: nothing logged, nothing asked for, and its few controls work."""

import os
from pathlib import Path

import pytest

from gnnkit.compare import read_spec, run
from gnnkit.compare.report.html import render_html
from gnnkit.compare.report.side_by_side import write_side_by_side
from gnnkit.compare.standing import STANDING_RIVALS
from gnnkit.forecasting.baselines import BASELINES
from gnnkit.temporal.registry import ENTRIES
from tests.compare.report.chromium import Chromium, find_chromium

pytestmark = pytest.mark.browser

SPECS = Path(__file__).parents[3] / "benchmarks" / "specs"

#: Models that came after the committed rows were made.
SINCE = {"itransformer", "patchtst", "staeformer", "megacrn", "d2stgnn"}

SHOWN = "[...document.querySelectorAll('#scores .choice:not([hidden]) table')][0]"
COLUMN = f"[...{SHOWN}.tBodies[0].rows].map((row) => row.cells[1].dataset.value)"
SETTLED = "new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
COLOURS = "[getComputedStyle(document.body).backgroundColor, getComputedStyle(document.body).color]"
LIGHT, DARK = ["rgb(255, 255, 255)", "rgb(26, 29, 35)"], ["rgb(20, 23, 28)", "rgb(232, 234, 238)"]


@pytest.fixture(scope="module")
def browser():
    program = find_chromium()
    if program is None:
        why = "there is no Chromium: apt-get install chromium"
        if os.environ.get("CI"):
            pytest.fail(f"{why}; where CI is set this must run (.ci/run installs it)")
        pytest.skip(why)
    with Chromium(program) as opened:
        yield opened


@pytest.fixture(scope="module")
def report(rich_report, tmp_path_factory):
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(rich_report, encoding="utf-8")
    return path


def sections(browser):
    return browser.run("[...document.querySelectorAll('section')].map((section) => section.id)")


def test_the_report_logs_nothing_and_asks_for_nothing(browser, report):
    browser.open(report)
    assert browser.complaints == []
    assert browser.requests == []
    assert sections(browser) == [
        *("verdict", "scores", "tests", "ranks", "ablation", "conditions", "where", "figures"),
        *("intervals", "budget", "audit", "published", "caveats", "protocol"),
    ]


@pytest.mark.parametrize("name", ["los-loop", "simulated"])
def test_the_committed_comparisons_open_like_any_report(browser, name, data_root, tmp_path, monkeypatch):
    """The spec of the benchmark, cut down to two models and a second a fit: what it finds is real."""
    monkeypatch.setenv("GNNKIT_DATA", str(data_root))
    path = SPECS / f"{name}.toml"
    trained = {entry.name for entry in ENTRIES if not entry.fits_itself}
    assert set(read_spec(path).models) == trained - SINCE | (
        {"lightgbm", "lightgbm-graph"} if name == "los-loop" else set()
    )
    small = {"models": ["gru", "gcn"], "seeds": [0], "max_seconds": 1, "ablate_graph": ["gcn"], "resamples": 200}
    small |= {"folds": 1, "quick_look": False}
    results = run(read_spec(path, small))
    page = tmp_path / "report.html"
    page.write_text(render_html(results), encoding="utf-8")
    browser.open(page)
    assert (browser.complaints, browser.requests) == ([], [])
    assert {"verdict", "scores", "tests", "ablation", "where", "intervals", "audit"} <= set(sections(browser))
    rows = len(results.models)
    assert rows == len(BASELINES) + 2 + len(STANDING_RIVALS)
    assert browser.run(f"{SHOWN}.tBodies[0].rows.length") == rows
    header = f"{SHOWN}.querySelector('th[data-column=\"1\"]')"
    browser.run(f"{header}.querySelector('button').click()")
    assert browser.run(COLUMN) == sorted(browser.run(COLUMN), key=float)
    before = browser.run(COLOURS)
    browser.run("document.querySelector('#theme').click()")
    browser.run(SETTLED)
    assert {tuple(before), tuple(browser.run(COLOURS))} == {tuple(LIGHT), tuple(DARK)}


def test_a_complaint_and_a_request_would_be_seen(browser, tmp_path):
    page = tmp_path / "bad.html"
    page.write_text("<img src='missing.png'><script>console.error('oh'); nothing.here</script>")
    browser.open(page)
    assert browser.requests == [(tmp_path / "missing.png").as_uri()]
    assert any("oh" in words for words in browser.complaints)
    assert any("ReferenceError" in words for words in browser.complaints)


def test_a_header_sorts_up_down_and_back(browser, report):
    browser.open(report)
    before = browser.run(COLUMN)
    header = f"{SHOWN}.querySelector('th[data-column=\"1\"]')"
    found = []
    for _ in range(3):
        browser.run(f"{header}.querySelector('button').click()")
        found.append((browser.run(f"{header}.getAttribute('aria-sort')"), browser.run(COLUMN)))
    ascending = sorted(before, key=float)
    assert before != ascending
    assert found == [("ascending", ascending), ("descending", ascending[::-1]), (None, before)]


def test_sorting_works_by_keyboard_and_puts_words_and_gaps_right(browser, report):
    browser.open(report)
    table = "document.querySelector('#ablation table')"
    cells = f"[...{table}.tBodies[0].rows].map((row) => row.cells[5].textContent)"
    browser.run(f"{table}.querySelector('th[data-column=\"5\"] button').focus()")
    browser.press("Enter")
    assert browser.run(cells) == ["+0.020", "+0.210", "+0.290", "+0.340", "–"]
    browser.press("Enter")
    assert browser.run(cells) == ["+0.340", "+0.290", "+0.210", "+0.020", "–"]  # no value: last both times
    browser.run(f"{table}.querySelector('th[data-column=\"1\"] button').focus()")
    browser.press("Enter")
    words = browser.run(f"[...{table}.tBodies[0].rows].map((row) => row.cells[1].textContent)")
    assert words == ["complete", "given", "identity", "random", "shuffled"]


def test_one_table_is_shown_at_a_time(browser, report):
    browser.open(report)
    shown = "[...document.querySelectorAll('#tests .choice')].map((block) => block.offsetHeight > 0)"
    assert browser.run(shown) == [False, False, True, False, False, False]  # MAE of the largest horizon
    browser.run("document.querySelector('#tests .segments button').click()")
    assert browser.run(shown) == [True, False, False, False, False, False]
    assert browser.run("document.querySelector('#tests .segments button').getAttribute('aria-pressed')") == "true"


@pytest.mark.parametrize(("dark", "start", "other"), [(False, LIGHT, DARK), (True, DARK, LIGHT)])
def test_theme_follows_the_system_and_the_button(browser, report, dark, start, other):
    browser.open(report, dark=dark)
    assert browser.run(COLOURS) == start
    browser.run("document.getElementById('theme').click()")
    assert browser.run(COLOURS) == other
    browser.run("document.getElementById('theme').click()")
    assert browser.run(COLOURS) == start


@pytest.mark.parametrize("width", [360, 390, 1280])
def test_the_page_does_not_scroll_sideways(browser, report, width):
    browser.open(report, width=width)
    browser.run("document.querySelectorAll('details').forEach((fold) => { fold.open = true; })")
    assert browser.run("document.documentElement.scrollWidth") <= width


def test_values_are_said_at_the_pointer(browser, report):
    browser.open(report)
    box = "document.querySelector('#figure-ablation circle.hit')"
    browser.run(f"{box}.scrollIntoView({{block: 'center'}}); {SETTLED}")
    at = browser.run(f"(({{x, y, width, height}}) => [x + width / 2, y + height / 2])({box}.getBoundingClientRect())")
    browser.move(*at)
    assert browser.run("document.getElementById('tip').textContent") == "identity: +0.210 (+0.120 to +0.300)"
    assert browser.run("document.getElementById('tip').hidden") is False
    # the first cell of the heat map, whose value stands in the file
    cell = "document.querySelector('#figure-heat rect.hit')"
    browser.run(f"{cell}.scrollIntoView({{block: 'center'}}); {SETTLED}")
    x, y = browser.run(f"(({{x, y}}) => [x + 3, y + 2])({cell}.getBoundingClientRect())")
    browser.move(x, y)
    value = browser.run(f"JSON.parse({cell}.dataset.grid).values[0][0]")
    assert browser.run("document.getElementById('tip').textContent") == f"node 0, 0: {value}".replace("-", "−")
    browser.move(2, 2)
    assert browser.run("document.getElementById('tip').hidden") is True


def test_print_is_light_and_without_controls(browser, report):
    browser.open(report, dark=True)
    browser.run("document.getElementById('theme').click(); document.getElementById('theme').click()")
    browser.send("Emulation.setEmulatedMedia", media="print")
    assert browser.run(COLOURS)[1] == LIGHT[1]
    controls = "[...document.querySelectorAll('#theme, nav, .segments')].map((x) => getComputedStyle(x).display)"
    assert set(browser.run(controls)) == {"none"}
    assert browser.pdf().startswith(b"%PDF")
    browser.send("Emulation.setEmulatedMedia", media="")


def test_two_runs_beside_each_other(browser, fake_results, tmp_path):
    page = write_side_by_side(fake_results(), fake_results(seeds=(0,)), tmp_path)
    for width in (390, 1280):
        browser.open(page, width=width)
        assert (browser.complaints, browser.requests) == ([], [])
        assert browser.run("document.documentElement.scrollWidth") <= width
    assert sections(browser) == ["scores", "differences", "verdicts"]


def test_an_old_folder_has_a_report_without_the_new_sections(browser, fake_results, tmp_path, monkeypatch):
    monkeypatch.setattr("gnnkit.report.html.draw_all", lambda *_: [])
    (tmp_path / "report.html").write_text(render_html(fake_results(name="mine")), encoding="utf-8")
    browser.open(tmp_path / "report.html")
    assert (browser.complaints, browser.requests) == ([], [])
    assert sections(browser) == ["verdict", "scores", "figures", "caveats", "protocol"]
    links = browser.run("[...document.querySelectorAll('nav a')].map((link) => link.hash.slice(1))")
    assert set(links) == set(sections(browser))
