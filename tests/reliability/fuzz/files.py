"""People's files of series, graphs, places and covariates."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import scipy.sparse
import torch
from hypothesis import strategies as st

from gnnkit.data import read_node_features, read_own
from gnnkit.data.edges import read_edges
from tests.reliability.fuzz.drawn import CELL, FOLDER, arrays, mutated, put, saved, tables
from tests.reliability.fuzz.harness import Target, silent_nan

__all__ = ["TARGETS"]


def _series(found: Any) -> None:
    assert not torch.isinf(found.values).any(), "infinite values"
    assert torch.isfinite(found.edge_weight).all(), "a weight that is not finite"
    assert not found.values[..., 0].isnan().all(), "nothing but NaN"
    assert found.edge_index.numel() == 0 or int(found.edge_index.min()) >= 0, "an edge below 0"
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
    _series(read_own(put("s.csv", drawn[0]), **drawn[1]))


def _packed(drawn: bytes) -> None:
    _series(read_own(put("s.csv.gz", drawn)))


_VALUES = np.random.default_rng(0).normal(50, 5, size=(40, 3)).round(2)
_FRAME = pd.DataFrame(_VALUES, columns=list("abc"), index=pd.date_range("2024", periods=40, freq="5min"))
_NPZ = saved(lambda file: np.savez(file, data=_VALUES))
_PARQUET = saved(lambda file: _FRAME.to_parquet(file))
_CSV_GZ = gzip.compress(_FRAME.to_csv().encode(), mtime=0)
_BASE = put("base.csv", "a,b,c\n" + "".join(f"{i},{i + 1},{i * 2 % 7}\n" for i in range(30)))
_TIMED = put("timed.csv", _FRAME.to_csv())


def _npz_arrays(drawn: tuple[dict[str, np.ndarray], Any]) -> None:
    np.savez(FOLDER / "s.npz", **drawn[0])  # pyright: ignore[reportArgumentType]
    _series(read_own(FOLDER / "s.npz", target=drawn[1]))


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
            row[draw(st.integers(0, len(row) - 1))] = draw(CELL)
    separator = draw(st.sampled_from([",", ",", ";", "\t"]))
    return "\n".join(separator.join(row) for row in rows) + draw(st.sampled_from(["", "\n"]))


def _graph_csv(drawn: tuple[str, str, Any]) -> None:
    text, form, weights = drawn
    _series(read_own(_BASE, put("g.csv", text), graph_format=form, graph_weights=weights))


def _edges(drawn: tuple[str, bool]) -> None:
    graph = read_edges(put("e.csv", drawn[0]), undirected=drawn[1])
    assert torch.isfinite(graph.edge_weight).all(), "a weight that is not finite"
    assert int(graph.edge_index.min()) >= 0, "an edge below 0"
    assert int(graph.edge_index.max()) < graph.num_nodes, "an edge of no node"


_GRAPH = saved(lambda file: np.savez(file, edge_index=np.array([[0, 1], [1, 2]]), edge_weight=np.ones(2)))
_SPARSE = saved(lambda file: scipy.sparse.save_npz(file, scipy.sparse.csr_matrix(np.eye(3))))


def _graph_bytes(drawn: bytes) -> None:
    _series(read_own(_BASE, put("g.npz", drawn)))


@st.composite
def _sparse_parts(draw: Any) -> dict[str, np.ndarray]:
    wild = st.lists(st.integers(-5, 5) | st.integers(-(2**40), 2**40), max_size=6)
    form = draw(st.sampled_from(["csr", "csc", "coo", "bsr", "dia", "lil", ""]))
    index, pointer = draw(wild), draw(st.lists(st.integers(-3, 6) | st.integers(0, 10**6), min_size=3, max_size=5))
    size = draw(st.sampled_from([len(index), len(index), 3, 0]))
    parts = {
        "format": np.array(form.encode()),
        "shape": np.array(draw(st.sampled_from([[3, 3], [3], [-3, 3], [3, 4]]))),
    }
    parts |= {"data": np.ones(size), "indices": np.array(index, dtype=np.int64), "indptr": np.array(pointer)}
    return parts | {name: np.array(index, dtype=np.int64) for name in ("row", "col", "offsets")}


def _graph_sparse(drawn: dict[str, np.ndarray]) -> None:
    np.savez(FOLDER / "p.npz", **drawn)  # pyright: ignore[reportArgumentType]
    _series(read_own(_BASE, FOLDER / "p.npz"))


@st.composite
def _place_text(draw: Any) -> str:
    heads = draw(st.sampled_from([["node", "lat", "lon"], ["id", "x", "y"], ["name", "latitude", "longitude"], []]))
    number = st.one_of(
        st.floats(-200, 200).map(lambda x: f"{x:.4f}"), st.sampled_from(["nan", "", "inf", "1e400", "x"])
    )
    plain = st.floats(-80, 80).map(lambda x: f"{x:.4f}")
    rows = [[name, draw(plain), draw(plain)] for name in draw(st.permutations(list("abc")))]
    for _ in range(draw(st.integers(0, 3))):
        row = rows[draw(st.integers(0, 2))]
        row[draw(st.integers(0, 2))] = draw(st.one_of(number, _NODE, CELL))
    return "\n".join(",".join(row) for row in ([heads, *rows] if heads else rows)) + "\n"


def _places(drawn: tuple[str, Any, Any]) -> None:
    text, unit, neighbours = drawn
    _series(read_own(_BASE, places=put("p.csv", text), places_unit=unit, neighbours=neighbours))


def _covariates(drawn: tuple[str, Any]) -> None:
    _series(read_own(_TIMED, covariates=put("c.csv", drawn[0]), known_ahead=drawn[1], strict=False))


def _node_features(drawn: str) -> None:
    silent_nan(read_node_features(put("f.csv", drawn), ["a", "b", "c"]), "features")


def _parquet_frames(drawn: pd.DataFrame) -> None:
    drawn = drawn.copy()
    drawn.columns = [str(name) for name in drawn.columns]
    try:
        drawn.to_parquet(FOLDER / "f.parquet")
    except (ValueError, TypeError, NotImplementedError, pa.ArrowException):
        return  # pandas does not write it
    _series(read_own(FOLDER / "f.parquet"))


_FLAG = st.booleans()
TARGETS = [
    Target("read_own: CSV", st.tuples(_TEXTS, _OPTIONS), _csv, share=4),
    Target("read_own: gzip", mutated(_CSV_GZ), _packed),
    Target("read_own: NPZ, bytes", mutated(_NPZ), lambda drawn: _series(read_own(put("b.npz", drawn)))),
    Target(
        "read_own: NPZ, arrays",
        st.tuples(
            st.dictionaries(st.sampled_from(["data", "x", "y", "a/b", ".."]), arrays(), max_size=3),
            st.sampled_from([None, 0, 1, -1]),
        ),
        _npz_arrays,
    ),
    Target("read_own: Parquet, bytes", mutated(_PARQUET), lambda drawn: _series(read_own(put("b.parquet", drawn)))),
    Target("read_own: Parquet, frames", _frames(), _parquet_frames),
    Target(
        "read_own: in memory", st.tuples(st.one_of(_frames(), arrays()), st.one_of(st.none(), arrays())), _in_memory
    ),
    Target(
        "graph: CSV",
        st.tuples(
            _graph_text(),
            st.sampled_from(["auto", "auto", "matrix", "edges", "x"]),
            st.sampled_from([None, None, "similarity", "distance", "x"]),
        ),
        _graph_csv,
        share=2,
    ),
    Target("graph: NPZ, bytes", st.one_of(mutated(_GRAPH), mutated(_SPARSE)), _graph_bytes),
    Target("graph: sparse parts", _sparse_parts(), _graph_sparse),
    Target("read_edges", st.tuples(st.one_of(_graph_text(), _TEXTS), _FLAG), _edges, share=2),
    Target(
        "places",
        st.tuples(
            _place_text(),
            st.sampled_from([None, None, "degrees", "m", "km", "x"]),
            st.sampled_from([None, None, 1, 2, 0, -1, 99]),
        ),
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
]
