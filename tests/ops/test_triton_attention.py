"""The Triton kernels of `attention`: see `kernels/check_attention.py`."""

import pytest

pytestmark = pytest.mark.slow


def test_values_and_gradients(run_checks) -> None:
    run_checks("check_attention.py")
