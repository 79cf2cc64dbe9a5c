"""Outputs that are closed early or lack a character, and SIGTERM."""

import io
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import gnnkit
from gnnkit.cli.streams import Terminated, steady_streams, stopped_by_signals

ROOT = Path(gnnkit.__file__).parents[1]


def test_a_pipe_that_is_closed_takes_the_rest_without_a_word():
    code = (
        "import sys\nfrom gnnkit.cli import main\nfrom gnnkit.cli import list as names\n"
        "sys.stdin.read()\ntry:\n    main(['list'])\nexcept SystemExit as left:\n    sys.stderr.write(repr(left.code))"
    )
    words = [sys.executable, "-c", code]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    process = subprocess.Popen(words, text=True, cwd=ROOT, **pipes)
    assert process.stdout is not None
    process.stdout.close()  # before it writes
    process.stdout = None
    _, said = process.communicate("")
    assert said == "0"


def test_a_terminal_that_lacks_a_character_gets_a_question_mark(monkeypatch):
    held = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(held, encoding="ascii", errors="strict"))
    with steady_streams():
        print("81.5 ± 0.3 → out")
    assert held.getvalue() == b"81.5 ? 0.3 ? out\n"


def test_sigterm_ends_a_block_as_control_c_does():
    before = signal.getsignal(signal.SIGTERM)

    def asked():
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(5)

    with pytest.raises(Terminated), stopped_by_signals():
        asked()
    assert signal.getsignal(signal.SIGTERM) == before


def test_another_handler_stays():
    def handler(number, frame): ...

    before = signal.signal(signal.SIGTERM, handler)
    try:
        with stopped_by_signals():
            assert signal.getsignal(signal.SIGTERM) is handler
    finally:
        signal.signal(signal.SIGTERM, before)
