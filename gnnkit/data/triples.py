"""Knowledge graphs from text files: a triple a line, head, relation and tail, by names or by numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from gnnkit.data.relations import Triples, TripleSplit, split_by_relation
from gnnkit.data.tables import existing_file

__all__ = ["LoadedTriples", "load_triples"]

_PARTS = {"train": ("train",), "valid": ("valid", "val", "dev"), "test": ("test",)}
_ENDINGS = (".txt", ".tsv", "")


class LoadedTriples(NamedTuple):
    """Links and their split, and how many rows were left out, by the reason."""

    triples: Triples
    split: TripleSplit
    left_out: dict[str, int]


def load_triples(path: str | Path, *, symmetric: bool = False, strict: bool = False, seed: int = 0) -> LoadedTriples:
    """Read a knowledge graph: a folder with train, valid and test (as WN18RR, FB15k-237, UMLS, Kinship), or one file.

    A line holds head, relation and tail, between tabs, or blanks where there is no tab. Entities and relations are
    numbered by their names in sorted order; where all names are whole numbers, in the order of the numbers.

    Args:
        path: The folder, or one file, which is split 80/10/10 a relation.
        symmetric: Whether a link holds in both directions: (a, r, b) and (b, r, a) are the same then. Default False.
        strict: True refuses bad rows, which are else left out and counted. Default False.
        seed: Of the split of one file. Default 0.

    Returns:
        The graph, its split and the counts of rows that were left out: `malformed` (not three cells), `duplicate`
        (stands there before, in any part: the first counts), and `self-pair` where links are symmetric.

    Raises:
        FileNotFoundError: A file is missing.
        ValueError: No row is good, or, with `strict`, one is bad.
    """
    path = Path(path)
    files = {part: _find(path, part) for part in _PARTS} if path.is_dir() else {"all": existing_file(path, "triples")}
    frames, left_out = [], {"malformed": 0, "duplicate": 0, "self-pair": 0}
    for part, file in files.items():
        rows, bad = _read(file)
        left_out["malformed"] += bad
        frames.append(rows.assign(part=part))
    table = pd.concat(frames, ignore_index=True)
    entities, ends = _number(pd.concat([table["head"], table["tail"]]))
    relations, kinds = _number(table["relation"])
    head, tail = ends[: len(table)], ends[len(table) :]
    if symmetric:
        head, tail = np.minimum(head, tail), np.maximum(head, tail)
    own = (head == tail) & symmetric
    again = pd.DataFrame({"head": head, "relation": kinds, "tail": tail}).duplicated().to_numpy() & ~own
    left_out["self-pair"], left_out["duplicate"] = int(own.sum()), int(again.sum())
    bad = ", ".join(f"{count} {why} rows" for why, count in left_out.items() if count)
    if strict and bad:
        raise ValueError(f"{path}: {bad}; mend the files, or leave strict out to read the other rows")
    good = ~(own | again)
    if not good.any():
        raise ValueError(f"{path}: no row holds head, relation and tail between tabs")
    links = torch.from_numpy(np.stack([head, kinds, tail])[:, good].astype(np.int64))
    triples = Triples(path.stem, entities, relations, links, symmetric)
    if "all" in files:
        return LoadedTriples(triples, split_by_relation(triples, seed=seed), left_out)
    part = table["part"].to_numpy()[good]
    split = TripleSplit(*(links[:, torch.from_numpy(part == which)] for which in files))
    return LoadedTriples(triples, split, left_out)


def _find(folder: Path, part: str) -> Path:
    for stem in _PARTS[part]:
        for ending in _ENDINGS:
            if (folder / f"{stem}{ending}").is_file():
                return folder / f"{stem}{ending}"
    raise FileNotFoundError(f"{folder}: no {part}.txt; a knowledge graph's folder holds train.txt, valid.txt, test.txt")


def _read(file: Path) -> tuple[pd.DataFrame, int]:
    try:
        lines = file.read_text(encoding="utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{file}: not a text file in UTF-8 ({error.reason} at byte {error.start})") from None
    lines = [line for line in lines if line.strip()]
    tabs = any("\t" in line for line in lines[:10])
    cells = [[cell.strip() for cell in (line.split("\t") if tabs else line.split())] for line in lines]
    good = [row for row in cells if len(row) == 3 and all(row)]
    return pd.DataFrame(good, columns=["head", "relation", "tail"], dtype=object), len(cells) - len(good)


def _number(names: Any) -> tuple[tuple[str, ...], np.ndarray]:
    codes, found = pd.factorize(names)
    whole = all(str(name).lstrip("-").isdigit() for name in found)
    order = sorted(range(len(found)), key=lambda i: int(found[i]) if whole else found[i])
    place = np.empty(len(found), dtype=np.int64)
    place[order] = np.arange(len(found))
    return tuple(str(found[i]) for i in order), place[codes]
