"""What the errors say: intervals, tests, verdicts, the value of the graph, and where the errors lie."""

__all__: list[str] = []
