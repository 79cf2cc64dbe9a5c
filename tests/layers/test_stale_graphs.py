"""Whatever way a graph is changed between two calls, a layer sees it: each answer is that of the graph as it is now."""

import copy
import pickle

import pytest
import torch
from torch_geometric import EdgeIndex
from torch_geometric.nn import GATConv, GCN2Conv, GCNConv, RGCNConv

from gnnkit.layers import GATLayer, GCN2Layer, GCNLayer, RelationalGCNLayer
from gnnkit.ops import edge_attention, spmm

NODES = 60
TYPES = {size: torch.randint(3, (size,), generator=torch.Generator().manual_seed(1)) for size in (300, 9000)}


def graph(size, seed=0):
    return torch.randint(NODES, (2, size), generator=torch.Generator().manual_seed(seed))


def twins(ours, theirs, *sizes, **options):
    layer, conv = ours(*sizes, **options), theirs(*sizes, **options)
    conv.load_state_dict(layer.state_dict())
    return layer, conv


def pairs(name):
    """A call of gnnkit and one of PyG, of the same weights: `(x, edge_index, edge_weight) -> out`."""
    if name == "GCN":
        layer, conv = twins(GCNLayer, GCNConv, 6, 5)
        return layer, conv
    if name == "GCN2":
        layer, conv = twins(GCN2Layer, GCN2Conv, 6, alpha=0.1)
        return (lambda x, ei, w: layer(x, x, ei, w)), (lambda x, ei, w: conv(x, x, ei, w))
    if name == "GAT":
        layer, conv = twins(GATLayer, GATConv, 6, 5, heads=2, edge_dim=1)
        return layer, conv
    if name == "RGCN":
        layer, conv = twins(RelationalGCNLayer, RGCNConv, 6, 5, 3)
        return tuple(lambda x, ei, w, m=m: m(x, ei, TYPES[ei.size(1)]) for m in (layer, conv))
    if name == "spmm":

        def sums(x, ei, w):
            ei = ei.as_tensor() if isinstance(ei, EdgeIndex) else ei
            return torch.zeros_like(x).index_add(0, ei[1], x[ei[0]] * (1 if w is None else w[:, None]))

        return (lambda x, ei, w: spmm(ei, x, w)), sums
    layer, conv = twins(GATLayer, GATConv, 6, 5, add_self_loops=False)
    a, b = layer.att_src, layer.att_dst

    def attention(x, ei, w):
        h = layer.lin(x).view(-1, 1, 5)
        return edge_attention(ei, h, (h * a).sum(-1), (h * b).sum(-1)).view(-1, 5) + layer.bias

    return attention, lambda x, ei, w: conv(x, ei)


def fused_adam(weight):
    weight.requires_grad_(True)
    optimizer = torch.optim.Adam([weight], lr=0.1, fused=True)
    weight.grad = -torch.rand(weight.shape)
    optimizer.step()
    weight.requires_grad_(False)
    weight.grad = None


NEW = {size: graph(size, 9) for size in TYPES}
EDGES = {
    "item": lambda ei: ei.__setitem__((0, slice(0, 100)), 0),
    "data": lambda ei: ei.data.copy_(NEW[ei.size(1)]),
    "new data": lambda ei: setattr(ei, "data", NEW[ei.size(1)]),
    "numpy": lambda ei: ei.numpy().__setitem__((1, 7), (ei.numpy()[1, 7] + 1) % NODES),
    "numpy swap": lambda ei: ei.numpy()[0, :2].__setitem__(slice(None), (ei[0, :2] + 1).flip(0).numpy() % NODES),
    "dlpack": lambda ei: torch.from_dlpack(ei)[1].fill_(3),
    "storage": lambda ei: ei.untyped_storage().copy_(NEW[ei.size(1)].untyped_storage()),
    "set_": lambda ei: ei.set_(NEW[ei.size(1)].clone()),
    "swap_tensors": lambda ei: torch.utils.swap_tensors(ei, NEW[ei.size(1)].clone()),
}
WEIGHTS = {
    "in place": lambda w: w.mul_(2).add_(torch.rand(w.shape)),
    "lerp_ of data": lambda w: w.data.lerp_(torch.rand(w.shape), 0.9),
    "numpy": lambda w: w.numpy().__setitem__(5, 7.0),
    "foreach": lambda w: torch._foreach_add_([w.data], 1.0) or w.data[3].fill_(9),
    "fused Adam": fused_adam,
    "new data": lambda w: setattr(w, "data", torch.rand(w.shape)),
}


@pytest.mark.parametrize("size", TYPES)
@pytest.mark.parametrize("way", EDGES)
@pytest.mark.parametrize("name", ["GCN", "GCN2", "GAT", "RGCN", "spmm", "edge_attention"])
def test_edges(name, way, size):
    torch.manual_seed(0)
    ours, theirs = pairs(name)
    x, edges = torch.randn(NODES, 6), graph(size)
    weight = torch.rand(size) + 0.5 if name in ("GCN", "GCN2", "GAT", "spmm") else None
    with torch.no_grad():
        before = ours(x, edges, weight)
        EDGES[way](edges)
        after = ours(x, edges, weight)
        torch.testing.assert_close(after, theirs(x, edges, weight), rtol=1e-4, atol=1e-5)
    assert (after - before).abs().max() > 1e-4


@pytest.mark.parametrize("size", TYPES)
@pytest.mark.parametrize("way", WEIGHTS)
@pytest.mark.parametrize("name", ["GCN", "GCN2", "GAT", "spmm"])
def test_weights(name, way, size):
    ours, theirs = pairs(name)
    x, edges = torch.randn(NODES, 6, requires_grad=True), graph(size)
    weight = torch.nn.Parameter(torch.rand(size), requires_grad=False)
    before = ours(x, edges, weight).detach()
    with torch.no_grad():
        WEIGHTS[way](weight) if way != "fused Adam" else None
    if way == "fused Adam":
        fused_adam(weight)
    after, expected = ours(x, edges, weight), theirs(x, edges, weight)
    torch.testing.assert_close(after, expected, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(
        *(torch.autograd.grad(out.square().sum(), x)[0] for out in (after, expected)), rtol=1e-3, atol=1e-3
    )
    assert (after - before).abs().max() > 1e-4


@pytest.mark.parametrize("size", TYPES)
@pytest.mark.parametrize("sort_order", [None, "row", "col"])
@pytest.mark.parametrize("name", ["GCN", "GAT", "RGCN", "spmm"])
def test_an_edge_index_that_is_edited(name, sort_order, size):
    ours, _ = pairs(name)
    x, edges = torch.randn(NODES, 6), EdgeIndex(graph(size), sparse_size=(NODES, NODES))
    if sort_order is not None:
        edges = edges.sort_by(sort_order).values
        edges.fill_cache_()
    for write in (lambda: edges.__setitem__((0, slice(0, 100)), NODES - 1), lambda: edges.as_tensor().data[1].fill_(4)):
        before = ours(x, edges, None)
        write()
        after = ours(x, edges, None)
        torch.testing.assert_close(after, ours(x, edges.as_tensor().clone(), None), rtol=1e-4, atol=1e-5)
        assert (after - before).abs().max() > 1e-4


@pytest.mark.parametrize("size", TYPES)
@pytest.mark.parametrize("layout", [torch.sparse_csr, torch.sparse_coo], ids=["csr", "coo"])
def test_values_of_a_sparse_graph(layout, size):
    layer, conv = pairs("GCN")
    edges = graph(size)
    adj_t = torch.sparse_coo_tensor(edges.flip(0), torch.rand(size), (NODES, NODES)).coalesce()
    adj_t = adj_t.to_sparse_csr() if layout == torch.sparse_csr else adj_t
    x = torch.randn(NODES, 6)
    for _ in range(2):
        torch.testing.assert_close(layer(x, adj_t), conv(x, adj_t), rtol=1e-4, atol=1e-5)
        adj_t.values().data.copy_(torch.rand(adj_t.values().shape))
    columns = adj_t.col_indices() if layout == torch.sparse_csr else adj_t.indices()[1]
    columns.data[0] = columns[1] - 1 if columns[1] > 0 else 0
    torch.testing.assert_close(layer(x, adj_t), conv(x, adj_t), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", TYPES)
@pytest.mark.parametrize("name", ["GCN", "GCN2", "GAT", "RGCN", "spmm", "edge_attention"])
def test_an_id_out_of_range_that_is_written_later(name, size):
    ours, _ = pairs(name)
    x, edges = torch.randn(NODES, 6), graph(size)
    ours(x, edges, None)
    for place, id_ in (((0, -1), NODES), ((1, 3), -1), ((1, 0), 2**40)):
        kept = int(edges[place])
        edges.numpy()[place] = id_
        for _ in range(2):
            with pytest.raises(ValueError, match=f"holds node (id )?{id_}"):
                ours(x, edges, None)
        edges.numpy()[place] = kept
    ours(x, edges, None)


@pytest.mark.parametrize("size", TYPES)
@pytest.mark.parametrize("name", ["GCN", "GCN2", "GAT", "RGCN", "spmm", "edge_attention"])
def test_inference_mode_first_then_training(name, size):
    ours, theirs = pairs(name)
    x, edges = torch.randn(NODES, 6), graph(size)
    weight = torch.rand(size) + 0.5 if name in ("GCN", "GCN2", "GAT", "spmm") else None
    with torch.inference_mode():
        ours(x, edges, weight)
    x.requires_grad_()
    gradients = [torch.autograd.grad(call(x, edges, weight).square().sum(), x)[0] for call in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-3)
    with torch.inference_mode():
        torch.testing.assert_close(ours(x, edges, weight), theirs(x, edges, weight), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", TYPES)
@pytest.mark.parametrize("mode", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize(
    ("ours", "theirs", "options"), [(GCNLayer, GCNConv, {}), (GCN2Layer, GCN2Conv, {"alpha": 0.1})]
)
def test_the_cached_graph_is_pyg_s(ours, theirs, options, mode, size):
    sizes = (6,) if options else (6, 6)
    layer, conv = twins(ours, theirs, *sizes, cached=True, **options)
    x, weight = torch.randn(NODES, 6), torch.rand(size)

    def same(edges, *more, layer=layer):
        inputs = (x, x) if options else (x,)
        torch.testing.assert_close(layer(*inputs, edges, *more), conv(*inputs, edges, *more), rtol=1e-4, atol=1e-5)

    assert layer._cached_edge_index is None
    assert layer._cached_adj_t is None
    with mode():
        same(graph(size), weight)
    for mine, expected in zip(layer._cached_edge_index, conv._cached_edge_index, strict=True):
        torch.testing.assert_close(mine, expected)
        assert not mine.is_inference()
    conv._cached_edge_index = tuple(part.clone() for part in conv._cached_edge_index)
    same(graph(size, 1), weight)  # the first graph is kept, as PyG keeps it
    same(graph(size, 1), layer=copy.deepcopy(layer))
    same(graph(size, 1), layer=pickle.loads(pickle.dumps(layer)))
    handle = layer.register_message_forward_hook(lambda *_: None)
    same(graph(size, 1))
    handle.remove()
    other = (graph(size, 2), torch.rand(size))
    layer._cached_edge_index = conv._cached_edge_index = other
    same(graph(size, 1))
    other[1].data.mul_(2)
    same(graph(size, 1))
    layer._cached_edge_index = conv._cached_edge_index = None
    same(graph(size, 3), weight)
    layer.reset_parameters()
    assert layer._cached_edge_index is None


def test_swap_of_a_graph_and_of_its_weight():
    layer, conv = pairs("GCN")
    for size in TYPES:
        x, edges, weight = torch.randn(NODES, 6), graph(size), torch.rand(size)
        layer(x, edges, weight)
        torch.utils.swap_tensors(edges, graph(size, 4))
        torch.utils.swap_tensors(weight, torch.rand(size))
        assert torch.equal(edges, graph(size, 4))
        torch.testing.assert_close(layer(x, edges, weight), conv(x, edges, weight), rtol=1e-4, atol=1e-5)


def test_an_edit_between_forward_and_backward_does_not_reach_the_kernels():
    for size in TYPES:
        layer, edges = GATLayer(6, 5), graph(size)
        x = torch.randn(NODES, 6, requires_grad=True)
        expected = torch.autograd.grad(layer(x, edges).square().sum(), x)[0]
        out = layer(x, edges)
        edges.numpy()[:] = 2**30
        torch.testing.assert_close(torch.autograd.grad(out.square().sum(), x)[0], expected)


@pytest.mark.parametrize("size", TYPES)
@pytest.mark.parametrize("sort_order", [None, "row", "col"])
def test_an_edge_index_in_a_cached_layer(sort_order, size):
    edges = EdgeIndex(graph(size), sparse_size=(NODES, NODES))
    edges = edges if sort_order is None else edges.sort_by(sort_order).values
    layer, conv = twins(GCNLayer, GCNConv, 6, 5, cached=True)
    x = torch.randn(NODES, 6)
    for _ in range(3):
        torch.testing.assert_close(layer(x, edges), conv(x, edges), rtol=1e-4, atol=1e-5)
