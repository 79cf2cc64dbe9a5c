import errno
import os
import stat
import time
import warnings

import pytest

from gnnkit.ops.kernels import files as kernel_files
from gnnkit.ops.kernels.files import KernelFiles

NOT_KEPT = "compiled kernels cannot be kept on disk .* in memory, anew in each process; set NUMBA_CACHE_DIR"
needs_owners = pytest.mark.skipif(not hasattr(os, "geteuid"), reason="files have no owners here")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "cache" / "kernels"


def files_in(folder):
    return KernelFiles(lambda: folder)


def test_content_comes_back_for_its_key_alone(folder):
    files_in(folder).write("a.nbc", b"key", b"content")
    assert files_in(folder).read("a.nbc", b"key") == b"content"
    assert files_in(folder).read("b.nbc", b"key") is None
    with pytest.warns(RuntimeWarning, match=r"the compiled kernel a.nbc cannot be read .* it is compiled anew"):
        assert files_in(folder).read("a.nbc", b"another key") is None
    files_in(folder).write("a.nbc", b"key", b"later")
    assert files_in(folder).read("a.nbc", b"key") == b"later"
    assert [path.name for path in folder.iterdir()] == ["a.nbc"]


@needs_owners
def test_folder_and_files_are_for_their_owner_alone(folder):
    before = os.umask(0)
    try:
        files_in(folder).write("a.nbc", b"key", b"content")
    finally:
        os.umask(before)
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / "a.nbc").stat().st_mode) == 0o600


@needs_owners
@pytest.mark.parametrize("mode", [0o777, 0o755, 0o770, 0o701])
def test_a_folder_that_others_can_use_is_not_used(folder, mode):
    files_in(folder).write("a.nbc", b"key", b"content")
    folder.chmod(mode)
    files = files_in(folder)
    with pytest.warns(RuntimeWarning, match=NOT_KEPT):
        assert files.read("a.nbc", b"key") is None
    files.write("b.nbc", b"key", b"content")
    assert [path.name for path in folder.iterdir()] == ["a.nbc"]
    folder.chmod(0o700)
    assert files_in(folder).read("a.nbc", b"key") == b"content"


@needs_owners
def test_what_belongs_to_another_user_is_not_used(folder, monkeypatch):
    files_in(folder).write("a.nbc", b"key", b"content")
    opened = files_in(folder)
    assert opened.folder == folder
    monkeypatch.setattr(os, "geteuid", lambda: folder.stat().st_uid + 1)
    with pytest.warns(RuntimeWarning, match="belongs to another user, or others may write it"):
        assert opened.read("a.nbc", b"key") is None
    with pytest.warns(RuntimeWarning, match="is not yours alone"):
        assert files_in(folder).folder is None


@needs_owners
def test_a_file_that_others_can_write_is_not_read(folder):
    files_in(folder).write("a.nbc", b"key", b"content")
    (folder / "a.nbc").chmod(0o622)
    with pytest.warns(RuntimeWarning, match="belongs to another user, or others may write it"):
        assert files_in(folder).read("a.nbc", b"key") is None


def test_a_folder_behind_a_link_is_not_used(folder, tmp_path):
    (tmp_path / "elsewhere").mkdir(mode=0o700)
    folder.parent.mkdir()
    folder.symlink_to(tmp_path / "elsewhere")
    with pytest.warns(RuntimeWarning, match="is no folder"):
        assert files_in(folder).folder is None


def test_no_folder_is_said_once(tmp_path):
    (tmp_path / "file").write_text("")
    files = files_in(tmp_path / "file" / "kernels")
    with pytest.warns(RuntimeWarning, match=NOT_KEPT) as said:
        found = [files.read("a.nbc", b"key"), files.write("a.nbc", b"key", b"content"), files.read("a.nbc", b"key")]
    assert found == [None] * 3
    assert len(said) == 1


@pytest.mark.parametrize(
    "damage",
    [lambda blob: b"", lambda blob: blob[:20], lambda blob: blob[:-1], lambda blob: blob + b"x", lambda blob: None],
    ids=["empty", "short", "cut", "longer", "a folder"],
)
def test_a_damaged_file_is_not_read_and_said_once(folder, damage):
    files_in(folder).write("a.nbc", b"key", b"content")
    path, blob = folder / "a.nbc", damage((folder / "a.nbc").read_bytes())
    path.unlink()
    path.mkdir() if blob is None else path.write_bytes(blob)
    path.chmod(0o700)
    files = files_in(folder)
    with pytest.warns(RuntimeWarning, match=r"the compiled kernel a.nbc cannot be read") as said:
        found = [files.read("a.nbc", b"key") for _ in range(2)]
    assert found == [None] * 2
    assert len(said) == 1


def test_every_flipped_bit_is_noticed(folder):
    files_in(folder).write("a.nbc", b"key", b"content")
    path = folder / "a.nbc"
    whole = path.read_bytes()
    for bit in range(8 * len(whole)):
        blob = bytearray(whole)
        blob[bit // 8] ^= 1 << bit % 8
        path.write_bytes(blob)
        with pytest.warns(RuntimeWarning, match="its checksum is wrong"):
            assert files_in(folder).read("a.nbc", b"key") is None


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    files = files_in(folder)
    files.write("a.nbc", b"key", b"content")

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(kernel_files.os, "fsync", full)
    with pytest.warns(RuntimeWarning, match="No space left on device") as said:
        [files.write(name, b"key", b"later") for name in ("a.nbc", "b.nbc")]
    assert len(said) == 1
    assert [path.name for path in folder.iterdir()] == ["a.nbc"]
    assert files.read("a.nbc", b"key") == b"content"


def test_what_nobody_used_for_a_month_is_removed(folder):
    files = files_in(folder)
    day = 24 * 3600
    for name, days in (("old.nbc", 31), ("cut-off.part", 31), ("young.nbc", 29), ("used.nbc", 29)):
        files.write(name, b"key", b"content")
        os.utime(folder / name, (time.time() - days * day,) * 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert files.read("used.nbc", b"key") == b"content"
        files.write("new.nbc", b"key", b"content")
    assert sorted(path.name for path in folder.iterdir()) == ["new.nbc", "used.nbc", "young.nbc"]
    assert (
        time.time() - (folder / "used.nbc").stat().st_mtime < day < time.time() - (folder / "young.nbc").stat().st_mtime
    )


def test_other_files_in_the_folder_are_left_alone(folder):
    files = files_in(folder)
    files.write("a.nbc", b"key", b"content")
    (folder / "README.md").write_text("of somebody else")
    os.utime(folder / "README.md", (0, 0))
    files.write("b.nbc", b"key", b"content")
    assert (folder / "README.md").exists()
