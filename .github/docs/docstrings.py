"""The house's docstrings, as griffe reads Google's: an `Example:` is code that ran, not a box of text."""

import re

from griffe import Extension, Object


class Examples(Extension):
    def on_object(self, *, obj: Object, **given: object) -> None:
        if obj.docstring is not None:
            obj.docstring.value = re.sub(r"(?m)^Example:$", "Examples:", obj.docstring.value)
