"""What the quick look finds, as rows: nothing else is kept, and all that is shown is drawn from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from gnnkit.compare.findings.difference import Difference

__all__ = ["Answer", "Gain", "Kind", "Left", "Neighbours"]

Kind = Literal["graph", "nodes", "harms", "no", "open", "too-few"]
Against = Literal["none", "shuffled"]


@dataclass(frozen=True, kw_only=True)
class Gain(Difference):
    """The MAE of ridge with the given graph's neighbours, less that on another graph.

    Args:
        horizon: P; scores are over the steps 1 … P.
        against: "none": without neighbours; "shuffled": with the neighbours of shuffled graphs, a mean over them.
        mae: with the given graph.
        other: on the other.
        detectable: the smallest true difference that this test finds with a chance of 80%; None: no test.
    """

    horizon: int
    against: Against
    mae: float
    other: float
    detectable: float | None = None

    @property
    def share(self) -> float | None:
        """The difference as a share of the other error; None where that is 0."""
        return self.difference / self.other if self.other else None


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What is said at one horizon.

    Args:
        horizon: P.
        kind: "graph": better than without neighbours and than with shuffled ones. "nodes": better than without, and not
            shown to be better than with shuffled ones. "harms": worse than without. "no": the gain is below a margin.
            "open": none of these. "too-few": windows are too few for a test.
        sentence: in words.
    """

    horizon: int
    kind: Kind
    sentence: str


@dataclass(frozen=True, kw_only=True)
class Left:
    """What is left in the errors one step ahead: the AZ test.

    Args:
        model: whose errors.
        part: "both" (as published: space and time), "space", "lagged" or "time" (`gnnkit.statistics.whiteness`).
        statistic: standard normal where errors are white.
        p: two-sided.
        agreement: share of the pairs, by weight, whose errors have the same sign.
        shuffled: the same over shuffled graphs; None where there is no other graph, or no edge is asked about.
        shuffled_p: of the test that both shares are equal, over spans; None where it was not made.
        clear: both p are below 1 − confidence; without edges, or another graph, the first alone.
    """

    model: str
    part: str
    statistic: float
    p: float
    agreement: float
    shuffled: float | None = None
    shuffled_p: float | None = None
    clear: bool = False


@dataclass(frozen=True, kw_only=True)
class Neighbours:
    """What the quick look found.

    Args:
        kind: of the answer over all horizons: the same kinds, and "some" where they differ.
        sentence: the answer.
        answers: one for each horizon.
        gains: two for each horizon.
        left: of the errors.
        left_sentence: what it comes to.
        windows: tested, at the largest horizon.
        spans: that the tests are over, there.
        folds: rolling origins.
        shuffles: shuffled graphs.
        notes: what else a reader must know.
    """

    kind: str
    sentence: str
    answers: list[Answer]
    gains: list[Gain]
    left: list[Left] = field(default_factory=list)
    left_sentence: str = ""
    windows: int = 0
    spans: int = 0
    folds: int = 1
    shuffles: int = 0
    notes: list[str] = field(default_factory=list)

    def gain(self, horizon: int, against: Against) -> Gain:
        """The gain at a horizon; without another graph there is none against "shuffled".

        Raises:
            KeyError: it is not there.
        """
        for each in self.gains:
            if (each.horizon, each.against) == (horizon, against):
                return each
        raise KeyError((horizon, against))

    def has(self, horizon: int, against: Against) -> bool:
        """Whether there is such a gain."""
        return any((each.horizon, each.against) == (horizon, against) for each in self.gains)

    def left_of(self, model: str, part: str) -> Left | None:
        """What is left in the errors of a model; None where nothing could be tested."""
        return next((each for each in self.left if (each.model, each.part) == (model, part)), None)
