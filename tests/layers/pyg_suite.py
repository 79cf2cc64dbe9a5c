"""PyG's own tests, run on gnnkit's layers: unmodified but for the class names.

    python tests/layers/pyg_suite.py CHECKOUT [--full] [FILE ...]

CHECKOUT is a checkout of PyG, or a git directory of it (bare or not), whose tag nearest to the installed PyG is taken.
Of its tests, those that use a layer which gnnkit has too, or a model of PyG that is made of such layers, run in a
temporary folder, with gnnkit's layer in the place of PyG's, in the tests and in PyG's models. A test that fails with
PyG's own classes as well does not count. Whatever else fails must stand in `EXCEPTIONS`, with the reason why it should;
exit code 1 means that something fails that is not there, or that something there passes.
"""

from __future__ import annotations

import argparse
import ast
import os
import re
import subprocess
import sys
import tarfile
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from io import BytesIO
from pathlib import Path

TWINS = {
    "GCNConv": "GCNLayer",
    "GATConv": "GATLayer",
    "GATv2Conv": "GATv2Layer",
    "TransformerConv": "TransformerLayer",
    "GCN2Conv": "GCN2Layer",
    "RGCNConv": "RelationalGCNLayer",
    "SAGEConv": "SAGELayer",
    "GraphConv": "GraphConvLayer",
    "GINConv": "GINLayer",
    "GINEConv": "GINELayer",
    "SGConv": "SGLayer",
    "APPNP": "APPNPLayer",
    "TAGConv": "TAGLayer",
    "PairNorm": "PairNorm",
}
MODELS = ("GCN", "GAT", "GraphUNet", "SGFormer", "Polynormer", "RECT_L", "AttentiveFP", "AntiSymmetricConv")

# Files that name a layer and do not run it.
LEFT_OUT = {
    "test/nn/conv/test_create_gnn.py": "writes a GCNConv of its own",
    "test/nn/conv/utils/test_gnn_cheatsheet.py": "reads the docstrings of PyG's classes",
    "test/nn/test_resolver.py": "looks classes up in PyG's modules by name",
    "test/test_config_store.py": "reads the signatures of PyG's classes",
}

# "file::test" (or "file::test[parameters]"): why gnnkit's layer should not pass it.
EXCEPTIONS = {
    "test/nn/models/test_basic_gnn.py::test_packaging": "packs the modules of torch_geometric alone",
    "test/test_inspector.py::test_inspector_gat_conv": (
        "asks for the words of a comment in the source, OptPairTensor; what PyG generates from it is of the same types"
    ),
}

_NAME = re.compile(r"(?<![A-Za-z0-9])(" + "|".join(TWINS) + r")(?![A-Za-z0-9])( *)(?=(\|)?)")

# Put beside the tests: PyG's models are made of gnnkit's layers.
_CONFTEST = """
import sys

import torch_geometric.contrib.nn
import torch_geometric.explain
import torch_geometric.nn

import gnnkit.layers

for name, twin in {twins!r}.items():
    original = getattr(torch_geometric.nn, name)
    for module in list(sys.modules.values()):
        where = getattr(module, "__name__", "")
        if where.startswith("torch_geometric.") and where not in ("torch_geometric.nn", "torch_geometric.nn.conv"):
            if vars(module).get(name) is original and original.__module__ != where:
                setattr(module, name, getattr(gnnkit.layers, twin))
"""


def with_our_names(source: str) -> str:
    """A test's text with gnnkit's layers in the place of PyG's, imports included; in tables the columns stay."""

    def rename(match: re.Match) -> str:
        name, blanks, bar = match.groups()
        grown = len(TWINS[name]) - len(name)
        return TWINS[name] + (" " * max(len(blanks) - grown, 1) if bar and blanks else blanks)

    lines = _NAME.sub(rename, source).splitlines()
    ours = set(TWINS.values())
    for node in reversed([n for n in ast.walk(ast.parse("\n".join(lines))) if isinstance(n, ast.ImportFrom)]):
        moved = [alias for alias in node.names if alias.name in ours]
        if not (node.module or "").startswith("torch_geometric") or not moved:
            continue
        indent, written = " " * node.col_offset, []
        for module, names in (("gnnkit.layers", moved), (node.module, [a for a in node.names if a not in moved])):
            if names:
                written.append(f"{indent}from {module} import {', '.join(map(ast.unparse, names))}")
        lines[node.lineno - 1 : node.end_lineno] = written
    return "\n".join(lines) + "\n"


def uses_a_twin(source: str) -> bool:
    """Whether a test uses one of the layers, or a model of PyG that is made of them."""
    return re.search(r"\b(" + "|".join((*TWINS, *MODELS)) + r")\b", source) is not None


def unpack(checkout: Path, folder: Path) -> str:
    """Put PyG's `test` folder into a folder, and return the version that it is of."""
    import torch_geometric

    git = ["git", "-C", str(checkout)]
    if (checkout / "test").is_dir():
        source, version = checkout, "checkout"
        subprocess.run(["cp", "-r", str(source / "test"), str(folder)], check=True)
        return version
    tags = subprocess.run([*git, "tag", "--sort=version:refname"], check=True, capture_output=True, text=True).stdout
    minor = ".".join(torch_geometric.__version__.split(".")[:2]) + "."
    version = next((tag for tag in reversed(tags.split()) if tag.startswith(minor)), "HEAD")
    packed = subprocess.run([*git, "archive", version, "test"], check=True, capture_output=True).stdout
    with tarfile.open(fileobj=BytesIO(packed)) as archive:
        archive.extractall(folder, filter="data")
    return version


def run_tests(folder: Path, tests: list[str], *, full: bool) -> dict[str, tuple[str, str]]:
    """Run tests in a folder: of each `file::test` its outcome and the first line of what went wrong."""
    report = folder / "report.xml"
    report.unlink(missing_ok=True)
    paths = [str(Path.cwd()), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"FULL_TEST": str(int(full)), "PYTHONPATH": os.pathsep.join(paths)}
    pytest = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--junitxml", str(report)]
    done = subprocess.run([*pytest, *tests], cwd=folder, env=env, capture_output=True, text=True)
    if not report.exists():
        raise SystemExit(f"pytest ended with {done.returncode} and wrote no report:\n{done.stdout}\n{done.stderr}")
    outcomes = {}
    for case in ElementTree.parse(report).iter("testcase"):
        module = case.get("classname") or case.get("name") or ""
        file = module.replace(".", "/") + ".py"
        outcome, message = "passed", ""
        for child in case:
            if child.tag in ("failure", "error", "skipped"):
                outcome = "skipped" if child.tag == "skipped" else "failed"
                message = " ".join((child.get("message") or "").split())
        outcomes[f"{file}::{case.get('name')}" if case.get("classname") else file] = (outcome, message)
    return outcomes


def reason_for(test: str) -> str | None:
    """Why a test is not to pass, or None where it is."""
    return EXCEPTIONS.get(test, EXCEPTIONS.get(test.split("[")[0]))


def judge(ours: dict[str, tuple[str, str]], theirs: dict[str, tuple[str, str]]) -> tuple[list[str], list[str]]:
    """The table and the faults, from the outcomes with gnnkit's layers and, of what failed, with PyG's own."""
    counts: dict[str, Counter] = {}
    notes, faults = [], []
    for test, (outcome, message) in ours.items():
        reason = reason_for(test)
        if outcome == "failed" and theirs.get(test, ("", ""))[0] == "failed":
            outcome = "fails with PyG too"
            notes.append(f"  {test}: fails with PyG's own classes too: {theirs[test][1][:100]}")
        elif outcome == "failed" and reason is not None:
            notes.append(f"  {test}: is to fail: {reason}")
        elif outcome == "failed":
            faults.append(f"  {test}: {message[:200]}")
        elif outcome == "passed" and reason is not None:
            faults.append(f"  {test} passes, and stands in EXCEPTIONS; take it out")
        counts.setdefault(test.split("::")[0], Counter())[outcome] += 1
    columns = ("passed", "failed", "skipped", "fails with PyG too")
    total = sum(counts.values(), Counter())
    rows = [f"{'file':<64}" + "".join(f"{column:>{len(column) + 3}}" for column in columns)]
    for file, count in [*counts.items(), ("all", total)]:
        rows.append(f"{file:<64}" + "".join(f"{count[column]:>{len(column) + 3}}" for column in columns))
    return rows + notes, faults


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description="Run PyG's own tests on gnnkit's layers.")
    parser.add_argument("checkout", type=Path, help="a checkout of PyG, or a git directory of it")
    parser.add_argument("files", nargs="*", help="test files, as test/nn/conv/test_gcn_conv.py; default: all that fit")
    parser.add_argument("--full", action="store_true", help="PyG's full tests, TorchScript among them")
    given = parser.parse_args(arguments)
    if not given.checkout.is_dir():
        parser.error(f"{given.checkout} is no folder; name a checkout of PyG, or a git directory of it")
    with tempfile.TemporaryDirectory() as plain_, tempfile.TemporaryDirectory() as swapped_:
        plain, swapped = Path(plain_), Path(swapped_)
        version = unpack(given.checkout.resolve(), plain)
        unpack(given.checkout.resolve(), swapped)
        found = sorted(plain.glob("test/**/test_*.py"))
        fit = {str(path.relative_to(plain)): path.read_text() for path in found}
        fit = {name: text for name, text in fit.items() if uses_a_twin(text) and name not in LEFT_OUT}
        unknown = set(given.files) - set(fit)
        if unknown:
            parser.error(f"{', '.join(sorted(unknown))}: no such test file that uses a layer of gnnkit's")
        files = given.files or list(fit)
        for folder in (plain, swapped):
            (folder / "pytest.ini").write_text("[pytest]\nmarkers =\n    rag\n    dataset\n")
        (swapped / "conftest.py").write_text(_CONFTEST.format(twins=TWINS))
        for path in [*(swapped / "test").rglob("conftest.py"), *(swapped / file for file in files)]:
            path.write_text(with_our_names(path.read_text()))
        ours = run_tests(swapped, files, full=given.full)
        failed = [test for test, (outcome, _) in ours.items() if outcome == "failed" and reason_for(test) is None]
        theirs = run_tests(plain, sorted({test.split("::")[0] for test in failed}), full=given.full) if failed else {}
    table, faults = judge(ours, theirs)
    print(f"PyG's tests ({version}) on gnnkit's layers{', full' if given.full else ''}")
    print("\n".join(table))
    if faults:
        print("not as it should be:", *faults, sep="\n")
    return int(bool(faults))


if __name__ == "__main__":
    sys.exit(main())
