"""The strength of the CRC, computed: how many flipped bits it notices in contents of what length.

A pattern of flipped bits goes unnoticed where it is a multiple of the generator: where x**i modulo
the generator, over its bits i, adds up to zero. Patterns may be shifted, so one of the bits is 0.
"""

import binascii

import numpy as np
import pytest

from pendula.contract.protocol import CRC_BYTES, CRC_DISTANCES, MAX_REQUEST_BYTES, unseal

GENERATOR = binascii.crc32(b"\x80") ^ binascii.crc32(b"\0")  # reflected, as it seals


def powers(content_bits: int) -> np.ndarray:
    """Return x**i modulo the generator, for every bit i of content and CRC."""
    words = np.empty(content_bits + 8 * CRC_BYTES, np.uint32)
    word = 1 << 31
    for k in range(len(words)):
        words[k] = word
        word = word >> 1 ^ (GENERATOR if word & 1 else 0)
    return words


def misses(flips: int, content_bits: int) -> bool:
    """Return whether some pattern of so many flipped bits (2..5) goes unnoticed."""
    first, *_ = words = powers(content_bits)
    rest = words[1:]
    if flips == 2:
        return bool((rest == first).any())
    if flips == 3:
        return bool(np.isin(rest ^ first, rest).any())
    a, b = np.triu_indices(len(rest), 1)
    pairs = rest[a] ^ rest[b]
    return bool(np.isin(pairs ^ first, pairs if flips == 5 else rest).any())


def test_the_generator_is_that_of_the_contract():
    assert GENERATOR == 0xEDB88320


@pytest.mark.parametrize(("distance", "content_bytes"), CRC_DISTANCES)
def test_distances_are_as_stated(distance, content_bytes):
    """Fewer flipped bits are noticed in contents of that length; the next byte is too many."""
    assert not misses(distance - 1, 8 * content_bytes)
    assert misses(distance - 1, 8 * (content_bytes + 1))


def test_distances_hold_for_fewer_flips_too():
    longest = max(size for _, size in CRC_DISTANCES)
    assert not misses(2, 8 * longest)
    assert not misses(3, 8 * longest)
    assert not misses(4, 8 * dict(CRC_DISTANCES)[6])


def test_requests_have_a_distance_of_four():
    assert dict(CRC_DISTANCES)[4] >= MAX_REQUEST_BYTES


def test_a_pattern_that_is_missed_is_missed():
    """The computation is about the CRC that frames have: one that it finds passes."""
    size = dict(CRC_DISTANCES)[6] + 1
    words = powers(8 * size)
    first, rest = words[0], words[1:]
    a, b = np.triu_indices(len(rest), 1)
    pairs = rest[a] ^ rest[b]
    order = np.argsort(pairs)
    place = np.searchsorted(pairs, pairs ^ first, sorter=order)
    place = order[np.minimum(place, len(order) - 1)]
    hit = int(np.flatnonzero(pairs[place] == (pairs ^ first))[0])
    bits = {0, *(1 + int(k) for k in (a[hit], b[hit], a[place[hit]], b[place[hit]]))}
    packet = bytes(size) + binascii.crc32(bytes(size)).to_bytes(CRC_BYTES, "little")
    damaged = bytearray(packet)
    for bit in bits:        # bit 0 is the last on the way: the top bit of the last byte
        damaged[-1 - bit // 8] ^= 0x80 >> bit % 8
    assert len(bits) == 5
    assert unseal(bytes(damaged)) == bytes(damaged[:-CRC_BYTES]) != bytes(size)
