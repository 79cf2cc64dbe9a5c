"""Mini-batch training of one model."""

import pytest
import torch
from torch_geometric.data import Data

from gnnkit.layers import NodeClassifier
from gnnkit.loader import PartitionLoader
from gnnkit.training.node_batches import fit_batches, predict_batches
from gnnkit.training.seeds import SeedSettings


def community(size=60, seed=0):
    generator = torch.Generator().manual_seed(seed)
    y = torch.arange(size) % 2
    edges = torch.randint(size, (2, 12 * size), generator=generator)
    edges = edges[:, y[edges[0]] == y[edges[1]]]
    x = torch.randn(size, 5, generator=generator)
    x[:, 0] += 2.0 * y
    part = torch.arange(size) % 3
    edges = torch.cat([edges, edges.flip(0)], dim=1)
    return Data(x=x, edge_index=edges, y=y, train_mask=part == 0, val_mask=part == 1, test_mask=part == 2)


def test_it_learns_from_partition_batches():
    data = community()
    torch.manual_seed(0)
    model = NodeClassifier(5, 8, 2)
    losses = []
    result = fit_batches(
        model,
        data,
        PartitionLoader(data, 6, parts_per_batch=2),
        SeedSettings(epochs=40, learning_rate=0.02, keep="best"),
        on_epoch=lambda epoch, loss: losses.append(loss),
    )
    assert losses[-1] < 0.7 * losses[0]
    assert result.test_accuracy > 0.9
    right = predict_batches(model, data).argmax(1) == data.y
    assert result.test_accuracy == pytest.approx(right[data.test_mask].double().mean().item())


def test_batches_with_enough_halo_predict_what_the_whole_graph_does():
    data = community()
    model = NodeClassifier(5, 8, 2)
    whole = predict_batches(model, data)
    parts = predict_batches(model, data, PartitionLoader(data, 5, halo=3))
    torch.testing.assert_close(parts, whole)


def test_several_tasks_with_missing_labels():
    data = community()
    label = torch.stack([data.y.float(), 1 - data.y.float()], dim=1)
    label[::7, 1] = torch.nan
    data.y = label
    torch.manual_seed(0)
    result = fit_batches(
        NodeClassifier(5, 8, 2), data, PartitionLoader(data, 3), SeedSettings(epochs=40, learning_rate=0.02)
    )
    assert result.val_accuracy > 0.8
    assert 0 < result.val_loss < 0.6


def test_patience_ends_it_and_nothing_to_learn_from_is_named():
    data = community()
    settings = SeedSettings(epochs=300, patience=4, keep="best", learning_rate=0.05)
    result = fit_batches(
        NodeClassifier(5, 8, 2), data, [PartitionLoader(data, 1).batch(torch.ones(60).bool())], settings
    )
    assert result.epochs == result.epoch + 4
    data.train_mask[:] = False
    with pytest.raises(ValueError, match="no training node"):
        fit_batches(NodeClassifier(5, 8, 2), data, PartitionLoader(data, 2), settings)


def test_a_loss_that_explodes_is_named():
    data = community()
    model, parts = NodeClassifier(5, 8, 2), PartitionLoader(data, 6, parts_per_batch=2)
    with pytest.raises(
        FloatingPointError, match=r"the training loss is nan at seed 7, epoch 1, step 2: lower learning_rate"
    ):
        fit_batches(model, data, parts, SeedSettings(epochs=2, learning_rate=1e38), seed=7)
