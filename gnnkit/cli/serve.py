"""`gnnkit serve`: a trained model as a web service."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer
from typer import Argument

from gnnkit.cli.options import help_text, named_option, trust_option

__all__ = ["app", "open_socket", "serve"]

app = typer.Typer(rich_markup_mode="rich")

_WHERE, _LIMITS = "Where", "Limits"

_SERVE = """
Serve the forecasts of a trained model over HTTP (pip install "gnnkit\\[serve]"), until Ctrl-C.

POST /forecast takes the latest rows, as JSON or as an Arrow IPC stream, and gives forecasts with intervals. GET / is a
page that draws the last one, /model says what rows the model needs, /openapi.json describes all routes; /health and
/metrics are for those who watch over it. There is no password: on another host than 127.0.0.1 put it behind a server
that asks for one.

[bold]A worked example[/bold]

\b
    gnnkit serve mine
    curl 127.0.0.1:8000/forecast -H content-type:application/json -d '{"series": {"columns": ["time", "a", "b"],
      "rows": [["2024-01-01 00:00", 61.2, null], ["2024-01-01 00:05", 60.8, 58.1]]}}'
"""


@app.command(help=help_text(_SERVE), short_help="Serve the forecasts of a trained model over HTTP.")
def serve(
    folder: Annotated[Path, Argument(help="Folder that `gnnkit train` wrote.")],
    trust_code: Annotated[bool, trust_option(_WHERE)] = False,
    host: Annotated[str, named_option(_WHERE, "Address to listen on (127.0.0.1: this machine alone).")] = "127.0.0.1",
    port: Annotated[int, named_option(_WHERE, "Port to listen on; 0 takes a free one (8000).")] = 8000,
    threads: Annotated[int | None, named_option(_WHERE, "Threads of torch (as many as cores).")] = None,
    max_rows: Annotated[int, named_option(_LIMITS, "Rows of a request (20000).")] = 20_000,
    max_megabytes: Annotated[float, named_option(_LIMITS, "Size of a request (16).")] = 16.0,
    max_waiting: Annotated[int, named_option(_LIMITS, "Requests that may wait at a time (128).")] = 128,
    timeout: Annotated[
        float, named_option(_LIMITS, "Seconds for a forecast, all that wait before it included (30).")
    ] = 30.0,
) -> None:
    from gnnkit._optional import optional_import

    for name in ("fastapi", "prometheus_client", "uvicorn"):
        optional_import(name, purpose="gnnkit serve", extra="serve")
    uvicorn: Any = optional_import("uvicorn", purpose="gnnkit serve", extra="serve")
    for name, value in (
        ("max_rows", max_rows),
        ("max_megabytes", max_megabytes),
        ("max_waiting", max_waiting),
        ("timeout", timeout),
    ):
        if not value > 0:
            raise ValueError(f"{name} must be above 0, got {value:g}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads must be 1 or more, got {threads}")
    import torch

    from gnnkit.forecasting import load_fitted
    from gnnkit.serving import ForecastService, Limits, make_app

    if threads is not None:
        torch.set_num_threads(threads)
    limits = Limits(
        body_bytes=max(1, int(max_megabytes * 2**20)),
        rows=max_rows,
        seconds=timeout,
        waiting=max_waiting,
    )
    service = ForecastService(load_fitted(folder, trust_code=trust_code), limits)
    with open_socket(host, port) as listener:
        shown = f"[{host}]" if ":" in host else host
        typer.echo(f"{service.fitted!r}")
        typer.echo(f"Serving at http://{shown}:{listener.getsockname()[1]}/ until Ctrl-C")
        config = uvicorn.Config(make_app(service), log_level="warning", access_log=False, server_header=False)
        try:
            uvicorn.Server(config).run(sockets=[listener])
        except KeyboardInterrupt:
            typer.echo("gnnkit: stopped", err=True)
        finally:
            service.close()


def open_socket(host: str, port: int) -> Any:
    """A socket that listens at an address.

    Raises:
        ValueError: the port is out of range, or nobody can listen there; says why.
    """
    import socket

    if not 0 <= port <= 65535:
        raise ValueError(f"port must be from 0 to 65535, got {port}")
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise ValueError(f"host: {host!r} is no address of this machine ({error.strerror})") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(2048)
    except OSError as error:
        listener.close()
        raise ValueError(
            f"port: nobody can listen at {host} port {port} ({error.strerror}); give another --port, 0 for a free one"
        ) from None
    return listener
