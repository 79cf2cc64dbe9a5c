import json
import math
import shutil

import pytest
import torch
import torch.nn.functional as F

from gnnkit.kept_files import read_json, write_json
from gnnkit.sequence import CharCodec, CharLSTM, Sampling
from gnnkit.studies.text import writer as text_model
from gnnkit.studies.text.writer import CharWriter, read_recipe, score_stream


def test_a_text_is_scored_as_one_stream(monkeypatch):
    torch.manual_seed(0)
    model, tokens = CharLSTM(5, 6, embedding_channels=3, dropout=0.5), torch.randint(5, (50,), dtype=torch.uint8)
    logits = model.eval()(tokens[None, :-1].long()).logits[0]
    goal = tokens[1:].long()
    expected = F.cross_entropy(logits.double(), goal).item() / math.log(2)
    for piece in (4096, 7, 49, 50):  # the state is carried over every border
        monkeypatch.setattr(text_model, "_PIECE", piece)
        score = score_stream(model.train(), tokens)
        assert score.bits == pytest.approx(expected, rel=1e-6)
        assert score.accuracy == pytest.approx((logits.argmax(dim=1) == goal).float().mean().item())
        assert score.characters == 49
    with pytest.raises(ValueError, match="a text of 1 characters cannot be scored"):
        score_stream(model, tokens[:1])


def test_a_model_that_knows_nothing_needs_all_bits():
    model = CharLSTM(8, 4, embedding_channels=2)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert score_stream(model, torch.randint(8, (100,))).bits == pytest.approx(3.0)


def test_a_writer_is_read_as_it_was_written(trained):
    writer = CharWriter.load(trained)
    book = (trained / "book.txt").read_text()
    assert writer.codec == CharCodec.from_text(book)
    row = json.loads((trained / "row.json").read_text())
    tail = writer.codec.encode(book)[-400:]
    assert score_stream(writer.model, tail).bits == pytest.approx(row["test_bits"])
    first = writer.texts(["He", "It"], 20, Sampling(), seed=3)
    assert first == CharWriter.load(trained).texts(["He", "It"], 20, Sampling(), seed=3)
    assert [len(text) for text in first] == [20, 20]
    assert first != writer.texts(["He", "It"], 20, Sampling(), seed=4)


def test_greedy_writing_repeats_the_book(trained):
    text = CharWriter.load(trained).texts(["He sai"], 2, Sampling(greedy=True), seed=0)
    assert text == ["d "]


def test_an_earlier_stage(trained):
    writer = CharWriter.load(trained)
    early = writer.at(trained / "stages" / "step-1.safetensors")
    tokens = writer.codec.encode((trained / "book.txt").read_text())[-400:]
    assert score_stream(early.model, tokens).bits > score_stream(writer.model, tokens).bits + 0.1
    assert early.codec == writer.codec
    with pytest.raises(ValueError, match="does not hold weights of this model"):
        writer.at(trained / "stages" / "step-9.safetensors")


def test_first_characters_are_any_of_the_vocabulary_each_once():
    codec = CharCodec.from_text("abcdef .!\n")
    writer = CharWriter(CharLSTM(len(codec), 4), codec)
    first = writer.first_characters(10, seed=1)
    assert sorted(first) == sorted("abcdef .!\n")
    assert first == writer.first_characters(10, seed=1) != writer.first_characters(10, seed=2)
    assert len(writer.first_characters(20, seed=0)) == 20
    for seed in range(20):
        assert [character.isalpha() for character in writer.first_characters(2, seed=seed)] == [True, False]
    assert len({tuple(writer.first_characters(2, seed=seed)) for seed in range(20)}) > 5
    for text in ("abcd", "0123"):
        alone = CharCodec.from_text(text)
        assert sorted(CharWriter(CharLSTM(4, 4), alone).first_characters(4, seed=0)) == list(text)


def test_first_characters_are_letters_where_that_is_asked_for():
    codec = CharCodec.from_text("abcdef .!")
    writer = CharWriter(CharLSTM(len(codec), 4), codec)
    first = writer.first_characters(6, seed=1, letters=True)
    assert sorted(first) == list("abcdef")
    assert first != writer.first_characters(6, seed=2, letters=True)
    digits = CharCodec.from_text("0123")
    assert set(CharWriter(CharLSTM(4, 4), digits).first_characters(4, seed=0, letters=True)) == set("0123")


def test_bad_starts(trained):
    writer = CharWriter.load(trained)
    with pytest.raises(ValueError, match="start is empty"):
        writer.write([""], 5, Sampling(), seed=0)
    with pytest.raises(ValueError, match="starts must have the same length"):
        writer.write(["He", "a"], 5, Sampling(), seed=0)
    with pytest.raises(ValueError, match=r"character 'Ω' \(U\+03A9\) at place 2"):
        writer.write(["HΩ"], 5, Sampling(), seed=0)
    replaced = "".join(c[0] for c in writer.write(["HΩ"], 5, Sampling(), seed=0, replacement="e"))
    assert replaced == writer.texts(["He"], 5, Sampling(), seed=0)[0]


def test_folders_that_are_no_model(trained, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no such folder: .*; gnnkit text train BOOK.txt --out"):
        CharWriter.load(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="is not a folder of gnnkit text train; give one that it wrote"):
        CharWriter.load(tmp_path)
    (tmp_path / "recipe.json").write_text("[1")
    assert read_recipe(tmp_path) is None
    copy = tmp_path / "copy"
    shutil.copytree(trained, copy)
    assert read_recipe(copy)["book"] == "small"
    (copy / "row.json").unlink()
    with pytest.raises(ValueError, match="is not finished; the command that began it goes on with it"):
        CharWriter.load(copy)
    (copy / "row.json").write_text("{}")
    write_json(copy / "config.json", read_json(copy / "config.json") | {"config": {"in_channels": 3}})
    with pytest.raises(ValueError, match="the configuration is not a character model's: it has in_channels"):
        CharWriter.load(copy)
