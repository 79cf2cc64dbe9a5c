"""What all settings share: one line of complaint, and a JSON document that is taken at its word."""

import pickle
from typing import Annotated

import pytest
from pydantic import Field, ValidationError

from gnnkit.settings.declared import Settings, distinct


class Baking(Settings, frozen=True):
    """Of a cake."""

    minutes: int = Field(default=40, ge=1)
    """Minutes in the
    oven."""
    layers: Annotated[tuple[Annotated[int, Field(ge=2)], ...], Field(min_length=1)] = (2,)
    """Thickness of each."""


def test_the_text_below_a_field_is_its_description():
    assert Baking.model_fields["minutes"].description == "Minutes in the\noven."
    assert Baking.model_json_schema()["properties"]["minutes"]["default"] == 40


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"minutes": 0}, "minutes: 0 is not allowed: give at least 1"),
        ({"minutes": "long", "layers": []}, "minutes: 'long' is not allowed: give a whole number; layers: "),
        ({"layers": ()}, "layers: () is not allowed: give at least 1 value"),
        ({"layers": (1,)}, "layers: 1 is not allowed: give at least 2"),
        ({"minute": 3}, "minute: there is no such setting; did you mean 'minutes'?"),
    ],
)
def test_faults_fit_on_a_line(values, message):
    with pytest.raises(ValueError) as caught:
        Baking(**values)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < len(message) + 60


def test_a_document_is_taken_at_its_word():
    assert Baking.model_validate_json('{"layers": [3]}', strict=True) == Baking(layers=(3,))
    assert Baking(minutes="30").minutes == 30
    with pytest.raises(ValidationError, match="Input should be a valid integer"):
        Baking.model_validate_json('{"minutes": "30"}', strict=True)


def test_settings_are_values():
    assert pickle.loads(pickle.dumps(Baking(minutes=3))) == Baking(minutes=3)
    with pytest.raises(ValidationError, match="frozen"):
        Baking().minutes = 3  # pyright: ignore[reportAttributeAccessIssue]


def test_nothing_is_named_twice():
    assert distinct((1, 2), "a seed") == (1, 2)
    with pytest.raises(ValueError, match=r"^2 is given twice; give a seed once$"):
        distinct((2, 1, 2), "a seed")


def test_what_has_no_default_must_be_given():
    class Named(Settings, frozen=True):
        name: str

    with pytest.raises(ValueError, match=r"^name: it is missing; give it$"):
        Named()  # pyright: ignore[reportCallIssue]


def test_the_line_says_what_was_chosen():
    assert repr(Baking()) == "Baking()"
    assert repr(Baking(minutes=30, layers=(2,))) == str(Baking(minutes=30)) == "Baking(minutes=30)"
