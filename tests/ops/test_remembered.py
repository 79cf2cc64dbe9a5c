"""What is remembered is right whatever writes into the memory, bounded, and gone with that memory."""

import gc
import sys
import threading
import weakref

import pytest
import torch
from torch import Tensor
from torch_geometric import EdgeIndex

from gnnkit.ops import forget, remember
from gnnkit.ops.structure import remembered

SMALL, LARGE = 12, 20_000


def total(tensor: Tensor) -> float:
    return remember("sum", (tensor,), lambda: float(tensor.double().sum()))


def by_dlpack(tensor: Tensor) -> None:
    torch.from_dlpack(tensor)[1] = 7


def by_storage(tensor: Tensor) -> None:
    tensor.untyped_storage()[0] = 3


def by_swap(tensor: Tensor) -> None:
    torch.utils.swap_tensors(tensor, torch.full_like(tensor, 2))


def by_data(tensor: Tensor) -> None:
    tensor.data = torch.full((5,), 3, dtype=tensor.dtype)


def by_foreach(tensor: Tensor) -> None:
    torch._foreach_add_([tensor.data], 1)


def by_resize(tensor: Tensor) -> None:
    tensor.resize_(3)


WAYS = {
    "in place": lambda tensor: tensor.add_(1),
    "data": lambda tensor: tensor.data.add_(1),
    "data copy_": lambda tensor: tensor.data.copy_(torch.full_like(tensor, 4)),
    "detach": lambda tensor: tensor.detach()[-1:].add_(1),
    "numpy": lambda tensor: tensor.numpy().put(2, 9),
    "numpy swap": lambda tensor: tensor.numpy().__setitem__(slice(0, 2), tensor.numpy()[1::-1].copy()),
    "dlpack": by_dlpack,
    "storage": by_storage,
    "foreach": by_foreach,
    "new data": by_data,
    "set_": lambda tensor: tensor.set_(torch.full((4,), 8, dtype=tensor.dtype)),
    "resize_": by_resize,
    "swap_tensors": by_swap,
    "no_grad": lambda tensor: torch.no_grad()(tensor.mul_)(2),
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("dtype", [torch.int64, torch.int32, torch.float32, torch.float64, torch.bfloat16], ids=str)
@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_every_way_of_writing_is_noticed(way: str, dtype: torch.dtype, size: int) -> None:
    if dtype == torch.bfloat16 and "numpy" in way:
        pytest.skip("NumPy has no bfloat16")
    tensor = torch.arange(size).remainder(50).to(dtype)

    def build() -> list[float]:
        return tensor.tolist()

    before = remember("list", (tensor,), build)
    assert remember("list", (tensor,), build) is before
    WAYS[way](tensor)
    assert tensor.tolist() != before
    assert remember("list", (tensor,), build) == tensor.tolist()


def test_one_bit_anywhere_counts() -> None:
    from gnnkit.ops.structure.fingerprint import fingerprint

    for length in (1, 7, 8, 9, 240, 241, 70_001, (4 << 20) + 1):
        memory = torch.randint(256, (length,), dtype=torch.uint8)
        before = fingerprint(memory)
        for place in {0, length // 2, length - 1}:
            for bit in (1, 128):
                memory[place] ^= bit
                assert fingerprint(memory) != before
                memory[place] ^= bit
        assert fingerprint(memory) == before


def test_signs_and_order_count() -> None:
    from gnnkit.ops.structure.fingerprint import fingerprint

    weight = torch.rand(3000, dtype=torch.float64)
    seen = {fingerprint(weight)}
    for a, b in ((0, 1), (5, 1029), (1023, 2047), (1, 2999)):
        turned, swapped = weight.clone(), weight.clone()
        turned[[a, b]] *= -1
        swapped[[a, b]] = weight[[b, a]]
        seen |= {fingerprint(turned), fingerprint(swapped)}
    assert len(seen) == 9
    ids = torch.randint(1000, (2, 500_000))
    torch.set_num_threads(2)
    try:
        assert fingerprint(ids) == fingerprint(ids.clone())
        moved = ids.clone()
        moved[0, 17] += 1
        moved[0, 18] -= 2
        moved[0, 19] += 1
        assert fingerprint(moved) != fingerprint(ids)
    finally:
        torch.set_num_threads(1)


@pytest.mark.parametrize("layout", ["transposed", "slice", "step", "expanded"])
def test_views_that_are_not_contiguous(layout: str) -> None:
    base = torch.randint(9, (2, LARGE))
    if layout == "transposed":
        base = base.t().contiguous()
    view = {
        "transposed": lambda: base.t(),
        "slice": lambda: base[:, 5:-5],
        "step": lambda: base[:, ::2],
        "expanded": lambda: base[:1, :9].t().expand(-1, 9000),
    }[layout]()
    for _ in range(2):
        assert total(view) == float(view.sum())
        base.view(-1).numpy()[:40] += 1


@pytest.mark.parametrize("layout", [torch.sparse_coo, torch.sparse_csr, torch.sparse_csc], ids=str)
@pytest.mark.parametrize("size", [4, 200])
def test_parts_of_a_sparse_tensor(layout: torch.layout, size: int) -> None:
    sparse = torch.rand(size, size).to_sparse(layout=layout)
    values = sparse._values() if layout == torch.sparse_coo else sparse.values()
    for _ in range(3):
        found = remember("dense", (sparse,), lambda: sparse.to_dense().sum().item())
        assert found == sparse.to_dense().sum().item()
        values.data[1] += 1


def test_an_edge_index_and_its_data() -> None:
    edges = EdgeIndex(torch.randint(9, (2, LARGE)), sparse_size=(9, 9))
    for write in (lambda: edges.__setitem__((0, 3), 5), lambda: edges.as_tensor().numpy().put(7, 8)):
        assert total(edges) == float(edges.as_tensor().sum())
        write()
        assert total(edges) == float(edges.as_tensor().sum())


def test_memory_that_comes_back_with_other_contents() -> None:
    places = set()
    for round_ in range(20):
        tensor = torch.full((LARGE,), round_)
        places.add(tensor.data_ptr())
        assert total(tensor) == round_ * LARGE
        del tensor
    assert len(places) < 20  # else the allocator gave us nothing to see


def test_of_small_tensors_the_last_are_kept() -> None:
    held = [torch.full((SMALL,), number) for number in range(500)]
    values = [weakref.ref(remember("twin", (tensor,), lambda tensor=tensor: tensor * 2)) for tensor in held]
    gc.collect()
    assert sum(value() is not None for value in values) <= remembered._SMALL_ENTRIES
    assert remember("twin", (held[-1],), lambda: pytest.fail("it was the last")).tolist() == [998] * SMALL


def test_what_is_made_of_one_memory_is_bounded() -> None:
    forget()
    base = torch.zeros(4 * LARGE)
    values = [
        weakref.ref(remember("twin", (base[:n],), lambda n=n: base[:n] * 2)) for n in range(LARGE, 4 * LARGE, 500)
    ]
    gc.collect()
    kept = sum(value().nbytes for value in values if value() is not None)
    assert kept <= remembered._MOST_COPIES * base.nbytes
    assert values[-1]() is not None
    entries = sum(len(shelf.entries) for shelf in remembered._shelves.values())
    for number in range(30):  # a buffer that is written anew each time
        base.fill_(number)
        assert remember("twin", (base,), lambda: base * 2)[0] == 2 * number
    assert sum(len(shelf.entries) for shelf in remembered._shelves.values()) <= 1 + entries


def test_weights_that_come_and_go_do_not_pile_up() -> None:
    forget()
    edges = weight = torch.zeros(LARGE)
    for _ in range(5):
        weight = torch.rand(LARGE)
        remember("product", (edges, weight), lambda weight=weight: edges * weight)
    del weight
    gc.collect()
    assert not remembered._shelves


def test_forget() -> None:
    first, second = torch.zeros(LARGE), torch.zeros(SMALL)
    before = remember("twin", (first,), lambda: first + 1), remember("twin", (second,), lambda: second + 1)
    forget(first)
    assert remember("twin", (first,), lambda: first + 1) is not before[0]
    assert remember("twin", (second,), lambda: second + 1) is before[1]
    forget()
    assert remember("twin", (second,), lambda: second + 1) is not before[1]


def test_nothing_is_remembered_for_tensors_that_are_trained() -> None:
    weight = torch.ones(3, requires_grad=True)
    assert remember("double", (weight,), lambda: weight * 2) is not remember("double", (weight,), lambda: weight * 2)
    assert remember("double", (weight,), lambda: weight * 2).requires_grad


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_what_is_built_in_inference_mode_serves_training(size: int) -> None:
    tensor = torch.ones(size)
    with torch.inference_mode():
        value = remember("twin", (tensor,), lambda: tensor * 2)
        inside = torch.ones(size)
        assert remember("twin", (inside,), lambda: inside * 3)[0] == 3
    assert not value.is_inference()
    assert remember("twin", (tensor,), lambda: tensor * 2) is value
    assert remember("twin", (inside,), lambda: inside * 4)[0] == 3


def test_many_threads() -> None:
    tensors = [torch.full((size,), size) for size in (SMALL, LARGE)]
    wrong = []

    def work() -> None:
        for _ in range(50):
            for tensor in tensors:
                if total(tensor) != float(len(tensor) ** 2):
                    wrong.append(tensor)
                own = torch.full((LARGE,), 1)
                if total(own) != LARGE:
                    wrong.append(own)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_view_with_the_other_sign_is_another_tensor() -> None:
    for size in (SMALL, LARGE):
        tensor = torch.ones(size)
        assert total(tensor) == size
        assert total(torch._neg_view(tensor)) == -size


def test_memory_that_ends_in_another_thread_meanwhile() -> None:
    """Of one graph and weights that come and go: their end takes entries out while others are put in."""
    edges, wrong = torch.zeros(LARGE), []

    def work(size: int) -> None:
        try:
            for _ in range(300):
                remember("sum", (edges, torch.ones(size)), lambda: 0)
        except RuntimeError as error:
            wrong.append(error)

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        threads = [threading.Thread(target=work, args=(LARGE + i,)) for i in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    finally:
        sys.setswitchinterval(before)
    assert not wrong
