"""Breadth-first parts, batches of them, and PyG's neighbour loader."""

import networkx as nx
import pytest
import torch
from torch_geometric.data import Data

from gnnkit.graph import from_networkx, k_hop_nodes
from gnnkit.loader import PartitionLoader, partition_nodes


def graph_of(graph):
    edge_index, _, _ = from_networkx(graph)
    size = graph.number_of_nodes()
    x = torch.arange(float(size)).unsqueeze(1)
    return Data(x=x, edge_index=edge_index, num_nodes=size, y=torch.arange(size), edge_attr=edge_index.t().float())


@pytest.mark.parametrize("parts", [1, 3, 7, 30])
def test_every_node_is_in_one_part_and_sizes_are_even(parts):
    edge_index, _, _ = from_networkx(nx.gnp_random_graph(30, 0.05, seed=0))
    part = partition_nodes(edge_index, 30, parts)
    sizes = torch.bincount(part, minlength=parts)
    assert int(sizes.max() - sizes.min()) <= 1
    assert int(sizes.min()) >= 1
    assert torch.equal(part, partition_nodes(edge_index, 30, parts))


def test_parts_of_a_grid_cut_few_edges():
    data = graph_of(nx.convert_node_labels_to_integers(nx.grid_2d_graph(20, 20)))
    part = partition_nodes(data.edge_index, 400, 8)
    cut = (part[data.edge_index[0]] != part[data.edge_index[1]]).double().mean().item()
    chance = torch.arange(400)[torch.randperm(400, generator=torch.Generator().manual_seed(0))] % 8
    by_chance = (chance[data.edge_index[0]] != chance[data.edge_index[1]]).double().mean().item()
    assert cut < 0.35 * by_chance


def test_a_batch_is_the_subgraph_around_its_own_nodes():
    data = graph_of(nx.gnp_random_graph(40, 0.08, seed=1))
    seen = []
    for batch in PartitionLoader(data, 6, parts_per_batch=2, halo=1):
        own = batch.n_id[batch.own_mask]
        seen.append(own)
        assert batch.n_id.tolist() == k_hop_nodes(data.edge_index, own, 1, 40).tolist()
        assert torch.equal(batch.x, data.x[batch.n_id])
        assert torch.equal(batch.y, batch.n_id)
        ends = batch.n_id[batch.edge_index]
        inside = torch.isin(data.edge_index, batch.n_id).all(0)
        assert torch.equal(ends, data.edge_index[:, inside])
        assert torch.equal(batch.edge_attr, ends.t().float())
    assert sorted(torch.cat(seen).tolist()) == list(range(40))


def test_order_changes_with_the_epoch_and_repeats_with_the_seed():
    data = graph_of(nx.path_graph(24))
    loader, again = PartitionLoader(data, 8, seed=3), PartitionLoader(data, 8, seed=3)
    first, second = ([batch.n_id.tolist() for batch in loader] for _ in range(2))
    assert first != second
    assert first == [batch.n_id.tolist() for batch in again]
    assert len(loader) == 8
    assert len(PartitionLoader(data, 8, parts_per_batch=3)) == 3


def test_sparse_features_are_cut_by_rows():
    data = graph_of(nx.path_graph(10))
    dense = torch.rand(10, 4) * (torch.rand(10, 4) < 0.5)
    data.x = dense.to_sparse_csr()
    for batch in PartitionLoader(data, 3):
        assert torch.equal(batch.x.to_dense(), dense[batch.n_id])


def test_mistakes_are_named():
    data = graph_of(nx.path_graph(4))
    with pytest.raises(ValueError, match="num_parts must be from 1 to the 4 nodes, got 5"):
        PartitionLoader(data, 5)
    with pytest.raises(ValueError, match="parts_per_batch must be from 1 to num_parts, 2, got 3"):
        PartitionLoader(data, 2, parts_per_batch=3)
    with pytest.raises(ValueError, match="halo must be 0 or more hops, got -1"):
        PartitionLoader(data, 2, halo=-1)
