"""Fuzzes targets by name and prints what it finds: `python -m tests.reliability.fuzz.run CASES [NAME …]`."""

from __future__ import annotations

import faulthandler
import sys
import tempfile
import time
from pathlib import Path

from tests.reliability.fuzz.harness import fuzz
from tests.reliability.fuzz.targets import TARGETS, shares

if __name__ == "__main__":
    faulthandler.enable()
    cases, names = int(sys.argv[1]), sys.argv[2:]
    log = Path(tempfile.mkdtemp()) / "case"
    print(log)
    for target, count in shares(cases, [each for each in TARGETS if not names or any(n in each.name for n in names)]):
        start = time.process_time()
        found = fuzz(target, count, seed=int(time.time()) if len(sys.argv) < 0 else 1, log=log)
        seconds = time.process_time() - start
        print(f"{target.name}: {found.cases} cases, {found.right} right, {found.refused} refused, {seconds:.1f} s, "
              f"slowest {found.slowest:.2f} s", flush=True)  # fmt: skip
        for fault in found.faults.values():
            print(f"  FAULT {fault.what}\n     {fault.input[:600]}\n     {fault.text[:300]}", flush=True)
