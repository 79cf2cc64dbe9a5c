"""What may be said of forecasts that were made elsewhere."""

import pytest

from gnnkit.settings.comparison import ComparisonFields
from gnnkit.settings.judging import JudgeFields


def test_a_judgement_has_the_settings_of_a_comparison_that_trains_nothing():
    shared = {name: field.description for name, field in JudgeFields.model_fields.items()}
    assert shared.items() <= {name: field.description for name, field in ComparisonFields.model_fields.items()}.items()
    assert "epochs" not in shared


def test_wrong_names_and_files_are_said_in_a_line(tmp_path):
    (tmp_path / "x.npz").write_text("")
    file = tmp_path / "x.npz"
    for text, asked in {
        "forecasts.x: no such file: ": {"forecasts": {"x": tmp_path / "y.npz"}},
        "forecasts.x: .* is a folder; give a file": {"forecasts": {"x": tmp_path}},
        "'a,b' is no name of a forecast; give a short one without , and =": {"forecasts": {"a,b": file}},
        "origins: -1 is no row; give the number of a row from 0 on, or a time": {"origins": -1},
        "graph_forecasts: x is given twice; give a name once": {"graph_forecasts": ["x", "x"]},
        "graph_forecasts: 'x' is among sequence_forecasts too; leave it out of one of them": {
            "forecasts": {"x": file},
            "graph_forecasts": ["x"],
            "sequence_forecasts": ["x"],
        },
    }.items():
        with pytest.raises(ValueError, match=text):
            JudgeFields(**asked)
