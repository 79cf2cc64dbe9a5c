"""Experiments: one a file, from settings to rows, tables and figures."""

__all__: list[str] = []
