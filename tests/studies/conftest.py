"""A small book, and a model that was trained on it."""

import random

import pytest

from gnnkit.studies.text import train_text
from gnnkit.studies.text_settings import TextSettings

WORDS = ("the", "same", "time", "to", "of", "and", "he", "said", "that", "it", "was", "a", "house", "in", "which")


@pytest.fixture(scope="session")
def small_book():
    """8000 characters of sentences, the same each time."""
    draw, text = random.Random(0), ""
    while len(text) < 8000:
        words = draw.choices(WORDS, k=draw.randrange(4, 9))
        text += " ".join(words).capitalize() + draw.choice([". ", ".\n", "! "])
    return text[:8000]


@pytest.fixture(scope="session")
def trained(tmp_path_factory, small_book):
    """A folder with a finished training."""
    folder = tmp_path_factory.mktemp("text")
    (folder / "small.txt").write_text(small_book)
    settings = TextSettings(
        steps=120,
        window=12,
        batch_size=16,
        hidden_channels=24,
        embedding_channels=8,
        learning_rate=2e-2,
        validate_every=50,
        device="cpu",
    )
    train_text(folder / "small.txt", settings, folder / "model")
    return folder / "model"
