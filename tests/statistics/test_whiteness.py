import numpy as np
import pytest
from scipy import stats

from gnnkit.statistics.whiteness import PARTS, az_test, more_alike, sign_sums, whiteness_of


def ring(nodes):
    return np.stack([np.arange(nodes), (np.arange(nodes) + 1) % nodes])


def by_loops(x, edges, weights, share):
    """The published formula, pair by pair; what is NaN or 0 has no pair."""
    sign = np.nan_to_num(np.sign(x))
    undirected = {}
    for (u, v), w in zip(edges.T.tolist(), weights.tolist(), strict=True):
        if u != v and w > 0:
            undirected[min(u, v), max(u, v)] = undirected.get((min(u, v), max(u, v)), 0.0) + w
    space = squares = time = count = 0.0
    for t in range(len(x)):
        for (u, v), w in undirected.items():
            if sign[t, u] and sign[t, v]:
                space += w * sign[t, u] * sign[t, v]
                squares += w * w
        for v in range(x.shape[1]):
            if t and sign[t, v] and sign[t - 1, v]:
                time += sign[t, v] * sign[t - 1, v]
                count += 1
    w = np.sqrt(squares / count)
    return (share * space + (1 - share) * w * time) / np.sqrt(share**2 * squares + (1 - share) ** 2 * w**2 * count)


@pytest.mark.parametrize("share", [0.2, 0.5, 0.9])
def test_it_is_the_published_formula(share):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((30, 6))
    x[rng.random(x.shape) < 0.2] = np.nan
    x[3, 2] = 0.0
    edges = rng.integers(0, 6, (2, 14))  # loops, both directions and duplicates among them
    weights = rng.gamma(1.0, size=14)
    weights[5] = 0.0
    found = az_test(x, edges, weights, space_share=share)
    wanted = by_loops(x, edges, weights, share)
    assert found.statistic == pytest.approx(wanted, rel=1e-12)
    assert found.p_value == pytest.approx(2 * stats.norm.sf(abs(wanted)), rel=1e-9)


def test_parts_are_the_two_ends_of_the_share():
    rng = np.random.default_rng(1)
    x, edges = rng.standard_normal((40, 5)), ring(5)
    space, time, both = (az_test(x, edges, part=part) for part in ("space", "time", "both"))
    assert both.statistic == pytest.approx((space.statistic + time.statistic) / np.sqrt(2))
    assert (space.pairs, time.pairs, both.pairs) == (200, 195, 395)
    assert az_test(x, part="time") == time


def test_lagged_pairs_by_hand():
    x = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, np.nan], [-1.0, -1.0, 2.0]])
    found = az_test(x, np.array([[0, 0], [1, 2]]), np.array([2.0, 1.0]), part="lagged")
    # 0 → 1: (1, 5) agree, (4, −1) do not, weight 2; 0 → 2: (1, none), (4, 2) agree, weight 1
    assert found.pairs == 3
    assert found.statistic == pytest.approx((2 - 2 + 1) / np.sqrt(4 + 4 + 1))
    assert found.agreement == pytest.approx((2 + 1) / 5)


def test_an_edge_in_both_directions_is_one_pair_in_space_and_two_with_a_lag():
    x = np.random.default_rng(2).standard_normal((20, 2))
    both, one = np.array([[0, 1], [1, 0]]), np.array([[0], [1]])
    assert az_test(x, both, part="space") == az_test(x, one, part="space")
    assert (az_test(x, both, part="lagged").pairs, az_test(x, one, part="lagged").pairs) == (38, 19)


DRAWN = {
    "gaussian": lambda rng, size: rng.standard_normal(size),
    "heavy tails": lambda rng, size: rng.standard_cauchy(size),
    "skewed": lambda rng, size: rng.exponential(size=size) - np.log(2),  # its median is 0
    "spreads that differ": lambda rng, size: rng.standard_normal(size) * np.exp(3 * rng.standard_normal(size[1])),
}


@pytest.mark.parametrize("kind", DRAWN)
@pytest.mark.parametrize("part", ["both", *PARTS])
def test_white_residuals_are_refused_as_often_as_the_level_says(kind, part):
    rng = np.random.default_rng(3)
    edges, weights = ring(12), rng.gamma(2.0, size=12)
    p_values = []
    for _ in range(400):
        x = DRAWN[kind](rng, (60, 12))
        x[rng.random(x.shape) < 0.15] = np.nan
        p_values.append(az_test(x, edges, weights, part=part).p_value)
    refused = sum(p < 0.05 for p in p_values)
    assert stats.binom.cdf(refused, 400, 0.05) > 1e-3
    assert stats.binom.sf(refused - 1, 400, 0.05) > 1e-3


def test_what_neighbours_share_is_found():
    rng = np.random.default_rng(4)
    edges, found = ring(10), dict.fromkeys(("both", *PARTS), 0)
    for _ in range(50):
        noise = rng.standard_normal((81, 10))
        x = noise[1:] + 0.4 * noise[:-1][:, np.roll(np.arange(10), 1)]  # a node follows the one before it by a row
        for part in found:
            found[part] += az_test(x, edges, part=part).p_value < 0.05
    assert found["lagged"] >= 45
    assert found["space"] <= 10
    assert found["time"] <= 10
    common = rng.standard_normal((80, 10)) + 0.6 * rng.standard_normal((80, 1))
    assert az_test(common, edges, part="space").p_value < 1e-3
    assert az_test(common, edges, part="lagged").p_value > 0.01


def test_what_moves_all_nodes_is_no_work_of_the_graph():
    rng, near, far = np.random.default_rng(5), ring(12), np.stack([np.arange(12), (np.arange(12) + 6) % 12])
    refused = 0
    for _ in range(200):
        x = rng.standard_normal((120, 12)) + rng.standard_normal((120, 1))
        sums = [sign_sums(x, edges, part="space") for edges in (near, far)]
        refused += more_alike(*sums, np.arange(120) // 20).p_value < 0.05
        assert whiteness_of(sums[0]).p_value < 1e-6
    assert refused <= 20  # 5%, with its noise


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"residuals": np.zeros(3)}, r"residuals has shape \(3,\); give \[R, N\]"),
        ({"edge_index": np.zeros((3, 2), dtype=int)}, r"edge_index has shape \(3, 2\); give \[2, E\]"),
        ({"edge_index": None}, r"part='space' needs edge_index \[2, E\]"),
        ({"edge_index": np.array([[0], [9]])}, "edge_index names node 9; residuals have nodes 0 to 3"),
        ({"edge_index": np.array([[0], [-2]])}, "edge_index names node -2; residuals have nodes 0 to 3"),
        ({"edge_weight": np.ones(3)}, r"edge_weight has shape \(3,\); give one weight for each of 4 edges"),
        ({"edge_weight": np.array([1, -1, 1, 1])}, "edge_weight holds -1; give finite weights of 0 or more"),
        ({"edge_weight": np.array([1, np.nan, 1, 1])}, "edge_weight holds nan; give finite weights of 0 or more"),
        ({"part": "sideways"}, "part='sideways': choose one of space, time, lagged"),
        ({"space_share": 1.0}, r"space_share=1: must be inside \(0, 1\); ask for part='space' or 'time' alone"),
        ({"residuals": np.zeros((5, 4))}, "no two residuals beside each other are there, so nothing can be tested"),
    ],
)
def test_errors(change, text):
    given = {"residuals": np.ones((5, 4)), "edge_index": ring(4), **change}
    with pytest.raises(ValueError, match=text):
        az_test(given.pop("residuals"), **given)
