"""What trials draw: from which ranges, and what is told of those that are over."""

import math
from typing import ClassVar

import pytest
from torch import nn

from gnnkit.compare.search import Told, draw, given_settings, search_space
from gnnkit.compare.spec.comparison import FinalSpec
from gnnkit.settings.ranges import Choice, Interval
from gnnkit.temporal import MODELS


class Mine(nn.Module):
    """A model of one's own."""

    search_space: ClassVar = {"depth": (2, 4), "kind": ("choice", "a", "b")}

    def __init__(self, horizon: int, *, depth: int = 1, kind: str = "a"):
        super().__init__()

    def forward(self, x, edge_index, edge_weight, *, mask=None, target=None, progress=None): ...


class Wrong(Mine):
    """A model that declares what it does not have."""

    search_space: ClassVar = {"deep": (2, 4)}


@pytest.fixture
def own():
    MODELS["mine"], MODELS["wrong"] = Mine, Wrong
    yield
    del MODELS["mine"], MODELS["wrong"]


def space_of(model, **values):
    return search_space(FinalSpec(models=[model], trials=2, **values), model)


def test_a_model_that_declares_nothing_has_the_shared_ranges():
    assert space_of("gcn", learning_rate=0.008, hidden_channels=3) == {
        "learning_rate": Interval(0.001, 0.032, log=True),
        "weight_decay": Choice((0.0, 1e-5, 1e-4, 1e-3)),
        "hidden_channels": Choice((2, 3, 6, 12)),
        "dropout": Interval(0.0, 0.5),
    }


def test_a_model_declares_more_beside_its_class_and_a_spec_says_otherwise(own):
    shared = {"learning_rate", "weight_decay"}
    space = space_of("mine")
    assert set(space) == {*shared, "depth", "kind"}
    assert space["depth"] == Interval(1, 4)  # the depth as given is in it
    space = space_of("mine", search={"mine": {"depth": [3, 5], "learning_rate": ["log", 0.01, 0.1]}})
    assert (space["depth"], space["learning_rate"]) == (Interval(1, 5), Interval(0.005, 0.1, log=True))
    assert set(space_of("mine", settings={"mine": {"depth": 2, "learning_rate": 0.1}})) == {"weight_decay", "kind"}


def test_what_cannot_be_drawn_is_named(own):
    with pytest.raises(ValueError, match=r"^search_space of wrong: deep: model 'wrong' has no such setting"):
        space_of("wrong")
    every = {"learning_rate": 0.1, "weight_decay": 0.0, "window": 5}
    with pytest.raises(ValueError, match=r"^trials: settings of dlinear leave nothing to draw; leave one of them out$"):
        space_of("dlinear", settings={"dlinear": every})


@pytest.mark.parametrize("model", [model for model in MODELS if model != "chronos"])  # whose weights are given
def test_every_model_of_the_registry_has_a_space_that_holds_its_settings_as_given(model):
    spec = FinalSpec(models=[model], trials=2)
    space, given = search_space(spec, model), given_settings(spec, model)
    assert all(space[name].holding(given[name]) == space[name] for name in space)


def test_the_name_of_a_model_fixes_what_it_fixes():
    assert "diffusion_steps" not in MODELS["stid"].search_space
    assert MODELS["dcrnn"].search_space == {"layers": (1, 2), "diffusion_steps": (1, 3)}


def test_draws_are_of_the_ranges_and_of_the_seed():
    pytest.importorskip("optuna", reason="Optuna is not installed: pip install optuna")
    space = {"rate": Interval(1e-4, 1e-2, log=True), "layers": Interval(1, 3), "kind": Choice(("a", "b"))}
    told = [
        Told({"rate": 1e-3, "layers": 1, "kind": "a"}, 1.0, (2.0, 1.0)),
        Told({"rate": 1e-2, "layers": 3, "kind": "b"}, math.inf),  # its numbers broke
        Told({"rate": 1e-2, "layers": 3, "kind": "b"}, None),  # it was lost
        Told({"layers": 2}, 4.0, (4.0,), pruned=True),  # it had another rate as given
    ] * 3
    found = draw(space, told, 4, seed=1)
    assert draw(space, told, 2, seed=1) == found[:2]
    assert draw(space, told, 4, seed=2) != found
    for each in found:
        assert list(each) == ["rate", "layers", "kind"]
        assert 1e-4 <= each["rate"] <= 1e-2
        assert float(f"{each['rate']:.3g}") == each["rate"]
        assert each["layers"] in (1, 2, 3)
        assert each["kind"] in ("a", "b")


class Drift:
    """A rival that knows no rate and no decay."""

    def __init__(self, *, damping: float = 1.0): ...

    def fit(self, train, validation): ...

    def predict(self, windows): ...


def test_a_rival_draws_settings_of_its_own_alone():
    MODELS["drift"] = Drift
    try:
        spec = FinalSpec(models=["drift"], trials=2, search={"drift": {"damping": [0.1, 0.9]}})
        assert search_space(spec, "drift") == {"damping": Interval(0.1, 1.0)}
        assert given_settings(spec, "drift") == {"damping": 1.0}
        with pytest.raises(
            ValueError, match=r"^trials: nothing says what drift draws; give its class a search_space, or"
        ):
            space_of("drift")
    finally:
        del MODELS["drift"]
