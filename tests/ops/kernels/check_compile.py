"""Every kernel is compiled for an H100, with the arguments with which it is launched: the interpreter checks no types.

Nothing is run: in the place of a launch there is a compilation, which needs no GPU.
"""

from typing import Any

import pytest
import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from gnnkit.ops import compress
from gnnkit.ops.attention import triton as attention
from gnnkit.ops.attention.options import AttentionInputs, AttentionOptions
from gnnkit.ops.bfs import triton as bfs
from gnnkit.ops.edge_relu_sum import triton as edge_relu_sum
from gnnkit.ops.kernels import pieces
from gnnkit.ops.neighbour_max import triton as neighbour_max
from gnnkit.ops.neighbour_max.options import MaxInputs, MaxOptions
from gnnkit.ops.pair_attention import triton as pair_attention
from gnnkit.ops.pair_attention.options import PairInputs, PairOptions
from gnnkit.ops.recurrence import triton as recurrence
from gnnkit.ops.spmm import triton as spmm

H100 = GPUTarget("cuda", 90, 32)
# What one program may have on all GPUs of the last years.
SHARED_MEMORY = 99 * 1024
MODULES = (pieces, spmm, neighbour_max, edge_relu_sum, attention, pair_attention, recurrence, bfs)
TYPES = {
    torch.float32: "*fp32",
    torch.float16: "*fp16",
    torch.bfloat16: "*bf16",
    torch.int16: "*i16",
    torch.int32: "*i32",
    torch.int64: "*i64",
}


def type_of(value: Any) -> str:
    if isinstance(value, Tensor):
        return TYPES[value.dtype]
    return "fp32" if isinstance(value, float) else "i32" if -(2**31) <= value < 2**31 else "i64"


@pytest.fixture(autouse=True)
def compiled(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The names of the kernels that were compiled: a set that fills."""
    names = set()

    def launch(kernel: Any, programs: int, *arguments: Any, warps: int = 1, num_stages: int = 3, **constants: Any):
        assert programs > 0
        given = dict(zip(kernel.arg_names, arguments, strict=False))
        signature = {name: type_of(given[name]) if name in given else "constexpr" for name in kernel.arg_names}
        places = {(kernel.arg_names.index(name),): value for name, value in constants.items()}
        source = ASTSource(fn=kernel, signature=signature, constexprs=places)
        result = triton.compile(source, target=H100, options={"num_warps": warps, "num_stages": num_stages})
        assert result.metadata.shared <= SHARED_MEMORY
        names.add(kernel.fn.__name__)

    for module in MODULES:
        monkeypatch.setattr(module, "launch", launch)
    monkeypatch.setattr(pieces, "PIECE", 8)
    return names


@pytest.fixture
def graph():
    generator = torch.Generator().manual_seed(0)
    return compress(torch.randint(9, (2, 100), generator=generator), 9, 9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_spmm(dtype: torch.dtype, graph, compiled: set[str]) -> None:
    x, weight = torch.zeros(9, 128, dtype=dtype), torch.zeros(100, dtype=dtype)
    spmm.forward(graph, x, weight)
    spmm.backward(graph, x, x, weight, True)
    assert compiled == {"_gather", "_sum_parts"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_neighbour_max(dtype: torch.dtype, graph, compiled: set[str]) -> None:
    inputs, options = MaxInputs(torch.zeros(9, 128, dtype=dtype), torch.zeros(100, dtype=dtype)), MaxOptions(True, True)
    kept = neighbour_max.forward(inputs, graph, options)
    neighbour_max.backward(kept[0], inputs, kept, (True, True), graph, options)
    assert compiled == {"_compare", "_join_parts", "_share_out", "_sum_parts"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_edge_relu_sum(dtype: torch.dtype, graph, compiled: set[str]) -> None:
    inputs = torch.zeros(9, 128, dtype=dtype), torch.zeros(100, 128, dtype=dtype)
    out = edge_relu_sum.forward(inputs, graph)
    edge_relu_sum.backward(out[0], inputs, out, (True, True), graph)
    assert compiled == {"_add_positive", "_sum_parts"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_edge_attention(dtype: torch.dtype, graph, compiled: set[str]) -> None:
    x, alpha, logits = (torch.zeros(shape, dtype=dtype) for shape in ((9, 8, 16), (9, 8), (100, 8)))
    options = AttentionOptions(0.2, 0.6, torch.tensor(5))
    inputs = AttentionInputs(x, alpha, alpha, logits)
    out, stats = attention.forward(inputs, graph, options)
    attention.backward(out, inputs, (out, stats), (True,) * 4, graph, options)
    assert compiled == {"attend", "merge", "prepare", "outgoing", "_gather", "_sum_parts"}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_pair_attention(dtype: torch.dtype, graph, compiled: set[str]) -> None:
    query, key, edge_attr, edge_map = (
        torch.zeros(shape, dtype=dtype) for shape in ((9, 8, 19), (9, 8, 16), (100, 3), (3, 8, 16))
    )
    options = PairOptions(0.2, 0.6, torch.tensor(5), 0.25)
    leaky = PairInputs(key, key, None, key[0], edge_attr, edge_map)
    for inputs in (
        leaky,
        leaky._replace(edge_attr=None, edge_map=None),
        PairInputs(query, key, key, None, edge_attr, None),
    ):
        out, stats = pair_attention.forward(inputs, graph, options)
        pair_attention.backward(out, inputs, (out, stats), (True,) * 6, graph, options)
    edges = {"feature_gradient", "map_gradient"}
    assert compiled == {"attend", "merge", "prepare", "outgoing", "incoming", "_sum_parts"} | edges


@pytest.mark.parametrize(("dtype", "hidden"), [(torch.float32, 64), (torch.bfloat16, 128)])
def test_gated_recurrence(dtype: torch.dtype, hidden: int, compiled: set[str]) -> None:
    shapes = [(2, 3, 11, 2), (2, 11, hidden), (2, 3 * hidden), (hidden, 3 * hidden), (3 * hidden,)]
    inputs = [torch.zeros(shape, dtype=dtype) for shape in shapes]
    out = recurrence.forward(inputs, True)
    recurrence.backward(out, inputs, True, True)
    assert compiled == {"_forward", "_backward"}


def test_hop_levels(graph, compiled: set[str]) -> None:
    bfs.hop_levels(graph, torch.arange(9), 5, torch.int16)
    assert compiled == {"_pull"}
