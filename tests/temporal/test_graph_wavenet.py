import pytest
import torch

from gnnkit.temporal import GraphWaveNet
from tests.temporal.four_nodes import EDGES, WEIGHT, C, F, N, P, T, hear, history, linear, ready, taps, walk


def by_hand(model, x):
    adaptive = None
    if model.embedding_1 is not None:
        adaptive = (model.embedding_1 @ model.embedding_2.t()).relu().softmax(dim=1)
    outputs = []
    for sample in x:
        steps = torch.cat([torch.zeros(model.steps, N, F, dtype=x.dtype), sample])[-model.steps :]
        h, skip = linear(model.start, steps), 0
        for block, read in enumerate(model.skips):
            z = torch.tanh(taps(model.filters[block], h)) * torch.sigmoid(taps(model.gates[block], h))
            skip = skip + linear(read, z)[-1]
            if block == len(model.diffusions):
                break
            parts = [z, walk(z), walk(walk(z)), walk(z, True), walk(walk(z, True), True)]
            if adaptive is not None:  # a walker at j goes to i with probability A_ji
                parts += [hear(adaptive.t(), z), hear(adaptive.t(), hear(adaptive.t(), z))]
            h = linear(model.diffusions[block].linear, torch.cat(parts, dim=-1)) + h[-len(z) :]
            norm = model.norms[block]
            h = (h - norm.running_mean) / (norm.running_var + norm.eps).sqrt() * norm.weight + norm.bias
        outputs.append(linear(model.head_2, linear(model.head_1, skip.relu()).relu()).t())
    return torch.stack(outputs)


@pytest.mark.parametrize("adaptive", [True, False])
def test_it_is_the_papers_equations(adaptive):
    torch.manual_seed(0)
    model = GraphWaveNet(F, C, P, num_nodes=N, stacks=2, adaptive=adaptive, embedding_channels=3)
    model = ready(model)
    for norm in model.norms:
        norm.running_mean.normal_()
        norm.running_var.uniform_(0.5, 2.0)
    x = history()
    torch.testing.assert_close(model(x, EDGES, WEIGHT), by_hand(model, x), rtol=0, atol=1e-11)
    long = history(steps=model.steps + 3)
    torch.testing.assert_close(model(long, EDGES, WEIGHT), by_hand(model, long), rtol=0, atol=1e-11)


def test_the_norms_run_over_batch_steps_and_nodes_in_training():
    torch.manual_seed(0)
    model = GraphWaveNet(F, C, P, num_nodes=N, stacks=1, dropout=0.0).double()
    x, seen = history(), []
    model.norms[0].register_forward_hook(lambda _, inputs, out: seen.append((inputs[0], out)))
    model(x, EDGES, WEIGHT)
    ((before, after),) = seen
    assert before.shape == (x.size(0) * 3 * N, C)
    torch.testing.assert_close(
        after, (before - before.mean(0)) / (before.var(0, unbiased=False) + 1e-5).sqrt(), rtol=0, atol=1e-12
    )


def test_the_default_sees_thirteen_steps_and_learns_a_graph():
    model = GraphWaveNet(F, C, P, num_nodes=N)
    assert model.steps == 13
    learned = model.learned_adjacency()
    torch.testing.assert_close(learned.sum(0), torch.ones(N))  # the shares of what each node sends
    x = history(steps=T).float().requires_grad_()
    model(x, EDGES).square().sum().backward()
    assert [name for name, p in model.named_parameters() if p.grad is None or p.grad.abs().max() == 0] == []
    with pytest.raises(ValueError, match="adaptive=False learns no graph"):
        GraphWaveNet(F, C, P, num_nodes=N, adaptive=False).learned_adjacency()


def test_one_block_would_see_no_graph():
    with pytest.raises(ValueError, match=r"stacks \* layers is 1: .* give two blocks or more"):
        GraphWaveNet(1, 4, horizon=2, num_nodes=3, stacks=1, layers=1)
