import tracemalloc

import pytest
import torch

from gnnkit.sequence import CharCodec


def test_the_vocabulary_is_sorted_and_numbers_are_its_places():
    codec = CharCodec.from_text("hello world")
    assert codec.characters == " dehlorw"
    assert len(codec) == 8
    assert codec.encode("low").tolist() == [4, 5, 7]
    assert codec.decode(torch.tensor([7, 5, 6, 1])) == "word"
    assert "w" in codec
    assert "lo" not in codec
    assert CharCodec(" dehlorw") == codec


@pytest.mark.parametrize("text", ["naïve “Æther”\n", "日本語とемоji 🎉🎉", "a", "\t\x7f\udc80"])
def test_there_and_back(text):
    codec = CharCodec.from_text(text)
    assert codec.decode(codec.encode(text)) == text
    assert list(codec.characters) == sorted(set(text))


def test_numbers_take_as_few_bytes_as_they_need():
    def dtype(size):
        return CharCodec("".join(map(chr, range(100, 100 + size)))).encode("d").dtype

    assert (dtype(256), dtype(257), dtype(40_000)) == (torch.uint8, torch.int16, torch.int32)


def test_an_empty_text_encodes_to_nothing():
    codec = CharCodec("ab")
    assert codec.encode("").shape == (0,)
    assert codec.decode(torch.tensor([], dtype=torch.uint8)) == ""


def test_pieces_join_where_they_meet():
    text = "ab" * 700_000 + "c"  # longer than a piece of 2^20
    codec = CharCodec.from_text(text)
    assert codec.characters == "abc"
    tokens = codec.encode(text)
    assert torch.equal(tokens[:-1], torch.tensor([0, 1], dtype=torch.uint8).repeat(700_000))
    assert tokens[-1] == 2
    with pytest.raises(ValueError, match=r"character 'c' \(U\+0063\) at place 1400001 \(line 1, column 1400001\)"):
        CharCodec("ab").encode(text)


def test_no_object_is_made_per_character():
    text = "the same time " * 600_000  # 8.4 million characters
    codec = CharCodec.from_text(text[:100])
    tracemalloc.start()
    codec.encode(text)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A byte a character, and the buffers of one piece; a list of Python numbers would take eight bytes a character.
    assert peak < len(text) + 20e6


def test_an_unknown_character_is_shown_with_its_place():
    codec = CharCodec.from_text("plain text\n")
    message = (
        r"character 'é' \(U\+00E9\) at place 13 \(line 2, column 2\) is not among the 10 that the model knows; "
        "leave it out, or name a replacement"
    )
    with pytest.raises(ValueError, match=message):
        codec.encode("plain text\nnéxt é")
    assert codec.decode(codec.encode("néxt", replacement="e")) == "next"


@pytest.mark.parametrize("replacement", ["é", "", "ab"])
def test_a_replacement_must_be_known(replacement):
    with pytest.raises(ValueError, match="replacement must be one character that the model knows, got"):
        CharCodec("ab").encode("c", replacement=replacement)


def test_bad_vocabularies_and_numbers():
    for characters in ("ba", "aa"):
        with pytest.raises(ValueError, match="characters must be sorted, each once"):
            CharCodec(characters)
    for make in (CharCodec, CharCodec.from_text):
        with pytest.raises(ValueError, match="is empty"):
            make("")
    with pytest.raises(ValueError, match=r"tokens must be from 0 to 1, got 0 \.\.\. 2"):
        CharCodec("ab").decode(torch.tensor([0, 2]))
    with pytest.raises(ValueError, match=r"vector of character numbers, got shape \[1, 2\]"):
        CharCodec("ab").decode(torch.tensor([[0, 1]]))
