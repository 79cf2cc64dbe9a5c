"""Series on a file: the same windows, scalers and digests as those in memory, and few of its pages held."""

import os
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
import torch

from gnnkit.data import MaxScaler, StandardScaler, make_windows, read_own
from gnnkit.data.mapped import in_memory, mapped_file, node_sums
from gnnkit.data.store import MappedStore
from gnnkit.forecasting.baselines import last_value
from gnnkit.forecasting.forms import choose_form

ROWS, NODES, FEATURES = 700, 3, 2


def made(*, gaps):
    values = np.random.default_rng(7).normal(50, 9, size=(ROWS, NODES, FEATURES)).astype(np.float32)
    if gaps:
        values[np.random.default_rng(8).random(values.shape) < 0.2] = np.nan
        values[:20, 1] = np.nan  # no past
        values[100:400, 0, 0] = np.nan  # longer than what is held of it at once
        values[:, 2, 1] = np.where(np.arange(ROWS) < 490, np.nan, values[:, 2, 1])  # unseen in training
    return values


@pytest.fixture(params=[False, True], ids=["whole", "gaps"])
def pair(tmp_path, request):
    """The same series on a file and in memory."""
    np.save(tmp_path / "big.npy", made(gaps=request.param))
    mapped = read_own(tmp_path / "big.npy", season=24)
    return mapped, replace(mapped, values=in_memory(mapped.values))


def test_it_is_known_which_is_on_the_file(pair):
    mapped, held = pair
    assert mapped_file(mapped.values) is mapped_file(mapped.values[5:, :, 0]) is not None
    assert mapped_file(held.values) is None
    assert torch.equal(mapped.values.isnan(), held.values.isnan())
    assert mapped.digest() == held.digest() == mapped.digest()
    assert repr(mapped) == repr(held)


def test_windows_are_the_same(pair):
    mapped, held = (make_windows(series, history=30, horizon=4, min_horizon=2) for series in pair)
    assert isinstance(mapped.train.store, MappedStore)
    for part in ("train", "val", "test"):
        ours, theirs = getattr(mapped, part), getattr(held, part)
        index = torch.randperm(len(theirs), generator=torch.Generator().manual_seed(0))[:60]
        theirs.scaler.center.copy_(ours.scaler.center)  # what is compared here are values
        theirs.scaler.scale.copy_(ours.scaler.scale)
        one, other = ours.batch(index), theirs.batch(index)
        assert torch.equal(one.x, other.x)
        assert torch.equal(one.y_mask, other.y_mask)
        assert torch.equal(one.y[one.y_mask], other.y[one.y_mask])  # where nothing was observed it means nothing
        assert (one.mask is None) == (other.mask is None)
        assert one.mask is None or torch.equal(one.mask, other.mask)
        origins = torch.arange(0, len(theirs), 7)
        assert torch.equal(ours.store.history(origins)[0], theirs.store.history(origins)[0])
    assert torch.equal(last_value(pair[0], mapped.test), last_value(pair[1], held.test))


@pytest.mark.parametrize("per_node", [True, False])
@pytest.mark.parametrize("scaler", [StandardScaler, MaxScaler])
def test_scalers_are_the_same(pair, scaler, per_node):
    rows = range(10, 490)
    ours, theirs = (scaler.fit(series.values, rows, per_node=per_node) for series in pair)
    torch.testing.assert_close(ours.center, theirs.center, rtol=1e-6, atol=0)
    torch.testing.assert_close(ours.scale, theirs.scale, rtol=1e-6, atol=0)
    assert ours.target_deviation == pytest.approx(theirs.target_deviation, rel=1e-9)


def test_sums_by_hand(tmp_path):
    values = np.array([[[1.0], [7.0]], [[np.nan], [7.0]], [[4.0], [7.0]], [[99.0], [99.0]]], dtype=np.float32)
    np.save(tmp_path / "few.npy", values)
    sums = node_sums(read_own(tmp_path / "few.npy").values, range(3))
    assert sums.mean.flatten().tolist() == [2.5, 7.0]
    assert sums.deviation.flatten().tolist() == [1.5, 0.0]
    assert sums.count.flatten().tolist() == [2, 3]
    together = sums.together()
    assert (together.mean.item(), together.low.item(), together.high.item()) == pytest.approx((5.2, 1.0, 7.0))
    assert together.deviation.item() == pytest.approx(np.std([1, 4, 7, 7, 7]))


def test_the_form_is_chosen_alike(pair):
    mapped, held = (choose_form(series, 4) for series in pair)
    assert (mapped.residual, mapped.sentence) == (held.residual, held.sentence)


def test_a_write_does_not_reach_the_file(tmp_path):
    np.save(tmp_path / "big.npy", made(gaps=False))
    read_own(tmp_path / "big.npy").values[0] = 0.0
    assert np.load(tmp_path / "big.npy")[0, 0, 0] != 0


@pytest.mark.parametrize(
    ("values", "options", "text"),
    [
        (np.zeros((9, 2)), {}, r"^big.npy: float64 cannot be mapped; numpy.save writes one of array.astype"),
        (np.zeros(9, np.float32), {}, r"^big.npy: expected an array \[rows, nodes\] or .*, got \[9\]$"),
        (np.array([{}]), {}, r"^big.npy: no array that can be mapped \(.*\); numpy.save writes"),
        (np.full((9, 2), np.inf, np.float32), {}, r"^big.npy: infinite at row 0, node 0 \(counted from 0\)"),
        (np.full((9, 2), np.nan, np.float32), {}, r"^big.npy: every value is NaN"),
        (np.zeros((2, 2), np.float32), {}, r"^big.npy: 2 rows are too few"),
        (np.zeros((9, 2), np.float32), {"decimal": ","}, r"^decimal: not for 'big.npy', which is mapped"),
        (np.zeros((9, 2, 2), np.float32), {"target": 1}, r"^target=1: big.npy is mapped as it is"),
    ],
)
def test_what_cannot_be_mapped_is_refused(tmp_path, values, options, text):
    np.save(tmp_path / "big.npy", values, allow_pickle=True)
    with pytest.raises(ValueError, match=text):
        read_own(tmp_path / "big.npy", **options)


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    np.save(tmp_path / "big.npy", np.zeros((99, 9), np.float32))
    os.truncate(tmp_path / "big.npy", 1000)
    with pytest.raises(ValueError, match=r"^big.npy: no array that can be mapped"):
        read_own(tmp_path / "big.npy")


def test_it_is_trained_on_the_processor(pair):
    store = make_windows(pair[0], history=3, horizon=1).train.store
    assert store.to("cpu") is store
    with pytest.raises(ValueError, match="trained on the processor; give --device cpu"):
        store.to("cuda")


TRAIN = """
import resource, sys
from dataclasses import replace
from gnnkit.data import chronological_split
from gnnkit.forecasting import FitSettings, evaluate_forecaster, load_series, train_forecaster

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024

settings = FitSettings(
    series=sys.argv[1], split=[.996, .002, .002], history=4, horizons=[1], epochs=1, max_seconds=1, device="cpu"
)
series = load_series(settings)
# What any training takes, of however few rows, is not asked here.
few = replace(series, values=series.values[:30_000].clone(), split=chronological_split(30_000))
plain = FitSettings(**dict(settings) | {"series": None, "split": None})
evaluate_forecaster(train_forecaster("dlinear", plain, series=few), few)
before = peak()
fitted = train_forecaster("dlinear", settings, series=series)
rows = evaluate_forecaster(fitted)
print(peak() - before, len(rows), fitted.config["fit"]["data_hash"])
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="resident memory is measured as Linux does")
def test_a_large_file_is_trained_on_in_little_memory(tmp_path):
    rows, nodes = 400_000, 256
    file = np.lib.format.open_memmap(tmp_path / "big.npy", "w+", np.float32, (rows, nodes))
    file[::5000] = 1.0  # the rest is a hole
    file.flush()
    del file
    run = [sys.executable, "-c", TRAIN, str(tmp_path / "big.npy")]
    told = subprocess.run(run, check=True, capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"})
    grown, scores, digest = told.stdout.split()
    assert int(grown) < 200, f"{grown} MiB more were resident, with a file of {rows * nodes * 4 // 2**20} MiB"
    assert (int(scores) > 0, len(digest)) == (True, 64)
