"""Trials that are behind: the rule of Optuna's MedianPruner, applied where the fit is."""

import pytest

from gnnkit.compare.pruning import Pruner, limits

CURVES = [[9.0, level, level, level] for level in (1.0, 2.0, 4.0, 8.0)]


def test_the_limit_is_the_median_of_those_that_came_so_far():
    assert limits(CURVES, 4) == (None, 3.0, 3.0)
    assert limits([*CURVES[:3], CURVES[3][:2]], 4) == (None, 3.0, None)
    assert limits(CURVES, 7) == (None, None, 3.0, 3.0, None, None)
    assert limits(CURVES, 2) == ()
    assert limits(CURVES[:3], 4) == ()


def test_what_counts_is_the_best_so_far():
    def ends(*curve):
        pruner = Pruner((None, 3.0, 3.0))
        return [pruner.end_epoch(epoch=n, train_loss=0.0, val_mae=mae, seconds=0.0) for n, mae in enumerate(curve, 1)]

    assert ends(2.0, 5.0, 5.0, 5.0) == [False] * 4
    assert ends(9.0, 3.0, 2.9, 9.0) == [False] * 4
    assert ends(9.0, 3.1)[-1] is True


def test_optunas_own_rule_says_the_same():
    optuna = pytest.importorskip("optuna", reason="Optuna is not installed: pip install optuna")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=2, n_min_trials=4)
    study = optuna.create_study(pruner=pruner)
    for curve in CURVES:
        values = dict(enumerate(curve, start=1))
        study.add_trial(optuna.trial.create_trial(value=min(curve), intermediate_values=values))
    for mine in ([9.0, 3.5, 3.2, 3.1], [2.0, 9.0, 9.0, 9.0], [9.0, 2.9, 5.0, 5.0]):
        trial, ours = study.ask(), Pruner(limits(CURVES, 4))
        for epoch, mae in enumerate(mine[:3], start=1):
            trial.report(mae, epoch)
            assert bool(trial.should_prune()) is ours.end_epoch(epoch=epoch, train_loss=0.0, val_mae=mae, seconds=0.0)
