"""Files are whole or not there; a folder is one process's at a time and takes no results made from something else."""

import errno
import os
import signal
import subprocess
import sys
import threading

import pytest

from gnnkit.kept_files import (
    check_claim,
    claim_folder,
    damage_named,
    locked_folder,
    read_json,
    replace_file,
    write_json,
    write_text,
)

MADE_FROM = {"data": "cora", "settings": {"epochs": 3, "patience": None}, "graph": {"x": "a" * 64, "y": "b" * 64}}


def claim(out, finished=True, **changes):
    with claim_folder(out, "run.json", {**MADE_FROM, **changes}, "a run", finished=lambda: finished):
        pass


def test_the_same_goes_on(tmp_path):
    claim(tmp_path / "out")
    claim(tmp_path / "out")
    assert read_json(tmp_path / "out" / "run.json") == MADE_FROM
    check_claim(tmp_path / "out", "run.json", {"data": "cora"}, "a run", finished=lambda: True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"data": "pubmed"},
            r'holds a run with another data \("cora" there, and "pubmed" now\): repeat that, or give an',
        ),
        (
            {"settings": {"epochs": 4}},
            r"another settings \(epochs is 3 there, and 4 now; patience is null there, and not on",
        ),
        (
            {"graph": {"x": "c" * 64, "y": "b" * 64}},
            r"another graph \(x is SHA-256 aaaaaaaaaaaa… there, and SHA-256 cccccccccccc… now\): repeat",
        ),
        ({"gnnkit": "9"}, r'another gnnkit \(not on record there, and "9" now\)'),
        (
            {"data": "x", "settings": {}},
            r"another data \(.*\) and settings \(epochs is 3 there, and not on record now;",
        ),
    ],
)
def test_what_differs_is_named(tmp_path, changes, message):
    claim(tmp_path / "out")
    with pytest.raises(ValueError, match=message):
        claim(tmp_path / "out", **changes)
    assert read_json(tmp_path / "out" / "run.json") == MADE_FROM
    # Without a result nothing can be mixed.
    claim(tmp_path / "out", finished=False, **changes)
    assert read_json(tmp_path / "out" / "run.json") == {**MADE_FROM, **changes}


def test_files_that_are_none_of_a_study(tmp_path):
    (tmp_path / "note.txt").write_text("mine")
    with pytest.raises(ValueError, match=r"holds other files \(note.txt\); give a new or an empty folder"):
        claim(tmp_path)
    with pytest.raises(ValueError, match=r"note.txt is a file; give a folder"):
        claim(tmp_path / "note.txt")
    (tmp_path / "run.json").write_text('{"data":')
    with pytest.raises(ValueError, match=r"run.json is damaged"):
        claim(tmp_path)
    (tmp_path / "run.json").write_text("[]")
    with pytest.raises(ValueError, match=r"run.json is damaged \(it holds a list, not a dict\); remove it"):
        claim(tmp_path)
    with pytest.raises(ValueError, match=r"note.txt is damaged"):
        read_json(tmp_path / "note.txt")
    (tmp_path / "run.json").write_text('{"steps": 3, "width": 8}')
    with pytest.raises(ValueError, match="holds other files"):  # of another study, whose entries are others
        claim(tmp_path, finished=False)


def test_files_are_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "row.json"
    with replace_file(path) as part:
        part.write_text("first")

    def cut_off():
        with replace_file(path) as part:
            part.write_text("half of the sec")
            raise RuntimeError("cut off")

    with pytest.raises(RuntimeError, match="cut off"):
        cut_off()
    assert path.read_text() == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["row.json"]


def test_writers_at_once_leave_one_whole_file(tmp_path):
    texts = [str(number) * 200_000 for number in range(8)]
    threads = [threading.Thread(target=write_text, args=(tmp_path / "a.txt", text)) for text in texts]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (tmp_path / "a.txt").read_text() in texts
    assert [file.name for file in tmp_path.iterdir()] == ["a.txt"]


def test_what_json_cannot_hold_leaves_the_file_before(tmp_path):
    write_json(tmp_path / "a.json", {"a": 1}, indent=None)
    with pytest.raises(TypeError, match="not JSON serializable"):
        write_json(tmp_path / "a.json", {"a": {1}})
    assert read_json(tmp_path / "a.json") == {"a": 1}


def test_a_file_is_open_to_whom_new_files_are(tmp_path):
    (tmp_path / "new").touch()
    with replace_file(tmp_path / "kept") as part:
        part.unlink()
        part.touch(mode=0o600)  # as safetensors does
    assert (tmp_path / "kept").stat().st_mode == (tmp_path / "new").stat().st_mode


HOLD = """
import sys, time
from gnnkit.kept_files import locked_folder
with locked_folder(sys.argv[1]):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_folder_is_held_by_one_process_and_not_by_a_dead_one(tmp_path):
    pytest.importorskip("fcntl")
    out = tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-c", HOLD, out], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    with pytest.raises(ValueError, match=rf"out is in use by another run \(process {process.pid} on .*\); wait for it"):
        claim(out)
    assert not (out / "run.json").exists()
    (out / "half.json.7-1.part").write_text("{")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    assert (out / "lock").exists()
    claim(out)
    assert [file.name for file in out.iterdir()] == ["run.json"]


def test_a_lock_that_its_holder_has_just_removed_is_none(tmp_path, monkeypatch):
    fcntl = pytest.importorskip("fcntl")
    taken = []

    def flock(file, flags, real=fcntl.flock):
        if not taken:
            os.unlink(tmp_path / "lock")  # between the opening of the file and its lock
        taken.append(file.fileno())
        return real(file, flags)

    monkeypatch.setattr(fcntl, "flock", flock)
    with locked_folder(tmp_path):
        assert len(taken) == 2
        assert (tmp_path / "lock").read_text().startswith(f"process {os.getpid()} on ")
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_stopped_says_how_it_goes_on(tmp_path):
    def stopped():
        with claim_folder(tmp_path / "out", "run.json", MADE_FROM, "a run", finished=lambda: False):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"kept in .*out, and the same command goes on from there"):
        stopped()


def test_nothing_of_others_is_removed(tmp_path):
    (tmp_path / "movie.part").write_text("mine")
    (tmp_path / "row.json.7-1.part").write_text("{")
    (tmp_path / "output.7-1.part").mkdir()
    with locked_folder(tmp_path):
        pass
    assert [file.name for file in tmp_path.iterdir()] == ["movie.part"]
    with pytest.raises(ValueError, match=r"holds other files \(movie.part\)"):
        claim(tmp_path)


def test_every_changed_number_of_a_json_file_is_noticed(tmp_path):
    write_json(tmp_path / "a.json", {"rows": [0.125, 3], "name": "ü", "nan": float("nan")})
    text = (tmp_path / "a.json").read_text()
    (tmp_path / "a.json").write_text(text.replace("0.125", "0.126"))
    with pytest.raises(ValueError, match=r"a.json is damaged \(its checksum does not fit, so it was changed after"):
        read_json(tmp_path / "a.json")
    (tmp_path / "a.json").write_text(text)
    assert read_json(tmp_path / "a.json")["rows"] == [0.125, 3]


def test_whatever_content_does_is_damage_of_its_file():
    for error, said in ((EOFError(), "it ends too early"), (KeyError("rows"), "'rows' is missing")):
        with pytest.raises(ValueError, match=rf"a is damaged \({said}\); leave it"), damage_named("a", "leave it"):
            raise error
    with pytest.raises(FileNotFoundError), damage_named("a"):
        raise FileNotFoundError


def test_a_disk_that_is_full_is_named_and_leaves_the_file_before(tmp_path):
    write_text(tmp_path / "a", "before")

    def full():
        with replace_file(tmp_path / "a") as part:
            part.write_text("half")
            raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: '.*a'"):
        full()
    assert (tmp_path / "a").read_text() == "before"
    assert [file.name for file in tmp_path.iterdir()] == ["a"]
