"""The polypharmacy graph of Decagon: drugs, proteins, and which side effects two drugs have together."""

from __future__ import annotations

import contextlib
import errno
import gzip
import hashlib
import json
import tempfile
import warnings
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet
import torch
from torch import Tensor

from gnnkit._user_cache import user_cache
from gnnkit.data.arrays import check_ids
from gnnkit.data.files import data_places
from gnnkit.data.packed import check_gzip
from gnnkit.data.relations import Triples

__all__ = ["DECAGON_FILES", "DecagonData", "load_decagon"]

SOURCE = "snap.stanford.edu/decagon"
#: Table -> its columns in the Stanford release; the file is bio-decagon-TABLE.csv, gzipped or not.
DECAGON_FILES: Mapping[str, tuple[str, ...]] = {
    "combo": ("STITCH 1", "STITCH 2", "Polypharmacy Side Effect", "Side Effect Name"),
    "mono": ("STITCH", "Individual Side Effect", "Side Effect Name"),
    "targets": ("STITCH", "Gene"),
    "ppi": ("Gene 1", "Gene 2"),
}
_LAYOUT = 2  # of the cache
_COPY = ("meta.json", *(f"{table}.parquet" for table in DECAGON_FILES))
_SUMS = "sha256.json"


@dataclass(frozen=True, eq=False)
class DecagonData:
    """The graph, in numbers.

    `pairs` are the drug pairs of each side effect; `left_out` counts bad rows, by file and reason.

    Shape:
        interactions `[2, P]` (proteins, each pair once), targets `[2, T]` (drug, protein), single_effects `[2, M]`
        (drug, effect of the drug alone).
    """

    pairs: Triples
    proteins: tuple[str, ...]
    single_effect_names: tuple[str, ...]
    interactions: Tensor
    targets: Tensor
    single_effects: Tensor
    left_out: dict[str, dict[str, int]]


def load_decagon(
    root: str | Path | None = None, *, min_pairs: int = 500, strict: bool = False, cache: str | Path | None = None
) -> DecagonData:
    """Read the four tables of the Stanford release, once: the second time a Parquet copy of the numbers is read.

    Args:
        root: Folder with `bio-decagon-{combo,mono,targets,ppi}.csv`, gzipped or not, or the folder around `decagon/`;
            default: `decagon` in the folder that the environment variable GNNKIT_DATA names.
        min_pairs: Side effects of fewer drug pairs are left out. Default 500, as in the paper.
        strict: True refuses bad rows, which are else left out and counted. Default False.
        cache: Folder of the copies; default: `gnnkit/decagon` in the user's cache. A copy is known by the SHA-256 of
            the files, and read as long as its own are right; where it is damaged or cannot be written, a warning says
            so, and the tables are read.

    Returns:
        The data. Drugs are those of `combo`, proteins those of `ppi`; rows are left out as `incomplete` (an empty
        cell), `malformed` (not as many cells as the header), `unknown drug`, `unknown protein`, `duplicate` (in either
        direction) or `self-pair`. Published are 645 drugs and 1317 side effects, of which 963 have 500 pairs or more;
        the paper counts 964: the next one has 498, and its pairs make up the difference between 4,576,287 and the
        paper's 4,576,785.

    Raises:
        FileNotFoundError: A file is not there.
        ValueError: A column is missing, a file is damaged, no side effect is left, or, with `strict`, a row is bad.

    Source:
        Zitnik, Agrawal & Leskovec (2018), snap.stanford.edu/decagon.
    """
    if min_pairs < 1:
        raise ValueError(f"min_pairs={min_pairs}: give a number of drug pairs of at least 1")
    files = _files(root)
    content = _cached(files, Path(cache) if cache is not None else None)
    meta, left_out = content.meta, content.meta["left_out"]
    bad = [f"{n} {why} in {name}" for name, counts in left_out.items() for why, n in counts.items() if n]
    if strict and bad:
        raise ValueError(f"{files['combo'].parent}: {', '.join(bad)}; mend the files, or leave strict out")
    every = Triples(
        "decagon", tuple(meta["drugs"]), tuple(meta["effects"]), content.table("combo"), True, tuple(meta["titles"])
    )
    frequent = (every.counts >= min_pairs).nonzero().flatten()
    if not frequent.numel():
        raise ValueError(
            f"min_pairs={min_pairs}: no side effect has as many drug pairs, the most are {int(every.counts.max())}"
        )
    return DecagonData(
        every.keep_relations(frequent),
        tuple(meta["proteins"]),
        tuple(meta["single"]),
        content.table("ppi"),
        content.table("targets"),
        content.table("mono"),
        left_out,
    )


@dataclass(frozen=True)
class _Content:
    meta: dict[str, Any]
    tables: dict[str, np.ndarray]

    def table(self, name: str) -> Tensor:
        return torch.from_numpy(self.tables[name].astype(np.int64))


def _files(root: str | Path | None) -> dict[str, Path]:
    places = data_places("decagon", root)
    found = {}
    for table in DECAGON_FILES:
        names = [folder / f"bio-decagon-{table}.csv{ending}" for folder in places for ending in (".gz", "")]
        there = [name for name in names if name.is_file()]
        if not there:
            raise FileNotFoundError(
                f"decagon: {names[0]} is not there; put the four tables of {SOURCE} there, or set GNNKIT_DATA"
            )
        found[table] = there[0]
    return found


def _cached(files: dict[str, Path], cache: Path | None) -> _Content:
    key = hashlib.sha256(str(_LAYOUT).encode())
    for file in files.values():
        key.update(hashlib.sha256(file.read_bytes()).digest())
    try:
        folder = (cache if cache is not None else user_cache() / "decagon") / key.hexdigest()[:16]
    except FileNotFoundError as error:
        content = _parse(files)
        _say(f"no copy of the tables can be kept ({error})")
        return content
    if folder.exists():
        try:
            return _read_copy(folder)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            _say(f"{folder}: the copy of the tables is damaged ({_first_line(error)})")
    content = _parse(files)
    try:
        _write_copy(content, folder)
    except OSError as error:
        _say(f"{folder}: no copy of the tables can be kept ({_first_line(error)})")
    return content


def _read_copy(folder: Path) -> _Content:
    """Read a copy, once its bytes are those that were written."""
    blobs = {name: (folder / name).read_bytes() for name in _COPY}
    for name, digest in json.loads((folder / _SUMS).read_bytes()).items():
        if hashlib.sha256(blobs.pop(name)).hexdigest() != digest:
            raise ValueError(f"the checksum of {name} is wrong")
    if blobs:
        raise ValueError(f"{_SUMS} lacks {', '.join(blobs)}")
    meta = json.loads((folder / "meta.json").read_text(encoding="utf-8"))
    read = {name: parquet.read_table(folder / f"{name}.parquet") for name in DECAGON_FILES}
    tables = {name: np.stack([c.to_numpy() for c in table.columns]) for name, table in read.items()}
    drugs, effects, proteins, single = (len(meta[names]) for names in ("drugs", "effects", "proteins", "single"))
    counts = {"combo": (drugs, effects, drugs), "mono": (drugs, single), "targets": (drugs, proteins)}
    for name, rows in (counts | {"ppi": (proteins, proteins)}).items():
        for number, (ids, count) in enumerate(zip(tables[name], rows, strict=True)):
            check_ids(ids, count, f"{name}.parquet, column {number}", of="names")
    return _Content(meta, tables)


def _write_copy(content: _Content, folder: Path) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    # Written aside and renamed: a run that is cut off leaves no copy that looks whole.
    with tempfile.TemporaryDirectory(dir=folder.parent) as aside:
        part = Path(aside) / "part"
        part.mkdir()
        for name, values in content.tables.items():
            columns = {str(i): pa.array(row) for i, row in enumerate(values)}
            parquet.write_table(pa.table(columns), part / f"{name}.parquet", compression="zstd")
        (part / "meta.json").write_text(json.dumps(content.meta), encoding="utf-8")
        sums = {name: hashlib.sha256((part / name).read_bytes()).hexdigest() for name in _COPY}
        (part / _SUMS).write_text(json.dumps(sums), encoding="utf-8")
        with contextlib.suppress(FileNotFoundError):
            folder.rename(Path(aside) / "damaged")
        try:
            part.rename(folder)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOTEMPTY):  # another process was quicker: it wrote the same
                raise


def _say(what: str) -> None:
    warnings.warn(f"{what}: they are read from their CSV files", RuntimeWarning, stacklevel=2)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]


class _Columns:
    """A table's text columns as codes, and the counts of its bad rows."""

    def __init__(self, table: str, file: Path) -> None:
        names = DECAGON_FILES[table]
        self.bad: dict[str, int] = {"malformed": 0}

        def skip(row: Any) -> str:
            self.bad["malformed"] += 1
            return "skip"

        text = pa.dictionary(pa.int32(), pa.string())
        if file.suffix == ".gz":
            check_gzip(file)
        try:
            read = csv.read_csv(
                file,
                parse_options=csv.ParseOptions(invalid_row_handler=skip),
                convert_options=csv.ConvertOptions(column_types=dict.fromkeys(names, text)),
            )
        except (pa.ArrowInvalid, OSError, EOFError) as error:
            raise ValueError(f"{file}: {_damage(file, error)}; fetch the file anew from {SOURCE}") from None
        missing = [name for name in names if name not in read.column_names]
        if missing:
            raise ValueError(
                f"{file}: no column {', '.join(map(repr, missing))}; its columns are "
                f"{', '.join(map(repr, read.column_names))}, wanted are {', '.join(map(repr, names))}"
            )
        self.codes, self.words = [], []
        for name in names:
            column = read[name].unify_dictionaries().combine_chunks()
            self.codes.append(np.asarray(column.indices.fill_null(-1)).astype(np.int64))
            self.words.append(column.dictionary.to_pylist())
        self.good = np.ones(read.num_rows, dtype=bool)
        empty = np.zeros(read.num_rows, dtype=bool)
        for codes, words in zip(self.codes, self.words, strict=True):
            empty |= np.append(np.array([word.strip() == "" for word in words], dtype=bool), True)[codes]
        self.drop("incomplete", empty)

    def drop(self, why: str, rows: np.ndarray) -> None:
        """Leave rows out; a row counts once, for the first reason."""
        rows = rows & self.good
        self.bad[why] = int(rows.sum())
        self.good &= ~rows

    def numbers(self, column: int, known: dict[str, int]) -> np.ndarray:
        """A column as numbers, -1 for a name that is not known."""
        look = np.array([known.get(word.strip(), -1) for word in self.words[column]] + [-1], dtype=np.int64)
        return look[self.codes[column]]

    def names(self, *columns: int) -> list[str]:
        """The names in the good rows of some columns, sorted."""
        found: set[str] = set()
        for column in columns:
            used = np.unique(self.codes[column][self.good])
            found.update(self.words[column][code].strip() for code in used)
        return sorted(found)

    def drop_duplicates(self, *keys: np.ndarray) -> None:
        rows = np.stack(keys)
        key = np.zeros(rows.shape[1], dtype=np.int64)
        for row in rows:
            key = key * (int(row.max(initial=0)) + 1) + np.maximum(row, 0)
        places = np.flatnonzero(self.good)
        again = np.ones(len(self.good), dtype=bool)
        again[places[np.unique(key[places], return_index=True)[1]]] = False
        self.drop("duplicate", again)


def _parse(files: dict[str, Path]) -> _Content:
    combo, mono, targets, ppi = (_Columns(table, files[table]) for table in DECAGON_FILES)
    drugs, effects = combo.names(0, 1), combo.names(2)
    drug, effect = _index(drugs), _index(effects)
    first, second, kind = combo.numbers(0, drug), combo.numbers(1, drug), combo.numbers(2, effect)
    low, high = np.minimum(first, second), np.maximum(first, second)
    combo.drop("self-pair", low == high)
    combo.drop_duplicates(kind, low, high)
    order = np.lexsort((high, low, kind))
    order = order[combo.good[order]]
    titles = np.array(effects, dtype=object)
    titles[kind[combo.good]] = np.array([*combo.words[3], ""], dtype=object)[combo.codes[3][combo.good]]

    proteins = ppi.names(0, 1)
    protein = _index(proteins)
    a, b = ppi.numbers(0, protein), ppi.numbers(1, protein)
    ppi.drop("self-pair", a == b)
    ppi.drop_duplicates(np.minimum(a, b), np.maximum(a, b))
    treated, aimed = targets.numbers(0, drug), targets.numbers(1, protein)
    targets.drop("unknown drug", treated < 0)
    targets.drop("unknown protein", aimed < 0)
    targets.drop_duplicates(treated, aimed)
    taken = mono.numbers(0, drug)
    mono.drop("unknown drug", taken < 0)
    single = mono.names(1)
    alone = mono.numbers(1, _index(single))
    mono.drop_duplicates(taken, alone)
    tables = {
        "combo": np.stack([low, kind, high])[:, order],
        "mono": np.stack([taken, alone])[:, mono.good],
        "targets": np.stack([treated, aimed])[:, targets.good],
        "ppi": np.stack([np.minimum(a, b), np.maximum(a, b)])[:, ppi.good],
    }
    meta = {
        "drugs": drugs,
        "effects": effects,
        "titles": titles.tolist(),
        "proteins": proteins,
        "single": single,
        "left_out": {name: table.bad for name, table in zip(DECAGON_FILES, (combo, mono, targets, ppi), strict=True)},
    }
    return _Content(meta, {name: values.astype(np.int32) for name, values in tables.items()})


def _index(names: list[str]) -> dict[str, int]:
    return {name: i for i, name in enumerate(names)}


def _damage(file: Path, error: Exception) -> str:
    """What is wrong with a file that could not be read: its gzip, or its text."""
    if file.suffix == ".gz":
        try:
            with gzip.open(file) as stream:
                while stream.read(1 << 20):
                    pass
        except (OSError, EOFError, zlib.error) as damage:
            return f"the gzip is damaged ({damage})"
    return f"not a CSV table ({str(error).splitlines()[0]})"
