"""gnnkit: fast, drop-in graph layers, and an honest answer to the question whether the graph helps."""

import warnings
from typing import TYPE_CHECKING

from gnnkit._lazy import import_lazily

if TYPE_CHECKING:
    from gnnkit.layers.accelerate import accelerate, decelerate
else:
    import_lazily(__name__)  # `import gnnkit` imports neither torch nor PyG

__all__ = ["__version__", "accelerate", "decelerate"]

__version__ = "0.1.0"

# PyG imports tqdm's bars for notebooks, which ask for ipywidgets; gnnkit draws its own without them.
warnings.filterwarnings("ignore", message="IProgress not found")
