"""What was found, shown: sections of sentences, tables and figures as HTML, Markdown, LaTeX or on a terminal.

Whatever reports says what it has in `Section`s and plain values, and asks a renderer here for the form.
"""

__all__: list[str] = []
