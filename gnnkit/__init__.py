"""gnnkit: fast, drop-in graph layers, and an honest answer to the question whether the graph helps."""

import warnings

__all__ = ["__version__"]

__version__ = "0.1.0"

# PyG imports tqdm's bars for notebooks, which ask for ipywidgets; gnnkit draws its own without them.
warnings.filterwarnings("ignore", message="IProgress not found")
