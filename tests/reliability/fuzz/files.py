"""People's files: texts of every kind, and bytes that were whole files before they were changed."""

from __future__ import annotations

import gzip
import io
import pickle
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse
import torch
from hypothesis import strategies as st

from gnnkit.compare import make_spec, read_spec
from gnnkit.compare.forecasts.read import read_forecasts
from gnnkit.data import load_triples, read_node_features, read_own, read_text, simulate_traffic
from gnnkit.data.edges import read_edges
from gnnkit.data.pandas_hdf5 import read_fixed_frame
from gnnkit.data.pickled_data import read_pickled
from gnnkit.data.saved_tensors import read_saved
from gnnkit.kept_files import read_json, write_json
from gnnkit.kept_tensors import load_tensors, save_tensors
from gnnkit.sequence import CharCodec
from tests.reliability.fuzz.harness import Target, silent_nan

__all__ = ["TARGETS", "mutated", "tables"]

_FOLDER = Path(tempfile.mkdtemp(prefix="fuzz-"))
_NASTY = (
    *("", "nan", "NA", "inf", "-inf", "1e400", "-1e400", "1e38", "3.5e38", "1e-45", "0", "-0", "1", "2", "3.14", "1,5"),
    *('"1"', "'", '"', '""', "a", "b", "é", "\u202e", "٣", "１", "½", "1_000", "0x10", "1e", "e", "+", "-", ".", " "),
    *("\t", "\x00", "\x0b", "\x1c", "\u2028", "\r", "2024-01-01", "2024-13-01", "2024-02-30", "01/02/2024", "24:61"),
    *("2024-W53", "2024-W60", "2015Q1", "2015Q5", "201501", "20150230", "12:30", "1700000000", "1700000000000", "-1"),
    *("9999-12-31", "0001-01-01", "10000-01-01", "2262-04-12", "now", "today", "NaT", "None", "#N/A", "May", "T10"),
    *("2024-01-01T00:00:00+25:00", "2024-03-31 02:30 Europe/Berlin", "1e5", "9" * 400, "=cmd()", "<script>", "true"),
    *("1.234,5", "1,234.5", "1 000", "1'000", "%", "5%", "$5", "\ud800", "-inf%", "\\", "{}", "[1]", "#", "//", "sep=;"),
)
_CELL = st.one_of(
    st.sampled_from(_NASTY),
    st.floats().map(repr),
    st.integers(-(10**20), 10**20).map(str),
    st.text(max_size=4),
)
_TIMES = st.sampled_from(
    ["", "", "2024-01-01 00:{:02d}", "2024-01-{:02d}", "{}", "170000{:04d}00", "2015-{:02d}", "20150{:03d}",
     "{:02d}/01/2024", "2015Q{}", "2015-W{:02d}", "{:02d}:00", "2024-01-01 {:02d}:00:00+01:00"]
)  # fmt: skip
_TITLES = ("time", "date", "", "index", "a", "year", "week", "x y", "0", "station", "node", "value", "lat", "lon", "month")


@st.composite
def tables(draw: Any, titles: tuple[str, ...] = tuple("abcdefg"), first: tuple[str, ...] = _TITLES) -> str:
    """The text of a table: mostly whole, with a few cells that are not, or are something else."""
    width, height = draw(st.integers(2, 5)), draw(st.integers(1, 25))
    separator, form = draw(st.sampled_from([",", ",", ";", "\t", "|"])), draw(_TIMES)
    rows: list[list[str]] = []
    if draw(st.booleans()):
        if draw(st.booleans()):
            rows.append([draw(st.sampled_from(first)), *titles[: width - 1]])
        else:
            names = st.sampled_from([*titles, "1", "2", "A"])
            rows.append([draw(st.sampled_from(first)), *(draw(names) for _ in range(width - 1))])
    for row in range(height):
        cells = [form.format(row + 1)] if form else []
        rows.append((cells + [f"{draw(st.floats(-100, 100)):.3f}" for _ in range(width)])[:width])
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 1, 2, 4]))):
        row = rows[draw(st.integers(0, len(rows) - 1))]
        place = draw(st.integers(0, len(row)))
        what = draw(st.integers(0, 12))
        if what == 0:
            row.insert(place, draw(_CELL))
        elif what == 1 and row:
            row.pop(min(place, len(row) - 1))
        elif row:
            row[min(place, len(row) - 1)] = draw(_CELL)
    ending = draw(st.sampled_from(["\n", "\n", "\n", "\r\n", "\r"]))
    return ending.join(separator.join(row) for row in rows) + draw(st.sampled_from(["", "\n", "\n\n"]))


@st.composite
def mutated(draw: Any, whole: bytes, most: int = 6) -> bytes:
    """Bytes of a file with bits flipped, parts cut out and put in, or cut off."""
    content = bytearray(whole)
    for _ in range(draw(st.integers(0, most))):
        if not content:
            break
        place, how = draw(st.integers(0, len(content) - 1)), draw(st.integers(0, 4))
        if how <= 1:
            content[place] ^= 1 << draw(st.integers(0, 7))
        elif how == 2:
            del content[place : place + draw(st.integers(1, 30))]
        elif how == 3:
            content[place:place] = draw(st.binary(min_size=1, max_size=8))
        else:
            content[place : place + 4] = draw(st.sampled_from([b"\xff" * 4, b"\0" * 4, b"\x7f\xff\xff\xff", b"\x80" * 4]))
    if draw(st.integers(0, 5)) == 0:
        content = content[: draw(st.integers(0, len(content)))]
    return bytes(content)


def _put(name: str, content: str | bytes) -> Path:
    path = _FOLDER / name
    path.write_bytes(content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content)
    return path


def _saved(write: Callable[[io.BytesIO], None]) -> bytes:
    buffer = io.BytesIO()
    write(buffer)
    return buffer.getvalue()


def _series(found: Any) -> None:
    assert not torch.isinf(found.values).any(), "infinite values"
    assert torch.isfinite(found.edge_weight).all(), "a weight that is not finite"
    assert not found.values[..., 0].isnan().all(), "nothing but NaN"
    assert found.edge_index.numel() == 0 or 0 <= int(found.edge_index.min()), "an edge below 0"
    assert found.edge_index.numel() == 0 or int(found.edge_index.max()) < found.num_nodes, "an edge of no node"
    assert len(set(found.node_names)) == found.num_nodes, "names that come twice"


# --- series ---

_TEXTS = st.one_of(tables(), tables(), tables(), st.text(max_size=60))
_GIVEN = st.fixed_dictionaries(
    {},
    optional={
        "header": st.sampled_from([None, True, False]),
        "step_minutes": st.sampled_from([5.0, 60, 0.0, -1.0, float("nan"), float("inf"), 1e300, 1e-300, True, "5"]),
        "season": st.sampled_from([1, 12, 0, -1, 10**9, 1.5, True, "day"]),
        "target": st.sampled_from([0, 1, -1, 99, "a", "b", "", "nowhere"]),
        "missing_values": st.sampled_from([(), (0,), ("x",), (float("nan"),), ("",), (-1, "1"), "0"]),
        "decimal": st.sampled_from([".", ",", ";", "", None]),
        "split": st.sampled_from([(0.7, 0.1, 0.2), (0, 0, 1), (1, 1, 1), (0.5, 0.5), (float("nan"),) * 3, (-1, 1, 1)]),
        "leave_out": st.sampled_from([(), ("a",), ("nowhere",), "a", ("time",)]),
        "time_column": st.sampled_from(["time", "a", "", "nowhere"]),
        "node_column": st.sampled_from(["station", "a", "nowhere"]),
        "graph_from": st.sampled_from(["correlation", "places", "x"]),
        "neighbours": st.sampled_from([1, 5, 0, -1, 10**9]),
        "known_ahead": st.sampled_from([(), ("a",), ("nowhere",)]),
        "strict": st.booleans(),
    },
)
_OPTIONS = st.one_of(st.just({}), st.just({}), _GIVEN)


def _csv(drawn: tuple[str, dict[str, Any]]) -> None:
    _series(read_own(_put("s.csv", drawn[0]), **drawn[1]))


def _packed(drawn: bytes) -> None:
    _series(read_own(_put("s.csv.gz", drawn)))


_VALUES = np.random.default_rng(0).normal(50, 5, size=(40, 3)).round(2)
_FRAME = pd.DataFrame(_VALUES, columns=list("abc"), index=pd.date_range("2024", periods=40, freq="5min"))
_NPZ = _saved(lambda file: np.savez(file, data=_VALUES))
_PARQUET = _saved(lambda file: _FRAME.to_parquet(file))
_CSV_GZ = gzip.compress(_FRAME.to_csv().encode(), mtime=0)
_BASE = _put("base.csv", "a,b,c\n" + "".join(f"{i},{i + 1},{i * 2 % 7}\n" for i in range(30)))
_TIMED = _put("timed.csv", _FRAME.to_csv())
_KINDS = ("f4", "f8", "f2", "i8", "i1", "u1", "?", "c8", "M8[s]", "S3", "U3", "V4", "O", ">f8")


@st.composite
def _arrays(draw: Any) -> np.ndarray:
    kind, shape = draw(st.sampled_from(_KINDS)), draw(st.lists(st.integers(0, 6), max_size=4))
    if kind in ("O", "M8[s]", "S3", "U3", "V4"):
        return np.zeros(shape, dtype=kind) if kind != "O" else np.empty(shape, dtype=object)
    array = (np.arange(int(np.prod(shape))).reshape(shape) % 7).astype(kind)
    if array.size and draw(st.booleans()) and array.dtype.kind == "f":
        array.flat[draw(st.integers(0, array.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 6e4, 0]))
    return array


def _npz_arrays(drawn: tuple[dict[str, np.ndarray], Any]) -> None:
    np.savez(_FOLDER / "s.npz", **drawn[0])  # pyright: ignore[reportArgumentType]
    _series(read_own(_FOLDER / "s.npz", target=drawn[1]))


def _in_memory(drawn: tuple[Any, Any]) -> None:
    _series(read_own(drawn[0], drawn[1]))


_ROWS = 12
_COLUMNS: dict[str, Callable[[], Any]] = {
    "f": lambda: np.random.default_rng(1).random(_ROWS),
    "i": lambda: np.arange(_ROWS),
    "date": lambda: pd.date_range("2024", periods=_ROWS),
    "text": lambda: list("abcdefghijkl"),
    "bool": lambda: [True] * _ROWS,
    "nan": lambda: [np.nan] * _ROWS,
    "inf": lambda: [np.inf] * _ROWS,
    "none": lambda: [None] * _ROWS,
    "category": lambda: pd.Categorical(list("abababababab")),
    "zone": lambda: pd.date_range("2024", periods=_ROWS, tz="Europe/Berlin"),
    "period": lambda: pd.period_range("2024", periods=_ROWS, freq="M"),
    "gaps": lambda: pd.array([1, None] * 6, dtype="Int64"),
    "list": lambda: [[1]] * _ROWS,
    "large": lambda: [10**18] * _ROWS,
    "delta": lambda: pd.timedelta_range("1h", periods=_ROWS),
    "complex": lambda: np.ones(_ROWS) * 1j,
}
_INDICES: dict[str, Callable[[], pd.Index]] = {
    "range": lambda: pd.RangeIndex(_ROWS),
    "times": lambda: pd.date_range("2024", periods=_ROWS, freq="h"),
    "text": lambda: pd.Index(list("abcdefghijkl")),
    "numbers": lambda: pd.Index(np.arange(_ROWS) * 3),
    "levels": lambda: pd.MultiIndex.from_arrays([list("aabbccddeeff"), range(_ROWS)], names=["node", "t"]),
    "float": lambda: pd.Index(np.linspace(0, 1, _ROWS)),
    "zone": lambda: pd.date_range("2024", periods=_ROWS, tz="UTC"),
    "twice": lambda: pd.Index([1] * _ROWS),
    "nat": lambda: pd.DatetimeIndex([pd.NaT] * _ROWS),
    "falling": lambda: pd.date_range("2024", periods=_ROWS, freq="h")[::-1],
}


@st.composite
def _frames(draw: Any) -> pd.DataFrame:
    names = st.one_of(st.sampled_from(["date", "time", "a", "b", "year", "node", ""]), st.integers(0, 3), st.none())
    kinds = draw(st.dictionaries(names, st.sampled_from(sorted(_COLUMNS)), max_size=4))
    frame = pd.DataFrame({name: _COLUMNS[kind]() for name, kind in kinds.items()}, index=range(_ROWS))
    frame.index = _INDICES[draw(st.sampled_from(sorted(_INDICES)))]()
    if draw(st.integers(0, 9)) == 0 and frame.shape[1] > 1:
        frame.columns = [*frame.columns[:-1], frame.columns[0]]
    return frame.iloc[: draw(st.sampled_from([_ROWS, _ROWS, 3, 1, 0]))]


# --- graphs, places, covariates ---

_NODE = st.sampled_from(["a", "b", "c", "0", "1", "2", "3", "-1", "d", "", "9" * 30, "1.0", "１"])


@st.composite
def _graph_text(draw: Any) -> str:
    if draw(st.booleans()):
        rows = [[draw(st.sampled_from(["0", "1", "0.5"])) for _ in range(3)] for _ in range(3)]
        if draw(st.booleans()):
            rows.insert(0, [*draw(st.sampled_from(["abc", "cab", "012", "abd", "aab"]))])
        if draw(st.booleans()):
            rows = [[name, *row] for name, row in zip(["", "a", "b", "c"], rows, strict=False)]
    else:
        heads = st.sampled_from([["source", "target", "weight"], ["from", "to"], ["a", "b", "distance"]])
        rows = [draw(heads)] if draw(st.booleans()) else []
        weight = st.sampled_from(["1", "0", "0.5", "-1", "nan", "inf", "", "1e400", "x", "1e-300", "1e38"])
        rows += [[draw(_NODE), draw(_NODE), draw(weight)] for _ in range(draw(st.integers(0, 5)))]
    for _ in range(draw(st.integers(0, 2))):
        if rows:
            row = rows[draw(st.integers(0, len(rows) - 1))]
            row[draw(st.integers(0, len(row) - 1))] = draw(_CELL)
    separator = draw(st.sampled_from([",", ",", ";", "\t"]))
    return "\n".join(separator.join(row) for row in rows) + draw(st.sampled_from(["", "\n"]))


def _graph_csv(drawn: tuple[str, str, Any]) -> None:
    text, form, weights = drawn
    _series(read_own(_BASE, _put("g.csv", text), graph_format=form, graph_weights=weights))


def _edges(drawn: tuple[str, bool]) -> None:
    graph = read_edges(_put("e.csv", drawn[0]), undirected=drawn[1])
    assert torch.isfinite(graph.edge_weight).all(), "a weight that is not finite"
    assert int(graph.edge_index.min()) >= 0, "an edge below 0"
    assert int(graph.edge_index.max()) < graph.num_nodes, "an edge of no node"


_GRAPH = _saved(lambda file: np.savez(file, edge_index=np.array([[0, 1], [1, 2]]), edge_weight=np.ones(2)))
_SPARSE = _saved(lambda file: scipy.sparse.save_npz(file, scipy.sparse.csr_matrix(np.eye(3))))


def _graph_bytes(drawn: bytes) -> None:
    _series(read_own(_BASE, _put("g.npz", drawn)))


@st.composite
def _sparse_parts(draw: Any) -> dict[str, np.ndarray]:
    wild = st.lists(st.integers(-5, 5) | st.integers(-(2**40), 2**40), max_size=6)
    form = draw(st.sampled_from(["csr", "csc", "coo", "bsr", "dia", "lil", ""]))
    index, pointer = draw(wild), draw(st.lists(st.integers(-3, 6) | st.integers(0, 10**6), min_size=3, max_size=5))
    size = draw(st.sampled_from([len(index), len(index), 3, 0]))
    parts = {"format": np.array(form.encode()), "shape": np.array(draw(st.sampled_from([[3, 3], [3], [-3, 3], [3, 4]])))}
    parts |= {"data": np.ones(size), "indices": np.array(index, dtype=np.int64), "indptr": np.array(pointer)}
    return parts | {name: np.array(index, dtype=np.int64) for name in ("row", "col", "offsets")}


def _graph_sparse(drawn: dict[str, np.ndarray]) -> None:
    np.savez(_FOLDER / "p.npz", **drawn)  # pyright: ignore[reportArgumentType]
    _series(read_own(_BASE, _FOLDER / "p.npz"))


@st.composite
def _place_text(draw: Any) -> str:
    heads = draw(st.sampled_from([["node", "lat", "lon"], ["id", "x", "y"], ["name", "latitude", "longitude"], []]))
    number = st.one_of(st.floats(-200, 200).map(lambda x: f"{x:.4f}"), st.sampled_from(["nan", "", "inf", "1e400", "x"]))
    plain = st.floats(-80, 80).map(lambda x: f"{x:.4f}")
    rows = [[name, draw(plain), draw(plain)] for name in draw(st.permutations(list("abc")))]
    for _ in range(draw(st.integers(0, 3))):
        row = rows[draw(st.integers(0, 2))]
        row[draw(st.integers(0, 2))] = draw(st.one_of(number, _NODE, _CELL))
    return "\n".join(",".join(row) for row in ([heads, *rows] if heads else rows)) + "\n"


def _places(drawn: tuple[str, Any, Any]) -> None:
    text, unit, neighbours = drawn
    _series(read_own(_BASE, places=_put("p.csv", text), places_unit=unit, neighbours=neighbours))


def _covariates(drawn: tuple[str, Any]) -> None:
    _series(read_own(_TIMED, covariates=_put("c.csv", drawn[0]), known_ahead=drawn[1], strict=False))


def _node_features(drawn: str) -> None:
    silent_nan(read_node_features(_put("f.csv", drawn), ["a", "b", "c"]), "features")


# --- forecasts, specs, texts ---

_TRAFFIC = simulate_traffic(num_nodes=3, days=1)


def _forecast_csv(drawn: str) -> None:
    read_forecasts(_put("f.csv", drawn), "theirs", _TRAFFIC)


@st.composite
def _forecast_arrays(draw: Any) -> dict[str, Any]:
    found: dict[str, Any] = {draw(st.sampled_from(["forecasts", "x"])): draw(_arrays())}
    for name in draw(st.sets(st.sampled_from(["origins", "nodes", "quantiles", "levels", "seeds", "y"]), max_size=3)):
        found[name] = draw(
            st.one_of(
                _arrays(), st.lists(st.integers(-2, 400), max_size=5).map(np.array),
                st.lists(st.floats(), max_size=3).map(np.array), st.just(np.array(_TRAFFIC.node_names)),
            )
        )  # fmt: skip
    if draw(st.booleans()):
        found["forecasts"] = np.ones((draw(st.integers(1, 3)), 2, 3))
    return found


def _forecast_npz(drawn: dict[str, Any]) -> None:
    np.savez(_FOLDER / "f.npz", **drawn)
    read_forecasts(_FOLDER / "f.npz", "theirs", _TRAFFIC)


_SPEC = """data = "simulated"
horizons = [3, 6]
models = ["lstm", "tgcn"]
seeds = [0, 1]
epochs = 3
split = [0.7, 0.1, 0.2]
learning_rate = 0.01
ablate_graph = "all"
train_shares = [0.5]
[settings.tgcn]
layers = 1
"""
_TOML = st.sampled_from(
    ["1", "-1", "0", "1.5", "nan", "inf", "-inf", "1e400", '"x"', '""', "true", "[]", "[1]", '["a"]', "{}", "{a=1}",
     "2024-01-01", "12:00:00", "9" * 30, "0x10", "[[1]]", '"\\u0000"', '"<script>"', "[0.1,0.2,0.7]", '"all"', "1_000",
     "+1", '"../../etc/passwd"', "[nan]", "[1,1]", "[true]", '["gru"]', '"gru"', '[[["gru"]]]', "1e308"]
)  # fmt: skip
_FIELDS = list(make_spec().__class__.model_fields)


@st.composite
def _specs(draw: Any) -> str:
    lines = _SPEC.splitlines()
    names = st.sampled_from([*_FIELDS, "foo", "settings.gru.dropout", "settings.x.y", "data_options.z", "search.gru.x"])
    for _ in range(draw(st.integers(1, 4))):
        what, place = draw(st.integers(0, 3)), draw(st.integers(0, len(lines) - 1))
        if what == 0:
            lines.insert(place, f"{draw(names)} = {draw(_TOML)}")
        elif what == 1:
            lines[place] = f"{lines[place].split('=')[0]}= {draw(_TOML)}"
        elif what == 2 and len(lines) > 1:
            del lines[place]
        else:
            lines[place] += draw(st.text(max_size=5))
    return "\n".join(lines)


def _spec(drawn: str) -> None:
    read_spec(_put("spec.toml", drawn))


def _spec_fields(drawn: dict[str, Any]) -> None:
    make_spec(**drawn)


_PYTHON = st.one_of(
    st.sampled_from(
        [None, True, False, 0, 1, -1, 2, 3, 10**9, 0.5, float("nan"), float("inf"), "", "gru", "all", "x", b"x", [], [1],
         ["gru"], ["gru", "gru"], [0.5], {}, {"gru": {}}, {"gru": {"dropout": 2}}, (), [[]], [None], object, "1", "0.5"]
    ),
    st.integers(-5, 20), st.floats(), st.text(max_size=4), st.lists(st.integers(-2, 5), max_size=3),
)  # fmt: skip


def _triples(drawn: tuple[str, bool, bool]) -> None:
    load_triples(_put("t.txt", drawn[0]), symmetric=drawn[1], strict=drawn[2])


def _codec(drawn: tuple[str, str, str | None]) -> None:
    codec = CharCodec.from_text(drawn[0])
    assert codec.decode(codec.encode(drawn[0])) == drawn[0], "the text does not come back"
    codec.decode(codec.encode(drawn[1], replacement=drawn[2]))


_ENCODINGS = ("utf-8", "latin-1", "utf-16", "ascii", "hex", "rot13", "base64", "idna", "punycode", "unicode_escape",
              "undefined", "x", "", "utf-7", "cp1252", "zlib", "\0")  # fmt: skip


def _text(drawn: tuple[bytes, str]) -> None:
    read_text(_put("b.txt", drawn[0]), encoding=drawn[1])


# --- what gnnkit and others keep ---


def _pickles() -> list[bytes]:
    made = [{0: [1], 1: [0, 5]}, np.arange(6).reshape(2, 3), scipy.sparse.csr_matrix(np.eye(3)), {"a": np.ones(2)}]
    return [pickle.dumps(each, protocol=protocol) for each in made for protocol in (2, 3, 5)]


def _pickled(drawn: bytes) -> None:
    try:
        read_pickled(drawn)
    except NameError as error:
        assert len(str(error).splitlines()) <= 1, "a name of several lines"


_PT = _saved(lambda file: torch.save({"train": torch.arange(3), "valid": np.arange(2), "test": np.arange(1)}, file))


def _hdf5() -> bytes:
    path = _FOLDER / "made.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        group.create_dataset("axis0", data=np.array([b"1", b"2"]))
        group.create_dataset("axis1", data=np.arange(10) * 300 * 10**9).attrs["kind"] = "datetime64"
        group.create_dataset("block0_items", data=np.array([b"1", b"2"]))
        group.create_dataset("block0_values", data=np.random.default_rng(0).random((10, 2)))
    return path.read_bytes()


@st.composite
def _hdf5_parts(draw: Any) -> dict[str, Any]:
    one = st.one_of(
        _arrays().filter(lambda each: each.dtype.kind not in "OUM"), st.just(np.array([b"1", b"2"])),
        st.just(np.arange(3)), st.just(np.ones((3, 2))),
    )  # fmt: skip
    names = ["axis0", "axis1", "block0_items", "block0_values", "block1_values"]
    found = {"axis0": np.array([b"1", b"2"]), "axis1": np.arange(3), "block0_items": np.array([b"1", b"2"])}
    found["block0_values"] = np.ones((3, 2))
    found |= draw(st.dictionaries(st.sampled_from(names), one, max_size=2))
    kinds = st.sampled_from(["datetime64", "datetime64[s]", "datetime64[x]", "string", "", "integer", b"\xff", 3])
    for name in draw(st.sets(st.sampled_from(sorted(found)), max_size=1)):
        del found[name]
    return {"parts": found, "kind": draw(kinds), "soft": draw(st.booleans()) and draw(st.booleans())}


def _fixed_frame(drawn: dict[str, Any]) -> None:
    path = _FOLDER / "parts.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        for name, value in drawn["parts"].items():
            group.create_dataset(name, data=value).attrs["kind"] = drawn["kind"]
        if drawn["soft"]:
            group["block0_extra"] = h5py.ExternalLink("/etc/passwd", "/")
    read_fixed_frame(path)


def _kept_tensors() -> bytes:
    path = _FOLDER / "made.safetensors"
    save_tensors(path, {"x": torch.arange(4.0), "y": torch.ones(2, 2)}, {"step": 3})
    return path.read_bytes()


def _kept_json() -> bytes:
    write_json(_FOLDER / "made.json", {"a": [1, 2.5, None], "b": {"c": "é"}})
    return (_FOLDER / "made.json").read_bytes()


def _tensors(drawn: bytes) -> None:
    record, tensors = load_tensors(_put("k.safetensors", drawn))
    assert record == {"step": 3}, "another record"
    assert tensors["x"].tolist() == [0, 1, 2, 3], "other tensors"


def _json(drawn: bytes) -> None:
    found = read_json(_put("k.json", drawn), dict)
    assert found == {"a": [1, 2.5, None], "b": {"c": "é"}} or "checksum" not in str(drawn), "another document"


def _hdf5_bytes(drawn: bytes) -> None:
    read_fixed_frame(_put("m.h5", drawn))


def _parquet_frames(drawn: pd.DataFrame) -> None:
    drawn = drawn.copy()
    drawn.columns = [str(name) for name in drawn.columns]
    try:
        drawn.to_parquet(_FOLDER / "f.parquet")
    except (ValueError, TypeError, NotImplementedError, pa.ArrowException):
        return  # pandas does not write it
    _series(read_own(_FOLDER / "f.parquet"))


_FLAG = st.booleans()
TARGETS = [
    Target("read_own: CSV", st.tuples(_TEXTS, _OPTIONS), _csv, share=4),
    Target("read_own: gzip", mutated(_CSV_GZ), _packed),
    Target("read_own: NPZ, bytes", mutated(_NPZ), lambda drawn: _series(read_own(_put("b.npz", drawn)))),
    Target(
        "read_own: NPZ, arrays",
        st.tuples(
            st.dictionaries(st.sampled_from(["data", "x", "y", "a/b", ".."]), _arrays(), max_size=3),
            st.sampled_from([None, 0, 1, -1]),
        ),
        _npz_arrays,
    ),
    Target("read_own: Parquet, bytes", mutated(_PARQUET), lambda drawn: _series(read_own(_put("b.parquet", drawn)))),
    Target("read_own: Parquet, frames", _frames(), _parquet_frames),
    Target("read_own: in memory", st.tuples(st.one_of(_frames(), _arrays()), st.one_of(st.none(), _arrays())), _in_memory),
    Target(
        "graph: CSV",
        st.tuples(_graph_text(), st.sampled_from(["auto", "auto", "matrix", "edges", "x"]),
                  st.sampled_from([None, None, "similarity", "distance", "x"])),
        _graph_csv, share=2,
    ),
    Target("graph: NPZ, bytes", st.one_of(mutated(_GRAPH), mutated(_SPARSE)), _graph_bytes),
    Target("graph: sparse parts", _sparse_parts(), _graph_sparse),
    Target("read_edges", st.tuples(st.one_of(_graph_text(), _TEXTS), _FLAG), _edges, share=2),
    Target(
        "places",
        st.tuples(_place_text(), st.sampled_from([None, None, "degrees", "m", "km", "x"]),
                  st.sampled_from([None, None, 1, 2, 0, -1, 99])),
        _places,
    ),
    Target(
        "covariates",
        st.tuples(
            st.one_of(tables(titles=("a", "b", "rain")), st.just(_FRAME.to_csv())),
            st.sampled_from([(), ("rain",), ("a",)]),
        ),
        _covariates,
    ),
    Target("node features", st.one_of(tables(first=("node", "a", "")), _place_text()), _node_features),
    Target(
        "forecasts: CSV",
        tables(titles=("origin", "step", "node", "forecast", "time", "low", "high", "seed"), first=("origin", "time")),
        _forecast_csv,
    ),
    Target("forecasts: NPZ", _forecast_arrays(), _forecast_npz),
    Target("spec: TOML", st.one_of(_specs(), _specs(), st.text(max_size=60)), _spec, share=2),
    Target("spec: fields", st.dictionaries(st.sampled_from(_FIELDS), _PYTHON, max_size=3), _spec_fields, share=2),
    Target(
        "triples",
        st.tuples(st.text(alphabet=st.sampled_from('ab01\t \n\r"\u2028é\x00-'), max_size=80), _FLAG, _FLAG), _triples,
    ),
    Target(
        "character codec",
        st.tuples(st.text(max_size=50), st.text(max_size=50), st.one_of(st.none(), st.text(max_size=2))), _codec,
    ),
    Target("text", st.tuples(st.binary(max_size=60), st.sampled_from(_ENCODINGS)), _text),
    Target("pickled data", st.one_of(*[mutated(each) for each in _pickles()]), _pickled, share=2),
    Target("saved tensors", mutated(_PT, most=3), lambda drawn: read_saved(_put("s.pt", drawn))),
    Target("HDF5, parts", _hdf5_parts(), _fixed_frame),
    Target("HDF5, bytes", mutated(_hdf5(), most=2), _hdf5_bytes),
    Target("kept tensors", mutated(_kept_tensors()), _tensors),
    Target("kept JSON", mutated(_kept_json()), _json),
]  # fmt: skip
