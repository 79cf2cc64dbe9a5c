"""Runs the tests of reliability, part by part, and writes what they counted as a page: `make reliability`.

    python -m tests.reliability.page                  all parts, whole; hours on a small machine
    python -m tests.reliability.page --only kills     one part; the others stay as they were measured before
    python -m tests.reliability.page --only fuzz --cases 5000 --out /tmp/page.md

What a part counted stands in `rows.json` beside the page, from which the page is drawn: no figure is written by hand.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
PAGE, ROWS = ROOT / "tests" / "RELIABILITY.md", ROOT / "tests" / "reliability" / "rows.json"
_TESTS = "tests/reliability"
Row = Mapping[str, Any]


@dataclass(frozen=True)
class Part:
    """A part of the page.

    Args:
        title: Its heading.
        files: Of tests, or a script that keeps rows; those that are not there are left out, and a part without one is
            not measured.
        draw: Makes Markdown of what the tests recorded.
        whole: Numbers of cases of a whole run, by the name in the environment.
    """

    title: str
    files: tuple[str, ...]
    draw: Callable[[Sequence[Row]], list[str]]
    whole: Mapping[str, int] | None = None


def _table(heads: Sequence[str], lines: Iterable[Sequence[Any]]) -> list[str]:
    rule = ["---", *["--:"] * (len(heads) - 1)]
    shown = [[str(cell).replace("|", "\\|") for cell in line] for line in lines]
    return ["", *(f"| {' | '.join(line)} |" for line in (heads, rule, *shown))]


def _kills(rows: Sequence[Row]) -> list[str]:
    kills = [row for row in rows if row["what"] == "kill"]
    exact = sum(row["exact"] for row in kills)
    counts = Counter(row["verb"] for row in kills)
    right = Counter(row["verb"] for row in kills if row["exact"])
    lines = [(verb, count, right[verb]) for verb, count in sorted(counts.items())]
    said = (
        f"{len(kills)} runs got a SIGKILL at a random moment; the same command, given again, ended {exact} times with "
        "the very files of a run that was not killed, but for what a clock says."
    )
    return [said, *_table(["verb", "killed", "exact"], lines)]


def _damage(rows: Sequence[Row]) -> list[str]:
    found = [row for row in rows if row["what"] == "damage"]
    total, noticed = sum(row["variants"] for row in found), sum(row["noticed"] for row in found)
    said = (
        f"{len(found)} kinds of files, each cut off, emptied, exchanged, and with 20 flipped bits: {total} damaged "
        f"files, {noticed} noticed in a line. Of a file that gnnkit keeps, the others were read as what was written; "
        "a file of one's own has no checksum."
    )
    lines = [(row["kind"], row["variants"], row["noticed"], row["harmless"]) for row in found]
    return [said, *_table(["file", "damaged", "noticed", "read"], lines)]


def _fuzz(rows: Sequence[Row]) -> list[str]:
    found = [row for row in rows if row["what"] == "fuzz"]
    total, wrong = sum(row["cases"] for row in found), sum(len(row["faults"]) for row in found)
    said = (
        f"{total:,} cases: {sum(row['right'] for row in found):,} were right, "
        f"{sum(row['refused'] for row in found):,} were refused with an error of one line; {wrong} kinds of faults."
    )
    heads = ["what", "cases", "right", "refused", "slowest, s", "faults"]
    lines = [
        (row["target"], row["cases"], row["right"], row["refused"], row["slowest"], "; ".join(row["faults"]) or 0)
        for row in found
    ]
    return [said, *_table(heads, lines)]


def _planted(rows: Sequence[Row]) -> list[str]:
    found = [row for row in rows if row["what"] == "planted"]
    said = (
        f"Pickles that run something, {max((row['pickles'] for row in found), default=0)} of them, under each of "
        f"{len(found)} names: {sum(row['ran'] for row in found)} ran."
    )
    return [said, *_table(["name", "pickles", "ran"], [(row["name"], row["pickles"], row["ran"]) for row in found])]


def _tests(rows: Sequence[Row]) -> list[str]:
    """Tests that passed, by their file and name."""
    found = [row for row in rows if row["what"] == "test"]
    passed = sum(row["outcome"] == "passed" for row in found)
    said = f"{passed} of {len(found)} tests passed."
    return [said, *_table(["test", "outcome"], [(row["test"], row["outcome"]) for row in found])]


def _requests(rows: Sequence[Row]) -> list[str]:
    heads = ["model", "clients", "seconds", "requests", "wrong or failed", "median, ms", "p99, ms", "model's step, ms"]
    lines = [
        (
            f"{row['model']}, {row['nodes']} nodes",
            row["clients"],
            f"{float(row['seconds']):.0f}",
            row["requests"],
            row["errors"],
            *(f"{1000 * float(row[name]):.1f}" for name in ("p50_seconds", "p99_seconds", "model_step_seconds")),
        )
        for row in rows
    ]
    return ["By `benchmarks/serving.py`: each answer is compared with the library's.", *_table(heads, lines)]


def _exports(rows: Sequence[Row]) -> list[str]:
    made = [row for row in rows if not row["refused"]]
    said = (
        f"By `benchmarks/exports.py`: {len(made)} of {len(rows)} programs were made, and agreed with their models on "
        f"{sum(int(row['draws']) for row in made):,} random inputs; the others were refused in a line."
    )
    lines = [
        (
            f"{row['model']}, {row['format']}",
            row["draws"] if not row["refused"] else 0,
            row["refused"] or f"{float(row['largest_difference']):.1g}",
        )
        for row in rows
    ]
    return [said, *_table(["program", "inputs", "largest difference, or why there is none"], lines)]


PARTS: Mapping[str, Part] = {
    "kills": Part("Runs that were killed", (f"{_TESTS}/test_kills.py",), _kills, {"kills": 50}),
    "damage": Part("Files that were damaged", ("tests/cli/test_damaged.py",), _damage),
    "fuzz": Part("Input of every kind", (f"{_TESTS}/test_fuzz.py",), _fuzz, {"cases": 50_000}),
    "planted": Part("Planted pickles", (f"{_TESTS}/test_planted.py", f"{_TESTS}/test_named_code.py"), _planted),
    # What is not there is not measured: a room that a checkout does not have.
    "ranks": Part("Ranks that were lost", ("tests/training/test_spread.py", "tests/cli/test_ranks.py"), _tests),
    "workers": Part("Workers that were lost", ("tests/compare/test_pool.py", "tests/compare/test_cluster.py"), _tests),
    "requests": Part(
        "Requests that were served", ("benchmarks/serving.py",), _requests, {"clients": 50, "seconds": 30}
    ),
    "exports": Part("Exports that were checked", ("benchmarks/exports.py",), _exports, {"draws": 1000}),
}


def measure(part: Part, numbers: Mapping[str, int]) -> dict[str, Any] | None:
    """Run a part's tests; what they recorded, with where and when. None where there is none of the tests."""
    files = [file for file in part.files if (ROOT / file).is_file()]
    if not files:
        return None
    with tempfile.TemporaryDirectory() as folder:
        rows, report = Path(folder) / "rows", Path(folder) / "report.xml"
        rows.touch()
        place = os.environ | {"GNNKIT_RELIABILITY_ROWS": str(rows)}
        place |= {f"GNNKIT_RELIABILITY_{name.upper()}": str(value) for name, value in numbers.items()}
        command = [sys.executable, "-m", "pytest", "-n0", "-p", "no:cacheprovider", f"--junitxml={report}", *files]
        script = files[0].startswith("benchmarks/")
        if script:
            rows = rows.with_suffix(".csv")
            given = [word for name, value in numbers.items() for word in (f"--{name}", str(value))]
            command = [sys.executable, *files, "--out", str(rows), *given]
        start = time.monotonic()
        ended = subprocess.run(command, cwd=ROOT, env=place, check=False).returncode
        seconds = time.monotonic() - start
        found = _rows(rows)
        tests = list(_outcomes(report))
    return {
        **_where(),
        "seconds": round(seconds),
        "numbers": dict(numbers),
        "ended": ended,
        "failed": [row["test"] for row in tests if row["outcome"] == "failed"],
        "rows": [*found, *tests],
    }


def _rows(path: Path) -> list[dict[str, Any]]:
    """What tests recorded, or the rows of a script."""
    if not path.is_file():
        return []
    if path.suffix == ".csv":
        with path.open(encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def _outcomes(report: Path) -> Iterable[dict[str, str]]:
    from xml.etree import ElementTree

    if not report.is_file():  # pytest died
        return
    for case in ElementTree.parse(report).iter("testcase"):
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        name = f"{(case.get('classname') or '').replace('.', '/')}.py::{case.get('name')}"
        yield {"what": "test", "test": name[:160], "outcome": outcome}


def _where() -> dict[str, Any]:
    from gnnkit.training.environment import environment

    packages = ("numpy", "torch-geometric", "pyarrow", "h5py", "safetensors", "hypothesis")
    found = {**environment(), "system": platform.platform(terse=True), "threads": os.environ.get("OMP_NUM_THREADS", "")}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "none"
    return found


def page(measured: Mapping[str, Any]) -> str:
    """The page of what was measured."""
    lines = [
        "# Reliability",
        "",
        "Written by `make reliability` from `tests/reliability/rows.json`, which the same command writes; "
        "`make reliability ONLY=kills` measures one part anew. A part says where and when it was measured, and with "
        "which commit.",
    ]
    for name, part in PARTS.items():
        lines += ["", f"## {part.title}", ""]
        found = measured.get(name)
        if found is None:
            lines.append(f"Not measured yet: `make reliability ONLY={name}`.")
            continue
        lines += part.draw(found["rows"])
        asked = {key: value for key, value in found["numbers"].items() if part.whole and part.whole[key] != value}
        small = f" A small run: {', '.join(f'{key} {value}' for key, value in asked.items())}." if asked else ""
        failed = (
            f" **{len(found['failed'])} tests failed**: {', '.join(found['failed'][:5])}." if found["failed"] else ""
        )
        died = f" **pytest ended with {found['ended']}**." if found["ended"] not in (0, 1) else ""
        versions = ", ".join(
            f"{key} {found[key]}"
            for key in ("python", "torch", "torch-geometric", "numpy", "hypothesis")
            if key in found
        )
        lines += [
            "",
            f"Commit {found['commit']}, {found['date']}, {found['hardware']}, {found['cores']} cores, "
            f"OMP_NUM_THREADS={found['threads'] or 'unset'}, {versions}; {found['seconds']:,} s.{small}{failed}{died}",
        ]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Measure, write rows and page; the number of parts in which something failed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help=f"parts between commas: {', '.join(PARTS)}; none draws the page")
    parser.add_argument("--out", type=Path, default=PAGE, help="the page (tests/RELIABILITY.md)")
    parser.add_argument("--rows", type=Path, default=ROWS, help="what was measured (tests/reliability/rows.json)")
    for name, value in {key: value for part in PARTS.values() for key, value in (part.whole or {}).items()}.items():
        parser.add_argument(f"--{name}", type=int, default=value, help=f"{value}")
    given = parser.parse_args()
    chosen = [name for name in given.only.split(",") if name] or list(PARTS)
    unknown = [name for name in chosen if name not in (*PARTS, "none")]
    if unknown:
        parser.error(f"unknown part {unknown[0]!r}; choose from {', '.join(PARTS)}")
    measured = json.loads(given.rows.read_text(encoding="utf-8")) if given.rows.is_file() else {}
    failed = 0
    for name in chosen:
        if name == "none":
            continue
        numbers = {key: getattr(given, key) for key in PARTS[name].whole or {}}
        found = measure(PARTS[name], numbers)
        if found is None:
            print(f"{name}: this checkout has none of its tests")
            continue
        measured[name] = found
        failed += found["ended"] != 0
        given.rows.write_text(json.dumps(measured, indent=1) + "\n", encoding="utf-8")
        given.out.write_text(page(measured), encoding="utf-8")
    given.out.write_text(page(measured), encoding="utf-8")
    print(f"Page: {given.out}")
    return failed


if __name__ == "__main__":
    sys.exit(main())
