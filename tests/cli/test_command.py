"""The command line: what it answers, and how it takes bad input."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command

import gnnkit
from gnnkit.cli import app, main
from gnnkit.cli.streams import Terminated
from gnnkit.data import DATASETS
from gnnkit.data.nodes import NODE_DATASETS
from gnnkit.temporal import MODELS

ROOT = Path(gnnkit.__file__).parents[1]


def verbs(group, before=()):
    """The words of each verb, from the top."""
    for name, command in group.commands.items():
        yield (*before, name)
        yield from verbs(command, (*before, name)) if hasattr(command, "commands") else ()


def call(*words):
    with pytest.raises(SystemExit) as left:
        main([str(word) for word in words])
    return left.value.code


def test_list_names_models_and_data_sets(capsys):
    assert call("list") == 0
    lines = capsys.readouterr().out.splitlines()
    starts = [line.split()[0] for line in lines]
    assert starts[0] == "models"
    assert {"lstm", "tgcn-official", "simulated", "los-loop"} <= set(starts)
    assert all(len(line.split()) > 3 for line in lines if line.startswith("  "))


def test_list_says_which_data_sets_are_at_hand(capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GNNKIT_DATA", str(tmp_path))
    (tmp_path / "graphs" / "danube").mkdir(parents=True)
    (tmp_path / "graphs" / "danube" / "series.csv.gz").touch()
    (tmp_path / "pems08").mkdir()
    (tmp_path / "pems08" / "PEMS08.npz").touch()  # and no PEMS08.csv
    (tmp_path / "losloop").mkdir()
    for name in ("los_speed.csv", "los_adj.csv"):
        (tmp_path / "losloop" / name).touch()
    assert call("list", "--data") == 0
    found = {line.split()[0]: line.split("  ") for line in capsys.readouterr().out.splitlines()}
    assert set(found) == set(DATASETS)
    places = {name: next(part.strip() for part in parts[1:] if part.strip()) for name, parts in found.items()}
    assert {name for name, place in places.items() if place == "at hand"} == {"simulated", "danube", "los-loop"}
    assert (places["state-flu"], places["pems08"], places["etth1"]) == ("by download", "by hand", "by download")


def test_list_as_markdown_has_a_row_for_each_record_with_paper_licence_and_source(capsys):
    assert call("list", "--markdown") == 0
    text = capsys.readouterr().out
    assert "| name | family | what it is | paper |\n| --- | --- | --- | --- |\n| `rnn` | sequence | " in text
    for entry in MODELS.values():
        assert f"\n| `{entry.name}` | {entry.family} | {entry.description} | {entry.paper} |\n" in text
    for record in (*DATASETS.values(), *NODE_DATASETS.values()):
        row = f"| `{record.name}` | {record.licence} | {record.description} | {record.paper} | {record.source} |"
        assert f"\n{row}\n" in text
    page = ROOT / "benchmarks" / "results" / "models.md"
    assert page.read_text(encoding="utf-8") == text, "gnnkit list --markdown > benchmarks/results/models.md"


def test_version(capsys):
    assert call("--version") == 0
    assert capsys.readouterr().out == f"gnnkit {gnnkit.__version__}\n"


def test_no_verb_shows_the_help_and_an_unknown_one_is_an_error(capsys):
    assert call() == 0
    assert "compare" in capsys.readouterr().out
    assert call("compere") == 2
    assert capsys.readouterr().err.startswith("gnnkit: No such command 'compere'")


@pytest.mark.parametrize("verb", sorted(verbs(get_command(app))), ids=" ".join)
def test_every_verb_shows_its_help(verb, capsys):
    assert call(*verb, "--help") == 0
    assert f"Usage: gnnkit {' '.join(verb)}" in capsys.readouterr().out


def test_the_parser_loads_nothing_heavy():
    code = (
        "import sys, gnnkit.cli; print([m for m in ('torch', 'pandas', 'lightning', 'matplotlib') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True)
    assert done.stdout.strip() == "[]"


def test_python_dash_m(tmp_path):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    words = [sys.executable, "-m", "gnnkit", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, cwd=tmp_path, env=environment, check=True)
    assert done.stdout == f"gnnkit {gnnkit.__version__}\n"


TINY_STUDY = ("--lengths", 3, "--cells", "gru", "--embeddings", 2, "--steps", 4, "--hidden", 4, "--batch-size", 8)
TINY_STUDY += ("--test-sequences", 20, "--device", "cpu")


def test_sequence_runs_the_study_and_goes_on(tmp_path, capsys):
    out = tmp_path / "out"
    assert call("sequence", *TINY_STUDY, "--seeds", "7,", "--out", out) == 0
    shown = capsys.readouterr().out
    assert "GRU" in shown.splitlines()
    assert not any(mark in shown for mark in ("![", "##", "|--"))  # Markdown is for the file
    assert "## Table 1: GRU" in (out / "report.md").read_text(encoding="utf-8")
    assert shown.splitlines()[-1] == f"Report: {out / 'report.md'}"
    first = (out / "runs" / "gru-T3-embedding2-report-seed7.json").read_bytes()
    assert call("sequence", *TINY_STUDY, "--seeds", "7,8", "--out", out) == 0
    assert (out / "runs" / "gru-T3-embedding2-report-seed7.json").read_bytes() == first
    assert len((out / "rows.csv").read_text().splitlines()) == 5  # both initialisations
    assert call("sequence", *TINY_STUDY, "--clip", 5, "--out", out) == 2
    assert "holds runs with another clip (10.0 there, and 5.0 now): repeat that" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--lengths", "5,1"), "lengths: 1 is not allowed: give at least 2"),
        (("--lengths", "five"), "lengths: 'five' is not allowed: give a whole number"),
        (("--cells", "lstn"), "cells: 'lstn' is not known; did you mean 'lstm'?"),
        (("--initializations", "xavier"), "initializations: 'xavier' is not known; choose from report, gnnkit"),
        (("--hidden", 0), "hidden_channels: 0 is not allowed: give at least 1"),
        (("--batch-size", 0), "batch_size: 0 is not allowed: give at least 1"),
    ],
)
def test_sequence_refuses_bad_input(tmp_path, capsys, words, message):
    assert call("sequence", *words, "--out", tmp_path / "out") == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def test_sequence_that_is_stopped_says_how_to_go_on(tmp_path, capsys, monkeypatch):
    from gnnkit.studies.combinations import study as combinations

    def stop(*args, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr(combinations, "train", stop)
    assert call("sequence", *TINY_STUDY, "--out", tmp_path / "out") == 130
    assert "the same command goes on from there" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("stop", "code", "said"), [(KeyboardInterrupt, 130, "stopped;"), (Terminated, 143, "by SIGTERM;")]
)
def test_a_verb_that_is_stopped_says_so(capsys, monkeypatch, stop, code, said):
    from gnnkit.compare import output

    def stopped(*args, **options):
        raise stop

    monkeypatch.setattr(output, "kept_spec", stopped)
    monkeypatch.setattr("gnnkit.compare.kept_spec", stopped)
    assert call("report", "somewhere", "--judge") == code
    assert said in capsys.readouterr().err


def test_a_file_that_ends_too_early_is_no_control_c(capsys, monkeypatch):
    def short(*args, **options):
        raise EOFError("Compressed file ended before the end-of-stream marker was reached")

    monkeypatch.setattr("gnnkit.compare.kept_spec", short)
    assert call("report", "somewhere", "--judge") == 2
    assert "gnnkit: a file that is read ends too early: Compressed file ended" in capsys.readouterr().err
