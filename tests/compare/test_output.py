"""The folder of a comparison: whole or not at all."""

import pytest

from gnnkit.compare import check_output, kept_spec, make_spec, write_output
from gnnkit.compare import output as module
from gnnkit.compare.output import keep_spec


@pytest.fixture(autouse=True)
def _light_report(monkeypatch):
    for name in ("write_tests", "write_report", "write_markdown", "write_latex"):
        monkeypatch.setattr(module, name, lambda results, path: path.write_text("drawn"))


class Saved:
    def __init__(self, text="1", fails=False):
        self.text, self.fails = text, fails

    def save(self, directory):
        (directory / "rows.csv").write_text(self.text)
        (directory / "rows.parquet").write_text(self.text)
        if self.fails:
            raise OSError("disk full")
        (directory / "results.json").write_text('{"gnnkit_results": true}')


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_a_new_folder_gets_all_files_and_nothing_else_is_left(tmp_path):
    report = write_output(Saved(), tmp_path / "a" / "b")
    assert report == tmp_path / "a" / "b" / "report.html"
    assert names(tmp_path / "a" / "b") == sorted(module.OUTPUT_FILES)
    assert names(tmp_path / "a") == ["b"]


def test_former_results_are_replaced(tmp_path):
    write_output(Saved("old"), tmp_path / "out")
    write_output(Saved("new"), tmp_path / "out")
    assert (tmp_path / "out" / "rows.csv").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_an_error_on_the_way_leaves_everything_as_it_was(tmp_path):
    with pytest.raises(OSError, match="disk full"):
        write_output(Saved(fails=True), tmp_path / "out")
    assert names(tmp_path) == []
    write_output(Saved("old"), tmp_path / "out")
    with pytest.raises(OSError, match="disk full"):
        write_output(Saved("new", fails=True), tmp_path / "out")
    assert (tmp_path / "out" / "rows.csv").read_text() == "old"


def test_folders_with_other_things_are_refused(tmp_path):
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds other files \(notes.txt\); give a new or an empty folder"):
        check_output(tmp_path)
    with pytest.raises(ValueError, match="is a file; give a folder"):
        check_output(tmp_path / "notes.txt")
    with pytest.raises(ValueError, match="is not a folder that can be written to"):
        check_output(tmp_path / "notes.txt" / "below")
    (tmp_path / "half").mkdir()
    assert check_output(tmp_path / "half") == tmp_path / "half"
    (tmp_path / "half" / "rows.csv").write_text("a,b")
    with pytest.raises(ValueError, match="is not empty and not a former result"):
        check_output(tmp_path / "half")


BEGUN = {"models": ["gru", "tgcn"], "seeds": [0, 1], "settings": {"gru": {"dropout": 0.1}}, "device": "cpu"}


@pytest.fixture
def half(tmp_path):
    """A folder with one finished fit of a run that is not over."""
    (tmp_path / "jobs").mkdir()
    (tmp_path / "jobs" / "gru-seed0.safetensors").touch()
    keep_spec(make_spec(**BEGUN, threads=2), tmp_path, data_hash="a" * 64)
    return tmp_path


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"epochs": 9}, "epochs is 8 there, and 9 now"),
        ({"seeds": [1, 2]}, "seeds is [0, 1] there, and [1, 2] now"),
        ({"models": ["gru"]}, 'models is ["gru", "tgcn"] there, and ["gru"] now'),
        ({"settings": {}}, 'settings is {"gru": {"dropout": 0.1}} there, and {} now'),
        ({"loss": "mse", "clip": 1.0}, "clip is 5.0 there, and 1.0 now, and loss too"),
    ],
)
def test_the_spec_of_a_run_that_is_not_over_is_not_lost(half, values, words):
    before = (half / "spec.json").read_bytes()
    with pytest.raises(ValueError) as caught:
        keep_spec(make_spec(**BEGUN | values), half, data_hash="a" * 64)
    assert str(caught.value) == (
        f"{half} holds a run that is not over, of another spec ({words}); finish it (--resume {half}), or give another "
        f"folder"
    )
    assert (half / "spec.json").read_bytes() == before


def test_a_run_that_is_not_over_may_grow(half):
    more = {"models": ["dlinear", "tgcn", "gru"], "seeds": [2, 1, 0], "train_shares": [0.5], "hidden_shares": [0.1]}
    more |= {"ablate_graph": ["tgcn"], "settings": BEGUN["settings"] | {"dlinear": {"learning_rate": 0.1}}}
    keep_spec(make_spec(**BEGUN | more, threads=1), half, data_hash="a" * 64)
    assert kept_spec(half) == make_spec(**BEGUN | more, threads=1)


@pytest.mark.parametrize(
    ("budget", "values", "name"),
    [({"trials": 2}, {"seeds": [2, 0, 1]}, "seeds"), ({"budget": "parameters"}, {"models": ["tgcn", "gru"]}, "models")],
)
def test_what_a_budget_begins_with_stays_first(half, budget, values, name):
    (half / "spec.json").unlink()
    keep_spec(make_spec(**BEGUN | budget), half, data_hash="a" * 64)
    with pytest.raises(ValueError, match=rf"of another spec \({name} is "):
        keep_spec(make_spec(**BEGUN | budget | values), half, data_hash="a" * 64)


def test_a_run_with_results_or_without_a_finished_fit_loses_nothing(half):
    (half / "results.json").touch()
    keep_spec(make_spec(**BEGUN, epochs=9), half, data_hash="b" * 64)
    (half / "results.json").unlink()
    (half / "jobs" / "gru-seed0.safetensors").unlink()
    keep_spec(make_spec(**BEGUN, epochs=7), half, data_hash="c" * 64)
    assert kept_spec(half).epochs == 7


def test_what_a_kill_leaves_is_no_other_file(tmp_path):
    out = tmp_path / "out"
    (out / "jobs").mkdir(parents=True)
    for name in ("lock", "spec.json.7-1.part"):
        (out / name).write_text("{")
    (out / "output.7-1.part").mkdir()
    assert check_output(out) == out
    (out / "movie.part").write_text("mine")
    with pytest.raises(ValueError, match=r"holds other files \(movie.part\)"):
        check_output(out)
    (out / "movie.part").unlink()
    write_output(Saved(), out)
    assert names(out) == sorted((*module.OUTPUT_FILES, "jobs"))
