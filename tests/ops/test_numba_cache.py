import os
import pickle
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("numba")

from numba import float64, types
from numba.core import bytecode
from numba.core.registry import cpu_target

from gnnkit.ops.kernels import cache
from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.files import KernelFiles

SIGNATURE = ((types.Array(float64, 1, "C"),), cpu_target.target_context.codegen())
EMPTY_TUPLE = pickle.dumps(())

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
from gnnkit.ops.attention.numba_kernels import attention_kernels
from gnnkit.ops.spmm.numba import gather_kernels
kernels = attention_kernels(False, 0, 0)
for kernel in (*gather_kernels(False, True, 0)[:1], kernels.forward, kernels.outgoing):
    print(sum(kernel.stats.cache_hits.values()), sum(kernel.stats.cache_misses.values()))
"""


@pytest.mark.slow
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


# Both have compiled before either writes: what two processes with an empty cache come to by chance.
COLD = """
import sys, time
from pathlib import Path
import torch
from gnnkit.ops import spmm, use_backend
from gnnkit.ops.kernels import files
role, meet = sys.argv[1], Path(sys.argv[2])
torch.manual_seed(0)
edges, x, weight = torch.randint(0, 50, (2, 400)), torch.rand(50, 16), torch.rand(400)
calls = {"weighted": (edges, x, weight), "plain": (edges, x)}
write = files.KernelFiles.write
def together(self, name, *rest):
    if "gather" in name:
        (meet / role).touch()
        end = time.monotonic() + 1200
        while len(list(meet.iterdir())) < 2 and time.monotonic() < end:
            time.sleep(0.002)
    write(self, name, *rest)
files.KernelFiles.write = together
for name in calls if role == "both" else (role,):
    with use_backend("numba"):
        got = spmm(*calls[name])
    with use_backend("reference"):
        torch.testing.assert_close(got, spmm(*calls[name]))
from gnnkit.ops.spmm.numba import gather_kernels
print([sum(gather_kernels(False, weighted, 0)[0].stats.cache_hits.values()) for weighted in (True, False)])
"""


@pytest.mark.slow
def test_two_processes_with_an_empty_cache_and_a_third_that_finds_both_kernels(tmp_path):
    # Of one hash seed numba gives both kernels one symbol, as in processes that are forked from one.
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "cache"), "PYTHONHASHSEED": "0"}
    meet = tmp_path / "meet"
    meet.mkdir()

    def start(role):
        words = [sys.executable, "-W", "error::RuntimeWarning", "-c", COLD, role, str(meet)]
        return subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    cold = [start("weighted"), start("plain")]
    for process in cold:
        out, err = process.communicate()
        assert process.returncode == 0, err
        assert out.split() == ["[0,", "0]"]
    assert len(list(meet.iterdir())) == 2
    third = start("both")
    out, err = third.communicate()
    assert third.returncode == 0, err
    assert out.split() == ["[1,", "1]"]


ALONE = """
import torch
from gnnkit.ops import spmm, use_backend
torch.manual_seed(0)
edges, x = torch.randint(0, 50, (2, 400)), torch.rand(50, 16)
with use_backend("numba"):
    got = spmm(edges, x)
with use_backend("reference"):
    torch.testing.assert_close(got, spmm(edges, x))
"""


@pytest.mark.slow
def test_without_a_folder_to_write_into_kernels_are_compiled_in_memory(tmp_path):
    (tmp_path / "file").write_text("")
    nowhere = str(tmp_path / "file" / "x")  # below a file nobody can make a folder, not even root
    environment = os.environ | {"HOME": nowhere, "XDG_CACHE_HOME": nowhere}
    environment.pop("NUMBA_CACHE_DIR", None)
    run = subprocess.run([sys.executable, "-c", ALONE], env=environment, capture_output=True, text=True)
    assert run.returncode == 0, run.stderr
    assert run.stderr.count("RuntimeWarning: compiled kernels cannot be kept on disk") == 1
    assert run.stderr.count("Warning") == 1


@pytest.fixture
def folder(tmp_path, monkeypatch):
    def fresh():
        monkeypatch.setattr(cache, "_files", KernelFiles(lambda: tmp_path / "kernels"))
        return tmp_path / "kernels"

    fresh()
    return fresh


def times(factor):
    @compiled(factor, fastmath=False)
    def kernel(values):
        for i in range(len(values)):
            values[i] *= factor

    return kernel


def run(factor):
    """Values of a kernel that this process has not made yet, and how often it was found on disk."""
    kernel, values = times(factor), np.arange(4.0)
    kernel(values)
    assert values.tolist() == [0.0, factor, 2 * factor, 3 * factor]
    return sum(kernel.stats.cache_hits.values())


def test_constants_have_files_of_their_own(folder):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert [run(2.0), run(3.0), run(2.0), run(3.0)] == [0, 0, 1, 1]
    names = sorted(path.name for path in folder().iterdir())
    assert len(names) == 2
    assert all(".times.locals.kernel-" in name for name in names)
    kernel = times(2.0)
    kernel(np.arange(4, dtype=np.float32))
    assert len(list(folder().iterdir())) == 3  # one more signature
    assert kernel.stats.cache_path == str(folder())


@pytest.mark.parametrize(
    "damage",
    [
        lambda path, blob: path.write_bytes(b""),
        lambda path, blob: path.write_bytes(blob[: len(blob) // 2]),
        lambda path, blob: path.write_bytes(blob[:5000] + bytes([blob[5000] ^ 8]) + blob[5001:]),
        lambda path, blob: path.write_bytes(bytes(len(blob))),
        lambda path, blob: cache._files.write(path.name, times(2.0)._cache._file(*SIGNATURE)[1], b"no pickle"),
        lambda path, blob: cache._files.write(path.name, times(2.0)._cache._file(*SIGNATURE)[1], EMPTY_TUPLE),
    ],
    ids=["empty", "cut", "flipped", "zeros", "no pickle", "another pickle"],
)
def test_a_damaged_kernel_is_compiled_anew_and_said(folder, damage):
    assert run(2.0) == 0
    (path,) = folder().iterdir()
    whole = path.read_bytes()
    damage(path, whole)
    folder()
    with pytest.warns(RuntimeWarning, match=r"the compiled kernel .*times.* it is compiled anew") as said:
        assert run(2.0) == 0
    assert len(said) == 1
    folder()
    assert run(2.0) == 1
    assert [found.name for found in folder().iterdir()] == [path.name]


def test_two_kernels_whose_files_were_exchanged(folder):
    assert [run(2.0), run(3.0)] == [0, 0]
    first, second = folder().iterdir()
    first.rename(first.with_name("aside"))
    second.rename(first)
    first.with_name("aside").rename(second)
    folder()
    with pytest.warns(RuntimeWarning, match="its checksum is wrong"):
        assert [run(2.0), run(3.0)] == [0, 0]
    assert [run(2.0), run(3.0)] == [1, 1]


SOURCE = """
from gnnkit.ops.kernels.cache import compiled
FACTOR = {}
@compiled(fastmath=False)
def kernel(values):
    for i in range(len(values)):
        values[i] *= FACTOR
"""


def test_an_edit_of_a_kernels_folder_makes_it_anew(folder, tmp_path):
    def values_of(factor):
        path = tmp_path / "outside" / "op.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(SOURCE.format(factor))
        cache._makings.cache_clear()
        names = {"__name__": "outside.op"}
        exec(compile(path.read_text(), str(path), "exec"), names)
        values, kernel = np.arange(3.0), names["kernel"]
        kernel(values)
        return values.tolist(), sum(kernel.stats.cache_hits.values())

    assert [values_of(factor) for factor in (2.0, 3.0, 2.0)] == [
        ([0.0, 2.0, 4.0], 0),
        ([0.0, 3.0, 6.0], 0),
        ([0.0, 2.0, 4.0], 1),
    ]
    cache._makings.cache_clear()


def test_functions_are_numbered_apart_from_those_of_other_processes():
    drawn = [next(bytecode.FunctionIdentity._unique_ids) for _ in range(1000)]
    assert len(set(drawn)) == 1000
    assert min(drawn) >= 2**62
    assert max(drawn) < 2**63


def test_numba_writes_no_files_of_its_own():
    ops = Path(cache.__file__).parents[1]
    assert not [path.name for path in ops.rglob("*.py") if "cache=True" in path.read_text(encoding="utf-8")]
