"""The house: imports run one way, and what a module exports is what it says that it exports."""

import ast
import importlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

import gnnkit

PACKAGE = Path(gnnkit.__file__).parent
ROOT = PACKAGE.parent

# What each part of the package may import of the others. Whatever is not listed here may import nothing of gnnkit.
_MODELS = {"ops", "graph", "layers", "sequence", "temporal", "relational"}
_CLI = {"cli_options", "cli_compare", "cli_forecasting", "cli_nodes", "cli_relations", "cli_text"}
ALLOWED = {
    "ops": set(),
    "graph": {"ops"},
    "layers": {"ops", "graph"},
    "sequence": {"ops"},
    "temporal": {"ops", "graph", "layers", "sequence"},
    "relational": {"ops", "graph", "layers"},
    "data": {"ops", "graph"},
    "kept_files": set(),
    "metrics": set(),
    "ranking": set(),
    "training": {"ops", "data", "metrics"},
    "studies": {*_MODELS, "data", "metrics", "ranking", "training"},
    "compare": {*_MODELS, "data", "metrics", "training"},
    "forecasting": {*_MODELS, "data", "metrics", "training", "compare"},
    "cli_options": set(),
    "cli_compare": {"cli_options", "training", "compare"},
    "cli_forecasting": {"cli_options", "data", "training", "compare", "forecasting"},
    "cli_text": {"cli_options", "sequence", "training", "studies"},
    "cli_nodes": {"graph", "data", "studies", "cli_options"},
    "cli_relations": {"cli_options", "data", "studies"},
    "cli": {*_MODELS, *_CLI, "data", "metrics", "training", "studies", "compare"},
    "__main__": {"cli"},
}
EVERYWHERE = {"_optional", "_user_cache", "_axes", "kept_files"}

MODULES = sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imported_parts(source: str, package: list[str]) -> set[str]:
    """The parts of gnnkit that a file of `package` imports, at the top or inside a function."""
    names = []
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = [*base, *([node.module] if node.module else [])]
            names += [".".join([*module, alias.name]) for alias in node.names]
    split = [name.split(".") for name in names]
    return {parts[1] for parts in split if parts[0] == "gnnkit" and len(parts) > 1 and parts[1] != "__version__"}


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_run_one_way(path):
    parts = dotted(path).split(".")
    part = parts[1] if len(parts) > 1 else "gnnkit"
    package = parts if path.name == "__init__.py" else parts[:-1]
    foreign = imported_parts(path.read_text(encoding="utf-8"), package) - {part} - EVERYWHERE
    assert foreign <= ALLOWED.get(part, set()), f"{dotted(path)} may not import {foreign - ALLOWED.get(part, set())}"


def test_the_check_sees_imports_of_every_form():
    source = """
import gnnkit.cli
from gnnkit import data
from ..layers import gat
from . import spmm
def late():
    from gnnkit.compare.runner import run
"""
    assert imported_parts(source, ["gnnkit", "ops"]) == {"cli", "data", "compare", "layers", "ops"}


@pytest.mark.parametrize(
    "path", [p for p in MODULES if p.name != "__main__.py" and not p.name.startswith("_triton")], ids=dotted
)
def test_all_is_what_is_exported(path):
    module = importlib.import_module(dotted(path))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.name == "__init__.py":
        bound = {
            alias.asname or alias.name for node in tree.body if isinstance(node, ast.ImportFrom) for alias in node.names
        }
    else:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        bound = {node.name for node in tree.body if isinstance(node, kinds)}
    public = {name for name in bound if not name.startswith("_") and name != "annotations"}
    private = any(part.startswith("_") and part != "__init__" for part in dotted(path).split("."))
    if private and not hasattr(module, "__all__"):
        return  # a private module owes nobody a list
    exported = module.__all__
    assert len(exported) == len(set(exported))
    assert not [name for name in exported if not hasattr(module, name)]
    assert public <= set(exported), f"not in __all__: {sorted(public - set(exported))}"


BLOCKED = """
import sys
class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in {"numba", "triton", "torch_scatter", "torch_sparse", "pyg_lib"}:
            raise ImportError(name + " is blocked")
sys.meta_path.insert(0, Block())
import pkgutil, importlib, torch, gnnkit
for info in pkgutil.walk_packages(gnnkit.__path__, "gnnkit."):
    if not info.name.rsplit(".", 1)[-1].startswith("_"):
        importlib.import_module(info.name)
from gnnkit.layers import GATLayer, GCNLayer
from gnnkit.temporal import TGCN
edge_index = torch.tensor([[0, 1, 2, 0], [1, 2, 0, 2]])
x = torch.randn(3, 4)
for layer in (GCNLayer(4, 2), GATLayer(4, 2, heads=2)):
    layer(x, edge_index).sum().backward()
TGCN(1, 8, 3)(torch.randn(2, 5, 3, 1), edge_index, torch.ones(4)).sum().backward()
print("works without:", sorted(set(sys.modules) & {"numba", "triton", "torch_scatter"}))
"""


@pytest.mark.slow
def test_it_works_with_no_optional_package():
    run = subprocess.run([sys.executable, "-c", BLOCKED], capture_output=True, text=True, env={**os.environ}, cwd=ROOT)
    assert run.returncode == 0, run.stderr
    assert run.stdout.splitlines()[-1] == "works without: []"


def test_versions_agree():
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["version"] == gnnkit.__version__


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_no_file_has_outgrown_its_story(path):
    lines = len(path.read_text(encoding="utf-8").splitlines())
    parts = path.relative_to(PACKAGE).parts
    limit = 400
    if parts[0] == "layers" and not parts[-1].startswith("_"):
        limit = 200
    if parts[0] == "ops" and not parts[-1].startswith("_") and parts[-1] not in ("dispatch.py", "structure.py"):
        limit = 250  # an op; the two others are what all ops stand on
    assert lines <= limit, f"{dotted(path)} has {lines} lines, at most {limit}"
