"""The choice of a backend: pure, explained, and never quietly other than what was asked for."""

import subprocess
import sys
import threading

import pytest
import torch

from gnnkit._optional import is_available
from gnnkit.ops import edge_attention, explain_backend, segment_sum, spmm, use_backend
from gnnkit.ops.backends import BACKENDS, Situation
from gnnkit.ops.dispatch import choose, load_backend, requested_backend

EDGES = torch.tensor([[0, 1, 2], [1, 2, 0]])


def everything(name: str) -> bool:
    return True


def nothing(name: str) -> bool:
    return False


@pytest.mark.parametrize(
    ("op", "situation", "available", "expected"),
    [
        ("spmm", Situation(), everything, "numba"),
        ("spmm", Situation(), nothing, "torch"),
        ("spmm", Situation(device="cuda"), everything, "triton"),
        ("spmm", Situation(device="cuda", dtype=torch.bfloat16), everything, "triton"),
        ("spmm", Situation(device="cuda"), nothing, "torch"),
        ("spmm", Situation(dtype=torch.float16), everything, "numba"),
        ("edge_attention", Situation(dtype=torch.bfloat16), everything, "numba"),
        ("spmm", Situation(transforms=True), everything, "torch"),
        ("spmm", Situation(num_dst=207, num_src=207, num_edges=2833), everything, "numba"),
        ("spmm", Situation(num_dst=207, num_src=207, num_edges=12_000, width=256), everything, "dense"),
        ("spmm", Situation(num_dst=207, num_src=207, num_edges=12_000, width=64), everything, "numba"),
        (
            "spmm",
            Situation(num_dst=207, num_src=207, num_edges=12_000, width=256, transforms=True),
            everything,
            "torch",
        ),
        ("spmm", Situation("cuda", num_dst=207, num_src=207, num_edges=12_000, width=256), everything, "triton"),
        ("spmm", Situation(num_dst=30, num_src=30, num_edges=60, width=16), everything, "torch"),
        ("spmm", Situation(num_dst=30, num_src=30, num_edges=60, width=1600), everything, "numba"),
        ("spmm", Situation(num_dst=207, num_src=207, num_edges=300), everything, "numba"),
        ("spmm", Situation(num_dst=5000, num_src=5000, num_edges=5_000_000), everything, "numba"),
        ("edge_attention", Situation(), everything, "numba"),
        ("edge_attention", Situation(weights=True), everything, "torch"),
        ("edge_attention", Situation(device="mps"), everything, "torch"),
        ("segment_sum", Situation(), everything, "scatter"),
        ("segment_sum", Situation(), nothing, "torch"),
        ("segment_max", Situation(transforms=True), everything, "torch"),
        ("gated_recurrence", Situation(), everything, "numba"),
        ("gated_recurrence", Situation(device="cuda", hidden=128), everything, "triton"),
        ("gated_recurrence", Situation(device="cuda", hidden=129), everything, "torch"),
        ("hop_levels", Situation(device="cuda"), everything, "triton"),
        ("hop_levels", Situation(), nothing, "torch"),
    ],
)
def test_the_automatic_choice(op: str, situation: Situation, available, expected: str) -> None:
    assert choose(op, situation, available=available).backend == expected


def test_the_choice_is_explained() -> None:
    text = str(choose("spmm", Situation(dtype=torch.float16), available=everything))
    assert text.startswith("spmm runs on 'numba': the first in the order of preference that can run float16 on cpu")
    assert "not 'dense': it takes float32, float64, not float16" in text
    assert "not 'triton': it runs on cuda, not on cpu" in text
    choice = explain_backend("spmm", torch.ones(2, 3, 4), graph=EDGES)
    assert (choice.op, choice.backend) == ("spmm", "torch")
    if is_available("numba"):
        assert ("numba", "24 products take less time than its call does (from 8192 on it is worth it)") in (
            choice.passed_over
        )
    with use_backend("torch"):
        assert explain_backend("edge_attention").reason == "it was asked for with use_backend"


@pytest.mark.parametrize(
    ("op", "request_", "situation", "text"),
    [
        ("spmm", "triton", Situation(), "spmm cannot run there, because it runs on cuda, not on cpu"),
        ("spmm", "scatter", Situation(dtype=torch.bfloat16), "it takes float32, float64, not bfloat16"),
        ("spmm", "numba", Situation(transforms=True), "torch.func transforms"),
        ("edge_attention", "numba", Situation(weights=True), "per-edge weights are asked for"),
        ("edge_attention", "dense", Situation(), "edge_attention has no such backend. It has triton, numba, torch"),
    ],
)
def test_a_request_that_cannot_run_raises(op: str, request_: str, situation: Situation, text: str) -> None:
    with pytest.raises(RuntimeError, match=text):
        choose(op, situation, request_, available=everything)


def test_a_missing_library_is_named() -> None:
    with pytest.raises(RuntimeError, match="numba is not installed"):
        choose("spmm", Situation(), "numba", available=nothing)


def test_the_interpreter_lets_triton_run_on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRITON_INTERPRET", "1")
    assert choose("spmm", Situation(), "triton", available=everything).backend == "triton"
    assert choose("spmm", Situation(), available=everything).backend == "numba"


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(ValueError, match=r"backend='nunba' is not known.*did you mean 'numba'"):
        use_backend("nunba")
    with pytest.raises(ValueError, match=r"op='spm' is not an op of gnnkit.ops.*did you mean 'spmm'"):
        choose("spm", Situation())
    with pytest.raises(ValueError, match="backend='dense': edge_attention has"):
        load_backend("edge_attention", "dense")


def test_requests_nest_and_name_ops() -> None:
    with use_backend("torch"):
        with use_backend("reference", "spmm"):
            assert (requested_backend("spmm"), requested_backend("hop_levels")) == ("reference", "torch")
        assert requested_backend("spmm") == "torch"
    assert requested_backend("spmm") == "auto"


def test_a_request_without_a_block_stays_and_belongs_to_its_thread() -> None:
    seen: list[str] = []

    def work() -> None:
        seen.append(requested_backend("spmm"))
        use_backend("reference")
        seen.append(requested_backend("spmm"))

    with use_backend("torch"):
        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        assert requested_backend("spmm") == "torch"
    assert seen == ["auto", "reference"]


def test_fronts_obey_the_request() -> None:
    x = torch.ones(3, 1, 2)
    with use_backend("triton"), pytest.raises(RuntimeError, match=r"use_backend\('triton'\): spmm cannot run there"):
        spmm(EDGES, x[:, 0])
    with use_backend("dense"):
        with pytest.raises(RuntimeError, match="edge_attention has no such backend"):
            edge_attention(EDGES, x, x[:, :, 0])
        with pytest.raises(RuntimeError, match="segment_sum has no such backend"):
            segment_sum(x, EDGES[0])


def test_every_backend_that_is_listed_can_be_loaded() -> None:
    for op in ("spmm", "edge_attention", "segment_sum", "segment_mean", "segment_max", "segment_softmax"):
        for entry in BACKENDS[op]:
            if entry.name in ("torch", "reference", "dense", "numba") and op != "hop_levels":
                assert callable(load_backend(op, entry.name))


BLOCKED = """
import sys
for name in ("numba", "llvmlite", "triton", "torch_scatter"):
    sys.modules[name] = None
import torch
from gnnkit.ops import edge_attention, explain_backend, segment_softmax, spmm, use_backend
edges = torch.tensor([[0, 1, 2], [1, 2, 2]])
x = torch.tensor([[1.0], [2.0], [4.0]], requires_grad=True)
out = spmm(edges, x)
out.sum().backward()
assert out.flatten().tolist() == [0.0, 1.0, 6.0] and x.grad.flatten().tolist() == [1.0, 1.0, 1.0]
assert edge_attention(edges, x[:, None], torch.zeros(3, 1)).flatten().tolist() == [0.0, 1.0, 3.0]
assert segment_softmax(torch.zeros(2), torch.tensor([0, 0])).tolist() == [0.5, 0.5]
assert explain_backend("edge_attention", x).backend == "torch"
try:
    with use_backend("numba"):
        spmm(edges, x)
except RuntimeError as error:
    assert "numba is not installed" in str(error)
else:
    raise SystemExit("ran without numba")
print("works")
"""


@pytest.mark.slow
def test_works_with_none_of_the_optional_libraries() -> None:
    done = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "works"
