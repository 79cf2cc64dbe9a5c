"""Text files, and windows of text at random or as one stream; a held-out tail for validation and test."""

from __future__ import annotations

import codecs
import hashlib
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

__all__ = ["TextSplit", "TextWindows", "WindowBatch", "read_text", "split_text", "text_digest"]


def read_text(path: str | Path, *, encoding: str = "utf-8") -> str:
    """Read a text file; line ends become a single "\\n", and a byte-order mark is left out.

    Args:
        path: The file.
        encoding: How its characters are written as bytes. Default UTF-8.

    Returns:
        The text.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: It is a folder, is empty, is binary, or is not in this encoding (the message names the byte and its
            place); or the encoding is unknown.
    """
    path = Path(path)
    try:
        codec = codecs.lookup(encoding)
        b" ".decode(encoding, errors="ignore")  # some codecs make bytes of bytes, or text of text
    except LookupError:
        raise ValueError(f"encoding is {encoding!r}, which is unknown; write e.g. utf-8 or latin-1") from None
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give a text file")
    if not path.is_file():
        raise FileNotFoundError(f"no such text file: {path}")
    content = path.read_bytes()
    if not content:
        raise ValueError(f"{path} is empty; give a text of some thousand characters")
    # No text in any encoding of one to three bytes a character holds a zero byte; those of two and four are named.
    zero = content.find(b"\0")
    if zero >= 0 and not codec.name.startswith(("utf-16", "utf-32")):
        if content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            raise ValueError(f"{path} begins like UTF-16; name its encoding: utf-16")
        raise ValueError(f"{path} is binary, not text: byte {zero + 1} is 0x00; give a plain text file")
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ValueError(
            f"{path} is not {encoding}: byte {error.start + 1} (line {line}) is 0x{content[error.start]:02x}; "
            f"save it as UTF-8, or name its encoding, e.g. latin-1"
        ) from None
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def text_digest(text: str) -> str:
    """SHA-256 of a text in UTF-8."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


class TextSplit(NamedTuple):
    """A text in three parts, in its own order: the tail is held out, first for validation, then for test."""

    train: range
    val: range
    test: range


def split_text(length: int, *, val_share: float = 0.05, test_share: float = 0.05, least: int = 2) -> TextSplit:
    """Divide a text of so many characters: train first, then validation, then test; no two overlap.

    Args:
        length: Characters of the text.
        val_share: Of all characters, for validation. Default 0.05.
        test_share: Of all characters, for test. Default 0.05.
        least: Characters that the training part must have. Default 2. The others must have 2: one to read, one to
            score.

    Raises:
        ValueError: A share is not in (0, 1), they leave nothing for training, or the text is too short.

    Example:
        >>> split_text(1000)
        TextSplit(train=range(0, 900), val=range(900, 950), test=range(950, 1000))
    """
    for name, share in (("val_share", val_share), ("test_share", test_share)):
        if not 0 < share < 1:
            raise ValueError(f"{name} must be a share between 0 and 1, got {share}")
    if val_share + test_share >= 1:
        raise ValueError(f"val_share + test_share is {val_share + test_share}; leave a share for training")
    val, test = int(length * val_share), int(length * test_share)
    train = length - val - test
    if train < least or val < 2 or test < 2:
        raise ValueError(
            f"the text is too short: {length} characters give {max(train, 0)} for training (at least {least} are "
            f"needed), {val} for validation and {test} for test (at least 2 each); take a longer text or a shorter "
            f"window"
        )
    return TextSplit(range(train), range(train, train + val), range(train + val, length))


class WindowBatch(NamedTuple):
    """Characters to read, and after each the one to predict.

    Shape:
        tokens and target `[B, T]`, int64.
    """

    tokens: Tensor
    target: Tensor


class TextWindows:
    """Windows of one encoded text: batch k is a function of the seed and k alone, so training can go on anywhere.

    `"random"`: each batch holds windows from random places. `"stream"`: lane b of the batch starts at b/B of the text
    and each window goes on where the one before it ended, so that a state can be carried over; the text is a ring, and
    its end is followed by its beginning.

    Args:
        tokens: The text, in any type of whole numbers; it is kept as it is, e.g. a byte a character, on its device.
        window: Characters T in a window.
        batch_size: Windows B in a batch. Default 128.
        order: "random" (default) or "stream".
        seed: Of the random places. Default 0.

    Raises:
        ValueError: A number is below 1, the text has fewer than T + 1 characters, or the order is unknown.

    Example:
        >>> windows = TextWindows(torch.arange(10, dtype=torch.uint8), 3, batch_size=2, order="stream")
        >>> windows.batch(0).tokens.tolist(), windows.batch(1).tokens.tolist()
        ([[0, 1, 2], [5, 6, 7]], [[3, 4, 5], [8, 9, 0]])
        >>> windows.batch(0).target.tolist()
        [[1, 2, 3], [6, 7, 8]]
    """

    def __init__(
        self,
        tokens: Int[Tensor, " N"],
        window: int,
        *,
        batch_size: int = 128,
        order: Literal["random", "stream"] = "random",
        seed: int = 0,
    ) -> None:
        for name, value in (("window", window), ("batch_size", batch_size)):
            if isinstance(value, bool) or not isinstance(value, int) or value < 1:
                raise ValueError(f"{name} must be a whole number of at least 1, got {value!r}")
        if order not in ("random", "stream"):
            raise ValueError(f"order must be 'random' or 'stream', got {order!r}")
        if tokens.dim() != 1 or tokens.is_floating_point():
            raise ValueError(f"tokens must be a vector of whole numbers, got {tokens.dtype} {list(tokens.shape)}")
        if len(tokens) < window + 1:
            raise ValueError(
                f"the text is too short: {len(tokens)} characters for a window of {window} and the one after it; take "
                f"a longer text or a shorter window"
            )
        self.tokens, self.window, self.batch_size, self.order, self.seed = tokens, window, batch_size, order, seed
        self._column = torch.arange(window + 1, device=tokens.device)
        lanes = torch.arange(batch_size, device=tokens.device)
        self._lanes = lanes * len(tokens) // batch_size

    def batch(self, number: int) -> WindowBatch:
        """Batch `number`, from 0 on without end."""
        size = len(self.tokens)
        if self.order == "random":
            # A generator a batch: what it draws depends on nothing that was drawn before.
            places = np.random.default_rng([self.seed, number]).integers(size - self.window, size=self.batch_size)
            index = torch.from_numpy(places).to(self.tokens.device)[:, None] + self._column
        else:
            index = (self._lanes[:, None] + (number * self.window) % size + self._column) % size
        characters = self.tokens[index].long()
        return WindowBatch(characters[:, :-1], characters[:, 1:])

    def __repr__(self) -> str:
        return (
            f"TextWindows({len(self.tokens)} characters, window={self.window}, batch_size={self.batch_size}, "
            f"order={self.order!r}, seed={self.seed})"
        )
