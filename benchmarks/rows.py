"""Results of long runs as rows of a file: written one run at a time, so that a run that was cut off goes on."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pandas as pd
import torch

from gnnkit.report.markdown import markdown_table
from gnnkit.training.environment import environment

__all__ = ["DATA", "HERE", "RESULTS", "WORK", "Rows", "table_of"]

HERE = Path(__file__).resolve().parent
RESULTS = HERE / "results"
#: Folder of runs that go on where they were cut off.
WORK = HERE.parent / "runs"
if (HERE.parent.parent / "shared" / "data").is_dir():
    os.environ.setdefault("GNNKIT_DATA", str(HERE.parent.parent / "shared" / "data"))
#: Folder of the published data: GNNKIT_DATA, or the one beside the checkout. gnnkit's loaders look there themselves.
DATA: Path | None = Path(os.environ["GNNKIT_DATA"]) if os.environ.get("GNNKIT_DATA") else None


class Rows:
    """A file of rows that grows by whole runs, of this process and of others beside it.

    Args:
        path: the file, `.csv`, or `.parquet` for many rows; it and its folder are made when they are missing.
        key: the columns that say which run a row is of.
        device: what is computed on, for the columns that say with what a figure was measured.
    """

    def __init__(self, path: Path, key: list[str], device: str) -> None:
        self.path, self.key, self.facts = path, key, environment(torch.device(device))
        self._read()

    def _read(self) -> None:
        read = pd.read_parquet if self.path.suffix == ".parquet" else pd.read_csv
        self.table = read(self.path) if self.path.is_file() else pd.DataFrame(columns=self.key)
        self.done = {self._run(values) for values in self.table[self.key].itertuples(index=False)}

    def has(self, **run: Any) -> bool:
        """Whether this run has its rows already."""
        return self._run(run[name] for name in self.key) in self.done

    def add(self, rows: list[dict[str, Any]], **run: Any) -> None:
        """Put a run's rows, in place of those that it had, beside all others: written aside first, then renamed."""
        fresh = pd.DataFrame([run | row | self.facts for row in rows])
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self.path):
            self._read()
            mine = self._run(run[name] for name in self.key)
            others = self.table[[self._run(row) != mine for row in self.table[self.key].itertuples(index=False)]]
            self.table = fresh if others.empty else pd.concat([others, fresh], ignore_index=True)
            self.done.add(mine)
            part = self.path.with_suffix(".part")
            if self.path.suffix == ".parquet":
                self.table.to_parquet(part, index=False)
            else:
                self.table.to_csv(part, index=False, float_format="%.6g")
            part.replace(self.path)

    @staticmethod
    def _run(values: Iterable[Any]) -> tuple[str, ...]:
        return tuple(map(_text, values))


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes from writing meanwhile; the lock is a file beside it, for the file itself is replaced."""
    with path.parent.joinpath(f".{path.stem}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def table_of(rows: Iterable[Any], columns: Mapping[str, Callable[[Any], str]]) -> str:
    """A Markdown table with a line a row; each head stands with what makes its cell from a row."""
    return markdown_table(list(columns), [[cell(row) for cell in columns.values()] for row in rows])


def _text(value: Any) -> str:
    """A value as it comes back from the file, whatever it was before."""
    try:
        return f"{float(value):.6g}"
    except (TypeError, ValueError):
        return str(value)
