"""gnnkit: fast, drop-in graph layers, and an honest answer to the question whether the graph helps."""

__all__ = ["__version__"]

__version__ = "0.1.0"
