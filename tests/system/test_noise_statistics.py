"""A short battery on the noise, in every order in which arrays consume it.

Seeds are fixed, so a p-value below LEVEL is a finding and not bad luck. Each test is shown to
reject a generator with the fault that it looks for. docs/reference/noise.md has the long runs of
foreign batteries.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
from scipy import stats

from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.contract.noise import DRAW_BITS, DRAWS_HI, WORD_BITS
from pendula.noise import Kind, NoiseRequest, noise_bytes
from pendula.twin.noise import GaussianSampler

Draws = npt.NDArray[np.uint64]

LEVEL = 1e-4
COUNT = 1 << 20
LAGS = 2048
ORDERS = {"one stream": (1, DRAWS_HI), "four lanes": (4, DRAWS_HI), "short samples": (8, 512)}


def take(order: tuple[int, int], seed: int) -> Draws:
    """Return COUNT draws."""
    request = NoiseRequest(kind=Kind.DRAWS, seed=seed, streams=order[0], draws=order[1])
    data = b""
    for piece in noise_bytes("twin://", request):
        data += piece
        if len(data) * 8 >= COUNT * DRAW_BITS:
            break
    bits = np.unpackbits(np.frombuffer(data, np.uint8), count=COUNT * DRAW_BITS, bitorder="little")
    padded = np.zeros((COUNT, 64), np.uint8)
    padded[:, :DRAW_BITS] = bits.reshape(COUNT, DRAW_BITS)
    return np.packbits(padded, axis=1, bitorder="little").view("<u8")[:, 0]


def smallest(p_values: npt.ArrayLike) -> float:
    """Return the smallest of independent p-values, corrected for their number."""
    p = np.asarray(p_values)
    return float(min(1.0, p.min() * p.size))


def normal_p(z: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return 2 * stats.norm.sf(np.abs(z))


def words(draws: Draws) -> npt.NDArray[np.uint32]:
    return draws.astype(np.uint32)


def gaussians(draws: Draws) -> npt.NDArray[np.int16]:
    out = np.empty(draws.shape, np.int16)
    sides = (draws >> np.uint64(WORD_BITS)).astype(np.uint32)
    GaussianSampler(draws.shape).gaussians(words(draws), sides, out)
    return out


# Tests

def ones_of_every_bit(draws: Draws) -> float:
    ones = [int((draws >> np.uint64(bit) & np.uint64(1)).sum()) for bit in range(DRAW_BITS)]
    return smallest(normal_p((np.array(ones) - COUNT / 2) / (COUNT / 4) ** 0.5))


def equality_of_every_two_bits(draws: Draws) -> float:
    """Within a draw, and with the draw after it."""
    bits = np.array([(draws >> np.uint64(bit) & np.uint64(1)) for bit in range(DRAW_BITS)],
                    np.float32) * 2 - 1
    within = (bits @ bits.T)[np.triu_indices(DRAW_BITS, 1)]
    after = bits[:, :-1] @ bits[:, 1:].T
    z = np.concatenate([within, after.ravel()]) / COUNT**0.5
    return smallest(normal_p(z))


def pairs_of_bytes(draws: Draws) -> float:
    """Every byte of the draws with the same byte of the next draw."""
    p = []
    for low in range(0, DRAW_BITS - 7, 4):
        byte = (draws >> np.uint64(low) & np.uint64(255)).astype(np.int64)
        pairs = np.bincount(byte[::2] << 8 | byte[1::2], minlength=1 << 16)
        p.append(stats.chisquare(pairs).pvalue)
    return smallest(p)


def birthday_spacings(draws: Draws) -> float:
    """Equal spacings of 1,024 birthdays in a year of 2**28 days: one expected each time."""
    days = np.sort((words(draws) >> np.uint32(4)).reshape(-1, 1024).astype(np.int64))
    spacings = np.sort(np.diff(days))
    equal = int((np.diff(spacings) == 0).sum())
    expected = len(days) * 1024**3 / 4 / 2**28
    return float(min(1.0, 2 * min(stats.poisson.sf(equal - 1, expected),
                                  stats.poisson.cdf(equal, expected))))


def ranks(draws: Draws) -> float:
    """Ranks of binary matrices of 32 words, against their law over GF(2)."""
    rows = words(draws)[: 1 << 18].reshape(-1, 32).copy()
    rank = np.zeros(len(rows), int)
    for bit in range(32):
        mask = np.uint32(1 << bit)
        free = (rows & mask != 0) & (np.arange(32) >= rank[:, None])
        found = np.flatnonzero(free.any(axis=1))
        pivot, place = free[found].argmax(axis=1), rank[found]
        chosen = rows[found, pivot].copy()
        rows[found, pivot] = rows[found, place]
        rows[found, place] = chosen
        others = (rows[found] & mask != 0) & (np.arange(32) != place[:, None])
        rows[found] ^= np.where(others, chosen[:, None], np.uint32(0))
        rank[found] += 1
    full = float(np.prod(1 - 0.5 ** np.arange(1, 33)))
    one_less = full * 2 * (1 - 0.5**32)
    law = np.array([1 - full - one_less, one_less, full])
    seen = [(rank < 31).sum(), (rank == 31).sum(), (rank == 32).sum()]
    return float(stats.chisquare(seen, law * len(rank)).pvalue)


def law_of_the_gaussians(draws: Draws) -> float:
    counts = GAUSSIAN_LAW.counts()
    values = np.array(sorted(counts))
    expected = np.array([counts[v] * COUNT / 2**DRAW_BITS for v in values.tolist()])
    seen = np.bincount(gaussians(draws) - values[0], minlength=len(values))
    edges = np.searchsorted(np.cumsum(expected), np.arange(100, COUNT - 100, 500))
    starts = np.unique(np.append(0, edges))
    joined = np.add.reduceat(seen, starts), np.add.reduceat(expected, starts)
    return float(stats.chisquare(joined[0], joined[1]).pvalue)


def lags_of_the_gaussians(draws: Draws) -> float:
    """Lags from 1 to 2,048, of values and of squares; lanes are lags of the interleaved draws."""
    x = gaussians(draws) / GAUSSIAN_LAW.sigma_raw
    p = []
    for y in (x, (x**2 - 1) / 2**0.5):
        spectrum = np.fft.rfft(y, 2 * COUNT)
        sums = np.fft.irfft(spectrum * spectrum.conj())[1: LAGS + 1]
        p.append(normal_p(sums / (COUNT - np.arange(1, LAGS + 1)) ** 0.5))
    return smallest(p)


TESTS: dict[Callable[[Draws], float], Callable[[Draws], Draws]] = {}
"""Each test, with the fault that it must find."""


def fault(test: Callable[[Draws], float]) -> Callable[[Callable[[Draws], Draws]], None]:
    def add(spoil: Callable[[Draws], Draws]) -> None:
        TESTS[test] = spoil
    return add


@fault(ones_of_every_bit)
def _(draws: Draws) -> Draws:
    return draws | np.where(np.arange(COUNT) % 64 == 0, np.uint64(1 << 43), np.uint64(0))


@fault(equality_of_every_two_bits)
def _(draws: Draws) -> Draws:
    """Bit 40 is bit 0 of the draw before, one time in 64."""
    before = np.roll(draws, 1)
    copied = draws & ~np.uint64(1 << 40) | (before & np.uint64(1)) << np.uint64(40)
    return np.where(np.arange(COUNT) % 64 == 0, copied, draws)


@fault(pairs_of_bytes)
def _(draws: Draws) -> Draws:
    """No byte is followed by itself in bits 4 to 11."""
    byte = draws >> np.uint64(4) & np.uint64(255)
    return np.where(byte == np.roll(byte, 1), draws ^ np.uint64(16), draws)


@fault(birthday_spacings)
def _(draws: Draws) -> Draws:
    """Multiples of the golden section: every bit and byte is fair, the spacings are few."""
    return np.arange(COUNT, dtype=np.uint64) * np.uint64(0x9E3779B9)


@fault(ranks)
def _(draws: Draws) -> Draws:
    """Bit 9 is the sum of bits 1 and 30, which no count of ones or pairs can see."""
    total = (draws >> np.uint64(1) ^ draws >> np.uint64(30)) & np.uint64(1)
    return draws & ~np.uint64(1 << 9) | total << np.uint64(9)


@fault(law_of_the_gaussians)
def _(draws: Draws) -> Draws:
    """The second uniform is stuck at zero."""
    return draws & ~np.uint64(15 << 32)


@fault(lags_of_the_gaussians)
def _(draws: Draws) -> Draws:
    """One draw in 64 repeats that of 1,568 draws ago."""
    return np.where(np.arange(COUNT) % 64 == 0, np.roll(draws, 1568), draws)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_noise_passes(test: Callable[[Draws], float], order: str) -> None:
    for seed in (1, 2**64 - 1):
        assert test(take(ORDERS[order], seed)) > LEVEL


@pytest.mark.parametrize("test", TESTS, ids=lambda test: test.__name__)
def test_finds_its_fault(test: Callable[[Draws], float]) -> None:
    assert test(TESTS[test](take(ORDERS["one stream"], 1))) < LEVEL / 100
