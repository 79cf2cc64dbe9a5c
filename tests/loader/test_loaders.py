"""Mini-batches: what is in a batch is in the graph, and a model on it sees what it sees on the whole graph."""

import networkx as nx
import pytest
import torch
from torch_geometric.data import Data, HeteroData
from torch_geometric.loader import ClusterLoader as PyGClusterLoader
from torch_geometric.nn import SAGEConv
from torch_geometric.utils import to_networkx, trim_to_layer

from gnnkit.loader import ClusterData, ClusterLoader, LinkNeighborLoader, NeighborLoader, NeighborSampler


@pytest.fixture
def graph():
    generator = torch.Generator().manual_seed(0)
    edge_index = torch.randint(60, (2, 300), generator=generator)
    x = torch.randn(60, 5, generator=generator)
    return Data(x=x, edge_index=edge_index, edge_attr=torch.arange(300), y=torch.arange(60))


@pytest.fixture
def shop():
    generator = torch.Generator().manual_seed(0)
    data = HeteroData()
    data["user"].x, data["item"].x = torch.arange(20.0)[:, None], torch.arange(30.0)[:, None]
    buys = torch.stack([torch.randint(20, (90,), generator=generator), torch.randint(30, (90,), generator=generator)])
    data["user", "buys", "item"].edge_index = buys
    data["item", "bought", "user"].edge_index = buys.flip(0)
    return data


def assert_of_graph(batch, graph, both_ways=False):
    assert torch.equal(batch.x, graph.x[batch.n_id])
    ends, found = graph.edge_index[:, batch.e_id], batch.n_id[batch.edge_index]
    assert torch.equal(*(pair.sort(dim=0).values if both_ways else pair for pair in (ends, found)))
    assert torch.equal(batch.edge_attr, graph.edge_attr[batch.e_id])


@pytest.mark.parametrize("directed", ["directional", "induced", "bidirectional"])
@pytest.mark.parametrize("counts", [[3], [4, 2], [-1, -1], []])
def test_a_batch_is_of_the_graph(graph, counts, directed):
    seen = []
    for batch in NeighborLoader(graph, counts, batch_size=7, subgraph_type=directed):
        assert_of_graph(batch, graph, both_ways=directed == "bidirectional")
        assert torch.equal(batch.n_id[: batch.batch_size], batch.input_id)
        assert batch.n_id.unique().numel() == batch.n_id.numel()
        seen += batch.input_id.tolist()
        if directed == "induced":
            inside = torch.isin(graph.edge_index, batch.n_id).all(dim=0).nonzero().flatten()
            assert torch.equal(batch.e_id.sort().values, inside)
    assert seen == list(range(60))


def test_hops_and_counts(graph):
    whole = to_networkx(graph)
    degree = torch.bincount(graph.edge_index[1], minlength=60)
    for batch in NeighborLoader(graph, [3, 2], batch_size=1):
        nodes, edges = batch.num_sampled_nodes, batch.num_sampled_edges
        assert sum(nodes) == batch.num_nodes
        assert sum(edges) == batch.num_edges
        first = batch.edge_index[1, : edges[0]]
        assert (first == 0).all()
        assert edges[0] == min(3, int(degree[batch.n_id[0]]))
        hops = nx.single_source_shortest_path_length(whole.reverse(), int(batch.n_id[0]), cutoff=2)
        assert set(batch.n_id.tolist()) <= hops.keys()
        expected = degree[batch.n_id[nodes[0] : nodes[0] + nodes[1]]].clamp(max=2).sum()
        assert edges[1] == expected


def test_with_all_neighbours_a_model_says_what_it_says_on_the_whole_graph(graph):
    torch.manual_seed(0)
    layers = [SAGEConv(5, 8), SAGEConv(8, 3)]

    def run(x, edge_index, batch=None):
        for number, layer in enumerate(layers):
            if batch is not None:
                x, edge_index, _ = trim_to_layer(
                    number, batch.num_sampled_nodes, batch.num_sampled_edges, x, edge_index
                )
            x = layer(x, edge_index).tanh()
        return x

    whole = run(graph.x, graph.edge_index)
    for batch in NeighborLoader(graph, [-1, -1], batch_size=13, shuffle=True):
        out = run(batch.x, batch.edge_index, batch)
        torch.testing.assert_close(out[: batch.batch_size], whole[batch.input_id])


def test_trees_of_their_own(graph):
    for batch in NeighborLoader(graph, [3, 3], batch_size=6, disjoint=True):
        assert_of_graph(batch, graph)
        row, col = batch.edge_index
        assert torch.equal(batch.batch[row], batch.batch[col])
        pairs = batch.batch * 60 + batch.n_id
        assert pairs.unique().numel() == pairs.numel()
        assert batch.batch[: batch.batch_size].tolist() == list(range(batch.batch_size))


@pytest.mark.parametrize("of", ["node", "edge"])
@pytest.mark.parametrize("strategy", ["uniform", "last"])
def test_nothing_is_seen_that_is_later(graph, of, strategy):
    generator = torch.Generator().manual_seed(1)
    graph.clock = torch.randint(100, (60 if of == "node" else 300,), generator=generator)
    given = torch.randint(100, (60,), generator=generator)
    loader = NeighborLoader(graph, [3, 3], None, given, time_attr="clock", temporal_strategy=strategy, batch_size=5)
    drawn = 0
    for batch in loader:
        assert_of_graph(batch, graph)
        until = given[batch.input_id][batch.batch[batch.edge_index[1]]]
        clocks = graph.clock[batch.n_id[batch.edge_index[0]]] if of == "node" else graph.clock[batch.e_id]
        assert (clocks <= until).all()
        drawn += batch.num_edges
        for place in range(batch.batch_size if strategy == "last" else 0):
            mine = batch.edge_index[1] == place
            into = (graph.edge_index[1] == batch.n_id[place]).nonzero().flatten()
            times = graph.clock[graph.edge_index[0, into]] if of == "node" else graph.clock[into]
            allowed = times[times <= given[batch.input_id[place]]].sort().values[-3:]
            assert torch.equal(clocks[mine].sort().values, allowed)
    assert drawn > 100


def test_weights_say_how_likely(graph):
    graph.often = (graph.edge_index[0] % 2).float()  # edges from even nodes never
    for batch in NeighborLoader(graph, [2, 2], batch_size=10, weight_attr="often"):
        assert (graph.edge_index[0, batch.e_id] % 2 == 1).all()
        assert batch.num_edges > 0


def test_kinds_of_nodes(shop):
    counts = {("user", "buys", "item"): [2, 1], ("item", "bought", "user"): [3, 1]}
    for batch in NeighborLoader(shop, counts, input_nodes=("item", torch.arange(30)), batch_size=4):
        for kind in ("user", "item"):
            assert torch.equal(batch[kind].x, shop[kind].x[batch[kind].n_id])
            assert sum(batch[kind].num_sampled_nodes) == batch[kind].num_nodes
        for kind in shop.edge_types:
            row, col = batch[kind].edge_index
            found = torch.stack([batch[kind[0]].n_id[row], batch[kind[-1]].n_id[col]])
            assert torch.equal(found, shop[kind].edge_index[:, batch[kind].e_id])
        assert batch["item", "bought", "user"].num_sampled_edges[0] == 0  # the first hop starts at items
        into = torch.bincount(shop["user", "buys", "item"].edge_index[1], minlength=30)
        assert batch["user", "buys", "item"].num_sampled_edges[0] == into[batch["item"].input_id].clamp(max=2).sum()


def test_links_are_seeds(graph):
    for batch in LinkNeighborLoader(graph, [2, 2], batch_size=20, neg_sampling_ratio=1.0):
        assert_of_graph(batch, graph)
        positive = batch.edge_label == 1
        assert int(positive.sum()) == batch.input_id.numel()
        ends = batch.n_id[batch.edge_label_index[:, positive]]
        assert torch.equal(ends, graph.edge_index[:, batch.input_id])


def test_seeds_fix_the_batches(graph):
    def nodes(seed, workers):
        torch.manual_seed(seed)
        loader = NeighborLoader(graph, [2, 2], batch_size=30, shuffle=True, num_workers=workers, filter_per_worker=True)
        return [batch.n_id.tolist() for batch in loader]

    assert nodes(0, 0) == nodes(0, 0) != nodes(1, 0)
    assert nodes(0, 1) == nodes(0, 1)


@pytest.mark.parametrize("several", [1, 2])
def test_clusters(graph, several):
    data = ClusterData(graph, 4)
    assert [part.num_nodes for part in data] == [15] * 4
    nodes, inside = [], 0
    assert ClusterLoader is PyGClusterLoader
    for batch in ClusterLoader(data, batch_size=several, shuffle=True):
        nodes += batch.y.tolist()
        assert torch.equal(batch.x, graph.x[batch.y])
        assert torch.equal(batch.y[batch.edge_index], graph.edge_index[:, batch.edge_attr])
        inside += batch.num_edges
        assert batch.num_edges == torch.isin(graph.edge_index, batch.y).all(dim=0).sum()
    assert sorted(nodes) == list(range(60))
    assert 0 < inside < 300


def test_clusters_take_pygs_arguments_by_place(graph, tmp_path, capsys):
    data = ClusterData(graph, 4, False, str(tmp_path))
    assert [part.num_nodes for part in data] == [15] * 4
    assert (tmp_path / "part_4" / "metis.pt").exists()
    assert capsys.readouterr().err == ""
    ClusterData(graph, 4, False, None, None, True)
    assert "Done!" in capsys.readouterr().err


def test_nonsense_is_refused(graph, shop):
    with pytest.raises(ValueError, match="temporal_strategy is 'first'; choose 'uniform' or 'last'"):
        NeighborSampler(graph, [2], temporal_strategy="first")
    with pytest.raises(ValueError, match="input_time is given, but time_attr is not"):
        NeighborLoader(graph, [2], input_time=torch.zeros(60))
    with pytest.raises(NotImplementedError, match="subgraph_type='induced' is for graphs of one kind"):
        NeighborLoader(shop, [2], input_nodes="user", subgraph_type="induced")
    for counts in (3, [3, -2], [2.5], {("user", "buys", "item"): 2}, None):
        with pytest.raises(
            ValueError, match=r"num_neighbors holds .*: it is a list of whole numbers, one for each hop"
        ):
            NeighborLoader(shop if isinstance(counts, dict) else graph, counts, input_nodes=("user", None))
    with pytest.raises(
        ValueError, match=r"input_nodes says None; of a HeteroData it is a kind of nodes, user, item, or"
    ):
        NeighborLoader(shop, [2])
    with pytest.raises(ValueError, match=r"input_nodes says 'shop'; of a HeteroData"):
        NeighborLoader(shop, [2], input_nodes="shop")
    with pytest.raises(ValueError, match=r"input_nodes says Tensor; of a HeteroData"):
        NeighborLoader(shop, [2], input_nodes=torch.tensor([1]))
    with pytest.raises(
        ValueError, match=r"data\.adj_t is a sparse tensor of torch.* give the graph as data\.edge_index"
    ):
        NeighborLoader(Data(x=graph.x, adj_t=torch.eye(60).to_sparse_csr()), [2])
    graph.clock = torch.arange(300)
    with pytest.raises(ValueError, match="edges have times, but seeds have none: pass input_time"):
        next(iter(NeighborLoader(graph, [2], time_attr="clock")))
