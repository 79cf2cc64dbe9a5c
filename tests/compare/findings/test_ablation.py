"""Does the graph matter? Verdicts on errors whose truth is known, and on the simulated network."""

import numpy as np
import pytest
import torch

from gnnkit.compare import make_spec, run
from gnnkit.compare.errors import ErrorTable
from gnnkit.compare.findings import ABLATION
from gnnkit.compare.findings.ablation import judge_ablation
from gnnkit.compare.findings.difference import Words
from gnnkit.compare.findings.significance import significance
from gnnkit.compare.findings.verdicts import PairVerdict, verdicts
from gnnkit.compare.questions import NO_GRAPH, planned_questions
from gnnkit.compare.scores import Outcome
from gnnkit.statistics.spans import compare_scores, span_numbers, span_score
from gnnkit.statistics.step_down import judge_family
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
    words = Words(**({"unit": "mph", "step_minutes": 5.0} | {k: v for k, v in options.items() if k != "same"}))
    table = ErrorTable(outcomes, TRUE, mask, windows or {2: WINDOWS})
    both = [m for m in table.models if {c.adjacency for n, c in table.fits if n == m} >= {"given", NO_GRAPH}]
    tests = significance(table, history=4, confidence=words.confidence, questions=planned_questions(None, {}, {}, both))
    planned = [v for v in verdicts(table, tests, words) if isinstance(v, PairVerdict) and v.kind == "ablation"]
    return judge_ablation(table, words, planned=planned, same=options.get("same", {}))


def compared(a, b):
    spans = span_numbers([np.arange(WINDOWS)])
    return compare_scores(*(span_score(errors, COUNTS, spans) for errors in (a, b)))


def test_one_model_with_its_graph_and_without_by_hand():
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
    assert [test.planned for test in found.tests] == [True, False, False]
    assert {(test.model, test.against, test.horizon) for test in found.tests} == {("tgcn", "given", 2)}
    assert (found.verdict, found.horizon) == ("helps", 2)
    assert found.sentence == (
        f"Up to 10 minutes (2 steps) ahead, the given graph helps tgcn: MAE {level:.4g} mph with it, "
        f"{level + 0.5:.4g} mph without edges, difference -0.5 mph (95% interval -0.5 to -0.5, p < 0.001)."
    )
    assert found.notes == [
        f"Up to 10 minutes (2 steps) ahead, tgcn (MAE {level:.4g} mph with the given graph) is worse (+0.25 mph, 95% "
        "interval +0.25 to +0.25, p < 0.001) with a shuffled graph, is better (-0.125 mph, 95% interval -0.125 to "
        "-0.125, p < 0.001) with a complete graph."
    ]


@pytest.mark.parametrize(("change", "verdict", "said"), [(0.5, "helps", "helps gcn"), (-0.5, "hurts", "hurts gcn")])
def test_the_answer_is_that_of_the_planned_test(change, verdict, said):
    base = hard(0)
    found = judged(on_graphs("gcn", given=base, identity=base + change, shuffled=base))
    assert found.verdict == verdict
    assert f", the given graph {said}: MAE" in found.sentence
    (planned,) = [test for test in found.tests if test.planned]
    assert planned.clear
    assert (planned.difference > 0) == (verdict == "helps")


def test_tests_are_paired_over_windows_and_seeds():
    """Seeds of very different luck, which is the same on every graph: what differs between graphs is seen."""
    luck = np.array([[0.0], [1.0], [3.0]])
    kinds = ("given", "identity", "random", "complete")
    rows = {kind: np.stack([hard(10 * n + s, 2 + 0.1 * n) for s in range(3)]) for n, kind in enumerate(kinds)}
    tables = {kind: table + luck for kind, table in rows.items()}
    found = judged(on_graphs("gcn", **tables)[::-1], confidence=0.9)  # in whatever order they come
    assert found.verdict == "helps"
    # The single precision of predictions is that of the errors.
    tables = {kind: table.astype(np.float32).astype(float) for kind, table in tables.items()}
    nothing = np.zeros((1, WINDOWS))
    gaps = {test.adjacency: tables[test.adjacency] - tables["given"] for test in found.tests}
    tests = {kind: compared(gap, nothing) for kind, gap in gaps.items()}
    expected = dict(zip(("random", "complete"), judge_family([tests["random"], tests["complete"]], 0.9), strict=True))
    expected |= {"identity": judge_family([tests["identity"]], 0.9)[0]}
    for test in found.tests:
        one = expected[test.adjacency]
        assert (test.difference, test.low, test.high) == pytest.approx((one.difference, one.low, one.high), rel=1e-3)
        assert (test.p, test.clear) == (pytest.approx(one.p_value, rel=1e-3), True)
        assert compared(tables[test.adjacency], tables["given"]).test.p_value > 0.1  # what no pairing would say


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
    tests = [(test.difference, test.low, test.p, test.clear, test.planned) for test in found.tests]
    assert tests == [(pytest.approx(change), None, None, False, False)] * 2
    assert found.verdict == "open"
    assert found.sentence == (
        "Open whether the given graph helps up to 10 minutes (2 steps) ahead: one seed cannot tell what the graph does "
        "from luck, give three or more (n = 120 test windows, one seed)."
    )


def test_one_fit_of_a_model_that_draws_nothing_is_all_there_is():
    """Ridge with neighbours has one fit however many seeds are asked for; of drawn graphs one says nothing."""
    base = hard(0)
    worse = {"identity": base + 0.5, "complete": base + 0.25, "shuffled": base + 0.25}
    found = judged(on_graphs("ridge-graph", seeds=(0,), given=base, **worse))
    assert found.verdict == "helps"
    assert "the given graph helps ridge-graph" in found.sentence
    assert [(test.adjacency, test.clear) for test in found.tests] == [
        ("identity", True), ("shuffled", False), ("complete", True)
    ]  # fmt: skip


def test_what_was_not_tested_says_why():
    base = hard(0)
    (note,) = judged(on_graphs("gcn", seeds=(5,), given=base, identity=base, random=base + 1)).notes
    assert note.endswith("; one seed of gcn, so none of this was tested.")


def test_open_where_the_errors_cannot_tell():
    rng = np.random.default_rng(0)
    base, other, wrong = (np.abs(rng.normal(2, 1.5, WINDOWS)) for _ in range(3))
    found = judged(on_graphs("gcn", given=base, identity=other, shuffled=wrong))
    assert found.verdict == "open"
    assert ", it is open whether the given graph helps gcn: MAE" in found.sentence
    assert " would be found with a chance of 80%; one as small as this with " in found.sentence
    assert "is not told apart (" in found.notes[0]


def test_a_little_at_most_is_said_and_is_open_still():
    base = hard(0)
    spread = np.random.default_rng(0).normal(0, 0.01, WINDOWS)
    found = judged(on_graphs("gcn", given=base, identity=base + spread - spread.mean(), shuffled=base))
    assert found.verdict == "open"
    assert "helps gcn, by less than 1% of the MAE if at all: MAE" in found.sentence


def test_of_several_models_one_is_planned_and_all_are_told():
    base = hard(0)
    tried = on_graphs("gcn", given=base, identity=base - 1, shuffled=base)
    tried += on_graphs("dcrnn", given=base, identity=base + 1, shuffled=base + 1)
    found = judged(tried)
    assert [(test.model, test.adjacency) for test in found.tests if test.planned] == [("gcn", "identity")]
    assert found.verdict == "hurts"
    assert ["dcrnn (MAE" in note and "is worse" in note for note in found.notes] == [False, True]


def test_without_a_fit_without_edges_the_question_has_no_answer():
    base = hard(0)
    found = judged(on_graphs("gcn", given=base, shuffled=base + 1))
    assert found.verdict == "open"
    assert "helps up to 10 minutes (2 steps) ahead: no model was trained without edges (n =" in found.sentence


@pytest.mark.parametrize("luck", [0.0, 0.1])
def test_equal_graphs_are_seldom_called_different(luck):
    """Errors of overlapping windows on graphs that tell nothing, and of fits that come out well or badly by chance."""
    called, rivals = [], 0
    kinds = ("given", "identity", "shuffled", "random")
    for seed in range(60):
        rng = np.random.default_rng(seed)
        noise = rng.normal(0, 0.3, (4, 3, WINDOWS + 1))
        errors = 2 + noise[..., 1:] + noise[..., :-1]  # neighbouring windows share a target row
        errors += rng.normal(0, luck, (4, 3, 1))
        found = judged(on_graphs("gcn", **dict(zip(kinds, errors, strict=True))))
        called.append(found.verdict)
        rivals += any(test.clear for test in found.tests if not test.planned)
    assert called.count("open") >= 53  # 5% of 60 are 3, and two deviations of 1.7
    assert rivals <= 7


def test_a_small_gain_on_every_window_is_found():
    gains = [
        judged(on_graphs("gcn", given=hard(s), identity=hard(s + 1) + 0.1, random=hard(s + 2) + 0.1)) for s in range(9)
    ]
    assert {found.verdict for found in gains} == {"helps"}


def test_another_graph_that_is_the_given_one_says_nothing():
    base = hard(0)
    tried = on_graphs("gcn", given=base, identity=base + 1, shuffled=base + 1, random=base)
    found = judged(tried, same={"random": [0, 1, 2], "shuffled": []})
    assert [test.adjacency for test in found.tests] == ["identity", "shuffled"]
    assert found.notes[1:] == ["A random graph is the given one again with seeds 0, 1, 2, which say nothing of it."]
    one = judged(tried, same={"shuffled": [1], "random": [0, 1, 2]})
    assert "with seed 1, which says" in one.notes[1]
    assert [test.adjacency for test in one.tests] == ["identity", "shuffled"]


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


def test_the_largest_horizon_has_the_table():
    base = hard(0)
    outcomes = on_graphs("gcn", given=base, identity=base + 1, shuffled=base + 1)
    early = [  # at the first step all are alike
        Outcome(o.model, o.family, o.seed, torch.cat([outcomes[0].predicted[:, :1], o.predicted[:, 1:]], 1), o.fitted,
                o.condition)
        for o in outcomes
    ]  # fmt: skip
    found = judged(early, {2: WINDOWS - 1, 1: WINDOWS})
    assert (found.verdict, found.horizon) == ("helps", 2)
    assert {row.horizon for row in found.rows} == {2}


def test_a_model_without_its_given_graph_is_named():
    base = hard(0)
    lonely = on_graphs("tgcn", identity=base)
    found = judged(
        lonely + on_graphs("gcn", given=base, identity=base + 1, random=base + 1), step_minutes=None, unit=""
    )
    assert found.verdict == "helps"
    assert found.sentence.startswith("Up to 2 steps ahead, the given graph helps gcn: MAE 2.0")
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
    mask[1:] = False
    mask[0] = True
    one = judged(tried, mask=mask, test_share=0.2, unit="", step_minutes=None)
    assert (one.tests[0].low, one.tests[0].p, one.tests[0].clear) == (None, None, False)
    assert one.verdict == "open"
    assert one.sentence == (
        "Open whether the given graph helps up to 2 steps ahead: 1 test window is too few to judge: at least 11 are "
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
    assert found.verdict == "helps", found.sentence
    assert {row.adjacency for row in found.rows} == {"given", "identity", "shuffled", "random", "complete"}
    assert {row.seeds for row in found.rows} == {4}
    share = {test.adjacency: test.difference / found.rows[0].mae for test in found.tests}
    assert min(share[kind] for kind in ("identity", "shuffled", "random")) > 0.02


@pytest.mark.slow
def test_the_graph_does_not_matter_where_sensors_are_independent():
    found = network(independent=True)
    assert found.verdict == "open" or abs(found.tests[0].difference) < 0.02 * found.rows[0].mae, found.sentence
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
    assert (section.sheets, section.drawings, section.notes) == ((), (), ("Exploratory: x",))
    assert not section.statements[0].clear
    assert section.statements[0].sample == ""  # the sentence has its n
