"""`gnnkit serve`: a real server on the loopback interface, and what it refuses before it starts."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest

from gnnkit import _optional
from gnnkit.cli import main
from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, save_fitted, train_forecaster

pytest.importorskip("uvicorn")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    series = simulate_traffic(num_nodes=3, days=2)
    settings = FitSettings(epochs=1, horizons=[2], history=4, device="cpu")
    return save_fitted(train_forecaster("dlinear", settings, series=series), tmp_path_factory.mktemp("fit") / "model")


def run(capsys, *words):
    with pytest.raises(SystemExit) as stop:
        main(["serve", *map(str, words)])
    said = capsys.readouterr().err
    assert said.count("\n") == 1
    return stop.value.code, said.strip()


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_stopped(folder, how):
    command = [sys.executable, "-m", "gnnkit", "serve", str(folder), "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as server:
        try:
            assert server.stdout is not None
            assert "dlinear" in server.stdout.readline()
            words = server.stdout.readline().split()
            assert words[:2] == ["Serving", "at"]
            url = words[2]
            assert url.startswith("http://127.0.0.1:")
            card = json.load(urllib.request.urlopen(f"{url}model"))
            body = {"series": {"columns": card["nodes"], "rows": [[60.0, 61.0, 62.0]] * 4}}
            request = urllib.request.Request(
                f"{url}forecast", json.dumps(body).encode(), {"content-type": "application/json"}
            )
            assert len(json.load(urllib.request.urlopen(request))["forecast"]) == 2
            server.send_signal(how)
            _, said = server.communicate()
        finally:
            server.kill()
    assert "Traceback" not in said
    assert server.returncode in (0, -how)


def test_what_it_refuses(capsys, folder, tmp_path):
    assert run(capsys, tmp_path / "none") == (2, f"gnnkit: {tmp_path / 'none'}: there is no such folder")
    assert run(capsys, folder, "--port", "70000") == (2, "gnnkit: port must be from 0 to 65535, got 70000")
    assert run(capsys, folder, "--timeout", "0") == (2, "gnnkit: timeout must be above 0, got 0")
    assert run(capsys, folder, "--threads", "0") == (2, "gnnkit: threads must be 1 or more, got 0")
    code, said = run(capsys, folder, "--host", "no.such.host.invalid")
    assert (code, said.partition(" (")[0]) == (2, "gnnkit: host: 'no.such.host.invalid' is no address of this machine")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        code, said = run(capsys, folder, "--port", port)
    assert code == 2
    assert said.startswith(f"gnnkit: port: nobody can listen at 127.0.0.1 port {port} (")
    assert said.endswith("give another --port, 0 for a free one")


def test_a_missing_extra_is_a_line(capsys, folder, monkeypatch):
    real = _optional.importlib.import_module

    def missing(name, *rest):
        if name == "fastapi":
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(_optional.importlib, "import_module", missing)
    assert run(capsys, folder) == (
        2,
        'gnnkit: gnnkit serve needs fastapi, which cannot be imported here: pip install "gnnkit[serve]"',
    )
