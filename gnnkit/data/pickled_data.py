"""What a pickle holds as plain data, read without unpickling it: nothing that it names is looked up or called.

An unpickler with a list of allowed names is not enough. NumPy's own `dtype` is on any such list, and a `dtype` of
objects whose flags say that it has none makes NumPy take numbers of the file for addresses. Here the instructions are
read by the standard library's `pickletools`, which runs nothing, and what they put together is made of numbers, texts,
lists, dictionaries and arrays of numbers.
"""

from __future__ import annotations

import math
import pickletools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

__all__ = ["CSRParts", "Named", "read_pickled"]


class CSRParts(NamedTuple):
    """The arrays of a sparse matrix of SciPy, of which nothing but their types was looked at."""

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple[int, int]


@dataclass(frozen=True)
class Named:
    """A name that a pickle mentions: a text, never what it is the name of."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module} {self.name}"


class _Mark:
    """Where a list, a tuple or the like begins on the stack."""


@dataclass
class _Made:
    """What a name of the list would make: how it was called, and the state that it was then given."""

    kind: str
    arguments: tuple[Any, ...] = ()
    state: Any = None
    value: np.ndarray | None = field(default=None, repr=False)


_MARK = _Mark()
# What the names make. The older ones stand in files that were written by Python 2 and by earlier NumPy and SciPy.
_KINDS: Mapping[str, str] = {
    "numpy.core.multiarray _reconstruct": "array",
    "numpy._core.multiarray _reconstruct": "array",
    "numpy.core.numeric _frombuffer": "buffer",
    "numpy._core.numeric _frombuffer": "buffer",
    "numpy ndarray": "ndarray",
    "numpy dtype": "dtype",
    "scipy.sparse.csr csr_matrix": "csr",
    "scipy.sparse._csr csr_matrix": "csr",
    "collections defaultdict": "defaultdict",
    "__builtin__ list": "list",
    "builtins list": "list",
    "__builtin__ bytearray": "bytearray",
    "builtins bytearray": "bytearray",
    "_codecs encode": "bytes",  # how Python 3 writes bytes in the protocols of Python 2
    "collections OrderedDict": "ordered",
}
# Numbers of these kinds and sizes, and yes or no.
_NUMBERS = frozenset({"b1", "?", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8"})
_ORDERS = ("<", ">", "|", "=")
# Deeper ones are not data, and a list in a list in a list is printed and freed by functions that call themselves.
_DEEPEST = 20


def read_pickled(content: bytes, *, storage: Callable[[Any], Any] | None = None, rebuilt: str = "") -> Any:
    """Put together what a pickle holds.

    Args:
        content: The bytes of the file, of protocol 0 to 5.
        storage: Called with what a persistent id says; gives what stands for it. Default: such ids are refused.
        rebuilt: A further name that may be called, as `module name`; gives a tuple of its arguments. Default: none.

    Returns:
        None, booleans, numbers, texts, bytes, tuples, lists, dictionaries with keys of these kinds, arrays of numbers,
        and `CSRParts`.

    Raises:
        NameError: It calls a name that is none of those; the message is the name.
        ValueError: It is damaged, or holds something else.

    Example:
        >>> import pickle
        >>> read_pickled(pickle.dumps({"train": np.arange(3), "of": [1.5, None]}))
        {'train': array([0, 1, 2]), 'of': [1.5, None]}
        >>> read_pickled(pickle.dumps(print))
        Traceback (most recent call last):
        NameError: builtins print
    """
    machine = _Machine(storage, rebuilt)
    try:
        for opcode, argument, _ in pickletools.genops(content):
            machine.step(opcode.name, argument)
            if opcode.name == "STOP":
                return _plain(machine.pop(), _DEEPEST, {})
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise ValueError(f"damaged ({' '.join(str(error).split()) or type(error).__name__})") from None
    raise ValueError("it ends too early")


class _Machine:
    """A stack, as a pickle wants it, on which nothing but data ever lies."""

    def __init__(self, storage: Callable[[Any], Any] | None, rebuilt: str) -> None:
        self.stack: list[Any] = []
        self.memo: dict[int, Any] = {}
        self.storage = storage
        self.kinds = {**_KINDS, **({rebuilt: "rebuilt"} if rebuilt else {})}

    def pop(self) -> Any:
        value = self.stack.pop()
        if value is _MARK:
            raise ValueError("a mark where a value should be")
        return value

    def since_mark(self) -> list[Any]:
        place = len(self.stack) - 1
        while self.stack[place] is not _MARK:  # below 0 is an IndexError, or the top again: both end
            place -= 1
            if place < 0:
                raise ValueError("no mark")
        found = self.stack[place + 1 :]
        del self.stack[place:]
        return found

    def step(self, name: str, argument: Any) -> None:
        if name in _PUSHED:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in ("PROTO", "FRAME", "STOP"):
            return
        else:
            step = getattr(self, f"_{name.lower()}", None)
            if step is None:
                raise ValueError(f"its instruction {name} makes no data")
            step(argument)

    def _mark(self, _: Any) -> None:
        self.stack.append(_MARK)

    def _pop(self, _: Any) -> None:
        self.stack.pop()

    def _pop_mark(self, _: Any) -> None:
        self.since_mark()

    def _dup(self, _: Any) -> None:
        self.stack.append(self.stack[-1])

    def _tuple(self, _: Any) -> None:
        self.stack.append(tuple(self.since_mark()))

    def _tuple1(self, _: Any) -> None:
        self.stack.append((self.pop(),))

    def _tuple2(self, _: Any) -> None:
        second, first = self.pop(), self.pop()
        self.stack.append((first, second))

    def _tuple3(self, _: Any) -> None:
        third, second, first = self.pop(), self.pop(), self.pop()
        self.stack.append((first, second, third))

    def _list(self, _: Any) -> None:
        self.stack.append(self.since_mark())

    def _append(self, _: Any) -> None:
        value = self.pop()
        self._a_list().append(value)

    def _appends(self, _: Any) -> None:
        values = self.since_mark()
        self._a_list().extend(values)

    def _a_list(self) -> list[Any]:
        if type(self.stack[-1]) is not list:
            raise ValueError(f"it appends to a {type(self.stack[-1]).__name__}")
        return self.stack[-1]

    def _dict(self, _: Any) -> None:
        values = self.since_mark()
        self.stack.append({})
        self._set(values)

    def _setitem(self, _: Any) -> None:
        value, key = self.pop(), self.pop()
        self._set([key, value])

    def _setitems(self, _: Any) -> None:
        self._set(self.since_mark())

    def _set(self, values: list[Any]) -> None:
        found = self.stack[-1]
        if type(found) is not dict or len(values) % 2:
            raise ValueError(f"it sets entries of a {type(found).__name__}")
        for key, value in zip(values[::2], values[1::2], strict=True):
            if not isinstance(key, (int, float, str, bytes)):  # a tuple in a tuple in a tuple is hashed by recursion
                raise ValueError(f"a {type(key).__name__} is the key of a dictionary")
            found[key] = value

    def _memoize(self, _: Any) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def _put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    _binput = _long_binput = _put

    def _get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    _binget = _long_binget = _get

    def _global(self, argument: str) -> None:
        module, _, name = argument.partition(" ")
        self.stack.append(self._known(Named(module, name)))

    def _stack_global(self, _: Any) -> None:
        name, module = self.pop(), self.pop()
        self.stack.append(self._known(Named(str(module), str(name))))

    def _known(self, named: Named) -> Named:
        if str(named) not in self.kinds and self.storage is None:
            raise NameError(str(named))
        return named

    def _binpersid(self, _: Any) -> None:
        if self.storage is None:
            raise ValueError("it names something outside of itself")
        self.stack.append(self.storage(self.pop()))

    def _reduce(self, _: Any) -> None:
        arguments, called = self.pop(), self.pop()
        self.stack.append(self._call(called, arguments))

    def _newobj(self, _: Any) -> None:
        arguments, called = self.pop(), self.pop()
        if not isinstance(called, Named) or self.kinds.get(str(called)) != "csr" or arguments != ():
            raise NameError(str(called) if isinstance(called, Named) else f"a {type(called).__name__}")
        self.stack.append(_Made("csr"))

    def _call(self, called: Any, arguments: Any) -> Any:
        kind = self.kinds.get(str(called)) if isinstance(called, Named) else None
        if kind is None or kind in ("ndarray", "list", "csr") or type(arguments) is not tuple:
            raise NameError(str(called) if isinstance(called, Named) else f"a {type(called).__name__}")
        if kind in ("defaultdict", "ordered"):
            return {}
        if kind == "bytes":
            text, encoding = arguments
            if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
                raise ValueError("bytes that are no text of latin1")
            return text.encode("latin1")
        if kind == "bytearray":
            return arguments[0] if arguments else b""
        if kind == "buffer":
            raw, dtype, shape, order = arguments
            return _array(raw, dtype, shape, order == "F")
        return arguments if kind == "rebuilt" else _Made(kind, arguments)

    def _build(self, _: Any) -> None:
        state, made = self.pop(), self.stack[-1]
        if isinstance(made, _Made) and made.kind in ("dtype", "array", "csr") and made.state is None:
            made.state = state
            if made.kind == "array":
                _, shape, dtype, fortran, raw = state
                made.value = _array(raw, dtype, shape, bool(fortran))
        else:
            raise ValueError(f"it gives a state to a {type(made).__name__}")


_PUSHED = frozenset(
    {
        *("INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT"),
        *("STRING", "BINSTRING", "SHORT_BINSTRING", "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8"),
        *("BINBYTES", "SHORT_BINBYTES", "BINBYTES8", "BYTEARRAY8"),
    }
)
_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}
_EMPTY: Mapping[str, Callable[[], Any]] = {"EMPTY_LIST": list, "EMPTY_DICT": dict}


def _dtype(made: Any) -> np.dtype[Any]:
    """A type of numbers by its text and its byte order; no other part of what a file says of it is used."""
    if not isinstance(made, _Made) or made.kind != "dtype" or not made.arguments:
        raise ValueError("an array without a type of numbers")
    text, order = made.arguments[0], made.state[1] if made.state is not None else "="
    text = text.decode("ascii") if isinstance(text, bytes) else text
    order = order.decode("ascii") if isinstance(order, bytes) else order
    if not isinstance(text, str) or text.lstrip("<>=|") not in _NUMBERS or order not in _ORDERS:
        raise ValueError(f"an array of {str(text)[:20]!r}, which is no type of numbers")
    return np.dtype(text) if order in ("|", "=") else np.dtype(text).newbyteorder(order)


def _array(raw: Any, dtype: Any, shape: Any, fortran: bool) -> np.ndarray:
    kind = _dtype(dtype)
    raw = raw.encode("latin1") if isinstance(raw, str) else raw  # a text of Python 2 is bytes
    if not isinstance(raw, (bytes, bytearray)):
        raise ValueError(f"an array whose numbers are a {type(raw).__name__}")
    if type(shape) is not tuple or not all(type(n) is int and n >= 0 for n in shape) or len(shape) > 8:
        raise ValueError("an array without a shape")
    if math.prod(shape) * kind.itemsize != len(raw):
        raise ValueError(f"an array of {kind} and shape {list(shape)[:8]} in {len(raw)} bytes")
    return np.frombuffer(raw, dtype=kind).reshape(shape, order="F" if fortran else "C").copy(order="K")


def _plain(value: Any, depth: int, seen: dict[int, Any]) -> Any:
    """The data without what they were made of: of few levels, and what stands in several places is looked at once."""
    if isinstance(value, _Made):
        return _finished(value)
    if isinstance(value, Named):
        raise NameError(str(value))
    if not isinstance(value, (list, tuple, dict)):
        return value
    if id(value) not in seen:
        if depth == 0:
            raise ValueError(f"more than {_DEEPEST} levels of lists")
        if isinstance(value, dict):
            seen[id(value)] = {key: _plain(each, depth - 1, seen) for key, each in value.items()}
        else:
            seen[id(value)] = type(value)(_plain(each, depth - 1, seen) for each in value)
    return seen[id(value)]


def _finished(made: _Made) -> Any:
    if made.kind == "array" and made.value is not None:
        return made.value
    if made.kind == "csr" and isinstance(made.state, dict):
        parts: dict[str, Any] = {name: made.state.get(name) for name in ("data", "indices", "indptr")}
        found: dict[str, Any] = {
            name: _finished(each) if isinstance(each, _Made) else each for name, each in parts.items()
        }
        shape = made.state.get("_shape")
        if not all(isinstance(each, np.ndarray) for each in found.values()):
            raise ValueError("a sparse matrix without one of its arrays")
        if type(shape) is not tuple or len(shape) != 2 or not all(type(n) is int and n >= 0 for n in shape):
            raise ValueError("a sparse matrix without a shape")
        return CSRParts(**found, shape=shape)
    raise ValueError(f"a {made.kind} that was not finished")
