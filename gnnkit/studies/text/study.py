"""The study of what character models write: samples, loops and copies of one book's model or several."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pandas as pd

from gnnkit.data import split_text, text_digest
from gnnkit.kept_files import check_claim, current_file, damage_named, read_json, write_text
from gnnkit.sequence import Sampling
from gnnkit.studies.text.measures import (
    copied_share,
    identical_share,
    longest_copy,
    loop_period,
    word_list,
    word_share,
)
from gnnkit.studies.text.writer import CharWriter
from gnnkit.training import isolated_seed, resolve_device
from gnnkit.training.environment import environment

__all__ = ["STARTS", "study_rows", "study_run", "study_texts"]

#: Sentences that the report lets its large book's model finish.
STARTS = ("I can see the sun", "I think the devil", "He")
# Greedy samples: shown as far as in the report's table 4, and written on until they have come into their loop.
_SHOWN, _LOOP, _GREEDY = 50, 600, 5
# Samples of a rule that are kept to be shown, as in the report's table 5; the measures are means over all.
_KEPT = 5
_RULES = {
    "greedy": Sampling(greedy=True),
    "τ = 0.5": Sampling(tau=0.5),
    "τ = 1": Sampling(tau=1.0),
    "τ = 2": Sampling(tau=2.0),
}
_POINTS = 250


def study_texts(
    directories: Sequence[str | Path],
    out: str | Path,
    *,
    starts: Sequence[str] | None = None,
    samples: int = 20,
    length: int = 500,
    seed: int = 0,
    device: str = "auto",
    on_run: Callable[[str], None] | None = None,
) -> dict[str, Any]:
    """Make the report's tables and figures again for the models of one book or several, and measure what it guessed.

    Args:
        directories: Folders of finished trainings.
        out: Gets `study.json` (all that was found), `rows.csv`, `report.md`, `report.html` and `curves.png`, the
            curves of all models; earlier ones are replaced.
        starts: Sentences to be finished. Default: the report's, as far as a vocabulary has their characters.
        samples: Samples that the measures are means over, for each rule, each from a random character of the
            vocabulary; the first five are shown. Default 20.
        length: Characters of each. Default 500.
        seed: Of the samples. Default 0.
        device: "auto" (default), "cpu", "cuda", ...
        on_run: Told the name of each folder before it is studied.

    Returns:
        What `study.json` holds.

    Raises:
        FileNotFoundError: A folder is not there.
        ValueError: A folder holds no finished training or two have the same name, a number is out of range, or `out`
            is a file or holds something else.
    """
    from gnnkit.studies.text.plots import write_curves
    from gnnkit.studies.text.report import write_reports

    if samples < 1:
        raise ValueError(f"samples must be a whole number of at least 1, got {samples}")
    if length < 40:
        raise ValueError(f"length must be at least 40, got {length}: strings of 20 characters are looked for")
    folders = [Path(directory) for directory in directories]
    names = [folder.resolve().name for folder in folders]
    if len(set(names)) < len(names):
        raise ValueError(f"two folders have the same name: {', '.join(names)}; rename one")
    where, out = resolve_device(device), Path(out)
    writers = [CharWriter.load(folder, device=where) for folder in folders]
    if starts is not None:
        for writer in writers:
            for start in starts:
                writer.codec.encode(start)  # an unknown character is an error before anything is written
    check_claim(out, "study.json", {}, "a study", finished=lambda: False)
    runs = []
    for name, folder, writer in zip(names, folders, writers, strict=True):
        if on_run is not None:
            on_run(name)
        runs.append(
            {"name": name, **study_run(folder, writer, starts=starts, samples=samples, length=length, seed=seed)}
        )
    document = {
        "gnnkit_text_study": True,
        "samples": samples,
        "length": length,
        "seed": seed,
        "environment": environment(where),
        "runs": runs,
    }
    out.mkdir(parents=True, exist_ok=True)
    write_text(out / "study.json", json.dumps(document, ensure_ascii=False, indent=1) + "\n")
    study_rows(document).to_csv(out / "rows.csv", index=False)
    write_curves(document, out)
    write_reports(document, out)
    return document


def study_run(
    folder: Path, writer: CharWriter, *, starts: Sequence[str] | None, samples: int, length: int, seed: int
) -> dict[str, Any]:
    """Study one model.

    Args:
        folder: Of its training.
        writer: What the folder holds.
        starts, samples, length, seed: As in `study_texts`.

    Returns:
        `row`, `curve`, `validation`; `stages` (greedy samples on the way), `rules` (the measures by rule, and those of
        the held-out text itself), `finished` (sentences) and `left_out` (starts with unknown characters). JSON values.
    """
    row = read_json(folder / "row.json", dict)
    if not {"files", "sha256", "stages"} <= set(row):
        raise ValueError(f"{folder / 'row.json'} is damaged, or of an earlier gnnkit; train again")
    files = {name: current_file(folder / name, digest, "train again") for name, digest in row["files"].items()}
    with damage_named(folder / "book.txt", "put the text back, or train again"):
        book = (folder / "book.txt").read_text(encoding="utf-8")
    found, trained_on = text_digest(book), row["sha256"]
    if found != trained_on:
        raise ValueError(
            f"{folder / 'book.txt'} is not the text that its model was trained on (SHA-256 {found[:12]}…, then "
            f"{trained_on[:12]}…): copies would be looked for in another book; put the text back, or train again"
        )
    split = split_text(len(book), val_share=row["val_share"], test_share=row["test_share"])
    seen, words = book[: split.train.stop], word_list(book)
    with isolated_seed(seed):
        stages = _stages(folder, writer, row, seed)
        rules = []
        first = writer.first_characters(samples, seed=seed)
        for rule, sampling in _RULES.items():
            texts = [a + b for a, b in zip(first, writer.texts(first, length, sampling, seed=seed), strict=True)]
            rules.append({"rule": rule, **_measure(texts, seen, words)})
        held_out = book[split.val.start :]
        size = min(length + 1, len(held_out) // samples)
        if size >= 40:
            pieces = [held_out[place * size : (place + 1) * size] for place in range(samples)]
            # Its words are in the list, which is the whole book's: that is no measure.
            rules.append({"rule": "held-out text", **_measure(pieces, seen, words), "word_share": None})
        wanted = list(STARTS if starts is None else starts)
        known = [start for start in wanted if all(character in writer.codec for character in start)]
        finished = [
            {
                "start": start,
                "rule": rule,
                "text": _sentence(writer.texts([start], 200, _RULES[rule], seed=seed + n)[0]),
            }
            for n, start in enumerate(known)
            for rule in ("τ = 2", "greedy")
        ]
    return {
        "row": row,
        "curve": _thin(pd.read_csv(files["curve.csv"])),
        "validation": pd.read_csv(files["validation.csv"]).to_dict(orient="list"),
        "stages": stages,
        "rules": rules,
        "finished": finished,
        "left_out": [start for start in wanted if start not in known],
    }


def study_rows(document: dict[str, Any]) -> pd.DataFrame:
    """A study as rows: a model, what was looked at (training, a stage, a rule), a measure, its value, and the samples
    behind it: how many, and of how many characters."""
    rows = []

    def add(run: dict[str, Any], what: str, size: tuple[int, int] | None, **values: float | None) -> None:
        samples, length = size or (None, None)
        named = {"run": run["name"], "what": what, "samples": samples, "length": length}
        rows.extend({**named, "measure": m, "value": v} for m, v in values.items())

    for run in document["runs"]:
        names = ("parameters", "accuracy", "nats", "val_bits", "best_val_bits", "best_val_step", "test_bits", "seconds")
        add(run, "training", None, **{name: run["row"][name] for name in names})
        for stage in run["stages"]:
            what = f"greedy at {stage['third']}/3 of the {stage['kind']}"
            periods = [period for period in stage["periods"] if period is not None]
            add(
                run,
                what,
                (len(stage["periods"]), stage["characters"]),
                step=stage["step"],
                accuracy=stage["accuracy"],
                identical_share=stage["identical_share"],
                looped_share=len(periods) / len(stage["periods"]),
                mean_period=fmean(periods) if periods else None,
            )
        for rule in run["rules"]:
            names = ("word_share", "copied_share", "longest_mean", "longest_max", "looped_share")
            size = (len(rule["longest_each"]), rule["characters"])
            add(run, rule["rule"], size, **{name: rule[name] for name in names})
    columns = ["run", "what", "measure", "value", "samples", "length"]
    table = pd.DataFrame(rows)[columns].astype({"samples": "Int64", "length": "Int64"})
    hardware = {run["name"]: run["row"]["hardware"] for run in document["runs"]}
    table["trained_on"] = [hardware[name] for name in table["run"]]
    return table.assign(**document["environment"])


def _stages(folder: Path, writer: CharWriter, row: dict[str, Any], seed: int) -> list[dict[str, Any]]:
    """Greedy samples from the same first characters, at each stage and at the end."""
    first = writer.first_characters(_GREEDY, seed=seed)
    end = {"step": row["steps"], "accuracy": row["accuracy"], "file": None}
    stages = [stage for stage in row["stages"] if stage["kind"] == "steps"] + [{"kind": "steps", "third": 3, **end}]
    stages += [stage for stage in row["stages"] if stage["kind"] == "accuracy"]
    stages += [{"kind": "accuracy", "third": 3, **end}]
    found = []
    for stage in stages:
        at = writer if stage["file"] is None else writer.at(folder / "stages" / stage["file"])
        mark = row["window"]
        length = max(_LOOP, mark + 20)
        texts = [a + b for a, b in zip(first, at.texts(first, length, _RULES["greedy"], seed=seed), strict=True)]
        found.append(
            {
                **{name: stage[name] for name in ("kind", "third", "step", "accuracy")},
                "samples": [text[: max(_SHOWN, mark + 20)] for text in texts],
                # As far behind the mark as is shown.
                "identical_share": identical_share([text[mark : max(_SHOWN, mark + 20)] for text in texts]),
                "periods": [loop_period(text) for text in texts],
                "loops": [_loop(text) for text in texts],
                "characters": length + 1,
            }
        )
    return found


def _loop(text: str) -> str | None:
    """What is repeated, from the beginning of a word on, if there is one."""
    period = loop_period(text)
    if period is None:
        return None
    loop = text[-period:]
    blank = loop.find(" ") + 1
    return loop[blank:] + loop[:blank]


def _measure(texts: Sequence[str], seen: str, words: set[str]) -> dict[str, Any]:
    copies = [longest_copy(text, seen) for text in texts]
    shares = [share for text in texts if (share := word_share(text, words)) is not None]
    longest = max(copies, key=len)
    return {
        "samples": list(texts[:_KEPT]),
        "word_share": fmean(shares) if shares else None,
        "copied_share": fmean(copied_share(text, seen) for text in texts),
        "longest_mean": fmean(map(len, copies)),
        "longest_max": len(longest),
        "longest": longest,
        "longest_each": [len(copy) for copy in copies],
        "looped_share": fmean(loop_period(text) is not None for text in texts),
        "characters": len(texts[0]),
    }


def _sentence(text: str) -> str:
    """Up to the end of the first sentence, if it ends."""
    ends = [place + 1 for place in (text.find(mark) for mark in ".!?") if place >= 0]
    return text[: min(ends)] if ends else text


def _thin(curve: pd.DataFrame) -> dict[str, list[float]]:
    """At most some hundred points, each a mean over as many steps as it takes."""
    every = -(-len(curve) // _POINTS)
    steps, nats, accuracies = (curve[name].tolist() for name in ("step", "nats", "accuracy"))
    pieces = [slice(first, first + every) for first in range(0, len(steps), every)]
    return {
        "step": [steps[piece][-1] for piece in pieces],
        "nats": [fmean(nats[piece]) for piece in pieces],
        "accuracy": [fmean(accuracies[piece]) for piece in pieces],
    }
