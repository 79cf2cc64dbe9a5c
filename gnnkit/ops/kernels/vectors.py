"""Loops over vectors for compiled CPU kernels: elementwise maps, weighted sums of rows, a register-blocked tile.

LLVM does not reliably keep a tile of accumulators in registers, nor turn a loop with an exponential in it into vector
code, nor a sum of short rows (it takes several rows at once, entry by entry), so they are written out here as vector
instructions.
"""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gnnkit.ops.kernels.llvm import (
    VECTOR_BYTES,
    Lanes,
    address,
    fused,
    load,
    prefetch_line,
    splat,
    store,
    vector_of,
)

__all__ = ["TILE_ROWS", "add_tile", "row_sum", "set_tile", "tile_columns", "vector_map"]

TILE_ROWS = 6
"""Rows of a matrix tile: with two vectors of columns this takes 12 of the 16 registers of AVX2 for its sums."""


def tile_columns(itemsize: int) -> int:
    """Columns of a matrix tile: two vectors."""
    return 2 * VECTOR_BYTES // itemsize


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
    def kernel(typing_context, arrays, offsets, length):
        def generate(context, builder, signature, arguments):
            kinds = signature.args[0]
            packed, starts, count = arguments
            vector = vector_of(kinds[0].dtype == types.float64)
            pointers = [
                address(context, builder, kind, builder.extract_value(packed, i), builder.extract_value(starts, i))
                for i, kind in enumerate(kinds)
            ]
            step = ir.Constant(count.type, vector.count)
            zero = ir.Constant(count.type, 0)
            with cgutils.for_range_slice(builder, zero, count, step, count.type) as (index, _):
                read = [
                    Lanes(builder, load(builder, builder.gep(pointer, [index]), vector))
                    for pointer in pointers[:inputs]
                ]
                results = function(*read)
                for result, pointer in zip(results, pointers[inputs : inputs + outputs], strict=True):
                    store(builder, result.value, builder.gep(pointer, [index]))
            return context.get_dummy_value()

        return types.void(arrays, types.UniTuple(types.intp, inputs + outputs), types.intp), generate

    return kernel


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
    def kernel(typing_context, x, start, row, neighbours, weight, first, last, out, out_start):
        def generate(context, builder, signature, arguments):
            kinds = signature.args
            x, start, row, neighbours, weight, first, last, out, out_start = arguments
            vector, integer = vector_of(kinds[0].dtype == types.float64), start.type
            lanes = ir.Constant(integer, vector.count)
            count = context.make_array(kinds[3])(context, builder, neighbours).nitems
            base = address(context, builder, kinds[0], x, start)
            columns, factors = (address(context, builder, kinds[i], a) for i, a in ((3, neighbours), (4, weight)))
            target = address(context, builder, kinds[7], out, out_start)
            add_product = fused(builder, vector)

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
                spread = splat(builder, builder.load(builder.gep(factors, [p])), vector)
            totals = []
            for number, total in enumerate(sums):
                total.add_incoming(zero, entry)
                place = builder.gep(here, [builder.mul(lanes, ir.Constant(integer, number))])
                read = load(builder, place, vector)
                added = builder.call(add_product, [spread, read, total]) if spread else builder.fadd(total, read)
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
                store(builder, result, place)
            return context.get_dummy_value()

        i = types.intp
        return types.void(x, i, i, neighbours, weight, i, i, out, i), generate

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
    add_product = fused(builder, vector)
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
    columns = [load(builder, b_here, vector), load(builder, builder.gep(b_here, [width]), vector)]
    a_here = builder.gep(a, [builder.mul(k, a_column)])
    for i, row in enumerate(sums):
        scalar = builder.load(builder.gep(a_here, [builder.mul(ir.Constant(integer, i), a_row)]))
        spread = splat(builder, scalar, vector)
        for total, column in zip(row, columns, strict=True):
            total.add_incoming(builder.call(add_product, [spread, column, total]), body)
    k.add_incoming(builder.add(k, one), body)
    builder.branch(head)

    builder.position_at_end(after)
    for i, row in enumerate(sums):
        target = builder.gep(c, [builder.mul(ir.Constant(integer, i), c_row)])
        for total, pointer in zip(row, (target, builder.gep(target, [width])), strict=True):
            value = builder.fadd(total, load(builder, pointer, vector)) if accumulate else total
            store(builder, value, pointer)
    builder.ret_void()
    return function


def _tile(accumulate: bool) -> Callable[..., None]:
    @intrinsic
    def tile(typing_context, a, a_start, a_row, a_column, b, b_start, b_row, c, c_start, c_row, depth):
        def generate(context, builder, signature, arguments):
            a, a_start, a_row, a_column, b, b_start, b_row, c, c_start, c_row, depth = arguments
            pointers = [
                address(context, builder, signature.args[i], array, start)
                for i, array, start in ((0, a, a_start), (4, b, b_start), (7, c, c_start))
            ]
            function = _tile_function(builder.module, vector_of(signature.args[0].dtype == types.float64), accumulate)
            builder.call(function, [pointers[0], a_row, a_column, pointers[1], b_row, pointers[2], c_row, depth])
            return context.get_dummy_value()

        i = types.intp
        return types.void(a, i, i, i, b, i, i, c, i, i, i), generate

    return tile


set_tile = _tile(accumulate=False)
"""c = a·b for `TILE_ROWS` rows and two vectors of columns; inside a compiled function:
`set_tile(a, start, row stride, column stride, b, start, row stride, c, start, row stride, depth)`."""

add_tile = _tile(accumulate=True)
"""c += a·b, as `set_tile`."""
