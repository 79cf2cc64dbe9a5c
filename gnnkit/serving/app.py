"""The web application: routes, what they answer, and what they count."""

# FastAPI reads the annotations of its routes, which are made inside a function: they must be types, not texts.
import asyncio
import io
from collections.abc import Awaitable, Callable
from importlib.resources import files
from typing import Any

import pandas as pd
import pyarrow as pa
from pydantic.json_schema import models_json_schema

import gnnkit
from gnnkit._optional import optional_import
from gnnkit.serving.measured import Measured
from gnnkit.serving.rows import TooLarge, frame_of_arrow, frame_of_table, read_request
from gnnkit.serving.schema import ForecastRequest, ForecastResponse, Health, ModelCard, Problem
from gnnkit.serving.service import ForecastService, Overloaded, TooSlow

__all__ = ["ARROW", "make_app"]

ARROW = "application/vnd.apache.arrow.stream"
JSON = "application/json"

_PROBLEMS = {
    400: "The client hung up before it had sent the body.",
    408: "The body was not sent in time.",
    413: "The body, or the table in it, is larger than allowed.",
    415: "Another content type than JSON or an Arrow stream.",
    422: "The rows or the options are not what the model needs; says what is wanted.",
    503: "Too many requests wait; try again.",
    504: "The forecast took longer than allowed.",
}
_HEADERS = {
    # The page holds its own script and style, and asks this server alone.
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; "
    "connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}


def make_app(service: ForecastService) -> Any:
    """The application of one forecaster.

    Routes: `POST /forecast` (JSON, or an Arrow IPC stream), `GET /forecast` (the last one), `GET /model`,
    `GET /health`, `GET /metrics` (Prometheus), `GET /openapi.json`, and `GET /`, a page that draws the last forecast.
    None of them reads a path of the client's.

    Args:
        service: what forecasts.

    Returns:
        A FastAPI application, for uvicorn or any other ASGI server.

    Raises:
        ImportError: a package of the extra `serve` is not installed.
    """
    fastapi = optional_import("fastapi", purpose="gnnkit serve", extra="serve")
    responses = optional_import("fastapi.responses", purpose="gnnkit serve", extra="serve")
    exceptions = optional_import("starlette.exceptions", purpose="gnnkit serve", extra="serve")
    requests = optional_import("starlette.requests", purpose="gnnkit serve", extra="serve")
    Request, Response = fastapi.Request, fastapi.Response
    measured = Measured(service)
    limits = service.limits
    page = (files("gnnkit.serving") / "page.html").read_text(encoding="utf-8")
    # The pages of documentation that FastAPI has load their scripts from elsewhere.
    app = fastapi.FastAPI(title="gnnkit serve", version=gnnkit.__version__, docs_url=None, redoc_url=None)

    def problem(status: int, detail: str, headers: dict[str, str] | None = None) -> Any:
        return responses.JSONResponse({"detail": detail}, status, headers=headers)

    @app.middleware("http")
    async def count(request: Request, call_next: Callable[[Any], Awaitable[Any]]) -> Any:  # pyright: ignore
        with measured.request(request.method) as seen:
            try:
                response = await call_next(request)
            except Exception as error:
                measured.tell(error)
                response = problem(500, "a fault of the service; its log has the traceback")
            route = request.scope.get("route")
            seen.route = getattr(route, "path", "other")
            seen.status = response.status_code
        for name, value in _HEADERS.items():
            response.headers.setdefault(name, value)
        return response

    @app.exception_handler(exceptions.HTTPException)
    async def refuse(request: Request, error: Any) -> Any:  # pyright: ignore
        return problem(error.status_code, str(error.detail), error.headers)

    async def body_of(request: Any) -> bytes:
        """The body, as far as it is allowed to go."""
        said = request.headers.get("content-length", "")
        if said.isdigit() and int(said) > limits.body_bytes:
            raise TooLarge(f"the body has {said} bytes, {limits.body_bytes} are allowed")
        found = io.BytesIO()
        async with asyncio.timeout(limits.body_seconds):
            async for part in request.stream():
                if found.tell() + len(part) > limits.body_bytes:
                    raise TooLarge(f"the body has more than the {limits.body_bytes} bytes that are allowed")
                found.write(part)
        return found.getvalue()

    def of_json(body: bytes) -> ForecastResponse:
        asked = read_request(body, limits)
        beside = None if asked.covariates is None else frame_of_table(asked.covariates)
        options = {"coverage": asked.coverage, "step_minutes": asked.step_minutes}
        with measured.step():
            return service.forecast(frame_of_table(asked.series), covariates=beside, **options)

    def of_arrow(body: bytes, coverage: float, step_minutes: float | None) -> ForecastResponse:
        frame = frame_of_arrow(body, limits)
        with measured.step():
            return service.forecast(frame, coverage=coverage, step_minutes=step_minutes)

    described = {
        "requestBody": {
            "required": True,
            "content": {
                JSON: {"schema": {"$ref": "#/components/schemas/ForecastRequest"}},
                ARROW: {"schema": {"type": "string", "format": "binary"}},
            },
        }
    }
    documented: dict[int | str, Any] = {
        status: {"model": Problem, "description": text} for status, text in _PROBLEMS.items()
    }
    documented[200] = {"content": {ARROW: {"schema": {"type": "string", "format": "binary"}}}}

    @app.post("/forecast", response_model=ForecastResponse, responses=documented, openapi_extra=described)
    async def forecast(request: Request) -> Any:  # pyright: ignore
        """Forecast the steps after the last row, with intervals.

        An Arrow stream holds the rows as a file does; its options stand in the headers X-Coverage and X-Step-Minutes.
        With Accept: application/vnd.apache.arrow.stream the forecast is an Arrow stream too.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind not in (JSON, ARROW):
            return problem(415, f"content-type must be {JSON} or {ARROW}")
        try:
            body = await body_of(request)
        except TooLarge as error:
            return problem(413, str(error))
        except TimeoutError:
            return problem(408, f"the body was not sent within {limits.body_seconds:g} s")
        except requests.ClientDisconnect:
            return problem(400, "the client hung up")
        try:
            if kind == JSON:
                found = await service.run(lambda: of_json(body))
            else:
                coverage = _number(request, "X-Coverage", 0.9)
                step = _number(request, "X-Step-Minutes", None)
                found = await service.run(lambda: of_arrow(body, coverage or 0.9, step))
        except TooLarge as error:
            return problem(413, str(error))
        except (ValueError, TypeError) as error:
            # What people's rows are read by says in a line what is wrong with them.
            return problem(422, " ".join(str(error).split()))
        except Overloaded:
            return problem(503, f"{limits.waiting} requests wait already; try again", {"Retry-After": "1"})
        except TooSlow:
            return problem(504, f"the forecast was not made within {limits.seconds:g} s")
        if ARROW in request.headers.get("accept", ""):
            return Response(_arrow_of(found), media_type=ARROW)
        return Response(found.model_dump_json(), media_type=JSON)

    @app.get("/forecast", response_model=ForecastResponse, responses={404: {"model": Problem}})
    async def last_forecast() -> Any:
        """The last forecast that was made."""
        if service.last is None:
            return problem(404, "no forecast was made yet; POST the latest rows to /forecast")
        return Response(service.last.model_dump_json(), media_type=JSON)

    @app.get("/model")
    async def model() -> ModelCard:
        """What the model is, and what rows it needs."""
        return service.card()

    @app.get("/health")
    async def health() -> Health:
        """Whether the service answers."""
        return measured.health()

    @app.get("/metrics", response_class=responses.PlainTextResponse)
    async def metrics() -> Any:
        """Counts and times, as Prometheus reads them."""
        return Response(measured.text(), media_type=measured.media_type)

    @app.get("/", response_class=responses.HTMLResponse)
    async def look() -> Any:
        """A page that draws the last forecast."""
        return responses.HTMLResponse(page)

    made = app.openapi

    def openapi() -> dict[str, Any]:
        """FastAPI's document, with the schema of the body that the route reads by itself."""
        document = made()
        _, definitions = models_json_schema(
            [(ForecastRequest, "validation")], ref_template="#/components/schemas/{model}"
        )
        document.setdefault("components", {}).setdefault("schemas", {}).update(definitions["$defs"])
        return document

    app.openapi = openapi
    return app


def _number(request: Any, header: str, default: float | None) -> float | None:
    text = request.headers.get(header)
    if text is None:
        return default
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{header} is no number; write e.g. 0.9") from None


def _arrow_of(found: ForecastResponse) -> bytes:
    """A row for each node and step, one node after the other."""
    steps, nodes = len(found.steps), len(found.nodes)
    columns: dict[str, Any] = {
        "node": [node for node in found.nodes for _ in range(steps)],
        "step": found.steps * nodes,
    }
    if found.times is not None:
        columns = {"time": pd.to_datetime(found.times * nodes), **columns}
    for name in ("forecast", "low", "high"):
        rows = getattr(found, name)
        if rows is not None:
            columns[name] = pa.array([rows[step][node] for node in range(nodes) for step in range(steps)], pa.float64())
    table = pa.table(columns)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()
