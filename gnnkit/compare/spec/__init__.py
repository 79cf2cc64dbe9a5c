"""What is asked of a comparison: its settings, as values, as options and as a TOML file."""

__all__: list[str] = []
