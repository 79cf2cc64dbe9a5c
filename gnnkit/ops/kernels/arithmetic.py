"""What loops in compiled kernels are made of: exact sums, an exponential, a prefetch, running sums, random numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]
from numba.core import cgutils
from numba.extending import intrinsic

from gnnkit.ops.kernels.llvm import Lanes, address, exp, prefetch_line

__all__ = ["FAST", "exact_product", "exact_sum", "exp32", "mix", "prefetch_row", "stack_array_of"]

# Sums may be reordered, or nothing is vectorised. NaN and infinity keep their meaning ("nnan" and "ninf" stay off).
FAST = {"reassoc", "contract", "nsz", "arcp"}

_CACHE_LINE = 64


@intrinsic
def _prefetch(typing_context, array, index):
    """Ask for the cache line of `array[index]` (flat), without waiting for it."""

    def generate(context, builder, signature, arguments):
        prefetch_line(builder, address(context, builder, signature.args[0], *arguments))
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


def _stack_of(kind: Any, llvm: ir.Type) -> Any:
    @intrinsic(prefer_literal=True)
    def room(typing_context, count):
        """Room for a constant number of floats on the stack."""

        def generate(context, builder, signature, arguments):
            return cgutils.alloca_once(builder, llvm, size=count.literal_value)

        return types.CPointer(kind)(count), generate

    return room


_stack32, _stack64 = _stack_of(types.float32, ir.FloatType()), _stack_of(types.float64, ir.DoubleType())


def stack_array_of(double: bool, constant: int):
    """Make the function `(n) -> array` for a kernel's own running sums; the array must not outlive the kernel's call.

    A constant number of them (not 0) lies on the stack: the compiler then knows that no argument of the kernel shares
    their memory, and keeps them in vector registers. Any other number comes from the heap.
    """
    real = np.float64 if double else np.float32
    if constant <= 0:

        @njit(inline="always")
        def heap(n):
            return np.empty(n, real)

        return heap
    room = _stack64 if double else _stack32

    @njit(inline="always")
    def stack(n):
        return carray(room(constant), (constant,))  # pyright: ignore[reportCallIssue]

    return stack


@njit(inline="always")
def prefetch_row(flat, start, length):
    """Ask for the cache lines of `flat[start : start + length]`."""
    for offset in range(0, length, _CACHE_LINE // flat.itemsize):
        _prefetch(flat, start + offset)  # pyright: ignore[reportCallIssue]


# Rounded as they stand: without the loops' freedom to reorder sums and products.
@njit
def exact_sum(a, b):
    """a + b, and nothing else."""
    return a + b


@njit
def exact_product(a, b):
    """a · b, and nothing else."""
    return a * b


@intrinsic
def exp32(typing_context, x):
    """e**x in float32 for x <= 0: see `llvm.exp`."""

    def generate(context, builder, signature, arguments):
        return exp(Lanes(builder, arguments[0])).value

    return types.float32(types.float32), generate


@njit(inline="always")
def mix(bits):
    """Wellons' 32-bit hash `lowbias32`: each bit of the result depends on each bit of the argument."""
    bits = np.uint32(bits)
    bits = np.uint32(bits ^ (bits >> np.uint32(16)))
    bits = np.uint32(bits * np.uint32(0x7FEB352D))
    bits = np.uint32(bits ^ (bits >> np.uint32(15)))
    bits = np.uint32(bits * np.uint32(0x846CA68B))
    return np.uint32(bits ^ (bits >> np.uint32(16)))
