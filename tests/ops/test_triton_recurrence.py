"""The Triton kernels of `recurrence`: see `kernels/check_recurrence.py`."""

import pytest

pytestmark = pytest.mark.slow


def test_values_and_gradients(run_checks) -> None:
    run_checks("check_recurrence.py")
