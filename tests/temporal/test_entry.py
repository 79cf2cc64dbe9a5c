"""What an entry knows of a class: a module, or a rival with fit and predict."""

from functools import partial

import pytest
from torch import nn

from gnnkit.temporal import MODELS, ModelEntry, build_forecaster


class Lags:
    """A mean of lags.

    And no more."""

    def __init__(self, history, seed=0, *, learning_rate=0.1, depth):
        self.given = (history, seed, learning_rate, depth)

    def fit(self, train, validation):
        pass

    def predict(self, windows):
        pass


class OnGraph:
    def __init__(self, *, depth):
        pass

    def fit(self, rows, held_out, edge_index, extra=None):
        pass

    def predict(self, windows):
        pass


class Greedy:
    def fit(self, train, validation, test):
        pass

    def predict(self, windows):
        pass


class Alone(nn.Module):
    """A module that fits itself."""

    def fit(self, train):
        pass

    def predict(self, windows):
        pass


def test_a_class_with_fit_and_predict_is_a_rival():
    entry = ModelEntry.of("lags", Lags)
    assert (entry.fits_itself, entry.is_own, entry.family, entry.description) == (
        True,
        True,
        "sequence",
        "A mean of lags",
    )
    assert list(entry.settings) == ["learning_rate", "depth"]  # the seed is handed over, the rate is its own
    assert entry.make({"history": 6, "horizon": 3, "seed": 7}, {"depth": 2}).given == (6, 7, 0.1, 2)
    assert ModelEntry.of("graph", OnGraph).family == "graph"
    assert ModelEntry.of("told", type("Told", (OnGraph,), {"uses_graph": False})).family == "sequence"
    assert ModelEntry.of("alone", Alone).fits_itself
    assert list(ModelEntry.of("fixed", partial(Lags, depth=2)).settings) == ["learning_rate"]
    assert not MODELS["gru"].is_own


def test_a_rival_is_no_module_to_build(monkeypatch):
    monkeypatch.setitem(MODELS._records, "lags", ModelEntry.of("lags", Lags))
    with pytest.raises(
        ValueError, match=r"^model 'lags' has fit and predict, and is no module that is trained; name a"
    ):
        build_forecaster("lags", in_channels=1, horizon=1, history=2, num_nodes=2)


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Greedy, r"^model 'mine': fit needs 'test', which nobody has; it may take train, validation, edge_index, "),
        (Lags.fit, r"should be a class of torch.nn.Module, a class with fit and predict, or a ModelEntry$"),
        (OnGraph(depth=1), r"^model 'mine' is a OnGraph, and should be .*; give its class$"),
        (nn.Module, "should be a class of torch.nn.Module"),
    ],
)
def test_what_is_neither_is_refused(model, message):
    with pytest.raises(ValueError, match=message):
        ModelEntry.of("mine", model)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {},
            r"^model 'a.py:Lags' needs a value for depth, which no data have; set it: --set 'a.py:Lags.depth=…', where "
            r"one model alone is named --set depth=…, in Python settings={'a.py:Lags': {'depth': …}}$",
        ),
        ({"depth": 1, "width": 2}, r"^model 'a.py:Lags' has no setting 'width'; it accepts: learning_rate, depth$"),
    ],
)
def test_a_constructor_says_what_it_lacks_and_what_it_takes(settings, message):
    with pytest.raises(ValueError, match=message):
        ModelEntry.of("a.py:Lags", Lags).make({"history": 6}, settings)
