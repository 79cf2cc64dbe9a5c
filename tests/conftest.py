"""Settings and fixtures that all tests share."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
import torch
from _pytest.doctest import DoctestModule

torch.set_num_threads(min(2, torch.get_num_threads()))


@pytest.hookimpl(wrapper=True)
def pytest_collect_file() -> Generator[None, list[Any], list[Any]]:
    """Only the package's docstrings are looked through for examples: some files of the tests run elsewhere alone."""
    return [found for found in (yield) if not isinstance(found, DoctestModule)]


@pytest.fixture(scope="session")
def data_root() -> Path:
    """Folder with published data: GNNKIT_DATA, or the one beside the checkout; skips where neither is there."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    given = os.environ.get("GNNKIT_DATA")
    root = Path(given) if given else beside
    if not root.is_dir():
        pytest.skip(f"no published data: {root} is no folder; set GNNKIT_DATA to the folder that holds losloop/")
    return root
