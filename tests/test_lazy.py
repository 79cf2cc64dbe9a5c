"""Packages whose names are imported when they are asked for."""

import subprocess
import sys

import pytest

INIT = """
from typing import TYPE_CHECKING

from gnnkit._lazy import import_lazily

if TYPE_CHECKING:
    from lazy_house.door import door, knock
    from lazy_house.window import Window
else:
    import_lazily(__name__)

__all__ = ["Window", "door", "knock"]
"""


@pytest.fixture
def house(tmp_path, monkeypatch):
    folder = tmp_path / "lazy_house"
    folder.mkdir()
    (folder / "__init__.py").write_text(INIT, encoding="utf-8")
    (folder / "door.py").write_text("def door():\n    return 1\n\n\ndef knock():\n    return 2\n", encoding="utf-8")
    (folder / "window.py").write_text("class Window:\n    '''Of glass.'''\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    yield "lazy_house"
    for name in [name for name in sys.modules if name.partition(".")[0] == "lazy_house"]:
        del sys.modules[name]


def test_a_name_is_imported_when_it_is_asked_for(house):
    import lazy_house  # pyright: ignore[reportMissingImports]

    assert not {"lazy_house.door", "lazy_house.window"} & set(sys.modules)
    assert {"Window", "door", "knock"} <= set(dir(lazy_house))
    assert lazy_house.Window.__doc__ == "Of glass."
    assert "lazy_house.door" not in sys.modules
    assert lazy_house.Window is vars(lazy_house)["Window"]  # kept


def test_a_function_of_the_name_of_its_module_is_the_function(house):
    import lazy_house.door  # pyright: ignore[reportMissingImports]

    assert lazy_house.door() == 1
    from lazy_house import door, knock  # pyright: ignore[reportMissingImports]

    assert (door(), knock()) == (1, 2)


def test_an_unknown_name_is_one_and_a_submodule_is_found(house):
    import lazy_house  # pyright: ignore[reportMissingImports]

    with pytest.raises(AttributeError, match="module 'lazy_house' has no attribute 'roof'"):
        _ = lazy_house.roof
    with pytest.raises(ImportError, match="cannot import name 'roof' from 'lazy_house'"):
        from lazy_house import roof  # noqa: F401 # pyright: ignore[reportMissingImports]
    from lazy_house import window  # pyright: ignore[reportMissingImports]

    assert window.__name__ == "lazy_house.window"


def test_a_star_imports_what_all_says(house, tmp_path):
    code = "from lazy_house import *; print(sorted(name for name in globals() if not name.startswith('_')))"
    words = [sys.executable, "-c", f"import sys; sys.path[:0] = {sys.path!r}; {code}"]
    done = subprocess.run(words, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['Window', 'door', 'knock', 'sys']"
