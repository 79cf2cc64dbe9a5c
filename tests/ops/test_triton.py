"""The Triton kernels of all ops, against their references and as for a GPU: see the files of `kernels/`."""

from pathlib import Path

import pytest

pytestmark = pytest.mark.slow

CHECKS = sorted(path.name for path in (Path(__file__).parent / "kernels").glob("check_*.py"))


@pytest.mark.parametrize("file", [name for name in CHECKS if name != "check_compile.py"])
def test_values_and_gradients(run_checks, file: str) -> None:
    run_checks(file)


def test_the_kernels_compile(run_kernels) -> None:
    run_kernels("check_compile.py", interpret=False)
