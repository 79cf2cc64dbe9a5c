"""Short rows of a constant length as vector instructions: heads of a logit, channels of a head.

LLVM unrolls loops of eight or sixteen before it looks for vectors in them, and then finds none; here they are written
out. Every function has a form for rows of any length, which is a plain loop.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from gnnkit.ops.kernels.arithmetic import FAST, exp32
from gnnkit.ops.kernels.llvm import Lanes, address, exp, fill, fused, load, splat, store, vector_lanes, vector_of

__all__ = ["ChannelRows", "HeadRows", "add_lanes", "channel_rows", "head_rows"]


@dataclass(frozen=True)
class HeadRows:
    """What a kernel does with one row of K logits; arrays are flat, an offset follows each.

    Args:
        leaky_sum: `(into, a, a_at, b, slope, heads)`: into = leaky_relu(a + b), and returns nothing.
        take_larger: `(largest, row, heads)`: largest = max(largest, row).
        exp_minus: `(row, a, a_at, heads)`: row = exp(row - a).
    """

    leaky_sum: Callable[..., Any]
    take_larger: Callable[..., Any]
    exp_minus: Callable[..., Any]


@cache
def head_rows(double: bool, constant: int) -> HeadRows:
    """Functions for rows of `constant` logits in float32, for rows of any length where it is 0 or for float64."""
    plain_exp: Any = math.exp if double else exp32

    # Rounded the same way wherever it is computed: the largest logit less itself is zero, however large it is.
    @njit(fastmath=False)
    def leaky_sum(into, a, a_at, b, slope, heads):
        for k in range(heads):
            z = a[a_at + k] + b[k]
            into[k] = z if z > 0 else slope * z

    @njit(fastmath=FAST)
    def take_larger(largest, row, heads):
        for k in range(heads):
            largest[k] = row[k] if row[k] > largest[k] else largest[k]

    @njit(fastmath=FAST - {"reassoc"})
    def exp_minus(row, a, a_at, heads):
        for k in range(heads):
            row[k] = plain_exp(row[k] - a[a_at + k])

    if double or constant < 4:
        return HeadRows(leaky_sum, take_larger, exp_minus)
    vector = ir.VectorType(ir.FloatType(), constant)

    def lanes_at(made, number, offset=None):
        """The pointer of an argument, and what it points to."""
        context, builder, signature, arguments = made
        at = None if offset is None else arguments[offset]
        pointer = address(context, builder, signature.args[number], arguments[number], at)
        return pointer, Lanes(builder, load(builder, pointer, vector))

    @intrinsic
    def vector_leaky_sum(typing_context, into, a, a_at, b, slope, heads):
        def generate(*made):
            context, builder, signature, arguments = made
            z = lanes_at(made, 1, 2)[1] + lanes_at(made, 3)[1]
            below = Lanes(builder, splat(builder, arguments[4], vector)) * z
            store(
                builder, z.where(">", 0.0, z, below).value, address(context, builder, signature.args[0], arguments[0])
            )
            return context.get_dummy_value()

        return types.void(into, a, types.intp, b, types.float32, types.intp), generate

    @intrinsic
    def vector_take_larger(typing_context, largest, row, heads):
        def generate(*made):
            context, builder, _, _ = made
            pointer, before = lanes_at(made, 0)
            new = lanes_at(made, 1)[1]
            store(builder, new.where(">", before, new, before).value, pointer)
            return context.get_dummy_value()

        return types.void(largest, row, types.intp), generate

    @intrinsic
    def vector_exp_minus(typing_context, row, a, a_at, heads):
        def generate(*made):
            context, builder, _, _ = made
            shift, (pointer, logits) = lanes_at(made, 1, 2)[1], lanes_at(made, 0)
            store(builder, exp(logits - shift).value, pointer)
            return context.get_dummy_value()

        return types.void(row, a, types.intp, types.intp), generate

    return HeadRows(vector_leaky_sum, vector_take_larger, vector_exp_minus)


def _addresses(context, builder, signature, arguments, *pairs):
    """Where some arguments are: of each the places, among the arguments, of its array and of its offset."""
    return [address(context, builder, signature.args[a], arguments[a], arguments[at]) for a, at in pairs]


def _dot(builder: ir.IRBuilder, vector: ir.VectorType, own: Any, x: Any, channels: Any, sums: Any, w: Any) -> Any:
    """The sum of own * x over a row, and sums += w * x where there are sums: whole vectors, then single numbers.

    The order of the sum depends on the number of channels alone, so two kernels find the same number.
    """
    word, add_product, single = ir.IntType(64), fused(builder, vector), fused(builder, vector.element)
    step, zero = ir.Constant(word, vector.count), ir.Constant(word, 0)
    partial = cgutils.alloca_once_value(builder, fill(vector, 0.0))
    factor = None if sums is None else splat(builder, w, vector)
    whole = builder.sub(channels, builder.srem(channels, step))
    with cgutils.for_range_slice(builder, zero, whole, step) as (c, _):
        values = load(builder, builder.gep(x, [c]), vector)
        product = builder.call(
            add_product, [values, load(builder, builder.gep(own, [c]), vector), builder.load(partial)]
        )
        builder.store(product, partial)
        if sums is not None:
            here = builder.gep(sums, [c])
            store(builder, builder.call(add_product, [factor, values, load(builder, here, vector)]), here)
    total = cgutils.alloca_once_value(builder, add_lanes(builder, builder.load(partial)))
    with cgutils.for_range_slice(builder, whole, channels, ir.Constant(word, 1)) as (c, _):
        value = builder.load(builder.gep(x, [c]))
        builder.store(builder.call(single, [value, builder.load(builder.gep(own, [c])), builder.load(total)]), total)
        if sums is not None:
            here = builder.gep(sums, [c])
            builder.store(builder.call(single, [w, value, builder.load(here)]), here)
    return builder.load(total)


def add_lanes(builder: ir.IRBuilder, lanes: Any) -> Any:
    """The sum of a vector's numbers: halves are added until one is left, in the same order each time."""
    width = lanes.type.count
    while width > 1:
        width //= 2
        index = ir.VectorType(ir.IntType(32), width)
        low, high = (
            builder.shuffle_vector(
                lanes, lanes, ir.Constant(index, [ir.Constant(ir.IntType(32), start + i) for i in range(width)])
            )
            for start in (0, width)
        )
        lanes = builder.fadd(low, high)
    return builder.extract_element(lanes, ir.Constant(ir.IntType(32), 0))


@dataclass(frozen=True)
class ChannelRows:
    """What a kernel does with one row of C channels; arrays are flat, an offset follows each.

    Args:
        add_scaled: `(sums, at, w, x, x_at, channels)`: sums[at:] += w * x[x_at:].
        dot: `(own, at, x, x_at, channels)`: the sum of own[at:] * x[x_at:].
        dot_and_add: `(sums, own, at, w, x, x_at, channels)`: both; the same number as `dot`, to the last bit.
    """

    add_scaled: Callable[..., Any]
    dot: Callable[..., Any]
    dot_and_add: Callable[..., Any]


@cache
def channel_rows(double: bool, constant: int) -> ChannelRows:
    """Functions for rows of `constant` channels, for rows of any length where it is 0."""
    scalar = types.float64 if double else types.float32
    vector, lanes = vector_of(double), vector_lanes(double)

    @njit(fastmath=FAST)
    def add_scaled(sums, at, w, x, x_at, channels):
        for c in range(channels):
            sums[at + c] += w * x[x_at + c]

    @intrinsic
    def dot(typing_context, own, at, x, x_at, channels):
        def generate(context, builder, signature, arguments):
            mine, row = _addresses(context, builder, signature, arguments, (0, 1), (2, 3))
            return _dot(builder, vector, mine, row, arguments[4], None, None)

        return scalar(own, types.intp, x, types.intp, types.intp), generate

    @intrinsic
    def dot_and_add(typing_context, sums, own, at, w, x, x_at, channels):
        def generate(context, builder, signature, arguments):
            total, mine, row = _addresses(context, builder, signature, arguments, (0, 2), (1, 2), (4, 5))
            return _dot(builder, vector, mine, row, arguments[6], total, arguments[3])

        return scalar(sums, own, types.intp, scalar, x, types.intp, types.intp), generate

    if constant <= 0 or constant % lanes:
        return ChannelRows(add_scaled, dot, dot_and_add)

    @intrinsic
    def vector_add_scaled(typing_context, sums, at, w, x, x_at, channels):
        def generate(context, builder, signature, arguments):
            total, row = _addresses(context, builder, signature, arguments, (0, 1), (3, 4))
            factor, add_product = splat(builder, arguments[2], vector), fused(builder, vector)
            for first in range(0, constant, lanes):
                step = ir.Constant(ir.IntType(64), first)
                here = builder.gep(total, [step])
                values = load(builder, builder.gep(row, [step]), vector)
                store(builder, builder.call(add_product, [factor, values, load(builder, here, vector)]), here)
            return context.get_dummy_value()

        return types.void(sums, types.intp, scalar, x, types.intp, types.intp), generate

    @intrinsic
    def vector_dot_and_add(typing_context, sums, own, at, w, x, x_at, channels):
        def generate(context, builder, signature, arguments):
            total, mine, row = _addresses(context, builder, signature, arguments, (0, 2), (1, 2), (4, 5))
            factor, add_product = splat(builder, arguments[3], vector), fused(builder, vector)
            partial: Any = fill(vector, 0.0)
            for first in range(0, constant, lanes):
                step = ir.Constant(ir.IntType(64), first)
                here = builder.gep(total, [step])
                values = load(builder, builder.gep(row, [step]), vector)
                partial = builder.call(add_product, [values, load(builder, builder.gep(mine, [step]), vector), partial])
                store(builder, builder.call(add_product, [factor, values, load(builder, here, vector)]), here)
            return add_lanes(builder, partial)

        return scalar(sums, own, types.intp, scalar, x, types.intp, types.intp), generate

    return ChannelRows(vector_add_scaled, dot, vector_dot_and_add)
