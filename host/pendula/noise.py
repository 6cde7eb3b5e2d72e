"""The noise of a device as a stream of bytes, for test batteries and for comparison.

Streams of consecutive sample indices are taken `streams` at a time, one draw of each in turn; after
`draws` draws of each the next streams follow. So every exact device gives the same bytes.
"""

import enum
import functools
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.noise import (
    DRAW_BITS,
    DRAWS_HI,
    GAUSSIAN_BITS,
    WORD_BITS,
    check_seed,
)
from pendula.device import AbstractDevice, open_device
from pendula.errors import ProgramError
from pendula.program import Program, random_program
from pendula.twin.noise import GaussianSampler, NoiseStreams
from pendula.twin.twin_device import TwinDevice

__all__ = [
    "INDICES", "PROBE_NODES", "STREAMS_HI", "Kind", "NoiseRequest", "noise_bytes", "probe_program",
]

Units = npt.NDArray[np.uint64]

INDICES = 1 << 32
PROBE_NODES = 4096              # draws of a stream that a device with a probe program gives
STREAMS_HI = 1 << 16            # at a time: what fits the memory of a small machine
_PROBE_BITS = 24                # state bits of a probe program: the widest that a spec may have
_BLOCK = 1 << 20                # draws at a time


class Kind(enum.StrEnum):
    """What is taken of each draw.

    DRAWS are all its bits, packed without gaps; WORDS the 32-bit words; UNIFORMS the top 24 bits
    of each word, as uniform initial states have them; GAUSSIANS signed 16-bit values.
    """

    DRAWS = "draws"
    WORDS = "words"
    UNIFORMS = "uniforms"
    GAUSSIANS = "gaussians"

    @property
    def bits(self) -> int:
        """Bits of one draw in the stream."""
        return {Kind.DRAWS: DRAW_BITS, Kind.WORDS: WORD_BITS, Kind.UNIFORMS: _PROBE_BITS,
                Kind.GAUSSIANS: 16}[self]

    @property
    def unit_draws(self) -> int:
        """Draws that fill whole bytes together."""
        return 2 if self.bits % 8 else 1

    @property
    def unit_bytes(self) -> int:
        """Bytes of `unit_draws` draws."""
        return self.bits * self.unit_draws // 8


@dataclass(frozen=True, slots=True, kw_only=True)
class NoiseRequest:
    """Which draws to take, and in which order.

    Parameters
    ----------
    kind : Kind
        What is taken of each draw.
    seed : int
        64-bit seed.
    first : int
        Index of the first stream.
    streams : int
        Streams taken at a time, draw by draw.
    draws : int
        Draws of each stream before the next streams follow.
    reverse : bool
        Turn the bits of every draw over, first to last. Not for Gaussians.

    Raises
    ------
    ContractError
        If the seed is out of range.
    ProgramError
        If another number is.
    """

    kind: Kind = Kind.DRAWS
    seed: int = 0
    first: int = 0
    streams: int = 1
    draws: int = PROBE_NODES
    reverse: bool = False

    def __post_init__(self) -> None:
        check_seed(self.seed)
        if not 0 <= self.first < INDICES:
            raise ProgramError(f"first stream must be within 0..{INDICES - 1}, not {self.first}")
        most = min(STREAMS_HI, INDICES - self.first)
        if not 1 <= self.streams <= most:
            raise ProgramError(f"streams at a time must be within 1..{most}, not {self.streams}")
        if not 1 <= self.draws <= DRAWS_HI:
            raise ProgramError(f"draws of a stream must be within 1..2**{DRAWS_HI.bit_length() - 1}"
                               f", a stream's share of the period, not {self.draws}")
        if self.streams * self.draws % self.kind.unit_draws:
            raise ProgramError(f"draws of a group of streams must be even to fill whole bytes, "
                               f"not {self.streams} * {self.draws}")
        if self.reverse and self.kind is Kind.GAUSSIANS:
            raise ProgramError("Gaussians have no bit order to reverse: reverse draws or words")

    @property
    def groups(self) -> int:
        """How many groups of streams the seed has from `first` on."""
        return (INDICES - self.first) // self.streams

    @property
    def bytes_hi(self) -> int:
        """Bytes that the request can give."""
        draws = self.groups * self.streams * self.draws
        return draws // self.kind.unit_draws * self.kind.unit_bytes


def probe_program(initial: InitialState, nodes: int = PROBE_NODES) -> Program:
    """Return a program whose initial states show the first draws of a stream.

    UNIFORM states are the top bits of the words, shifted by half their range; GAUSSIAN states are
    the Gaussians, times a power of two.
    """
    spec = ArraySpec(physics=PHYSICS["quartic"], nodes=nodes, offsets=(1,), segments=1,
                     state_bits=_PROBE_BITS)
    program = random_program(spec, np.random.default_rng(0), segments=1, steps=1, initial=initial)
    return replace(program, initial_gain=1 << _gain_shift(spec))        # no step is ever taken


def _gain_shift(spec: ArraySpec) -> int:
    """Return the exponent of the largest gain, a power of two, at which no Gaussian is clipped."""
    scale = spec.drift_f_bits - spec.align_bits(spec.noise_term)       # of a state that is 1 * xi
    return min(spec.gain.hi.bit_length() - 1, scale + spec.state_bits - GAUSSIAN_BITS)


def _twin_pieces(request: NoiseRequest) -> Iterator[tuple[npt.NDArray[np.uint32], ...]]:
    """Yield words and sides in order."""
    draws, streams, even = min(request.draws, _BLOCK), request.streams, request.kind.unit_draws
    at_once = max(1, _BLOCK // (streams * draws))                      # groups
    for group in range(0, request.groups, at_once):
        count = min(at_once, request.groups - group)
        first = request.first + group * streams
        source = NoiseStreams(request.seed, range(first, first + count * streams), request.draws)
        # Several groups are drawn whole; a part of one group has to fill whole bytes.
        rows = request.draws if count > 1 else max(1, _BLOCK // (streams * even)) * even
        for done in range(0, request.draws, rows):
            shape = (2, min(rows, request.draws - done), count * streams)
            words, sides = pair = np.empty(shape, np.uint32)
            source.draw(words, sides)
            ordered = pair.reshape(2, -1, count, streams).swapaxes(1, 2)
            words, sides = np.ascontiguousarray(ordered).reshape(2, -1)
            yield words, sides


def _twin_units(request: NoiseRequest) -> Iterator[Units]:
    for words, sides in _twin_pieces(request):
        if request.kind is Kind.GAUSSIANS:
            gaussians = np.empty(words.shape, np.int16)
            GaussianSampler(words.shape).gaussians(words, sides, gaussians)
            yield gaussians.view(np.uint16).astype(np.uint64)
        elif request.kind is Kind.DRAWS:
            yield sides.astype(np.uint64) << np.uint64(WORD_BITS) | words
        else:
            yield (words >> np.uint32(WORD_BITS - request.kind.bits)).astype(np.uint64)


def _probe_units(device: AbstractDevice, request: NoiseRequest) -> Iterator[Units]:
    """Yield what the initial states of a probe program show."""
    if not device.exact:
        raise ProgramError(f"{device.url} has noise of its own, without streams: use twin://")
    if request.kind not in (Kind.UNIFORMS, Kind.GAUSSIANS):
        raise ProgramError(f"{device.url} shows {Kind.UNIFORMS} and {Kind.GAUSSIANS}, not "
                           f"{request.kind}: take those from twin://, which has the same streams")
    if request.draws > PROBE_NODES:
        raise ProgramError(f"{device.url} shows at most {PROBE_NODES} draws of a stream, not "
                           f"{request.draws}: take longer streams from twin://")
    gaussians = request.kind is Kind.GAUSSIANS
    program = probe_program(InitialState.GAUSSIAN if gaussians else InitialState.UNIFORM)
    device.load(program)
    group, at_once = 0, 1                   # more and more, so that the first bytes come soon
    while group < request.groups:
        count = min(at_once, request.groups - group)
        batch = device.sample(count * request.streams, seed=request.seed, stop_step=0,
                              first=request.first + group * request.streams)
        values = batch.values[:, : request.draws].astype(np.int64)
        ordered = values.reshape(count, request.streams, -1).swapaxes(1, 2).reshape(-1)
        if gaussians:
            yield (ordered >> _probe_shift(program.spec)).astype(np.int16).view(
                np.uint16).astype(np.uint64)
        else:
            yield (ordered - program.spec.state.lo).astype(np.uint64)
        group += count
        at_once = max(1, min(2 * at_once, _BLOCK // (request.streams * PROBE_NODES)))


def _probe_shift(spec: ArraySpec) -> int:
    """Return how far a Gaussian probe state is shifted up."""
    return _gain_shift(spec) + spec.align_bits(spec.noise_term) - spec.drift_f_bits


@functools.cache
def _reversed_bytes() -> npt.NDArray[np.uint8]:
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1)
    return np.packbits(bits[:, ::-1], axis=1)[:, 0]


def _reverse(units: Units, bits: int) -> Units:
    """Turn the low `bits` bits of every unit over."""
    data = _reversed_bytes()[units.astype("<u8").view(np.uint8)].reshape(-1, 8)
    return np.ascontiguousarray(data[:, ::-1]).view("<u8")[:, 0] >> np.uint64(64 - bits)


def _pack(units: Units, kind: Kind) -> bytes:
    """Put units together without gaps, least significant bit first."""
    if kind.unit_draws == 1:
        data = units.astype("<u8").view(np.uint8).reshape(-1, 8)
        return data[:, : kind.unit_bytes].tobytes()
    low, high = units[::2], units[1::2]                     # two of 44 bits fill 11 bytes
    data = np.empty((len(low), kind.unit_bytes), np.uint8)
    joined = low | high << np.uint64(kind.bits)
    data[:, :8] = joined.astype("<u8").view(np.uint8).reshape(-1, 8)
    rest = high >> np.uint64(64 - kind.bits)
    data[:, 8:] = rest.astype("<u8").view(np.uint8).reshape(-1, 8)[:, : kind.unit_bytes - 8]
    return data.tobytes()


def noise_bytes(url: str, request: NoiseRequest) -> Iterator[bytes]:
    """Yield the bytes of the noise of the device at `url`, whole draws at a time.

    Raises
    ------
    ProgramError
        If the device cannot show what was asked for.
    """
    with open_device(url) as device:
        units = (_twin_units(request) if isinstance(device, TwinDevice)
                 else _probe_units(device, request))
        for piece in units:
            yield _pack(_reverse(piece, request.kind.bits) if request.reverse else piece,
                        request.kind)
