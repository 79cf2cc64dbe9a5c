"""What the service counts: requests, their times, the model's own; as Prometheus reads it."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Iterator
from dataclasses import dataclass

from gnnkit._optional import optional_import
from gnnkit.serving.schema import Health
from gnnkit.serving.service import ForecastService

__all__ = ["Answered", "Measured"]

_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_METHODS = ("GET", "POST", "HEAD", "OPTIONS", "PUT", "PATCH", "DELETE")


@dataclass
class Answered:
    """One request: what it asked for, and how it was answered."""

    route: str = "other"
    status: int = 500


class Measured:
    """The counts of one service, apart from those of any other in this process.

    Args:
        service: what forecasts.

    Raises:
        ImportError: prometheus_client is not installed.
    """

    def __init__(self, service: ForecastService) -> None:
        library = optional_import("prometheus_client", purpose="gnnkit serve", extra="serve")
        self._service, self._library = service, library
        self._registry = library.CollectorRegistry()
        taken = {"registry": self._registry}
        self._requests = library.Counter(
            "gnnkit_requests_total", "Requests answered.", ("method", "route", "status"), **taken
        )
        self._seconds = library.Histogram(
            "gnnkit_request_seconds", "Seconds from a request to its answer.", ("route",), buckets=_BUCKETS, **taken
        )
        self._step = library.Histogram(
            "gnnkit_forecast_seconds", "Seconds that a forecast itself took.", buckets=_BUCKETS, **taken
        )
        waiting = library.Gauge("gnnkit_requests_waiting", "Forecasts that wait or run.", **taken)
        waiting.set_function(lambda: service.waiting)
        self.media_type: str = library.CONTENT_TYPE_LATEST

    @contextlib.contextmanager
    def request(self, method: str) -> Iterator[Answered]:
        """Count a request; who answers it says how in what this gives."""
        answered, began = Answered(), time.perf_counter()
        try:
            yield answered
        finally:
            # A method is a word of the client's: those that nobody knows are one.
            method = method if method in _METHODS else "other"
            self._requests.labels(method, answered.route, str(answered.status)).inc()
            self._seconds.labels(answered.route).observe(time.perf_counter() - began)

    @contextlib.contextmanager
    def step(self) -> Iterator[None]:
        """Time a forecast."""
        with self._step.time():
            yield

    def tell(self, error: BaseException) -> None:
        """Write the traceback of a fault to the log."""
        logging.getLogger("gnnkit.serving").error("a request failed", exc_info=error)

    def health(self) -> Health:
        """Whether the service answers."""
        return Health(
            status="ok",
            model=self._service.fitted.config["model"],
            waiting=self._service.waiting,
            uptime_seconds=time.monotonic() - self._service.started,
        )

    def text(self) -> bytes:
        """All counts, as Prometheus reads them."""
        return self._library.generate_latest(self._registry)
