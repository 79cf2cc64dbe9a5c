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
        "M": "recalled from the paper, not yet checked against its text",
    }
)

#: What a reader must know before laying these figures beside other ones.
PUBLISHED_NOTE = (
    "The official T-GCN protocol has no validation rows: rows 1 to 1612 train, the rest test, a model is trained "
    "for each horizon, and the published T-GCN row is its best test epoch (4809 of 5000). Picking the epoch on the "
    "test rows flatters a model. The run above keeps the last training rows for validation and picks the epoch there. "
    "All scores here average every step up to the horizon."
)

_TGCN = "Zhao et al., T-GCN: A Temporal Graph Convolutional Network for Traffic Prediction, 2019"
_LATER = "as given in a later paper on the same data"
_DATA = "computed on the official test windows"
_ARTEFACT = "computed from the authors' published predictions; best test epoch"

PUBLISHED: tuple[PublishedScore, ...] = (
    PublishedScore("last value", 15, 5.5428, 3.1561, 0.9056, 0.8403, "C", _DATA),
    PublishedScore("last value", 30, 6.6986, 3.6317, 0.8859, 0.7676, "C", _DATA),
    PublishedScore("last value", 45, 7.6281, 4.0417, 0.8701, 0.6997, "C", _DATA),
    PublishedScore("last value", 60, 8.4555, 4.4332, 0.8559, 0.6322, "C", _DATA),
    PublishedScore("rolling average", 15, 7.3067, 3.8782, 0.8756, 0.7225, "C", _DATA),
    PublishedScore("rolling average", 30, 7.9575, 4.1699, None, None, "C", _DATA),
    PublishedScore("rolling average", 45, 8.5986, 4.4824, None, None, "C", _DATA),
    PublishedScore("rolling average", 60, 9.2619, 4.828, None, None, "C", _DATA),
    PublishedScore("GCN", 15, 7.7922, 5.3525, None, None, "M", _TGCN),
    PublishedScore("GCN", 30, 8.3353, 5.6118, None, None, "M", _TGCN),
    PublishedScore("GCN", 45, 8.8036, 5.9534, None, None, "M", _TGCN),
    PublishedScore("GCN", 60, 9.2657, 6.2892, None, None, "M", _TGCN),
    PublishedScore("GRU", 15, 5.2182, 3.0602, 0.9109, 0.8576, "M", _TGCN),
    PublishedScore("GRU", 30, 6.2802, 3.6505, None, None, "M", _TGCN),
    PublishedScore("GRU", 45, 7.0343, 4.0915, None, None, "M", _TGCN),
    PublishedScore("GRU", 60, 7.6621, 4.5186, None, None, "M", _TGCN),
    PublishedScore("T-GCN", 15, 5.1264, 3.1802, 0.9127, 0.8634, "C", _ARTEFACT),
    PublishedScore("T-GCN", 30, 6.0598, 3.7466, 0.8968, 0.8098, "M", _TGCN),
    PublishedScore("T-GCN", 45, 6.7065, 4.1158, 0.8857, 0.7679, "M", _TGCN),
    PublishedScore("T-GCN", 60, 7.2677, 4.6021, 0.8762, 0.7283, "M", _TGCN),
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
