"""Tensors in a file: whole or not there, and any damage is noticed."""

import errno
import os

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

from gnnkit.kept_tensors import load_tensors, named_no_room, read_record, save_tensors


def same(found, wanted):
    return found.keys() == wanted.keys() and all(torch.equal(found[name], tensor) for name, tensor in wanted.items())


TENSORS = {
    "a": torch.arange(6.0).reshape(2, 3),
    "transposed": torch.arange(6).reshape(2, 3).t(),
    "scalar": torch.tensor(3, dtype=torch.int8),
    "empty": torch.empty(0, 4),
    "half": torch.ones(3, dtype=torch.bfloat16),
    "mask": torch.tensor([True, False]),
}


def test_tensors_and_record_come_back(tmp_path):
    record = {"step": 3, "name": "Žluť", "rate": 0.1, "none": None}
    save_tensors(tmp_path / "a", TENSORS, record)
    found, tensors = load_tensors(tmp_path / "a")
    assert found == read_record(tmp_path / "a") == record
    assert same(tensors, TENSORS)
    save_tensors(tmp_path / "b", TENSORS, record)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_tensors_that_share_memory_are_kept_each_for_itself(tmp_path):
    whole = torch.arange(6.0)
    parts = {"one": whole[:2], "two": whole[1:], "again": whole}
    save_tensors(tmp_path / "a", parts)
    assert same(load_tensors(tmp_path / "a")[1], parts)


def test_every_truncation_and_every_flipped_bit_is_noticed_or_harmless(tmp_path):
    small = {"x": torch.tensor([1.0, 2.0]), "n": torch.tensor([7])}
    save_tensors(tmp_path / "a", small, {"step": 3})
    whole = (tmp_path / "a").read_bytes()
    for length in range(0, len(whole), 7):
        (tmp_path / "a").write_bytes(whole[:length])
        with pytest.raises(ValueError, match=r"a (is damaged|has no checksum)"):
            load_tensors(tmp_path / "a")
    noticed = 0
    for place in range(len(whole)):
        damaged = bytearray(whole)
        damaged[place] ^= 1 << place % 8
        (tmp_path / "a").write_bytes(damaged)
        try:
            record, tensors = load_tensors(tmp_path / "a")
        except ValueError:
            noticed += 1
        else:  # e.g. a blank that became another
            assert record == {"step": 3}
            assert same(tensors, small)
    assert noticed > 0.9 * len(whole)


def test_what_is_none_of_gnnkits(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"a: there is no such file"):
        load_tensors(tmp_path / "a")
    save_file({"x": torch.ones(1)}, str(tmp_path / "a"))
    with pytest.raises(ValueError, match=r"a has no checksum: it is none of gnnkit's, of an earlier one, or damaged"):
        load_tensors(tmp_path / "a")
    with pytest.raises(TypeError, match="not JSON serializable"):
        save_tensors(tmp_path / "new", {}, {"x": torch.ones(1)})
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


def test_a_disk_that_is_full_is_named(tmp_path):
    with pytest.raises(OSError, match=r"No space left on device: 'w'") as found, named_no_room("w"):
        raise SafetensorError("Error while serializing: I/O error: No space left on device (os error 28)")
    assert found.value.errno == errno.ENOSPC
    with pytest.raises(SafetensorError), named_no_room("w"):
        raise SafetensorError("another")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="limits of a process are those of Unix")
def test_a_limit_of_size_leaves_the_file_before(tmp_path):
    save_tensors(tmp_path / "a", {"x": torch.ones(4)})
    before = (tmp_path / "a").read_bytes()
    child = os.fork()
    if child == 0:
        import resource

        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
        try:
            save_tensors(tmp_path / "a", {"x": torch.ones(10_000)})
        except OSError as error:
            os._exit(7 if error.filename == str(tmp_path / "a") else 8)
        os._exit(9)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert (tmp_path / "a").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
