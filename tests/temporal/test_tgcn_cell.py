import importlib.util
import math
from pathlib import Path

import pytest
import torch

from gnnkit.graph import propagation
from gnnkit.temporal import TGCNCell

# Four nodes, directed, weighted; node 0 is reached by nobody, node 3 has a loop.
EDGES = torch.tensor([[0, 0, 1, 2, 3, 3], [1, 2, 2, 1, 3, 2]])
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 4.0, 1.5], dtype=torch.float64)
B, T, N, F, C = 2, 4, 4, 2, 3

FORMS = {
    "paper": {},
    "one-layer": {"layers": 1},
    "tgcn2": {"layers": 1, "gate_convolutions": "separate"},
    "separate-two-layer": {"layers": 2, "gate_convolutions": "separate"},
    "official": {"graph_convolution": "input_and_state"},
    "official-as-published": {"graph_convolution": "input_and_state", "gate_split": "nodes"},
    "official-single-loops": {"graph_convolution": "input_and_state", "add_self_loops": "missing"},
}
DOUBLE_LOOPS = ("official", "official-as-published")
each_form = pytest.mark.parametrize("form", FORMS)


def build(form, in_channels=F):
    torch.manual_seed(0)
    cell = TGCNCell(in_channels, C, **FORMS[form]).double()
    with torch.no_grad():  # no bias stays at a value that hides a mistake
        for parameter in cell.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return cell


def history(in_channels=F):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(B, T, N, in_channels, dtype=torch.float64, generator=generator)


def adjacency_by_hand(weight, loops):
    a = [[0.0] * N for _ in range(N)]
    for e in range(EDGES.size(1)):
        source, target = EDGES[:, e].tolist()
        a[target][source] = a[target][source] + weight[e]
    for i in range(N):
        if loops is True or not EDGES.t().tolist().count([i, i]):
            a[i][i] = a[i][i] + 1.0
    degree = [sum(row) for row in a]
    return [[a[i][j] / (degree[i] * degree[j]) ** 0.5 for j in range(N)] for i in range(N)]


def plain_loop(cell, x, weight, form):
    """T-GCN from the equations: batch by batch, step by step, node by node, gate by gate."""
    a_hat = adjacency_by_hand(weight, FORMS[form].get("add_self_loops", form in DOUBLE_LOOPS or "missing"))

    def convolve(rows):
        return [sum(a_hat[i][j] * rows[j] for j in range(N)) for i in range(N)]

    def features(gate, rows):
        if form.startswith("official"):
            return convolve(rows)
        k = gate if "separate" in FORMS[form].values() else 0
        first = [row @ cell.convolution_weight[k] for row in convolve(rows)]
        if FORMS[form].get("layers") == 1:
            return [row + cell.convolution_bias[k] for row in first]
        second = [row @ cell.convolution_weight_2[k] for row in convolve([torch.relu(row) for row in first])]
        return [torch.sigmoid(row) for row in second]

    def gate_value(gate, f, h):
        h = convolve(h) if form.startswith("official") else h
        columns = slice(gate * C, (gate + 1) * C)
        w_f, w_h, b = cell.input_weight[:, columns], cell.state_weight[:, columns], cell.bias[columns]
        return [torch.cat([f[i], h[i]]) @ torch.cat([w_f, w_h]) + b for i in range(N)]

    batches = []
    for sample in x:
        h, states = [torch.zeros(C, dtype=x.dtype)] * N, []
        for x_t in sample:
            f = [features(gate, list(x_t)) for gate in range(3)]
            reset = [torch.sigmoid(v) for v in gate_value(1, f[1], h)]
            update = [torch.sigmoid(v) for v in gate_value(0, f[0], h)]
            if form == "official-as-published":  # node by node in one row, and that is split in the middle
                flat = torch.cat([torch.cat(pair) for pair in zip(update, reset, strict=True)])
                reset, update = (list(half.view(N, C)) for half in (flat[: N * C], flat[N * C :]))
            candidate = [torch.tanh(v) for v in gate_value(2, f[2], [reset[i] * h[i] for i in range(N)])]
            h = [update[i] * h[i] + (1 - update[i]) * candidate[i] for i in range(N)]
            states.append(torch.stack(h))
        batches.append(torch.stack(states))
    return torch.stack(batches)  # [B, T, N, C]


@each_form
@pytest.mark.parametrize("path", ["run", "forward", "sparse"])
@pytest.mark.parametrize("in_channels", [F, C + 2])  # both orders of A X W
def test_values_and_gradients_are_those_of_a_plain_loop(form, path, in_channels, monkeypatch):
    if path == "sparse":
        monkeypatch.setattr(propagation, "DENSE_NODES", 1)
    cell = build(form, in_channels)
    x, weight = history(in_channels).requires_grad_(), WEIGHT.clone().requires_grad_()
    if path == "forward":
        states = []
        for t in range(T):
            states.append(cell(x[:, t], EDGES, weight, states[-1] if states else None))
        found = torch.stack(states, dim=1)
    else:
        found = cell.run(x, EDGES, weight)
    expected = plain_loop(cell, x, weight, form)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    inputs = [x, weight, *cell.parameters()]
    upstream = torch.randn(expected.shape, dtype=x.dtype, generator=torch.Generator().manual_seed(2))
    gradients = torch.autograd.grad((found * upstream).sum(), inputs)
    for one, other in zip(gradients, torch.autograd.grad((expected * upstream).sum(), inputs), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-11)
        assert one.abs().max() > 0


@each_form
def test_gradcheck(form):
    cell = build(form)
    x = history()[:, :2].requires_grad_()
    state = torch.randn(B, N, C, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x, s: cell.run(x, EDGES, WEIGHT, s)[:, -1], (x, state))


def test_one_node_by_hand():
    cell = TGCNCell(1, 1).double()
    with torch.no_grad():
        for parameter in cell.parameters():
            parameter.fill_(0.5)
    x, h = 0.8, 0.4

    def s(v):
        return 1 / (1 + math.exp(-v))

    f = s(max(0.5 * x, 0.0) * 0.5)  # a lone node with a loop: A_hat = 1
    gate = s(0.5 * f + 0.5 * h + 0.5)
    expected = gate * h + (1 - gate) * math.tanh(0.5 * f + 0.5 * gate * h + 0.5)
    empty = torch.empty(2, 0, dtype=torch.long)
    found = cell(torch.tensor([[[x]]], dtype=torch.float64), empty, None, torch.tensor([[[h]]], dtype=torch.float64))
    assert found.item() == pytest.approx(expected, abs=1e-12)


@each_form
def test_run_goes_on_from_a_state(form):
    cell, x = build(form), history()
    whole = cell.run(x, EDGES, WEIGHT)
    rest = cell.run(x[:, 2:], EDGES, WEIGHT, whole[:, 1])
    torch.testing.assert_close(rest, whole[:, 2:], rtol=0, atol=1e-12)
    last = cell.last(x[:, 2:], EDGES, WEIGHT, whole[:, 1])
    torch.testing.assert_close(last, whole[:, -1], rtol=0, atol=1e-12)


def published_steps(x, laplacian, gates, candidate):
    """The steps of the authors' code, from its description: states and gates are rows of all nodes, `[B, N * C]`.

    A gate is `sigmoid` of the graph convolution of `[x, h]`, laid out node by node; what is split is that row.
    """

    def convolution(x_t, h, weight, bias):
        seen = torch.cat([x_t, h.view(len(h), x_t.size(1), -1)], dim=2)  # [B, N, F + C]
        return (torch.einsum("mn,bnf->bmf", laplacian, seen) @ weight + bias).flatten(1)

    h, states = torch.zeros(len(x), x.size(2) * candidate[1].numel(), dtype=x.dtype), []
    for x_t in x.unbind(1):
        row = torch.sigmoid(convolution(x_t, h, *gates))
        half = row.size(1) // 2
        reset, update = row[:, :half], row[:, half:]
        new = torch.tanh(convolution(x_t, reset * h, *candidate))
        h = update * h + (1 - update) * new
        states.append(h.view(len(x), x.size(2), -1))
    return torch.stack(states, dim=1)


@pytest.mark.parametrize("num_nodes", [1, 4, 5])  # an odd number is split inside a node
def test_gates_split_across_the_nodes_are_those_of_the_published_code(num_nodes):
    torch.manual_seed(0)
    cell = TGCNCell(F, C, graph_convolution="input_and_state", gate_split="nodes").double()
    adjacency = (torch.rand(num_nodes, num_nodes, dtype=torch.float64) > 0.4).double()
    adjacency = torch.maximum(adjacency, adjacency.T)
    looped = adjacency + torch.eye(num_nodes, dtype=torch.float64)
    scale = looped.sum(1).rsqrt()
    edges = adjacency.nonzero().T
    weights = torch.cat([cell.input_weight, cell.state_weight])  # of [x, h]
    gates, candidate = ((weights[:, part], cell.bias[part]) for part in (slice(0, 2 * C), slice(2 * C, 3 * C)))
    x = torch.randn(B, T, num_nodes, F, dtype=torch.float64)
    expected = published_steps(x, scale[:, None] * looped * scale, gates, candidate)
    torch.testing.assert_close(cell.run(x, edges), expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(cell.last(x, edges), expected[:, -1], rtol=0, atol=1e-12)
    own = TGCNCell(F, C, graph_convolution="input_and_state").double()
    own.load_state_dict(cell.state_dict())  # the same weights, another use of them
    difference = (own.run(x, edges) - expected).abs().max()
    assert difference > 1e-2


def test_which_nodes_gates_a_node_gets():
    cell = TGCNCell(1, 2, graph_convolution="input_and_state", gate_split="nodes")
    gates = torch.arange(5 * 4.0).view(1, 5, 4)  # node, and column: 4 n + c
    update, reset = cell._split(gates)
    for node in range(5):
        for found, place in ((reset, node), (update, 5 + node)):
            source, half = divmod(place, 2)
            assert found[0, node].tolist() == [4 * source + 2 * half, 4 * source + 2 * half + 1]


def test_biases_start_as_in_the_two_papers_and_weights_as_glorot_drew_them():
    torch.manual_seed(0)
    official = TGCNCell(1, 64, graph_convolution="input_and_state").requires_grad_(False)
    assert torch.equal(official.bias, torch.cat([torch.ones(128), torch.zeros(64)]))
    gates, candidate = official.state_weight.split([128, 64], dim=1)
    assert gates.abs().max().item() == pytest.approx(math.sqrt(6 / (65 + 128)), rel=0.01)
    assert candidate.abs().max().item() == pytest.approx(math.sqrt(6 / (65 + 64)), rel=0.01)
    paper = TGCNCell(1, 64).requires_grad_(False)
    assert not paper.bias.any()
    assert paper.state_weight.abs().max().item() == pytest.approx(math.sqrt(6 / (128 + 64)), rel=0.01)
    assert paper.convolution_weight_2.abs().max().item() == pytest.approx(math.sqrt(6 / 128), rel=0.01)


@pytest.mark.parametrize(
    ("form", "count"),
    [
        ("paper", F * C + C * C + 3 * (2 * C * C + C)),
        ("one-layer", F * C + C + 3 * (2 * C * C + C)),
        ("tgcn2", 3 * (F * C + C) + 3 * (2 * C * C + C)),
        ("separate-two-layer", 3 * (F * C + C * C) + 3 * (2 * C * C + C)),
        ("official", 3 * ((F + C) * C + C)),
        ("official-as-published", 3 * ((F + C) * C + C)),
    ],
)
def test_parameters(form, count):
    assert sum(p.numel() for p in build(form).parameters()) == count


def tgcn2():
    """PyG-Temporal's TGCN2, its one module loaded by path: the package as a whole needs more than is installed."""
    spec = importlib.util.find_spec("torch_geometric_temporal")
    if spec is None or not spec.submodule_search_locations:
        pytest.skip("torch-geometric-temporal is not installed: pip install --no-deps torch-geometric-temporal==0.56.2")
    path = Path(spec.submodule_search_locations[0]) / "nn" / "recurrent" / "temporalgcn.py"
    module_spec = importlib.util.spec_from_file_location("temporalgcn", path)
    assert module_spec is not None
    assert module_spec.loader is not None
    module = importlib.util.module_from_spec(module_spec)
    module_spec.loader.exec_module(module)
    return module.TGCN2


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_third_form_is_pyg_temporals(dtype):
    peer = tgcn2()(F, C, batch_size=B)
    torch.manual_seed(0)
    for parameter in peer.parameters():
        torch.nn.init.normal_(parameter, std=0.5)
    peer = peer.to(dtype)
    cell = TGCNCell(F, C, layers=1, gate_convolutions="separate").to(dtype)
    cell.load_tgcn2_state_dict(peer.state_dict())
    x = history().to(dtype)
    weight = WEIGHT.to(dtype)
    h = None
    for t, state in enumerate(cell.run(x, EDGES, weight).unbind(1)):
        h = peer(x[:, t], EDGES, weight, h if h is not None else torch.zeros(B, N, C, dtype=dtype))
        torch.testing.assert_close(state, h, rtol=0, atol=1e-5 if dtype == torch.float32 else 1e-12)


def tgcn2_like_weights():
    torch.manual_seed(0)
    state = {}
    for letter in "zrh":
        state |= {f"conv_{letter}.lin.weight": torch.randn(C, F), f"conv_{letter}.bias": torch.randn(C)}
        state |= {f"linear_{letter}.weight": torch.randn(C, 2 * C), f"linear_{letter}.bias": torch.randn(C)}
    return {name: value.double() for name, value in state.items()}


def test_tgcn2_weights_go_where_its_equations_have_them():
    state, cell = tgcn2_like_weights(), build("tgcn2")
    cell.load_tgcn2_state_dict(state)
    a_hat = torch.tensor(adjacency_by_hand(WEIGHT.tolist(), "missing"), dtype=torch.float64)
    x, h = history()[:, 0], torch.randn(B, N, C, dtype=torch.float64)

    def gate(letter, h):
        f = a_hat @ x @ state[f"conv_{letter}.lin.weight"].t() + state[f"conv_{letter}.bias"]
        return torch.cat([f, h], -1) @ state[f"linear_{letter}.weight"].t() + state[f"linear_{letter}.bias"]

    update, reset = gate("z", h).sigmoid(), gate("r", h).sigmoid()
    expected = update * h + (1 - update) * gate("h", h * reset).tanh()
    torch.testing.assert_close(cell(x, EDGES, WEIGHT, h), expected, rtol=0, atol=1e-12)


def test_weights_that_are_not_tgcn2s():
    state = tgcn2_like_weights()
    with pytest.raises(ValueError, match="TGCN2's weights need a cell with layers=1 and gate_convolutions='separate'"):
        build("paper").load_tgcn2_state_dict(state)
    with pytest.raises(ValueError, match=r"must hold conv_r.bias of shape \[3\], got none"):
        build("tgcn2").load_tgcn2_state_dict({k: v for k, v in state.items() if k != "conv_r.bias"})
    with pytest.raises(ValueError, match=r"must hold conv_z.lin.weight of shape \[3, 5\], got \[3, 2\]"):
        build("tgcn2", in_channels=5).load_tgcn2_state_dict(state)


@pytest.mark.parametrize(
    ("sizes", "settings", "message"),
    [
        ((0, 4), {}, "in_channels must be a whole number of at least 1, got 0"),
        ((1, 0), {}, "hidden_channels must be a whole number of at least 1, got 0"),
        (
            (1, 4),
            {"graph_convolution": "state"},
            "graph_convolution must be one of 'input', 'input_and_state', got 'state'",
        ),
        ((1, 4), {"layers": 3}, "layers must be one of 1, 2, None, got 3"),
        ((1, 4), {"gate_convolutions": "own"}, "gate_convolutions must be one of 'shared', 'separate', got 'own'"),
        ((1, 4), {"gate_split": "edges"}, "gate_split must be one of 'channels', 'nodes', got 'edges'"),
        (
            (1, 4),
            {"gate_split": "nodes"},
            "gate_split='nodes' is the official code's, got graph_convolution='input'; leave it out",
        ),
        ((1, 4), {"add_self_loops": "all"}, "add_self_loops must be one of 'missing', True, False, None, got 'all'"),
        (
            (1, 4),
            {"graph_convolution": "input_and_state", "layers": 2},
            "graph_convolution='input_and_state' has one convolution for its gates, got layers=2",
        ),
        (
            (1, 4),
            {"graph_convolution": "input_and_state", "gate_convolutions": "separate"},
            "got layers=None, gate_convolutions='separate'; leave both out, or take graph_convolution='input'",
        ),
    ],
)
def test_bad_arguments(sizes, settings, message):
    with pytest.raises(ValueError, match=message):
        TGCNCell(*sizes, **settings)


def test_inputs_that_do_not_fit():
    cell, x = build("paper"), history()
    with pytest.raises(ValueError, match=r"x must have shape \[B, N, F\], one step, got \[2, 4, 4, 2\]; `run` takes"):
        cell(x, EDGES)
    with pytest.raises(ValueError, match=r"state must have shape \[2, 4, 3\], \[B, N, C\] as x has it, got \[4, 3\]"):
        cell(x[:, 0], EDGES, None, torch.zeros(4, 3).double())
    with pytest.raises(ValueError, match=r"x has F = 1 .*built for in_channels=2"):
        cell.run(x[..., :1], EDGES)
    with pytest.raises(ValueError, match=r"holds node id 3, allowed: 0 .. 2"):
        cell.run(x[:, :, :3], EDGES)


def test_it_says_what_it_is():
    assert repr(build("tgcn2")) == (
        "TGCNCell(2, 3, graph_convolution='input', layers=1, gate_convolutions='separate', gate_split='channels', "
        "add_self_loops='missing')"
    )
