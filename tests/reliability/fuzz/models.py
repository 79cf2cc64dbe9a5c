"""Series in memory, their windows and splits; metrics and tests; models by their settings; what comes over the wire."""

from __future__ import annotations

import functools
import io
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import torch
from hypothesis import strategies as st

import gnnkit.data as data
import gnnkit.metrics as metrics
from gnnkit.forecasting import FitSettings, Forecaster, forecast_frame, read_latest, train_forecaster
from gnnkit.serving import ForecastService, Limits
from gnnkit.serving.rows import frame_of_arrow, frame_of_table, read_request
from gnnkit.statistics import conformal, paired
from gnnkit.statistics.bootstrap import paired_interval
from gnnkit.statistics.diebold_mariano import diebold_mariano
from gnnkit.statistics.ranks import mean_ranks
from gnnkit.statistics.whiteness import az_test
from gnnkit.temporal import MODELS, build_forecaster
from gnnkit.training import TrainingSettings
from tests.reliability.fuzz.drawn import mutated
from tests.reliability.fuzz.harness import Target, silent_nan

__all__ = ["TARGETS"]

_ODD = st.sampled_from([0, 1, 2, 3, -1, 12, 1.5, float("nan"), float("inf"), "a", "", None, True, [], [1], (1, 2), {}])


# --- series, windows, splits ---


_STARTS = (None, pd.Timestamp("2024-01-01"), pd.Timestamp("2024-01-01", tz="UTC"))


@st.composite
def _series(draw: Any) -> dict[str, Any]:
    rows, nodes, features = draw(st.integers(0, 90)), draw(st.integers(0, 4)), draw(st.sampled_from([1, 1, 1, 1, 2, 0]))
    scale = draw(st.sampled_from([1.0, 1.0, 1e30, 1e-30, 0.0, 3e38, 1e-44, -5.0]))
    values = torch.rand(rows, nodes, features, generator=torch.Generator().manual_seed(0)) * scale
    gaps = draw(st.sampled_from([0, 0, 0.3, 0.9, 1.0]))
    values[torch.rand(rows, nodes, features, generator=torch.Generator().manual_seed(1)) < gaps] = float("nan")
    if draw(st.integers(0, 9)) == 0 and values.numel():
        values.view(-1)[draw(st.integers(0, values.numel() - 1))] = float("inf")
    edges = draw(st.sampled_from([*[[[], []]] * 6, [[0], [0]], [[0], [1]], [[0], [9]], [[-1], [0]], [[0, 1]]]))
    weights = [*[torch.ones(len(edges[0]))] * 6, torch.ones(3), torch.tensor([float("nan")])]
    return {
        "values": values if draw(st.integers(0, 15)) else values.flatten(1),
        "edge_index": torch.tensor(edges, dtype=torch.int64),
        "edge_weight": draw(st.sampled_from(weights)),
        "names": tuple(map(str, range(nodes + (draw(st.integers(0, 15)) == 0)))),
        "step_minutes": draw(st.sampled_from([5.0, 5.0, 5.0, 1440.0, 1440.0, None, 0.0, -1.0, float("nan")])),
        "start": draw(st.sampled_from([*_STARTS, *_STARTS, *_STARTS, pd.NaT])),
        "season": draw(st.sampled_from([None, None, None, 12, 12, 0, -1])),
    }


def _made(drawn: dict[str, Any]) -> data.GraphSeries:
    rows = len(drawn["values"])
    split = data.chronological_split(rows)
    more = {name: drawn[name] for name in ("step_minutes", "start", "season")}
    return data.GraphSeries(
        "s", drawn["values"], drawn["edge_index"], drawn["edge_weight"], drawn["names"], split, **more
    )


def _windows(drawn: tuple[dict[str, Any], Any, Any, Any, Any, Any]) -> None:
    series = _made(drawn[0])
    found = data.make_windows(
        series, history=drawn[1], horizon=drawn[2], scaler=drawn[3], time_features=drawn[4], lead=drawn[5]
    )
    for part in (found.train, found.val, found.test):
        batch = part.batch(torch.arange(len(part)))
        for name, value in batch._asdict().items():
            if isinstance(value, torch.Tensor) and value.is_floating_point() and name != "y":
                assert torch.isfinite(value).all(), f"{name} that is not finite"


def _split(drawn: tuple[Any, Any]) -> None:
    split = data.chronological_split(drawn[0], drawn[1])
    assert split.train.start == 0, "rows that are in no part"
    assert split.num_rows <= drawn[0], "more rows than there are"


def _rolling(drawn: tuple[Any, Any, Any]) -> None:
    for split in data.rolling_splits(drawn[0], drawn[1], season=drawn[2]):
        assert split.num_rows <= drawn[0], "more rows than there are"


def _hidden(drawn: tuple[dict[str, Any], Any, Any]) -> None:
    series = _made(drawn[0])
    data.hide_values(series, data.hide_in_outages(series, drawn[1], seed=drawn[2]))
    data.latest_training_rows(series, drawn[1])
    data.infer_settings(series)
    data.clock_features(series)


_SIMULATED = st.fixed_dictionaries(
    {
        "num_nodes": st.sampled_from([3, 4, 1, 0, -1, 2.5, None, "a"]),
        "days": st.sampled_from([1, 2, 0, -1, 1.5, None, "a"]),
    },
    optional={
        name: st.sampled_from([0.0, 1.0, 0.5, -1, 2, float("nan"), float("inf"), "a", None])
        for name in ("demand", "incidents_per_day", "noise", "missing", "seed")
    },
)


# --- metrics and tests ---


@st.composite
def _numbers(draw: Any, shape: tuple[int, ...] | None = None) -> np.ndarray:
    shape = shape or tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    found = np.random.default_rng(draw(st.integers(0, 9))).normal(size=shape) * draw(
        st.sampled_from([1, 0, 1e200, 1e-200])
    )
    if found.size and draw(st.integers(0, 3)) == 0:
        found.flat[draw(st.integers(0, found.size - 1))] = draw(st.sampled_from([np.nan, np.inf, -np.inf, 0]))
    return found


@st.composite
def _pairs(draw: Any) -> tuple[np.ndarray, np.ndarray]:
    shape = tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    other = shape if draw(st.integers(0, 4)) else tuple(draw(st.lists(st.integers(0, 5), min_size=1, max_size=3)))
    return draw(_numbers(shape)), draw(_numbers(other))


def _metric(drawn: tuple[str, tuple[np.ndarray, np.ndarray], Any]) -> None:
    name, (one, other), kind = drawn
    found = getattr(metrics, name)(kind(one), kind(other))
    whole = all(np.isfinite(each).all() and np.abs(each).max(initial=0) < 1e150 for each in (one, other))
    if whole and one.size and name in ("mae", "rmse"):
        silent_nan(found, name)


_FUNCTIONS: dict[str, Callable[[np.ndarray, np.ndarray], Any]] = {
    "paired_interval": lambda a, b: paired_interval(a, b, np.ones(a.shape[-1]), block=2, resamples=20),
    "diebold_mariano": lambda a, b: diebold_mariano(a, b, np.ones(a.shape[-1]), lag=2),
    "holm": lambda a, b: paired.holm(a),
    "mean_ranks": lambda a, b: mean_ranks(a),
    "conformal_offsets": lambda a, b: conformal.conformal_offsets(a, [0.1, 0.5, 0.9]),
    "conformal_margin": lambda a, b: conformal.conformal_margin(a, 0.9),
    "interval_bounds": lambda a, b: conformal.interval_bounds(float(a.flat[0]) if a.size else 0.5),
    "az_test": lambda a, b: az_test(a, np.array([[0], [1]])),
}


def _statistic(drawn: tuple[str, tuple[np.ndarray, np.ndarray]]) -> None:
    _FUNCTIONS[drawn[0]](*drawn[1])


# --- models ---

_MODELS = sorted(name for name in MODELS.names() if not MODELS[name].fits_itself)
_EDGES = torch.tensor([[0, 1, 2], [1, 2, 0]])


@st.composite
def _configs(draw: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    name = draw(st.sampled_from(_MODELS))
    sizes = {"in_channels": 1, "horizon": 2, "history": 12, "num_nodes": 3, "hidden_channels": 4}
    for size in draw(st.sets(st.sampled_from(sorted(sizes)), max_size=2)):
        sizes[size] = draw(st.sampled_from([1, 2, 5, 0, -1, 1.5, "a", None, True]))
    known = sorted(MODELS[name].settings)
    chosen = draw(st.sets(st.sampled_from([*known, "nowhere"] if known else ["nowhere"]), max_size=2))
    return name, sizes, {setting: draw(_ODD) for setting in chosen}


def _model(drawn: tuple[str, dict[str, Any], dict[str, Any]]) -> None:
    name, sizes, settings = drawn
    torch.manual_seed(0)
    model = build_forecaster(name, **sizes, edge_index=_EDGES, **settings).eval()
    if not all(isinstance(size, int) and size > 0 for size in sizes.values()):
        return  # there are no such features
    x = torch.ones(2, sizes["history"], sizes["num_nodes"], sizes["in_channels"])
    with torch.no_grad():
        found = model(x, _EDGES, torch.ones(3))
    assert tuple(found.shape) == (2, sizes["horizon"], sizes["num_nodes"]), f"a forecast of shape {tuple(found.shape)}"
    silent_nan(found, "the forecast")


_SETTINGS = sorted({*FitSettings.model_fields, *TrainingSettings.model_fields})


def _settings(drawn: dict[str, Any]) -> None:
    for kind in (FitSettings, TrainingSettings):
        kind(**{name: value for name, value in drawn.items() if name in kind.model_fields})


@st.composite
def _fits(draw: Any) -> tuple[dict[str, Any], dict[str, Any], Any]:
    given = draw(st.dictionaries(st.sampled_from([*_SETTINGS, "nowhere"]), _ODD, max_size=2))
    given |= {"epochs": 1, "device": "cpu", "progress": False}
    given.setdefault("horizons", [2])
    given.setdefault("history", 4)
    values = draw(_numbers((draw(st.sampled_from([40, 60, 10])), 3)))
    return given, {"model": draw(st.sampled_from(["dlinear", "gru", "ridge", "nowhere", 3]))}, values


def _fit(drawn: tuple[dict[str, Any], dict[str, Any], Any]) -> None:
    given, model, values = drawn
    found = Forecaster(model["model"], **given).fit(values).predict(values[-10:])
    assert np.isfinite(found["forecast"]).all(), "a forecast that is not finite"


# --- over the wire ---


@functools.cache
def _service() -> ForecastService:
    series = data.simulate_traffic(num_nodes=3, days=1)
    settings = FitSettings(epochs=1, horizons=[2], history=6, hidden_channels=4, device="cpu")
    return ForecastService(train_forecaster("dlinear", settings, series=series), Limits(rows=50, cells=500))


_WHOLE = json.dumps(
    {"series": {"columns": ["sensor 0", "sensor 1", "sensor 2"], "rows": [[60.5, 50.0, None]] * 8}, "coverage": 0.9}
).encode()
_SIMPLE = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=4))
_CELLS = st.one_of(
    *[st.floats(0, 100)] * 9, st.none(), st.sampled_from([1e38, -1e38, 1e300, "x", "5", True, None, 0, 7])
)
_BODIES = st.one_of(
    mutated(_WHOLE),
    st.recursive(
        _SIMPLE, lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=8), each, max_size=3)
    ).map(lambda value: json.dumps(value).encode()),
    st.fixed_dictionaries(
        {
            "columns": st.just(["sensor 0", "sensor 1", "sensor 2"]),
            "rows": st.lists(
                st.lists(_CELLS, min_size=3, max_size=3),
                min_size=5,
                max_size=9,
            ),
        }
    ).map(lambda table: json.dumps({"series": table}).encode()),
)


def _answer(body: bytes) -> None:
    service = _service()
    request = read_request(body, service.limits)
    found = service.forecast(
        frame_of_table(request.series), coverage=request.coverage, step_minutes=request.step_minutes
    )
    assert np.isfinite(np.array(found.forecast)).all(), "a forecast that is not finite"


def _stream() -> bytes:
    table = pa.table(
        {
            "time": pd.date_range("2024", periods=8, freq="5min"),
            "sensor 0": [1.0] * 8,
            "sensor 1": [2.0] * 8,
            "sensor 2": [3.0] * 8,
        }
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def _arrow(body: bytes) -> None:
    service = _service()
    found = service.forecast(frame_of_arrow(body, service.limits))
    assert np.isfinite(np.array(found.forecast)).all(), "a forecast that is not finite"


def _latest(drawn: tuple[np.ndarray, Any, Any]) -> None:
    fitted = _service().fitted
    frame = pd.DataFrame(drawn[0])
    if drawn[0].ndim == 2 and drawn[0].shape[1] == 3:
        frame.columns = list(fitted.config["node_names"])
    series = read_latest(frame, fitted, step_minutes=drawn[1])
    forecast_frame(fitted, series, coverage=drawn[2])


_HISTORY = st.sampled_from([*(1, 2, 3) * 5, 0, -1, 1.5, 10**6, None, "a"])
TARGETS = [
    Target("GraphSeries", _series(), lambda drawn: str(_made(drawn))),
    Target(
        "make_windows",
        st.tuples(
            _series(),
            _HISTORY,
            _HISTORY,
            st.sampled_from(["standard", "standard", "standard", "max", "max-node", "x", None, 1]),
            st.booleans(),
            st.sampled_from([1, 1, 1, 2, 0, -1]),
        ),
        _windows,
        share=3,
    ),
    Target(
        "chronological_split",
        st.tuples(
            st.one_of(st.integers(-2, 200), _ODD),
            st.one_of(
                st.tuples(*[st.floats()] * 3), st.sampled_from([(0.7, 0.1, 0.2), (0.6, 0.2, 0.2), None, "abc", (1,)])
            ),
        ),
        _split,
    ),
    Target(
        "rolling_splits",
        st.tuples(st.one_of(st.integers(-2, 300), _ODD), _ODD, st.sampled_from([None, 12, 0, -1])),
        _rolling,
    ),
    Target("hiding", st.tuples(_series(), st.one_of(st.floats(-1, 2), _ODD), st.sampled_from([0, 1, -1])), _hidden),
    Target("simulate_traffic", _SIMULATED, lambda drawn: str(data.simulate_traffic(**drawn)), most=300),
    Target(
        "metrics",
        st.tuples(
            st.sampled_from(["mae", "rmse", "mape", "accuracy", "r2", "var_score", "rse", "corr", "forecast_metrics"]),
            _pairs(),
            st.sampled_from([np.asarray, torch.from_numpy, np.ndarray.tolist]),
        ),
        _metric,
        share=2,
    ),
    Target("statistics", st.tuples(st.sampled_from(sorted(_FUNCTIONS)), _pairs()), _statistic, share=2),
    Target("model settings", _configs(), _model, share=3),
    Target("fit settings", st.dictionaries(st.sampled_from(_SETTINGS), _ODD, max_size=3), _settings, share=2),
    Target("Forecaster", _fits(), _fit, most=250),
    Target("serving: JSON", _BODIES, _answer, share=2),
    Target("serving: Arrow", mutated(_stream(), most=4), _arrow),
    Target(
        "read_latest",
        st.tuples(
            _numbers((8, 3)) | _numbers(),
            st.sampled_from([None, 5, 60, 0, float("nan")]),
            st.sampled_from([0.9, 0.5, 0, 1, 2, float("nan"), 0.905]),
        ),
        _latest,
    ),
]
