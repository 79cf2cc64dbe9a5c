import os
import subprocess
import sys

import pytest

pytest.importorskip("numba")

CALLS = """
import torch
from gnnkit.ops import edge_attention, spmm, use_backend
torch.manual_seed(0)
edges, x = torch.randint(0, 9, (2, 40)), torch.randn(9, 12, requires_grad=True)
heads, logits = torch.randn(9, 2, 4, requires_grad=True), torch.randn(9, 2, requires_grad=True)
with use_backend("numba"):
    out = spmm(edges, x, torch.rand(40)).sum() + edge_attention(edges, heads, logits, logits).sum()
    out.backward()
print(out.item(), x.grad.sum().item(), heads.grad.sum().item())
from gnnkit.ops._numba_attention_kernels import attention_kernels
from gnnkit.ops._numba_spmm import _kernels
kernels = attention_kernels(False, 0, 0)
for kernel in (*_kernels(False, True, 0)[:1], kernels.forward, kernels.outgoing):
    print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
"""


def test_another_process_finds_the_kernels_and_adds_none(tmp_path):
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path)}
    runs = []
    for _ in range(2):
        found = subprocess.run(
            [sys.executable, "-c", CALLS], env=environment, capture_output=True, text=True, check=True
        )
        runs.append((found.stdout.splitlines(), len(list(tmp_path.rglob("*.nbc")))))
    (first, kept), (second, kept_later) = runs
    assert first[0] == second[0]
    assert first[1:] == ["0 1"] * 3
    assert second[1:] == ["1 0"] * 3
    assert kept == kept_later > 3
