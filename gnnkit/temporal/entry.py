"""One model of the registry: what it is, what its constructor takes, and how it is made."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

from torch import nn

from gnnkit._optional import optional_import
from gnnkit.temporal.call import check_forward
from gnnkit.temporal.target_only import reads_features

__all__ = ["ModelEntry", "core_of"]

# What is handed to a constructor that names it; all else in a constructor is a setting.
_SIZES = ("in_channels", "hidden_channels", "horizon", "history", "num_nodes", "time_channels", "edge_index")
# A rival with fit and predict draws its own random numbers, and minds its own time.
_SIZES_OF_RIVALS = (*_SIZES, "edge_weight", "seed", "max_seconds")
_FORMS = "a class of torch.nn.Module, a class with fit and predict, or a ModelEntry"


@dataclass(frozen=True)
class ModelEntry:
    """One model of the registry.

    Args:
        name: What it is asked for by.
        family: `"sequence"` (nodes do not hear each other by a graph) or `"graph"` (by the given one, or one learned).
        description: One line.
        build: Its constructor, with what the name fixes filled in.
        paper: Authors and year; empty for a model without one.
        fits_itself: Whether it is a rival with `fit` and `predict` (see `gnnkit.forecasting.rival`), in place of a
            module that gnnkit trains.
        graphless_twin: The name of the same model without neighbours, as `"ridge"` of `"ridge-graph"`: the two differ
            in the graph alone. None: there is none.
    """

    name: str
    family: Literal["sequence", "graph"]
    description: str
    build: Callable[..., Any]
    paper: str = ""
    fits_itself: bool = False
    graphless_twin: str | None = None

    @classmethod
    def of(cls, name: str, model: Any) -> ModelEntry:
        """The entry of a class: its family by its `uses_graph`, else by whether it names `edge_index`.

        Args:
            name: What it is to be asked for by.
            model: A class of `nn.Module`, a class with `fit` and `predict`, or a partial of one; an entry is returned
                as it is.

        Raises:
            ValueError: It is something else, or its `forward`, `fit` or `predict` needs what nobody has.
        """
        if isinstance(model, ModelEntry):
            return model
        core = core_of(model)
        if not isinstance(core, type):
            hint = "; give its class" if isinstance(core, nn.Module) or _fits_itself(type(core)) else ""
            shown = f"a {type(core).__name__}" if hint or callable(core) else repr(core)
            raise ValueError(f"model {name!r} is {shown}, and should be {_FORMS}{hint}")
        has_forward = issubclass(core, nn.Module) and core.forward is not nn.Module.forward
        if has_forward:
            check_forward(name, core.forward)
            reads_graph = "edge_index" in inspect.signature(core.forward).parameters
        elif _fits_itself(core):
            _check_rival(name, core)
            rival: Any = core
            reads_graph = bool({"edge_index", "edge_weight"} & {*_names(core), *_names(rival.fit)})
        else:
            raise ValueError(f"model {name!r} is the class {core.__name__}, and should be {_FORMS}")
        uses_graph = getattr(core, "uses_graph", reads_graph)
        family = "graph" if uses_graph or getattr(core, "learns_graph", False) else "sequence"
        # A dataclass without a docstring has its signature as one.
        text = inspect.cleandoc(vars(core).get("__doc__") or "") or "a model without a docstring"
        return cls(name, family, text.splitlines()[0].rstrip("."), model, fits_itself=not has_forward)

    @property
    def is_own(self) -> bool:
        """Whether it is somebody's own model, and not one of gnnkit's."""
        module = getattr(core_of(self.build), "__module__", None) or ""
        return module.partition(".")[0] != "gnnkit"

    @property
    def sees_target_alone(self) -> bool:
        """Whether it reads feature 0 and no other; a rival has all of them before it, and says by `target_only`."""
        core = core_of(self.build)
        return bool(getattr(core, "target_only", False)) if self.fits_itself else not reads_features(self.arguments)

    def check_installed(self) -> None:
        """Import the library that the model stands on, where its class names one and its extra by `needs`.

        Raises:
            ImportError: it is not installed; one line names the extra.
        """
        needs = getattr(core_of(self.build), "needs", None)
        if needs is not None:
            optional_import(needs[0], purpose=f"model {self.name!r}", extra=needs[1])

    @property
    def is_deterministic(self) -> bool:
        """Whether a seed changes nothing in it, as its class says by `deterministic`."""
        return bool(getattr(core_of(self.build), "deterministic", False))

    @property
    def arguments(self) -> dict[str, Any]:
        """What the constructor takes beyond what the name fixes, with the defaults; `inspect.Parameter.empty`: none."""
        fixed = self.build.keywords if isinstance(self.build, partial) else {}
        several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        parameters = inspect.signature(self.build).parameters.values()
        return {p.name: p.default for p in parameters if p.name not in fixed and p.kind not in several}

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that may be given, with their defaults: what the constructor takes beyond sizes and the name."""
        sizes = _SIZES_OF_RIVALS if self.fits_itself else _SIZES
        return {name: default for name, default in self.arguments.items() if name not in sizes}

    @property
    def search_space(self) -> dict[str, Any]:
        """What a search draws its settings from, as its class declares it (`search_space`).

        A dict: the name of a setting → `(low, high)`, `("log", low, high)` or `("choice", one, other, …)`. What the
        name of the model fixes is not drawn.
        """
        fixed = self.build.keywords if isinstance(self.build, partial) else {}
        space = getattr(core_of(self.build), "search_space", {})
        return {name: range for name, range in space.items() if name not in fixed}

    @property
    def has_width(self) -> bool:
        """Whether it has a width (`hidden_channels`)."""
        return "hidden_channels" in self.arguments

    def make(self, sizes: Mapping[str, Any], settings: Mapping[str, Any]) -> Any:
        """Call the constructor with those sizes that it names, and with settings.

        Args:
            sizes: All that there are, by name.
            settings: The model's own.

        Raises:
            ValueError: A setting that the model does not have, or one that it needs and that is not given.
        """
        unknown = sorted(set(settings) - set(self.settings))
        if unknown:
            accepted = ", ".join(self.settings) or "none"
            raise ValueError(
                f"model {self.name!r} has no setting {', '.join(map(repr, unknown))}; it accepts: {accepted}"
            )
        required = [key for key, default in self.settings.items() if default is inspect.Parameter.empty]
        needed = [key for key in required if key not in settings]
        if needed:
            raise ValueError(
                f"model {self.name!r} needs a value for {', '.join(needed)}, which no data have; set it: "
                f"--set '{self.name}.{needed[0]}=…', where one model alone is named --set {needed[0]}=…, in Python "
                f"settings={{{self.name!r}: {{{needed[0]!r}: …}}}}"
            )
        given = {size: value for size, value in sizes.items() if size in self.arguments}
        return self.build(**given, **settings)


def core_of(model: Any) -> Any:
    """The class or function inside partials."""
    while isinstance(model, partial):
        model = model.func
    return model


def _fits_itself(core: type) -> bool:
    return callable(getattr(core, "fit", None)) and callable(getattr(core, "predict", None))


def _check_rival(name: str, core: type) -> None:
    for method, placed, known in (("fit", ("train", "validation"), _FIT), ("predict", ("windows",), ())):
        parameters = list(inspect.signature(getattr(core, method)).parameters.values())[1:]  # without self
        several = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
        single = [p for p in parameters if p.kind not in several and p.name not in known]
        foreign = [p.name for p in single[len(placed) :] if p.default is p.empty]
        if foreign:
            more = f", {', '.join(known)}" if known else ""
            raise ValueError(
                f"model {name!r}: {method} needs {', '.join(map(repr, foreign))}, which nobody has; it may take "
                f"{', '.join(placed)}{more}, and others with a default"
            )


_FIT = ("edge_index", "edge_weight", "seed", "max_seconds")
"""What `fit` is given by name, beside the windows."""


def _names(function: Any) -> set[str]:
    return set(inspect.signature(function).parameters)
