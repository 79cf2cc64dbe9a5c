"""Which code trains."""

import pytest

from gnnkit.training.code import code_digest


def test_it_is_that_of_the_parts_that_are_asked_for():
    assert code_digest("metrics.py") == code_digest("metrics.py") != code_digest("ranking.py")
    assert code_digest("training") != code_digest("training", "metrics.py")
    with pytest.raises(FileNotFoundError):
        code_digest("nowhere.py")
