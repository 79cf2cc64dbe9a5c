import base64
import re

import pytest

from gnnkit.studies.text.report import findings, report_sections, write_reports


def rule(name, **changes):
    values = {"word_share": 0.5, "copied_share": 0.25, "longest_mean": 12.0, "longest_max": 30, "looped_share": 0.0}
    return {
        "rule": name,
        **values,
        "samples": ["He | said\n`so`", "and another"],
        "longest": "the same time",
        "characters": 80,
        **changes,
    }


def run(name="large", **changes):
    row = {"book": "karamazov", "characters": 2000, "steps": 90, "window": 30, "batch_size": 128, "stateful": False}
    row |= {"num_layers": 2, "hidden_channels": 256, "embedding_channels": 128, "tied": False, "dropout": 0.0}
    row |= {"learning_rate": 1e-3, "warmup": 0.0, "weight_decay": 0.0, "clip": 5.0, "seed": 0, "parameters": 958560}
    row |= {"accuracy": 0.63, "nats": 1.18, "val_bits": 1.9, "best_val_bits": 1.88, "best_val_step": 60}
    row |= {"test_bits": 1.95, "seconds": 6000.0, "hardware": "Abacus 9", "device": "cpu", "threads": 2}
    row |= {"commit": "abc", **changes}
    stage = {"samples": ["t" + "x" * 49, "u" * 50], "identical_share": 0.5, "periods": [17, None]}
    stage |= {"loops": ["to the same time ", None], "accuracy": 0.6, "step": 90}
    stages = [{"kind": kind, "third": third, **stage} for kind in ("steps", "accuracy") for third in (1, 2, 3)]
    return {
        "name": name,
        "row": row,
        "curve": {"step": [30, 60, row["steps"]], "nats": [9.0, 2.0, 1.2], "accuracy": [0.1, 0.5, row["accuracy"]]},
        "validation": {"step": [60, 90], "bits": [2.5, 1.9]},
        "stages": stages,
        "rules": [rule("greedy"), rule("τ = 2", word_share=0.975), rule("held-out text", word_share=None)],
        "finished": [{"start": "He", "rule": "τ = 2", "text": " said <b>so</b>."}],
        "left_out": ["I think the devil"],
    }


def document(*runs):
    environment = {"hardware": "Abacus 9", "device": "cpu", "threads": 2, "torch": "2", "gnnkit": "0", "commit": "abc"}
    return {"samples": 20, "length": 500, "seed": 0, "environment": {**environment, "date": "2026"}, "runs": list(runs)}


@pytest.fixture
def written(tmp_path):
    (tmp_path / "curves.png").write_bytes(b"a picture")
    write_reports(document(run()), tmp_path)
    return (tmp_path / "report.md").read_text(encoding="utf-8"), (tmp_path / "report.html").read_text(encoding="utf-8")


def test_findings_are_sentences_made_from_the_numbers():
    lines = findings(document(run()))
    assert lines[0] == "large (karamazov): share of words that are in the book's word list: 97.5 % at τ = 2."
    assert lines[1] == (
        "large (karamazov): 1 of 2 greedy samples end in a loop, of 17 characters; behind the mark at 30 characters, "
        "50.0 % of them are the same as another."
    )
    # The longest is the longest, and the mean is called one.
    assert lines[2] == (
        "large (karamazov): the longest run copied word for word: 30 characters (greedy), 30 characters (τ = 2), 30 "
        "characters (held-out text); that of a sample is on average 12, 12, 12 long."
    )
    assert len(lines) == 3


def test_the_short_book_is_held_against_the_large_one_whatever_their_order():
    small = run("small", characters=200, steps=60, accuracy=0.9, test_bits=3.2)
    small["rules"] = [
        rule("greedy", longest_mean=100.0, longest_max=140),
        rule("held-out text", longest_mean=5.0, longest_max=400),
    ]
    expected = (
        "small against large (200 characters against 2,000, 60 steps against 90): higher training accuracy (0.900 "
        "against 0.630), worse held-out bits (3.200 against 1.950), longer copied runs (a sample's longest, on "
        "average over the rules, 100.0 against 12.0 characters; held-out text itself 5.0 against 12.0, less which "
        "+95.0 against +0.0; the longest of all 140 against 30). After 60 steps of "
        "both: training accuracy 0.500 "
        "against 0.300, validation bits 2.500 against 2.500; these less the training bits, -3.367 against -5.435."
    )
    assert findings(document(run(), small))[-1] == findings(document(small, run()))[-1] == expected
    # Of two models of the large book, that of the same recipe.
    for others in ((run(), run("tuned", dropout=0.2)), (run("tuned", dropout=0.2), run())):
        assert findings(document(small, *others))[-1] == expected
    large = run()
    large["rules"].pop()  # held-out text that is too short
    assert (
        "100.0 against 12.0 characters; the longest of all 140 against 30). After"
        in findings(document(large, small))[-1]
    )
    # Two models of one book are no large and small book.
    assert "against" not in findings(document(run("a"), run("b")))[-1]
    better = findings(document(run(), run("small", characters=200, accuracy=0.1, test_bits=1.0)))[-1]
    assert "lower training accuracy" in better
    assert "better held-out bits" in better
    assert "the same copied runs" in better


def test_tables_have_the_reports_numbers(written):
    heads = [line for line in written[0].splitlines() if line.startswith("#")]
    assert heads == [
        "# What a character LSTM writes",
        "## Findings",
        "## Table 3: recipes and scores",
        "## Figures 3 and 4: loss and accuracy by step",
        "## large: karamazov",
        "### Table 4: greedy samples by thirds of the steps",
        "### Table 4: greedy samples by thirds of the final accuracy",
        "### Table 5: samples by τ",
        "### Table 6: finished sentences",
        "### Copying and words, measured",
    ]


def test_markdown_shows_text_as_it_is(written):
    text = written[0]
    assert (
        "| 1/3: step 90, accuracy 0.60 | ` t" + "x" * 29 + "┃" + "x" * 20 + " ` | 17 | ` to the same time  ` | 50.0 % |"
        in text
    )
    assert "|  | ` " + "u" * 30 + "┃" in text
    assert "| τ = 2 | `` He \\| said↵`so` `` |\n|  | ` and another ` |" in text
    assert "| held-out text | – | 25.0 % | 30 | ` the same time ` | 12.0 | 0.0 % | 80 |" in text
    assert "| best validation | 1.880 (step 60) |" in text
    assert "random, from a zero state; dropout 0, rate 0.001" in text
    assert "Left out, as the book lacks one of their characters: 'I think the devil'." in text
    tables = [line for line in text.splitlines() if line.startswith("|")]
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in tables]
    assert set(widths) == {3, 4, 6, 9}


def test_the_page_holds_its_figures_and_asks_nothing_from_elsewhere(written):
    page = written[1]
    assert base64.b64encode(b"a picture").decode() in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert " said &lt;b&gt;so&lt;/b&gt;." in page
    assert page.count("<table") == page.count("</table>") == 6
    assert '<td class="word"><code>He | said↵`so`</code></td>' in page


def test_a_book_without_known_starts_has_no_table_6(tmp_path):
    alone = run()
    alone["finished"] = []
    (last,) = [part for part in report_sections(document(alone), tmp_path)[-1].parts if part.name == "finished"]
    assert last.sheets == ()
    assert last.notes[0].startswith("Left out")
