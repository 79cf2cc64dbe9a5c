import dataclasses

import pytest
import torch

from gnnkit.compare import make_spec
from gnnkit.compare.conditions import BASE
from gnnkit.compare.folds import settle_folds
from gnnkit.compare.jobs import Job
from gnnkit.compare.neighbours import fits
from gnnkit.compare.neighbours.fits import SHUFFLED, WITH, WITHOUT, fit_ridges, shuffle_seeds
from gnnkit.compare.store import StoredJob
from gnnkit.data import simulate_traffic


@pytest.fixture(scope="module")
def settled():
    series = simulate_traffic(num_nodes=6, days=2)
    final, series, _ = settle_folds(make_spec(models=[WITHOUT, WITH], horizons=[3], history=6, folds=2), series)
    return final, series


@pytest.fixture(scope="module")
def fitted(settled):
    return fit_ridges(*settled, shuffles=2)


def test_without_an_edge_the_two_models_are_one(settled, fitted):
    final, series = settled
    none = {"edge_index": series.edge_index[:, :0], "edge_weight": series.edge_weight[:0]}
    bare = fit_ridges(final, dataclasses.replace(series, **none), shuffles=2)
    one, other = (bare.table.fits[model, BASE][0].predicted for model in (WITHOUT, WITH))
    assert torch.equal(one, fitted.table.fits[WITHOUT, BASE][0].predicted)
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-4)


def test_it_fits_each_graph_in_each_fold(fitted):
    assert [(job.model, job.seed, job.condition, job.fold) for job in fitted.jobs] == [
        *((WITHOUT, 0, BASE, fold) for fold in (0, 1)),
        *((WITH, 0, BASE, fold) for fold in (0, 1)),
        *((WITH, seed, SHUFFLED, fold) for seed in shuffle_seeds(fitted.series, 2) for fold in (0, 1)),
    ]


def test_finished_fits_are_not_made_again(settled, fitted, monkeypatch):
    ran = []
    made = fits.run_job
    monkeypatch.setattr(fits, "run_job", lambda *given: ran.append(given[2]) or made(*given))
    known = dict(fitted.stored)
    assert fit_ridges(*settled, shuffles=2, known=known).stored == known
    assert ran == []
    # One with settings of its own, one that failed, and a trial are others.
    tuned, failed, trial = (job for job in list(known)[:3])
    known[dataclasses.replace(tuned, settings={"hops": 2})] = known.pop(tuned)
    known[failed] = StoredJob(None, "it broke", 0.0, {})
    known[dataclasses.replace(trial, trial=1)] = known.pop(trial)
    fit_ridges(*settled, shuffles=2, known=known)
    assert ran == [tuned, failed, trial]


def test_a_seed_of_a_comparison_is_taken_for_what_draws_nothing(settled, fitted):
    known = {
        dataclasses.replace(job, seed=7) if job.condition == BASE else job: found
        for job, found in fitted.stored.items()
    }
    again = fit_ridges(*settled, shuffles=2, known=known)
    assert again.stored[Job(WITHOUT, 0, hidden_channels=0)] is fitted.stored[Job(WITHOUT, 0, hidden_channels=0)]


def test_what_does_not_fit_into_memory_is_refused(settled, monkeypatch):
    monkeypatch.setattr(fits, "MOST_BYTES", 1000)
    with pytest.raises(
        ValueError, match=r"simulated: ridge regression on 576 rows of 6 nodes needs about 0 GB of memory"
    ):
        fit_ridges(*settled)
