"""The processes that torchrun started: the first one leads, the others do with it what it asks for.

A rank that is lost (killed, stuck, or its machine gone) is noticed by its silence, and named.
"""

from __future__ import annotations

import os
import pickle
import platform
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import partial
from typing import Any, NoReturn

import torch
import torch.distributed as dist

from gnnkit._registry import modules_of_files

__all__ = ["Led", "LostRank", "Ranks", "current_ranks", "joined_ranks"]

_BEAT = 0.5
"""Seconds from one sign of life of a rank to the next."""
_SUSPICIOUS = 4.0
"""Seconds of silence after which a rank is lost where the work with it has failed."""
_SILENT = 20.0
"""Seconds of silence after which a rank is lost in any case."""
_WAITING = timedelta(days=7)
"""The leader reads, judges and draws while the others wait; who is lost is noticed by `_Watch`."""
_KEY = "gnnkit"


class LostRank(KeyboardInterrupt):
    """A rank is lost, which has been told; as after Ctrl-C, files are left whole and the process ends."""


class Led:
    """A value that is the leader's alone: on the other ranks it is None."""

    def __init__(self, value: Any = None) -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return Led, ()


class Ranks:
    """All processes of one run. `joined_ranks` makes it.

    Attributes:
        rank: The number of this process, from 0; that one leads.
        count: How many there are.
    """

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count
        self.watch = _Watch(rank, count)
        self._calls, self._broken = 0, False

    @property
    def leads(self) -> bool:
        """Whether this is the process that reads, writes and asks the others."""
        return self.rank == 0

    @property
    def broken(self) -> bool:
        """Whether a call ended on this rank and perhaps not on another: nothing more can be done together."""
        return self._broken

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        """Run a function with the same arguments on all ranks; only the leader calls.

        Args:
            function: It and its arguments are pickled; classes of a file that was named by its path go along.
            arguments: Its own.

        Returns:
            What it returns here.

        Raises:
            LostRank: A rank is lost, or failed alone.
            ValueError: An argument cannot be pickled.
        """
        if self._broken:
            self._leave("the processes are out of step after the error before; the same command goes on from there")
        cargo = _packed((function, arguments, torch.get_num_threads()))
        self._calls += 1
        self._together(lambda: self.broadcast(cargo))
        return self._together(lambda: function(*arguments))

    def follow(self) -> None:
        """Do what the leader asks for, until it says that all is done."""
        with torch.random.fork_rng():
            while True:
                self._calls += 1
                cargo = self._together(lambda: self.broadcast(None))
                if cargo is None:
                    return
                function, arguments, threads = pickle.loads(cargo)  # from the leader of this very run
                torch.set_num_threads(threads)
                with suppress(Exception):  # all ranks came to it, and the leader tells it
                    self._together(partial(function, *arguments))

    def broadcast(self, value: Any) -> Any:
        """What the leader has, on every rank."""
        held = [value]
        dist.broadcast_object_list(held, src=0)
        return held[0]

    def sum(self, *numbers: float) -> list[float]:
        """Sums over all ranks, in float64."""
        total = torch.tensor(numbers, dtype=torch.float64)
        dist.all_reduce(total)
        return total.tolist()

    def close(self) -> None:
        """Leave the others: the leader lets them go, if they can hear it."""
        if self.leads and not self._broken:
            self.broadcast(None)
        self.watch.stop("left")

    def _together(self, step: Callable[[], Any]) -> Any:
        """Take a step that all ranks take."""
        try:
            return step()
        except Exception as error:
            self._broken = True
            if self.watch.all_raised(self._calls):
                self._broken = False
            elif reason := self.watch.who_is_lost():
                self._leave(reason)
            elif not self.leads:
                self.watch.stop(f"failed: {type(error).__name__}: {error}")
                raise LostRank from error
            raise
        except BaseException:  # stopped: the others are amid the step
            self._broken = True
            raise

    def _leave(self, reason: str) -> NoReturn:
        self.watch.tell(reason)
        raise LostRank


class _Watch(threading.Thread):
    """Gives a sign of life to the others, and looks for theirs."""

    def __init__(self, rank: int, count: int) -> None:
        super().__init__(name="gnnkit ranks", daemon=True)
        self.rank, self.others = rank, [other for other in range(count) if other != rank]
        self.store = _store()
        self.store.set(self._key("at", rank), f"process {os.getpid()} on {platform.node()}")
        self._beat()
        dist.barrier()  # from here on, every rank has given a sign
        self.places = {other: self.store.get(self._key("at", other)).decode() for other in self.others}
        self.signs: dict[int, tuple[bytes, float]] = dict.fromkeys(self.others, (b"", time.monotonic()))
        self._over, self.told, self._lock = threading.Event(), False, threading.Lock()
        self.start()

    def run(self) -> None:
        while not self._over.wait(_BEAT):
            try:
                self._beat()
                self._look()
            except Exception as error:  # whatever the store raises
                if not self._over.is_set():
                    self._end(f"the ranks' store is gone ({' '.join(str(error).split())[:120]}): was torchrun stopped?")
                return
            # The main thread may hang in the work with it, where nothing wakes it.
            if reason := self._lost(_SILENT) or self._failed(_SUSPICIOUS):
                self._end(reason)

    def who_is_lost(self) -> str | None:
        """The rank that gives no sign for some seconds, or has failed, in words; None where all give signs."""
        until = time.monotonic() + _SUSPICIOUS + 2 * _BEAT
        while time.monotonic() < until:
            if reason := self._failed(0.0) or self._lost(_SUSPICIOUS):
                return reason
            time.sleep(_BEAT / 5)
        return None

    def all_raised(self, call: int) -> bool:
        """Say that this rank came to an error in a call, and whether all others do."""
        self.store.set(self._key(f"raised{call}", self.rank), "1")
        keys = [self._key(f"raised{call}", other) for other in self.others]
        until = time.monotonic() + _SUSPICIOUS
        while time.monotonic() < until and not self._lost(_SUSPICIOUS) and not self._failed(0.0):
            with suppress(Exception):  # the store may be gone with a rank
                if self.store.check(keys):
                    return True
            time.sleep(_BEAT / 5)
        return False

    def tell(self, reason: str) -> None:
        """Write one line, once of all ranks: the leader does, or who is there after it."""
        with self._lock:
            if self.told or (self.rank and not self._is_gone(0)):
                return
            self.told, first = True, True
            with suppress(Exception):  # the store may be gone with a rank
                first = self.store.add(f"{_KEY}/told", 1) == 1
            if first:
                print(f"gnnkit: {reason}", file=sys.stderr, flush=True)

    def stop(self, last: str) -> None:
        """Give no further sign but this one."""
        self._over.set()
        if self.is_alive() and threading.current_thread() is not self:
            self.join(timeout=2 * _BEAT)
        with suppress(Exception):  # the store may be gone
            self.store.set(self._key("alive", self.rank), last)

    def _end(self, reason: str) -> NoReturn:
        self.tell(reason)
        os._exit(1)

    def _beat(self) -> None:
        self.store.set(self._key("alive", self.rank), str(time.monotonic()))

    def _look(self) -> None:
        now = time.monotonic()
        found = self.store.multi_get([self._key("alive", other) for other in self.others])
        for other, sign in zip(self.others, map(bytes, found), strict=True):
            if sign != self.signs[other][0]:
                self.signs[other] = sign, now

    def _lost(self, silence: float) -> str | None:
        now = time.monotonic()
        for other, (sign, since) in self.signs.items():
            if now - since > silence and not sign.startswith((b"left", b"failed")):
                return f"rank {other} ({self.places[other]}) is lost: no sign of life for {now - since:.0f} s"
        return None

    def _failed(self, silence: float) -> str | None:
        now = time.monotonic()
        for other, (sign, since) in self.signs.items():
            if sign.startswith(b"failed") and now - since >= silence:
                return f"rank {other} ({self.places[other]}) {' '.join(sign.decode().split())[:300]}"
        return None

    def _is_gone(self, other: int) -> bool:
        sign, since = self.signs[other]
        return sign.startswith((b"left", b"failed")) or time.monotonic() - since > _SUSPICIOUS

    def _key(self, what: str, rank: int) -> str:
        return f"{_KEY}/{what}/{rank}"


_joined: list[Ranks] = []


def current_ranks() -> Ranks | None:
    """The ranks that this process has joined; None where it is alone."""
    return _joined[-1] if _joined else None


@contextmanager
def joined_ranks() -> Iterator[Ranks]:
    """Join the processes that torchrun started, by the variables that it sets.

    In the block the leader trains as ever (`gnnkit.training.fit` then runs on all ranks), and the others call `follow`.

    Raises:
        LostRank: A rank is lost; a line on stderr has named it.
    """
    local = int(os.environ.get("LOCAL_RANK", "0"))
    has_cuda = torch.cuda.is_available()
    if has_cuda and local < torch.cuda.device_count():
        torch.cuda.set_device(local)
    dist.init_process_group("cpu:gloo,cuda:nccl" if has_cuda else "gloo", timeout=_WAITING)
    ranks = Ranks(dist.get_rank(), dist.get_world_size())
    _joined.append(ranks)
    try:
        yield ranks
        ranks.close()
    finally:
        _joined.remove(ranks)
        ranks.watch.stop("left")


def _store() -> Any:
    """A connection of its own to the store of the ranks: who waits in one keeps nobody else waiting."""
    port = int(os.environ["MASTER_PORT"])
    of_torch: Any = dist
    return of_torch.TCPStore(
        os.environ["MASTER_ADDR"], port, is_master=False, wait_for_workers=False, timeout=timedelta(seconds=_SILENT)
    )


def _packed(value: Sequence[Any]) -> bytes:
    """Pickled, with the code of what a process that reads no file of ours could not import."""
    import cloudpickle

    modules = modules_of_files()
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        return cloudpickle.dumps(value)
    except Exception as error:  # whatever its parts raise
        reason = " ".join(str(error).split())
        raise ValueError(
            f"the model cannot be sent to the other processes ({type(error).__name__}: {reason}); put its class into a "
            "file and name it file.py:Class, or run without torchrun"
        ) from None
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)
