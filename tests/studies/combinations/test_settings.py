import pytest

from gnnkit.studies.combinations.settings import CombinationsSettings


def test_defaults_are_the_reports_recipe():
    recipe = CombinationsSettings().recipe()
    assert recipe == {
        "steps": 2000,
        "hidden_channels": 128,
        "batch_size": 128,
        "learning_rate": 1e-3,
        "clip": 10.0,
        "test_sequences": 5000,
    }
    assert CombinationsSettings().seeds == (0, 24, 42)
    assert len(CombinationsSettings().runs()) == 3 * 2 * 2 * 2 * 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"lengths": (5, 1)}, "^lengths: 1 is not allowed: give at least 2$"),
        ({"embeddings": (0,)}, "^embeddings: 0 is not allowed: give at least 1$"),
        ({"seeds": ()}, r"^seeds: \(\) is not allowed: give at least 1 value$"),
        ({"seeds": (1, 1)}, "^seeds: 1 is given twice; give each value once$"),
        (
            {"cells": ("lstm", "transformer")},
            "^cells: 'transformer' is not known; choose from rnn, lstm, gru, birnn, bilstm, bigru$",
        ),
        ({"initializations": ("zeros",)}, "^initializations: 'zeros' is not known; choose from report, gnnkit$"),
        ({"initializations": ()}, r"^initializations: \(\) is not allowed: give at least 1 value$"),
        ({"initializations": ("report", "report")}, "^initializations: report is given twice; give each value once$"),
        ({"hidden_channels": 0}, "^hidden_channels: 0 is not allowed: give at least 1$"),
        ({"batch_size": 0}, "^batch_size: 0 is not allowed: give at least 1$"),
        ({"learning_rate": 0.0}, "^learning_rate: 0.0 is not allowed: give more than 0$"),
        ({"clip": float("nan")}, "^clip: nan is not allowed: give a finite number$"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        CombinationsSettings(**changes)
