"""Run the cases that once failed, each in a process of its own, and print what they say as JSON.

    PYTHONPATH=CHECKOUT python tests/cases/run_cases.py CASES               what the checkout's code says today
    PYTHONPATH=OLD python tests/cases/run_cases.py CASES > before.json      what an older checkout said

CASES is the folder with layers/, data/ and reliability/. Everything is imported once; each case is a fork of that
process, so that a crash is an exit code like any other.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable
from functools import partial
from pathlib import Path

SECONDS = 240
"""After which a case counts as hanging."""

LINES = 60
"""Kept of what a case prints."""

OPTIONS = ["--models", "gru,gcn", "--epochs", "2", "--seeds", "1", "--resamples", "200", "--out", "x"]


def find_cases(root: Path) -> dict[str, Callable[[], None]]:
    """Name → what is run in the case's process, in a scratch folder."""
    found: dict[str, Callable[[], None]] = {}
    for path in sorted((root / "layers").iterdir()):
        found[path.stem] = partial(_script, path)
    for folder in sorted(path for path in (root / "data").iterdir() if path.is_dir()):
        found[folder.name] = partial(_comparison, folder)
    for path in sorted((root / "reliability" / "sparse_npz").glob("*.npz")):
        found[f"npz_{path.stem}"] = partial(_npz, path)
    found["numba_race"] = partial(_race, root / "reliability" / "numba_race" / "race.py")
    return found


def _script(path: Path) -> None:
    if path.suffix == ".sh":
        code = subprocess.run(["bash", str(path), _checkout()], check=False).returncode
        raise SystemExit(code)
    warnings.simplefilter("ignore", UserWarning)  # torch's own, of what the scripts do
    runpy.run_path(str(path), run_name="__main__")


def _gnnkit(*words: str) -> None:
    from gnnkit.cli import main

    sys.argv = ["gnnkit", *words]
    main()


def _comparison(folder: Path) -> None:
    """`gnnkit compare` on the case's files, or the case's own script."""
    if (folder / "try.py").is_file():
        runpy.run_path(str(folder / "try.py"), run_name="__main__")
        return
    if (folder / "make.py").is_file():
        runpy.run_path(str(folder / "make.py"), run_name="__main__")
        folder = Path.cwd()
        words = [*OPTIONS, "--epochs", "8", "--step-minutes", "60"]
    else:
        words = OPTIONS
    graph = folder / "graph.csv"
    _gnnkit("compare", "--series", str(folder / "series.csv"), *(["--graph", str(graph)] * graph.is_file()), *words)


def _npz(path: Path) -> None:
    _gnnkit("compare", "--series", str(path.parent / "s.csv"), "--graph", str(path), "--step-minutes", "5", *OPTIONS)


def _race(path: Path) -> None:
    Path("work/p").mkdir(parents=True)
    raise SystemExit(subprocess.run([sys.executable, str(path)], check=False).returncode)


def run_case(run: Callable[[], None], root: Path) -> dict[str, object]:
    """The last lines of what a case printed, and its exit code (a signal's name where one ended it)."""
    with tempfile.TemporaryDirectory() as scratch:
        said = Path(scratch) / ".said"
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            os.setsid()
            code = 1
            with said.open("w") as file:
                os.dup2(file.fileno(), 1)
                os.dup2(file.fileno(), 2)
                os.chdir(scratch)
                try:
                    run()
                    code = 0
                except SystemExit as end:
                    code = end.code if isinstance(end.code, int) else int(end.code is not None)
                except BaseException:
                    traceback.print_exc()
                sys.stdout.flush()
                sys.stderr.flush()
            os._exit(code)
        status = _wait(child)
        ended = os.waitstatus_to_exitcode(status) if status is not None else None
        text = re.sub(r"\x1b\[[0-9;]*m", "", said.read_text(encoding="utf-8", errors="replace"))
        exit_code = "hung" if ended is None else signal.Signals(-ended).name if ended < 0 else ended
        for path, name in ((scratch, "SCRATCH"), (str(root), "CASES"), (_checkout(), "CHECKOUT")):
            text = text.replace(path, name)
        return {"exit": exit_code, "said": "\n".join(text.strip().splitlines()[-LINES:])}


def _checkout() -> str:
    """The folder of the gnnkit that is run."""
    return str(Path(sys.modules["gnnkit"].__file__ or "").parents[1])


def _wait(child: int) -> int | None:
    end = time.monotonic() + SECONDS
    while time.monotonic() < end:
        pid, status = os.waitpid(child, os.WNOHANG)
        if pid:
            return status
        time.sleep(0.01)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return None


def main() -> None:
    root = Path(sys.argv[1]).resolve()
    only = sys.argv[2:]
    os.environ["OMP_NUM_THREADS"] = "1"
    os.environ["COLUMNS"] = "100"
    import torch_geometric.nn  # noqa: F401

    import gnnkit.cli
    import gnnkit.layers  # noqa: F401

    found = find_cases(root)
    chosen = {name: run for name, run in found.items() if not only or name in only}
    results = {name: run_case(run, root) for name, run in chosen.items()}
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
