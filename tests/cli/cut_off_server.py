"""Runs commands in forks of a process that has imported all and computed nothing, and kills them at a write.

A line in, `{"words": [...], "out": "...", "kill_at": n or null, "limit": bytes of a file, or null}`; a line out,
`[exit code, writes]`.
"""

import importlib
import json
import os
import resource
import sys

KILLED = 77
_IMPORTED = (
    *("gnnkit.cli", "gnnkit.compare", "gnnkit.compare.pool", "gnnkit.forecasting", "gnnkit.studies.text.training"),
    *(
        "gnnkit.studies.nodes.training",
        "gnnkit.studies.graphs.study",
        "gnnkit.studies.relations.training",
        "gnnkit.studies.combinations.report",
    ),
    *("gnnkit.studies.relations.fitted", "gnnkit.studies.combinations.study", "lightning.fabric", "torch._dynamo"),
    *("matplotlib.figure", "matplotlib.backends.backend_agg", "jinja2", "pyarrow.parquet"),
)


def main() -> None:
    for name in _IMPORTED:
        importlib.import_module(name)
    for line in sys.stdin:
        asked = json.loads(line)
        counted, told = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(counted)
            _run(asked, told)
        os.close(told)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        with os.fdopen(counted, "rb") as pipe:
            print(json.dumps([code, int(pipe.read() or 0)]), flush=True)


def _run(asked: dict, told: int) -> None:
    out, kill_at, code, writes = asked["out"], asked["kill_at"], 99, 0

    def watch(event: str, arguments: tuple) -> None:
        nonlocal writes
        if event == "open":
            path, _, flags = arguments
            if isinstance(path, int) or not flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                return
            paths = [path]
        elif event in ("os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree"):
            paths = arguments[:2] if event == "os.rename" else arguments[:1]
        else:
            return
        if any(os.path.abspath(os.fsdecode(path)).startswith(out) for path in paths):
            writes += 1
            if writes == kill_at:
                os._exit(KILLED)

    try:
        null, log = os.open(os.devnull, os.O_RDWR), os.open(f"{out}.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for number, place in ((0, null), (1, null), (2, log)):
            os.dup2(place, number)
        sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
        sys.addaudithook(watch)
        if asked["limit"] is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (asked["limit"], asked["limit"]))
        from gnnkit.cli import main as command
        from gnnkit.training import snapshot

        # At every step: one of every half a minute would not be met.
        snapshot.Snapshots.due = lambda self: True  # pyright: ignore[reportAttributeAccessIssue]
        try:
            command([*asked["words"], "--out", out])
        except SystemExit as left:
            code = int(left.code or 0)
        sys.stderr.flush()
        os.write(told, str(writes).encode())
    finally:
        os._exit(code)


if __name__ == "__main__":
    main()
