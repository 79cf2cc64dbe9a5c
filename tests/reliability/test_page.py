"""The page of what was measured: figures of rows, and nothing where nothing was run."""

import pytest

from tests.reliability.page import PARTS, ROOT, page

WHERE = {"commit": "abc", "date": "2026-01-01", "hardware": "a CPU", "cores": 2, "threads": "1", "seconds": 1234,
         "numbers": {}, "ended": 0, "failed": [], "python": "3.11", "torch": "2"}  # fmt: skip
KILL = {"what": "kill", "verb": "train", "exact": True}
FUZZ = {"what": "fuzz", "target": "a|b", "cases": 7, "right": 3, "refused": 3, "slowest": 0.5, "faults": ["KeyError"]}

DAMAGE = {"what": "damage", "kind": "k", "variants": 30, "noticed": 29, "harmless": 1}
EXPORT = {"model": "m", "format": "onnx", "draws": "8"}
SERVED = {"model": "stid", "nodes": "9", "clients": "50", "seconds": "30.01", "requests": "900", "errors": "0",
          "p50_seconds": "0.012", "p99_seconds": "0.02", "model_step_seconds": "0.001"}  # fmt: skip


def test_a_part_that_was_not_run_says_so():
    text = page({})
    for name in PARTS:
        assert f"Not measured yet: `make reliability ONLY={name}`." in text


def test_figures_are_those_of_the_rows():
    rows = [KILL, KILL, {**KILL, "exact": False, "verb": "text"}]
    text = page({"kills": {**WHERE, "rows": rows, "numbers": {"kills": 3}, "failed": ["t"], "ended": 1}})
    assert "3 runs got a SIGKILL at a random moment; the same command, given again, ended 2 times with" in text
    assert "| train | 2 | 2 |" in text
    assert "| text | 1 | 0 |" in text
    assert "Commit abc, 2026-01-01, a CPU, 2 cores, OMP_NUM_THREADS=1, python 3.11, torch 2; 1,234 s." in text
    assert "A small run: kills 3. **1 tests failed**: t." in text


@pytest.mark.parametrize(
    ("part", "row", "line"),
    [
        ("fuzz", FUZZ, "| a\\|b | 7 | 3 | 3 | 0.5 | KeyError |"),
        ("damage", DAMAGE, "| k | 30 | 29 | 1 |"),
        ("planted", {"what": "planted", "name": "n", "pickles": 123, "ran": 0}, "| n | 123 | 0 |"),
        ("workers", {"what": "test", "test": "t", "outcome": "passed"}, "1 of 1 tests passed."),
        ("requests", SERVED, "| stid, 9 nodes | 50 | 30 | 900 | 0 | 12.0 | 20.0 | 1.0 |"),
        ("exports", {**EXPORT, "refused": "", "largest_difference": "1e-07"}, "| m, onnx | 8 | 1e-07 |"),
        ("exports", {**EXPORT, "refused": "no"}, "| m, onnx | 0 | no |"),
    ],
)  # fmt: skip
def test_each_part_is_drawn(part, row, line):
    text = page({part: {**WHERE, "rows": [row], "ended": -11}})
    assert line in text
    assert "**pytest ended with -11**" in text


def test_the_files_of_the_parts_that_are_here_are_there():
    for name in ("kills", "damage", "fuzz", "planted", "workers", "requests", "exports"):
        assert (ROOT / PARTS[name].files[0]).is_file()
