"""The notebook among the examples: what is kept of it, and that it runs as a newcomer would run it.

`jupyter execute --inplace examples/notebook.ipynb` runs it again and keeps what it shows.
"""

from pathlib import Path

import nbformat
import pytest

NOTEBOOK = Path(__file__).parent.parent / "examples" / "notebook.ipynb"


def outputs(notebook, kind):
    """What the cells show in a form, in their order."""
    shown = [output.get("data", {}) for cell in notebook.cells for output in cell.get("outputs", [])]
    return [data[kind] for data in shown if kind in data]


@pytest.fixture(scope="module")
def kept():
    return nbformat.read(NOTEBOOK, as_version=4)


def test_it_is_kept_with_what_it_shows_and_is_small(kept):
    code = [cell for cell in kept.cells if cell.cell_type == "code"]
    assert all(cell.outputs for cell in code)
    assert not [output for cell in code for output in cell.outputs if output.output_type in ("error", "stream")]
    assert NOTEBOOK.stat().st_size < 200_000
    assert len(outputs(kept, "image/png")) == 2
    assert "Up to 6 hours (6 steps) ahead, the given graph helps stid-graph: MAE 0.3" in "".join(
        outputs(kept, "text/html")
    )


@pytest.mark.slow
def test_it_runs_and_shows_the_same(kept, tmp_path):
    from nbclient import NotebookClient

    again = nbformat.from_dict({**kept, "cells": [{**cell, "outputs": []} for cell in kept.cells if "outputs" in cell]})
    # The limit is for a cell that hangs; a busy machine may be many times slower than a quiet one.
    NotebookClient(again, timeout=1200, resources={"metadata": {"path": str(tmp_path)}}).execute()
    assert len(outputs(again, "image/png")) == 2
    pages = "".join(outputs(again, "text/html"))
    assert "Up to 6 hours (6 steps) ahead, the given graph helps stid-graph: MAE 0.3" in pages
    texts = outputs(again, "text/plain")
    assert [
        text
        for text in texts
        if text.startswith(
            "Comparison(river: ridge, seasonal-ridge, var, stid, ridge-graph, stid-graph × 2 seeds, 2, 6 steps ahead"
        )
    ]
    assert not list(tmp_path.iterdir())  # it leaves nothing behind
