import math

import pytest
import torch

from gnnkit.sequence import CharLSTM, count_parameters
from gnnkit.studies.text_settings import ABLATION, PARTS, TextSettings, preset


def test_defaults_are_the_reports_table_3():
    settings = TextSettings()
    assert (settings.num_layers, settings.hidden_channels, settings.embedding_channels) == (2, 256, 128)
    assert (settings.steps, settings.window, settings.batch_size, settings.clip) == (25_000, 30, 128, 5.0)
    assert (settings.learning_rate, settings.warmup, settings.weight_decay, settings.dropout) == (1e-3, 0, 0, 0)
    assert not settings.stateful
    assert not settings.tied


def test_the_rate_is_torchs_cosine_annealing():
    settings = TextSettings(steps=40)
    optimizer = torch.optim.Adam([torch.nn.Parameter(torch.ones(1))], lr=1e-3)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, T_max=40)
    for step in range(40):
        assert settings.rate(step) == pytest.approx(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()


def test_warm_up_is_a_line_and_the_cosine_begins_behind_it():
    settings = TextSettings(steps=100, warmup=0.1, learning_rate=0.5)
    assert [settings.rate(step) for step in range(10)] == pytest.approx([0.05 * k for k in range(1, 11)])
    assert settings.rate(10) == 0.5
    assert settings.rate(55) == pytest.approx(0.25)
    assert settings.rate(99) == pytest.approx(0.25 * (1 + math.cos(math.pi * 89 / 90)))


def test_presets_are_parts_put_in_and_taken_out():
    assert preset("report") == {}
    assert preset("better") == {key: value for part in PARTS.values() for key, value in part.items()}
    assert preset("report+tied+stateful") == {"stateful": True, "tied": True}
    assert preset("better-windows-schedule") == {"stateful": True, "dropout": 0.2, "tied": True}
    assert preset("report+stateful+windows+dropout+tied+schedule") == preset("better")
    assert len(ABLATION) == len(set(ABLATION)) == 2 + len(PARTS)
    names = set(TextSettings.model_fields)
    for name in ABLATION:
        assert preset(name).keys() <= names
        TextSettings(**preset(name))


def test_the_better_recipe_has_as_many_parameters_and_characters_a_step():
    report, better = TextSettings(), TextSettings(**preset("better"))
    for vocabulary in (71, 96):  # of the two books
        sizes = [count_parameters(CharLSTM(vocabulary, **settings.model())) for settings in (report, better)]
        assert abs(sizes[1] / sizes[0] - 1) < 0.05
    assert better.window * better.batch_size == report.window * report.batch_size
    assert better.steps == report.steps


@pytest.mark.parametrize("name", ["best", "report+lr", "better-", "reportstateful", "", "+tied", "report tied"])
def test_unknown_presets(name):
    with pytest.raises(ValueError, match="the parts are stateful, windows, dropout, tied, schedule"):
        preset(name)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"steps": 0}, "^steps: 0 is not allowed: give at least 1$"),
        ({"window": 2.5}, "^window: 2.5 is not allowed: give a whole number$"),
        ({"checkpoint_every": 0}, "^checkpoint_every: 0 is not allowed: give at least 1$"),
        ({"learning_rate": 0.0}, "^learning_rate: 0.0 is not allowed: give more than 0$"),
        ({"clip": math.nan}, "^clip: nan is not allowed: give a finite number$"),
        ({"weight_decay": -1.0}, "^weight_decay: -1.0 is not allowed: give at least 0$"),
        ({"dropout": 1.0}, "^dropout: 1.0 is not allowed: give less than 1$"),
        ({"warmup": -0.1}, "^warmup: -0.1 is not allowed: give at least 0$"),
        ({"seed": -1}, "^seed: -1 is not allowed: give at least 0$"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        TextSettings(**changes)


def test_how_often_it_is_looked_at_is_no_part_of_the_recipe():
    recipe = TextSettings().recipe()
    assert recipe == TextSettings(validate_every=7, checkpoint_every=3, device="cpu").recipe()
    assert "seed" in recipe
    assert TextSettings(tied=True).model() == {
        "hidden_channels": 256,
        "embedding_channels": 128,
        "num_layers": 2,
        "dropout": 0.0,
        "tied": True,
    }
