"""The quick look as an object: it says, tabulates, shows and keeps what it found."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Self

import pandas as pd
from pydantic import TypeAdapter

from gnnkit.compare.neighbours.record import Neighbours
from gnnkit.compare.neighbours.section import METHOD, neighbours_section
from gnnkit.kept_files import check_folder, read_json, write_json, write_text
from gnnkit.report.markdown import sections_document
from gnnkit.report.sections import Section

__all__ = ["FILES", "Quick", "check_place"]

FILES = ("quick.json", "quick.csv", "quick.md")
"""What a folder of one may hold."""


def check_place(folder: str | Path) -> Path:
    """Refuse a folder that holds something else.

    Raises:
        ValueError: as `Quick.save`.
    """
    folder = check_folder(folder)
    foreign = sorted(path.name for path in folder.iterdir() if path.name not in FILES) if folder.is_dir() else []
    if foreign:
        raise ValueError(f"out: {folder} holds other files ({foreign[0]}); give a new or an empty folder")
    return folder


@dataclass(frozen=True, kw_only=True)
class Quick:
    """What `gnnkit quick` found.

    Args:
        found: the rows.
        facts: of the data: name, unit, step, season, rows, nodes, edges, history, horizons, confidence.
        inferred: sentences on what was inferred about the data.
        environment: versions, hardware, threads, commit, date, `data_hash` and `wall_seconds`.
    """

    found: Neighbours
    facts: dict[str, Any]
    inferred: list[str]
    environment: dict[str, Any]

    @property
    def kind(self) -> str:
        """The answer in a word: "graph", "nodes", "harms", "no", "open" or "too-few"; "some" where horizons differ."""
        return self.found.kind

    def verdict(self, horizon: int | None = None) -> str:
        """The answer in a sentence or two.

        Args:
            horizon: steps ahead; None (default): over all that were scored.

        Raises:
            ValueError: a horizon that was not scored.
        """
        if horizon is None:
            return f"{self.found.sentence} {self.found.left_sentence}".strip()
        for answer in self.found.answers:
            if answer.horizon == horizon:
                return answer.sentence
        raise ValueError(f"horizon is {horizon}; choose one of {', '.join(map(str, self.facts['horizons']))}")

    def table(self) -> pd.DataFrame:
        """A row a horizon: MAE without edges, with the given and with shuffled graphs, and the tests between them.

        Returns:
            Indexed by steps ahead, errors in the data's unit: `none`, `given`, `shuffled`; then `difference`, `low`,
            `high`, `p`, `clear` and `detectable` of the given graph against no edges, and the same with `_shuffled`
            behind them against the shuffled graphs; `kind` is the answer.
        """
        rows = []
        for answer in self.found.answers:
            none = self.found.gain(answer.horizon, "none")
            row: dict[str, Any] = {"horizon": answer.horizon, "none": none.other, "given": none.mae, "shuffled": None}
            gains = [("", none)]
            if self.found.has(answer.horizon, "shuffled"):
                shuffled = self.found.gain(answer.horizon, "shuffled")
                row["shuffled"] = shuffled.other
                gains.append(("_shuffled", shuffled))
            for behind, gain in gains:
                row |= {f"{name}{behind}": getattr(gain, name) for name in _COLUMNS}
            rows.append(row | {"kind": answer.kind})
        return pd.DataFrame(rows).set_index("horizon")

    def left(self) -> pd.DataFrame:
        """What is left in the errors one step ahead: a row a model and part (`gnnkit.statistics.whiteness`)."""
        return pd.DataFrame([dataclasses.asdict(each) for each in self.found.left])

    def section(self) -> Section:
        """The part of a report."""
        words = {name: self.facts[name] for name in ("unit", "step", "confidence")}
        return neighbours_section(self.found, **words)

    def save(self, folder: str | Path, *, markdown: bool = False) -> Path:
        """Write `quick.json`, which `load` reads, and the table as `quick.csv`.

        Args:
            folder: made where it is missing; a former quick look in it is replaced.
            markdown: True writes a page, `quick.md`, too (default False).

        Returns:
            The folder.

        Raises:
            ValueError: the folder holds something else, or cannot be written.
        """
        folder = check_place(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_json(folder / "quick.json", {"gnnkit_quick": 1, **dataclasses.asdict(self)})
        write_text(folder / "quick.csv", self.table().to_csv(lineterminator="\n"))
        if markdown:
            write_text(folder / "quick.md", self.markdown())
        else:
            (folder / "quick.md").unlink(missing_ok=True)
        return folder

    @classmethod
    def load(cls, folder: str | Path) -> Self:
        """Read what `save` wrote.

        Raises:
            FileNotFoundError: it is not there.
            ValueError: it is damaged, or something else.
        """
        path = Path(folder) / "quick.json"
        document = read_json(path)
        if not isinstance(document, dict) or document.pop("gnnkit_quick", None) != 1:
            raise ValueError(f"{path} was not written by `gnnkit quick`; give a folder that it wrote")
        document["found"] = TypeAdapter(Neighbours).validate_python(document["found"])
        return cls(**document)

    def markdown(self) -> str:
        """A page of it."""
        bullets = (METHOD, *self.inferred)
        place = self.environment
        made = {name: str(place[name]) for name in ("gnnkit", "commit", "hardware", "torch", "date") if name in place}
        made["seconds"] = f"{place['wall_seconds']:.1f}"
        closing = Section("how", "How this was made", bullets=bullets, facts=tuple(made.items()))
        return sections_document(f"Quick look: {self.facts['name']}", self.found.sentence, [self.section(), closing])

    def __repr__(self) -> str:
        return f"Quick({self.facts['name']}: {self.found.sentence})"

    def _repr_html_(self) -> str:
        table: Any = self.table()
        return f"<p>{escape(self.verdict())}</p>{table.to_html(float_format='{:.4g}'.format)}"


_COLUMNS = ("difference", "low", "high", "p", "clear", "detectable")
