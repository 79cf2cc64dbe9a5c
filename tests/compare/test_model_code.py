"""An edit of a model, or of what it imports from beside it, is another code; an edit of anything else is not."""

import linecache
import sys
from functools import partial
from pathlib import Path
from types import ModuleType

import pytest
from torch import nn

from gnnkit.compare.model_code import UNKNOWN, is_installed, model_digest
from gnnkit.temporal import MODELS

NET = """
import torch
from torch import nn
from layers.mix import mix

class Net(nn.Module):
    def forward(self, x):
        import late
        return late.last(mix(x))
"""
FILES = {"net.py": NET, "late.py": "last = max", "layers/mix.py": "from . import parts\nmix = parts.mix",
         "layers/__init__.py": "", "layers/parts.py": "mix = min", "beside.py": "", "layers/other.py": ""}  # fmt: skip


@pytest.fixture
def folder(tmp_path, monkeypatch):
    for name, text in FILES.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr("gnnkit.compare.model_code._SEEN", {})
    yield tmp_path
    for name in [name for name in sys.modules if name.partition(".")[0] in ("layers", "late", "net")]:
        del sys.modules[name]


def digest(folder, monkeypatch):
    """As a new process would have it."""
    monkeypatch.setattr("gnnkit.compare.model_code._SEEN", {})
    return model_digest(MODELS[f"{folder / 'net.py'}:Net"].build)


def test_what_a_file_imports_from_beside_it_counts(folder, monkeypatch):
    first = digest(folder, monkeypatch)
    assert digest(folder, monkeypatch) == first
    for name in ("beside.py", "layers/other.py"):
        (folder / name).write_text("changed = 1")
        assert digest(folder, monkeypatch) == first, name
    found = {first}
    for name in ("net.py", "late.py", "layers/mix.py", "layers/parts.py", "layers/__init__.py"):
        (folder / name).write_text(FILES[name] + "\n# changed")
        found.add(digest(folder, monkeypatch))
        assert len(found) == 2, name
        (folder / name).write_text(FILES[name])
        assert digest(folder, monkeypatch) == first
        found = {first}


def test_an_edit_that_this_process_has_not_read_is_not_told(folder):
    net = MODELS[f"{folder / 'net.py'}:Net"].build
    first = model_digest(net)
    (folder / "layers/parts.py").write_text("mix = max")
    assert model_digest(net).startswith(UNKNOWN)
    (folder / "layers/parts.py").write_text(FILES["layers/parts.py"])
    (folder / "net.py").write_text(NET + "\n# changed")
    assert MODELS[f"{folder / 'net.py'}:Net"].build is not net  # its file is run again
    assert model_digest(net) != first
    assert not model_digest(net).startswith(UNKNOWN)


def test_a_package_counts_where_it_is_installed_and_its_neighbours_do_not(folder, monkeypatch):
    site = folder / "site-packages"
    (site / "roads").mkdir(parents=True)
    (site / "roads/__init__.py").write_text("")
    (site / "roads/net.py").write_text(NET.replace("from layers.mix", "import foreign\nfrom roads.sizes"))
    (site / "roads/sizes.py").write_text("mix = min")
    (site / "foreign.py").write_text("")
    monkeypatch.syspath_prepend(str(site))
    net = MODELS["roads.net:Net"].build
    try:
        first = model_digest(net)
        (site / "foreign.py").write_text("changed = 1")
        assert model_digest(net) == first
        (site / "roads/sizes.py").write_text("mix = max")
        monkeypatch.setattr("gnnkit.compare.model_code._SEEN", {})
        assert model_digest(net) != first
    finally:
        for name in ("roads", "roads.net", "roads.sizes", "foreign"):
            del sys.modules[name]
    assert is_installed(site / "foreign.py")
    assert is_installed(nn.__file__)
    assert not is_installed(folder / "net.py")


def cells(monkeypatch, **sources):
    """Classes and functions of a notebook: a module of no file, whose cells have a source."""
    module = ModuleType("notebook")
    monkeypatch.setitem(sys.modules, "notebook", module)
    module.nn = nn
    for name, source in sources.items():
        file = f"<cell {name} {hash(source)}>"
        if source:
            linecache.cache[file] = (len(source), None, source.splitlines(True), file)
        exec(compile(source or "class Net: pass", file, "exec"), vars(module))
    return module.Net


def test_of_a_notebook_the_class_and_what_it_names_count(monkeypatch):
    net = "class Net(Base):\n    def forward(self, x):\n        return half(x) * SCALE\n"
    base, half = (
        "class Base(nn.Module):\n    def shift(self, x):\n        return x\n",
        "def half(x):\n    return x / 2\n",
    )
    first = model_digest(cells(monkeypatch, base=base, half=half, scale="SCALE = 2\n", net=net))
    assert first == model_digest(cells(monkeypatch, base=base, half=half, scale="SCALE = 2\n", net=net))
    for changed in (
        {"base": base + "    more = 1\n"},
        {"half": half.replace("2", "3")},
        {"scale": "SCALE = 3\n"},
        {"net": net.replace("* SCALE", "+ SCALE")},
    ):
        parts = {"base": base, "half": half, "scale": "SCALE = 2\n", "net": net, **changed}
        assert model_digest(cells(monkeypatch, **parts)) != first, changed
    unreadable = cells(monkeypatch, net="")
    assert model_digest(unreadable).startswith(UNKNOWN)
    assert model_digest(unreadable) == model_digest(unreadable) != model_digest(cells(monkeypatch, net=""))


def test_what_a_partial_fixes_counts():
    digests = {model_digest(model) for model in (nn.Linear, partial(nn.Linear, 2), partial(nn.Linear, bias=False))}
    assert len(digests) == 3


def test_of_a_model_of_gnnkits_own_the_name_counts_and_no_file_is_read(monkeypatch):
    from gnnkit.temporal.ridge import Ridge
    from gnnkit.temporal.stid import STID

    monkeypatch.setattr(Path, "read_bytes", None)  # its code is in every fingerprint
    assert model_digest(Ridge) == model_digest(Ridge) != model_digest(STID)
    assert model_digest(partial(Ridge, hops=2)) != model_digest(Ridge)
