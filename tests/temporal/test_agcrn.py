import pytest
import torch

from gnnkit.temporal import AGCRN
from tests.temporal.four_nodes import EDGES, B, C, F, N, P, T, hear, history, linear, ready


def convolved(x, pool, e, a, terms):
    """`Σ_k (T_k(A) x)_n (E_n · W_k)`, a node at a time."""
    polynomials = [x, hear(a, x)]
    while len(polynomials) < terms:
        polynomials.append(2 * hear(a, polynomials[-1]) - polynomials[-2])
    seen = torch.cat(polynomials, dim=-1)
    out = []
    for n in range(N):
        own = sum(e[n, d] * pool[d] for d in range(e.size(1)))
        out.append(seen[:, n] @ own)
    return torch.stack(out, dim=1)


def by_hand(model, x):
    e = model.embedding
    a = torch.zeros(N, N, dtype=torch.float64)
    for i in range(N):
        scores = torch.stack([torch.relu(e[i] @ e[j]).exp() for j in range(N)])
        a[i] = scores / scores.sum()
    sequence = [x[:, t] for t in range(T)]
    for cell in model.cells:
        h, states = torch.zeros(B, N, C, dtype=torch.float64), []
        bias = torch.stack([sum(e[n, d] * cell.bias_pool[d] for d in range(e.size(1))) for n in range(N)])
        for step in sequence:
            seen = convolved(step, cell.input_pool, e, a, cell.terms) + bias
            gates = torch.sigmoid(seen[..., : 2 * C] + convolved(h, cell.gate_pool, e, a, cell.terms))
            reset, update = gates[..., :C], gates[..., C:]
            kept = convolved(reset * h, cell.candidate_pool, e, a, cell.terms)
            h = update * h + (1 - update) * torch.tanh(seen[..., 2 * C :] + kept)
            states.append(h)
        sequence = states
    return linear(model.head, sequence[-1]).transpose(1, 2)


@pytest.mark.parametrize(("layers", "terms"), [(1, 2), (2, 3)])
def test_it_is_the_papers_equations(layers, terms):
    torch.manual_seed(0)
    model = ready(AGCRN(F, C, P, num_nodes=N, layers=layers, terms=terms, embedding_channels=3))
    x = history()
    torch.testing.assert_close(model(x, EDGES), by_hand(model, x), rtol=0, atol=1e-11)


def test_the_learned_graph_shares_out_what_each_node_hears():
    model = AGCRN(F, C, P, num_nodes=N)
    torch.testing.assert_close(model.learned_adjacency().sum(1), torch.ones(N))
    model(history().float()).sum().backward()
    assert model.embedding.grad.abs().max() > 0
    with pytest.raises(ValueError, match="terms must be a whole number of at least 1, got 0"):
        AGCRN(F, C, P, num_nodes=N, terms=0)


def test_it_begins_as_in_the_authors_script_with_a_graph_that_is_all_but_even():
    torch.manual_seed(0)
    model = AGCRN(1, 64, 12, num_nodes=207)
    width, terms, d = 65, 2, 10
    cell = model.cells[0]
    for part, out in ((cell.gate_pool, 128), (cell.candidate_pool, 64), (cell.input_pool[..., :128], 128)):
        bound = (6 / (terms * width * out + d * width * out)) ** 0.5  # a tensor [d, terms, width, out]
        assert 0.95 * bound < part.abs().max() <= bound
    assert cell.bias_pool[:, :128].abs().max() <= (6 / (d + 128)) ** 0.5 < cell.bias_pool[:, 128:].abs().max()
    assert 0.95 < model.embedding.abs().max() / (6 / (207 + d)) ** 0.5 <= 1
    assert (model.learned_adjacency() * 207 - 1).abs().max() < 0.3
