"""Rows of channels under a leaky ReLU as vector instructions, in the words of `kernels.rows`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from gnnkit.ops.kernels.llvm import Lanes, address, fill, load, splat, store, vector_of
from gnnkit.ops.kernels.rows import add_lanes

__all__ = ["LeakyRows", "leaky_rows", "mapped_row"]


@dataclass(frozen=True)
class LeakyRows:
    """What a kernel does with one row of C channels, z = t + x; arrays are flat, an offset follows each.

    Everything is rounded the same way in whatever kernel it stands: the passes find the same logits to the last bit.

    Args:
        leaky_dot: `(a, a_at, t, t_at, x, x_at, slope, channels)`: the sum of a * leaky_relu(z).
        add_steps: `(into, at, w, t, t_at, x, x_at, slope, channels)`: into += w * leaky_relu'(z).
        add_steps_and_values: `(into, at, values, values_at, w, t, t_at, x, x_at, slope, channels)`: that, and
            values += w * leaky_relu(z).
        add_exactly: `(into, at, w, x, x_at, channels)`: into += w * x.
    """

    leaky_dot: Callable[..., Any]
    add_steps: Callable[..., Any]
    add_steps_and_values: Callable[..., Any]
    add_exactly: Callable[..., Any]


class _Row:
    """The arguments of an intrinsic while its code is written."""

    def __init__(self, made: tuple[Any, ...], vector: ir.VectorType, constant: int) -> None:
        self.context, self.builder, self.signature, self.arguments = made
        self.vector, self.constant = vector, constant

    def pointer(self, number: int) -> Any:
        """Where an array begins that is followed by its offset."""
        kind, array, offset = self.signature.args[number], self.arguments[number], self.arguments[number + 1]
        return address(self.context, self.builder, kind, array, offset)

    def each(self, body: Callable[[Any, Any], None]) -> None:
        """Write `body(channel, type)` for whole vectors, then for the single numbers that are left."""
        word, builder, count = ir.IntType(64), self.builder, self.vector.count
        if self.constant > 0 and self.constant % count == 0:
            for first in range(0, self.constant, count):
                body(ir.Constant(word, first), self.vector)
            return
        channels, step = self.arguments[-1], ir.Constant(word, count)
        whole = builder.sub(channels, builder.srem(channels, step))
        with cgutils.for_range_slice(builder, ir.Constant(word, 0), whole, step) as (c, _):
            body(c, self.vector)
        with cgutils.for_range_slice(builder, whole, channels, ir.Constant(word, 1)) as (c, _):
            body(c, self.vector.element)

    def read(self, pointer: Any, channel: Any, kind: Any) -> Lanes:
        here = self.builder.gep(pointer, [channel])
        is_vector = isinstance(kind, ir.VectorType)
        return Lanes(self.builder, load(self.builder, here, kind) if is_vector else self.builder.load(here))

    def write(self, value: Lanes, pointer: Any, channel: Any, kind: Any) -> None:
        here = self.builder.gep(pointer, [channel])
        if isinstance(kind, ir.VectorType):
            store(self.builder, value.value, here)
        else:
            self.builder.store(value.value, here)

    def spread(self, number: int, kind: Any) -> Lanes:
        """A scalar argument as a value of a type."""
        scalar = self.arguments[number]
        is_vector = isinstance(kind, ir.VectorType)
        return Lanes(self.builder, splat(self.builder, scalar, kind) if is_vector else scalar)


@cache
def leaky_rows(double: bool, constant: int) -> LeakyRows:
    """Functions for rows of `constant` channels, for rows of any length where it is 0."""
    scalar, vector, i = types.float64 if double else types.float32, vector_of(double), types.intp

    @intrinsic
    def leaky_dot(typing_context, a, a_at, t, t_at, x, x_at, slope, channels):
        def generate(*made):
            row, builder = _Row(made, vector, constant), made[1]
            own, base, other = (row.pointer(number) for number in (0, 2, 4))
            totals = {kind: cgutils.alloca_once_value(builder, fill(kind, 0.0)) for kind in (vector, vector.element)}

            def body(c: Any, kind: Any) -> None:
                z = row.read(base, c, kind) + row.read(other, c, kind)
                leaky = z.where(">", 0.0, z, z * row.spread(6, kind))
                before = Lanes(builder, builder.load(totals[kind]))
                builder.store(leaky.times_plus(row.read(own, c, kind), before).value, totals[kind])

            row.each(body)
            sums = add_lanes(builder, builder.load(totals[vector]))
            return builder.fadd(sums, builder.load(totals[vector.element]))

        return scalar(a, i, t, i, x, i, scalar, i), generate

    @intrinsic
    def add_steps(typing_context, into, at, w, t, t_at, x, x_at, slope, channels):
        def generate(*made):
            row = _Row(made, vector, constant)
            total, base, other = (row.pointer(number) for number in (0, 3, 5))

            def body(c: Any, kind: Any) -> None:
                z, w = row.read(base, c, kind) + row.read(other, c, kind), row.spread(2, kind)
                step = z.where(">", 0.0, w, w * row.spread(7, kind))
                row.write(row.read(total, c, kind) + step, total, c, kind)

            row.each(body)
            return made[0].get_dummy_value()

        return types.void(into, i, scalar, t, i, x, i, scalar, i), generate

    @intrinsic
    def add_steps_and_values(typing_context, into, at, values, values_at, w, t, t_at, x, x_at, slope, channels):
        def generate(*made):
            row = _Row(made, vector, constant)
            total, leaky, base, other = (row.pointer(number) for number in (0, 2, 5, 7))

            def body(c: Any, kind: Any) -> None:
                z, w = row.read(base, c, kind) + row.read(other, c, kind), row.spread(4, kind)
                step = z.where(">", 0.0, w, w * row.spread(9, kind))
                row.write(row.read(total, c, kind) + step, total, c, kind)
                row.write(step.times_plus(z, row.read(leaky, c, kind)), leaky, c, kind)

            row.each(body)
            return made[0].get_dummy_value()

        return types.void(into, i, values, i, scalar, t, i, x, i, scalar, i), generate

    @intrinsic
    def add_exactly(typing_context, into, at, w, x, x_at, channels):
        def generate(*made):
            row = _Row(made, vector, constant)
            total, other = row.pointer(0), row.pointer(3)

            def body(c: Any, kind: Any) -> None:
                w, before = row.spread(2, kind), row.read(total, c, kind)
                row.write(row.read(other, c, kind).times_plus(w, before), total, c, kind)

            row.each(body)
            return made[0].get_dummy_value()

        return types.void(into, i, scalar, x, i, i), generate

    return LeakyRows(leaky_dot, add_steps, add_steps_and_values, add_exactly)


@cache
def mapped_row(double: bool, constant: int) -> Callable[..., None]:
    """Make `(into, query, at, edge_attr, edge, edge_map, features, width)`: into = query[at:] + W x_edge.

    It is added up in one order everywhere.
    """
    add_exactly = leaky_rows(double, constant).add_exactly

    @njit(inline="always")
    def mapped(into, query, at, edge_attr, edge, edge_map, features, width):
        for c in range(width):
            into[c] = query[at + c]
        for d in range(features):
            add_exactly(into, 0, edge_attr[edge * features + d], edge_map, d * width, width)

    return mapped
