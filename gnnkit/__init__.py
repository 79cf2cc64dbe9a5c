"""gnnkit: fast, drop-in graph layers, and an honest answer to the question whether the graph helps."""

import importlib
import warnings
from typing import Any

__all__ = ["__version__", "accelerate", "decelerate"]  # pyright: ignore[reportUnsupportedDunderAll]

__version__ = "0.1.0"

# PyG imports tqdm's bars for notebooks, which ask for ipywidgets; gnnkit draws its own without them.
warnings.filterwarnings("ignore", message="IProgress not found")


def __getattr__(name: str) -> Any:
    # Not before they are asked for: `import gnnkit` imports neither torch nor PyG.
    if name in ("accelerate", "decelerate"):
        return getattr(importlib.import_module("gnnkit.layers.accelerate"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
