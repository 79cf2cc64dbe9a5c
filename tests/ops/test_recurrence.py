"""gnnkit.ops.gated_recurrence: every backend, every gradient, odd sizes."""

import math
import subprocess
import sys
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from gnnkit._optional import is_available
from gnnkit.ops import explain_backend, use_backend
from gnnkit.ops.recurrence import gated_recurrence
from gnnkit.ops.recurrence.autograd import gated_recurrence_op

BACKENDS = ["torch"] + (["numba"] if is_available("numba") else [])
NAMES = ("x", "state", "weight_input", "weight_state", "bias")

# B, T, N, F, H: one of everything, less and more than a vector, a tile and a block of rows; nothing at all.
SIZES = [
    (1, 1, 1, 1, 1),
    (3, 4, 7, 1, 3),
    (2, 3, 50, 5, 64),
    (1, 2, 5, 3, 65),
    (2, 2, 131, 17, 20),
    (0, 2, 3, 1, 4),
    (2, 0, 3, 1, 4),
    (2, 2, 3, 0, 4),
    (2, 2, 3, 2, 0),
]


def make_inputs(size, dtype=torch.float64, seed=0):
    batch, steps, nodes, features, hidden = size
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape, scale=1.0):
        return (torch.randn(shape, generator=generator, dtype=torch.float64) * scale).to(dtype).requires_grad_()

    return [
        draw(batch, steps, nodes, features),
        draw(batch, nodes, hidden),
        draw(features, 3 * hidden, scale=max(features, 1) ** -0.5),
        draw(hidden, 3 * hidden, scale=max(hidden, 1) ** -0.5),
        draw(3 * hidden),
    ]


def run(backend, inputs, return_sequence):
    """Output and the gradients of all inputs for a fixed gradient from above."""
    leaves = [tensor.detach().clone().requires_grad_() for tensor in inputs]
    with use_backend(backend):
        output = gated_recurrence(*leaves, return_sequence=return_sequence)
        above = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).reshape(output.shape).to(output.device)
        grads = torch.autograd.grad(output, leaves, above, allow_unused=True)
    return [output, *(torch.zeros_like(a) if g is None else g for g, a in zip(grads, leaves, strict=True))]


def assert_same(found, expected, tolerance, floor=0.1):
    for name, a, b in zip(("output", *NAMES), found, expected, strict=True):
        assert a.shape == b.shape, name
        assert a.dtype == b.dtype, name
        if b.numel():
            difference = (a - b).detach().abs().max()
            assert difference <= tolerance * max(float(b.detach().abs().max()), floor), (name, float(difference))


@pytest.mark.parametrize("backend", ["reference", *BACKENDS])
def test_two_steps_by_hand(backend):
    def sigmoid(value):
        return 1 / (1 + math.exp(-value))

    h, states = 0.5, []
    for x in (1.0, -2.0):
        update = sigmoid(0.1 * x + 0.4 * h + 0.7)
        reset = sigmoid(0.2 * x + 0.5 * h + 0.8)
        candidate = math.tanh(0.3 * x + 0.6 * reset * h + 0.9)
        h = update * h + (1 - update) * candidate
        states.append(h)
    x = torch.tensor([1.0, -2.0], dtype=torch.float64).reshape(1, 2, 1, 1)
    weights = [torch.tensor([[0.1, 0.2, 0.3]]), torch.tensor([[0.4, 0.5, 0.6]]), torch.tensor([0.7, 0.8, 0.9])]
    weights = [torch.tensor(w.tolist(), dtype=torch.float64) for w in weights]
    weights = [(w * 10).round() / 10 for w in weights]
    with use_backend(backend):
        found = gated_recurrence(x, torch.full((1, 1, 1), 0.5, dtype=torch.float64), *weights)
        last = gated_recurrence(x, torch.full((1, 1, 1), 0.5, dtype=torch.float64), *weights, return_sequence=False)
    assert found.flatten().tolist() == pytest.approx(states, rel=1e-14)
    assert last.item() == pytest.approx(states[-1], rel=1e-14)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("return_sequence", [True, False])
def test_reference(backend, dtype, size, return_sequence):
    inputs = make_inputs(size, dtype)
    tolerance = 2e-6 if dtype == torch.float32 else 1e-13
    assert_same(run(backend, inputs, return_sequence), run("reference", inputs, return_sequence), tolerance)


@pytest.mark.parametrize("backend", BACKENDS)
def test_small_numbers_keep_their_digits(backend):
    # tanh(x) by way of exp(2x) loses what is small unless it is done with care.
    inputs = [tensor.detach() * 1e-5 for tensor in make_inputs((2, 3, 5, 2, 6), torch.float32)]
    exact = run("reference", [tensor.double() for tensor in inputs], True)
    assert_same([tensor.double() for tensor in run(backend, inputs, True)], exact, 1e-6, floor=0.0)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_saturated_gates_and_infinities(backend, dtype):
    x = torch.tensor([1e3, -1e3, float("inf"), -float("inf"), 90.0, -710.0], dtype=dtype).reshape(1, 1, 6, 1)
    state, weight_state = torch.full((1, 6, 1), 0.5, dtype=dtype), torch.zeros(1, 3, dtype=dtype)
    only = {"update": [1.0, 0.0, 0.0], "candidate": [0.0, 0.0, 1.0]}
    with use_backend(backend):
        kept = gated_recurrence(x, state, torch.tensor([only["update"]], dtype=dtype), weight_state)
        mixed = gated_recurrence(x, state, torch.tensor([only["candidate"]], dtype=dtype), weight_state)
    finite = [0, 1, 4, 5]
    assert kept.flatten()[finite].tolist() == pytest.approx([0.5, 0.0, 0.5, 0.0], abs=1e-12)
    assert mixed.flatten()[finite].tolist() == pytest.approx([0.75, -0.25, 0.75, -0.25], abs=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_nan_stays_in_its_row(backend):
    inputs = [tensor.detach() for tensor in make_inputs((2, 3, 40, 2, 5), torch.float32)]
    clean = run("reference", inputs, True)[0]
    inputs[0][1, 1, 7] = float("nan")
    found = run(backend, inputs, True)[0]
    assert found[1, 1:, 7].isnan().all()
    found[1, 1:, 7] = clean[1, 1:, 7]
    assert torch.allclose(found, clean, atol=1e-6)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradcheck(backend):
    inputs = make_inputs((2, 3, 2, 2, 3))
    with use_backend(backend):
        for return_sequence in (True, False):
            assert torch.autograd.gradcheck(
                lambda *args, flag=return_sequence: gated_recurrence(*args, return_sequence=flag), inputs
            )


@pytest.mark.parametrize("backend", BACKENDS)
def test_second_derivatives(backend):
    with use_backend(backend):
        assert torch.autograd.gradgradcheck(gated_recurrence, make_inputs((1, 2, 2, 1, 2)))


def test_second_derivatives_where_one_input_is_made_of_another():
    weight = torch.tensor([[0.3, -0.2, 0.5]], dtype=torch.float64, requires_grad=True)
    x = torch.ones(1, 2, 1, 1, dtype=torch.float64)
    found = []
    for backend in ("reference", "auto"):
        with use_backend(backend):
            output = gated_recurrence(x, weight[:, :1].reshape(1, 1, 1), weight, weight * 2, weight[0])
            (first,) = torch.autograd.grad(output.sum(), weight, create_graph=True)
            found.append((first, *torch.autograd.grad(first.square().sum(), weight)))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-12, atol=0)


@pytest.mark.parametrize("backend", BACKENDS)
def test_gradients_of_some_inputs_alone(backend):
    inputs = make_inputs((2, 3, 9, 4, 5))
    expected = run("reference", inputs, True)
    for name, wanted in zip(NAMES, range(5), strict=True):
        leaves = [tensor.detach().clone() for tensor in inputs]
        leaves[wanted].requires_grad_()
        with use_backend(backend):
            output = gated_recurrence(*leaves)
            above = torch.linspace(-1, 2, output.numel(), dtype=output.dtype).reshape(output.shape)
            output.backward(above)
        torch.testing.assert_close(leaves[wanted].grad, expected[1 + wanted], rtol=1e-10, atol=1e-12, msg=name)


@pytest.mark.parametrize("backend", BACKENDS)
def test_layouts_do_not_matter(backend):
    inputs = [tensor.detach() for tensor in make_inputs((3, 4, 5, 2, 6))]
    expected = run(backend, inputs, True)
    strided = [tensor.transpose(0, -1).contiguous().transpose(0, -1) for tensor in inputs]
    assert not strided[0].is_contiguous()
    assert_same(run(backend, strided, True), expected, 1e-13)
    expanded = inputs[1][:1, :1].expand(3, 5, 6)
    one = run(backend, [inputs[0], expanded, *inputs[2:]], False)[0]
    two = run(backend, [inputs[0], expanded.contiguous(), *inputs[2:]], False)[0]
    assert torch.equal(one, two)


@pytest.mark.parametrize("backend", BACKENDS)
def test_no_bias_is_a_bias_of_zero(backend):
    x, state, weight_input, weight_state, bias = make_inputs((2, 3, 4, 2, 5))
    with use_backend(backend):
        without = gated_recurrence(x, state, weight_input, weight_state)
        zero = gated_recurrence(x, state, weight_input, weight_state, torch.zeros_like(bias))
    assert torch.equal(without, zero)


def test_same_bits_each_time_and_for_any_number_of_threads():
    inputs = make_inputs((5, 3, 131, 3, 33), torch.float32)
    before = torch.get_num_threads()
    found = []
    try:
        for threads in (1, 2, 2, 3):
            torch.set_num_threads(threads)
            found.append(run("auto", inputs, True))
    finally:
        torch.set_num_threads(before)
    for other in found[1:]:
        assert all(torch.equal(a, b) for a, b in zip(found[0], other, strict=True))


def test_two_python_threads_at_once():
    jobs = [make_inputs((4, 3, 97, 2, 24), torch.float32, seed) for seed in range(4)]
    expected = [run("auto", job, True) for job in jobs]
    wrong = []

    def work(mine):
        for index in mine:
            for _ in range(5):
                found = run("auto", jobs[index], True)
                if not all(torch.equal(a, b) for a, b in zip(found, expected[index], strict=True)):
                    wrong.append(index)

    threads = [threading.Thread(target=work, args=(mine,)) for mine in ((0, 1), (2, 3))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


@pytest.mark.parametrize("backend", BACKENDS)
def test_nothing_is_read_before_it_is_written(backend):
    inputs = make_inputs((2, 3, 50, 5, 9), torch.float32)
    expected = run("reference", inputs, False)
    torch.use_deterministic_algorithms(True)  # torch.empty is then filled with NaN
    try:
        assert torch.empty(3).isnan().all()
        found = run(backend, inputs, False)
    finally:
        torch.use_deterministic_algorithms(False)
    assert_same(found, expected, 2e-6)


@settings(max_examples=25, deadline=None)
@given(
    st.tuples(st.integers(1, 4), st.integers(0, 5), st.integers(1, 60), st.integers(0, 20), st.integers(1, 40)),
    st.booleans(),
    st.integers(0, 1000),
)
def test_random_sizes(size, return_sequence, seed):
    inputs = make_inputs(size, torch.float64, seed)
    assert_same(run("auto", inputs, return_sequence), run("reference", inputs, return_sequence), 1e-12)


def test_rows_do_not_see_each_other():
    x, state, *weights = (tensor.detach() for tensor in make_inputs((2, 4, 60, 3, 7)))
    order = torch.randperm(60, generator=torch.Generator().manual_seed(1))
    whole = gated_recurrence(x, state, *weights)
    torch.testing.assert_close(gated_recurrence(x[:, :, order], state[:, order], *weights), whole[:, :, order])
    torch.testing.assert_close(gated_recurrence(x[:, :, 3:4], state[:, 3:4], *weights), whole[:, :, 3:4])
    later = gated_recurrence(x[:, 2:], whole[:, 1], *weights)
    torch.testing.assert_close(later, whole[:, 2:])


def test_nothing_but_the_inputs_is_kept_for_the_backward_pass():
    inputs = make_inputs((2, 6, 30, 3, 8))
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t.numel()) or t, lambda t: t):
        gated_recurrence(*inputs, return_sequence=False)
    if explain_backend("gated_recurrence", inputs[0]).backend == "numba":
        assert sum(kept) == sum(tensor.numel() for tensor in inputs)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_takes_the_native_path(dtype):
    inputs = make_inputs((2, 3, 4, 2, 5), dtype)
    assert explain_backend("gated_recurrence", inputs[0]).backend == "torch"
    found = gated_recurrence(*inputs)
    assert found.dtype == dtype
    expected = gated_recurrence(*(tensor.float() for tensor in inputs))
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=0.05)


def test_function_transforms():
    x, state, *weights = (tensor.detach() for tensor in make_inputs((3, 2, 4, 2, 3)))

    def loss(weight_state):
        return gated_recurrence(x, state, weights[0], weight_state, weights[2]).sum()

    leaf = weights[1].clone().requires_grad_()
    (expected,) = torch.autograd.grad(loss(leaf), leaf)
    torch.testing.assert_close(torch.func.grad(loss)(weights[1]), expected)
    torch.testing.assert_close(torch.func.jacrev(loss)(weights[1]), expected)
    each = torch.func.vmap(lambda a, h: gated_recurrence(a[None], h[None], *weights)[0])(x, state)
    torch.testing.assert_close(each, gated_recurrence(x, state, *weights))


def test_inference_mode():
    inputs = make_inputs((2, 3, 4, 2, 5))
    expected = run("reference", inputs, True)[0]
    with torch.inference_mode():
        found = gated_recurrence(*inputs)
    assert not found.requires_grad
    torch.testing.assert_close(found, expected)


def test_autocast_takes_the_wider_type():
    x, *rest = make_inputs((2, 3, 4, 2, 5), torch.float32)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = gated_recurrence(x.bfloat16(), *rest)
    torch.testing.assert_close(found, gated_recurrence(x.bfloat16().float(), *rest))


def test_opcheck():
    for return_sequence in (True, False):
        inputs = make_inputs((2, 3, 4, 2, 5), torch.float32)
        torch.library.opcheck(gated_recurrence_op, (*inputs, return_sequence))


def test_compiles_without_graph_breaks():
    inputs = make_inputs((2, 3, 4, 2, 5))

    def model(x, state, weight_input, weight_state, bias):
        return gated_recurrence(x * 2, state, weight_input, weight_state, bias).relu()

    compiled = torch.compile(model, backend="aot_eager", fullgraph=True)
    for nodes in (4, 9):
        sized = make_inputs((2, 3, nodes, 2, 5), seed=nodes)
        expected = torch.autograd.grad(model(*sized).sum(), sized)
        found = torch.autograd.grad(compiled(*sized).sum(), sized)
        for a, b in zip(found, expected, strict=True):
            torch.testing.assert_close(a, b)
    torch.testing.assert_close(compiled(*inputs), model(*inputs))


@pytest.mark.slow
def test_works_without_numba():
    code = """
import sys
sys.modules["numba"] = sys.modules["llvmlite"] = None
import torch
from gnnkit.ops import explain_backend
from gnnkit.ops.recurrence import gated_recurrence
x, weight = torch.ones(1, 2, 1, 1), torch.ones(1, 3)
assert explain_backend("gated_recurrence", x).backend == "torch"
print([round(v, 4) for v in gated_recurrence(x, torch.zeros(1, 1, 1), weight, weight).flatten().tolist()])
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "[0.2048, 0.3468]", done.stderr


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"x": torch.zeros(2, 3, 4)}, r"x has shape \[2, 3, 4\]: it is \[B, T, N, F\].*x\[None\]"),
        ({"weight_state": torch.zeros(5, 10)}, r"weight_state has shape \[5, 10\]: it is \[H, 3H\]"),
        ({"state": torch.zeros(2, 4, 6)}, r"state has shape \[2, 4, 6\].*\[B, N, H\] = \[2, 4, 5\]"),
        ({"weight_input": torch.zeros(3, 15)}, r"weight_input has shape \[3, 15\].*\[F, 3H\] = \[2, 15\]"),
        ({"bias": torch.zeros(5)}, r"bias has shape \[5\].*\[3H\] = \[15\]"),
        ({"bias": torch.zeros(15, dtype=torch.float64)}, r"different types, torch.float32, torch.float64"),
        ({"x": torch.zeros(2, 3, 4, 2, dtype=torch.int64)}, r"they are floating"),
        ({"state": torch.zeros(2, 4, 5, device="meta")}, r"state is on meta and x on cpu"),
    ],
)
def test_errors(change, text):
    inputs = dict(zip(NAMES, (t.detach() for t in make_inputs((2, 3, 4, 2, 5), torch.float32)), strict=True))
    with pytest.raises(ValueError, match=text):
        gated_recurrence(**(inputs | change))


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
@pytest.mark.parametrize("size", SIZES, ids=str)
def test_cuda(size):
    inputs = make_inputs(size, torch.float32)
    found = run("auto", [tensor.detach().cuda() for tensor in inputs], True)
    assert_same([tensor.cpu() for tensor in found], run("reference", inputs, True), 1e-5)
