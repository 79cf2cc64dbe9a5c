"""The Triton kernels of `spmm`: see `kernels/check_spmm.py`."""

import pytest

pytestmark = pytest.mark.slow


def test_values_and_gradients(run_checks) -> None:
    run_checks("check_spmm.py")
