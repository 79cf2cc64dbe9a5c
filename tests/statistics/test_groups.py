"""How many blocks of windows a group of targets amounts to."""

import numpy as np
import pytest

from gnnkit.statistics.groups import effective_blocks


def test_effective_blocks():
    targets = np.zeros((240, 4))
    targets[:, 0] = 5.0
    targets[20:32, 1] = 1.0
    targets[[10, 60, 110, 160, 210], 2] = 2.0
    targets[:120, 3] = 3.0
    found = effective_blocks(targets, 12)
    assert found[0] == pytest.approx(20)
    assert 1 < found[1] < 2  # a run as long as a block is in two of them, wherever these begin
    assert found[2] == pytest.approx(5, rel=0.03)
    assert found[3] == pytest.approx(10, rel=0.03)
