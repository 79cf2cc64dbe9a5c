"""A real server on the loopback interface and many clients at a time: each request is answered, and rightly."""

import json
import os
import statistics
import subprocess
import sys
import threading
import time
import urllib.request

import pytest

from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, save_fitted, train_forecaster
from tests.reliability.recorded import asked, record

pytest.importorskip("uvicorn")
CLIENTS, SECONDS = asked("clients", 8), asked("seconds", 0)
"""Each client sends requests for so many seconds; 0: ten of them."""


@pytest.fixture(scope="module")
def url(tmp_path_factory):
    series = simulate_traffic(num_nodes=3, days=2)
    settings = FitSettings(epochs=1, horizons=[2], history=4, device="cpu")
    folder = save_fitted(train_forecaster("stid", settings, series=series), tmp_path_factory.mktemp("fit") / "model")
    command = [sys.executable, "-m", "gnnkit", "serve", str(folder), "--port", "0", "--threads", "1"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout is not None
            server.stdout.readline()
            yield server.stdout.readline().split()[2]
        finally:
            server.terminate()


@pytest.mark.slow
def test_many_clients_get_what_one_gets(url):
    names = json.load(urllib.request.urlopen(f"{url}model"))["nodes"]
    bodies = [
        json.dumps({"series": {"columns": names, "rows": [[60.0 + row, 61.0, 62.0 + k] for row in range(4)]}}).encode()
        for k in range(4)
    ]

    def ask(number):
        asked = urllib.request.Request(f"{url}forecast", bodies[number % 4], {"content-type": "application/json"})
        with urllib.request.urlopen(asked, timeout=60) as answer:
            return json.load(answer)["forecast"]

    wanted = [ask(number) for number in range(4)]
    times: list[float] = []
    wrong: list[str] = []
    end = time.monotonic() + SECONDS

    def client(first):
        number = first
        while time.monotonic() < end if SECONDS else number < first + 10:
            start = time.perf_counter()
            try:
                if ask(number) != wanted[number % 4]:
                    wrong.append("another forecast")
            except Exception as error:  # whatever a client sees
                wrong.append(repr(error))
            times.append(time.perf_counter() - start)
            number += 1

    threads = [threading.Thread(target=client, args=(number,)) for number in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    ranked = statistics.quantiles(times, n=100)
    record("requests", clients=CLIENTS, seconds=SECONDS, requests=len(times), wrong=len(wrong),
           median_ms=round(1000 * ranked[49], 1), p99_ms=round(1000 * ranked[98], 1))  # fmt: skip
    assert not wrong, wrong[:5]
    assert len(times) >= 10 * CLIENTS or SECONDS
