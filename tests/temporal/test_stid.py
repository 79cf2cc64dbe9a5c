import pytest
import torch

from gnnkit.temporal import STID
from tests.temporal.four_nodes import EDGES, WEIGHT, B, C, N, P, T, history, linear, ready


def means(h, reverse):
    """For each node the mean of what it hears, by the weights of the edges; an edge at a time."""
    out, total = torch.zeros_like(h), torch.zeros(N, dtype=h.dtype)
    for (source, target), weight in zip(EDGES.t().tolist(), WEIGHT.tolist(), strict=True):
        source, target = (target, source) if reverse else (source, target)
        out[..., target, :] += weight * h[..., source, :]
        total[target] += weight
    return out / total.clamp(min=1e-12)[:, None]


def by_hand(model, x, slots, days):
    found = torch.zeros(B, P, N, dtype=torch.float64)
    for b in range(B):
        for n in range(N):
            parts = [linear(model.embed, x[b, :, n].flatten()), model.nodes[n]]
            if slots is not None:
                parts += [model.times[slots[b]], model.days[days[b]]]
            h = torch.cat(parts)
            for inner, outer in zip(model.inputs, model.outputs, strict=True):
                h = h + linear(outer, torch.relu(linear(inner, h)))
            found[b, :, n] = linear(model.head, h)
    return found


def test_without_the_time_it_knows_the_node():
    model, x = ready(STID(2, C, P, history=T, num_nodes=N, layers=2)), history()
    torch.testing.assert_close(model(x, EDGES), by_hand(model, x, None, None), rtol=0, atol=1e-12)
    assert model.times is None


def test_with_diffusion_it_also_reads_the_means_of_its_neighbours():
    model, x = ready(STID(2, C, P, history=T, num_nodes=N, layers=2, diffusion_steps=2)), history()
    along, against = means(x, False), means(x, True)
    seen = torch.cat([x, along, means(along, False), against, means(against, True)], dim=-1)
    torch.testing.assert_close(model(x, EDGES, WEIGHT), by_hand(model, seen, None, None), rtol=0, atol=1e-12)
    assert model.uses_graph
    assert not STID(2, C, P, history=T, num_nodes=N).uses_graph
    with pytest.raises(ValueError, match="edge_index is None, but diffusion_steps=2 needs a graph"):
        model(x)


def test_with_it_the_last_steps_time_and_day_choose_embeddings():
    model = ready(STID(3, C, P, history=T, num_nodes=N, time_channels=2, layers=1))
    x, slots, days = history(features=3), [287, 3], [6, 0]
    for b in range(B):
        for t in range(T):
            x[b, t, :, 1] = float(
                torch.tensor(((slots[b] - (T - 1 - t)) % 288) / 288)
            )  # in float32, as windows have it
            x[b, t, :, 2] = float(torch.tensor(days[b] / 7))
    torch.testing.assert_close(model(x), by_hand(model, x, slots, days), rtol=0, atol=1e-12)


def test_the_embedding_of_a_weekday_that_was_never_seen_adds_nothing():
    torch.manual_seed(0)
    model = STID(3, 2, 1, history=1, num_nodes=1, time_channels=2, layers=1).eval()
    monday, sunday = (torch.tensor([0.5, 0.25, day / 7]).view(1, 1, 1, 3) for day in (0, 6))
    with torch.no_grad():
        model.embed.weight[:, 2] = 0.0  # the weekday as a number, which the history holds besides
    assert model(monday).item() == model(sunday).item()
    model(monday).sum().backward()
    assert model.days.grad[0].abs().sum() > 0
    assert model.days.grad[1:].abs().sum() == 0


def test_every_slot_of_a_day_and_every_day_is_met():
    model = STID(3, 2, 1, history=1, num_nodes=1, time_channels=2, layers=1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
        model.times[:, 0] = torch.arange(288.0)
        model.days[:, 0] = 1000 * torch.arange(7.0)
        model.head.weight[0, 4] = 1.0
        model.head.weight[0, 6] = 1.0
    for slot in range(288):
        for day in (0, 3, 6):
            x = torch.tensor([0.0, slot / 288, day / 7]).view(1, 1, 1, 3)
            assert model.eval()(x).item() == slot + 1000 * day


def test_neither_time_nor_mask_is_diffused():
    torch.manual_seed(0)
    model = STID(3, C, P, history=T, num_nodes=N, time_channels=2, diffusion_steps=1, mask_input=True)
    assert model.embed.in_features == T * (3 + 3 + 2)
    x, mask = history(features=3).float().abs() % 1, torch.rand(B, T, N, 3) < 0.5
    assert model(x, EDGES, WEIGHT.float(), mask=mask).shape == (B, P, N)


def test_bad_arguments():
    with pytest.raises(ValueError, match="diffusion_steps must be a whole number of at least 1, got -1"):
        STID(2, 4, 3, history=12, num_nodes=4, diffusion_steps=-1)
    with pytest.raises(ValueError, match="in_channels=2 leaves no target beside time_channels=2"):
        STID(2, 4, 3, history=12, num_nodes=4, time_channels=2)
    with pytest.raises(ValueError, match="time_channels must be one of 0, 2, got 1"):
        STID(2, 4, 3, history=12, num_nodes=4, time_channels=1)
