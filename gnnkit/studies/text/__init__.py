"""Part 2 of the course report: character models of one book, and a study of what they write."""

__all__: list[str] = []
