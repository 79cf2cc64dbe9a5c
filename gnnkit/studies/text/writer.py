"""A trained character model with its vocabulary: a folder that is written, read, and that writes."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from jaxtyping import Int
from torch import Tensor

from gnnkit.kept_files import json_of
from gnnkit.kept_tensors import load_tensors
from gnnkit.sequence import CharCodec, CharLSTM, Sampling, write_characters
from gnnkit.training import load_checkpoint, save_checkpoint

__all__ = ["CharWriter", "StreamScore", "read_recipe", "score_stream"]

# Characters that are read at once when a text is scored; the state is carried from one piece to the next.
_PIECE = 4096


class StreamScore(NamedTuple):
    """How well a model predicts a text: bits per character, share of characters that it held for the likeliest, and
    how many characters were scored (all but the first, which is only read)."""

    bits: float
    accuracy: float
    characters: int


def score_stream(model: CharLSTM, tokens: Int[Tensor, " N"]) -> StreamScore:
    """Score each character of a text after the first; it is read as one stream, the state carried from zero to its end.

    `bits = -1/(N - 1) sum_t log2 p(x_{t+1} | x_1 ... x_t)`. The model is put in evaluation mode.

    Args:
        model: On any device.
        tokens: The encoded text, in any type of whole numbers, on the model's device.

    Raises:
        ValueError: The text has fewer than two characters.
    """
    if len(tokens) < 2:
        raise ValueError(f"a text of {len(tokens)} characters cannot be scored: one is read, and one predicted")
    model.eval()
    nats, right, state = 0.0, 0, None
    with torch.inference_mode():
        for first in range(0, len(tokens) - 1, _PIECE):
            piece = tokens[first : first + _PIECE + 1].long()
            logits, state = model(piece[None, :-1], state)
            # Summed in double precision, on the CPU, as not every device has it.
            nats += F.cross_entropy(logits[0], piece[1:], reduction="none").cpu().double().sum().item()
            right += int((logits[0].argmax(dim=-1) == piece[1:]).sum())
    count = len(tokens) - 1
    return StreamScore(nats / count / math.log(2), right / count, count)


@dataclass
class CharWriter:
    """A character model and its vocabulary.

    Args:
        model: The model.
        codec: Its vocabulary.
        context: A text that is read before every start, and not written. Default empty: writing begins from a zero
            state, which a model that was trained on one long stream has hardly ever seen.

    Example:
        >>> codec = CharCodec.from_text("the same time")
        >>> writer = CharWriter(CharLSTM(len(codec), 8), codec)
        >>> lines = list(writer.write(["the", "tim"], 5, Sampling(), seed=0))
        >>> len(lines), len(lines[0])
        (5, 2)
    """

    model: CharLSTM
    codec: CharCodec
    context: str = ""

    def save(self, directory: str | Path, settings: dict[str, Any]) -> None:
        """Write weights and configuration; `settings` are the model's arguments but the vocabulary's size."""
        config = {"characters": self.codec.characters, "model": settings, "context": self.context}
        save_checkpoint(directory, self.model, config)

    @classmethod
    def load(cls, directory: str | Path, *, device: torch.device | str = "cpu") -> CharWriter:
        """Read what `gnnkit text train` left.

        Raises:
            FileNotFoundError: There is no such folder.
            ValueError: It holds no character model, or the model's training is not finished.
        """
        directory = Path(directory)
        if not directory.is_dir():
            raise FileNotFoundError(
                f"no such folder: {directory}; gnnkit text train BOOK.txt --out {directory} makes it"
            )
        if read_recipe(directory) is None:
            raise ValueError(f"{directory} is not a folder of gnnkit text train; give one that it wrote")
        if not (directory / "row.json").is_file():
            raise ValueError(f"the training in {directory} is not finished; the command that began it goes on with it")
        model, config = load_checkpoint(directory, _build)
        codec = CharCodec(config["characters"])
        return cls(model.to(device), codec, config.get("context", ""))  # pyright: ignore[reportArgumentType]

    def at(self, weights: str | Path) -> CharWriter:
        """The same model at an earlier stage of its training.

        Args:
            weights: A file of its folder `stages`.

        Raises:
            ValueError: The file is missing or holds other weights.
        """
        device = self.model.embedding.weight.device
        names = ("hidden_channels", "embedding_channels", "num_layers", "dropout", "tied")
        model = CharLSTM(len(self.codec), **{name: getattr(self.model, name) for name in names})
        try:
            model.load_state_dict(load_tensors(weights)[1])
        except (OSError, RuntimeError, ValueError) as error:
            raise ValueError(f"{weights} does not hold weights of this model: {str(error).splitlines()[-1]}") from None
        return CharWriter(model.to(device).eval(), self.codec, self.context)

    def write(
        self, starts: Sequence[str], length: int, sampling: Sampling, *, seed: int, replacement: str | None = None
    ) -> Iterator[list[str]]:
        """Go on after each start, all of them in one batch, one character of each at a time; the context is read first.

        Args:
            starts: Texts of the same length, at least one character each.
            length: Characters to write after them.
            sampling: How a character is chosen.
            seed: Of the choice.
            replacement: See `CharCodec.encode`.

        Returns:
            An iterator of `length` lists: the next character of each sample.

        Raises:
            ValueError: A start is empty, has another length than the others, or holds an unknown character.
        """
        if not starts or not all(starts):
            raise ValueError("start is empty; give at least one character")
        if len({len(start) for start in starts}) > 1:
            raise ValueError("starts must have the same length, as they are read in one batch; write them one by one")
        tokens = torch.stack([self.codec.encode(start, replacement=replacement) for start in starts]).long()
        before = self.codec.encode(self.context).long().expand(len(starts), -1)
        tokens = torch.cat([before, tokens], dim=1)
        generator = torch.Generator().manual_seed(seed)
        characters = write_characters(self.model, tokens, length, sampling, generator=generator)
        return ([self.codec.characters[number] for number in column.tolist()] for column in characters)

    def texts(self, starts: Sequence[str], length: int, sampling: Sampling, *, seed: int) -> list[str]:
        """What `write` gives, whole and without the starts."""
        return ["".join(column) for column in zip(*self.write(starts, length, sampling, seed=seed), strict=True)]

    def first_characters(self, count: int, *, seed: int, letters: bool = False) -> list[str]:
        """Random first characters for samples, of the whole vocabulary, each once as long as there are others.

        The first is a letter and the second is none, where there are both; the others come as they are drawn.

        Args:
            count: How many.
            seed: The same seed, the same characters.
            letters: Letters alone, if there are some: what a reader takes for a beginning. Default False.
        """
        characters = self.codec.characters
        pool = [character for character in characters if character.isalpha()] if letters else []
        pool = pool or list(characters)
        generator = torch.Generator().manual_seed(seed)
        order: list[str] = []
        while len(order) < count:
            order += [pool[place] for place in torch.randperm(len(pool), generator=generator).tolist()]
        for place, letter in ((0, True), (1, False)):
            first = next((at for at, character in enumerate(order) if character.isalpha() == letter), place)
            order.insert(place, order.pop(first))
        return order[:count]


def _build(**config: Any) -> CharLSTM:
    if set(config) - {"context"} != {"characters", "model"}:  # a model of an earlier gnnkit has no context
        raise ValueError(f"the configuration is not a character model's: it has {', '.join(sorted(config))}")
    return CharLSTM(len(config["characters"]), **config["model"])


def read_recipe(directory: Path) -> dict[str, Any] | None:
    """What a folder's training was begun with; None where the folder holds none."""
    try:
        document = json_of((directory / "recipe.json").read_bytes())
    except (OSError, ValueError):
        return None
    return document if isinstance(document, dict) and document.get("gnnkit_text") is True else None
