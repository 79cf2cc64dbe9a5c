"""What was found, told: HTML, Markdown, LaTeX, the terminal, and the figures, all drawn from a `Results`."""

__all__: list[str] = []
