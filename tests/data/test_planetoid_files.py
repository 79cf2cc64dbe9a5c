"""Planetoid's raw files: what PyG makes of good ones, and what is said of damaged, mixed and foreign ones."""

import pickle
import shutil

import numpy as np
import pytest
import torch
from torch_geometric.io.planetoid import read_planetoid_data

from gnnkit.data.planetoid_files import PLANETOID_FILES, PUBLISHED, read_planetoid
from tests.data.planetoid_toy import KNOWN, toy_parts, write_parts


def same_as_pyg(folder, name, unverified):
    data, wanted = read_planetoid(folder, name, unverified=unverified), read_planetoid_data(str(folder), name)
    for key in ("x", "edge_index", "y", "train_mask", "val_mask", "test_mask"):
        assert torch.equal(data[key], wanted[key]), key
        assert data[key].dtype == wanted[key].dtype, key
    return data


@pytest.mark.parametrize("name", ["cora", "citeseer", "pubmed"])
@pytest.mark.parametrize("protocol", [2, 3, 5])
def test_it_reads_what_pyg_reads(tmp_path, name, protocol):
    data = same_as_pyg(write_parts(tmp_path, name, toy_parts(name), protocol), name, unverified=True)
    assert data.num_classes == 3


def test_the_published_cora_is_read_as_pyg_does_and_a_changed_bit_is_seen(data_root, tmp_path):
    source = data_root / "planetoid"
    if not (source / "ind.cora.x").is_file():
        pytest.skip(f"no Cora: {source} has no ind.cora.x")
    same_as_pyg(source, "cora", unverified=False)
    for part in PLANETOID_FILES:
        shutil.copyfile(source / f"ind.cora.{part}", tmp_path / f"ind.cora.{part}")
    path = tmp_path / "ind.cora.allx"
    content = bytearray(path.read_bytes())
    content[200_000] ^= 8  # a digit of a feature: nothing else than the hash can tell
    path.write_bytes(bytes(content))
    with pytest.raises(
        ValueError, match=r"ind.cora.allx: its SHA-256 is \w{16}…, and 9419ba2f26f5c352… that of the pub"
    ):
        read_planetoid(tmp_path, "cora")
    assert read_planetoid(tmp_path, "cora", unverified=True).num_nodes == 2708


def test_files_of_ones_own_need_the_word(tmp_path):
    folder = write_parts(tmp_path, "pubmed", toy_parts())
    with pytest.raises(ValueError, match=r"ind.pubmed.x: its SHA-256 is .* say so \(unverified=True, --unverified\)"):
        read_planetoid(folder, "pubmed")
    assert {name: len(parts) for name, parts in PUBLISHED.items()} == {"cora": 8, "citeseer": 8, "pubmed": 7}


class Evil:
    def __reduce__(self):
        return (print, ("it ran",))


@pytest.mark.parametrize(("protocol", "name"), [(2, "__builtin__ print"), (4, "builtins print")])
def test_a_pickle_that_would_run_something_is_refused(tmp_path, capsys, protocol, name):
    folder = write_parts(tmp_path, "cora", {**toy_parts(), "graph": pickle.dumps(Evil(), protocol=protocol)})
    with pytest.raises(
        ValueError, match=f"ind.cora.graph: loading it would run '{name}', which no Planetoid file needs"
    ):
        read_planetoid(folder, "cora")
    assert "it ran" not in capsys.readouterr().out


def edited(part, edit):
    """The toy with one part copied and edited in place, or replaced by what `edit` returns."""
    parts = toy_parts()
    value = parts[part] if isinstance(parts[part], str) else parts[part].copy()
    found = edit(value)
    return {**parts, part: value if found is None else found}


def put(place, value):
    def edit(table):
        if hasattr(table, "indptr"):
            table.data[place] = value
        else:
            table[place] = value

    return edit


def csr(**arrays):
    def edit(matrix):
        for name, (place, value) in arrays.items():
            changed = getattr(matrix, name).copy()
            changed[place] = value
            setattr(matrix, name, changed)

    return edit


TEXT = toy_parts()["test.index"]
HIGH = KNOWN + 4
CASES = [
    ("graph", put(1, [0, -1]), r"node 1 has the neighbour -1; nodes are numbered from 0 to 515"),
    ("graph", put(1, [HIGH]), r"node 1 has the neighbour 516; nodes are numbered from 0 to 515"),
    ("graph", put(1, ["0"]), r"node 1 has the neighbour '0'"),
    ("graph", put(1, [0.5]), r"node 1 has the neighbour 0.5"),
    ("graph", put(1, [True]), r"node 1 has the neighbour True"),
    ("graph", put(1, "02"), r"the neighbours of node 1 are '02', and should be a list"),
    ("graph", put(1, None), r"the neighbours of node 1 are None"),
    ("graph", put(-3, [1]), r"it has neighbours of node -3"),
    ("graph", put("a", [1]), r"it has neighbours of node 'a'"),
    ("graph", lambda graph: [[1], [0]], r"a list, and should be a dictionary"),
    ("graph", lambda graph: {0: []}, r"no node has a neighbour"),
    ("test.index", lambda text: "-1" + text[3:], r"line 1: node -1 is below 0; test nodes are numbered from 512 on"),
    ("test.index", lambda text: "5" + text[3:], r"line 1: node 5 is one of the 512 nodes of allx"),
    ("test.index", lambda text: text + "513\n", r"line 5: node 513 stands in line 4 already"),
    ("test.index", lambda text: text + "516\n", r"5 test nodes, and the features and labels of 4"),
    ("test.index", lambda text: "516" + text[3:], r"line 1: node 516 is too high: 4 test nodes follow node 511"),
    ("test.index", lambda text: "9" * 17 + text[3:], r"line 1: node 9+ is too high"),
    ("test.index", lambda text: text[:-4], r"3 test nodes, and the features and labels of 4"),
    ("test.index", lambda text: "", r"0 test nodes, and the features and labels of 4"),
    ("test.index", lambda text: "x" + text, r"line 1: 'x514' is not the number of a node"),
    ("test.index", lambda text: "514.5" + text[3:], r"line 1: '514.5' is not the number of a node"),
    ("test.index", lambda text: text.replace("\n", " "), r"line 1: '514 512 515 513' is not the number of a node"),
    ("test.index", lambda text: bytes(range(256)), r"not a text of numbers"),
    ("allx", put(0, np.nan), r"node 0 \(row 0\), column \d is nan, and should be a finite number"),
    ("allx", put(-1, -np.inf), r"node 511 \(row 511\), column \d is -inf"),
    ("tx", put(0, np.inf), r"node 514 \(row 0\), column \d is inf"),
    ("allx", csr(indices=(3, 10**6)), r"row \d has a value in column 1000000; there are columns 0 to 5"),
    ("allx", csr(indices=(3, -1)), r"row \d has a value in column -1"),
    ("tx", csr(indptr=(1, 10**8)), r"a sparse matrix whose rows do not fit its values"),
    ("tx", csr(indptr=(-1, 1)), r"a sparse matrix whose rows do not fit its values"),
    ("tx", csr(indptr=(0, -5)), r"a sparse matrix whose rows do not fit its values"),
    ("x", lambda table: table[::-1], r"node 0 has another row in the file of all nodes"),
    ("tx", lambda table: table[:, :5], r"5 columns, and ind.cora.allx has 6: they are not of one data set"),
    ("ty", lambda table: table[:3], r"3 rows, and ind.cora.tx has 4: they are not of one data set"),
    ("ally", lambda table: table[:-1], r"511 rows, and ind.cora.allx has 512"),
    ("tx", lambda table: {1: 2}, r"features are a dict, and should be a table of numbers"),
    ("tx", lambda table: np.zeros(4, np.float32), r"features are float32 of shape \[4\]"),
    (
        "ty",
        lambda table: table.astype(object),
        r"not a Planetoid file \(an array of 'O8', which is no type of numbers\)",
    ),
    ("ty", put((0, slice(None)), 0), r"node 514 \(row 0\) has the label \[0, 0, 0\], and should have a single 1"),
    ("ally", put((7, slice(None)), 1), r"node 7 \(row 7\) has the label \[1, 1, 1\]"),
    ("ally", put((7, 1), 2), r"node 7 \(row 7\) has the label"),
    ("ally", lambda table: np.where(np.arange(512)[:, None] == 9, np.nan, table), r"node 9 \(row 9\), column 0 is nan"),
    ("y", lambda table: np.roll(table, 1, axis=0), r"node 0 has another row in the file of all nodes"),
    ("ally", lambda table: b"", r"not a Planetoid file \(pickle exhausted before seeing STOP\)"),
    ("allx", lambda table: pickle.dumps(table, protocol=3)[:-200], r"not a Planetoid file"),
    ("graph", lambda graph: b"no pickle", r"not a Planetoid file"),
]


@pytest.mark.parametrize(("part", "edit", "message"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_a_damaged_file_is_named_with_what_is_wrong(tmp_path, part, edit, message):
    folder = write_parts(tmp_path, "cora", edited(part, edit))
    with pytest.raises(ValueError, match=rf"ind.cora.{part}: {message}.*; get the original from https"):
        read_planetoid(folder, "cora", unverified=True)


def test_a_test_file_without_a_last_line_break_is_whole(tmp_path):
    folder = write_parts(tmp_path, "cora", {**toy_parts(), "test.index": TEXT.rstrip("\n")})
    assert read_planetoid(folder, "cora", unverified=True).test_mask.nonzero().view(-1).tolist() == [512, 513, 514, 515]


def test_too_few_rows_for_those_that_validate(tmp_path):
    parts = toy_parts()
    parts |= {"allx": parts["allx"][:400], "ally": parts["ally"][:400]}
    with pytest.raises(
        ValueError, match=r"ind.cora.allx: 400 rows, too few for 9 training nodes and 500 that validate"
    ):
        read_planetoid(write_parts(tmp_path, "cora", parts), "cora", unverified=True)
