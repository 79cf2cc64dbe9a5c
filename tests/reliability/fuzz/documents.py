"""Forecasts made elsewhere, specs, texts, and what gnnkit and others keep."""

from __future__ import annotations

import pickle
from typing import Any

import h5py
import numpy as np
import scipy.sparse
import torch
from hypothesis import strategies as st

from gnnkit.compare import make_spec, read_spec
from gnnkit.compare.forecasts.read import read_forecasts
from gnnkit.data import load_triples, read_text, simulate_traffic
from gnnkit.data.pandas_hdf5 import read_fixed_frame
from gnnkit.data.pickled_data import read_pickled
from gnnkit.data.saved_tensors import read_saved
from gnnkit.kept_files import read_json, write_json
from gnnkit.kept_tensors import load_tensors, save_tensors
from gnnkit.sequence import CharCodec
from tests.reliability.fuzz.drawn import FOLDER, arrays, mutated, put, saved, tables
from tests.reliability.fuzz.harness import Target

__all__ = ["TARGETS"]

# --- forecasts, specs, texts ---

_TRAFFIC = simulate_traffic(num_nodes=3, days=1)


_WHOLE = (
    b"origin,step,node,forecast\n"
    + "".join(
        f"{origin},{step},{node},{60 + step}\n"
        for origin in (20, 21)
        for step in (1, 2)
        for node in _TRAFFIC.node_names
    ).encode()
)


def _forecast_csv(drawn: str) -> None:
    read_forecasts(put("f.csv", drawn), "theirs", _TRAFFIC)


@st.composite
def _forecast_arrays(draw: Any) -> dict[str, Any]:
    found: dict[str, Any] = {draw(st.sampled_from(["forecasts", "x"])): draw(arrays())}
    for name in draw(st.sets(st.sampled_from(["origins", "nodes", "quantiles", "levels", "seeds", "y"]), max_size=3)):
        found[name] = draw(
            st.one_of(
                arrays(),
                st.lists(st.integers(-2, 400), max_size=5).map(np.array),
                st.lists(st.floats(), max_size=3).map(np.array),
                st.just(np.array(_TRAFFIC.node_names)),
            )
        )
    if draw(st.booleans()):
        found["forecasts"] = np.ones((draw(st.integers(1, 3)), 2, 3))
    return found


def _forecast_npz(drawn: dict[str, Any]) -> None:
    np.savez(FOLDER / "f.npz", **drawn)
    read_forecasts(FOLDER / "f.npz", "theirs", _TRAFFIC)


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
    [
        "1",
        "-1",
        "0",
        "1.5",
        "nan",
        "inf",
        "-inf",
        "1e400",
        '"x"',
        '""',
        "true",
        "[]",
        "[1]",
        '["a"]',
        "{}",
        "{a=1}",
        "2024-01-01",
        "12:00:00",
        "9" * 30,
        "0x10",
        "[[1]]",
        '"\\u0000"',
        '"<script>"',
        "[0.1,0.2,0.7]",
        '"all"',
        "1_000",
        "+1",
        '"../../etc/passwd"',
        "[nan]",
        "[1,1]",
        "[true]",
        '["gru"]',
        '"gru"',
        '[[["gru"]]]',
        "1e308",
    ]
)
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
    read_spec(put("spec.toml", drawn))


def _spec_fields(drawn: dict[str, Any]) -> None:
    make_spec(**drawn)


_PYTHON = st.one_of(
    st.sampled_from(
        [
            None,
            True,
            False,
            0,
            1,
            -1,
            2,
            3,
            10**9,
            0.5,
            float("nan"),
            float("inf"),
            "",
            "gru",
            "all",
            "x",
            b"x",
            [],
            [1],
            ["gru"],
            ["gru", "gru"],
            [0.5],
            {},
            {"gru": {}},
            {"gru": {"dropout": 2}},
            (),
            [[]],
            [None],
            object,
            "1",
            "0.5",
        ]
    ),
    st.integers(-5, 20),
    st.floats(),
    st.text(max_size=4),
    st.lists(st.integers(-2, 5), max_size=3),
)


def _triples(drawn: tuple[str, bool, bool]) -> None:
    load_triples(put("t.txt", drawn[0]), symmetric=drawn[1], strict=drawn[2])


def _codec(drawn: tuple[str, str, str | None]) -> None:
    codec = CharCodec.from_text(drawn[0])
    assert codec.decode(codec.encode(drawn[0])) == drawn[0], "the text does not come back"
    codec.decode(codec.encode(drawn[1], replacement=drawn[2]))


_ENCODINGS = (
    "utf-8",
    "latin-1",
    "utf-16",
    "ascii",
    "hex",
    "rot13",
    "base64",
    "idna",
    "punycode",
    "unicode_escape",
    "undefined",
    "x",
    "",
    "utf-7",
    "cp1252",
    "zlib",
    "\0",
)


def _text(drawn: tuple[bytes, str]) -> None:
    read_text(put("b.txt", drawn[0]), encoding=drawn[1])


# --- what gnnkit and others keep ---


def _pickles() -> list[bytes]:
    made = [{0: [1], 1: [0, 5]}, np.arange(6).reshape(2, 3), scipy.sparse.csr_matrix(np.eye(3)), {"a": np.ones(2)}]
    return [pickle.dumps(each, protocol=protocol) for each in made for protocol in (2, 3, 5)]


def _pickled(drawn: bytes) -> None:
    try:
        read_pickled(drawn)
    except NameError as error:
        raise ValueError(str(error)) from None


_PT = saved(lambda file: torch.save({"train": torch.arange(3), "valid": np.arange(2), "test": np.arange(1)}, file))


def _hdf5() -> bytes:
    path = FOLDER / "made.h5"
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
        arrays().filter(lambda each: each.dtype.kind not in "OUM"),
        st.just(np.array([b"1", b"2"])),
        st.just(np.arange(3)),
        st.just(np.ones((3, 2))),
    )
    names = ["axis0", "axis1", "block0_items", "block0_values", "block1_values"]
    found = {"axis0": np.array([b"1", b"2"]), "axis1": np.arange(3), "block0_items": np.array([b"1", b"2"])}
    found["block0_values"] = np.ones((3, 2))
    found |= draw(st.dictionaries(st.sampled_from(names), one, max_size=2))
    kinds = st.sampled_from(["datetime64", "datetime64[s]", "datetime64[x]", "string", "", "integer", b"\xff", 3])
    for name in draw(st.sets(st.sampled_from(sorted(found)), max_size=1)):
        del found[name]
    return {"parts": found, "kind": draw(kinds), "soft": draw(st.booleans()) and draw(st.booleans())}


def _fixed_frame(drawn: dict[str, Any]) -> None:
    path = FOLDER / "parts.h5"
    with h5py.File(path, "w") as file:
        group = file.create_group("df")
        for name, value in drawn["parts"].items():
            group.create_dataset(name, data=value).attrs["kind"] = drawn["kind"]
        if drawn["soft"]:
            group["block0_extra"] = h5py.ExternalLink("/etc/passwd", "/")
    read_fixed_frame(path)


def _kept_tensors() -> bytes:
    path = FOLDER / "made.safetensors"
    save_tensors(path, {"x": torch.arange(4.0), "y": torch.ones(2, 2)}, {"step": 3})
    return path.read_bytes()


def _kept_json() -> bytes:
    write_json(FOLDER / "made.json", {"a": [1, 2.5, None], "b": {"c": "é"}})
    return (FOLDER / "made.json").read_bytes()


def _tensors(drawn: bytes) -> None:
    record, tensors = load_tensors(put("k.safetensors", drawn))
    assert record == {"step": 3}, "another record"
    assert tensors["x"].tolist() == [0, 1, 2, 3], "other tensors"


def _json(drawn: bytes) -> None:
    found = read_json(put("k.json", drawn), dict)
    assert found == {"a": [1, 2.5, None], "b": {"c": "é"}} or "checksum" not in str(drawn), "another document"


def _hdf5_bytes(drawn: bytes) -> None:
    read_fixed_frame(put("m.h5", drawn))


_FLAG = st.booleans()
TARGETS = [
    Target(
        "forecasts: CSV",
        mutated(_WHOLE, most=3).map(lambda content: content.decode("latin1"))
        | tables(
            titles=("origin", "step", "node", "forecast", "time", "low", "high", "seed"), first=("origin", "time")
        ),
        _forecast_csv,
    ),
    Target("forecasts: NPZ", _forecast_arrays(), _forecast_npz),
    Target("spec: TOML", st.one_of(_specs(), _specs(), st.text(max_size=60)), _spec, share=2),
    Target("spec: fields", st.dictionaries(st.sampled_from(_FIELDS), _PYTHON, max_size=3), _spec_fields, share=2),
    Target(
        "triples",
        st.tuples(st.text(alphabet=st.sampled_from('ab01\t \n\r"\u2028é\x00-'), max_size=80), _FLAG, _FLAG),
        _triples,
    ),
    Target(
        "character codec",
        st.tuples(st.text(max_size=50), st.text(max_size=50), st.one_of(st.none(), st.text(max_size=2))),
        _codec,
    ),
    Target("text", st.tuples(st.binary(max_size=60), st.sampled_from(_ENCODINGS)), _text),
    Target("pickled data", st.one_of(*[mutated(each) for each in _pickles()]), _pickled, share=2),
    Target("saved tensors", mutated(_PT, most=3), lambda drawn: read_saved(put("s.pt", drawn))),
    Target("HDF5, parts", _hdf5_parts(), _fixed_frame),
    Target("HDF5, bytes", mutated(_hdf5(), most=2), _hdf5_bytes),
    Target("kept tensors", mutated(_kept_tensors()), _tensors),
    Target("kept JSON", mutated(_kept_json()), _json),
]
