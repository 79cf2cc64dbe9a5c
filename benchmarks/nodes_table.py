"""benchmarks/results/nodes/README.md and the six-node figure, from the rows beside them and from nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
from matplotlib.figure import Figure
from rows import table_of

from gnnkit.report.markdown import markdown_list, markdown_table
from gnnkit.studies.nodes.recipes import NODE_RECIPES

__all__ = ["draw_six_nodes", "write_table"]

# Means of 100 initialisations on Cora's public split, from the papers.
PAPERS = {"gcn": "81.5", "gat": "83.0 ± 0.7"}

HEAD = """# Node-level graphs on Cora, and what depth does

Written by `python benchmarks/nodes.py table` from the rows in this folder; do not edit.
"""


def _where(rows: Any) -> str:
    first = rows.iloc[0]
    commits = ", ".join(f"`{commit}`" for commit in sorted(set(rows["commit"])))
    threads = " and ".join(str(count) for count in sorted(set(rows["threads"])))
    return f"{first['hardware']}, {threads} thread(s), torch {first['torch']}, commit {commits}"


def _accuracy(rows: Any) -> str:
    def spread(column: str) -> Callable[[Any], str]:
        return lambda found: f"{100 * found[column].mean():.2f} ± {100 * found[column].std():.2f}"

    columns = {
        "recipe": lambda found: f"`{found['model'].iloc[0]}`",
        "test accuracy, %": spread("test_accuracy"),
        "paper": lambda found: PAPERS.get(found["model"].iloc[0], ""),
        "validation, %": spread("val_accuracy"),
        "seeds": lambda found: str(len(found)),
        "epochs": lambda found: f"{found['epochs'].mean():.0f}",
        "seconds of all": lambda found: f"{found['seconds'].sum():.0f}",
        "where": _where,
    }
    found = [rows[rows["model"] == name] for name in NODE_RECIPES if name in set(rows["model"])]
    settled = markdown_list(f"`{name}`: {recipe.settled}" for name, recipe in NODE_RECIPES.items())
    return (
        "## Accuracy, public split (140/500/1000)\n\n`gnnkit nodes train --data cora --model NAME --seeds 100`, mean ± "
        "standard deviation over seeds. Seconds are wall time of a machine that did other work beside it.\n\n"
        f"{table_of(found, columns)}\n\nWhat the papers leave open, and how it was settled:\n\n{settled}\n"
    )


def _search(rows: Any) -> str:
    best = rows.loc[rows["val_accuracy"].idxmax(), "trial"]
    columns = {
        "trial": lambda row: f"{row['trial']}" + (" (chosen)" if row["trial"] == best else ""),
        "dropout": lambda row: f"{row['dropout']:g}",
        "L2": lambda row: f"{row['weight_decay']:g}",
        "hops": lambda row: str(row["num_layers"]),
        "hidden": lambda row: str(row["hidden_channels"]),
        "validation accuracy, % ± standard error": lambda row: (
            f"{row['val_accuracy']:.2f} ± {row['val_standard_error']:.2f}"
        ),
    }
    return (
        f"## How `own` was chosen\n\n`python benchmarks/nodes.py search`: {len(rows)} trials of "
        f"{rows['seeds'].iloc[0]} seeds each (1000 and up, none of which is among the 100 above); the highest mean "
        "validation accuracy wins. No test accuracy was looked at.\n\n"
        f"{table_of(rows.to_dict('records'), columns)}\n\n{_where(rows)}.\n"
    )


def _seeds(rows: Any) -> str:
    columns = {
        "": lambda row: row["side"],
        "version": lambda row: row["version"],
        "seeds": lambda row: str(row["seeds"]),
        "seconds a seed": lambda row: f"{row['seconds_per_seed']:.2f}",
        "times PyG": lambda row: f"{row['ratio']:.1f}",
        "in processor time": lambda row: f"{row['cpu_ratio']:.1f}",
        "test accuracy, % ± standard error": lambda row: f"{row['test_accuracy']:.2f} ± {row['standard_error']:.2f}",
    }
    return (
        "## Many seeds of GCN together\n\n`python benchmarks/nodes.py seeds`: both sides in one run, "
        f"{rows['epochs'].iloc[0]} epochs a seed.\n\n{table_of(rows.to_dict('records'), columns)}\n\n{_where(rows)}.\n"
    )


def _influence(rows: Any) -> str:
    columns = {
        "case": lambda row: row["case"],
        "side": lambda row: row["side"],
        "seconds": lambda row: f"{row['seconds']:.3f}",
        "times PyG": lambda row: f"{row['ratio']:.1f}",
        "in processor time": lambda row: f"{row['cpu_ratio']:.1f}",
        "largest relative difference": lambda row: f"{row['largest_relative_difference']:.1e}",
    }
    return (
        "## Influence by hop\n\n`python benchmarks/nodes.py influence`, on Cora, float32, fastest of five rounds; "
        "PyG's `total_influence` with max_hops = depth + 1.\n\n"
        f"{table_of(rows.to_dict('records'), columns)}\n\n{_where(rows)}.\n"
    )


def _report(rows: Any) -> str:
    row = rows.iloc[-1]
    return (
        "## Report on a large graph\n\n`python benchmarks/nodes.py report`: "
        f"{row['num_nodes']} nodes, {row['num_edges']} edges in {row['seconds']:.1f} s ({row['cpu_seconds']:.0f} s of "
        f"processor time) and {row['peak_memory_gib']:.2f} GiB at most. Receptive fields from {row['sampled_nodes']} "
        f"nodes (standard error at most {100 * row['largest_relative_standard_error_of_fields']:.1f}% of the mean at "
        f"any depth), curvature of {row['sampled_edges']} edges, effective resistance with a relative standard error "
        f"of {100 * row['relative_standard_error_of_resistance']:.0f}%. {_where(rows.tail(1))}.\n"
    )


def _depth(folder: Path) -> str:
    rows: Any = pd.read_csv(folder / "rows.csv")
    layers: Any = pd.read_csv(folder / "layers.csv")
    last = layers[layers["layer"] == layers["depth"]]
    lines = []
    for (model, depth), found in rows.groupby(["model", "depth"], sort=False):
        test = 100 * found["test_accuracy"]
        ends = last[(last["model"] == model) & (last["depth"] == depth)].set_index("stage")
        energies = [f"{ends.loc[at, name]:.1e}" for at in ("start", "trained") for name in ("raw_energy", "energy")]
        lines.append([f"`{model}`", str(depth), f"{test.mean():.2f} ± {test.std():.2f}", *energies])
    titles = ["model", "layers", "test accuracy, %", "energy, start", "relative", "energy, trained", "relative"]
    return (
        f"## Depth\n\n`gnnkit nodes depth --seeds {rows['seed'].nunique()}` on Cora: Dirichlet energy behind the last "
        "layer, of the first seed, itself and over the squared size of the features. Before training the energy of a "
        "plain GCN falls with every layer, to nothing; with residuals, in GCNII and in GAT it does not. Relative to "
        "the size of the features, which a residual lets grow, it falls with residuals too, only more slowly. After "
        "training there is energy everywhere, and it tells little: a GCN of 8 layers or more is no better than "
        "guessing. A residual alone keeps the energy of 16 and 32 layers, but does not make them trainable; GCNII does "
        "both.\n\n"
        f"{markdown_table(titles, lines)}\n\n{_where(rows)}.\n\n"
        "![accuracy](depth/accuracy.png)\n\n![energy](depth/energy.png)\n\n![influence](depth/influence.png)\n"
    )


def _six(rows: Any) -> str:
    table = rows.pivot(index="layers", columns="hop", values="influence")
    lines = [[str(depth), *(f"{value:.3g}" for value in table.loc[depth])] for depth in table.index]
    titles = ["layers", *(f"{hop} hops" for hop in table.columns)]
    return (
        "## The six-node graph\n\n`python benchmarks/nodes.py six`: the Jacobian's absolute sum by hop for node E of a "
        "GCN without activations, float64. News from C, four hops away, arrives with the fourth layer.\n\n"
        f"{markdown_table(titles, lines)}\n\n![Jacobian by hop](six_nodes.png)\n"
    )


def draw_six_nodes(rows: Any) -> Any:
    """A panel a depth: the Jacobian of node E by hop distance, as a share."""
    figure = Figure(figsize=(7.0, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for depth, found in rows.groupby("layers"):
        share = found["influence"] / found["influence"].sum()
        reached = found["influence"] > 0
        axes.plot(found["hop"][reached], share[reached], "o-", ms=5, label=f"{depth} layer{'s' if depth > 1 else ''}")
    axes.set(xlabel="hops from E", ylabel="share of the Jacobian", title="Six nodes: whom E listens to")
    axes.set_xticks(sorted(set(rows["hop"])))
    axes.set_ylim(bottom=0.0)
    axes.grid(True, linewidth=0.5, color="#d7dbe0")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    return figure


SECTIONS = {"accuracy": _accuracy, "search": _search, "seeds": _seeds, "influence": _influence, "report": _report}


def write_table(folder: Path) -> Path:
    """Write README.md from what is there; a part whose rows are missing is named as not measured.

    Args:
        folder: benchmarks/results/nodes.

    Returns:
        The file.
    """
    parts = [HEAD]
    for name, section in SECTIONS.items():
        file = folder / f"{name}.csv"
        parts.append(section(pd.read_csv(file)) if file.exists() else f"## {name}\n\nNot measured yet.\n")
    parts.append(
        _depth(folder / "depth") if (folder / "depth" / "rows.csv").exists() else "## depth\n\nNot measured yet.\n"
    )
    if (folder / "six.csv").exists():
        rows = pd.read_csv(folder / "six.csv")
        parts.append(_six(rows))
        draw_six_nodes(rows).savefig(folder / "six_nodes.png", dpi=110, facecolor="white", metadata={"Software": None})
    target = folder / "README.md"
    target.write_text("\n".join(parts), encoding="utf-8")
    return target
