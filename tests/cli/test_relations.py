"""`gnnkit relations`: a knowledge graph from files to answers, and how it takes bad input."""

import gzip
import json

import pandas as pd
import pytest

from gnnkit.cli import main


def call(*words):
    with pytest.raises(SystemExit) as left:
        main(["relations", *(str(word) for word in words)])
    return left.value.code


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two families of twelve; under `near` all of one family are linked, under `far` those of both."""
    place = tmp_path_factory.mktemp("kg")
    names = [f"x{i:02d}" for i in range(24)]
    rows = [
        f"{a}\t{'near' if (i < 12) == (j < 12) else 'far'}\t{b}"
        for i, a in enumerate(names)
        for j, b in enumerate(names)
        if i < j and (i + j) % 5
    ]
    (place / "kg.tsv").write_text("\n".join([*rows, "half a line"]) + "\n")
    return place


@pytest.fixture(scope="module")
def fitted(folder):
    out = folder / "model"
    words = ["--data", folder / "kg.tsv", "--symmetric", "--minutes", 0.02, "--channels", 8, "--device", "cpu"]
    assert call("train", *words, "--out", out) == 0
    return out


def test_train_says_what_it_read_and_wrote(fitted, folder, capsys):
    words = ["--data", folder / "kg.tsv", "--symmetric", "--minutes", 0.01, "--model", "decagon", "--device", "cpu"]
    assert call("train", *words, "--out", folder / "other") == 0
    shown = capsys.readouterr()
    assert "24 entities, 2 relations" in shown.err
    assert 'rows left out: {"malformed": 1}' in shown.err
    assert "validation auroc" in shown.err
    assert f"the model is in {folder / 'other'}" in shown.out
    assert sorted(path.name for path in fitted.iterdir()) == ["config.json", "links.safetensors", "weights.safetensors"]


def test_settings_without_an_option_are_set_by_name(folder, capsys):
    words = ["--data", folder / "kg.tsv", "--symmetric", "--epochs", 2, "--model", "decagon", "--device", "cpu"]
    words += ["--set", "encoder_form=authors", "--set", "hidden_channels=6", "--set", "validations=1"]
    assert call("train", *words, "--out", folder / "authors") == 0
    assert "the model is in" in capsys.readouterr().out
    kept = json.loads((folder / "authors" / "config.json").read_text())["config"]["extra"]["training"]
    assert (kept["encoder_form"], kept["hidden_channels"], kept["num_bases"]) == ("authors", 6, None)


def test_evaluate_shows_the_baseline_beside_the_model(fitted, folder, capsys):
    assert call("evaluate", fitted, "--csv", folder / "scores.csv") == 0
    shown = capsys.readouterr().out
    for line in ("random negatives", "negatives that keep degrees", "popularity by relation", "best by AUPRC"):
        assert line in shown
    table = pd.read_csv(folder / "scores.csv")
    assert table["relation"].tolist() == ["far", "near"]
    assert table["auroc"].between(0, 1).all()


def test_predict_ranks_relations_and_partners(fitted, folder, capsys):
    assert call("predict", fitted, "--first", "x01", "--second", "x20") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["relation", "title", "score", "probability", "known"]
    assert lines[1].split()[0] == "far"
    assert call("predict", fitted, "--first", "x01", "--relation", "near", "--new", "--csv", folder / "p.csv") == 0
    assert "rows:" in capsys.readouterr().out
    assert not pd.read_csv(folder / "p.csv")["known"].any()


def test_examples_are_a_page_of_answers(fitted, folder, capsys):
    out = folder / "page.md"
    assert call("examples", fitted, "--pair", "x01,x20", "--partner", "x01,near", "--top", 3, "--out", out) == 0
    assert f"Page: {out}" in capsys.readouterr().out
    page = out.read_text()
    heads = [line for line in page.splitlines() if line.startswith("## ")]
    assert heads == ["## x01 with x20", "## x01: with whom near?", "## How far the probabilities hold"]
    assert "1 links of this pair stood in training.\n\n|  | relation | probability | on record |" in page
    assert page.count("\n| 1 | near | ") == 1  # the pair's other relation stood in training
    assert page.count("\n| 3 | ") == 1  # the third partner


@pytest.fixture(scope="module")
def parts(folder, tmp_path_factory):
    """A model of one relation, trained on files in whose test part there is a second one."""
    place = tmp_path_factory.mktemp("parts")
    links = [f"x{i:02d}\tnear\tx{j:02d}" for i in range(12) for j in range(i) if (i + j) % 5]
    for part, rows in (("train", links[:40]), ("valid", links[40:46]), ("test", [*links[46:], "x01\tonce\tx09"])):
        (place / f"{part}.txt").write_text("\n".join(rows) + "\n")
    words = ["--data", place, "--symmetric", "--minutes", 0.01, "--channels", 8, "--device", "cpu"]
    assert call("train", *words, "--out", place / "model") == 0
    return place / "model"


def test_an_empty_relation_is_reported_and_left_out(parts, capsys):
    words = ["--data", parts.parent, "--symmetric", "--minutes", 0.01, "--channels", 8, "--device", "cpu"]
    assert call("train", *words, "--out", parts.parent / "again") == 0
    assert "relations without training links, of which nothing is learnt: 1 ('once')" in capsys.readouterr().err
    assert call("predict", parts, "--first", "x01", "--second", "x03") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == ["relation", "near"]


def test_a_graph_of_one_relation_is_learnt(tmp_path, capsys):
    names = [f"x{i:02d}" for i in range(24)]
    links = [f"{a}\tnear\t{b}" for i, a in enumerate(names) for b in names[i + 1 :] if (int(a[1:]) < 12) == (b < "x12")]
    (tmp_path / "one.tsv").write_text("\n".join(links) + "\n")
    words = ["--data", tmp_path / "one.tsv", "--symmetric", "--epochs", 150, "--channels", 8, "--device", "cpu"]
    assert call("train", *words, "--out", tmp_path / "m") == 0
    assert "24 entities, 1 relations, 132 links" in capsys.readouterr().err
    assert call("predict", tmp_path / "m", "--first", "x01", "--relation", "near", "--csv", tmp_path / "p.csv") == 0
    table = pd.read_csv(tmp_path / "p.csv")
    assert set(table["entity"].head(11)) == {name for name in names[:12] if name != "x01"}


BAD = {
    "unknown entity": (["predict", "{model}", "--first", "x01x", "--second", "x02"], "did you mean 'x01'"),
    "same twice": (["predict", "{model}", "--first", "x01", "--second", "x01"], "'x01' is given twice"),
    "unknown relation": (["predict", "{model}", "--first", "x01", "--relation", "nera"], "did you mean 'near'"),
    "no question": (["predict", "{model}", "--first", "x01"], "give either --second"),
    "top": (["predict", "{model}", "--first", "x01", "--second", "x02", "--top", "0"], "top: 0 rows"),
    "no model": (["predict", "{folder}", "--first", "a", "--second", "b"], "no folder of gnnkit relations train"),
    "no data": (["train", "--data", "nowhere.tsv"], "there is no such file"),
    "recipe": (["train", "--data", "{folder}/kg.tsv", "--model", "transe"], "model is 'transe'; choose one of"),
    "strict": (["train", "--data", "{folder}/kg.tsv", "--strict", "--out", "{folder}/n"], "1 malformed rows"),
    "setting": (
        ["train", "--data", "{folder}/kg.tsv", "--set", "form=authors"],
        "'form' is no setting; there are decoder",
    ),
    "form": (
        ["train", "--data", "{folder}/kg.tsv", "--set", "encoder_form=paper"],
        "encoder_form is 'paper'; choose one",
    ),
    "bases": (
        [
            "train",
            "--data",
            "{folder}/kg.tsv",
            "--model",
            "decagon",
            *("--set", "encoder_form=authors"),
            *("--set", "num_bases=4"),
        ],
        "num_bases is 4, but encoder_form 'authors' has none",
    ),
    "words": (
        ["train", "--data", "{folder}/kg.tsv", "--set", "hidden_channels=many"],
        "hidden_channels is 'many'; give a",
    ),
    "text": (["train", "--data", "{folder}/kg.tsv", "--set", "dropout=half"], "dropout is 'half'; give a number"),
    "yes": (
        ["train", "--data", "{folder}/kg.tsv", "--set", "popularity=yes"],
        "popularity is 'yes'; give True or False",
    ),
    "part": (
        ["train", "--data", "{folder}/kg.tsv", "--model", "decagon", "--set", "leave_out=proteins,genes"],
        "leave_out: 'genes' is no part of the graph",
    ),
    "no encoder": (["train", "--data", "{folder}/kg.tsv", "--set", "encoder_form=authors"], "but encoder is False"),
    "option": (
        ["train", "--data", "{folder}/kg.tsv", "--set", "seed=3"],
        "seed has an option of its own; write --seed 3",
    ),
    "pair": (["train", "--data", "{folder}/kg.tsv", "--set", "encoder"], "set: 'encoder' is not NAME=VALUE"),
    "one name": (["examples", "{model}", "--pair", "x01"], "--pair: 'x01' is not two names with a comma between them"),
    "minutes": (["train", "--data", "{folder}/kg.tsv", "--minutes", "0"], "seconds is 0"),
    "out": (["train", "--data", "{folder}/kg.tsv", "--out", "{folder}"], "holds other files"),
    "empty relation": (["predict", "{parts}", "--first", "x01", "--relation", "once"], "'once' has no training links"),
    "no relation": (["train", "--data", "{folder}/blank.tsv"], "no row holds head, relation and tail"),
    "damaged gzip": (["train", "--data-root", "{folder}/bad"], "the gzip is damaged"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_line_and_exit_code_2(name, fitted, parts, folder, capsys, monkeypatch, tmp_path):
    bad = folder / "bad"
    bad.mkdir(exist_ok=True)
    for table in ("combo", "mono", "targets", "ppi"):
        (bad / f"bio-decagon-{table}.csv.gz").write_bytes(gzip.compress(b"a,b\n1,2\n" * 1000)[:-9])
    (folder / "blank.tsv").write_text("a\t\tb\nb\t\tc\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    words, message = BAD[name]
    assert call(*(word.format(model=fitted, folder=folder, parts=parts) for word in words)) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("gnnkit: ")
    assert message in shown
    assert shown.count("\n") == 1
