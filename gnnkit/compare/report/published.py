"""Reference figures on Los-loop from elsewhere: data, shown beside a run's own rows and never ranked with them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

__all__ = ["MARKS", "PUBLISHED", "PUBLISHED_NOTE", "PublishedScore", "published_scores"]


@dataclass(frozen=True)
class PublishedScore:
    """One model's figures at one horizon, averaged over all steps up to it, in the data's unit.

    Args:
        model: The model's name in its source.
        minutes: Minutes ahead; every step up to here counts.
        rmse: Root mean squared error; None where the source gives none.
        mae: Mean absolute error; None where the source gives none.
        accuracy: 1 − ‖Y − Ŷ‖_F / ‖Y‖_F; None where the source gives none.
        r2: Coefficient of determination; None where the source gives none.
        mark: How far the figure can be trusted: a key of `MARKS`.
        source: Where it is from.
    """

    model: str
    minutes: int
    rmse: float | None
    mae: float | None
    accuracy: float | None
    r2: float | None
    mark: str
    source: str


#: What the marks mean. They stay on the figures wherever these are shown.
MARKS: Mapping[str, str] = MappingProxyType(
    {
        "S": "read in the paper's text, code or published output",
        "C": "computed from the data or from the authors' published predictions",
    }
)

#: What a reader must know before laying these figures beside other ones.
PUBLISHED_NOTE = (
    "The official T-GCN protocol has no validation rows: rows 1 to 1612 train, the rest test, a model is trained "
    "for each horizon, and the published T-GCN row is its best test epoch (4809 of 5000). Picking the epoch on the "
    "test rows flatters a model. The run above keeps the last training rows for validation and picks the epoch there. "
    "All scores here average every step up to the horizon."
)

_LATER = "as given in a later paper on the same data"
_DATA = "computed on the official test windows"
_ARTEFACT = "computed from the published predictions of Zhao et al., T-GCN, 2019; best test epoch"

PUBLISHED: tuple[PublishedScore, ...] = (
    PublishedScore("last value", 15, 5.5428, 3.1561, 0.9056, 0.8403, "C", _DATA),
    PublishedScore("last value", 30, 6.6986, 3.6317, 0.8859, 0.7676, "C", _DATA),
    PublishedScore("last value", 45, 7.6281, 4.0417, 0.8701, 0.6997, "C", _DATA),
    PublishedScore("last value", 60, 8.4555, 4.4332, 0.8559, 0.6322, "C", _DATA),
    PublishedScore("rolling average", 15, 7.3067, 3.8782, 0.8756, 0.7225, "C", _DATA),
    PublishedScore("rolling average", 30, 7.9575, 4.1699, None, None, "C", _DATA),
    PublishedScore("rolling average", 45, 8.5986, 4.4824, None, None, "C", _DATA),
    PublishedScore("rolling average", 60, 9.2619, 4.828, None, None, "C", _DATA),
    PublishedScore("T-GCN", 15, 5.1264, 3.1802, 0.9127, 0.8634, "C", _ARTEFACT),
    PublishedScore("Graph WaveNet", 15, 4.99, 2.86, None, None, "S", _LATER),
    PublishedScore("Graph WaveNet", 30, 5.93, 3.26, None, None, "S", _LATER),
    PublishedScore("Graph WaveNet", 60, 7.15, 3.98, None, None, "S", _LATER),
    PublishedScore("Ada-GGNN", 15, 4.88, 2.79, None, None, "S", "the Ada-GGNN paper; best found"),
    PublishedScore("Ada-GGNN", 30, 5.83, None, None, None, "S", "the Ada-GGNN paper; best found"),
    PublishedScore("Ada-GGNN", 60, 7.07, 3.90, None, None, "S", "the Ada-GGNN paper; best found"),
)


def published_scores(data_name: str) -> tuple[PublishedScore, ...]:
    """Reference figures for a data set.

    Args:
        data_name: The data set's name, as `Results.data["name"]` has it.

    Returns:
        The figures, grouped by model, horizons ascending; empty for a data set without any.

    Example:
        >>> [score.mae for score in published_scores("los-loop") if score.model == "last value"]
        [3.1561, 3.6317, 4.0417, 4.4332]
        >>> published_scores("my-own-file")
        ()
    """
    return PUBLISHED if data_name == "los-loop" else ()
