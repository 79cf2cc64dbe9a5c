"""Decagon's tables: what is read, what is left out, and what a damaged file gives."""

import gzip
import hashlib
import json
import os
import warnings

import numpy as np
import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import torch

from gnnkit.data import decagon, load_decagon

TABLES = {
    "combo": [
        "STITCH 1,STITCH 2,Polypharmacy Side Effect,Side Effect Name",
        "CID2,CID1,C2,nausea",
        "CID1,CID3,C2,nausea",
        "CID3,CID4,C1,anaemia",
        "CID1,CID2,C2,nausea",
        "CID3,CID3,C1,anaemia",
        "CID1,,C1,anaemia",
        "CID1,CID2",
        'CID1,CID2,C1,"anaemia"',
    ],
    "mono": [
        "STITCH,Individual Side Effect,Side Effect Name",
        "CID1,C7,rash",
        "CID9,C7,rash",
        "CID4,C5,itch",
        "CID4,C5,itch",
    ],
    "targets": ["STITCH,Gene", "CID1,10", "CID1,99", "CID8,10", "CID3,11"],
    "ppi": ["Gene 1,Gene 2", "10,11", "11,10", "12,11", "12,12"],
}
LEFT_OUT = {
    "combo": {"malformed": 1, "incomplete": 1, "self-pair": 1, "duplicate": 1},
    "mono": {"malformed": 0, "incomplete": 0, "unknown drug": 1, "duplicate": 1},
    "targets": {"malformed": 0, "incomplete": 0, "unknown drug": 1, "unknown protein": 1, "duplicate": 0},
    "ppi": {"malformed": 0, "incomplete": 0, "self-pair": 1, "duplicate": 1},
}


@pytest.fixture
def folder(tmp_path):
    return write(tmp_path / "files", TABLES)


def write(folder, tables):
    folder.mkdir(exist_ok=True)
    for name, lines in tables.items():
        (folder / f"bio-decagon-{name}.csv.gz").write_bytes(gzip.compress("\n".join(lines).encode() + b"\n"))
    return folder


def load(folder, **options):
    return load_decagon(folder, cache=folder.parent / "cache", **{"min_pairs": 1, **options})


def test_good_rows_are_read_and_bad_ones_counted(folder):
    data = load(folder)
    assert data.left_out == LEFT_OUT
    assert data.pairs.entities == ("CID1", "CID2", "CID3", "CID4")
    assert data.pairs.relations == ("C1", "C2")
    assert data.pairs.relation_titles == ("anaemia", "nausea")
    assert data.pairs.symmetric
    assert data.pairs.triples.t().tolist() == [[0, 0, 1], [2, 0, 3], [0, 1, 1], [0, 1, 2]]
    assert data.proteins == ("10", "11", "12")
    assert data.interactions.t().tolist() == [[0, 1], [1, 2]]
    assert data.targets.t().tolist() == [[0, 0], [2, 1]]
    assert data.single_effect_names == ("C5", "C7")
    assert data.single_effects.t().tolist() == [[0, 1], [3, 0]]


def test_the_copy_is_the_same_and_known_by_content(folder):
    first, again = load(folder), load(folder)
    assert torch.equal(first.pairs.triples, again.pairs.triples)
    assert torch.equal(first.interactions, again.interactions)
    assert again.left_out == LEFT_OUT
    assert len(os.listdir(folder.parent / "cache")) == 1
    write(folder, {"ppi": [*TABLES["ppi"], "10,12"]})
    assert load(folder).interactions.size(1) == 3
    assert len(os.listdir(folder.parent / "cache")) == 2


DAMAGE = {
    "cut": lambda path: path.write_bytes(path.read_bytes()[:-30]),
    "empty": lambda path: path.write_bytes(b""),
    "flipped": lambda path: path.write_bytes(bytes([path.read_bytes()[0] ^ 4]) + path.read_bytes()[1:]),
    "gone": lambda path: path.unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("name", ["meta.json", "combo.parquet", "ppi.parquet", "sha256.json"])
def test_a_damaged_copy_is_said_and_made_anew(folder, name, damage):
    first = load(folder)
    (copy,) = (folder.parent / "cache").iterdir()
    DAMAGE[damage](copy / name)
    with pytest.warns(
        RuntimeWarning, match=r"the copy of the tables is damaged .*: they are read from their CSV files"
    ):
        again = load(folder)
    assert torch.equal(first.pairs.triples, again.pairs.triples)
    assert again.pairs.relation_titles == ("anaemia", "nausea")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(load(folder).interactions, first.interactions)
    assert [path.name for path in (folder.parent / "cache").iterdir()] == [copy.name]


def test_a_copy_with_sound_checksums_and_a_number_out_of_range(folder):
    first = load(folder)
    (copy,) = (folder.parent / "cache").iterdir()
    path = copy / "targets.parquet"
    parquet.write_table(pa.table({"0": np.array([0, 4]), "1": np.array([0, 1])}), path)
    sums = json.loads((copy / "sha256.json").read_text())
    sums[path.name] = hashlib.sha256(path.read_bytes()).hexdigest()
    (copy / "sha256.json").write_text(json.dumps(sums))
    with pytest.warns(RuntimeWarning, match=r"targets.parquet, column 0\[1\] is 4; allowed are 0 to 3"):
        assert torch.equal(load(folder).targets, first.targets)


def test_no_place_for_a_copy_is_said(folder, monkeypatch):
    (folder / "file").write_text("")
    wanted = load(folder).pairs.triples
    with pytest.warns(RuntimeWarning, match="no copy of the tables can be kept"):
        data = load_decagon(folder, min_pairs=1, cache=folder / "file" / "cache")
    assert torch.equal(data.pairs.triples, wanted)

    def nowhere():
        raise FileNotFoundError("this user has no home folder")

    monkeypatch.setattr("gnnkit.data.decagon.user_cache", nowhere)
    with pytest.warns(RuntimeWarning, match=r"no copy of the tables can be kept \(this user has no home folder\)"):
        data = load_decagon(folder, min_pairs=1)
    assert torch.equal(data.pairs.triples, wanted)


def test_rare_side_effects_are_left_out(folder):
    (folder / "bio-decagon-combo.csv.gz").write_bytes(
        gzip.compress("\n".join([*TABLES["combo"], "CID2,CID4,C2,nausea"]).encode())
    )
    data = load(folder, min_pairs=3)
    assert data.pairs.relations == ("C2",)
    assert data.pairs.num_entities == 4
    with pytest.raises(ValueError, match="min_pairs=4: no side effect has as many drug pairs, the most are 3"):
        load(folder, min_pairs=4)


def test_strict_refuses(folder):
    with pytest.raises(ValueError, match="1 malformed in combo, 1 incomplete in combo") as caught:
        load(folder, strict=True)
    assert "1 unknown protein in targets" in str(caught.value)


def test_a_missing_column(folder):
    write(folder, {"targets": ["STITCH,Protein", "CID1,10"]})
    with pytest.raises(ValueError, match="no column 'Gene'; its columns are 'STITCH', 'Protein'"):
        load(folder)


def test_a_damaged_gzip(folder):
    file = folder / "bio-decagon-combo.csv.gz"
    file.write_bytes(file.read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"bio-decagon-combo.csv.gz: the gzip is damaged"):
        load(folder)
    file.write_bytes(b"no gzip at all")
    with pytest.raises(ValueError, match="the gzip is damaged"):
        load(folder)
    assert not (folder.parent / "cache").exists()


def test_missing_files(tmp_path, monkeypatch):
    with pytest.raises(FileNotFoundError, match=r"bio-decagon-combo.csv.gz is not there"):
        load_decagon(tmp_path)
    monkeypatch.delenv("GNNKIT_DATA", raising=False)
    with pytest.raises(FileNotFoundError, match="set GNNKIT_DATA"):
        load_decagon()
    with pytest.raises(ValueError, match="min_pairs=0"):
        load_decagon(tmp_path, min_pairs=0)


@pytest.fixture(scope="session")
def published(data_root, tmp_path_factory):
    if not (data_root / "decagon").is_dir():
        pytest.skip(f"no {data_root / 'decagon'}")
    cache = tmp_path_factory.mktemp("decagon")
    load_decagon(data_root, cache=cache)
    return data_root, cache


@pytest.mark.slow
def test_the_published_graph_in_numbers_and_the_second_load_without_its_csv(published, monkeypatch):
    monkeypatch.setattr(decagon, "_parse", lambda files: pytest.fail("the CSV files were read again"))
    data = load_decagon(published[0], cache=published[1])
    assert (data.pairs.num_entities, data.pairs.num_relations) == (645, 963)
    assert data.pairs.triples.size(1) == 4_576_287
    assert (len(data.proteins), data.interactions.size(1)) == (19_081, 715_612)
    assert (data.targets.size(1), data.single_effects.size(1)) == (18_596, 174_977)
    assert len(data.single_effect_names) == 10_184
    assert not any(count for counts in data.left_out.values() for count in counts.values())
