import json
import subprocess
from pathlib import Path

import pytest
import torch

import gnnkit
from gnnkit.training import environment as module
from gnnkit.training.environment import commit, environment, hardware


def git(root, *arguments):
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    subprocess.run(["git", "-C", str(root), *identity, *arguments], check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    package = tmp_path / "gnnkit"
    package.mkdir()
    (package / "__init__.py").write_text("")
    git(tmp_path, "init")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-m", "first")
    monkeypatch.setattr(gnnkit, "__file__", str(package / "__init__.py"))
    return tmp_path


def test_commit_is_that_of_the_checkout(checkout):
    head = (checkout / ".git" / "refs" / "heads").iterdir().__next__().read_text().strip()
    assert commit() == head[:12]


def test_a_changed_file_shows(checkout):
    (checkout / "gnnkit" / "__init__.py").write_text("changed")
    assert commit().endswith("-dirty")
    assert len(commit()) == 12 + len("-dirty")


def test_another_projects_commit_is_not_gnnkits(checkout, monkeypatch):
    nested = checkout / "site-packages" / "gnnkit"
    nested.mkdir(parents=True)
    monkeypatch.setattr(gnnkit, "__file__", str(nested / "__init__.py"))
    assert commit() == "unknown"


def test_no_git_no_commit(monkeypatch):
    def missing(*_args, **_options):
        raise FileNotFoundError("git")

    monkeypatch.setattr(module.subprocess, "run", missing)
    assert commit() == "unknown"


def test_hardware_is_the_processors_name():
    cpuinfo = Path("/proc/cpuinfo")
    names = {
        line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if line.startswith("model name")
    }
    assert not names or hardware() in names


def test_environment_is_json_and_complete():
    facts = environment()
    assert json.loads(json.dumps(facts)) == facts
    assert list(facts) == ["device", "hardware", "cores", "threads", "torch", "python", "gnnkit", "commit", "date"]
    assert facts["threads"] == torch.get_num_threads()
    assert facts["gnnkit"] == gnnkit.__version__
