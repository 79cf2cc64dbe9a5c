"""`gnnkit text`: what it answers, and how it takes bad input."""

import io
import sys

import pytest

from gnnkit.cli import main
from gnnkit.sequence import Sampling
from gnnkit.studies.text.writer import CharWriter

TINY = ("--steps", 40, "--window", 8, "--batch-size", 8, "--hidden", 12, "--embedding", 6, "--learning-rate", 0.02)
TINY += ("--validate-every", 20, "--device", "cpu")


def call(*words):
    with pytest.raises(SystemExit) as left:
        main(["text", *(str(word) for word in words)])
    return left.value.code


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    folder = tmp_path_factory.mktemp("book")
    (folder / "book.txt").write_text("He said the same thing at the same time. I can see the sun! " * 25)
    assert call("train", folder / "book.txt", *TINY, "--out", folder / "model") == 0
    return folder / "model"


def test_training_says_how_good_it_is_and_is_made_once(model, capsys):
    assert call("train", model.parent / "book.txt", *TINY, "--out", model) == 0
    shown = capsys.readouterr()
    lines = shown.out.splitlines()
    assert lines[0].startswith("40 steps, ")
    assert lines[1].startswith("training, last 40 steps: accuracy 0.")
    assert lines[2].startswith("held out: validation ")
    assert lines[3] == f"Model: {model}"
    assert shown.err == ""
    assert call("train", model.parent / "book.txt", *TINY, "--preset", "better", "--out", model) == 2
    assert "another stateful (false there, and true now)" in capsys.readouterr().err


def test_options_come_on_top_of_a_preset(model, tmp_path, capsys):
    words = ("--preset", "report+stateful+dropout", *TINY, "--steps", 2, "--dropout", 0.1, "--out", tmp_path / "out")
    assert call("train", model.parent / "book.txt", *words) == 0
    shown = capsys.readouterr()
    assert "validation" in shown.err
    assert '"stateful": true' in (tmp_path / "out" / "recipe.json").read_text()
    assert '"dropout": 0.1' in (tmp_path / "out" / "recipe.json").read_text()


def test_a_training_that_is_stopped_says_how_to_go_on(model, tmp_path, capsys, monkeypatch):
    from gnnkit.studies.text import training as text

    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(text.TextTraining, "run", stop)
    assert call("train", model.parent / "book.txt", "--out", tmp_path / "out") == 130
    assert "the same command goes on from there" in capsys.readouterr().err


def test_a_training_that_explodes_is_a_line(model, tmp_path, capsys):
    words = (*TINY, "--learning-rate", 1e38, "--clip", 1e38, "--out", tmp_path / "out")
    assert call("train", model.parent / "book.txt", *words) == 1
    assert "gnnkit: the training loss is nan at step" in capsys.readouterr().err


def test_writing_goes_on_after_the_start(model, capsys):
    def text(*words):
        assert call("write", model, *words) == 0
        return capsys.readouterr().out

    plain = text("--length", 40, "--start", "He said", "--tau", 2)
    assert plain.startswith("He said")
    assert len(plain) == len("He said") + 40 + 1
    assert plain == text("--length", 40, "--start", "He said", "--temperature", 0.5)
    assert plain != text("--length", 40, "--start", "He said", "--tau", 2, "--seed", 1)
    greedy = text("--length", 40, "--start", "He said", "--greedy")
    assert greedy == text("--length", 40, "--start", "He said", "--top-k", 1)
    assert greedy == text("--length", 40, "--start", "He said", "--top-p", 1e-6)
    assert text("--start", "Hé", "--replace", "e", "--length", 5)[2:] == text("--start", "He", "--length", 5)[2:]


def test_several_samples_are_told_apart(model, capsys):
    assert call("write", model, "--length", 10, "--samples", 3) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line for line in lines if line.startswith("---")] == ["--- sample 2 ---", "--- sample 3 ---"]


class Pipe(io.StringIO):
    """Keeps what had been written at each flush."""

    def __init__(self):
        super().__init__()
        self.shown = []

    def flush(self):
        self.shown.append(self.getvalue())


def test_it_streams_character_by_character(model, monkeypatch):
    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    assert call("write", model, "--length", 6, "--start", "He") == 0
    lengths = [len(text) for text in pipe.shown]
    assert lengths[:6] == [3, 4, 5, 6, 7, 8]  # the start and one more, then one at a time
    assert pipe.shown[0].startswith("He")


def test_a_model_trained_on_one_stream_reads_on_before_it_writes(model, tmp_path, capsys):
    out = tmp_path / "stateful"
    assert call("train", model.parent / "book.txt", *TINY, "--preset", "report+stateful", "--out", out) == 0
    capsys.readouterr()
    assert call("write", out, "--length", 20, "--start", "He", "--greedy") == 0
    written = capsys.readouterr().out
    writer = CharWriter.load(out)
    assert len(writer.context) == 500
    assert writer.context in (out / "book.txt").read_text()
    blank = CharWriter(writer.model, writer.codec)
    assert written == "He" + blank.texts([writer.context + "He"], 20, Sampling(greedy=True), seed=0)[0] + "\n"
    assert CharWriter.load(model).context == ""  # its windows began at a zero state


def test_the_study_ends_in_a_page(model, tmp_path, capsys):
    words = ("--samples", 2, "--length", 40, "--start", "He", "--out", tmp_path / "out")
    assert call("study", model, *words) == 0
    shown = capsys.readouterr()
    assert shown.out == f"Report: {tmp_path / 'out' / 'report.html'}\n"
    assert shown.err == "studying model\n"
    assert (tmp_path / "out" / "report.md").is_file()


BAD = {
    "no such book": (("train", "nowhere.txt", "--out", "out"), "no such text file: nowhere.txt"),
    "empty": (("train", "empty.txt", "--out", "out"), "empty.txt is empty"),
    "short": (("train", "short.txt", "--out", "out"), "the text is too short: 3 characters"),
    "binary": (("train", "binary.txt", "--out", "out"), "binary.txt is binary, not text: byte 3 is 0x00"),
    "encoding": (("train", "latin.txt", "--out", "out"), "latin.txt is not utf-8: byte 4 (line 1) is 0xe9"),
    "preset": (("train", "short.txt", "--preset", "best", "--out", "out"), "preset is 'best'; write report or better"),
    "steps": (("train", "short.txt", "--steps", 0, "--out", "out"), "steps: 0 is not allowed: give at least 1"),
    "no out": (("train", "short.txt"), "Missing option '--out'"),
    "no model": (("write", "folder"), "folder is not a folder of gnnkit text train"),
    "no folder": (("write", "nowhere"), "no such folder: nowhere"),
    "tau": (("write", "{model}", "--tau", 0), "tau must be a positive number"),
    "negative tau": (("write", "{model}", "--tau", -1), "got -1.0; for the most likely character take greedy"),
    "temperature": (("write", "{model}", "--temperature", 0), "temperature must be a positive number, got 0.0"),
    "two ways": (("write", "{model}", "--tau", 1, "--temperature", 1), "say the same thing: give one of them"),
    "greedy too": (("write", "{model}", "--tau", 1, "--greedy"), "say the same thing: give one of them"),
    "greedy twins": (("write", "{model}", "--greedy", "--samples", 2, "--start", "He"), "are the same"),
    "start": (("write", "{model}", "--start", "Ωmega"), "character 'Ω' (U+03A9) at place 1"),
    "empty start": (("write", "{model}", "--start", ""), "start is empty"),
    "samples": (("write", "{model}", "--samples", 0), "samples must be a whole number of at least 1, got 0"),
    "length": (("write", "{model}", "--length", 0), "length must be a whole number of at least 1, got 0"),
    "seed": (("write", "{model}", "--seed", -1), "seed must be a whole number of at least 0, got -1"),
    "study of nothing": (("study", "folder", "--out", "out"), "folder is not a folder of gnnkit text train"),
    "study into a book": (("study", "{model}", "--out", "short.txt"), "short.txt is a file; give a folder"),
    "verb": (("flub",), "No such command 'flub'"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_exit_code_2(name, model, tmp_path, capsys, monkeypatch):
    words, message = BAD[name]
    (tmp_path / "empty.txt").write_bytes(b"")
    (tmp_path / "short.txt").write_bytes(b"hi\n")
    (tmp_path / "binary.txt").write_bytes(b"ab\0cd")
    (tmp_path / "latin.txt").write_bytes("café au lait".encode("latin-1"))
    (tmp_path / "folder").mkdir()
    monkeypatch.chdir(tmp_path)
    assert call(*(str(word).format(model=model) for word in words)) == 2
    shown = capsys.readouterr()
    assert shown.err.startswith("gnnkit: ")
    assert message in shown.err
    assert shown.err.count("\n") == 1
    assert shown.out == ""
    assert not (tmp_path / "out").exists()


def test_help_names_the_verbs_and_has_examples(capsys):
    assert call() == 0
    shown = capsys.readouterr().out
    assert all(verb in shown for verb in ("train", "write", "study"))
    for verb, example in (("train", "--preset better --out better"), ("write", "1 / temperature"), ("study", "large")):
        assert call(verb, "--help") == 0
        assert example in capsys.readouterr().out
