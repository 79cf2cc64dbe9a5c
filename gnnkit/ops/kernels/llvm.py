"""LLVM's instructions, as the compiled CPU kernels are written with them: one name for each, on numbers and on vectors.

Vectors are 256 bits wide; LLVM lowers them to what the machine has. Offsets count elements from the start of an array,
and nothing checks them: a caller keeps to its own workspaces.
"""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = [
    "Lanes",
    "address",
    "exp",
    "fill",
    "float32s",
    "float64s",
    "fused",
    "int32s",
    "int64s",
    "load",
    "prefetch_line",
    "sigmoid",
    "splat",
    "store",
    "tanh",
    "vector_lanes",
    "vector_of",
]

VECTOR_BYTES = 32

# Terms of (exp(f) - 1 - f) / f² that are needed on |f| <= ln(2)/2, to half a unit in the last place.
_EXP_TERMS = {4: 6, 8: 12}
_MAX_EXPONENT = {4: 87.0, 8: 708.0}


def vector_lanes(double: bool) -> int:
    """Numbers in a vector."""
    return VECTOR_BYTES // (8 if double else 4)


def vector_of(double: bool) -> ir.VectorType:
    """The type of a vector."""
    return ir.VectorType(ir.DoubleType() if double else ir.FloatType(), vector_lanes(double))


# --- memory ---


def _pointer_to(kind: Any, llvm: ir.Type) -> Any:
    @intrinsic
    def pointer(typing_context, address):
        """The memory at an address, as numbers of one type."""

        def generate(context, builder, signature, arguments):
            return builder.inttoptr(arguments[0], llvm.as_pointer())

        return types.CPointer(kind)(types.intp), generate

    return pointer


int32s, int64s = _pointer_to(types.int32, ir.IntType(32)), _pointer_to(types.int64, ir.IntType(64))
float32s, float64s = _pointer_to(types.float32, ir.FloatType()), _pointer_to(types.float64, ir.DoubleType())


def address(context: Any, builder: ir.IRBuilder, kind: Any, array: Any, offset: Any = None) -> Any:
    """Where an array of numba's type `kind` begins, or its element at an offset is."""
    data = context.make_array(kind)(context, builder, array).data
    return data if offset is None else builder.gep(data, [offset])


def load(builder: ir.IRBuilder, pointer: Any, vector: ir.VectorType) -> Any:
    """A vector from anywhere in an array."""
    return builder.load(builder.bitcast(pointer, vector.as_pointer()), align=1)


def store(builder: ir.IRBuilder, value: Any, pointer: Any) -> None:
    """A vector to anywhere in an array."""
    builder.store(value, builder.bitcast(pointer, value.type.as_pointer()), align=1)


def prefetch_line(builder: ir.IRBuilder, pointer: ir.Value) -> None:
    """Ask for the cache line that a pointer lies in, without waiting for it."""
    byte_pointer, int32 = ir.IntType(8).as_pointer(), ir.IntType(32)
    kind = ir.FunctionType(ir.VoidType(), [byte_pointer, int32, int32, int32])
    function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
    builder.call(function, [builder.bitcast(pointer, byte_pointer), int32(0), int32(3), int32(1)])


# --- numbers ---


def fill(kind: Any, number: float) -> ir.Constant:
    """A number in every lane of a vector type; of a number's own type the number."""
    if not isinstance(kind, ir.VectorType):
        return ir.Constant(kind, number)
    return ir.Constant(kind, [ir.Constant(kind.element, number)] * kind.count)


def splat(builder: ir.IRBuilder, scalar: Any, vector: ir.VectorType) -> Any:
    """A value in every lane of a vector."""
    undefined, lane = ir.Constant(vector, ir.Undefined), ir.Constant(ir.IntType(32), 0)
    everywhere = ir.Constant(ir.VectorType(ir.IntType(32), vector.count), None)
    return builder.shuffle_vector(builder.insert_element(undefined, scalar, lane), undefined, everywhere)


def _element(kind: Any) -> Any:
    return kind.element if isinstance(kind, ir.VectorType) else kind


def fused(builder: ir.IRBuilder, kind: Any) -> ir.Function:
    """a · b + c on numbers or vectors of a type, one instruction where the machine has it."""
    name = f"f{32 if isinstance(_element(kind), ir.FloatType) else 64}"
    name = f"v{kind.count}{name}" if isinstance(kind, ir.VectorType) else name
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind, [kind] * 3), f"llvm.fmuladd.{name}")


class Lanes:
    """One vector of floats, or one float, while LLVM code is being written: arithmetic on it writes instructions."""

    def __init__(self, builder: ir.IRBuilder, value: Any) -> None:
        self.builder = builder
        self.value = value
        self.itemsize = 4 if isinstance(_element(value.type), ir.FloatType) else 8

    def like(self, number: float) -> Lanes:
        """The vector that holds `number` in every lane."""
        return Lanes(self.builder, fill(self.value.type, number))

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
        values = [self.value, self._lift(factor).value, self._lift(term).value]
        return Lanes(self.builder, self.builder.call(fused(self.builder, self.value.type), values))

    def where(self, comparison: str, other: Lanes | float, then: Lanes | float, otherwise: Lanes | float) -> Lanes:
        """`then` in the lanes where self compares to `other`, `otherwise` elsewhere and where one of them is NaN."""
        is_so = self.builder.fcmp_ordered(comparison, self.value, self._lift(other).value)
        return Lanes(self.builder, self.builder.select(is_so, self._lift(then).value, self._lift(otherwise).value))

    def at_most(self, bound: float) -> Lanes:
        """The smaller of self and `bound`; NaN stays NaN."""
        return self.where(">", bound, bound, self)

    def at_least(self, bound: float) -> Lanes:
        """The greater of self and `bound`; NaN stays NaN."""
        return self.where("<", bound, bound, self)

    @property
    def word(self) -> Any:
        """The type of as many integers of as many bits."""
        bits = ir.IntType(8 * self.itemsize)
        return ir.VectorType(bits, self.value.type.count) if isinstance(self.value.type, ir.VectorType) else bits


def exp(x: Lanes) -> Lanes:
    """e**x in float32 for x <= 0, to 2 units in the last place (Cephes' expf); below -87 it is 0, NaN stays NaN.

    Only sums, products and one bit pattern, so that a loop over heads becomes vector instructions; libm's would not.
    """
    builder, kind, word = x.builder, x.value.type, x.word
    clamped = x.at_least(-87.0)
    # The nearest integer: a conversion cuts off towards zero, and x is not above it.
    bits = builder.fptosi(clamped.times_plus(1.44269504088896341, -0.5).value, word)
    power = Lanes(builder, builder.sitofp(bits, kind))
    rest = power.times_plus(2.12194440e-4, power.times_plus(-0.693359375, clamped))
    series = rest.like(1.9875691500e-4)
    for term in (1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1):
        series = series.times_plus(rest, term)
    series = (rest * rest).times_plus(series, rest + 1.0)
    # A NaN has no integer: its power of two is arbitrary, and the product is NaN whatever it is.
    scale = builder.bitcast(builder.shl(builder.add(bits, fill(word, 127)), fill(word, 23)), kind)
    return x.where("<", -87.0, 0.0, series * Lanes(builder, scale))


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
    builder, kind, word = x.builder, x.value.type, x.word
    exponent = builder.shl(builder.bitcast(shifted.value, word), fill(word, mantissa))
    one = builder.bitcast(x.like(1.0).value, word)
    power = Lanes(builder, builder.bitcast(builder.add(exponent, one), kind))
    return power.times_plus(fraction, power - 1.0)


def sigmoid(x: Lanes) -> Lanes:
    """1 / (1 + exp(-x))."""
    return 1.0 / (_exp_minus_one(0.0 - x) + 2.0)


def tanh(x: Lanes) -> Lanes:
    """m / (m + 2) with m = exp(2x) - 1: no cancellation near zero."""
    m = _exp_minus_one((x + x).at_most(0.5 * _MAX_EXPONENT[x.itemsize]))
    return m / (m + 2.0)
