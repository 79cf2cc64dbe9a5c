import pytest
import torch

from gnnkit.temporal import TGCN
from gnnkit.testing import check_forecaster

EDGES = torch.tensor([[0, 0, 1, 2, 3, 3], [1, 2, 2, 1, 3, 2]])
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 4.0, 1.5])
B, T, N, F, C, P = 3, 5, 4, 2, 6, 2

FORMS = [
    {},
    {"layers": 1},
    {"layers": 1, "gate_convolutions": "separate"},
    {"graph_convolution": "input_and_state"},
]
each_form = pytest.mark.parametrize("settings", FORMS, ids=str)


def build(settings=None, seed=0):
    torch.manual_seed(seed)
    return TGCN(F, C, P, **(settings or {})).double()


def history():
    return torch.randn(B, T, N, F, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


@each_form
def test_the_forecast_is_a_linear_map_of_the_last_state_of_each_node(settings):
    model, x = build(settings), history()
    h = model.cell.run(x, EDGES, WEIGHT)[:, -1]
    expected = torch.einsum("bnc,pc->bpn", h, model.head.weight) + model.head.bias[:, None]
    torch.testing.assert_close(model(x, EDGES, WEIGHT), expected, rtol=0, atol=1e-12)


@each_form
def test_unroll_goes_through_the_states_of_forward_and_links_them(settings):
    model, x = build(settings), history()
    states = model.unroll(x, EDGES, WEIGHT)
    torch.testing.assert_close(torch.stack(states, 1), model.cell.run(x, EDGES, WEIGHT), rtol=0, atol=1e-12)
    torch.testing.assert_close(model.head(states[-1]).transpose(1, 2), model(x, EDGES, WEIGHT), rtol=0, atol=1e-12)
    (gradient,) = torch.autograd.grad(states[-1].sum(), states[0])
    # The same by moving the first state: a step of the cell from it, and so on.
    start = states[0].detach().requires_grad_()
    h = model.cell.run(x[:, 1:], EDGES, WEIGHT, start)[:, -1]
    torch.testing.assert_close(gradient, torch.autograd.grad(h.sum(), start)[0], rtol=0, atol=1e-12)
    assert gradient.abs().max() > 0


def test_gates_split_across_the_nodes_do_not_know_who_is_who():
    settings = {"graph_convolution": "input_and_state", "gate_split": "nodes"}
    model, x = build(settings), history()
    torch.testing.assert_close(
        model(x, EDGES, WEIGHT), model.head(model.unroll(x, EDGES, WEIGHT)[-1]).transpose(1, 2), rtol=0, atol=1e-12
    )
    order = torch.tensor([2, 0, 3, 1])
    moved = model(x[:, :, order], torch.argsort(order)[EDGES], WEIGHT)
    assert (moved - model(x, EDGES, WEIGHT)[:, :, order]).abs().max() > 1e-4
    # Along no edge: node 3's gates update 2 and 3, those of 2 update 0 and 1.
    assert reached(settings, 3) == [0, 1, 2, 3]


def reached(settings, node):
    """The nodes whose forecast moves with the whole history of `node`."""
    model, x = build(settings), history()
    changed = x.clone()
    changed[:, :, node] += 1.0
    path = torch.tensor([[0, 1, 2], [1, 2, 3]])
    difference = (model(changed, path) - model(x, path)).abs().amax(dim=(0, 1))
    return [i for i in range(N) if difference[i] > 0]


def test_how_far_news_travels_along_a_path():
    assert reached({"layers": 1}, 0) == [0, 1]
    assert reached({}, 0) == [0, 1, 2]  # two layers of the input, none of the state
    assert reached({"graph_convolution": "input_and_state"}, 0) == [0, 1, 2, 3]  # the state travels on
    assert reached({"graph_convolution": "input_and_state"}, 3) == [3]


@each_form
def test_without_edges_nodes_are_on_their_own(settings):
    model, x = build(settings), history()
    empty = torch.empty(2, 0, dtype=torch.long)
    alone = torch.cat([model(x[:, :, i : i + 1], empty) for i in range(N)], dim=2)
    torch.testing.assert_close(model(x, empty, torch.empty(0)), alone, rtol=0, atol=1e-12)
    assert (model(x, EDGES, WEIGHT) - alone).abs().max() > 1e-3


@pytest.mark.parametrize("settings", FORMS[1:], ids=str)
def test_a_form_that_has_no_name_keeps_the_contract(settings):
    report = check_forecaster(TGCN, settings)
    assert report["node order"].outcome == "ok"
    assert report["graph"].seen == "It reads the edges, their direction and their weights."


@each_form
def test_gradients_reach_every_step(settings):
    model, x = build(settings), history().requires_grad_()
    model(x, EDGES, WEIGHT).square().sum().backward()
    assert x.grad is not None
    assert (x.grad.abs().amax(dim=(0, 2, 3)) > 0).all()


def test_parameters():
    count = sum(p.numel() for p in build().parameters())
    assert count == F * C + C * C + 3 * (2 * C * C + C) + C * P + P


def test_reset_parameters_draws_anew():
    model, x = build(), history()
    before = model(x, EDGES)
    model.reset_parameters()
    assert not torch.equal(model(x, EDGES), before)


def test_double_loops_differ_only_where_there_is_a_loop_already():
    model, official, x = build(), build({"add_self_loops": True}), history()
    no_loops = EDGES[:, EDGES[0] != EDGES[1]]
    torch.testing.assert_close(model(x, no_loops), official(x, no_loops))
    assert (model(x, EDGES) - official(x, EDGES)).abs().max() > 1e-6


def test_the_mask_is_read_only_if_asked_for():
    x, hidden = history(), torch.ones(B, T, N, F, dtype=torch.bool)
    hidden[:, -1] = False
    model, reading = build(), build({"mask_input": True})
    assert torch.equal(model(x, EDGES, mask=hidden, target=x, progress=0.3), model(x, EDGES))
    assert torch.equal(reading(x, EDGES, mask=torch.ones_like(hidden)), reading(x, EDGES))
    assert (reading(x, EDGES, mask=hidden) - reading(x, EDGES)).abs().max() > 1e-4
    unrolled = reading.unroll(x, EDGES, mask=hidden)[-1]
    torch.testing.assert_close(reading.head(unrolled).transpose(1, 2), reading(x, EDGES, mask=hidden))


def test_bad_arguments():
    with pytest.raises(ValueError, match="horizon must be a whole number of at least 1, got 0"):
        TGCN(1, 4, 0)
    with pytest.raises(ValueError, match="hidden_channels must be a whole number of at least 1, got 0"):
        TGCN(1, 0, 3)
    with pytest.raises(ValueError, match="graph_convolution must be one of 'input', 'input_and_state', got 'both'"):
        TGCN(1, 4, 3, graph_convolution="both")
    with pytest.raises(ValueError, match=r"x must have shape \[B, T, N, F\]"):
        build()(history()[0], EDGES)
    with pytest.raises(ValueError, match=r"x has F = 1 in \[3, 5, 4, 1\].*in_channels=2"):
        build()(history()[..., :1], EDGES)


@pytest.mark.parametrize("form", ["input", "input_and_state"])
def test_exports_with_any_number_of_nodes(form):
    torch.manual_seed(0)
    options = {"graph_convolution": form} if form == "input" else {"graph_convolution": form, "layers": 1}
    model = TGCN(2, 8, 3, **options).double().eval()

    def example(num_nodes, batch):
        edges = torch.randint(num_nodes, (2, 4 * num_nodes))
        weight = torch.rand(4 * num_nodes, dtype=torch.float64)
        return torch.randn(batch, 5, num_nodes, 2, dtype=torch.float64), edges, weight

    batch, nodes, count = (torch.export.Dim(name, min=2, max=4096) for name in ("batch", "nodes", "edges"))
    shapes = ({0: batch, 2: nodes}, {1: count}, {0: count})
    program = torch.export.export(model, example(10, 2), dynamic_shapes=shapes).module()
    for num_nodes in (10, 17, 300):
        inputs = example(num_nodes, 3)
        torch.testing.assert_close(program(*inputs), model(*inputs), rtol=0, atol=1e-12)


@pytest.mark.parametrize("loops", ["missing", True, False])
def test_compiles_to_the_same_numbers_whatever_the_self_loops(loops):
    torch.manual_seed(0)
    model = TGCN(1, 8, 3, add_self_loops=loops).double()
    edges = torch.tensor([[0, 1, 2, 2, 4, 3], [1, 2, 2, 0, 3, 1]])  # node 2 has a loop
    x, weight = torch.randn(2, 5, 5, 1, dtype=torch.float64), torch.rand(6, dtype=torch.float64)
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    results = []
    for forecaster in (model, compiled):
        model.zero_grad()
        out = forecaster(x, edges, weight)
        out.square().sum().backward()
        results.append([out.detach(), *(p.grad.clone() for p in model.parameters())])
    for plain, traced in zip(*results, strict=True):
        torch.testing.assert_close(traced, plain, rtol=0, atol=1e-11)
