import pytest
import torch

from gnnkit.temporal import MTGNN

EDGES = torch.tensor([[0, 0, 1, 2, 3, 3], [1, 2, 2, 1, 3, 2]])
WEIGHT = torch.tensor([1.0, 2.0, 0.5, 3.0, 4.0, 1.5], dtype=torch.float64)
B, T, N, F, C, P = 2, 9, 4, 2, 4, 3


def build(**settings):
    torch.manual_seed(0)
    settings = {"layers": 2, "embedding_channels": 3, "neighbors": 2, "alpha": 0.5} | settings
    horizon = settings.pop("horizon", P)
    model = MTGNN(F, C, horizon, history=T, num_nodes=N, **settings).double().eval()
    with torch.no_grad():
        for block in model.blocks:
            if block.scale is not None:
                block.scale.normal_()
                block.shift.normal_()
    return model


def history():
    return torch.randn(B, T, N, F, dtype=torch.float64, generator=torch.Generator().manual_seed(1))


def given_matrix():
    a = torch.zeros(N, N, dtype=torch.float64)
    for (source, target), weight in zip(EDGES.t().tolist(), WEIGHT.tolist(), strict=True):
        a[target, source] += weight
    return a


def with_own_loops(a):
    """A loop of weight 1 at every node that has none."""
    return a + torch.diag((a.diagonal() == 0).to(a.dtype))


def mixed(layer, z, looped):
    """Mix-hop, a step and a node at a time; `looped` is A + I."""
    width = z.size(-1)
    out = z @ layer.linear.weight[:, :width].t() + layer.linear.bias
    h = z
    for k in range(1, layer.depth + 1):
        heard = torch.zeros_like(h)
        for i in range(N):
            for j in range(N):
                heard[:, i] += looped[i, j] / looped[i].sum() * h[:, j]
        h = layer.retain * z + (1 - layer.retain) * heard
        out = out + h @ layer.linear.weight[:, k * width : (k + 1) * width].t()
    return out


def taps(layer, x):
    """A convolution along time, a tap at a time; x [T, N, C]."""
    weight, bias = layer.kernel()
    size, dilation = weight.size(2), layer.dilation
    steps = x.size(0) - (size - 1) * dilation
    return torch.stack(
        [sum(x[t + j * dilation] @ weight[:, :, j].t() for j in range(size)) + bias for t in range(steps)]
    )


def by_hand(model, x, looped, looped_reverse):
    outputs = []
    for sample in x:
        steps = torch.cat([torch.zeros(model.steps - T, N, F, dtype=x.dtype), sample])
        h = steps @ model.start.weight.t() + model.start.bias
        skip = taps(model.skip_first, steps)
        for block, read in zip(model.blocks, model.skips, strict=True):
            z = torch.tanh(taps(block.filter, h)) * torch.sigmoid(taps(block.gate, h))
            skip = skip + taps(read, z)
            h = mixed(block.along, z, looped) + mixed(block.against, z, looped_reverse) + h[-len(z) :]
            h = (h - h.mean()) / (h.var(unbiased=False) + 1e-5).sqrt()
            if block.scale is not None:
                h = h * block.scale + block.shift
        skip = skip + taps(model.skip_last, h)
        hidden = torch.relu(torch.relu(skip) @ model.head_1.weight.t() + model.head_1.bias)
        outputs.append((hidden @ model.head_2.weight.t() + model.head_2.bias)[0].t())
    return torch.stack(outputs)


@pytest.mark.parametrize(("dilation_base", "affine"), [(1, True), (2, True), (2, False)])
def test_with_a_learned_graph_it_is_the_papers_equations(dilation_base, affine):
    model, x = build(dilation_base=dilation_base, affine=affine), history()
    a, loops = model.learned_adjacency(), torch.eye(N)
    found = model(x)
    torch.testing.assert_close(found, by_hand(model, x, a + loops, a.t() + loops), rtol=0, atol=1e-11)
    assert torch.equal(model(x, EDGES, WEIGHT), found)  # the given graph is ignored
    assert not model.uses_graph


@pytest.mark.filterwarnings("ignore:Sparse")
def test_with_the_given_graph_it_is_the_papers_equations():
    model, x, a = build(graph="given"), history(), with_own_loops(given_matrix())
    expected = by_hand(model, x, a, a.t())
    torch.testing.assert_close(model(x, EDGES, WEIGHT), expected, rtol=0, atol=1e-11)
    adj_t = torch.sparse_coo_tensor(EDGES.flip(0), WEIGHT, (N, N)).coalesce()
    torch.testing.assert_close(model(x, adj_t), expected, rtol=0, atol=1e-11)
    with pytest.raises(ValueError, match="edge_index must be given where graph='given'"):
        model(x)
    with pytest.raises(ValueError, match="graph='given' learns no graph"):
        model.learned_adjacency()


def test_with_both_it_is_the_mean_of_the_normalised_graphs():
    model, x = build(graph="both"), history()
    pairs, graphs = [], [with_own_loops(model.learned_adjacency()), with_own_loops(given_matrix())]
    for turned in (False, True):
        sides = [m.t() if turned else m for m in graphs]
        pairs.append(sum(m / m.sum(1, keepdim=True) for m in sides) / 2)
    torch.testing.assert_close(model(x, EDGES, WEIGHT), by_hand(model, x, *pairs), rtol=0, atol=1e-11)


def test_a_loop_of_weight_one_counts_once():
    model, x, nodes = build(graph="given"), history(), torch.arange(N)
    bare = EDGES[:, EDGES[0] != EDGES[1]]
    with_loops = torch.cat([bare, nodes.expand(2, N)], dim=1)
    torch.testing.assert_close(model(x, with_loops), model(x, bare), rtol=0, atol=1e-12)


def test_without_a_scale_and_a_shift_groups_of_nodes_are_trained_too():
    model, x = build(affine=False, node_groups=2, dropout=0.0), history()
    assert not [name for name, _ in model.named_parameters() if name.endswith(("scale", "shift"))]
    model.reset_parameters()
    target = torch.zeros(B, P, N, dtype=torch.float64)
    out = model.train()(x, target=target, progress=0.0)
    out.square().sum().backward()
    assert sorted((out != 0).all(dim=(0, 1)).tolist()) == [False, False, True, True]
    assert [name for name, p in model.named_parameters() if p.grad is None] == []


def test_a_history_longer_than_the_receptive_field_is_read_whole():
    torch.manual_seed(0)
    model = MTGNN(F, C, P, history=T, num_nodes=N, layers=1, neighbors=2).double().eval()
    assert model.steps == T
    x = history().requires_grad_()
    model(x).square().sum().backward()
    assert (x.grad.abs().amax(dim=(0, 2, 3)) > 0).all()


def test_a_curriculum_learns_the_near_horizons_first():
    model, x = build(curriculum=0.5, dropout=0.0, neighbors=N), history()  # all kept: no noise picks
    target = torch.randn(B, P, N, dtype=torch.float64)
    full = model(x)
    model.train()
    for progress, count in ((0.0, 1), (0.16, 1), (0.17, 2), (0.33, 2), (0.34, 3), (1.0, 3), (None, 3)):
        out = model(x, target=target, progress=progress)
        torch.testing.assert_close(out, full, rtol=0, atol=1e-12)
        (taught,) = torch.autograd.grad(out.square().sum(), model.head_2.bias)
        assert (taught != 0).tolist() == [p < count for p in range(P)]
    for options in ({"curriculum": 0.0}, {"horizon": 1}):
        everything = build(dropout=0.0, neighbors=N, **options).train()
        out = everything(x, target=target[:, : everything.horizon], progress=0.0)
        (taught,) = torch.autograd.grad(out.square().sum(), everything.head_2.bias)
        assert (taught != 0).all()
    with pytest.raises(ValueError, match=r"curriculum must be a share from 0 to 1, got 1.5"):
        build(curriculum=1.5)


def test_the_learned_graph_is_told_without_noise_in_training_too():
    model = build(neighbors=1)
    calm = model.learned_adjacency()
    state = torch.get_rng_state()
    assert torch.equal(model.train().learned_adjacency(), calm)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("graph", ["learned", "given", "both"])
def test_a_group_of_nodes_is_trained_on_the_graph_among_them(graph):
    model, x = build(graph=graph, node_groups=2, dropout=0.0), history()
    target = torch.randn(B, P, N, dtype=torch.float64)
    model.train()
    torch.manual_seed(3)
    nodes = torch.randperm(N)[:2].sort().values
    torch.manual_seed(3)
    out = model(x, EDGES, WEIGHT, target=target, progress=0.0)
    others = [n for n in range(N) if n not in nodes.tolist()]
    assert torch.equal(out[:, :, others], target[:, :, others])
    small = MTGNN(
        F, C, P, history=T, num_nodes=2, graph=graph, layers=2, embedding_channels=3, neighbors=2, alpha=0.5
    ).double()
    state = {}
    for name, value in model.state_dict().items():
        per_node = {"scale": 1, "shift": 1, "embedding_1": 0, "embedding_2": 0}.get(name.rsplit(".", 1)[-1])
        state[name] = value if per_node is None else value.index_select(per_node, nodes)
    small.load_state_dict(state)
    place = {node: number for number, node in enumerate(nodes.tolist())}
    kept = [e for e, (s, t) in enumerate(EDGES.t().tolist()) if s in place and t in place]
    edges = torch.tensor([[place[n] for n in row] for row in EDGES[:, kept].tolist()], dtype=torch.long).view(2, -1)
    expected = small.eval()(x[:, :, nodes], edges, WEIGHT[kept])
    torch.testing.assert_close(out[:, :, nodes], expected, rtol=0, atol=1e-11)


def test_relabelled_nodes_give_the_relabelled_forecast():
    model, x = build(graph="given"), history()
    order = torch.tensor([2, 0, 3, 1])
    place = torch.argsort(order)
    expected = model(x, EDGES, WEIGHT)[:, :, order]
    with torch.no_grad():
        for block in model.blocks:
            block.scale.copy_(block.scale[:, order].clone())
            block.shift.copy_(block.shift[:, order].clone())
    torch.testing.assert_close(model(x[:, :, order], place[EDGES], WEIGHT), expected, rtol=0, atol=1e-11)


def test_the_mask_is_read_if_asked_for():
    model, x = build(), history()
    reading, hidden = build(mask_input=True), torch.ones(B, T, N, F, dtype=torch.bool)
    assert torch.equal(reading(x, mask=hidden), reading(x))
    hidden[:, -1] = False
    assert (reading(x, mask=hidden) - reading(x)).abs().max() > 1e-4
    assert torch.equal(model(x, mask=hidden), model(x))


def test_news_of_a_neighbour_is_learned():
    """Node 1 repeats what node 0 was a step before; without the graph it cannot be told from noise."""
    torch.manual_seed(0)
    model = MTGNN(1, 8, 1, history=4, num_nodes=2, layers=1, neighbors=1, embedding_channels=4, dropout=0.0)
    optimizer, loss = torch.optim.Adam(model.parameters(), lr=1e-2), torch.empty(0)
    for _ in range(150):
        x = torch.randn(64, 5, 2, 1)
        x[:, 1:, 1] = x[:, :-1, 0]
        loss = (model(x[:, :-1])[:, 0, 1] - x[:, -1, 1, 0]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss.item() < 0.1  # 1 without the graph


def test_bad_arguments():
    with pytest.raises(ValueError, match="hidden_channels must be at least 4, one for each kernel, got 3"):
        MTGNN(1, 3, 1, history=4, num_nodes=2)
    with pytest.raises(ValueError, match="graph must be one of 'learned', 'given', 'both', got 'none'"):
        MTGNN(1, 4, 1, history=4, num_nodes=2, graph="none")
    with pytest.raises(ValueError, match="node_groups must be a whole number of at least 1, got 0"):
        MTGNN(1, 4, 1, history=4, num_nodes=2, node_groups=0)
    with pytest.raises(ValueError, match=r"x has T = 3 in .*history=9"):
        build()(history()[:, :3])
    with pytest.raises(ValueError, match=r"x has N = 3 in .*num_nodes=4"):
        build()(history()[:, :, :3])
