import numpy as np
import pandas as pd
import pytest

from gnnkit.cli import main


def files(folder, graph):
    rng = np.random.default_rng(0)
    shocks = rng.standard_normal((401, 4))
    frame = pd.DataFrame(shocks[1:] + np.roll(shocks[:-1], 1, axis=1), columns=list("abcd"))
    frame.to_csv(folder / "series.csv", index=False)
    np.savetxt(folder / "graph.csv", graph, delimiter=",")
    return ["--series", str(folder / "series.csv"), "--graph", str(folder / "graph.csv")]


def run(words):
    with pytest.raises(SystemExit) as end:
        main(["quick", *words])
    return end.value.code


RING = np.roll(np.eye(4), 1, axis=1)


def test_it_answers_on_one_screen_and_writes_nothing(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    words = files(tmp_path, RING)
    assert run([*words, "--horizon", "1", "--history", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    (first,) = (place for place, line in enumerate(lines) if line.startswith("series: Yes: ridge regression gains by"))
    assert len(lines[first:]) <= 24
    assert lines[0].startswith("The time from row to row is not known")
    assert max(map(len, lines)) <= 80
    assert sorted(path.name for path in tmp_path.iterdir()) == ["graph.csv", "series.csv"]


def test_it_keeps_rows_and_a_page_where_it_is_asked_to(tmp_path, capsys):
    words = [*files(tmp_path, RING), "--horizon", "1", "--history", "2", "--folds", "2", "--out", str(tmp_path / "o")]
    assert run([*words, "--markdown"]) == 0
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["quick.csv", "quick.json", "quick.md"]
    assert run(words) == 0
    assert sorted(path.name for path in (tmp_path / "o").iterdir()) == ["quick.csv", "quick.json"]
    capsys.readouterr()


@pytest.mark.parametrize(
    ("graph", "more", "text"),
    [
        (np.eye(4), [], "series has no edge between two nodes, so there is no graph to ask about; give one (graph)"),
        (RING, ["--markdown"], "markdown: the page needs a folder; give out too, e.g. --out quick"),
        (RING, ["--folds", "0"], "folds: "),
        (RING, ["--folds", "50", "--horizon", "12"], "too "),
    ],
)
def test_nonsense_is_a_line(tmp_path, capsys, graph, more, text):
    assert run([*files(tmp_path, graph), *more]) == 2
    told = capsys.readouterr().err
    assert text in told
    assert len(told.splitlines()) == 1


def test_what_was_guessed_about_the_files_is_said(tmp_path, capsys):
    flows = np.array([[0, 50, 4, 30], [20, 0, 40, 5], [30, 5, 0, 40], [4, 5, 30, 0]])
    assert run([*files(tmp_path, flows), "--horizon", "1", "--history", "2"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "graph.csv: the weights " in told
    assert "if they are distances, give --graph-weights distance." in told


def test_distances_between_four_nodes_are_refused(tmp_path, capsys):
    where = np.array([[0, 0], [30, 0], [0, 45], [80, 10]])
    far = np.linalg.norm(where[:, None] - where, axis=2).round(1)
    assert run(files(tmp_path, far)) == 2
    assert "as distances do; give --graph-weights distance" in capsys.readouterr().err


def test_a_folder_of_something_else_is_refused_before_anything_is_fitted(tmp_path, capsys, monkeypatch):
    words = files(tmp_path, RING)
    monkeypatch.setattr("gnnkit.compare.neighbours.quick.fit_ridges", lambda *_, **__: pytest.fail("fitted"))
    assert run([*words, "--out", str(tmp_path)]) == 2
    assert "holds other files (graph.csv); give a new or an empty folder" in capsys.readouterr().err
