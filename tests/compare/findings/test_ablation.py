"""Does the graph matter? Verdicts on errors whose truth is known, and on the simulated network."""

import numpy as np
import pytest
import torch

from gnnkit.compare import make_spec, run
from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.findings import ABLATION
from gnnkit.compare.findings.ablation import MARGIN, judge_ablation
from gnnkit.compare.findings.difference import Words
from gnnkit.compare.scores import Outcome
from gnnkit.statistics.paired import judge_together
from gnnkit.statistics.spans import span_numbers, span_score, span_test
from tests.compare.findings.outcomes import COUNTS, MASK, TRUE, WINDOWS, hard, outcome
from tests.compare.findings.sheets import line_of, section_of, sheet_of


def on_graphs(model: str, *, seeds=(0, 1, 2), **errors) -> list[Outcome]:
    """Outcomes on some graphs: the errors of all seeds, [W], or a row for each, [S, W]."""
    return [
        outcome(model, np.broadcast_to(error, (len(seeds), WINDOWS))[row], seed=seed, adjacency=kind)
        for row, seed in enumerate(seeds)
        for kind, error in errors.items()
    ]


def judged(outcomes, windows=None, mask=MASK, **options):
    given = {"unit": "mph", "step_minutes": 5.0}
    table, same = ErrorTable(outcomes, TRUE, mask, windows or {2: WINDOWS}), options.pop("same", {})
    return judge_ablation(table, Words(**(given | options)), same=same)


def compared(a, b):
    spans = span_numbers([np.arange(WINDOWS)])
    return span_test(*(span_score(errors, COUNTS, spans) for errors in (a, b)))


def test_yes_by_hand():
    base = hard(0)
    found = judged(on_graphs("tgcn", given=base, identity=base + 0.5, shuffled=base + 0.25, complete=base - 0.125))
    level = float(base.mean())
    assert [(row.adjacency, row.seeds, row.std) for row in found.rows] == [
        ("given", 3, 0.0),
        ("identity", 3, 0.0),
        ("shuffled", 3, 0.0),
        ("complete", 3, 0.0),
    ]
    assert [row.mae for row in found.rows] == pytest.approx([level, level + 0.5, level + 0.25, level - 0.125], rel=1e-5)
    assert [test.difference for test in found.tests] == pytest.approx([0.5, 0.25, -0.125], rel=1e-4)
    assert {(test.model, test.against, test.horizon) for test in found.tests} == {("tgcn", "given", 2)}
    assert (found.verdict, found.horizon) == ("yes", 2)
    assert found.sentence == (
        "The given graph matters up to 10 minutes (2 steps) ahead: tgcn has an MAE of "
        f"{level:.4g} mph with the given graph; with no edges (identity) +0.5 mph, 95% interval +0.5 to +0.5, a "
        "shuffled graph +0.25 mph, 95% interval +0.25 to +0.25 (n = 120 test windows, 3 seeds, p at most 0.0001, "
        "corrected for 3 tests)."
    )
    assert found.notes == [
        "tgcn is clearly better with a complete graph than with the given one: -0.125 mph, 95% interval -0.125 to "
        "-0.125.",
    ]


def test_tests_are_paired_over_windows_and_seeds():
    """Seeds of very different luck, which is the same on every graph: what differs between graphs is seen."""
    luck = np.array([[0.0], [1.0], [3.0]])
    kinds = ("given", "identity", "random")
    rows = {kind: np.stack([hard(10 * n + s, 2 + 0.1 * n) for s in range(3)]) for n, kind in enumerate(kinds)}
    tables = {kind: table + luck for kind, table in rows.items()}
    found = judged(on_graphs("gcn", **tables)[::-1], confidence=0.9)  # in whatever order they come
    assert found.verdict == "yes"
    # The single precision of predictions is that of the errors.
    tables = {kind: table.astype(np.float32).astype(float) for kind, table in tables.items()}
    nothing = np.zeros((1, WINDOWS))
    gaps = {test.adjacency: tables[test.adjacency] - tables["given"] for test in found.tests}
    tests = [compared(gap, nothing) for gap in gaps.values()]
    for test, expected in zip(found.tests, judge_together(tests, 0.9), strict=True):
        assert (test.difference, test.low, test.high) == pytest.approx(
            (expected.difference, expected.low, expected.high), rel=1e-3
        )
        assert (test.p, test.clear) == (pytest.approx(expected.p_value, rel=1e-3), True)
        unpaired = compared(tables[test.adjacency], tables["given"])
        assert unpaired.p_value > 0.1


def test_seeds_pair_by_their_number_and_a_seed_without_its_pair_is_left_out():
    levels = np.array([[1.0], [2.0], [4.0]])
    given = on_graphs("gcn", given=levels)
    identity = on_graphs("gcn", seeds=(2, 0), identity=levels[[2, 0]] + 0.5)
    lost = on_graphs("gcn", seeds=(7,), random=levels[:1])
    found = judged(given + identity + lost)
    assert [(row.adjacency, row.seeds) for row in found.rows] == [("given", 3), ("identity", 2), ("random", 1)]
    assert [(test.adjacency, test.difference) for test in found.tests] == [("identity", 0.5)]


@pytest.mark.parametrize("change", [1.0, -1.0])
def test_one_seed_says_neither_yes_nor_no(change):
    base = hard(0)
    found = judged(on_graphs("gcn", seeds=(5,), given=base, identity=base + change, random=base + change))
    tests = [(test.difference, test.low, test.p, test.clear) for test in found.tests]
    assert tests == [(pytest.approx(change), None, None, False)] * 2
    assert found.verdict == "open"
    assert found.sentence.startswith(
        "Open whether the given graph matters up to 10 minutes (2 steps) ahead: one seed cannot tell what the graph "
        "does from luck, give three or more; gcn has an MAE of"
    )
    assert found.sentence.endswith("(n = 120 test windows, one seed).")


def test_a_graph_that_harms_every_model_is_said_to_harm():
    base = hard(0)
    harm = judged(on_graphs("gcn", given=base, identity=base - 0.5, shuffled=base + 0.5))
    assert harm.verdict == "no"
    assert harm.sentence == (
        "The given graph harms up to 10 minutes (2 steps) ahead: gcn has an MAE of "
        f"{base.mean():.4g} mph with the given graph; with no edges (identity) -0.5 mph, 95% interval -0.5 to -0.5 "
        "(n = 120 test windows, 3 seeds, p at most 0.0001, corrected for 2 tests)."
    )
    assert harm.notes == [
        "gcn is clearly better with no edges (identity) than with the given one: -0.5 mph, 95% interval -0.5 to -0.5."
    ]
    unharmed = judged(
        on_graphs("gcn", given=base, identity=base - 0.5, shuffled=base + 0.5)
        + on_graphs("tgcn", given=base, identity=base, shuffled=base)
    )
    assert unharmed.verdict == "no"
    assert unharmed.sentence.startswith("The given graph does not help up to 10 minutes (2 steps) ahead: gcn has an")
    assert unharmed.notes == harm.notes


@pytest.mark.parametrize(
    ("gain", "deviation", "answer"),
    [  # in shares of an MAE of 2: 1.96 · 5% / √120 = 0.9%
        (-0.005, 0.05, "does not help up to 10 minutes (2 steps) ahead: gcn"),
        (0.0, 0.005, "does not matter up to 10 minutes (2 steps) ahead, to within 1% of the MAE: gcn"),
    ],
)
def test_a_margin_is_named_only_where_both_bounds_are_within_it(gain, deviation, answer):
    base = hard(0)
    spread = _centred(np.random.default_rng(0).normal(0, 2 * deviation, WINDOWS))
    found = judged(on_graphs("gcn", given=base, identity=base + 2 * gain + spread, shuffled=base + 1))
    assert found.verdict == "no"
    assert found.sentence.startswith(f"The given graph {answer} has an MAE of ")
    assert found.notes == []


def test_no_where_edges_gain_too_little():
    base = hard(0)
    little = 0.5 * MARGIN * float(base.mean())
    small = judged(on_graphs("gcn", given=base, identity=base + little, shuffled=base + little))
    assert small.tests[0].clear
    assert small.verdict == "yes"  # a gain below the margin that is clear on both is still a gain
    noisy = hard(1) + little
    assert judged(on_graphs("gcn", given=base, identity=noisy, random=base)).verdict == "no"


def test_a_wrong_graph_that_is_worse_is_not_enough_for_yes():
    base = hard(0)
    # Any graph costs something here and the given one nothing: it is no better than none.
    found = judged(on_graphs("gcn", given=base, identity=hard(1), shuffled=base + 1, random=base + 1))
    assert found.verdict == "no"
    assert "no edges (identity)" in found.sentence
    found = judged(on_graphs("gcn", given=base, identity=base + 1, shuffled=hard(1), random=base + 1))
    assert found.verdict == "no"
    assert "a shuffled graph" in found.sentence


def test_open_where_the_errors_cannot_tell():
    rng = np.random.default_rng(0)
    base, other, wrong = (np.abs(rng.normal(2, 1.5, WINDOWS)) for _ in range(3))
    found = judged(on_graphs("gcn", given=base, identity=other, shuffled=wrong))
    assert found.verdict == "open"
    assert found.sentence.startswith(
        "Open whether the given graph matters up to 10 minutes (2 steps) ahead: gcn has an"
    )
    assert "with no edges (identity)" in found.sentence
    assert found.sentence.endswith("(n = 120 test windows, 3 seeds).")


@pytest.mark.parametrize("kinds", [("identity",), ("shuffled", "random"), ("complete", "learned")])
def test_yes_needs_both_kinds_of_graph(kinds):
    base = hard(0)
    found = judged(on_graphs("mtgnn-given", given=base, **dict.fromkeys(kinds, base + 1)))
    assert found.verdict == "open"
    assert len(found.tests) == len(kinds)


def test_one_model_that_gains_is_enough_and_all_must_fail_for_no():
    base = hard(0)
    gains = on_graphs("dcrnn", given=base, identity=base + 1, shuffled=base + 1)
    fails = on_graphs("gcn", given=base, identity=base - 1, shuffled=base)
    rng = np.random.default_rng(0)
    unknown = on_graphs(
        "tgcn", **{kind: np.abs(rng.normal(2, 1.5, WINDOWS)) for kind in ("given", "identity", "random")}
    )
    assert judged(gains + fails).verdict == "yes"
    assert "gcn" not in judged(gains + fails).sentence.replace("dcrnn", "").split("(n =")[0]
    assert judged(fails).verdict == "no"
    assert judged(fails + unknown).verdict == "open"
    assert {row.model for row in judged(fails + unknown).rows} == {"gcn", "tgcn"}


def _centred(noise: np.ndarray) -> np.ndarray:
    return noise - noise.mean()


def test_holm_takes_a_lucky_model_back():
    """A model that passes alone does not pass as one of twelve."""
    rng = np.random.default_rng(3)
    base = hard(0)
    costs = {kind: base + 0.018 + _centred(rng.normal(0, 0.05, WINDOWS)) for kind in ("identity", "random")}
    lucky = on_graphs("gcn", given=base, **costs)
    alone = judged(lucky)
    assert [test.clear for test in alone.tests] == [True, True]
    assert all(0.001 < test.p < 0.05 for test in alone.tests)
    assert alone.verdict == "yes"
    others = [
        o
        for n in range(11)
        for o in on_graphs(f"other {n}", given=base, identity=base + rng.normal(0, 0.1, WINDOWS), random=base)
    ]
    among = judged(lucky + others)
    assert [test.difference for test in among.tests[:2]] == [test.difference for test in alone.tests]
    assert max(test.p for test in among.tests[:2]) > 0.05
    assert among.verdict != "yes"


@pytest.mark.parametrize("luck", [0.0, 0.1])
def test_equal_graphs_are_seldom_called_different(luck):
    """Errors of overlapping windows on graphs that tell nothing, and of fits that come out well or badly by chance."""
    called = []
    kinds = ("given", "identity", "shuffled", "random")
    for seed in range(25):
        rng = np.random.default_rng(seed)
        noise = rng.normal(0, 0.3, (4, 3, WINDOWS + 1))
        errors = 2 + noise[..., 1:] + noise[..., :-1]  # neighbouring windows share a target row
        errors += rng.normal(0, luck, (4, 3, 1))
        called.append(judged(on_graphs("gcn", **dict(zip(kinds, errors, strict=True)))).verdict)
    assert called.count("yes") <= 1


def test_a_small_gain_on_every_window_is_found():
    gains = [
        judged(on_graphs("gcn", given=hard(s), identity=hard(s + 1) + 0.1, random=hard(s + 2) + 0.1)) for s in range(9)
    ]
    assert {found.verdict for found in gains} == {"yes"}


def test_another_graph_that_is_the_given_one_says_nothing():
    base = hard(0)
    tried = on_graphs("gcn", given=base, identity=base + 1, shuffled=base + 1, random=base)
    assert judged(tried).verdict == "no"  # a gain of 0 over a graph that is thought to be another
    found = judged(tried, same={"random": [0, 1, 2], "shuffled": []})
    assert found.verdict == "yes"
    assert [test.adjacency for test in found.tests] == ["identity", "shuffled"]
    assert found.notes == ["A random graph is the given one again with seeds 0, 1, 2, which say nothing of it."]
    one = judged(tried, same={"shuffled": [1], "random": [0, 1, 2]})
    assert "with seed 1, which says" in one.notes[0]
    assert one.verdict == "yes"


def test_what_is_not_about_the_graph_is_left_out():
    base = hard(0)
    tried = on_graphs("gcn", given=base, identity=base + 1, shuffled=base + 1)
    others = [
        outcome("last-value", 9.0, family="baseline"),
        outcome("gru", 0.1, family="sequence"),
        outcome("tgcn", 0.1),
        outcome("gcn", 50.0, train_share=0.1),
        outcome("gcn", 50.0, hidden_share=0.5),
    ]
    assert judged(tried + others) == judged(tried)
    assert judged(others) is None


def test_other_horizons_stand_in_the_notes_and_the_largest_decides():
    base = hard(0)
    outcomes = on_graphs("gcn", given=base, identity=base + 1, shuffled=base + 1)
    early = [  # at the first step all are alike
        Outcome(o.model, o.family, o.seed, torch.cat([outcomes[0].predicted[:, :1], o.predicted[:, 1:]], 1), o.fitted,
                o.condition)
        for o in outcomes
    ]  # fmt: skip
    found = judged(early, {2: WINDOWS - 1, 1: WINDOWS})
    assert (found.verdict, found.horizon) == ("yes", 2)
    assert "n = 119 test windows" in found.sentence
    assert found.notes[0].startswith("The given graph does not matter up to 5 minutes (1 step) ahead, to within 1%")
    assert {row.horizon for row in found.rows} == {2}


def test_a_model_without_its_given_graph_is_named():
    base = hard(0)
    lonely = on_graphs("tgcn", identity=base)
    found = judged(
        lonely + on_graphs("gcn", given=base, identity=base + 1, random=base + 1), step_minutes=None, unit=""
    )
    assert found.verdict == "yes"
    assert found.sentence.startswith("The given graph matters up to 2 steps ahead: gcn has an MAE of 2.0")
    assert found.notes[0] == "No fit of tgcn on the given graph is there, so its other graphs are not judged."
    alone = judged(lonely)
    assert (alone.verdict, alone.rows, alone.tests) == ("open", [], [])
    assert alone.sentence.endswith("no model was trained both on it and on another.")


def test_windows_without_targets_do_not_count():
    base = hard(0)
    mask = MASK.clone()
    mask[::2] = False
    wild = base.copy()
    wild[::2] = 1e6  # never observed
    tried = on_graphs("gcn", given=wild, identity=base + 0.5)
    found = judged(tried, mask=mask, test_share=0.2, unit="", step_minutes=None)
    assert found.rows[0].mae == pytest.approx(base[1::2].mean(), rel=1e-5)
    assert found.tests[0].difference == pytest.approx(0.5, rel=1e-4)
    assert "n = 60 test windows" in found.sentence
    mask[1:] = False
    mask[0] = True
    one = judged(tried, mask=mask, test_share=0.2, unit="", step_minutes=None)
    assert (one.tests[0].low, one.tests[0].p, one.tests[0].clear) == (None, None, False)
    assert one.verdict == "open"
    assert one.sentence == (
        "Open whether the given graph matters up to 2 steps ahead: 1 test window is too few to judge: at least 11 are "
        "needed (about 50 more rows), which hold 6 spans of 2 steps without a common row."
    )


def network(*, independent: bool, seed: int = 0):
    """The ablation on a simulated network of sensors that often fail: where vehicles travel, neighbours fill in."""
    data = {"num_nodes": 24, "days": 10, "seed": seed, "independent": independent}
    diffusion = {"stacks": 1, "layers": 2, "diffusion_steps": 2, "adaptive": False, "dropout": 0.0, "mask_input": True}
    spec = make_spec(
        data_options=data | {"missing": 0.8, "incidents_per_day": 40.0},
        split=(0.25, 0.05, 0.7),
        history=4,
        horizons=(3,),
        models=("graph-wavenet",),
        rivals=False,
        settings={"graph-wavenet": diffusion},
        ablate_graph=("graph-wavenet",),
        seeds=(0, 1, 2, 3),
        hidden_channels=8,
        batch_size=64,
        epochs=20,
        patience=20,
        learning_rate=1e-2,
        threads=1,
        device="cpu",
    )
    return ABLATION.of(run(spec))


@pytest.mark.slow
def test_the_graph_matters_where_vehicles_travel():
    found = network(independent=False)
    assert found.verdict == "yes", found.sentence
    assert {row.adjacency for row in found.rows} == {"given", "identity", "shuffled", "random", "complete"}
    assert {row.seeds for row in found.rows} == {4}
    share = {test.adjacency: test.difference / found.rows[0].mae for test in found.tests}
    assert min(share[kind] for kind in ("identity", "shuffled", "random")) > 0.02


@pytest.mark.slow
def test_the_graph_does_not_matter_where_sensors_are_independent():
    found = network(independent=True)
    assert found.verdict == "no", found.sentence
    share = {test.adjacency: test.difference / found.rows[0].mae for test in found.tests}
    assert all(abs(share[kind]) < 0.02 for kind in ("identity", "shuffled", "random"))


def test_ablation_has_the_sentence_and_a_line_for_each_graph(rich_results):
    results = rich_results()
    section = section_of(ABLATION, results)
    assert section.statements[0].text == ABLATION.of(results).sentence
    assert section.statements[0].clear
    assert section.statements[0].sample == "n = 380 windows, 3 seeds"
    sheet = sheet_of(section, "all")
    assert line_of(sheet, "tgcn", "given")["difference"] == "–"
    assert line_of(sheet, "tgcn", "shuffled")["p"] == ".016"
    results.findings["ablation"] = {
        "horizon": 12,
        "rows": [],
        "tests": [],
        "verdict": "open",
        "sentence": "Open. n = 3.",
        "notes": ["x"],
    }
    section = section_of(ABLATION, results)
    assert (section.sheets, section.drawings, section.notes) == ((), (), ("x",))
    assert not section.statements[0].clear
    assert section.statements[0].sample == ""  # the sentence has its n
