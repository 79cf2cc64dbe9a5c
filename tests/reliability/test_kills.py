"""Every training verb, killed by SIGKILL at a random moment: the same command then ends as one that was not killed."""

import random
import shutil
import signal
import time

import pytest

from tests.cli.test_cut_off import VERBS, content, pytestmark
from tests.cli.test_cut_off import files as _files
from tests.cli.test_cut_off import run as _run
from tests.reliability.recorded import asked, record

files, run = _files, _run
__all__ = ["pytestmark"]

KILLS = asked("kills", len(VERBS))


@pytest.fixture(scope="module")
def wholes(files, run, tmp_path_factory):
    """Of each verb its words, what an uninterrupted run keeps, and its seconds."""
    found = {}

    def whole(verb):
        if verb not in found:
            words = [word.replace("FILES", str(files)) for word in VERBS[verb].split()]
            out = tmp_path_factory.mktemp("whole") / "out"
            start = time.monotonic()
            assert run(words, out)[0] == 0, (out.parent / "out.log").read_text()
            found[verb] = words, content(out), time.monotonic() - start
        return found[verb]

    return whole


@pytest.mark.slow
@pytest.mark.parametrize("number", range(KILLS))
def test_a_run_that_was_killed_at_a_random_moment_ends_as_one_that_was_not(run, wholes, tmp_path, number):
    verb = list(VERBS)[number % len(VERBS)]
    words, whole, seconds = wholes(verb)
    draw, out = random.Random(number), tmp_path / "out"
    share = draw.random()
    for _ in range(20):  # a busy machine is as fast as it likes: a run that ended before it was killed is no kill
        code, _ = run(words, out, kill_after=share * seconds)
        if code == -signal.SIGKILL:
            break
        assert code == 0, (tmp_path / "out.log").read_text()
        shutil.rmtree(out)
        share *= 0.8
    else:
        pytest.fail(f"{verb} was never met by the kill")
    kept = sorted(path.name for path in out.rglob("*")) if out.exists() else []
    again, _ = run(words, out)
    found = content(out) if again == 0 else {}
    names = sorted({*found, *whole})
    different = [name for name in names if name not in found or name not in whole or found[name] != whole[name]]
    left = sorted(path.name for path in tmp_path.iterdir() if path.name not in ("out", "out.log"))
    exact = again == 0 and not different and not left
    record("kill", verb=verb, share=round(share, 3), files=len(kept), exact=exact, different=different[:5])
    assert exact, (verb, share, again, different, left, (tmp_path / "out.log").read_text()[-2000:])
