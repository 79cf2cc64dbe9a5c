from pathlib import Path

import pytest

from gnnkit._user_cache import user_cache


def test_the_folder_and_where_it_comes_from(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "x"))
    monkeypatch.setenv("LOCALAPPDATA", str(tmp_path / "l"))
    assert user_cache() == tmp_path / "x" / "gnnkit"
    monkeypatch.setenv("XDG_CACHE_HOME", "")
    assert user_cache() == tmp_path / "l" / "gnnkit"
    monkeypatch.delenv("LOCALAPPDATA")
    monkeypatch.setattr(Path, "home", lambda: tmp_path)
    assert user_cache() == tmp_path / ".cache" / "gnnkit"


def test_a_user_without_a_home(monkeypatch):
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.delenv("LOCALAPPDATA", raising=False)

    def nowhere():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nowhere)
    with pytest.raises(FileNotFoundError, match="no home folder; set XDG_CACHE_HOME"):
        user_cache()
