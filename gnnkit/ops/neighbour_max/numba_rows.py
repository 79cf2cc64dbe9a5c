"""The largest of some rows of a matrix, in registers, and what goes back to those rows where some of them tie."""

from __future__ import annotations

from collections.abc import Callable

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from gnnkit.ops.kernels.llvm import VECTOR_BYTES, address, fill, load, prefetch_line, splat, store, vector_of

__all__ = ["row_max", "row_shares"]


def row_max(vectors: int, weighted: bool, largest: bool, shared: bool, keep: bool, ahead: int) -> Callable[..., None]:
    """Make the largest (or smallest) of some rows of a matrix, over so many vectors of columns, and where it stands.

    Args:
        vectors: Vectors of columns, whose values and places stay in registers: at most 8.
        weighted: Whether each row has a weight.
        largest: Whether the largest is looked for, else the smallest.
        shared: Whether rows that tie share the gradient: see `options.shares` for what then stands in `places`.
        keep: Whether the places are written; else nothing is shared.
        ahead: Ask for the row that is needed so many rows later; 0: the rows are taken to be in a cache.

    Returns:
        For use inside a compiled function: `kernel(x, start, row, neighbours, weight, first, last, out, places,
        out_start)`. It sets `out[out_start:]` to the largest over p from `first` up to, not including, `last` of
        `weight[p]` times `x[start + row · neighbours[p]:]`, 0 where there is none, and `places[out_start:]` to its p.
    """
    comparison = ">" if largest else "<"

    @intrinsic
    def kernel(typing_context, x, start, row, neighbours, weight, first, last, out, places, out_start):
        def generate(context, builder, signature, arguments):
            kinds = signature.args
            x, start, row, neighbours, weight, first, last, out, places, out_start = arguments
            vector, integer = vector_of(kinds[0].dtype == types.float64), start.type
            word = ir.VectorType(ir.IntType(kinds[3].dtype.bitwidth), vector.count)
            lanes = ir.Constant(integer, vector.count)
            count = context.make_array(kinds[3])(context, builder, neighbours).nitems
            base = address(context, builder, kinds[0], x, start)
            columns, factors = (address(context, builder, kinds[i], a) for i, a in ((3, neighbours), (4, weight)))
            values_at, places_at = (
                address(context, builder, kinds[i], a, out_start) for i, a in ((7, out), (8, places))
            )
            flags = ir.VectorType(ir.IntType(1), vector.count)

            def row_of(position: ir.Value) -> ir.Value:
                number = builder.load(builder.gep(columns, [position]))
                if number.type != integer:
                    number = builder.sext(number, integer)
                return builder.gep(base, [builder.mul(number, row)])

            def in_words(number: ir.Value) -> ir.Value:
                return splat(builder, number if word.element == integer else builder.trunc(number, word.element), word)

            entry = builder.block
            body, after = builder.append_basic_block("row"), builder.append_basic_block("rows.end")
            one = ir.Constant(integer, 1)
            builder.cbranch(builder.icmp_signed("<", first, last), body, after)

            builder.position_at_end(body)
            p = builder.phi(integer)
            p.add_incoming(first, entry)
            found = [(builder.phi(vector), builder.phi(word)) for _ in range(vectors)]
            following = builder.add(p, one)
            if ahead:
                later = builder.add(p, ir.Constant(integer, ahead))
                asked = row_of(builder.select(builder.icmp_signed("<", later, count), later, p))
                for place in range(0, vectors * VECTOR_BYTES, 64):
                    step = ir.Constant(integer, place * vector.count // VECTOR_BYTES)
                    prefetch_line(builder, builder.gep(asked, [step]))
            here, here_words, spread = row_of(p), in_words(p), None
            is_first = splat(builder, builder.icmp_signed("==", p, first), flags)
            if weighted:
                spread = splat(builder, builder.load(builder.gep(factors, [p])), vector)
            results = []
            for number, (value, place) in enumerate(found):
                value.add_incoming(ir.Constant(vector, None), entry)
                place.add_incoming(ir.Constant(word, None), entry)
                read = load(builder, builder.gep(here, [builder.mul(lanes, ir.Constant(integer, number))]), vector)
                read = builder.fmul(spread, read) if spread else read
                # The first value that is no number stays, whatever comes after it.
                is_new = builder.and_(
                    builder.fcmp_unordered("uno", read, read), builder.fcmp_ordered("ord", value, value)
                )
                takes = builder.or_(builder.or_(builder.fcmp_ordered(comparison, read, value), is_new), is_first)
                before = place
                if shared:
                    # Two that tie: -3; each further one: one less.
                    alone = builder.icmp_signed(">=", place, fill(word, 0))
                    more = builder.select(alone, fill(word, -3), builder.sub(place, fill(word, 1)))
                    before = builder.select(builder.fcmp_ordered("==", read, value), more, place)
                results.append((builder.select(takes, read, value), builder.select(takes, here_words, before)))
                for phi, result in zip((value, place), results[-1], strict=True):
                    phi.add_incoming(result, body)
            p.add_incoming(following, body)
            builder.cbranch(builder.icmp_signed("<", following, last), body, after)

            builder.position_at_end(after)
            merged = []
            for pair in results:
                merged.append([])
                for result in pair:
                    phi = builder.phi(result.type)
                    phi.add_incoming(ir.Constant(result.type, None), entry)
                    phi.add_incoming(result, body)
                    merged[-1].append(phi)
            degree = in_words(builder.sub(ir.Constant(integer, -1), builder.sub(last, first)))
            for number, (value, place) in enumerate(merged):
                if shared:
                    # A zero is divided by one more; where there is no number, all neighbours share.
                    alone = builder.icmp_signed(">=", place, fill(word, 0))
                    more = builder.select(alone, fill(word, -3), builder.sub(place, fill(word, 1)))
                    place = builder.select(builder.fcmp_ordered("==", value, fill(vector, 0.0)), more, place)
                    place = builder.select(builder.fcmp_unordered("uno", value, value), degree, place)
                offset = [builder.mul(lanes, ir.Constant(integer, number))]
                store(builder, value, builder.gep(values_at, offset))
                if keep:
                    store(builder, place, builder.gep(places_at, offset))
            return context.get_dummy_value()

        i = types.intp
        return types.void(x, i, i, neighbours, weight, i, i, out, places, i), generate

    return kernel


def row_shares(weighted: bool) -> Callable[..., None]:
    """Make what goes back from one vector of a target to the rows that it was taken of, some of which tie.

    Args:
        weighted: Whether each row has a weight.

    Returns:
        For use inside a compiled function: `kernel(x, start, row, neighbours, weight, first, last, out, places, grad,
        at, sums)`. For p from `first` up to, not including, `last` it adds to `sums[start + row · neighbours[p]:]` what
        `places[at:]`, `out[at:]` and `grad[at:]` say of the row of x that begins there; see `options.shares`.
    """

    @intrinsic
    def kernel(typing_context, x, start, row, neighbours, weight, first, last, out, places, grad, at, sums):
        def generate(context, builder, signature, arguments):
            kinds = signature.args
            x, start, row, neighbours, weight, first, last, out, places, grad, at, sums = arguments
            vector, integer = vector_of(kinds[0].dtype == types.float64), start.type
            word = ir.VectorType(ir.IntType(kinds[8].dtype.bitwidth), vector.count)
            own, other = address(context, builder, kinds[0], x, start), address(context, builder, kinds[3], neighbours)
            factors = address(context, builder, kinds[4], weight)
            total = address(context, builder, kinds[11], sums, start)
            taken, place, above = (
                load(builder, address(context, builder, kinds[n], array, at), kind)
                for n, array, kind in ((7, out, vector), (8, places, word), (9, grad, vector))
            )
            # All of it but which rows it goes to is known before the loop.
            alone = builder.icmp_signed(">=", place, fill(word, 0))
            divisor = builder.sitofp(builder.sub(fill(word, -1), place), vector)
            above = builder.select(alone, above, builder.fdiv(above, divisor))
            everyone = builder.fcmp_unordered("uno", taken, taken)
            with cgutils.for_range_slice(builder, first, last, ir.Constant(integer, 1), integer) as (p, _):
                number = builder.load(builder.gep(other, [p]))
                number = number if number.type == integer else builder.sext(number, integer)
                offset = builder.mul(number, row)
                read = load(builder, builder.gep(own, [offset]), vector)
                share = above
                if weighted:
                    factor = splat(builder, builder.load(builder.gep(factors, [p])), vector)
                    read, share = builder.fmul(factor, read), builder.fmul(factor, above)
                position = p if word.element == integer else builder.trunc(p, word.element)
                mine = builder.icmp_signed("==", place, splat(builder, position, word))
                ties = builder.or_(builder.fcmp_ordered("==", read, taken), everyone)
                hits = builder.select(alone, mine, ties)
                here = builder.gep(total, [offset])
                added = builder.fadd(
                    load(builder, here, vector), builder.select(hits, share, ir.Constant(vector, None))
                )
                store(builder, added, here)
            return context.get_dummy_value()

        i = types.intp
        return types.void(x, i, i, neighbours, weight, i, i, out, places, grad, i, sums), generate

    return kernel
