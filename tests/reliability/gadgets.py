"""Pickles that run something when they are unpickled, in every shape that is known, and such as break the reader."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np

__all__ = ["gadgets"]


class _Call:
    """Unpickles to a call."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments) if state is None else (function, arguments, state)

    def __reduce__(self):
        return self.parts

    def __call__(self):
        """What is pickled as being called has to be a thing that can be."""


class _StateRuns:
    """Runs when it is given its state."""

    def __setstate__(self, state):
        Path(state).write_text("it ran")

    def __getstate__(self):
        return self.place

    def __init__(self, place):
        self.place = place


def _text(value: str) -> bytes:
    return b"\x8c" + struct.pack("<B", len(value)) + value.encode()


def _dtype(text: str, flags: int):
    order = "|" if text.startswith("O") else "<"
    return _Call(np.dtype, text, False, True, state=(3, order, None, None, None, -1, -1, flags))


def _array(dtype, raw):
    return _Call(np._core.multiarray._reconstruct, np.ndarray, (0,), b"b", state=(1, (1,), dtype, False, raw))


def _zip(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def _saved(content: bytes) -> bytes:
    """As `torch.save` packs a pickle."""
    return _zip({"archive/data.pkl": content, "archive/version": b"3\n", "archive/byteorder": b"little"})


def gadgets(marker: Path) -> dict[str, bytes]:
    """Name → bytes of a pickle that writes the file `marker` when it is unpickled, or ends the process.

    Args:
        marker: Its path has less than 200 letters and no quotation mark.
    """
    import builtins
    import functools
    import operator
    import os
    import runpy
    import subprocess

    place = str(marker)
    code = f"open({place!r}, 'w').write('it ran')"
    found: dict[str, bytes] = {}
    calls = {
        "os.system": _Call(os.system, f"echo it ran > {place}"),
        "builtins.eval": _Call(builtins.eval, code),
        "builtins.exec": _Call(builtins.exec, code),
        "subprocess": _Call(subprocess.call, ["touch", place]),
        "pathlib.touch": _Call(Path.touch, marker),
        "runpy": _Call(runpy.run_path, place),
        "getattr of getattr": _Call(_Call(getattr, _Call(__import__, "os"), "system"), f"echo it ran > {place}"),
        "functools.partial": _Call(_Call(functools.partial, builtins.eval), code),
        "operator.methodcaller": _Call(_Call(operator.methodcaller, "touch"), marker),
        "numpy.load": _Call(np.load, place, None, True),
        "pickle.loads": _Call(pickle.loads, pickle.dumps(_Call(builtins.eval, code))),
        "in a list": [1, {"a": (_Call(builtins.eval, code),)}],
        "in a state": _Call(builtins.list, state={"a": _Call(builtins.eval, code)}),
        "__setstate__": _StateRuns(place),
        "as a dtype": _array(_Call(builtins.eval, code), b"\0" * 8),
        "array of objects": np.array([_Call(builtins.eval, code)], dtype=object),
    }
    for name, value in calls.items():
        for protocol in range(6):
            found[f"{name}, protocol {protocol}"] = pickle.dumps(value, protocol=protocol)
    line, quoted = f"echo it ran > {place}\n".encode(), f"S'echo it ran > {place}'\n".encode()
    found |= {
        "INST": b"(" + quoted + b"iposix\nsystem\n.",
        "OBJ": b"(cposix\nsystem\n" + quoted + b"o.",
        "memoised name": b"cposix\nsystem\np0\n0g0\n(" + quoted + b"tR.",
        "extension": b"\x80\x02\x82\xf0" + b"(" + quoted + b"tR.",
        "persistent id": b"P" + line + b".",
        "persistent id of a call": b"\x80\x04cposix\nsystem\n(" + quoted + b"tRQ.",
        "dotted name": b"\x80\x04" + _text("shutil") + _text("os.system") + b"\x93(" + quoted + b"tR.",
        "relative name": b"\x80\x04" + _text("numpy.ndarray") + _text("__class__") + b"\x93.",
        "NEWOBJ": b"\x80\x02cposix\nsystem\n(" + quoted + b"t\x81.",
        "NEWOBJ_EX": b"\x80\x04cposix\nsystem\n(" + quoted + b"t}\x92.",
        # What no list of names keeps out: they end the process of an unpickler that has numpy's dtype on its list.
        "objects without flags": pickle.dumps(_array(_dtype("O8", 0), b"A" * 8), protocol=2),
        "numbers with flags": pickle.dumps(_array(_dtype("i8", 0x3F), [[1]]), protocol=2),
        "tuples without end": b"\x80\x02}(K\x00" + b"\x85" * 30_000 + b"Nu.",
        "lists without end": b"\x80\x02" + b"]" * 30_000 + b"a" * 29_999 + b".",
        "laughs": b"\x80\x02]q\x00" + b"".join(b"](" + b"h%c" % n * 9 + b"eq%c" % (n + 1) for n in range(60)) + b".",
        "in itself": b"\x80\x02]q\x00h\x00a.",
        "memo of 4 billion": b"\x80\x02Nr\xff\xff\xff\xff.",
        "bytes of an exabyte": b"\x80\x05\x96" + struct.pack("<Q", 2**60) + b".",
        "frame of an exabyte": b"\x80\x04\x95" + struct.pack("<Q", 2**60) + b"N.",
        "array of an exabyte": pickle.dumps(
            _Call(np._core.multiarray._reconstruct, np.ndarray, (2**40,), b"d"), protocol=2
        ),
    }  # fmt: skip
    evil = found["os.system, protocol 2"]
    found |= {
        "saved by torch": _saved(evil),
        "saved by torch, a storage": _saved(b"\x80\x02(" + _text("storage") + b"cposix\nsystem\n" + quoted + b"tQ."),
        "zip in zip": _zip({"archive.zip": _saved(evil), "archive/data.pkl": _saved(evil)}),
        "out of the folder": _zip({"../archive/data.pkl": evil, "/data.pkl": evil, "archive/../data.pkl": evil}),
        "npy of objects": _npy(found["os.system, protocol 4"]),
        "npz of objects": _zip({"data.npy": _npy(evil), "forecasts.npy": _npy(evil)}),
        "pickle as npz": _zip({"data.npy": evil, "adjacency.npy": evil, "edge_index.npy": evil}),
    }
    return found


def _npy(content: bytes) -> bytes:
    head = b"{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"
    head += b" " * (-(len(head) + 11) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + content
