"""What a client may ask of the service: sizes and times."""

from __future__ import annotations

from dataclasses import dataclass, fields

__all__ = ["Limits"]


@dataclass(frozen=True)
class Limits:
    """Limits of one request, and of all that wait.

    Args:
        body_bytes: bytes of a body; a larger one is answered with 413. Default 16 MiB.
        rows: rows of a table; more are answered with 413. Default 20,000.
        cells: rows × columns of a table; more are answered with 413. Default 5 million.
        seconds: from the whole body to the forecast; more are answered with 504. Default 30.
        body_seconds: for a client to send its body; more are answered with 408. Default 10.
        waiting: requests that may wait or run at a time; the next one is answered with 503. Default 128.

    Raises:
        ValueError: one of them is not positive.
    """

    body_bytes: int = 16 * 2**20
    rows: int = 20_000
    cells: int = 5_000_000
    seconds: float = 30.0
    body_seconds: float = 10.0
    waiting: int = 128

    def __post_init__(self) -> None:
        for field in fields(self):
            if not getattr(self, field.name) > 0:
                raise ValueError(f"{field.name} must be above 0, got {getattr(self, field.name)!r}")
