"""Models that other processes do not find by their names, as bytes for them."""

from __future__ import annotations

import pickle
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType

import cloudpickle

from gnnkit.compare.model_code import is_installed
from gnnkit.temporal import MODELS
from gnnkit.temporal.entry import core_of

__all__ = ["pack_assigned", "pack_models", "unpack_models"]


def pack_assigned(names: Sequence[str]) -> bytes:
    """Of the models of a spec, those that code of this process registered: processes of this machine find the others.

    Raises:
        ValueError: One of them cannot be pickled; the message says what to do.
    """
    shipped = {}
    for name, entry in MODELS.assigned(names).items():
        module = sys.modules.get(getattr(core_of(entry.build), "__module__", ""))
        by_value = module is not None and MODELS.file_of(module) is not None  # its name means nothing to others
        shipped[name] = _pickled(name, entry, [module] if module is not None and by_value else [])
    return pickle.dumps(shipped)


def pack_models(names: Sequence[str]) -> bytes:
    """Of the models of a spec, all that an installed gnnkit alone has not, with what they import that is not installed.

    Raises:
        ValueError: As `pack_assigned`.
    """
    own = list(_not_installed())
    return pickle.dumps({name: _pickled(name, MODELS[name], own) for name in names if not MODELS.is_first(name)})


def unpack_models(models: bytes) -> None:
    """Register models that another process has packed; those of the same names give way."""
    for name, entry in pickle.loads(models).items():
        MODELS.take_over(name, pickle.loads(entry))


def _pickled(name: str, entry: object, by_value: Iterable[ModuleType]) -> bytes:
    try:
        with _by_value(by_value):
            return cloudpickle.dumps(entry)
    except Exception as error:  # whatever its parts raise
        reason = " ".join(str(error).split())
        raise ValueError(
            f"model {name!r} cannot be sent to other processes ({type(error).__name__}: {reason}); put its class "
            f"into a file and name it file.py:Class, or run one job at a time"
        ) from None


@contextmanager
def _by_value(modules: Iterable[ModuleType]) -> Iterator[None]:
    """Let cloudpickle take the code of some modules along, in place of their names."""
    modules = list(modules)
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _not_installed() -> Iterator[ModuleType]:
    """The modules of this process that lie beside a model, or in a folder of one's own."""
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        if isinstance(module, ModuleType) and name != "__main__" and file and not is_installed(file):
            yield module
