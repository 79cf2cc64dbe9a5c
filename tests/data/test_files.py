"""Files of a data set: where they are looked for, and how they come there."""

import functools
import hashlib
import http.server
import threading

import pytest

from gnnkit.data import downloads, files
from gnnkit.data.files import DataFile, data_places, find_files

CONTENT = b"a,b\n1,2\n"
SUM = hashlib.sha256(CONTENT).hexdigest()


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves a folder; the first `failures` answers are errors."""

    failures = 0

    cut = 0  # bytes after which an answer is cut off; 0: none is
    asked = ()

    def do_GET(self):
        Quiet.asked = (*Quiet.asked, self.headers.get("Range"))
        if Quiet.cut:
            content, first = CONTENT, 0
            if self.headers.get("Range"):
                first = int(self.headers["Range"].removeprefix("bytes=").removesuffix("-"))
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(len(content) - first))
            self.end_headers()
            self.wfile.write(content[first : first + Quiet.cut])
        elif Quiet.failures > 0:
            Quiet.failures -= 1
            self.send_error(503)
        else:
            super().do_GET()

    def log_message(self, format, *args):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    """The URL of a folder with one file, and no waiting between two attempts."""
    (tmp_path / "served").mkdir()
    (tmp_path / "served" / "one.csv").write_bytes(CONTENT)
    monkeypatch.setattr("pooch.core.time.sleep", lambda seconds: None)
    monkeypatch.setattr(Quiet, "failures", 0)
    monkeypatch.setattr(Quiet, "cut", 0)
    monkeypatch.setattr(downloads, "_CHUNK", 1)  # what lacks of a chunk is lost
    monkeypatch.setattr(Quiet, "asked", ())
    handler = functools.partial(Quiet, directory=str(tmp_path / "served"))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


def test_places(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("GNNKIT_DATA", str(tmp_path))
    assert data_places("roads", "mine") == [*map(files.Path, ("mine", "mine/roads"))]
    assert data_places("roads", None) == [tmp_path / "roads", tmp_path / "cache" / "gnnkit" / "roads"]
    monkeypatch.delenv("GNNKIT_DATA")
    assert data_places("roads", None) == [tmp_path / "cache" / "gnnkit" / "roads"]


def test_a_download_is_checked_and_kept_and_is_not_repeated(server, tmp_path, capfd):
    file, places = DataFile("one.csv", server, len(CONTENT), SUM), [tmp_path / "a", tmp_path / "b"]
    assert find_files("one", [file], places, "a test") == tmp_path / "b"
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["one.csv"]
    assert (tmp_path / "b" / "one.csv").read_bytes() == CONTENT
    (tmp_path / "served" / "one.csv").unlink()
    assert find_files("one", [file], places, "a test") == tmp_path / "b"
    assert capfd.readouterr() == ("", "")  # no bar where nobody looks


def test_an_answer_that_fails_is_asked_again(server, tmp_path):
    Quiet.failures = files.RETRIES
    assert find_files("one", [DataFile("one.csv", server, None, SUM)], [tmp_path / "a"], "a test") == tmp_path / "a"
    Quiet.failures = files.RETRIES + 1
    with pytest.raises(FileNotFoundError, match=r"^one: one.csv is not on this machine, and http.*/one.csv cannot be "
                       r"fetched \(HTTP 503\); put it into '.*b', or into a folder b and set GNNKIT_DATA"):  # fmt: skip
        find_files("one", [DataFile("one.csv", server, None, SUM)], [tmp_path / "b"], "a test")


def test_a_download_that_is_cut_off_goes_on_where_it_was(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Quiet, "cut", 3)  # of eight bytes, three an answer
    file = DataFile("one.csv", server, len(CONTENT), SUM)
    assert find_files("one", [file], [tmp_path / "a"], "a test") == tmp_path / "a"
    assert Quiet.asked == (None, "bytes=3-", "bytes=6-")
    assert (tmp_path / "a" / "one.csv").read_bytes() == CONTENT
    assert [path.name for path in (tmp_path / "a").iterdir()] == ["one.csv"]


def test_half_a_file_is_never_there_under_its_name_and_is_kept_for_the_next_call(server, tmp_path, monkeypatch):
    monkeypatch.setattr(Quiet, "cut", 2)
    monkeypatch.setattr(files, "RETRIES", 0)
    file = DataFile("one.csv", server, len(CONTENT), SUM)
    with pytest.raises(FileNotFoundError, match=r"one.csv cannot be fetched"):
        find_files("one", [file], [tmp_path / "a"], "a test")
    assert [path.name for path in (tmp_path / "a").iterdir()] == [".one.csv.part"]
    monkeypatch.setattr(Quiet, "cut", 100)
    find_files("one", [file], [tmp_path / "a"], "a test")
    assert Quiet.asked == (None, "bytes=2-")
    assert (tmp_path / "a" / "one.csv").read_bytes() == CONTENT


def test_what_was_kept_of_another_file_is_thrown_away(server, tmp_path, monkeypatch):
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / ".one.csv.part").write_bytes(b"xyz")
    monkeypatch.setattr(Quiet, "cut", 100)
    file = DataFile("one.csv", server, len(CONTENT), SUM)
    find_files("one", [file], [tmp_path / "a"], "a test")
    assert Quiet.asked == ("bytes=3-", None)  # the first gave a file of another SHA-256
    assert (tmp_path / "a" / "one.csv").read_bytes() == CONTENT


def test_more_bytes_than_the_published_file_has_are_not_taken(server, tmp_path, monkeypatch):
    monkeypatch.setattr(files, "RETRIES", 0)
    with pytest.raises(ValueError, match="what is sent from there is not the published file"):
        find_files("one", [DataFile("one.csv", server, 5, SUM)], [tmp_path / "a"], "a test")
    assert not (tmp_path / "a" / "one.csv").exists()
    assert (tmp_path / "a" / ".one.csv.part").read_bytes() == b""


def test_what_is_not_the_published_file_is_refused_and_not_kept(server, tmp_path):
    file = DataFile("one.csv", server, None, "0" * 64)
    with pytest.raises(ValueError, match=r"one.csv: what is sent from there is not the published file, whose SHA-256"):
        find_files("one", [file], [tmp_path / "a"], "a test")
    assert not list((tmp_path / "a").iterdir())
    (tmp_path / "a" / "one.csv").write_bytes(b"mine")
    with pytest.raises(ValueError, match=r"its SHA-256 is .*…, the published file's is 000000000000…; replace it"):
        find_files("one", [file], [tmp_path / "a"], "a test")
    assert find_files("one", [file], [tmp_path / "a"], "a test", check=False) == tmp_path / "a"
    assert (tmp_path / "a" / "one.csv").read_bytes() == b"mine"  # what is there is never overwritten


def test_files_that_are_fetched_by_hand(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"^two: a.h5 and b.csv are not on this machine, and example.org has "
                       r"links to fetch them by hand; put them into '.*two', or"):  # fmt: skip
        find_files("two", [DataFile("a.h5"), DataFile("b.csv")], [tmp_path / "two"], "example.org")
