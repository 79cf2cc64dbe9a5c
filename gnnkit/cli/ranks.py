"""The command under torchrun: one process runs it, and the others train with it."""

from __future__ import annotations

import os
import signal
import sys
import warnings
from collections.abc import Callable, Sequence
from typing import Any

from gnnkit.cli.streams import Terminated

__all__ = ["run_on_ranks", "started_by_torchrun"]

_VERBS = ("train", "compare", "nodes train")


def started_by_torchrun() -> bool:
    """Whether this is one of several processes that torchrun started."""
    return "TORCHELASTIC_RUN_ID" in os.environ and int(os.environ.get("WORLD_SIZE", "1")) > 1


def run_on_ranks(words: Sequence[str], run: Callable[[], int]) -> int:
    """Run a command on the first rank, and let the others follow it.

    Args:
        words: Of the command.
        run: Runs it, and gives its exit code.

    Returns:
        The exit code: 1 where a rank was lost, or its work failed there alone.
    """
    first = os.environ["RANK"] == "0"
    if not any(list(words[: len(verb.split())]) == verb.split() for verb in _VERBS):
        if first:
            print(f"gnnkit: {words[0]} runs in one process; run it without torchrun", file=sys.stderr)
        return 2
    # Before torch is loaded: see `gnnkit.cli.compare`, and a remark of DDP's on weights that a step may leave out.
    os.environ |= {"OMP_WAIT_POLICY": "PASSIVE", "TORCH_CPP_LOG_LEVEL": "ERROR"} | os.environ
    from gnnkit.training.ranks import LostRank, joined_ranks

    if not first:
        sys.stdout = open(os.devnull, "w")  # noqa: SIM115 - as long as the process
        warnings.simplefilter("ignore")
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the first, which then lets the others go
    code, ranks = 0, None
    try:
        with joined_ranks() as ranks:

            def stop(number: int, frame: Any) -> None:
                # torchrun ends the other ranks when it notices before them that one is lost.
                if reason := ranks.watch.who_is_lost():
                    ranks.watch.tell(reason)
                    raise LostRank
                raise Terminated

            signal.signal(signal.SIGTERM, stop)
            if first:
                code = run()
            else:
                ranks.follow()
            signal.signal(signal.SIGTERM, signal.SIG_DFL)
    except LostRank:
        code = 1
    except Terminated:
        code = 143
    if ranks is not None and ranks.watch.told:
        code = 1
    if ranks is not None and ranks.broken:  # its connections would be waited for
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code
