"""Each training verb, killed at each of its writes: the same command then ends as one that was never killed."""

import csv
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import gnnkit
from gnnkit.kept_files import json_of
from gnnkit.kept_tensors import load_tensors
from tests.cli.cut_off_server import KILLED
from tests.data.graph_files import made_graphs, write_tu
from tests.data.planetoid_toy import toy_parts, write_parts

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="a process that is killed is a fork of this one")

ROOT = Path(gnnkit.__file__).parents[1]
SERVER = ROOT / "tests" / "cli" / "cut_off_server.py"
# Figures that no two runs share.
_CLOCK = {"seconds", "wall_seconds", "epoch_seconds", "peak_memory_mb", "peak_memory_mib", "date", "checksum", "files"}
_CLOCK |= {"fit_seconds", "referee_seconds", "rows_sha256", "curves", "environment", "commit"}
_SMALL = (
    "--data-option num_nodes=4 --data-option days=2 --epochs 1 --horizon 2 --history 3 --device cpu --batch-size 200 "
    "--hidden 2"
)
VERBS = {
    "train": f"train gru {_SMALL}",
    "compare": f"compare {_SMALL} --models gru --seeds 0, --resamples 100",
    "sequence": (
        "sequence --lengths 3 --cells gru --embeddings 2 --steps 3 --hidden 2 --batch-size 4 --test-sequences 8 "
        "--device cpu --seeds 7, --initializations report"
    ),
    "text": (
        "text train FILES/book.txt --hidden 4 --embedding 4 --layers 1 --steps 4 --window 8 --batch-size 2 "
        "--validate-every 2 --checkpoint-every 1 --device cpu"
    ),
    "relations": (
        "relations train --data FILES/kg.txt --model distmult --channels 2 --epochs 2 --minutes 5 --device cpu"
    ),
    "graphs": (
        "graphs train FILES/graphs --folds 2 --seeds 1 --set epochs=2 --set hidden_channels=4 --set num_layers=2 "
        "--try none=[] --device cpu"
    ),
    "nodes": "nodes train --data-root FILES --unverified --seeds 2 --seeds-at-once 1 --set epochs=2",
}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    (folder / "book.txt").write_text("One fish, two fish, red fish, blue fish.\n" * 12)
    links = [f"e{i}\tr{i % 2}\te{(i * i + 3) % 9}" for i in range(60)]
    (folder / "kg.txt").write_text("\n".join(dict.fromkeys(links)) + "\n")
    write_tu(folder / "graphs", made_graphs(24))
    write_parts(folder / "planetoid", "cora", toy_parts())
    return folder


@pytest.fixture(scope="module")
def run():
    """Runs words into a folder, killed at the n-th write; gives the exit code and the number of writes."""
    place = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "env": place}
    with subprocess.Popen([sys.executable, SERVER], **pipes) as server:

        def ask(words, out, kill_at=None, limit=None, kill_after=None):
            asked = {"words": words, "out": str(out), "kill_at": kill_at, "limit": limit, "kill_after": kill_after}
            server.stdin.write(json.dumps(asked) + "\n")
            server.stdin.flush()
            return json.loads(server.stdout.readline())

        yield ask
        server.stdin.close()


def without_clock(value):
    if isinstance(value, dict):
        return {key: without_clock(each) for key, each in value.items() if key not in _CLOCK}
    return [without_clock(each) for each in value] if isinstance(value, list) else value


def content(out):
    """What is kept in a folder, without what is the clock's."""
    found = {}
    for path in sorted(path for path in out.rglob("*") if path.is_file()):
        name = path.relative_to(out).as_posix()
        if path.suffix == ".json":
            found[name] = without_clock(json_of(path.read_bytes()))
        elif path.suffix == ".csv":
            with path.open(encoding="utf-8", newline="") as file:
                found[name] = [without_clock(row) for row in csv.DictReader(file)]
        elif path.suffix == ".safetensors" and path.parent.name != "jobs" and path.name.startswith("weights"):
            found[name] = path.read_bytes()
        elif path.suffix == ".safetensors":
            found[name] = {key: tensor.numpy().tobytes() for key, tensor in load_tensors(path)[1].items()}
        else:
            found[name] = None  # drawn from the rest
    return found


def check(run, verb, files, tmp_path, moments):
    words = [word.replace("FILES", str(files)) for word in VERBS[verb].split()]
    out, log = tmp_path / "out", tmp_path / "out.log"
    code, writes = run(words, out)
    assert code == 0, log.read_text()
    whole = content(out)
    assert writes > 5
    for number in moments(writes):
        shutil.rmtree(out)
        assert run(words, out, number)[0] == KILLED
        assert run(words, out)[0] == 0, (number, log.read_text())
        again = content(out)
        assert again.keys() == whole.keys(), number
        different = [name for name in whole if again[name] != whole[name]]
        assert not different, (number, different)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out.log"], number


@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_some_writes(run, verb, files, tmp_path):
    check(run, verb, files, tmp_path, lambda writes: [writes // 3, 2 * writes // 3])


@pytest.mark.parametrize("verb", VERBS)
def test_a_disk_that_is_full_is_a_line_and_leaves_whole_files(run, verb, files, tmp_path):
    words = [word.replace("FILES", str(files)) for word in VERBS[verb].split()]
    out, log = tmp_path / "out", tmp_path / "out.log"
    assert run(words, out, limit=1900)[0] == 2, log.read_text()
    said = [line for line in log.read_text().splitlines() if line.startswith("gnnkit: ")]
    assert len(said) == 1
    assert re.fullmatch(r"gnnkit: \[Errno \d+\] File too large: '.*/out/.*'", said[0]), said
    assert "Traceback" not in log.read_text()
    assert not [path for path in tmp_path.rglob("*") if path.suffix == ".part"]
    for path in out.rglob("*.json"):
        json_of(path.read_bytes())  # each is whole
    assert run(words, out)[0] == 0, log.read_text()  # when there is room again


@pytest.mark.slow
@pytest.mark.parametrize("verb", VERBS)
def test_killed_at_many_writes(run, verb, files, tmp_path):
    # Each takes a run of a second or more: at every write where somebody asks for it.
    step = 1 if os.environ.get("GNNKIT_EVERY_WRITE") else 48 if verb == "compare" else 16
    check(run, verb, files, tmp_path, lambda writes: range(1, writes + 1, step))
