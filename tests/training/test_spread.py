"""One fit on two processes: the batches, losses and snapshots of one."""

import math
import multiprocessing
import socket

import pytest
import torch

from gnnkit.compare import make_spec, run
from gnnkit.loader import NeighborLoader
from gnnkit.training.node_batches import _shares
from gnnkit.training.spread import Spread
from tests.training.spread_fits import FITS, SPEC, community, cut_off, exploding, go_on, linear, live, train

LIMIT = 240


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What two processes found, and what one that was cut off left for them and they for it."""
    if "forkserver" not in multiprocessing.get_all_start_methods():
        pytest.skip("the server of forks is not on this system")
    folder = tmp_path_factory.mktemp("spread")
    cut_off(folder / "of one")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["gnnkit.compare.pool", "lightning.fabric"])
    processes = [context.Process(target=live, args=(rank, port, folder)) for rank in (0, 1)]
    for process in processes:
        process.start()
    try:
        for process in processes:
            process.join(LIMIT)
            assert process.exitcode == 0
    finally:
        for process in processes:
            process.kill()
    return folder


@pytest.fixture(scope="module")
def found(folder):
    return torch.load(folder / "found", weights_only=False)


def assert_alike(one, other, bound=1e-6):
    assert one["stopped"] == other["stopped"]
    assert one["best"] == other["best"]
    torch.testing.assert_close(torch.tensor(one["curve"]), torch.tensor(other["curve"]), rtol=bound, atol=0)
    for name, tensor in one["weights"].items():
        torch.testing.assert_close(tensor, other["weights"][name], rtol=bound, atol=bound)


@pytest.mark.parametrize("name", FITS)
def test_two_processes_give_the_curve_of_one(found, name):
    assert_alike(found[name], FITS[name]())


def test_what_one_process_began_two_end(found):
    whole = train(linear(), batch_size=20)
    assert_alike(found["from one"], whole)
    assert found["from one"]["curve"][0] == whole["curve"][0]  # the epoch before the cut is that of one process


def test_what_two_processes_began_one_ends(folder):
    whole, gone_on = train(linear(), batch_size=20), go_on(folder / "of two")
    assert_alike(gone_on, whole)


def test_as_many_processes_go_on_bit_for_bit_with_dropout_too(found):
    gone_on, whole = found["dropout, cut off"], found["dropout"]
    assert gone_on["curve"] == whole["curve"]
    assert all(torch.equal(tensor, whole["weights"][name]) for name, tensor in gone_on["weights"].items())
    alone = train(linear(dropout=0.5), batch_size=20)["curve"]
    assert alone != whole["curve"]  # each process draws its own
    assert alone[-1][1] == pytest.approx(whole["curve"][-1][1], rel=0.1)


def test_an_explosion_is_told_as_one_process_tells_it_and_the_next_fit_goes_on(found):
    assert found["explodes"] == exploding()
    assert found["explodes"] is not None
    assert found["after it"]["curve"] == found["mae"]["curve"]


def test_batches_that_cannot_be_spread_are_refused(found):
    assert found["refused"] == (
        "batches of a PartitionLoader are not spread over 2 processes: give a NeighborLoader (--batches neighbour), or "
        "run without torchrun"
    )


def test_a_comparison_on_two_processes_has_the_rows_of_one(found):
    rows, alone = found["rows"], run(make_spec(**SPEC)).rows
    same = ["model", "seed", "horizon", "score", "metric", "windows"]
    assert rows[same].equals(alone[same])
    assert rows["value"].to_numpy() == pytest.approx(alone["value"].to_numpy(), rel=1e-4)  # float32
    assert set(rows["model"]) >= {"gru", "ridge", "last-value"}


class Two:
    """Of two ranks, what needs no process."""

    def __init__(self, rank):
        self.rank, self.count = rank, 2


@pytest.mark.parametrize("size", range(6))
def test_shares_hold_each_window_once(size):
    index = torch.arange(10, 10 + size)
    shares = [Spread(Two(rank)).share(index) for rank in (0, 1)]
    assert torch.cat([share for share, counts in shares if counts] or [index]).tolist() == index.tolist()
    assert all(len(share) == min(size, 1) for share, counts in shares if not counts)
    sizes = [len(share) if counts else 0 for share, counts in shares]
    assert sizes == [math.ceil(size / 2), size // 2]


def test_seeds_of_sampled_neighbours_are_those_of_one_process_each_once():
    data, seeds = community(), []
    for rank in (0, 1):
        torch.manual_seed(3)
        loader = NeighborLoader(data, [2, 2], input_nodes=data.train_mask, batch_size=7, shuffle=True)
        batches = [batch for batch, counts in _shares(loader, Spread(Two(rank))) if counts]
        seeds.append([batch.n_id[: batch.batch_size].tolist() for batch in batches])
    torch.manual_seed(3)
    whole = [batch.n_id[: batch.batch_size].tolist() for batch in loader]
    assert [one + other for one, other in zip(*seeds, strict=True)] == whole
    assert sorted(seed for batch in whole for seed in batch) == data.train_mask.nonzero().view(-1).tolist()


@pytest.mark.parametrize(("device", "words"), [("cuda:1", "each of 2 processes"), ("mps", "give cpu or cuda")])
def test_a_device_that_cannot_be_shared_is_refused(device, words):
    with pytest.raises(ValueError, match=words):
        Spread(Two(0)).fabric(torch.device(device), "32-true")


def test_more_processes_than_cuda_devices_are_refused(monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ValueError, match=r"2 processes on this machine, which has 1 CUDA devices"):
        Spread(Two(0)).fabric(torch.device("cuda"), "32-true")
