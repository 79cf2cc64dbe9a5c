"""What `study_texts` returns in words and tables: sections, written as Markdown and as an HTML page."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from gnnkit.report.html import sections_page
from gnnkit.report.markdown import sections_document
from gnnkit.report.numbers import DASH
from gnnkit.report.sections import Entry, Picture, Section, Sheet, Sheets

__all__ = ["findings", "report_sections", "write_reports"]

_MEAN = 500
"""Steps that a figure of training is a mean over, as in a run's row."""
_RECIPE = (
    *("stateful", "window", "batch_size", "hidden_channels", "embedding_channels", "num_layers", "dropout", "tied"),
    *("learning_rate", "warmup", "weight_decay", "clip"),
)


def report_sections(document: dict[str, Any], folder: Path) -> list[Section]:
    """The report, part by part.

    Args:
        folder: Where `curves.png` is.
    """
    runs = document["runs"]
    label = f"Loss and accuracy by step of {', '.join(run['name'] for run in runs)}"
    curves = (Picture("curves.png", label, folder),)
    return [
        Section("findings", "Findings", bullets=tuple(findings(document))),
        Section("scores", "Table 3: recipes and scores", sheets=(_scores(runs),)),
        Section("curves", "Figures 3 and 4: loss and accuracy by step", pictures=curves),
        *(
            Section(f"run-{number}", f"{run['name']}: {run['row']['book']}", parts=tuple(_run_parts(run)))
            for number, run in enumerate(runs, 1)
        ),
    ]


def findings(document: dict[str, Any]) -> list[str]:
    """What the numbers say, in sentences made from them."""
    lines = []
    runs = document["runs"]
    for run in runs:
        name = f"{run['name']} ({run['row']['book']})"
        rules = {rule["rule"]: rule for rule in run["rules"]}
        words = ", ".join(
            f"{_share(rule['word_share'])} at {label}" for label, rule in rules.items() if label.startswith("τ")
        )
        lines.append(f"{name}: share of words that are in the book's word list: {words}.")
        end = next(stage for stage in run["stages"] if (stage["kind"], stage["third"]) == ("steps", 3))
        looped = [period for period in end["periods"] if period is not None]
        text = f"{name}: {len(looped)} of {len(end['periods'])} greedy samples end in a loop"
        if looped:
            low, high = min(looped), max(looped)
            text += f", of {low} characters" if low == high else f", of {low} to {high} characters"
        lines.append(
            f"{text}; behind the mark at {run['row']['window']} characters, {_share(end['identical_share'])} of them "
            f"are the same as another."
        )
        longest = ", ".join(f"{rule['longest_max']} characters ({label})" for label, rule in rules.items())
        means = ", ".join(f"{rule['longest_mean']:.0f}" for rule in rules.values())
        lines.append(
            f"{name}: the longest run copied word for word: {longest}; that of a sample is on average {means} long."
        )
    for small, large in zip(*_by_size(runs), strict=True):
        lines.append(_against(small, large))
    return lines


def write_reports(document: dict[str, Any], out: Path) -> None:
    """Write `report.md` and `report.html`; the page holds its figures and asks nothing from elsewhere.

    Args:
        out: The folder, which has the figures.
    """
    title, about = "What a character LSTM writes", _conditions(document)
    sections = report_sections(document, out)
    (out / "report.md").write_text(sections_document(title, about, sections), encoding="utf-8")
    (out / "report.html").write_text(sections_page(title, about, sections), encoding="utf-8")


def _conditions(document: dict[str, Any]) -> str:
    where = document["environment"]
    return (
        f"Measures are means over {document['samples']} samples of {document['length']} characters a rule, seed "
        f"{document['seed']}, each from a random character of the vocabulary, letter or not. τ multiplies the logits: "
        f"it is 1 / temperature. ↵ is a line end. Copies are looked for in the part of the book that was trained on; "
        f"the word list is the whole book's. Written on {where['hardware']} ({where['device']}, {where['threads']} "
        f"threads), torch {where['torch']}, gnnkit {where['gnnkit']}, commit {where['commit']}, {where['date']}."
    )


def _table(title: str, caption: str, columns: Sequence[str], lines: Iterable[Iterable[str | Entry]]) -> Sheets:
    """One table of words."""
    cells = tuple(tuple(Entry(cell) if isinstance(cell, str) else cell for cell in line) for line in lines)
    return Sheets(title, (("all", Sheet(caption, tuple(columns), cells, names=len(columns))),))


def _scores(runs: Sequence[dict[str, Any]]) -> Sheets:
    rows = [run["row"] for run in runs]

    def recipe(row: dict[str, Any]) -> str:
        windows = "one after the other, state carried" if row["stateful"] else "random, from a zero state"
        return (
            f"{row['num_layers']} layers of {row['hidden_channels']}, embedding {row['embedding_channels']}"
            f"{', tied' if row['tied'] else ''}; {row['steps']:,} steps of {row['batch_size']} × {row['window']}, "
            f"{windows}; dropout {row['dropout']:g}, rate {row['learning_rate']:g}, warm-up {row['warmup']:g}, weight "
            f"decay {row['weight_decay']:g}, clip {row['clip']:g}, seed {row['seed']}"
            f"{'; matrix products in bfloat16' if row.get('precision') == 'bf16-mixed' else ''}"
        )

    lines = (
        ("book", *(f"{row['book']}, {row['characters']:,} characters" for row in rows)),
        ("recipe", *map(recipe, rows)),
        ("parameters", *(f"{row['parameters']:,}" for row in rows)),
        ("training accuracy", *(f"{row['accuracy']:.3f}" for row in rows)),
        ("training nats a character", *(f"{row['nats']:.3f}" for row in rows)),
        ("validation bits a character", *(f"{row['val_bits']:.3f}" for row in rows)),
        ("best validation", *(f"{row['best_val_bits']:.3f} (step {row['best_val_step']:,})" for row in rows)),
        ("test bits a character", *(f"{row['test_bits']:.3f}" for row in rows)),
        ("seconds of training", *(f"{row['seconds']:,.0f}" for row in rows)),
        ("trained on", *(f"{row['hardware']} ({row['device']}, {row['threads']} threads)" for row in rows)),
        ("commit", *(row["commit"] for row in rows)),
    )
    caption = (
        "Accuracy and nats are means over the last 500 training batches. Held-out bits: each half of the tail is read "
        "as one stream, the state carried from a zero state to its end; the validation part was looked at on the way, "
        "the test part once."
    )
    return _table("Recipes and scores", caption, ("", *(run["name"] for run in runs)), lines)


def _run_parts(run: dict[str, Any]) -> list[Section]:
    parts, mark = [], run["row"]["window"]
    for kind, title in (("steps", "thirds of the steps"), ("accuracy", "thirds of the final accuracy")):
        lines = []
        for stage in (stage for stage in run["stages"] if stage["kind"] == kind):
            label = f"{stage['third']}/3: step {stage['step']:,}, accuracy {stage['accuracy']:.2f}"
            for place, text in enumerate(stage["samples"]):
                loop = stage["loops"][place]
                lines.append(
                    (
                        label if place == 0 else "",
                        _sample(f"{text[:mark]}┃{text[mark:]}"),
                        DASH if loop is None else str(stage["periods"][place]),
                        DASH if loop is None else _sample(loop, 60),
                        _share(stage["identical_share"]) if place == 0 else "",
                    )
                )
        head = ("stage", "greedy sample", "period", "its loop", "same behind ┃")
        about = (
            f"The same first characters at each stage; ┃ is the trained length of {mark} characters. The period is "
            "that of the loop in which 600 characters end."
        )
        sheets = (_table(f"Greedy samples by {title}", about, head, lines),)
        parts.append(Section(f"greedy-{kind}", f"Table 4: greedy samples by {title}", sheets=sheets))
    lines = [
        (rule["rule"] if place == 0 else "", _sample(text[:300]))
        for rule in run["rules"]
        if rule["rule"].startswith("τ")
        for place, text in enumerate(rule["samples"])
    ]
    sheets = (_table("Samples by τ", "", ("τ", "sample"), lines),)
    parts.append(Section("tau", "Table 5: samples by τ", sheets=sheets))
    lines = [(_sample(one["start"]), one["rule"], _sample(one["text"])) for one in run["finished"]]
    heads = ("start", "rule", "what the model wrote")
    sheets = (_table("Finished sentences", "", heads, lines),) if lines else ()
    left = ", ".join(repr(start) for start in run["left_out"])
    notes = (f"Left out, as the book lacks one of their characters: {left}.",) if left else ()
    parts.append(Section("finished", "Table 6: finished sentences", sheets=sheets, notes=notes))
    lines = [
        (
            rule["rule"],
            _share(rule["word_share"]),
            _share(rule["copied_share"]),
            str(rule["longest_max"]),
            _sample(rule["longest"], 120),
            f"{rule['longest_mean']:.1f}",
            _share(rule["looped_share"]),
            str(rule["characters"]),
        )
        for rule in run["rules"]
    ]
    heads = ("rule", "words in the list", "strings of 20 in the book", "longest run", "which")
    heads += ("a sample's longest, on average", "in a loop", "length")
    about = (
        "The held-out text is the yardstick: a book repeats its own phrases, so a share above zero is no theft. "
        "A greedy loop counts each of its strings as often as it stands there."
    )
    sheets = (_table("Copying and words by rule", about, heads, lines),)
    return [*parts, Section("copying", "Copying and words, measured", sheets=sheets)]


def _by_size(runs: Sequence[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Models of shorter books, and for each that of the longest book, of the most similar recipe if it has several."""
    longest = max(run["row"]["characters"] for run in runs)
    small = sorted(
        (run for run in runs if run["row"]["characters"] < longest), key=lambda run: run["row"]["characters"]
    )
    large = [run for run in runs if run["row"]["characters"] == longest]

    def alike(one: dict[str, Any], other: dict[str, Any]) -> int:
        return sum(one["row"][name] == other["row"][name] for name in _RECIPE) + (
            # Runs of before there was a choice do not say it.
            one["row"].get("precision", "32-true") == other["row"].get("precision", "32-true")
        )

    return small, [max(large, key=lambda run: alike(run, one)) for one in small]


def _against(small: dict[str, Any], large: dict[str, Any]) -> str:
    one, other = small["row"], large["row"]

    def written(run: dict[str, Any]) -> list[dict[str, Any]]:
        return [rule for rule in run["rules"] if rule["rule"] != "held-out text"]

    def average(run: dict[str, Any]) -> float:
        return fmean(rule["longest_mean"] for rule in written(run))

    def longest(run: dict[str, Any]) -> int:
        return max(rule["longest_max"] for rule in written(run))

    def own(run: dict[str, Any]) -> float | None:
        return next((rule["longest_mean"] for rule in run["rules"] if rule["rule"] == "held-out text"), None)

    def side(a: float, b: float, more: str, less: str) -> str:
        return more if a > b else less if a < b else "the same"

    accuracy = side(one["accuracy"], other["accuracy"], "higher", "lower")
    bits = side(one["test_bits"], other["test_bits"], "worse", "better")
    runs = side(average(small), average(large), "longer", "shorter")
    yardstick = ""
    if (a := own(small)) is not None and (b := own(large)) is not None:
        # A book that is ten times longer offers ten times as much to match, whoever writes.
        beyond = f"{average(small) - a:+.1f} against {average(large) - b:+.1f}"
        yardstick = f"; held-out text itself {a:.1f} against {b:.1f}, less which {beyond}"
    return (
        f"{small['name']} against {large['name']} ({one['characters']:,} characters against {other['characters']:,}, "
        f"{one['steps']:,} steps against {other['steps']:,}): {accuracy} training accuracy ({one['accuracy']:.3f} "
        f"against {other['accuracy']:.3f}), {bits} held-out bits ({one['test_bits']:.3f} against "
        f"{other['test_bits']:.3f}), {runs} copied runs (a sample's longest, on average over the rules, "
        f"{average(small):.1f} against {average(large):.1f} characters{yardstick}; the longest of all "
        f"{longest(small)} against {longest(large)})." + _after_the_same_steps(small, large)
    )


def _after_the_same_steps(small: dict[str, Any], large: dict[str, Any]) -> str:
    """Both where the one with fewer steps ended; empty where the other one was not validated there."""
    step = min(small["row"]["steps"], large["row"]["steps"])
    if any(step not in run["validation"]["step"] for run in (small, large)):
        return ""

    def at(run: dict[str, Any]) -> tuple[float, float, float]:
        points = run["curve"]["step"]
        last = [place for place, point in enumerate(points) if step - _MEAN < point <= step]
        # The points of a very long curve are further apart.
        last = last or [min(range(len(points)), key=lambda place: abs(points[place] - step))]
        nats, accuracy = (fmean(run["curve"][name][place] for place in last) for name in ("nats", "accuracy"))
        return accuracy, nats / math.log(2), run["validation"]["bits"][run["validation"]["step"].index(step)]

    (accuracy, trained, held), (other_accuracy, other_trained, other_held) = at(small), at(large)
    return (
        f" After {step:,} steps of both: training accuracy {accuracy:.3f} against {other_accuracy:.3f}, validation "
        f"bits {held:.3f} against {other_held:.3f}; these less the training bits, {held - trained:+.3f} against "
        f"{other_held - other_trained:+.3f}."
    )


def _share(value: float | None) -> str:
    return DASH if value is None else f"{100 * value:.1f} %"


def _sample(text: str, most: int | None = None) -> Entry:
    """Text that a model wrote, or that stands in a book, cut where it is longer than `most`."""
    return Entry(text if most is None or len(text) <= most else f"{text[: most - 1]}…", verbatim=True)
