"""The Triton kernels of `bfs`: see `kernels/check_bfs.py`."""

import pytest

pytestmark = pytest.mark.slow


def test_values_and_gradients(run_checks) -> None:
    run_checks("check_bfs.py")
