"""Node classification by published recipes, many seeds at once, and what depth does to it."""

__all__: list[str] = []
