"""A fingerprint of memory, compiled: two products an eight-byte word, which keeps up with the memory.

Words w of eight bytes are taken in blocks. With random keys k, and `low` and `high` the halves of a word, each block is
summed up by NH (Black et al., "UMAC", 1999), and a mixed sum over the blocks is one half of the fingerprint:

    block_b = Σ_i (low(w_i) + low(k_i) mod 2^32) * (high(w_i) + high(k_i) mod 2^32)
    half    = Σ_b mix(block_b + b * step)

modulo 2^64, with other keys for each half. Two memories that differ share a fingerprint in about one case of 2^64.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from gnnkit.ops.kernels.cache import compiled
from gnnkit.ops.kernels.llvm import uint8s, uint64s
from gnnkit.ops.kernels.threads import num_threads, run_chunks

__all__ = ["hash_memory"]

_BLOCK_WORDS = 1024
_KEYS = np.random.default_rng(20170224).integers(0, 2**64, size=(2, _BLOCK_WORDS), dtype=np.uint64)

# Two threads are handed their work in about as long as one reads a megabyte.
_WORDS_PER_CHUNK = 128 * _BLOCK_WORDS

_LOW, _HALF = np.uint64(0xFFFFFFFF), np.uint64(32)
_STEP = np.uint64(0x9E3779B97F4A7C15)


@njit(inline="always")
def _mix(bits):
    bits ^= bits >> np.uint64(33)
    bits *= np.uint64(0xFF51AFD7ED558CCD)
    bits ^= bits >> np.uint64(33)
    bits *= np.uint64(0xC4CEB9FE1A85EC53)
    return bits ^ (bits >> np.uint64(33))


@njit(inline="always")
def _product(word, key):
    return ((word + key) & _LOW) * (((word >> _HALF) + (key >> _HALF)) & _LOW)


@compiled()
def _hash_words(start, stop, address, length, keys):
    """Both halves of the fingerprint of the words from `start` to `stop`, the last of which may be cut off."""
    words, whole = uint64s(address), length // 8
    first, second = np.uint64(0), np.uint64(0)
    for block in range(start, stop, _BLOCK_WORDS):
        count = min(_BLOCK_WORDS, min(stop, whole) - block)
        a, b = np.uint64(0), np.uint64(0)
        for i in range(count):
            word = words[block + i]
            a += _product(word, keys[0, i])
            b += _product(word, keys[1, i])
        if count < _BLOCK_WORDS and block + count == whole and whole < stop:
            tail, word = uint8s(address), np.uint64(0)
            for i in range(8 * whole, length):
                word |= np.uint64(tail[i]) << np.uint64(8 * (i - 8 * whole))
            a += _product(word, keys[0, count])
            b += _product(word, keys[1, count])
        place = np.uint64(block) * _STEP
        first += _mix(a + place)
        second += _mix(b + place)
    return first, second


def hash_memory(address: int, length: int) -> tuple[int, int]:
    """128 bits that depend on every byte of `length` at `address`, and on its place."""
    words = -(-length // 8)
    if words <= 4 * _WORDS_PER_CHUNK or num_threads() == 1:
        return _hash_words(0, words, address, length, _KEYS)
    found = []

    def add(start: int, stop: int) -> None:
        found.append(_hash_words(start, stop, address, length, _KEYS))

    starts = range(0, words, _WORDS_PER_CHUNK)
    run_chunks(add, [(start, min(start + _WORDS_PER_CHUNK, words)) for start in starts])
    first, second = (sum(part[half] for part in found) & 0xFFFFFFFFFFFFFFFF for half in (0, 1))
    return first, second
