"""Settings, each declared once: its type, its default, its sentence, and how the command line writes it.

Nothing here imports the rest of gnnkit, so that help is there before torch is loaded. What needs it (is this a known
model?) is checked by the classes that inherit these: `gnnkit.forecasting.settings` and `gnnkit.compare.spec`.
"""

__all__: list[str] = []
