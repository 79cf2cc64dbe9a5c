from gnnkit.compare.report.published import MARKS, PUBLISHED, published_scores


def test_figures_of_los_loop():
    found = {(score.model, score.minutes): score for score in published_scores("los-loop")}
    tgcn = found["T-GCN", 15]
    assert (tgcn.rmse, tgcn.mae, tgcn.accuracy, tgcn.r2, tgcn.mark) == (5.1264, 3.1802, 0.9127, 0.8634, "C")
    assert ("T-GCN", 60) not in found
    assert found["Graph WaveNet", 60].mae == 3.98
    assert found["Ada-GGNN", 30].mae is None
    assert ("Graph WaveNet", 45) not in found
    # repeating the last value has the better MAE than the published T-GCN
    assert found["last value", 15].mae < tgcn.mae


def test_no_figure_is_from_memory():
    assert set(MARKS) == {score.mark for score in PUBLISHED} == {"S", "C"}


def test_every_figure_has_a_known_mark_and_a_source():
    assert all(score.mark in MARKS and score.source for score in PUBLISHED)
    assert len({(score.model, score.minutes) for score in PUBLISHED}) == len(PUBLISHED)


def test_other_data_have_none():
    assert published_scores("simulated") == published_scores("los-loop.csv") == ()
