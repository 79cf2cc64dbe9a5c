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
        ({"lengths": (5, 1)}, r"lengths must list whole numbers of at least 2, got \[5, 1\]"),
        ({"embeddings": (0,)}, "embeddings must list whole numbers of at least 1"),
        ({"seeds": ()}, "seeds must list whole numbers of at least 0"),
        ({"seeds": (1, 1)}, "seeds names something twice"),
        ({"cells": ("lstm", "transformer")}, "cells must list some of rnn, lstm, gru, birnn, bilstm, bigru"),
        ({"initializations": ("zeros",)}, r"initializations must list some of report, gnnkit, got \['zeros'\]"),
        ({"initializations": ()}, "initializations must list some of"),
        ({"initializations": ("report", "report")}, "initializations names something twice"),
        ({"hidden_channels": 0}, "hidden_channels must be a whole number of at least 1, got 0"),
        ({"batch_size": 0}, "batch_size must be a whole number of at least 1, got 0"),
        ({"learning_rate": 0.0}, "learning_rate must be a positive number"),
        ({"clip": float("nan")}, "clip must be a positive number, got nan"),
    ],
)
def test_bad_settings(changes, message):
    with pytest.raises(ValueError, match=message):
        CombinationsSettings(**changes)
