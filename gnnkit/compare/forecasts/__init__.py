"""Forecasts that were made elsewhere: read, aligned with the windows that they were made for, and judged."""

__all__: list[str] = []
