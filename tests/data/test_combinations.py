from itertools import permutations

import numpy as np
import pytest
import torch
from scipy import stats
from torch.utils.data import DataLoader

from gnnkit.data import EndlessCombinations, RandomCombinations, random_combinations
from gnnkit.data import combinations as module


def whole(batch):
    return torch.cat([batch.tokens, batch.target[:, None]], dim=1)


def splitmix(seed, counter):
    """SplitMix64 with Python's whole numbers: entry `counter` of the stream of `seed`."""

    def mix(z):
        z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9 % 2**64
        z = (z ^ (z >> 27)) * 0x94D049BB133111EB % 2**64
        return z ^ (z >> 31)

    golden = 0x9E3779B97F4A7C15
    return mix((mix((seed + 1) * golden % 2**64) + (counter + 1) * golden) % 2**64)


@pytest.mark.parametrize(("length", "bits"), [(2, 1), (5, 3), (10, 4), (16, 4), (50, 6)])
@pytest.mark.parametrize("seed", [0, 42])
def test_the_order_of_splitmix_numbers(length, bits, seed):
    index = [0, 1, 7, 2**40]
    found = random_combinations(torch.tensor(index), length, seed)
    for place, row in zip(index, found.tolist(), strict=True):
        # Keys are compared as signed numbers, without their lowest bits.
        keys = [splitmix(seed, place * length + j) for j in range(length)]
        signed = [k - 2**64 if k >= 2**63 else k for k in keys]
        assert row == sorted(range(length), key=lambda j: (signed[j] >> bits, j))


@pytest.mark.parametrize("length", [2, 5, 15, 128])
def test_every_row_is_a_permutation(length):
    rows = random_combinations(torch.arange(1000), length, seed=3)
    assert rows.dtype == torch.int64
    assert torch.equal(rows.sort(dim=1).values, torch.arange(length).expand(1000, -1))


def test_all_permutations_are_equally_likely():
    rows = random_combinations(torch.arange(120_000), 5, seed=0).numpy()
    number = {p: i for i, p in enumerate(permutations(range(5)))}
    counts = np.bincount([number[tuple(row)] for row in rows.tolist()], minlength=120)
    assert stats.chisquare(counts).pvalue > 1e-3
    # Neighbours in the stream are independent: the target says nothing about the next one.
    pairs = np.bincount(rows[:-1, -1] * 5 + rows[1:, -1], minlength=25)
    assert stats.chisquare(pairs).pvalue > 1e-3


def test_seeds_are_different_streams():
    index = torch.arange(200)
    a, b = random_combinations(index, 15, 0), random_combinations(index, 15, 1)
    assert (a == b).float().mean() < 0.1
    # ... and not the same stream, shifted.
    assert not (a[:, None] == b[None]).all(dim=2).any()


def test_the_device_path_gives_the_same_numbers(monkeypatch):
    """What a GPU computes, computed with torch on the CPU: NumPy is left out."""
    index = torch.arange(64)
    expected = random_combinations(index, 15, 5)

    class Elsewhere(torch.Tensor):
        @property
        def device(self):  # pyright: ignore[reportIncompatibleVariableOverride]
            return torch.device("meta")

    monkeypatch.setattr(
        module,
        "_columns",
        lambda length, seed, device, f=module._columns: [torch.from_numpy(a) for a in f(length, seed, None)],
    )
    found = random_combinations(index.as_subclass(Elsewhere), 15, 5)
    assert torch.equal(found.as_subclass(torch.Tensor), expected)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_gives_the_same_numbers():
    index = torch.arange(1000)
    assert torch.equal(random_combinations(index.cuda(), 15, 5).cpu(), random_combinations(index, 15, 5))


def test_map_style_items():
    data = RandomCombinations(6, seed=2, size=50, start=1000)
    assert len(data) == 50
    rows = random_combinations(torch.arange(1000, 1050), 6, 2)
    tokens, target = data[3]
    assert torch.equal(tokens, rows[3, :-1])
    assert torch.equal(target, rows[3, -1])
    assert torch.equal(data[-1].tokens, rows[49, :-1])
    assert torch.equal(whole(data.__getitems__([4, 0, 4])), rows[[4, 0, 4]])
    assert torch.equal(torch.cat([whole(b) for b in data.batches(16)]), rows)
    assert [len(b.target) for b in data.batches(16)] == [16, 16, 16, 2]


def test_a_loader_reads_whole_batches():
    data = RandomCombinations(6, size=20)
    loader = DataLoader(data, batch_size=8, collate_fn=lambda batch: batch)
    assert torch.equal(torch.cat([whole(batch) for batch in loader]), random_combinations(torch.arange(20), 6, 0))


@pytest.mark.parametrize("batch_size", [3, 128, 5000])
def test_endless_batches_follow_the_stream(batch_size):
    data = EndlessCombinations(7, seed=1, batch_size=batch_size, start=10)
    count = 4 + 4096 // batch_size  # further than one draw ahead
    batches = [whole(batch) for _, batch in zip(range(count), data, strict=False)]
    expected = random_combinations(torch.arange(10, 10 + count * batch_size), 7, 1)
    assert torch.equal(torch.cat(batches), expected)
    assert all(len(batch) == batch_size for batch in batches)


def test_workers_share_the_stream(monkeypatch):
    batches = {}
    for number in range(3):
        worker = type("Worker", (), {"id": number, "num_workers": 3})
        monkeypatch.setattr(module, "get_worker_info", lambda worker=worker: worker)
        data = EndlessCombinations(5, batch_size=1000)
        for k, (_, batch) in enumerate(zip(range(6), data, strict=False)):
            batches[number + 3 * k] = whole(batch)
    together = torch.cat([batches[k] for k in range(18)])
    assert torch.equal(together, random_combinations(torch.arange(18_000), 5, 0))


def test_bad_input():
    for build in (RandomCombinations, EndlessCombinations):
        for length in (1, 0, -3, 2.5, True):
            with pytest.raises(ValueError, match="length must be a whole number of at least 2"):
                build(length)
        with pytest.raises(ValueError, match="start is -1; the stream begins at 0"):
            build(5, start=-1)
    with pytest.raises(ValueError, match="batch_size must be a whole number of at least 1, got 0: an empty batch"):
        EndlessCombinations(5, batch_size=0)
    with pytest.raises(ValueError, match="size must be a whole number of at least 1, got 0"):
        RandomCombinations(5, size=0)
    with pytest.raises(ValueError, match="an empty batch was asked for"):
        RandomCombinations(5).__getitems__([])
    with pytest.raises(ValueError, match="batch_size must be"):
        next(RandomCombinations(5).batches(0))
    with pytest.raises(IndexError, match="there are 10 combinations"):
        RandomCombinations(5, size=10)[10]
    with pytest.raises(ValueError, match="at least one place"):
        random_combinations(torch.arange(0), 5, 0)
    with pytest.raises(ValueError, match=r"seed must be a whole number, got 1\.5"):
        random_combinations(torch.arange(2), 5, 1.5)
