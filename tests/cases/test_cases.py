"""The cases on which gnnkit once failed, found by strangers: what each says today, and the table of before and after.

The cases lie beside the checkout, or where GNNKIT_CASES says. `make cases` writes CASES.md from what this test saw.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CASES = Path(os.environ.get("GNNKIT_CASES", ROOT.parent / "shared" / "cases"))

pytestmark = pytest.mark.skipif(not CASES.is_dir(), reason="no cases: GNNKIT_CASES names no folder")

Check = Callable[[str], bool]


def numbers_after(label: str, said: str) -> list[float]:
    return [float(found) for found in re.findall(re.escape(label) + r"\s+([-+\d.e]+|nan|inf)", said)]


def below(label: str, limit: float, count: int) -> Check:
    """All numbers after a label are below a limit, and there are so many of them."""
    return lambda said: len(numbers_after(label, said)) == count and max(numbers_after(label, said)) < limit


def same_lines(*names: str) -> Check:
    """What PyG's lines say, gnnkit's say too: pairs of names, the first is PyG's."""

    def check(said: str) -> bool:
        for theirs, ours in zip(names[::2], names[1::2], strict=True):
            a, b = ([line.split(" ", 1)[1] for line in said.splitlines() if line.startswith(f"{name} ")]
                    for name in (theirs, ours))  # fmt: skip
            if not a or a != b:
                return False
        return True

    return check


def says(*texts: str) -> Check:
    """Every text stands there; line ends and runs of blanks do not count."""
    return lambda said: all(text in " ".join(said.split()) for text in texts)


def silent_on(*patterns: str) -> Check:
    return lambda said: not any(re.search(pattern, " ".join(said.split())) for pattern in patterns)


def all_of(*checks: Check) -> Check:
    return lambda said: all(check(said) for check in checks)


def either(*checks: Check) -> Check:
    return lambda said: any(check(said) for check in checks)


def saturated(said: str) -> bool:
    """gnnkit's errors are within ten times PyG's, each to the true gradient in float64."""
    found = re.findall(r"(GATConv|GATLayer) (\S+) true max (\S+), error (\S+)", said)
    table = {(kind, name): (float(size), float(error)) for kind, name, size, error in found}
    return len(table) == 4 and all(
        table["GATLayer", name][1] <= max(10 * table["GATConv", name][1], 1e-5 * table["GATConv", name][0], 1e-30)
        for name in ("att_src", "lin.weight")
    )


def kilobytes(said: str) -> bool:
    """No more is kept than the graph's own 2.4 KB, in whole KB as the case prints them."""
    found = re.findall(r"GCNLayer (-?\d+) KB", said)
    return len(found) == 1 and int(found[0]) <= 2


one_line = r"^gnnkit: [^\n]+\n?$"

#: Name → exit code, what must be true of the text, and that in words.
EXPECTED: dict[str, tuple[int, Check, str]] = {
    "c01_gat_create_graph": (0, below("relative difference", 1e-9, 2), "the same first derivative"),
    "c02_gcn_create_graph_weight_of_x": (0, below("relative difference", 1e-9, 2), "the same first derivative"),
    "c03_edge_index_inplace_stale": (0, below("max difference", 1e-5, 1), "the edited graph"),
    "c04_nan_spreads": (0, same_lines("GCNConv", "GCNLayer"), "NaN in PyG's rows alone"),
    "c05_inference_then_train": (0, same_lines("GCNConv", "GCNLayer"), "trains"),
    "c06_read_only_install": (0, says("PyG torch.Size([60, 4])", "gnnkit torch.Size([60, 4])"), "runs"),
    "c07_edge_weight_column": (0, same_lines("GCNConv", "GCNLayer"), "as PyG"),
    "c08_edge_weight_float64": (0, same_lines("GCNConv", "GCNLayer"), "as PyG"),
    "c09_lin_replaced": (0, same_lines("GCNConv", "GCNLayer"), "as PyG"),
    "c10_unseen_edits": (0, below("max difference", 1e-5, 5), "the edited graph"),
    "c11_swap_tensors": (0, same_lines("GCNConv", "GCNLayer"), "as PyG"),
    "c12_batched_grads": (0, same_lines("GCNConv", "GCNLayer", "GATConv", "GATLayer"), "as PyG"),
    "c13_edge_attr_without_edge_dim": (0, same_lines("GATConv", "GATLayer"), "as PyG"),
    "c14_bipartite_adj_none": (0, same_lines("GATConv", "GATLayer"), "as PyG"),
    "c15_cached_reset": (0, below("max difference", 1e-5, 1), "the new graph"),
    "c16_saturated_attention": (0, saturated, "as exact as PyG"),
    "c17_aggr_module": (0, below("max difference", 1e-5, 1), "as PyG"),
    "c18_jit_script": (
        0,
        either(same_lines("GCNConv", "GCNLayer"), says("torch.jit.script", "torch.compile")),
        "scripted, or refused with the way out",
    ),
    "c19_held_graphs_memory": (0, kilobytes, "no more than the graph's own"),
    # A ratio of times: `make bench` writes it, a test that a busy machine fails would be none.
    "c20_small_fresh_graphs_speed": (0, says("GCNLayer PyG / gnnkit =", "GATLayer PyG / gnnkit ="), "1 or more"),
    "c21_vmap_over_edge_index": (0, same_lines("GCNConv", "GCNLayer"), "as PyG"),
    "F01_no_graph_verdict": (0, silent_on(r"[Tt]he (given )?graph (helps|does|is)"), "no sentence on the graph"),
    "F02_one_test_window": (
        0,
        all_of(says("too few", "window"), silent_on(r"[Tt]he graph helps", r"interval [-+]")),
        "too few windows to judge",
    ),
    "F03_thousands_semicolon": (0, says("housands"), "read as thousands, and said"),
    "F04_date_parts_are_nodes": (
        0,
        says("columns 2 to 5 (year, month, day, hour) hold parts of a time"),
        "read as a time, and said",
    ),
    "F05_distances_as_weights": (2, says("--graph-weights distance", "--graph-weights similarity"), "asked"),
    "F06_sentinel": (0, says("-200", "--missing-value"), "noticed, with the option"),
    "F07_residual_default": (0, says("predicts the value itself"), "chosen on training and validation rows, and said"),
    "F08_hour_24": (0, says("Report: x/report.html"), "24:00 read"),
    "F09_dates_as_columns": (0, says("the table was turned round"), "turned round, and said"),
    "F10_pandas_index_edges": (0, says("Report: x/report.html"), "read"),
    "F11_weekly_minutes": (0, all_of(says("week"), silent_on(r"10080")), "weeks"),
    "F12_working_hours": (0, says("A row is a working hour", "season is 8"), "working hours, season 8"),
    "F13_us_thousands": (0, says("Report: x/report.html"), "read"),
    "F14_frame_and_networkx": (0, silent_on("AttributeError"), "read, or one line"),
    "F15_own_module": (0, silent_on("AttributeError", "TypeError"), "one line that says what there is"),
    "F16_node_without_edge": (0, says("s3", "edge"), "the node named"),
    "F17_text_column": (2, says("leave", "s3"), "leave column s3 out"),
    "npz_ok": (0, says("Report: x/report.html"), "read"),
    "numba_race": (0, below("largest difference from the reference", 1e-4, 4), "right sums"),
}


def expected(name: str) -> tuple[int, Check, str]:
    if name in EXPECTED:
        return EXPECTED[name]
    assert name.startswith("npz_"), f"{name} is a new case: say what is expected of it"
    return 2, lambda said: re.match(one_line, said) is not None, "refused in one line"


def run(*only: str) -> dict[str, dict[str, Any]]:
    command = [sys.executable, str(HERE / "run_cases.py"), str(CASES), *only]
    found = subprocess.run(
        command, env={**os.environ, "PYTHONPATH": str(ROOT)}, cwd=ROOT, capture_output=True, text=True, check=True
    )
    return json.loads(found.stdout)


def write_table(before: dict[str, dict[str, Any]], after: dict[str, dict[str, Any]], out: Path) -> None:
    """CASES.md: what was said, what is said, what is wanted."""

    def cell(found: dict[str, Any] | None) -> str:
        if found is None:
            return ""
        lines = [line for line in found["said"].strip().splitlines() if "Warning: " not in line]
        text = " ".join(" ".join(lines[-3:]).split())[-240:].replace("|", "\\|").replace("<", "&lt;")
        return f"exit {found['exit']}: {text}"

    lines = [
        "# Cases that strangers found, before and after",
        "",
        "Written by `make cases`; do not edit. The last lines of what each case prints.",
        "",
        "| case | before | now | wanted | met |",
        "|---|---|---|---|---|",
    ]
    for name, found in after.items():
        code, check, wanted = expected(name)
        met = "yes" if found["exit"] == code and check(found["said"]) else "**no**"
        lines.append(f"| {name} | {cell(before.get(name))} | {cell(found)} | {wanted} | {met} |")
    out.write_text("\n".join(lines) + "\n", encoding="utf-8")


def names() -> list[str]:
    if not CASES.is_dir():
        return []
    sys.path.insert(0, str(HERE))
    from run_cases import find_cases

    return list(find_cases(CASES))


@pytest.fixture(scope="module")
def results() -> dict[str, dict[str, Any]]:
    found = run()
    if table := os.environ.get("GNNKIT_CASES_TABLE"):
        write_table(json.loads((HERE / "before.json").read_text(encoding="utf-8")), found, Path(table))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", names())
def test_case(results, name):
    code, check, wanted = expected(name)
    found = results[name]
    assert found["exit"] == code, found["said"]
    assert check(found["said"]), f"wanted: {wanted}\n{found['said']}"
