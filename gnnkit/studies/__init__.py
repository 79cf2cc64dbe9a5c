"""Experiments: one a folder, from settings to rows, tables and figures."""

__all__: list[str] = []
