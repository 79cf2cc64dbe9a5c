"""Errors that are planted and found again, and every group against sums that plain loops make."""

import dataclasses
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
from scipy import stats

from gnnkit.compare import errors as module
from gnnkit.compare.conditions import Condition
from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.evidence import best_by_validation
from gnnkit.compare.findings import WHERE
from gnnkit.compare.findings.where import LEAST_TARGETS, Heat, where_error_lives
from gnnkit.compare.scores import Outcome
from gnnkit.data import GraphSeries, Split, make_windows
from gnnkit.statistics.paired import PairedTest
from gnnkit.statistics.spans import span_numbers
from gnnkit.statistics.step_down import step_down
from tests.compare.findings.sheets import section_of

T, P, N = 4, 3, 5
TRAIN, ROWS = 200, 480
EDGES = torch.tensor([[0, 1, 2, 3, 1, 1], [1, 2, 3, 4, 0, 1]])  # a path, one way back, a self-loop


def make_series(*, gaps=True, start="2024-01-01 22:00", step=30.0, unit="mph", incidents=True, nodes=N, seed=0):
    draw = torch.Generator().manual_seed(seed)
    values = 50 + 10 * torch.randn(ROWS, nodes, 1, generator=draw)
    if gaps:
        values[torch.rand(ROWS, nodes, 1, generator=draw) < 0.1] = float("nan")
        values[300:330, 2] = float("nan")
    extra = {"incidents": torch.tensor([[1.0, 240.0, 300.0, 0.5], [4.0, 290.0, 340.0, 0.0]])} if incidents else {}
    return GraphSeries(
        name="toy",
        values=values,
        edge_index=EDGES,
        edge_weight=torch.ones(EDGES.size(1)),
        node_names=tuple(f"n{i}" for i in range(nodes)),
        split=Split(range(TRAIN), range(TRAIN, 230), range(230, ROWS)),
        unit=unit,
        step_minutes=step,
        start=None if start is None else pd.Timestamp(start),
        extra=extra,
    )


class Case:
    """A series, its test windows, and the errors of two seeds of each model, drawn or given."""

    def __init__(self, series=None, *, graph=None, sequence=None, seeds=(2, 2), seed=7):
        self.series = make_series() if series is None else series
        self.test = make_windows(self.series, history=T, horizon=P).test
        batch = self.test.batch(torch.arange(len(self.test)))
        self.true, self.mask = batch.y, batch.y_mask
        draw = torch.Generator().manual_seed(seed)
        self.errors = {}
        for (name, family), given, count in zip(
            (("tgcn", "graph"), ("gru", "sequence")), (graph, sequence), seeds, strict=True
        ):
            drawn = [torch.randn(self.true.shape, generator=draw) for _ in range(count)]
            self.errors[name, family] = drawn if given is None else [given + 0.0 * self.true]
        self.outcomes = [
            Outcome(name, family, seed, self.true + error, SimpleNamespace(best_val_mae=1.0))
            for (name, family), errors in self.errors.items()
            for seed, error in enumerate(errors)
        ]

    def where(self, outcomes=None, mask=None, **options):
        options = {"horizon": P, "confidence": 0.95, "resamples": 200} | options
        given = self.outcomes if outcomes is None else outcomes
        table = ErrorTable(
            given, self.true, self.mask if mask is None else mask, {p: self.test.count(p) for p in (1, P)}
        )
        pair = best_by_validation(given)
        return None if pair is None else where_error_lives(table, pair, self.series, self.test, **options)

    def by_hand(self, code):
        """Label → (observed, graph, sequence) with a Python function (window, step, node) → label."""
        found = {}
        for window in range(len(self.test)):
            for step in range(P):
                for node in range(self.series.num_nodes):
                    label = code(window, step, node)
                    if label is None or not self.mask[window, step, node]:
                        continue
                    sums = found.setdefault(label, [0, 0.0, 0.0])
                    sums[0] += 1
                    for place, errors in enumerate(self.errors.values(), start=1):
                        sums[place] += float(np.mean([abs(float(e[window, step, node])) for e in errors]))
        return {k: (n, g / n, s / n) for k, (n, g, s) in found.items() if n >= LEAST_TARGETS}


@pytest.fixture(scope="module")
def case():
    return Case()


@pytest.fixture(scope="module")
def found(case):
    return case.where()


def first_row(window):
    return 230 + window + T


def hops(sources):
    """Breadth first along the edges, by hand."""
    level = dict.fromkeys(sources, 0)
    for hop in range(1, 6):
        for source, target in EDGES.T.tolist():
            if level.get(source) == hop - 1 and target not in level:
                level[target] = hop
    return level


def hop_label(sources, node):
    if not sources:
        return "none"
    hop = hops(sources).get(node, 9)
    return str(hop) if hop <= 3 else "4+"


def gap(case, row, node):
    return bool(case.series.values[row, node, 0].isnan())


def level_label(case, row, node):
    while gap(case, row, node):
        row -= 1
    train = case.series.values[:TRAIN, node, 0]
    ordered = np.sort(train[~train.isnan()].numpy())
    bounds = [ordered[int(q * (len(ordered) - 1))] for q in (0.25, 0.5, 0.75)]
    return ("congested", "slow", "fast", "free flow")[sum(float(case.series.values[row, node, 0]) > b for b in bounds)]


def missing_label(case, window, node):
    share = np.mean([gap(case, first_row(window) - 1 - back, node) for back in range(T)])
    return "none" if share == 0 else "up to 10 %" if share <= 0.1 else "10 to 50 %" if share <= 0.5 else "above 50 %"


def clock(row):
    return pd.Timestamp("2024-01-01 22:00") + pd.Timedelta(minutes=30 * row)


CODES = {
    "step": lambda case, w, p, n: f"{30 * (p + 1)}",
    "hour": lambda case, w, p, n: f"{clock(first_row(w) + p).hour:02d}",
    "weekday": lambda case, w, p, n: clock(first_row(w) + p).day_name()[:3],
    "incident": lambda case, w, p, n: hop_label(
        [i for i, a, b in ((1, 240, 300), (4, 290, 340)) if a <= first_row(w) - 1 < b], n
    ),
    "missing-sensor": lambda case, w, p, n: hop_label([i for i in range(N) if gap(case, first_row(w) - 1, i)], n),
    "congestion": lambda case, w, p, n: level_label(case, first_row(w) - 1, n),
    "missing-history": lambda case, w, p, n: missing_label(case, w, n),
}


@pytest.mark.parametrize("name", CODES)
def test_every_group_is_what_plain_loops_find(case, found, name):
    (stratum,) = [s for s in found.strata if s.name == name]
    expected = case.by_hand(lambda w, p, n: CODES[name](case, w, p, n))
    assert {group.label for group in stratum.groups} == set(expected)
    assert len(expected) > 1
    for group in stratum.groups:
        observed, graph, sequence = expected[group.label]
        assert group.observed == observed
        assert group.graph == pytest.approx(graph, rel=1e-5)
        assert group.sequence == pytest.approx(sequence, rel=1e-5)
        assert group.difference == pytest.approx(graph - sequence, rel=1e-4, abs=1e-6)
        assert group.low is None or group.low < group.difference < group.high


def test_the_strata_and_their_words(found):
    assert found.pair == ("tgcn", "gru")
    assert found.horizon == 3
    # Every node hears one other: a stratum of one group says nothing.
    names = ["step", "hour", "weekday", "incident", "missing-sensor", "congestion", "missing-history"]
    assert [stratum.name for stratum in found.strata] == names
    assert (found.strata[0].title, found.strata[0].unit) == ("Step ahead", "minutes")
    assert [group.label for group in found.strata[0].groups] == ["30", "60", "90"]


def cut(case, count):
    """The same case with `count` windows."""
    case.test.rows = range(230, 230 + count + T + P - 1)
    case.true, case.mask = case.true[:count], case.mask[:count]
    return case


def test_the_interval_of_a_group_by_hand():
    """An hour with a different number of targets in each window; one seed, so that windows are the only noise."""
    case = cut(Case(make_series(gaps=False), seeds=(1, 1)), 238)
    ours, theirs = (errors[0][:238].abs().double() for errors in case.errors.values())
    groups = next(s for s in case.where(resamples=500).strata if s.name == "hour").groups
    spans = span_numbers([np.arange(238)])
    tests, points = [], []
    for group in groups:
        here = np.array([[clock(first_row(w) + p).hour == int(group.label) for p in range(P)] for w in range(238)])
        gain = ((ours - theirs).sum(dim=2).numpy() * here).sum(axis=1)
        targets = N * here.sum(axis=1)
        point = gain.sum() / targets.sum()
        parts = np.array([(gain - point * targets)[spans == k].sum() for k in range(6)]) / targets.sum()
        counts = np.array([targets[spans == k].sum() for k in range(6)])
        m = counts.sum() ** 2 / (counts**2).sum()
        deviation = np.sqrt(m / (m - 1) * (parts**2).sum())
        p_value = 2 * stats.t.sf(abs(point / deviation), m - 1)
        tests.append((PairedTest(point / deviation, p_value, m - 1, point, deviation), parts))
        points.append(point)
    corrected = step_down([test for test, _ in tests], np.stack([parts for _, parts in tests]), draws=500)
    for group, (test, _), p_value in zip(groups, tests, corrected, strict=True):
        reach = test.deviation * stats.t.isf(0.05 * test.p_value / p_value / 2, test.degrees)
        expected = (test.difference, test.difference - reach, test.difference + reach)
        assert (group.difference, group.low, group.high) == pytest.approx(expected, rel=1e-3, abs=1e-6)


def test_the_groups_of_one_panel_hold_together():
    """Ten panels of 24 hours in which nothing differs: one by one, every panel would have a clear hour."""
    marked = [
        any(
            group.clear
            for group in next(s for s in Case(make_series(seed=n), seed=n).where().strata if s.name == "hour").groups
        )
        for n in range(10)
    ]
    assert sum(marked) <= 3


def test_a_planted_difference_is_found_where_it_is():
    """The graph model is better by 2 at one node in the morning, worse by 1 at another; elsewhere both are the same."""
    case = Case()
    hours = torch.tensor([[clock(first_row(w) + p).hour for p in range(P)] for w in range(len(case.test))])
    morning = ((hours >= 6) & (hours < 10)).unsqueeze(-1).float()
    graph, node = torch.full_like(case.true, 3.0), torch.arange(N)
    graph = graph - 2 * morning * (node == 3) + 1.0 * (1 - morning) * (node == 1)
    case = Case(graph=graph, sequence=torch.full_like(graph, 3.0))
    found = case.where()
    heat = found.heat
    assert (heat.nodes, heat.hours, heat.note) == ([f"n{i}" for i in range(N)], list(range(24)), "")
    for name, line in zip(heat.nodes, heat.difference, strict=True):
        for hour, value in zip(heat.hours, line, strict=True):
            there = 6 <= hour < 10
            expected = -2.0 if name == "n3" and there else 1.0 if name == "n1" and not there else 0.0
            assert value is None or value == pytest.approx(expected, abs=1e-5)
    (by_hour,) = [s for s in found.strata if s.name == "hour"]
    assert all((group.difference < -0.2) == (6 <= int(group.label) < 10) for group in by_hour.groups)
    assert {window.node for window in found.windows["graph"]} == {"n3"}
    assert {window.node for window in found.windows["sequence"]} == {"n1"}


def test_windows_in_which_each_wins_most(case, found):
    ours, theirs = (torch.stack(errors).abs().mean(dim=0) for errors in case.errors.values())
    gain = torch.where(case.mask, ours - theirs, 0.0)
    per_window = gain.sum(dim=(1, 2)) / case.mask.sum(dim=(1, 2))
    for side, sign in (("graph", 1), ("sequence", -1)):
        windows = found.windows[side]
        assert len(windows) == 10
        numbers = sorted(window.window for window in windows)
        assert min(np.diff(numbers)) >= P
        # Greedy: nothing that overlaps no earlier pick wins more than the next one.
        for place, window in enumerate(windows):
            free = [w for w in range(len(case.test)) if all(abs(w - e.window) >= P for e in windows[:place])]
            assert window.window == min(free, key=lambda w: sign * float(per_window[w]))
        for window in windows:
            number, row = window.window, first_row(window.window)
            assert (window.row, window.time) == (row, clock(row).isoformat())
            assert window.difference == pytest.approx(float(per_window[number]), rel=1e-4)
            node = int((sign * gain[number].sum(dim=0)).argmin())
            assert window.node == f"n{node}"
            seen = case.series.values[row - T : row + P, node, 0].tolist()
            assert window.history == [None if v != v else v for v in seen[:T]]
            assert window.true == [None if v != v else v for v in seen[T:]]
            mean = torch.stack([o.predicted for o in case.outcomes if o.family == side]).mean(dim=0)
            assert getattr(window, side) == pytest.approx(mean[number, :, node].tolist())


def test_a_group_in_few_blocks_has_no_interval_and_one_with_few_targets_is_left_out(found):
    """250 test rows of half an hour are five days: each hour is in five stretches, each weekday in one or two."""
    strata = {stratum.name: stratum.groups for stratum in found.strata}
    assert all(group.low is not None for group in strata["hour"])
    incident = {group.label: group.low is not None for group in strata["incident"]}
    assert incident["none"]
    assert all(group.observed >= 100 for groups in strata.values() for group in groups)
    two_days = Case(make_series(step=10.0))  # each hour in at most two stretches
    hours = next(s for s in two_days.where().strata if s.name == "hour").groups
    assert {(group.low, group.high) for group in hours} == {(None, None)}


def test_strata_without_a_meaning_are_left_out():
    plain = Case(make_series(gaps=False, start=None, unit="kWh", incidents=False)).where()
    assert [stratum.name for stratum in plain.strata] == ["step", "level"]
    assert [group.label for group in plain.strata[1].groups] == [
        "lowest quarter",
        "second",
        "third",
        "highest quarter",
    ]
    assert plain.heat == Heat()
    assert {window.time for window in plain.windows["graph"]} == {None}
    weekly = Case(make_series(gaps=False, step=7 * 24 * 60.0, unit="", incidents=False)).where()
    assert [stratum.name for stratum in weekly.strata] == ["step", "level"]  # one hour, one weekday
    daily = Case(make_series(gaps=False, step=24 * 60.0, unit="", incidents=False)).where()
    assert [stratum.name for stratum in daily.strata] == ["step", "weekday", "level"]
    assert [group.label for group in daily.strata[0].groups] == ["1", "2", "3"]
    assert daily.strata[0].unit == "days"


def test_the_best_are_chosen_by_validation_not_by_test(case):
    def named(name, family, error, val, **options):
        return Outcome(name, family, 0, case.true + error, SimpleNamespace(best_val_mae=val), **options)

    outcomes = [
        named("good in test", "graph", 0.0, 2.0),
        named("tgcn", "graph", 5.0, 1.0),
        named("gcn", "graph", 5.0, 0.5, condition=Condition(adjacency="shuffled")),
        named("lstm", "sequence", 1.0, 1.0),
        named("lstm", "sequence", 1.0, 4.0),
        named("gru", "sequence", 3.0, 2.0),
        Outcome("last-value", "baseline", 0, case.true, None),
    ]
    assert best_by_validation(outcomes) == ("tgcn", "gru")
    found = case.where(outcomes)
    assert found.pair == ("tgcn", "gru")
    assert found.strata[0].groups[0].difference == pytest.approx(2.0, rel=1e-4)
    assert found.windows["graph"] == []  # it wins nowhere
    assert case.where([o for o in outcomes if o.family != "sequence"]) is None


def test_the_steps_of_a_shorter_horizon_alone_are_looked_at(case):
    found = case.where(horizon=1)
    assert "step" not in {stratum.name for stratum in found.strata}
    total = sum(group.observed for s in found.strata if s.name == "congestion" for group in s.groups)
    assert total == int(case.mask[: case.test.count(1), :1].sum())
    assert all(len(window.true) == 1 for window in found.windows["graph"])


def test_what_is_masked_does_not_count(case, found):
    moved = [
        Outcome(o.model, o.family, o.seed, torch.where(case.mask, o.predicted, 1e6), o.fitted) for o in case.outcomes
    ]
    again = case.where(moved)
    assert again.strata == found.strata
    assert again.heat == found.heat


def test_some_windows_at_a_time_or_all_at_once(case, found, monkeypatch):
    monkeypatch.setattr(module, "CHUNK", 7 * N * P)
    again = case.where()
    assert again.windows == found.windows
    for one, other in zip(again.strata, found.strata, strict=True):
        assert one == other
    np.testing.assert_allclose(
        np.array(again.heat.difference, dtype=float),
        np.array(found.heat.difference, dtype=float),
        atol=1e-5,
    )


def test_of_many_nodes_those_with_the_largest_differences_are_drawn():
    series = make_series(nodes=304, incidents=False, gaps=False)
    case = Case(series, seeds=(1, 1))
    graph = torch.zeros_like(case.true) + 1.0 + 0.01 * torch.arange(304)
    graph[..., 100] = 1.0  # node 100 does not differ, nor does node 0; nodes 1 and 2 hardly
    found = Case(series, graph=graph, sequence=torch.ones_like(graph)).where()
    assert found.heat.nodes == [f"n{i}" for i in range(3, 304) if i != 100]
    assert found.heat.note == "The 300 nodes with the largest differences; 4 others are left out."


def test_nothing_observed_is_nothing_found(case):
    empty = torch.zeros_like(case.mask)
    assert case.where(mask=empty) is None


def test_where_has_only_what_is_there(rich_results):
    results = rich_results()
    assert [drawing.name for drawing in section_of(WHERE, results).drawings] == [
        "strata", "heat", "windows-graph", "windows-sequence"]  # fmt: skip
    where = WHERE.of(results)
    noted = dataclasses.replace(where.heat, note="The 300 nodes with the largest differences; 7 others are left out.")
    results.findings["where"] = dataclasses.replace(where, heat=noted)
    caption = section_of(WHERE, results).drawings[1].caption
    assert caption.endswith("blue: gru. The 300 nodes with the largest differences; 7 others are left out.")
    where = results.findings["where"] = dataclasses.replace(where, heat=Heat(), windows={"graph": [], "sequence": []})
    assert [drawing.name for drawing in section_of(WHERE, results).drawings] == ["strata"]
    results.findings["where"] = dataclasses.replace(where, strata=[])
    assert WHERE.section(results) is None
