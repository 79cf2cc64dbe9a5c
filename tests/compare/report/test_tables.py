import pytest

from gnnkit.compare.report.tables import best_models, families, horizon_label


def test_order_is_baselines_sequence_graph(fake_results):
    models = {"gcn": ("graph", 4.0), "lstm": ("sequence", 3.0), "tgcn": ("graph", 2.9)}
    expected = ["last-value", "rolling-average", "historical-average", "lstm", "gcn", "tgcn"]
    assert list(families(fake_results(models=models))) == expected


def test_best_models_have_the_lowest_mae_at_the_largest_horizon(fake_results):
    assert best_models(fake_results()) == {"baseline": "last-value", "sequence": "gru", "graph": "tgcn"}


@pytest.mark.parametrize(
    ("steps", "minutes", "words"),
    [(3, 5, "15 min"), (12, 5, "60 min"), (3, 30, "90 min"), (24, 5, "2 h"), (6, 60, "6 h"), (1, 1440, "1 day"),
     (3, 10080, "3 weeks"), (3, None, "3 steps"), (1, None, "1 step"), (5, 7.5, "37.5 min")],
)  # fmt: skip
def test_horizon_label(steps, minutes, words):
    assert horizon_label(steps, minutes) == words
