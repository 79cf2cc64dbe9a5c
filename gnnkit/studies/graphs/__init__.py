"""Classes and numbers of whole graphs, by cross-validation or a given split: does the graph help?"""

__all__: list[str] = []
