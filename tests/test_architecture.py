"""The house: imports run one way and in no circle, file by file, and a module exports what it says that it exports."""

import ast
import importlib
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import gnnkit

PACKAGE = Path(gnnkit.__file__).parent
ROOT = PACKAGE.parent

# The rooms from the bottom to the top, with what each may import of those below it.
_MODELS = {"ops", "graph", "layers", "sequence", "temporal", "relational"}
_NUMBERS = {"metrics", "ranking", "statistics"}
_BELOW_FORECASTING = {*_MODELS, *_NUMBERS, "loader", "settings", "data", "training", "report"}
ALLOWED: dict[str, set[str]] = {
    "differences": set(),
    "kept_files": set(),
    "kept_tensors": set(),
    "settings": set(),
    "_registry": {"settings"},
    "metrics": set(),
    "ranking": set(),
    "statistics": {"metrics"},
    "report": set(),
    "ops": set(),
    "graph": {"ops"},
    "layers": {"ops", "graph"},
    "loader": {"ops", "graph"},
    "data": {"ops", "graph"},
    "sequence": {"ops"},
    "temporal": {"ops", "graph", "layers", "sequence"},
    "relational": {"ops", "graph", "layers"},
    "training": {"ops", "loader", "data", "metrics", "settings"},
    "studies": _BELOW_FORECASTING,
    "forecasting": _BELOW_FORECASTING,
    "export": {*_BELOW_FORECASTING, "forecasting"},
    "serving": {"data", "forecasting"},
    "compare": {*_BELOW_FORECASTING, "forecasting"},
    "testing": {"settings", "temporal", "training", "report", "forecasting"},
    "cli": {*_BELOW_FORECASTING, "studies", "forecasting", "export", "serving", "compare", "testing"},
}
EVERYWHERE = {"_lazy", "_optional", "_user_cache", "_registry", "differences", "kept_files", "kept_tensors"}
"""What each file may import."""
BY_NAME = {"layers"}
"""What `gnnkit/__init__.py` gives names of."""

MODULES = sorted(PACKAGE.rglob("*.py"))


def dotted(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


# --- who imports whom ---

# node -> the nodes that it imports; a node is a file by its dotted name, a package's `__init__.py` a node of its own.
Graph = dict[str, set[str]]


def node_of(path: Path, root: Path) -> str:
    """`gnnkit.ops.spmm.front`, or `gnnkit.ops.spmm.__init__`, for a file below `root`."""
    return ".".join(path.relative_to(root).with_suffix("").parts)


def _names(tree: ast.AST) -> set[str]:
    """What the top level of a file binds."""
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import | ast.ImportFrom):
            found |= {alias.asname or alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
    return found


def import_graph(package: Path) -> Graph:
    """Who imports whom in a package: at the top, inside functions, and for type checkers alone.

    `from a.b import c` is an import of `a/b/__init__.py` where that binds a `c`, else of the file `a/b/c.py`, or of
    `a/b.py`. That Python runs the `__init__.py` of every package on the way is no import by the file that it is in.
    """
    root = package.parent
    trees = {node_of(path, root): ast.parse(path.read_text(encoding="utf-8")) for path in sorted(package.rglob("*.py"))}
    bound = {node: _names(tree) for node, tree in trees.items() if node.endswith(".__init__")}

    def resolve(module: str, name: str | None = None) -> str | None:
        whole = f"{module}.{name}" if name else module
        if name and name in bound.get(f"{module}.__init__", ()):
            return f"{module}.__init__"
        for node in (whole, f"{whole}.__init__", module, f"{module}.__init__"):
            if node in trees:
                return node
        return None

    graph: Graph = {}
    for node, tree in trees.items():
        found = set()
        inside = node.rpartition(".")[0].split(".")
        for statement in ast.walk(tree):
            if isinstance(statement, ast.Import):
                found |= {resolve(alias.name) for alias in statement.names}
            elif isinstance(statement, ast.ImportFrom):
                start = inside[: len(inside) - statement.level + 1] if statement.level else []
                module = ".".join([*start, *([statement.module] if statement.module else [])])
                found |= {resolve(module, alias.name) for alias in statement.names}
        graph[node] = {other for other in found if other is not None} - {node}
    return graph


def circles(graph: Graph) -> list[frozenset[str]]:
    """The sets of files that lead to each other, each as large as it is (Tarjan's strongly connected components)."""
    number: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[frozenset[str]] = []

    def visit(node: str) -> None:
        number[node] = low[node] = len(number)
        stack.append(node)
        for other in sorted(graph.get(node, ())):
            if other not in number:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == number[node]:
            place = stack.index(node)
            members = frozenset(stack[place:])
            del stack[place:]
            if len(members) > 1:
                found.append(members)

    for node in sorted(graph):
        if node not in number:
            visit(node)
    return found


@cache
def imports() -> Graph:
    return import_graph(PACKAGE)


def room_of(node: str) -> str:
    """The room of a file; `gnnkit/__init__.py` has none."""
    room = node.split(".")[1]
    return "cli" if room.startswith("cli") or room == "__main__" else room


def test_the_rooms_stand_one_above_the_other():
    rooms = list(ALLOWED)
    for number, (room, below) in enumerate(ALLOWED.items()):
        assert below <= set(rooms[:number]), f"{room} may import what stands above it: {below - set(rooms[:number])}"
    assert not ALLOWED["sequence"] & {"graph", "layers", "temporal"}
    assert not any("data" in ALLOWED[room] for room in _MODELS)
    assert "compare" not in ALLOWED["forecasting"]
    unknown = {room_of(node) for node in imports()} - set(ALLOWED) - EVERYWHERE - {"__init__"}
    assert not unknown, f"which room may import which is said for all but {unknown}"


def test_imports_run_one_way():
    upwards: dict[tuple[str, str], list[str]] = {}
    for node, others in imports().items():
        for other in others:
            pair = room_of(node), room_of(other)
            if pair[0] != pair[1] and pair[1] not in ALLOWED.get(pair[0], BY_NAME) | EVERYWHERE | {"__init__"}:
                upwards.setdefault(pair, []).append(f"{node} imports {other}")
    assert not upwards, f"rooms import what stands above them: {upwards}"


def test_no_circle():
    assert not circles(imports()), "files import each other"


def graph_of(folder: Path, files: dict[str, str]) -> Graph:
    for name, source in files.items():
        path = folder / "p" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source)
    return import_graph(folder / "p")


def test_the_check_sees_imports_of_every_form(tmp_path):
    source = """
import p.top
from p import b, named
from ..sibling import thing
from . import near
if TYPE_CHECKING:
    from p.room.typed import Type
def late():
    from p.room.later import run
"""
    others = ("top", "b", "sibling", "room/near", "room/typed", "room/later")
    files = {"__init__.py": "from p.b import named", "room/__init__.py": "", "room/a.py": source}
    graph = graph_of(tmp_path, files | {f"{name}.py": "" for name in others})
    expected = {"p.top", "p.b", "p.__init__", "p.sibling", "p.room.near", "p.room.typed", "p.room.later"}
    assert graph["p.room.a"] == expected
    assert circles(graph) == []


def test_circles_of_every_kind_are_found(tmp_path):
    graph = graph_of(
        tmp_path,
        {
            "__init__.py": "",
            "typed/__init__.py": "",
            "typed/a.py": "from p.typed.b import B",
            "typed/b.py": "if TYPE_CHECKING:\n    from p.typed.a import A",
            "late/__init__.py": "",
            "late/a.py": "import p.late.b",
            "late/b.py": "def f():\n    from p.late import c",
            "late/c.py": "from .a import x",
            "own/__init__.py": "from p.own.a import a",
            "own/a.py": "from p.own import a as again",
            "own/apart.py": "from p.own import missing",
        },
    )
    expected = [{"typed.a", "typed.b"}, {"late.a", "late.b", "late.c"}, {"own.__init__", "own.a"}]
    assert set(circles(graph)) == {frozenset(f"p.{name}" for name in circle) for circle in expected}


# --- what is exported, installed, said ---


def is_of_triton(path: Path) -> bool:
    """Whether a file can be imported only where Triton is, which must know before that whether to interpret."""
    return "\nimport triton" in path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", [p for p in MODULES if p.name != "__main__.py" and not is_of_triton(p)], ids=dotted)
def test_all_is_what_is_exported(path):
    module = importlib.import_module(dotted(path))
    tree = ast.parse(path.read_text(encoding="utf-8"))
    if path.name == "__init__.py":
        # A package that imports its names when they are asked for has them where type checkers look.
        lazy = [node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"]
        nodes = [*tree.body, *(node for block in lazy for node in block.body)]
        bound = {
            alias.asname or alias.name for node in nodes if isinstance(node, ast.ImportFrom) for alias in node.names
        } - {"TYPE_CHECKING", "import_lazily"}
    else:
        kinds = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
        bound = {node.name for node in tree.body if isinstance(node, kinds)}
    public = {name for name in bound if not name.startswith("_") and name != "annotations"}
    private = any(part.startswith("_") and part != "__init__" for part in dotted(path).split("."))
    if not hasattr(module, "__all__") and (private or (path.name == "__init__.py" and not bound)):
        return  # a private module owes nobody a list, nor does a folder that has nothing of its own
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
    of_a_library = info.name.rsplit(".", 1)[-1].startswith(("_", "numba", "scatter", "triton"))
    if not of_a_library and not info.name.startswith("gnnkit.ops.kernels."):
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
    if parts[0] == "ops" and parts[-1] in ("front.py", "grouped.py"):
        limit = 250
    assert lines <= limit, f"{dotted(path)} has {lines} lines, at most {limit}"
