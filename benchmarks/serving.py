"""How many clients does a served model stand, and what does serving cost beside the model's own step?

    python benchmarks/serving.py                                50 clients for 30 s on the loopback interface
    python benchmarks/serving.py --model gru --nodes 325        another model, another number of nodes
    python benchmarks/serving.py --clients 5 --seconds 3 --out rows.csv

A model is trained for an epoch on the simulated network, kept, and served by `gnnkit serve` in a process of its own.
Each client posts its rows again as soon as it has its answer, over a connection that it keeps, and checks that the
forecast is the one that the library made of these rows. Printed are requests, errors, and the median and the 99th
percentile of their seconds, beside the seconds of the model's own step and of the library's forecast of one frame, in
this process and unloaded. Rows go to results/serving.csv.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import httpx
import numpy as np
import pandas as pd
import torch
from rows import RESULTS, Rows

from gnnkit.data import simulate_traffic
from gnnkit.forecasting import FitSettings, FittedForecaster, forecast_frame, read_latest, save_fitted, train_forecaster
from gnnkit.forecasting.unit import UnitForecast

FORECASTS = 8  # different rows, so that no answer can be that of another client


def asked_of(fitted: FittedForecaster, seed: int) -> tuple[bytes, np.ndarray]:
    """A body, and the forecast that its answer has to hold."""
    config = fitted.config
    noise = np.random.default_rng(seed).standard_normal((config["history"], len(config["node_names"])))
    values = fitted.center[:, 0].numpy() + fitted.scale[:, 0].numpy() * noise
    frame = pd.DataFrame(
        values.round(2), columns=config["node_names"], index=pd.date_range("2024", periods=len(values), freq="5min")
    )
    table = {
        "columns": ["time", *frame.columns],
        "rows": [[str(time), *row] for time, row in zip(frame.index, frame.to_numpy().tolist(), strict=True)],
    }
    wanted = forecast_frame(fitted, read_latest(frame, fitted))["forecast"].to_numpy()
    return json.dumps({"series": table}).encode(), wanted.reshape(len(config["node_names"]), -1).T


async def load(url: str, asked: list[tuple[bytes, np.ndarray]], clients: int, seconds: float) -> dict[str, Any]:
    """Let clients ask until the time is over."""
    taken: list[float] = []
    errors: list[str] = []
    stop = time.perf_counter() + seconds

    async def one(number: int) -> None:
        body, wanted = asked[number % len(asked)]
        async with httpx.AsyncClient(base_url=url, timeout=60) as client:
            while time.perf_counter() < stop:
                began = time.perf_counter()
                try:
                    answer = await client.post("/forecast", content=body, headers={"content-type": "application/json"})
                except httpx.HTTPError as error:
                    errors.append(type(error).__name__)
                    continue
                taken.append(time.perf_counter() - began)
                if answer.status_code != 200:
                    errors.append(f"{answer.status_code} {answer.text[:80]}")
                elif not np.allclose(answer.json()["forecast"], wanted, rtol=1e-4):
                    errors.append("another forecast than the library's")

    began = time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(clients)))
    return {"taken": taken, "errors": errors, "wall": time.perf_counter() - began}


def median_of(work: Callable[[], Any], times: int) -> float:
    """The median of the seconds that something takes."""
    work()
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Train, serve and ask; the figures of one row."""
    series = simulate_traffic(num_nodes=options.nodes, days=3)
    settings = FitSettings(epochs=1, horizons=[12], history=12, device="cpu")
    fitted = train_forecaster(options.model, settings, series=series)
    asked = [asked_of(fitted, seed) for seed in range(FORECASTS)]
    module, history = UnitForecast(fitted).eval(), series.values[None, -12:]
    with torch.no_grad():
        step = median_of(lambda: module(history), 50)
    frame = pd.DataFrame(series.values[-12:, :, 0].numpy(), columns=list(series.node_names))
    forecast = median_of(lambda: forecast_frame(fitted, read_latest(frame, fitted)), 50)
    with tempfile.TemporaryDirectory() as folder:
        save_fitted(fitted, Path(folder) / "model")
        command = [sys.executable, "-m", "gnnkit", "serve", str(Path(folder) / "model"), "--port", "0"]
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
            try:
                assert server.stdout is not None
                server.stdout.readline()
                url = server.stdout.readline().split()[2]
                asyncio.run(load(url, asked, 1, 0.5))  # the first request pays for what is loaded late
                found = asyncio.run(load(url, asked, options.clients, options.seconds))
                text = httpx.get(f"{url}metrics").text
            finally:
                server.terminate()
    for error in sorted(set(found["errors"]))[:5]:
        print(f"error: {error}", file=sys.stderr)
    taken = np.array(found["taken"])
    counted = {line.split()[0]: float(line.split()[1]) for line in text.splitlines() if not line.startswith("#")}
    return {
        "nodes": options.nodes,
        "history": 12,
        "horizon": 12,
        "requests": len(taken),
        "errors": len(found["errors"]),
        "requests_per_second": len(taken) / found["wall"],
        "p50_seconds": float(np.quantile(taken, 0.5)),
        "p99_seconds": float(np.quantile(taken, 0.99)),
        "served_forecast_seconds": counted["gnnkit_forecast_seconds_sum"] / counted["gnnkit_forecast_seconds_count"],
        "library_forecast_seconds": forecast,
        "model_step_seconds": step,
        "seconds": found["wall"],
    }


def main() -> None:
    """Measure, print and keep a row."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="stid-graph")
    parser.add_argument("--nodes", type=int, default=100)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--out", type=Path, default=RESULTS / "serving.csv")
    options = parser.parse_args()
    row = measure(options)
    Rows(options.out, ["model", "nodes", "clients"], "cpu").add(
        [{name: value for name, value in row.items() if name != "nodes"}],
        model=options.model,
        nodes=options.nodes,
        clients=options.clients,
    )
    print(
        f"{options.model}, {options.nodes} nodes: {row['requests']} requests of {options.clients} clients in "
        f"{row['seconds']:.1f} s, {row['errors']} errors\n"
        f"p50 {1e3 * row['p50_seconds']:.1f} ms, p99 {1e3 * row['p99_seconds']:.1f} ms, "
        f"{row['requests_per_second']:.0f} requests a second\n"
        f"a forecast in the service {1e3 * row['served_forecast_seconds']:.2f} ms, in the library "
        f"{1e3 * row['library_forecast_seconds']:.2f} ms, the model's own step {1e3 * row['model_step_seconds']:.2f} ms"
    )
    if row["errors"]:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
