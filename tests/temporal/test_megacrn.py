import pytest
import torch

from gnnkit.temporal import MegaCRN
from tests.temporal.fixed import assert_is_the_authors, clock, filled, numbers

B, T, N, P = 2, 12, 4, 3

# What https://github.com/deepkashiwa20/MegaCRN at 5158190 (model/MegaCRN.py) makes of the weights and inputs of
# tests/temporal/fixed.py: width, layers, whether it is told the time; three steps of the first two nodes, the sum, the
# parameters. Its y_cov is the time of day of the steps to come.
AUTHORS = {
    "clock": (
        (16, 1, True),
        [-0.2447071749, -0.5776740226, -1.271744054, -0.2676401296, -0.6317914721, -1.28458161],
        -17.11562344,
        25393,
    ),
    "two layers": (
        (8, 2, False),
        [1.064453282, 1.320544106, 1.051183662, 1.203336155, 1.517882615, 1.268752788],
        29.39963077,
        18257,
    ),
}


@pytest.mark.parametrize("case", AUTHORS)
def test_it_is_the_authors_code(case):
    (channels, layers, told), values, total, parameters = AUTHORS[case]
    sizes = {"num_nodes": N, "layers": layers, "time_channels": 2 if told else 0}
    model = filled(MegaCRN(3 if told else 1, channels, P, **sizes))
    x = torch.cat([numbers(B, T, N, 1), clock(B, T, N)], dim=-1) if told else numbers(B, T, N, 1)
    assert_is_the_authors(model, x, values, total, parameters)


def test_the_learned_graphs_share_out_what_each_node_hears():
    model = filled(MegaCRN(1, 4, P, num_nodes=N))
    first, second = model._graphs()
    for graph in (first, second, model.learned_adjacency()):
        torch.testing.assert_close(graph.sum(1), torch.ones(N).double())
    scores = (model.embedding_1 @ model.memory @ (model.embedding_2 @ model.memory).t()).relu()
    torch.testing.assert_close(first, scores.softmax(1))
    torch.testing.assert_close(second, scores.t().softmax(1))


def test_in_training_it_reads_the_truth_at_first_and_its_own_words_at_last():
    torch.manual_seed(0)
    model, x, target = filled(MegaCRN(1, 4, P, num_nodes=N)), numbers(B, T, N, 1), numbers(B, P, N, start=2.0)
    free = model(x)
    model.train()
    late, early = (model(x, target=target, progress=progress) for progress in (1.0, 0.0))
    torch.testing.assert_close(late, free, rtol=0, atol=1e-12)
    torch.testing.assert_close(early[:, 0], free[:, 0], rtol=0, atol=1e-12)
    assert (early[:, 1:] - free[:, 1:]).abs().min() > 1e-6
    changed = target.clone()
    changed[:, 1:] += 1.0  # the second step to come is read for the third alone
    again = model(x, target=changed, progress=0.0)
    torch.testing.assert_close(again[:, :2], early[:, :2], rtol=0, atol=1e-12)


def test_it_begins_as_the_authors_code_does():
    torch.manual_seed(0)
    model = MegaCRN(1, 64, 12, num_nodes=207)
    cell, width = model.encoder[0], 6 * 65
    assert cell.gate_weight.std().item() == pytest.approx((2 / (width + 128)) ** 0.5, rel=0.02)
    assert cell.candidate_weight.std().item() == pytest.approx((2 / (width + 64)) ** 0.5, rel=0.02)
    assert cell.bias.abs().max() == 0
    assert model.embedding_1.std().item() == pytest.approx((2 / (207 + 20)) ** 0.5, rel=0.05)
    # What the authors' code counts for METR-LA, with the time of day of each step to come.
    assert sum(p.numel() for p in MegaCRN(3, 64, 12, num_nodes=207, time_channels=2).parameters()) == 388_761


def test_bad_arguments():
    with pytest.raises(ValueError, match="half_forced must be a share of the training, at least 0, got -1"):
        MegaCRN(1, 4, P, num_nodes=N, half_forced=-1)
    with pytest.raises(ValueError, match="terms must be a whole number of at least 1, got 0"):
        MegaCRN(1, 4, P, num_nodes=N, terms=0)
