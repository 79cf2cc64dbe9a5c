"""Arrays in, numbers out: what the findings of a comparison are counted with."""

__all__: list[str] = []
