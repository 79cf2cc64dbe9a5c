"""A small book and a model that was trained on it; a small polypharmacy graph in which there is something to learn."""

import random

import pytest
import torch

from gnnkit.data import DecagonData, Triples
from gnnkit.studies.text.settings import TextSettings
from gnnkit.studies.text.training import train_text

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


@pytest.fixture(scope="session")
def polypharmacy() -> DecagonData:
    """40 drugs of four families, each with a protein of its own, and six side effects.

    A side effect is one between families that are matched, in one of the three ways to match four of them: every drug
    is in as many pairs as any other, and only who is with whom can be learnt.
    """
    generator = torch.Generator().manual_seed(0)
    family = torch.arange(40) % 4
    ends = torch.combinations(torch.arange(40)).t()
    parts = []
    for relation in range(6):
        matched = (family[ends[0]] ^ family[ends[1]]) == relation % 3 + 1
        chosen = ends[:, matched & (torch.rand(ends.size(1), generator=generator) < 0.6)]
        parts.append(torch.stack([chosen[0], torch.full((chosen.size(1),), relation), chosen[1]]))
    drugs = tuple(f"CID{100 + i}" for i in range(40))
    titles = ("nausea", "anaemia", "fever", "rash", "cough", "sleepiness")
    pairs = Triples("toy", drugs, tuple(f"C{i}" for i in range(6)), torch.cat(parts, 1), True, titles)
    targets = torch.stack([torch.arange(40), family])
    interactions, single = torch.tensor([[0, 1], [1, 2]]), torch.stack([torch.arange(40), family % 2])
    return DecagonData(pairs, tuple("pqrs"), ("E0", "E1"), interactions, targets, single, {"combo": {"duplicate": 0}})
