"""Pickles that run something, under every name that gnnkit reads: nothing runs, nothing dies, each is a line."""

import pickle

import numpy as np
import pytest
import scipy.sparse
import torch

from gnnkit.data.pickled_data import CSRParts, read_pickled
from gnnkit.data.saved_tensors import read_saved
from tests.reliability.gadgets import gadgets
from tests.reliability.planted import NAMES, plant, runs_when_unpickled
from tests.reliability.recorded import record

#: A gadget of each kind; the slow test takes all.
SOME = [
    *(
        "os.system, protocol 2",
        "array of objects, protocol 4",
        "objects without flags",
        "in itself",
        "memo of 4 billion",
    ),
    *("saved by torch", "zip in zip", "npy of objects", "npz of objects", "pickle as npz", "persistent id of a call"),
]


def test_the_pickles_are_dangerous(tmp_path):
    marker = tmp_path / "marker"
    made = gadgets(marker)
    assert len(made) > 100
    for name in ("os.system, protocol 0", "in a list, protocol 5", "INST", "OBJ", "dotted name", "memoised name"):
        assert runs_when_unpickled(made[name], marker), name


def test_the_reader_of_pickles_runs_none_of_them(tmp_path):
    marker, path = tmp_path / "marker", tmp_path / "a.pt"
    for name, content in gadgets(marker).items():
        path.write_bytes(content)
        for read in (lambda: read_pickled(content), lambda: read_saved(path)):  # noqa: B023
            said, found = None, None
            try:
                found = read()
            except (ValueError, NameError) as error:
                said = str(error)
            if said is not None:
                assert len(said.splitlines()) == 1, name
            else:
                # A list of few entries, each of which stands in it nine times; a place of the memo, which is no list;
                # a frame, whose length is not asked for.
                assert name in ("laughs", "memo of 4 billion", "frame of an exabyte"), (name, found)
        assert not marker.exists(), name


def attack(name, tmp_path, chosen):
    marker = tmp_path / "marker"
    made = gadgets(marker)
    ran = 0
    for gadget in chosen or made:
        said = plant(name, made[gadget], tmp_path)
        ran += marker.exists()
        assert not marker.exists(), gadget
        assert len(said.splitlines()) == 1, (gadget, said)
        assert len(said) < 2000, (gadget, said)
    if chosen is None:
        record("planted", name=name, pickles=len(made), ran=ran)


@pytest.mark.parametrize("name", NAMES)
def test_no_pickle_runs_under_any_name(tmp_path, name):
    attack(name, tmp_path, SOME)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_no_pickle_of_any_shape_runs_under_any_name(tmp_path, name):
    attack(name, tmp_path, None)


# --- what is read: values ---


@pytest.mark.parametrize("protocol", range(6))
def test_data_come_back_as_they_were(protocol):
    made = {"a": [1, -2.5, None, True, (2**70, "é", b"\xff")], 3: {}, "ids": np.arange(6).reshape(2, 3)}
    if protocol in (0, 1):
        del made["ids"]  # written by copyreg there, which is nothing that any file of a data set needs
    found = read_pickled(pickle.dumps(made, protocol=protocol))
    assert found.keys() == made.keys()
    assert found["a"] == made["a"]
    if "ids" in made:
        assert found["ids"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert found["ids"].dtype == np.int64


@pytest.mark.parametrize("kind", ["?", "<i2", ">i4", "<u8", "<f2", ">f8"])
@pytest.mark.parametrize("order", ["C", "F"])
def test_arrays_of_all_kinds(kind, order):
    array = np.array([[0, 1, 2], [3, 4, 5]], order=order).astype(kind)
    for protocol in (2, 5):
        found = read_pickled(pickle.dumps(array, protocol=protocol))
        assert found.dtype == array.dtype
        assert (found == array).all()


def test_a_sparse_matrix_is_its_arrays():
    matrix = scipy.sparse.csr_matrix(np.array([[0.0, 2.0], [0.0, 0.0]]))
    found = read_pickled(pickle.dumps(matrix, protocol=2))
    assert isinstance(found, CSRParts)
    assert [part.tolist() for part in found[:3]] == [[2.0], [1], [0, 1, 1]]
    assert found.shape == (2, 2)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "pickle exhausted before seeing STOP"),
        (pickle.dumps(np.array(["a"])), "an array of 'U1', which is no type of numbers"),
        (pickle.dumps(np.array([1, "a"], dtype=object)), "an array of 'O8', which is no type of numbers"),
        (pickle.dumps({(1, 2): 3}), "a tuple is the key of a dictionary"),
        (pickle.dumps({1, 2}), "its instruction EMPTY_SET makes no data"),
        (b"\x80\x02K\x01K\x02a.", "it appends to a int"),
        (b"\x80\x02K\x01t.", "no mark"),
        (b"\x80\x02(.", "a mark where a value should be"),
        (pickle.dumps(np.arange(4), protocol=2).replace(b"K\x04\x85", b"K\x05\x85"), r"shape \[5\] in 32 bytes"),
    ],
)
def test_what_is_no_data_is_told(content, message):
    with pytest.raises(ValueError, match=message):
        read_pickled(content)


def test_saved_tensors_and_arrays_come_back(tmp_path):
    path = tmp_path / "a.pt"
    made = {"a": torch.arange(6).view(2, 3)[1:], "b": np.array([1.5]), "c": torch.tensor(2.0), "d": torch.empty(0, 3)}
    torch.save(made, path)
    found = read_saved(path)
    assert {name: np.asarray(each).tolist() for name, each in found.items()} == {
        "a": [[3, 4, 5]],
        "b": [1.5],
        "c": 2.0,
        "d": [],
    }
    torch.save(torch.arange(6).view(2, 3).t(), path)
    with pytest.raises(ValueError, match="a tensor that is not dense"):
        read_saved(path)
    torch.save(torch.nn.Linear(1, 1), path)
    with pytest.raises(ValueError, match=r"a.pt: loading it would run '\w+.* \w+'; nothing is unpickled"):
        read_saved(path)
