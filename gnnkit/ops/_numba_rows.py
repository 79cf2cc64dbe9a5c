"""Short rows of a constant length as vector instructions: heads of a logit, channels of a head.

LLVM unrolls loops of eight or sixteen before it looks for vectors in them, and then finds none; here they are written
out. Every function has a form for rows of any length, which is a plain loop.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from gnnkit.ops._numba_math import FAST, exp32, exp64

__all__ = ["ChannelRows", "HeadRows", "channel_rows", "head_rows"]

_VECTOR_BYTES = 32


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


def _address(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, offset: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    return data if offset is None else builder.gep(data, [offset])


def _load(builder: ir.IRBuilder, address: Any, vector: ir.VectorType) -> Any:
    return builder.load(builder.bitcast(address, vector.as_pointer()), align=1)


def _store(builder: ir.IRBuilder, value: Any, address: Any) -> None:
    builder.store(value, builder.bitcast(address, value.type.as_pointer()), align=1)


def _splat(builder: ir.IRBuilder, scalar: Any, vector: ir.VectorType) -> Any:
    lane = ir.Constant(ir.IntType(32), 0)
    undefined = ir.Constant(vector, ir.Undefined)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
    return builder.shuffle_vector(builder.insert_element(undefined, scalar, lane), undefined, everywhere)


def _fill(vector: ir.VectorType, number: float) -> ir.Constant:
    return ir.Constant(vector, [ir.Constant(vector.element, number)] * vector.count)


def _fused(builder: ir.IRBuilder, vector: ir.VectorType) -> ir.Function:
    kind = f"v{vector.count}f{32 if isinstance(vector.element, ir.FloatType) else 64}"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.{kind}")


def _exp32(builder: ir.IRBuilder, x: Any) -> Any:
    """`_numba_math.exp32` on a vector: the same steps."""
    vector = x.type
    words = ir.VectorType(ir.IntType(32), vector.count)
    fused = _fused(builder, vector)

    def times_plus(a: Any, b: float, c: Any) -> Any:
        return builder.call(fused, [a, _fill(vector, b), c if isinstance(c, ir.Value) else _fill(vector, c)])

    def word(number: int) -> ir.Constant:
        return ir.Constant(words, [ir.Constant(ir.IntType(32), number)] * vector.count)

    low = builder.fcmp_ordered("<", x, _fill(vector, -87.0))
    clamped = builder.select(low, _fill(vector, -87.0), x)
    bits = builder.fptosi(times_plus(clamped, 1.44269504088896341, -0.5), words)
    power = builder.sitofp(bits, vector)
    rest = times_plus(power, 2.12194440e-4, times_plus(power, -0.693359375, clamped))
    series: Any = _fill(vector, 1.9875691500e-4)
    for term in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        series = builder.call(fused, [series, rest, _fill(vector, term)])
    series = builder.call(fused, [builder.fmul(rest, rest), series, builder.fadd(rest, _fill(vector, 1.0))])
    scale = builder.bitcast(builder.shl(builder.add(bits, word(127)), word(23)), vector)
    return builder.select(low, _fill(vector, 0.0), builder.fmul(series, scale))


@cache
def head_rows(double: bool, constant: int) -> HeadRows:
    """Functions for rows of `constant` logits in float32, for rows of any length where it is 0 or for float64."""
    exp = exp64 if double else exp32

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
            row[k] = exp(row[k] - a[a_at + k])

    if double or constant < 4:
        return HeadRows(leaky_sum, take_larger, exp_minus)
    vector = ir.VectorType(ir.FloatType(), constant)

    @intrinsic
    def vector_leaky_sum(typing_context, into, a, a_at, b, slope, heads):
        def generate(context, builder, signature, arguments):
            into_kind, a_kind, _, b_kind, *_ = signature.args
            z = builder.fadd(
                _load(builder, _address(context, builder, a_kind, arguments[1], arguments[2]), vector),
                _load(builder, _address(context, builder, b_kind, arguments[3], None), vector),
            )
            below = builder.fmul(_splat(builder, arguments[4], vector), z)
            positive = builder.fcmp_ordered(">", z, _fill(vector, 0.0))
            result = builder.select(positive, z, below)
            _store(builder, result, _address(context, builder, into_kind, arguments[0], None))
            return context.get_dummy_value()

        return types.void(into, a, types.intp, b, types.float32, types.intp), generate

    @intrinsic
    def vector_take_larger(typing_context, largest, row, heads):
        def generate(context, builder, signature, arguments):
            address = _address(context, builder, signature.args[0], arguments[0], None)
            before = _load(builder, address, vector)
            new = _load(builder, _address(context, builder, signature.args[1], arguments[1], None), vector)
            _store(builder, builder.select(builder.fcmp_ordered(">", new, before), new, before), address)
            return context.get_dummy_value()

        return types.void(largest, row, types.intp), generate

    @intrinsic
    def vector_exp_minus(typing_context, row, a, a_at, heads):
        def generate(context, builder, signature, arguments):
            address = _address(context, builder, signature.args[0], arguments[0], None)
            shift = _load(builder, _address(context, builder, signature.args[1], arguments[1], arguments[2]), vector)
            _store(builder, _exp32(builder, builder.fsub(_load(builder, address, vector), shift)), address)
            return context.get_dummy_value()

        return types.void(row, a, types.intp, types.intp), generate

    return HeadRows(vector_leaky_sum, vector_take_larger, vector_exp_minus)


def _dot(builder: ir.IRBuilder, vector: ir.VectorType, own: Any, x: Any, channels: Any, sums: Any, w: Any) -> Any:
    """The sum of own * x over a row, and sums += w * x where there are sums: whole vectors, then single numbers.

    The order of the sum depends on the number of channels alone, so two kernels find the same number.
    """
    number, word = vector.element, ir.IntType(64)
    kind = "f32" if isinstance(number, ir.FloatType) else "f64"
    single = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(number, [number] * 3), f"llvm.fmuladd.{kind}"
    )
    fused, step, zero = _fused(builder, vector), ir.Constant(word, vector.count), ir.Constant(word, 0)
    partial, factor = (
        cgutils.alloca_once_value(builder, _fill(vector, 0.0)),
        None if sums is None else _splat(builder, w, vector),
    )
    whole = builder.sub(channels, builder.srem(channels, step))
    with cgutils.for_range_slice(builder, zero, whole, step) as (c, _):
        values = _load(builder, builder.gep(x, [c]), vector)
        product = builder.call(fused, [values, _load(builder, builder.gep(own, [c]), vector), builder.load(partial)])
        builder.store(product, partial)
        if sums is not None:
            here = builder.gep(sums, [c])
            _store(builder, builder.call(fused, [factor, values, _load(builder, here, vector)]), here)
    total = cgutils.alloca_once_value(builder, _add_lanes(builder, builder.load(partial)))
    with cgutils.for_range_slice(builder, whole, channels, ir.Constant(word, 1)) as (c, _):
        value = builder.load(builder.gep(x, [c]))
        builder.store(builder.call(single, [value, builder.load(builder.gep(own, [c])), builder.load(total)]), total)
        if sums is not None:
            here = builder.gep(sums, [c])
            builder.store(builder.call(single, [w, value, builder.load(here)]), here)
    return builder.load(total)


def _add_lanes(builder: ir.IRBuilder, lanes: Any) -> Any:
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
    number = ir.DoubleType() if double else ir.FloatType()
    scalar = types.float64 if double else types.float32
    lanes = _VECTOR_BYTES // (8 if double else 4)
    vector = ir.VectorType(number, lanes)

    @njit(fastmath=FAST)
    def add_scaled(sums, at, w, x, x_at, channels):
        for c in range(channels):
            sums[at + c] += w * x[x_at + c]

    @intrinsic
    def dot(typing_context, own, at, x, x_at, channels):
        def generate(context, builder, signature, arguments):
            mine = _address(context, builder, signature.args[0], arguments[0], arguments[1])
            row = _address(context, builder, signature.args[2], arguments[2], arguments[3])
            return _dot(builder, vector, mine, row, arguments[4], None, None)

        return scalar(own, types.intp, x, types.intp, types.intp), generate

    @intrinsic
    def dot_and_add(typing_context, sums, own, at, w, x, x_at, channels):
        def generate(context, builder, signature, arguments):
            total = _address(context, builder, signature.args[0], arguments[0], arguments[2])
            mine = _address(context, builder, signature.args[1], arguments[1], arguments[2])
            row = _address(context, builder, signature.args[4], arguments[4], arguments[5])
            return _dot(builder, vector, mine, row, arguments[6], total, arguments[3])

        return scalar(sums, own, types.intp, scalar, x, types.intp, types.intp), generate

    if constant <= 0 or constant % lanes:
        return ChannelRows(add_scaled, dot, dot_and_add)

    @intrinsic
    def vector_add_scaled(typing_context, sums, at, w, x, x_at, channels):
        def generate(context, builder, signature, arguments):
            total = _address(context, builder, signature.args[0], arguments[0], arguments[1])
            row = _address(context, builder, signature.args[3], arguments[3], arguments[4])
            factor, fused = _splat(builder, arguments[2], vector), _fused(builder, vector)
            for first in range(0, constant, lanes):
                step = ir.Constant(ir.IntType(64), first)
                here = builder.gep(total, [step])
                values = _load(builder, builder.gep(row, [step]), vector)
                _store(builder, builder.call(fused, [factor, values, _load(builder, here, vector)]), here)
            return context.get_dummy_value()

        return types.void(sums, types.intp, scalar, x, types.intp, types.intp), generate

    @intrinsic
    def vector_dot_and_add(typing_context, sums, own, at, w, x, x_at, channels):
        def generate(context, builder, signature, arguments):
            total = _address(context, builder, signature.args[0], arguments[0], arguments[2])
            mine = _address(context, builder, signature.args[1], arguments[1], arguments[2])
            row = _address(context, builder, signature.args[4], arguments[4], arguments[5])
            factor, fused = _splat(builder, arguments[3], vector), _fused(builder, vector)
            partial: Any = _fill(vector, 0.0)
            for first in range(0, constant, lanes):
                step = ir.Constant(ir.IntType(64), first)
                here = builder.gep(total, [step])
                values = _load(builder, builder.gep(row, [step]), vector)
                partial = builder.call(fused, [values, _load(builder, builder.gep(mine, [step]), vector), partial])
                _store(builder, builder.call(fused, [factor, values, _load(builder, here, vector)]), here)
            return _add_lanes(builder, partial)

        return scalar(sums, own, types.intp, scalar, x, types.intp, types.intp), generate

    return ChannelRows(vector_add_scaled, dot, vector_dot_and_add)
