"""The leakage audit: does a model get to see what it is scored on?"""

__all__: list[str] = []
