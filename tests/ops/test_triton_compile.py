"""The Triton kernels are compiled as for a GPU, whether there is one or not: see `kernels/check_compile.py`."""

import pytest

pytestmark = pytest.mark.slow


def test_the_kernels_compile(run_kernels) -> None:
    run_kernels("check_compile.py", interpret=False)
