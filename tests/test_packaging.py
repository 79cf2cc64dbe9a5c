"""What pyproject.toml, the lists of versions, the Makefile and the workflows say of one another."""

import re
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS = PROJECT["optional-dependencies"]
# torch is in the Makefile, triton comes with it.
APART = {"torch", "triton"}


def pinned(name):
    lines = (ROOT / ".github" / name).read_text().splitlines()
    pairs = (line.partition("==")[::2] for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(package): Version(version) for package, version in pairs}


def lowest(requirement):
    return max((Version(part.version) for part in requirement.specifier if part.operator == ">="), default=None)


@pytest.mark.parametrize("text", [*PROJECT["dependencies"], *EXTRAS["dev"]])
def test_the_lowest_version_is_the_one_that_is_tested(text):
    requirement = Requirement(text)
    assert lowest(requirement) is not None, f"{text}: give a lower bound"
    name = canonicalize_name(requirement.name)
    if name in APART:
        return
    version = pinned("constraints-lowest.txt")[name]
    assert version in requirement.specifier
    # Another package may ask for a later one; then the list has that.
    assert version.release[0] == lowest(requirement).release[0]


def test_the_lowest_torch_is_that_of_the_makefile():
    (text,) = (text for text in PROJECT["dependencies"] if Requirement(text).name == "torch")
    found = re.search(r"^TORCH \?= (.+)$", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert found
    assert Version(found[1]) == lowest(Requirement(text))


def test_extras_that_the_tests_need_are_in_dev():
    dev = {Requirement(text).name for text in EXTRAS["dev"]}
    for extra in ("trees", "smoothing", "tune", "onnx", "serve", "tensorboard"):
        assert {Requirement(text).name for text in EXTRAS[extra]} <= dev


def test_workflows_run_what_the_makefile_has():
    makefile = (ROOT / "Makefile").read_text()
    asked = re.findall(r"run: make (\S+)", (ROOT / ".github" / "workflows" / "checks.yml").read_text())
    assert asked == ["test", "test-lowest", "dist-check"]
    assert all(f"\n{target}:" in makefile for target in asked)
    assert "bash .ci/run" in (ROOT / ".github" / "workflows" / "checks.yml").read_text()
