"""Tables of the random-combinations study, and in words what differs from the course report and why.

The rows are those that `run_study` returns.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from rich.console import Console

from gnnkit.report.markdown import markdown_list, markdown_table
from gnnkit.report.terminal import say, terminal_table

__all__ = ["PUBLISHED", "RECIPE", "Figure", "differences", "render_terminal", "table", "write_report"]


class Figure(NamedTuple):
    """A mean and its deviation over seeds; the report's are over three."""

    mean: float
    std: float


_PUBLISHED_SEEDS = 3
_STARTS = ("report", "gnnkit")
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
    "Initialisation `report`: torch's Kaiming-normal routine, called on one matrix a gate that is kept (in, out). The "
    "routine takes the second size for the inputs, so each gate's matrices have the deviation √(2 / hidden), whatever "
    "the width of the input, and the output layer √(2 / T). That the report ran so is inferred, from how near its "
    "figures come. Initialisation `gnnkit`: √(2 / in), which is √2 for an input of width 1. With an embedding as wide "
    "as the state, the two differ in the output layer alone.",
    "The report does not say whether its BiLSTM's directions share an embedding. Here each has its own: two numbers "
    "that lie close together in one embedding of width 1 rarely do in both. With one embedding for both, a BiLSTM "
    "stays far above the report's losses at T = 10 and 15.",
    "torch's LSTM adds two biases where the report's equations have one; the second is held at zero here, so that the "
    "parameters are the formula's (and Adam does not move the sum of two biases twice as fast).",
)


def table(rows: pd.DataFrame, cell: str) -> str:
    """One cell's results as a Markdown table, mean ± deviation over seeds, beside the report's.

    Args:
        cell: Which cell.

    Returns:
        The table; a run's deviation is a dash where there is one seed.
    """
    lines = []
    for group, cells in _lines(rows, cell):
        size, seconds = int(group["parameters"].iloc[0]), group["seconds"].mean()
        lines.append([*cells, f"{size:,}", f"{seconds:.0f}", str(len(group))])
    heads = (*_HEAD, "parameters", "seconds", "runs")
    return markdown_table(heads, lines, {*range(len(heads))} - {_START})


_HEAD = ("T", "embedding", "initialisation", "loss", "accuracy", "report's loss", "report's accuracy", "99% at step")
_SHORT_HEAD = ("T", "emb", "start", "loss", "accuracy", "report's\nloss", "\naccuracy", "99% at\nstep")
_START = _HEAD.index("initialisation")  # the one column of words


def _lines(rows: pd.DataFrame, cell: str) -> list[tuple[Any, list[str]]]:
    """Runs that differ in their seed alone, and the cells of their line under `_HEAD`."""
    lines = []
    keys = ("length", "embedding", "initialization")
    groups = _groups(rows[rows["cell"] == cell], *keys)
    for (length, embedding, start), group in sorted(groups, key=lambda g: (*g[0][:2], _STARTS.index(g[0][2]))):
        known = embedding == 1 and start == "report"  # the report's own recipe
        theirs = PUBLISHED.get((cell, int(length))) if known else None
        published = ["", ""] if theirs is None else [_text(figure) for figure in theirs]
        ours = [_text(_figure(group[name])) for name in ("loss", "accuracy")]
        cells = [str(length), str(embedding), str(start), *ours, *published, _steps(group["steps_to_99"])]
        lines.append((group, cells))
    return lines


def render_terminal(rows: pd.DataFrame, console: Console) -> None:
    """Print a table a cell, and what differs from the report.

    Args:
        console: Where to print.
    """
    say(console, _conditions(rows), "dim")
    for cell in _cells(rows):
        grid = terminal_table(_SHORT_HEAD, {_START})
        former = None
        for _, cells in _lines(rows, cell):
            if former not in (None, cells[0]):
                grid.add_section()
            former = cells[0]
            # ".012" and not "0.012": on a terminal the blanks and the zero are worth a column.
            grid.add_row(*(text.replace(" ± 0.", "±.").replace(" seeds)", ")") for text in cells))
        say(console, _NAMES[cell], "bold")
        console.print(grid)
    for line in _findings(rows):
        say(console, f"· {line}")


def differences(rows: pd.DataFrame) -> list[str]:
    """What differs from the report, and why: sentences made from the rows.

    Returns:
        First each result that the report has too, then what the initialisation and the embedding's width do, then what
        else differs.
    """
    return [*_findings(rows), *_ALWAYS]


def _findings(rows: pd.DataFrame) -> list[str]:
    sentences = []
    first = rows.iloc[0]
    other = [f"{name} {first[name]:g} (report: {value:g})" for name, value in RECIPE.items() if first[name] != value]
    narrow = rows[rows["embedding"] == 1]
    for (cell, length), (loss, accuracy) in PUBLISHED.items():
        same = narrow[(narrow["cell"] == cell) & (narrow["length"] == length)]
        report, own = (same[same["initialization"] == start] for start in ("report", "gnnkit"))
        if len(report):
            sentences.append(_against(cell, length, report, loss, accuracy, same_recipe=not other))
        if len(report) and len(own):
            sentences.append(_change(f"{_NAMES[cell]}, T = {length}", "gnnkit's initialisation", report, own, "report"))
    keys = ("cell", "length", "initialization", "embedding")
    for (cell, length, start, embedding), wide in _groups(rows[rows["embedding"] > 1], *keys):
        same = narrow[(narrow["cell"] == cell) & (narrow["length"] == length) & (narrow["initialization"] == start)]
        if len(same):
            label = f"{_NAMES[str(cell)]}, T = {length}, initialisation `{start}`"
            sentences.append(_change(label, f"an embedding of {embedding} in place of 1", same, wide, "width 1"))
    if other:
        sentences.append("The recipe is not the report's: " + ", ".join(other) + ".")
    seeds = sorted(set(rows["seed"]))
    if seeds != [0, 24, 42]:
        sentences.append(f"The report's seeds are 0, 24, 42; these runs have {', '.join(map(str, seeds))}.")
    return sentences


def write_report(rows: pd.DataFrame, path: Path) -> str:
    """Write the tables and the differences as Markdown, and return the text.

    Args:
        path: The file.
    """
    parts = ["# Random combinations: tell the last of T numbers from the others", _conditions(rows)]
    for number, cell in enumerate(_cells(rows), start=1):
        parts.append(f"## Table {number}: {_NAMES[cell]}\n\n{table(rows, cell)}")
    parts.append("## What differs from the report, and why\n\n" + markdown_list(differences(rows)))
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
    ours = {name: _figure(group[name]) for name in ("accuracy", "loss")}
    words = [
        f"{name} {_text(ours[name])} (report {_text(theirs)}): {_distance(ours[name], theirs, len(group))}"
        for name, theirs in (("accuracy", accuracy), ("loss", loss))
    ]
    text = f"{_NAMES[cell]}, T = {length}: {', '.join(words)}."
    if ours["accuracy"].mean < 0.999 and same_recipe:
        chance = math.log(2)
        text += (
            " Why it is not 1: with a width of 1 every number is a point on a line, and each gate sees one number a "
            "step; "
            f"after {group['steps'].iloc[0]} steps the network is under-trained, not incapable "
            f"(loss {ours['loss'].mean:.2f} nats, where {chance:.2f} is two candidates left)."
        )
    return text


def _distance(ours: Figure, theirs: Figure, seeds: int) -> str:
    """How far two means are apart, in standard errors of their difference where both are over several seeds."""
    # To the report's four digits: a difference that its table would not show is none.
    difference = round(ours.mean - theirs.mean, 4)
    if difference == 0:
        return "the same"
    side = f"{abs(difference):.4f} {'above' if difference > 0 else 'below'}"
    error = math.sqrt(ours.std**2 / seeds + theirs.std**2 / _PUBLISHED_SEEDS)
    return f"{side}, {abs(difference) / error:.1f} standard errors of the difference" if error > 0 else side


def _change(label: str, what: str, before: Any, after: Any, former: str) -> str:
    """What one thing that is changed, all else equal, does."""
    changes = [
        f"the {name} from {_text(_figure(before[name]))} to {_text(_figure(after[name]))}"
        for name in ("accuracy", "loss")
    ]
    return (
        f"{label}: {what}, all else equal, changes {' and '.join(changes)}; "
        f"99% at step: {_steps(after['steps_to_99'])} ({former}: {_steps(before['steps_to_99'])})."
    )


def _cells(rows: pd.DataFrame) -> list[str]:
    return [cell for cell in _NAMES if cell in set(rows["cell"])]


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
