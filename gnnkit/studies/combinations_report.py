"""Tables of the random-combinations study, and in words what differs from the course report and why."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd

__all__ = ["PUBLISHED", "RECIPE", "Figure", "differences", "table", "write_report"]


class Figure(NamedTuple):
    """A mean and its deviation over three seeds."""

    mean: float
    std: float


#: The report's tables 1 and 2: (cell, T) -> loss and accuracy.
PUBLISHED: dict[tuple[str, int], tuple[Figure, Figure]] = {
    ("lstm", 5): (Figure(0.0011, 0.0006), Figure(1.0, 0.0)),
    ("lstm", 10): (Figure(0.1625, 0.0380), Figure(0.9983, 0.0012)),
    ("lstm", 15): (Figure(0.6945, 0.0089), Figure(0.8273, 0.0069)),
    ("bilstm", 5): (Figure(0.0002, 0.0001), Figure(1.0, 0.0)),
    ("bilstm", 10): (Figure(0.0043, 0.0008), Figure(1.0, 0.0)),
    ("bilstm", 15): (Figure(0.0144, 0.0007), Figure(1.0, 0.0)),
}
#: The report's recipe, as far as rows carry it.
RECIPE = {
    "steps": 2000,
    "hidden_channels": 128,
    "batch_size": 128,
    "learning_rate": 1e-3,
    "clip": 10.0,
    "test_sequences": 5000,
}
_NAMES = {"rnn": "RNN", "lstm": "LSTM", "gru": "GRU", "birnn": "BiRNN", "bilstm": "BiLSTM", "bigru": "BiGRU"}

_ALWAYS = (
    "The report does not say how its combinations were drawn, from which distribution its embedding starts, nor which "
    "versions it ran on: the same seeds give other numbers here. Deviations here are sample deviations (n - 1).",
    "Kaiming-normal weights on matrices of shape (in, out) have the deviation √(2 / in) here. torch's own routine, "
    "called on a matrix kept that way round, takes its columns for the inputs: √(2 / 128) for an input of width 1, and "
    "slower learning; the report may have run with that.",
    "The report does not say whether its BiLSTM's directions share an embedding. Here each has its own: two numbers "
    "that lie close together in one embedding of width 1 rarely do in both. With one embedding for both, a BiLSTM "
    "stays far above the report's losses at T = 10 and 15.",
    "torch's LSTM adds two biases where the report's equations have one; the second is held at zero here, so that the "
    "parameters are the formula's (and Adam does not move the sum of two biases twice as fast).",
)


def table(rows: pd.DataFrame, cell: str) -> str:
    """One cell's results as a Markdown table, mean ± deviation over seeds, beside the report's.

    Args:
        rows: As `run_study` returns them.
        cell: Which cell.

    Returns:
        The table; a run's deviation is a dash where there is one seed.
    """
    lines = [
        "| T | embedding | loss | accuracy | report's loss | report's accuracy | 99% at step "
        "| parameters | seconds | runs |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for (length, embedding), group in _groups(rows[rows["cell"] == cell], "length", "embedding"):
        loss, accuracy = _figure(group["loss"]), _figure(group["accuracy"])
        theirs = PUBLISHED.get((cell, int(length))) if embedding == 1 else None
        published = ["", ""] if theirs is None else [_text(figure) for figure in theirs]
        lines.append(
            f"| {length} | {embedding} | {_text(loss)} | {_text(accuracy)} | {published[0]} | {published[1]} "
            f"| {_steps(group['steps_to_99'])} | {int(group['parameters'].iloc[0]):,} | {group['seconds'].mean():.0f} "
            f"| {len(group)} |"
        )
    return "\n".join(lines)


def differences(rows: pd.DataFrame) -> list[str]:
    """What differs from the report, and why: sentences made from the rows.

    Args:
        rows: As `run_study` returns them.

    Returns:
        First each result that the report has too, then what the embedding's width does, then what else differs.
    """
    sentences = []
    first = rows.iloc[0]
    other = [f"{name} {first[name]:g} (report: {value:g})" for name, value in RECIPE.items() if first[name] != value]
    for (cell, length), (loss, accuracy) in PUBLISHED.items():
        group = rows[(rows["cell"] == cell) & (rows["length"] == length) & (rows["embedding"] == 1)]
        if len(group):
            sentences.append(_against(cell, length, group, loss, accuracy, same_recipe=not other))
    narrow = rows[rows["embedding"] == 1]
    for (cell, length, embedding), wide in _groups(rows[rows["embedding"] > 1], "cell", "length", "embedding"):
        group = narrow[(narrow["cell"] == cell) & (narrow["length"] == length)]
        if len(group):
            sentences.append(_cure(f"{_NAMES[str(cell)]}, T = {length}", int(embedding), group, wide))
    if other:
        sentences.append("The recipe is not the report's: " + ", ".join(other) + ".")
    seeds = sorted(set(rows["seed"]))
    if seeds != [0, 24, 42]:
        sentences.append(f"The report's seeds are 0, 24, 42; these runs have {', '.join(map(str, seeds))}.")
    return [*sentences, *_ALWAYS]


def write_report(rows: pd.DataFrame, path: Path) -> str:
    """Write the tables and the differences as Markdown, and return the text.

    Args:
        rows: As `run_study` returns them.
        path: The file.
    """
    cells = [cell for cell in _NAMES if cell in set(rows["cell"])]
    parts = ["# Random combinations: tell the last of T numbers from the others", _conditions(rows)]
    for number, cell in enumerate(cells, start=1):
        parts.append(f"## Table {number}: {_NAMES[cell]}\n\n{table(rows, cell)}")
    parts.append("## What differs from the report, and why\n\n" + "\n".join(f"- {line}" for line in differences(rows)))
    parts.append("![Loss by step](loss.png)\n\n![Accuracy by step](accuracy.png)\n\n![Gradient](gradient_flow.png)")
    text = "\n\n".join(parts) + "\n"
    path.write_text(text, encoding="utf-8")
    return text


def _conditions(rows: pd.DataFrame) -> str:
    first = rows.iloc[0]
    machines = dict.fromkeys(zip(rows["hardware"], rows["device"], rows["threads"], strict=True))
    where = " and ".join(f"{name} ({device}, {threads} threads)" for name, device, threads in machines)
    return (
        f"{first['steps']} steps of {first['batch_size']} combinations, Adam {first['learning_rate']:g}, "
        f"gradients clipped at {first['clip']:g}, hidden {first['hidden_channels']}; loss (nats) and accuracy on "
        f"{first['test_sequences']} fresh combinations, mean ± deviation over the seeds. "
        "99% at step: the 20 training batches up to it have a mean accuracy of at least 99%. "
        f"{rows['seconds'].sum():.0f} seconds of training in all, on {where}; torch {first['torch']}."
    )


def _against(cell: str, length: int, group: Any, loss: Figure, accuracy: Figure, *, same_recipe: bool) -> str:
    our_loss, our_accuracy = _figure(group["loss"]), _figure(group["accuracy"])
    # To the report's four digits: a difference that its table would not show is none.
    distance = round(our_accuracy.mean - accuracy.mean, 4)
    if distance == 0:
        words = "the same accuracy"
    else:
        side = "above" if distance > 0 else "below"
        words = f"accuracy {abs(distance):.4f} {side} the report's"
        words += f", {abs(distance) / accuracy.std:.1f} of its deviations" if accuracy.std else ""
    text = (
        f"{_NAMES[cell]}, T = {length}: accuracy {_text(our_accuracy)} (report {_text(accuracy)}), "
        f"loss {_text(our_loss)} (report {_text(loss)}): {words}, {our_loss.mean / loss.mean:.2f} × its loss."
    )
    if our_accuracy.mean < 0.999 and same_recipe:
        chance = math.log(2)
        text += (
            " Why it is not 1: with a width of 1 every number is a point on a line, and each gate sees one number a "
            "step; "
            f"after {group['steps'].iloc[0]} steps the network is under-trained, not incapable "
            f"(loss {our_loss.mean:.2f} nats, where {chance:.2f} is two candidates left)."
        )
    return text


def _cure(label: str, embedding: int, narrow: Any, wide: Any) -> str:
    before, after = _figure(narrow["accuracy"]), _figure(wide["accuracy"])
    return (
        f"{label}: an embedding of {embedding} in place of 1, all else equal, changes the accuracy "
        f"from {_text(before)} to {_text(after)}; "
        f"99% at step {_steps(wide['steps_to_99'])} (width 1: {_steps(narrow['steps_to_99'])})."
    )


def _groups(rows: Any, *keys: str) -> list[tuple[tuple[Any, ...], Any]]:
    """Rows with the same keys, in the order of the keys."""
    return list(rows.groupby(list(keys)))


def _figure(values: Any) -> Figure:
    return Figure(float(values.mean()), float(values.std(ddof=1)) if len(values) > 1 else math.nan)


def _text(figure: Figure) -> str:
    return f"{figure.mean:.4f} ± " + ("-" if math.isnan(figure.std) else f"{figure.std:.4f}")


def _steps(values: Any) -> str:
    reached = [float(value) for value in values if value is not None and not math.isnan(value)]
    if not reached:
        return "never"
    mean = f"{sum(reached) / len(reached):.0f}"
    return mean if len(reached) == len(values) else f"{mean} ({len(reached)} of {len(values)} seeds)"
