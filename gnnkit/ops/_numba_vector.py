"""Vector instructions for compiled CPU kernels: elementwise maps, weighted sums of rows, a register-blocked tile.

LLVM does not reliably keep a tile of accumulators in registers, nor turn a loop with an exponential in it into vector
code, nor a sum of short rows (it takes several rows at once, entry by entry), so they are written out here as vector
instructions, 256 bits wide; LLVM lowers them to what the machine has.
Offsets count elements from the start of an array, and nothing checks them: a caller keeps to its own workspaces.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = [
    "TILE_ROWS",
    "Lanes",
    "add_tile",
    "prefetch_line",
    "row_sum",
    "set_tile",
    "sigmoid",
    "tanh",
    "tile_columns",
    "vector_lanes",
    "vector_map",
]

VECTOR_BYTES = 32
TILE_ROWS = 6
"""Rows of a matrix tile: with two vectors of columns this takes 12 of the 16 registers of AVX2 for its sums."""

# Terms of (exp(f) - 1 - f) / f² that are needed on |f| <= ln(2)/2, to half a unit in the last place.
_EXP_TERMS = {4: 6, 8: 12}
_MAX_EXPONENT = {4: 87.0, 8: 708.0}


def vector_lanes(double: bool) -> int:
    """Numbers in a vector."""
    return VECTOR_BYTES // (8 if double else 4)


def tile_columns(itemsize: int) -> int:
    """Columns of a matrix tile: two vectors."""
    return 2 * VECTOR_BYTES // itemsize


def _fused(builder: ir.IRBuilder, vector: ir.VectorType) -> ir.Function:
    """LLVM's a · b + c on vectors, one instruction where the machine has it."""
    kind = f"v{vector.count}f{32 if isinstance(vector.element, ir.FloatType) else 64}"
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(vector, [vector] * 3), f"llvm.fmuladd.{kind}")


class Lanes:
    """One vector of floats while LLVM code is being written: arithmetic on it writes instructions."""

    def __init__(self, builder: ir.IRBuilder, value: Any) -> None:
        self.builder = builder
        self.value = value
        self.itemsize = 4 if isinstance(value.type.element, ir.FloatType) else 8

    def like(self, number: float) -> Lanes:
        """The vector that holds `number` in every lane."""
        element = self.value.type
        return Lanes(self.builder, ir.Constant(element, [ir.Constant(element.element, number)] * element.count))

    def _lift(self, other: Lanes | float) -> Lanes:
        return other if isinstance(other, Lanes) else self.like(other)

    def __add__(self, other: Lanes | float) -> Lanes:
        return Lanes(self.builder, self.builder.fadd(self.value, self._lift(other).value))

    def __sub__(self, other: Lanes | float) -> Lanes:
        return Lanes(self.builder, self.builder.fsub(self.value, self._lift(other).value))

    def __rsub__(self, other: float) -> Lanes:
        return self.like(other) - self

    def __mul__(self, other: Lanes | float) -> Lanes:
        return Lanes(self.builder, self.builder.fmul(self.value, self._lift(other).value))

    def __truediv__(self, other: Lanes) -> Lanes:
        return Lanes(self.builder, self.builder.fdiv(self.value, other.value))

    def __rtruediv__(self, other: float) -> Lanes:
        return self.like(other) / self

    def times_plus(self, factor: Lanes | float, term: Lanes | float) -> Lanes:
        """self · factor + term, fused where the machine can."""
        fused = _fused(self.builder, self.value.type)
        return Lanes(
            self.builder, self.builder.call(fused, [self.value, self._lift(factor).value, self._lift(term).value])
        )

    def at_most(self, bound: float) -> Lanes:
        """The smaller of self and `bound`; NaN stays NaN."""
        limit = self.like(bound)
        above = self.builder.fcmp_ordered(">", self.value, limit.value)
        return Lanes(self.builder, self.builder.select(above, limit.value, self.value))

    def at_least(self, bound: float) -> Lanes:
        """The greater of self and `bound`; NaN stays NaN."""
        limit = self.like(bound)
        below = self.builder.fcmp_ordered("<", self.value, limit.value)
        return Lanes(self.builder, self.builder.select(below, limit.value, self.value))


def _exp_minus_one(x: Lanes) -> Lanes:
    """exp(x) - 1 to the last place or two, near zero too: x = n·ln 2 + f, exp(x) - 1 = 2ⁿ·(exp(f) - 1) + (2ⁿ - 1)."""
    mantissa = 23 if x.itemsize == 4 else 52
    x = x.at_least(-_MAX_EXPONENT[x.itemsize]).at_most(_MAX_EXPONENT[x.itemsize])
    # Adding 1.5·2^mantissa rounds to an integer and leaves it in the low bits, from where a shift makes it an exponent.
    magic = 1.5 * 2.0**mantissa
    shifted = x.times_plus(1 / math.log(2), magic)
    n = shifted - magic
    # ln 2 in two parts, the first with so few bits that n times it is exact.
    high = 0.693359375 if x.itemsize == 4 else 0.6931471803691238
    f = n.times_plus(-(math.log(2) - high if x.itemsize == 4 else 1.9082149292705877e-10), n.times_plus(-high, x))
    terms = _EXP_TERMS[x.itemsize]
    series = f.like(1 / math.factorial(terms + 1))
    for k in range(terms, 1, -1):
        series = series.times_plus(f, 1 / math.factorial(k))
    fraction = (f * f).times_plus(series, f)
    builder, vector = x.builder, x.value.type
    word = ir.IntType(8 * x.itemsize)
    words = ir.VectorType(word, vector.count)
    shift = ir.Constant(words, [ir.Constant(word, mantissa)] * vector.count)
    exponent = builder.shl(builder.bitcast(shifted.value, words), shift)
    one = builder.bitcast(x.like(1.0).value, words)
    power = Lanes(builder, builder.bitcast(builder.add(exponent, one), vector))
    return power.times_plus(fraction, power - 1.0)


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + exp(-x))."""
    return 1.0 / (_exp_minus_one(0.0 - x) + 2.0)


def tanh(x: Lanes) -> Lanes:
    """m / (m + 2) with m = exp(2x) - 1: no cancellation near zero."""
    m = _exp_minus_one((x + x).at_most(0.5 * _MAX_EXPONENT[x.itemsize]))
    return m / (m + 2.0)


def _pointer(context: Any, builder: ir.IRBuilder, kind: Any, array: ir.Value, offset: ir.Value) -> ir.Value:
    return builder.gep(context.make_array(kind)(context, builder, array).data, [offset])


def _vector_type(kind: Any) -> ir.VectorType:
    wide = kind.dtype == types.float64
    return ir.VectorType(ir.DoubleType() if wide else ir.FloatType(), VECTOR_BYTES // (8 if wide else 4))


def _load(builder: ir.IRBuilder, pointer: ir.Value, vector: ir.VectorType) -> ir.Value:
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=1)


def _store(builder: ir.IRBuilder, value: Any, pointer: ir.Value) -> None:
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=1)


def vector_map(function: Callable[..., tuple[Lanes, ...]], inputs: int, outputs: int) -> Callable[..., None]:
    """Make a compiled elementwise kernel out of a function of `Lanes`.

    Args:
        function: Takes `inputs` vectors and returns a tuple of `outputs` vectors.
        inputs, outputs: How many there are.

    Returns:
        For use inside a compiled function: `kernel((in_0, …, out_0, …), (offset_0, …), length)`. All loads of a vector
        come before its stores, so an output may be an input; `length` is a multiple of a vector.
    """

    @intrinsic
    def kernel(typingctx: Any, arrays: Any, offsets: Any, length: Any) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            kinds = signature.args[0]
            packed, starts, count = arguments
            vector = _vector_type(kinds[0])
            pointers = [
                _pointer(context, builder, kind, builder.extract_value(packed, i), builder.extract_value(starts, i))
                for i, kind in enumerate(kinds)
            ]
            step = ir.Constant(count.type, vector.count)
            zero = ir.Constant(count.type, 0)
            with cgutils.for_range_slice(builder, zero, count, step, count.type) as (index, _):
                read = [
                    Lanes(builder, _load(builder, builder.gep(pointer, [index]), vector))
                    for pointer in pointers[:inputs]
                ]
                results = function(*read)
                for result, pointer in zip(results, pointers[inputs : inputs + outputs], strict=True):
                    _store(builder, result.value, builder.gep(pointer, [index]))
            return context.get_dummy_value()

        return types.void(arrays, types.UniTuple(types.intp, inputs + outputs), types.intp), codegen

    return kernel


def prefetch_line(builder: ir.IRBuilder, pointer: ir.Value) -> None:
    """Ask for the cache line that a pointer lies in, without waiting for it."""
    byte_pointer, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte_pointer, int32, int32, int32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(function, [builder.bitcast(pointer, byte_pointer), int32(0), int32(3), int32(1)])


def row_sum(vectors: int, weighted: bool, ahead: int) -> Callable[..., None]:
    """Make the sum of some rows of a matrix, over so many vectors of columns.

    Args:
        vectors: Vectors of columns, whose sums stay in registers: at most 8.
        weighted: Whether each row has a weight.
        ahead: Ask for the row that is needed so many rows later; 0: the rows are taken to be in a cache.

    Returns:
        For use inside a compiled function: `kernel(x, start, row, neighbours, weight, first, last, out, out_start)`.
        It sets `out[out_start:]` to the sum over p from `first` up to, not including, `last` of `weight[p]` times
        `x[start + row · neighbours[p]:]`.
    """

    @intrinsic
    def kernel(
        typingctx: Any,
        x: Any,
        start: Any,
        row: Any,
        neighbours: Any,
        weight: Any,
        first: Any,
        last: Any,
        out: Any,
        out_start: Any,
    ) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            kinds = signature.args
            x, start, row, neighbours, weight, first, last, out, out_start = arguments
            vector, integer = _vector_type(kinds[0]), start.type
            lanes = ir.Constant(integer, vector.count)
            count = context.make_array(kinds[3])(context, builder, neighbours).nitems
            base = _pointer(context, builder, kinds[0], x, start)
            columns = _pointer(context, builder, kinds[3], neighbours, ir.Constant(integer, 0))
            factors = _pointer(context, builder, kinds[4], weight, ir.Constant(integer, 0))
            target = _pointer(context, builder, kinds[7], out, out_start)
            everywhere = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
            undefined, lane0 = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
            fused = _fused(builder, vector)

            def row_of(position: ir.Value) -> ir.Value:
                number = builder.load(builder.gep(columns, [position]))
                if number.type != integer:
                    number = builder.sext(number, integer)
                return builder.gep(base, [builder.mul(number, row)])

            entry = builder.block
            body, after = builder.append_basic_block("row"), builder.append_basic_block("rows.end")
            zero, one = ir.Constant(vector, None), ir.Constant(integer, 1)
            builder.cbranch(builder.icmp_signed("<", first, last), body, after)

            builder.position_at_end(body)
            p = builder.phi(integer)
            p.add_incoming(first, entry)
            sums = [builder.phi(vector) for _ in range(vectors)]
            following = builder.add(p, one)
            if ahead:
                later = builder.add(p, ir.Constant(integer, ahead))
                asked = row_of(builder.select(builder.icmp_signed("<", later, count), later, p))
                for place in range(0, vectors * VECTOR_BYTES, 64):
                    step = ir.Constant(integer, place * vector.count // VECTOR_BYTES)
                    prefetch_line(builder, builder.gep(asked, [step]))
            here, spread = row_of(p), None
            if weighted:
                scalar = builder.load(builder.gep(factors, [p]))
                spread = builder.shuffle_vector(builder.insert_element(undefined, scalar, lane0), undefined, everywhere)
            totals = []
            for number, total in enumerate(sums):
                total.add_incoming(zero, entry)
                place = builder.gep(here, [builder.mul(lanes, ir.Constant(integer, number))])
                read = _load(builder, place, vector)
                added = builder.call(fused, [spread, read, total]) if spread else builder.fadd(total, read)
                total.add_incoming(added, body)
                totals.append(added)
            p.add_incoming(following, body)
            builder.cbranch(builder.icmp_signed("<", following, last), body, after)

            builder.position_at_end(after)
            for number, added in enumerate(totals):
                result = builder.phi(vector)
                result.add_incoming(zero, entry)
                result.add_incoming(added, body)
                totals[number] = result
            for number, result in enumerate(totals):
                place = builder.gep(target, [builder.mul(lanes, ir.Constant(integer, number))])
                _store(builder, result, place)
            return context.get_dummy_value()

        i = types.intp
        return types.void(x, i, i, neighbours, weight, i, i, out, i), codegen

    return kernel


def _tile_function(module: ir.Module, vector: ir.VectorType, accumulate: bool) -> ir.Function:
    """The tile as a function of the module, never inlined: there are many calls, and each takes microseconds anyway."""
    name = f"gnnkit.tile.{'add' if accumulate else 'set'}.{vector.element}"
    if name in module.globals:
        return module.globals[name]
    integer, pointer = ir.IntType(64), vector.element.as_pointer()
    kind = ir.FunctionType(ir.VoidType(), [pointer, integer, integer, pointer, integer, pointer, integer, integer])
    function = ir.Function(module, kind, name)
    function.linkage = "internal"
    function.attributes.add("noinline")
    a, a_row, a_column, b, b_row, c, c_row, depth = function.args
    entry, head, body, after = (function.append_basic_block(name) for name in ("entry", "head", "body", "after"))
    builder = ir.IRBuilder(entry)
    one, width = ir.Constant(integer, 1), ir.Constant(integer, vector.count)
    lane0, everywhere = ir.Constant(ir.IntType(32), 0), ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
    undefined = ir.Constant(vector, ir.Undefined)
    fused = _fused(builder, vector)
    builder.branch(head)

    builder.position_at_end(head)
    k = builder.phi(integer)
    k.add_incoming(ir.Constant(integer, 0), entry)
    sums = [[builder.phi(vector) for _ in range(2)] for _ in range(TILE_ROWS)]
    for row in sums:
        for total in row:
            total.add_incoming(ir.Constant(vector, None), entry)
    builder.cbranch(builder.icmp_signed("<", k, depth), body, after)

    builder.position_at_end(body)
    b_here = builder.gep(b, [builder.mul(k, b_row)])
    columns = [_load(builder, b_here, vector), _load(builder, builder.gep(b_here, [width]), vector)]
    a_here = builder.gep(a, [builder.mul(k, a_column)])
    for i, row in enumerate(sums):
        scalar = builder.load(builder.gep(a_here, [builder.mul(ir.Constant(integer, i), a_row)]))
        spread = builder.shuffle_vector(builder.insert_element(undefined, scalar, lane0), undefined, everywhere)
        for total, column in zip(row, columns, strict=True):
            total.add_incoming(builder.call(fused, [spread, column, total]), body)
    k.add_incoming(builder.add(k, one), body)
    builder.branch(head)

    builder.position_at_end(after)
    for i, row in enumerate(sums):
        target = builder.gep(c, [builder.mul(ir.Constant(integer, i), c_row)])
        for total, pointer in zip(row, (target, builder.gep(target, [width])), strict=True):
            value = builder.fadd(total, _load(builder, pointer, vector)) if accumulate else total
            _store(builder, value, pointer)
    builder.ret_void()
    return function


def _tile(accumulate: bool) -> Callable[..., None]:
    @intrinsic
    def tile(
        typingctx: Any,
        a: Any,
        a_start: Any,
        a_row: Any,
        a_column: Any,
        b: Any,
        b_start: Any,
        b_row: Any,
        c: Any,
        c_start: Any,
        c_row: Any,
        depth: Any,
    ) -> Any:
        def codegen(context: Any, builder: ir.IRBuilder, signature: Any, arguments: Any) -> ir.Value:
            a, a_start, a_row, a_column, b, b_start, b_row, c, c_start, c_row, depth = arguments
            pointers = [
                _pointer(context, builder, signature.args[i], array, start)
                for i, array, start in ((0, a, a_start), (4, b, b_start), (7, c, c_start))
            ]
            function = _tile_function(builder.module, _vector_type(signature.args[0]), accumulate)
            builder.call(function, [pointers[0], a_row, a_column, pointers[1], b_row, pointers[2], c_row, depth])
            return context.get_dummy_value()

        i = types.intp
        return types.void(a, i, i, i, b, i, i, c, i, i, i), codegen

    return tile


set_tile = _tile(accumulate=False)
"""c = a·b for `TILE_ROWS` rows and two vectors of columns; inside a compiled function:
`set_tile(a, start, row stride, column stride, b, start, row stride, c, start, row stride, depth)`."""

add_tile = _tile(accumulate=True)
"""c += a·b, as `set_tile`."""
