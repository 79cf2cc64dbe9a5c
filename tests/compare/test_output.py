"""The folder of a comparison: whole or not at all."""

import pytest

from gnnkit.compare import check_output, write_output
from gnnkit.compare import output as module


@pytest.fixture(autouse=True)
def _light_report(monkeypatch):
    for name in ("write_report", "write_markdown", "write_latex"):
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
