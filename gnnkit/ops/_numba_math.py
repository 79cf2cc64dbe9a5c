"""What the compiled kernels share: a prefetch, a vectorisable exponential, and the random numbers of dropout."""

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba import carray, njit, types  # pyright: ignore[reportPrivateImportUsage]
from numba.core import cgutils
from numba.extending import intrinsic

from gnnkit.ops._numba_vector import prefetch_line

__all__ = ["FAST", "exp32", "exp64", "mix", "prefetch_row", "stack_array_of"]

# Sums may be reordered, or nothing is vectorised. NaN and infinity keep their meaning ("nnan" and "ninf" stay off).
FAST = {"reassoc", "contract", "nsz", "arcp"}

_CACHE_LINE = 64


@intrinsic
def _prefetch(typing_context, array, index):
    """Ask for the cache line of `array[index]` (flat), without waiting for it."""

    def generate(context, builder, signature, arguments):
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        prefetch_line(builder, builder.gep(data, [arguments[1]]))
        return context.get_dummy_value()

    return types.void(array, types.intp), generate


@intrinsic
def _bits_to_float(typing_context, bits):
    """Read 32 bits as a float32."""

    def generate(context, builder, signature, arguments):
        return builder.bitcast(arguments[0], ir.FloatType())

    return types.float32(types.int32), generate


@intrinsic(prefer_literal=True)
def _stack32(typing_context, count):
    """Room for a constant number of float32 on the stack."""

    def generate(context, builder, signature, arguments):
        return cgutils.alloca_once(builder, ir.FloatType(), size=count.literal_value)

    return types.CPointer(types.float32)(count), generate


@intrinsic(prefer_literal=True)
def _stack64(typing_context, count):
    """Room for a constant number of float64 on the stack."""

    def generate(context, builder, signature, arguments):
        return cgutils.alloca_once(builder, ir.DoubleType(), size=count.literal_value)

    return types.CPointer(types.float64)(count), generate


def stack_array_of(double: bool, constant: int):
    """Make the function `(n) -> array` for a kernel's own running sums.

    A constant number of them lies on the stack: the compiler then knows that no argument of the kernel shares their
    memory, and keeps them in vector registers. Any other number comes from the heap.

    Args:
        double: True for float64.
        constant: The number, 0 where it is not a constant.

    Returns:
        A compiled function; its array must not outlive the kernel's call.
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


@njit(inline="always")
def exp32(x):
    """e**x in float32 for x <= 0, to 2 units in the last place (Cephes' expf); below -87 it is 0, NaN stays NaN.

    Only sums, products and one bit pattern, so that a loop over heads becomes vector instructions; libm's would not.
    """
    clamped = np.float32(-87.0) if x < np.float32(-87.0) else np.float32(x)
    # The nearest integer: a conversion cuts off towards zero, and x is not above it.
    bits = np.int32(clamped * np.float32(1.44269504088896341) - np.float32(0.5))
    power = np.float32(bits)
    rest = clamped - power * np.float32(0.693359375)
    rest = rest - power * np.float32(-2.12194440e-4)
    series = np.float32(1.9875691500e-4)
    series = series * rest + np.float32(1.3981999507e-3)
    series = series * rest + np.float32(8.3334519073e-3)
    series = series * rest + np.float32(4.1665795894e-2)
    series = series * rest + np.float32(1.6666665459e-1)
    series = series * rest + np.float32(5.0000001201e-1)
    series = series * rest * rest + rest + np.float32(1.0)
    # A NaN has no integer: its power of two is arbitrary, and the product is NaN whatever it is.
    exponent = np.int32((bits + np.int32(127)) << np.int32(23))
    scale = _bits_to_float(exponent)  # pyright: ignore[reportCallIssue]
    return np.float32(0.0) if x < np.float32(-87.0) else np.float32(series * scale)


@njit(inline="always")
def exp64(x):
    """e**x in float64."""
    return math.exp(x)


@njit(inline="always")
def mix(bits):
    """Wellons' 32-bit hash `lowbias32`: each bit of the result depends on each bit of the argument."""
    bits = np.uint32(bits)
    bits = np.uint32(bits ^ (bits >> np.uint32(16)))
    bits = np.uint32(bits * np.uint32(0x7FEB352D))
    bits = np.uint32(bits ^ (bits >> np.uint32(15)))
    bits = np.uint32(bits * np.uint32(0x846CA68B))
    return np.uint32(bits ^ (bits >> np.uint32(16)))
