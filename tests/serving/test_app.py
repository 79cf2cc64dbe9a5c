"""The service: forecasts are those of the library, wrong rows are refused in a line, and nothing makes it fail."""

import asyncio
import copy
import importlib
import io
import json
import threading

import hypothesis
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import torch
from hypothesis import HealthCheck, strategies

from gnnkit.forecasting import forecast_frame, read_latest
from gnnkit.serving import ForecastService, Limits, make_app

pytest.importorskip("fastapi")
httpx = pytest.importorskip("httpx")

ARROW = "application/vnd.apache.arrow.stream"
JSON = {"content-type": "application/json"}


def rows(names, count=8, seed=0):
    values = 60 + 5 * np.random.default_rng(seed).standard_normal((count, len(names)))
    return pd.DataFrame(values.round(2), columns=names, index=pd.date_range("2024-01-02", periods=count, freq="5min"))


def table(frame):
    times = [str(time) for time in frame.index]
    cells = [[None if np.isnan(cell) else cell for cell in row] for row in frame.to_numpy().tolist()]
    return {"columns": ["time", *frame.columns], "rows": [[time, *row] for time, row in zip(times, cells, strict=True)]}


def stream(made):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, made.schema) as writer:
        writer.write_table(made)
    return sink.getvalue().to_pybytes()


class Client:
    """Requests of an application, without a network."""

    def __init__(self, app):
        self.app = app

    def __call__(self, method, path, **options):
        return self.all([(method, path, options)])[0]

    def all(self, asked):
        async def ask():
            transport = httpx.ASGITransport(app=self.app, raise_app_exceptions=False)
            async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
                return await asyncio.gather(*(client.request(method, path, **more) for method, path, more in asked))

        return asyncio.run(ask())


@pytest.fixture
def service(fitted):
    service = ForecastService(fitted)
    yield service
    service.close()


@pytest.fixture
def client(service):
    return Client(make_app(service))


def expected(fitted, frame, coverage=0.9):
    return forecast_frame(fitted, read_latest(frame, fitted), coverage=coverage)


# --- forecasts ---


def test_json_gives_the_forecast_of_the_library(client, fitted, names):
    frame = rows(names)
    frame.iloc[2, 1] = np.nan
    answer = client("POST", "/forecast", json={"series": table(frame), "coverage": 0.8})
    assert answer.status_code == 200, answer.text
    found, wanted = answer.json(), expected(fitted, frame, 0.8)
    for name in ("forecast", "low", "high"):
        np.testing.assert_allclose(np.array(found[name]).T.ravel(), wanted[name].to_numpy(), rtol=1e-6)
    assert found["nodes"] == names
    assert found["steps"] == [1, 2]
    assert found["times"] == ["2024-01-02T00:40:00", "2024-01-02T00:45:00"]
    assert found["unit"] == "mph"
    assert found["remarks"] == []


def test_columns_may_come_in_any_order_and_rows_without_times(client, names):
    frame = rows(names)
    first = client("POST", "/forecast", json={"series": table(frame)}).json()
    other = client("POST", "/forecast", json={"series": table(frame[names[::-1]])}).json()
    assert other == first
    plain = {"columns": names, "rows": frame.to_numpy().tolist()}
    untimed = client("POST", "/forecast", json={"series": plain}).json()
    assert untimed["times"] is None
    np.testing.assert_allclose(untimed["forecast"], first["forecast"], rtol=1e-6)


def test_a_node_that_is_silent_is_told(client, names):
    frame = rows(names, 12)
    frame.iloc[:, 2] = np.nan
    answer = client("POST", "/forecast", json={"series": table(frame)})
    assert answer.status_code == 200, answer.text
    assert answer.json()["remarks"] == [
        f"1 of 4 nodes have no value in the last 6 rows: {names[2]}; the last value before them stands in, or the "
        "training mean"
    ]


@pytest.mark.parametrize("index", ["__index_level_0__", "time", "when"])
def test_arrow_goes_in_and_out(client, fitted, names, index):
    frame = rows(names)
    made = pa.Table.from_pandas(frame.rename_axis(index).reset_index(), preserve_index=False)
    headers = {"content-type": ARROW, "accept": ARROW, "X-Coverage": "0.8"}
    answer = client("POST", "/forecast", content=stream(made), headers=headers)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == ARROW
    found = pa.ipc.open_stream(io.BytesIO(answer.content)).read_all().to_pandas()
    wanted = expected(fitted, frame, 0.8).reset_index()
    assert found["node"].tolist() == wanted["node"].tolist()
    assert found["time"].tolist() == wanted["time"].tolist()
    for name in ("step", "forecast", "low", "high"):
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-6)


# --- what is refused ---


def wrong(names):
    few = {"columns": names, "rows": [[60.0] * 4] * 3}
    return {
        "few": (few, "series: 3 rows are too few; the forecaster reads the latest 6"),
        "missing": (
            {"columns": names[:3], "rows": [[1.0, 2.0, 3.0]] * 8},
            f"series has 3 nodes, the forecaster knows 4; {names[3]!r} is only in the forecaster; give each of its "
            "nodes, by name",
        ),
        "extra": (
            {"columns": [*names, "x"], "rows": [[1.0, 2.0, 3.0, 4.0, 5.0]] * 8},
            "series has 5 nodes, the forecaster knows 4; 'x' is only in the series; give each of its nodes, by name",
        ),
        "step": (
            table(rows(names).set_axis(pd.date_range("2024", periods=8, freq="h"))),
            "series: a row is an hour, but the forecaster was trained on rows of 5 minutes; give rows of the same step",
        ),
        "ragged": (
            {"columns": names, "rows": [[1.0] * 4, [1.0] * 3]},
            "series: rows[1] has 3 cells and columns 4 names; give a cell for each",
        ),
        "huge": (
            {"columns": names, "rows": [[1e300] * 4] * 8},
            "series: infinite at row 0, node 0 'sensor 0' (counted from 0); mark missing values as NaN",
        ),
    }


@pytest.mark.parametrize("case", ["few", "missing", "extra", "step", "ragged", "huge"])
def test_wrong_rows_are_refused_as_the_command_line_does(client, names, case):
    series, message = wrong(names)[case]
    answer = client("POST", "/forecast", json={"series": series})
    assert (answer.status_code, answer.json()["detail"]) == (422, message)


def test_values_without_a_finite_forecast_are_refused(fitted, names):
    broken = copy.deepcopy(fitted)
    broken.center.fill_(torch.inf)
    answer = Client(make_app(ForecastService(broken)))("POST", "/forecast", json={"series": table(rows(names))})
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        f"series: the forecast of {names[0]!r} is not finite; look for values that are far too large",
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"{", "Invalid JSON: EOF while parsing an object at line 1 column 1"),
        (b"[]", "Input should be an object"),
        (b'{"series": {"columns": ["a"], "rows": [[NaN]]}}', "series.rows.0.0.float: Input should be a finite number"),
        (b'{"series": {"columns": ["a"], "rows": []}}', "series.rows: List should have at least 1 item"),
        (b'{"series": {"columns": ["a"], "rows": [[1]]}, "path": "x"}', "path: Extra inputs are not permitted"),
    ],
)
def test_bodies_that_are_not_of_the_schema_are_refused_in_a_line(client, body, message):
    answer = client("POST", "/forecast", content=body, headers=JSON)
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith(message)


def test_a_coverage_that_is_no_whole_percent_and_a_header_that_is_no_number(client, names):
    answer = client("POST", "/forecast", json={"series": table(rows(names)), "coverage": 0.905})
    assert answer.json() == {"detail": "coverage is 0.905; give whole percent, e.g. 0.91"}
    answer = client("POST", "/forecast", content=b"", headers={"content-type": ARROW, "X-Coverage": "most"})
    assert (answer.status_code, answer.json()["detail"]) == (422, "X-Coverage is no number; write e.g. 0.9")


def test_streams_that_are_not_arrow_or_hold_other_kinds(client, names):
    headers = {"content-type": ARROW}
    for body in (b"", b"x" * 100, stream(pa.table({"a": [1.0]}))[:-40]):
        answer = client("POST", "/forecast", content=body, headers=headers)
        assert answer.status_code == 422
    nested = stream(pa.table({"a": [[1.0]]}))
    answer = client("POST", "/forecast", content=nested, headers=headers)
    assert "column 'a' is list<" in answer.json()["detail"]
    empty = client("POST", "/forecast", content=stream(pa.table({"a": pa.array([], pa.float64())})), headers=headers)
    assert "0 rows and 1 columns" in empty.json()["detail"]


def test_another_content_type_and_another_route(client):
    answer = client("POST", "/forecast", content=b"a=1", headers={"content-type": "text/plain"})
    assert (answer.status_code, answer.json()["detail"]) == (415, f"content-type must be application/json or {ARROW}")
    assert client("GET", "/../etc/passwd").status_code == 404
    assert client("GET", "/docs").status_code == 404
    assert client("DELETE", "/forecast").status_code == 405


# --- limits ---


def test_sizes_are_limited(fitted, names):
    client = Client(make_app(ForecastService(fitted, Limits(body_bytes=2000, rows=20, cells=60))))
    answer = client("POST", "/forecast", content=b" " * 2001, headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (413, "the body has 2001 bytes, 2000 are allowed")

    async def pieces():
        for _ in range(30):
            yield b" " * 100

    answer = client("POST", "/forecast", content=pieces(), headers=JSON)
    assert answer.json()["detail"] == "the body has more than the 2000 bytes that are allowed"
    many = {"series": {"columns": ["a"], "rows": [[1]] * 21}}
    assert client("POST", "/forecast", json=many).json()["detail"].startswith("21 rows are more than the 20")
    wide = {"series": {"columns": names, "rows": [[1] * 4] * 16}}
    answer = client("POST", "/forecast", json=wide)
    assert (answer.status_code, answer.json()["detail"]) == (
        413,
        "16 rows × 4 columns are more than the 60 cells that are allowed",
    )
    arrow = client("POST", "/forecast", content=stream(pa.table({"a": [1.0] * 21})), headers={"content-type": ARROW})
    assert arrow.status_code == 413
    with pytest.raises(ValueError, match="rows must be above 0, got 0"):
        Limits(rows=0)


def test_a_body_that_does_not_come_is_not_waited_for(fitted):
    client = Client(make_app(ForecastService(fitted, Limits(body_seconds=0.05))))

    async def slow():
        yield b"{"
        await asyncio.sleep(60)

    answer = client("POST", "/forecast", content=slow(), headers=JSON)
    assert (answer.status_code, answer.json()["detail"]) == (408, "the body was not sent within 0.05 s")


def test_too_many_and_too_slow(fitted, names):
    service = ForecastService(fitted, Limits(seconds=0.1, waiting=2))
    client = Client(make_app(service))
    free = threading.Event()
    service._thread.submit(free.wait)  # the thread is busy until the test lets it go
    ask = ("POST", "/forecast", {"json": {"series": table(rows(names))}})
    answers = client.all([ask] * 5)
    told = sorted((answer.status_code, answer.json()["detail"]) for answer in answers)
    assert told == [
        *[(503, "2 requests wait already; try again")] * 3,
        *[(504, "the forecast was not made within 0.1 s")] * 2,
    ]
    assert next(answer for answer in answers if answer.status_code == 503).headers["retry-after"] == "1"
    free.set()
    assert service.waiting == 0  # what had not begun never will
    service.limits = Limits()
    service._thread.submit(int).result()
    assert client("POST", *ask[1:2], **ask[2]).status_code == 200


# --- the other routes ---


def test_health_model_metrics_and_the_last_forecast(client, names):
    assert client("GET", "/forecast").json() == {
        "detail": "no forecast was made yet; POST the latest rows to /forecast"
    }
    made = client("POST", "/forecast", json={"series": table(rows(names))}).json()
    assert client("GET", "/forecast").json() == made
    health = client("GET", "/health").json()
    assert (health["status"], health["model"], health["waiting"]) == ("ok", "stid-graph", 0)
    card = client("GET", "/model").json()
    assert (card["nodes"], card["history"], card["horizon"], card["step_minutes"]) == (names, 6, 2, 5.0)
    client("BREW", "/pot")
    text = client("GET", "/metrics").text
    assert 'gnnkit_requests_total{method="POST",route="/forecast",status="200"} 1.0' in text
    assert 'gnnkit_requests_total{method="GET",route="/forecast",status="404"} 1.0' in text
    assert 'gnnkit_requests_total{method="other",route="other",status="404"} 1.0' in text
    assert "gnnkit_forecast_seconds_count 1.0" in text


def test_the_page_asks_nobody_else(client):
    answer = client("GET", "/")
    assert answer.status_code == 200
    assert "connect-src 'self'" in answer.headers["content-security-policy"]
    assert "http" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "innerHTML" not in answer.text  # names of nodes are texts, whatever is in them


def test_a_fault_is_told_without_its_inside(client, service, monkeypatch, caplog):
    def broken(*args, **options):
        raise RuntimeError("secret")

    monkeypatch.setattr(service, "forecast", broken)
    answer = client("POST", "/forecast", json={"series": {"columns": ["a"], "rows": [[1]]}})
    assert (answer.status_code, answer.json()["detail"]) == (500, "a fault of the service; its log has the traceback")
    assert "secret" in caplog.text


# --- whatever comes ---


def test_hundreds_of_requests_at_a_time_are_all_answered(client, fitted, names):
    frames = [rows(names, seed=seed) for seed in range(5)]
    wanted = [expected(fitted, frame)["forecast"].to_numpy() for frame in frames]
    asked = [("POST", "/forecast", {"json": {"series": table(frames[number % 5])}}) for number in range(100)]
    for _ in range(2):
        for number, answer in enumerate(client.all(asked)):
            assert answer.status_code == 200
            found = np.array(answer.json()["forecast"]).T.ravel()
            np.testing.assert_allclose(found, wanted[number % 5], rtol=1e-6)


cells = strategies.one_of(
    strategies.none(), strategies.floats(), strategies.integers(), strategies.text(max_size=5), strategies.booleans(),
    strategies.sampled_from(["2024-01-01", "2024-01-01 00:05", "1e400", "-1", "x"]),
)  # fmt: skip


@hypothesis.settings(
    max_examples=80, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@hypothesis.given(data=strategies.data())
def test_no_body_of_the_schemas_shape_is_a_fault(client, names, data):
    columns = data.draw(
        strategies.one_of(
            strategies.permutations(names),
            strategies.just(["time", *names]),
            strategies.lists(strategies.text(max_size=6), max_size=5),
        )
    )
    count = data.draw(strategies.integers(0, 9))
    made = [data.draw(strategies.lists(cells, min_size=len(columns), max_size=len(columns))) for _ in range(count)]
    body = {"series": {"columns": columns, "rows": made}}
    body |= data.draw(strategies.fixed_dictionaries({}, optional={"coverage": cells, "step_minutes": cells}))
    answer = client("POST", "/forecast", content=json.dumps(body).encode("utf-8", "replace"), headers=JSON)
    assert answer.status_code in (200, 413, 422), answer.text
    assert "\n" not in answer.json().get("detail", "")


def test_no_request_of_the_openapi_document_is_a_fault(service):
    schemathesis = pytest.importorskip("schemathesis")
    checks = importlib.import_module("schemathesis.checks")
    schema = schemathesis.openapi.from_asgi("/openapi.json", make_app(service))
    seen = []

    @hypothesis.settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @hypothesis.given(data=strategies.data())
    def ask(operation, data):
        case = data.draw(operation.as_strategy())
        answer = case.call()
        case.validate_response(answer, checks=[checks.not_a_server_error])
        seen.append(answer.status_code)

    for operation in schema.get_all_operations():
        ask(operation.ok())
    assert len(seen) > 25
    assert max(seen) < 500
