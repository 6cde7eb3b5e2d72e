"""The byte stream of a device's noise: draw for draw that of the contract, in the order stated."""

import itertools
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from pendula import noise
from pendula.contract import InitialState
from pendula.contract.noise import DRAWS_HI, GAUSSIAN, NoiseStream, gaussian
from pendula.errors import ContractError, ProgramError
from pendula.noise import INDICES, PROBE_NODES, Kind, NoiseRequest, noise_bytes


def value(kind: Kind, draw: int) -> int:
    """Return the bits that stand for a draw, as an integer."""
    return {Kind.DRAWS: draw, Kind.WORDS: draw % 2**32, Kind.UNIFORMS: draw % 2**32 // 2**8,
            Kind.GAUSSIANS: gaussian(draw) % 2**16}[kind]


BITS = {Kind.DRAWS: 44, Kind.WORDS: 32, Kind.UNIFORMS: 24, Kind.GAUSSIANS: 16}


def in_order(request: NoiseRequest) -> Iterator[int]:
    for first in itertools.count(request.first, request.streams):
        if first + request.streams > INDICES:
            return
        streams = [NoiseStream(request.seed, first + k) for k in range(request.streams)]
        for _ in range(request.draws):
            yield from (next(stream) for stream in streams)


def expected(request: NoiseRequest, size: int) -> bytes:
    """Return the first bytes, put together bit by bit."""
    width = BITS[request.kind]
    text = ""                                           # the first bit is the last character
    for draw in itertools.islice(in_order(request), size * 8 // width + 1):
        bits = f"{value(request.kind, draw):0{width}b}"
        text = (bits[::-1] if request.reverse else bits) + text
    return (int(text, 2) % 2 ** (8 * size)).to_bytes(size, "little")


def taken(url: str, request: NoiseRequest, size: int) -> bytes:
    data = b""
    for piece in noise_bytes(url, request):
        assert len(piece) % request.kind.unit_bytes == 0
        data += piece
        if len(data) >= size:
            break
    return data[:size]


requests = st.builds(
    dict, kind=st.sampled_from([Kind.DRAWS, Kind.WORDS, Kind.UNIFORMS]),
    seed=st.integers(0, 2**64 - 1), first=st.integers(0, 2**31), streams=st.integers(1, 5),
    draws=st.sampled_from([1, 2, 3, 4, 7, 30, 64, 99, 700, DRAWS_HI]), reverse=st.booleans())


@given(requests, st.sampled_from([1, 60, 100, 2000]))
def test_twin_gives_the_draws_of_the_contract(fields: dict[str, Any], block: int) -> None:
    """Whatever the size of the blocks that it works in."""
    assume(fields["kind"] is not Kind.DRAWS or fields["streams"] * fields["draws"] % 2 == 0)
    request_ = NoiseRequest(**fields)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(noise, "_BLOCK", block)
        assert taken("twin://", request_, 700) == expected(request_, 700)


@pytest.mark.parametrize("order", [(1, 4096), (3, 10), (2, DRAWS_HI)])
def test_twin_gives_gaussians(order: tuple[int, int]) -> None:
    request = NoiseRequest(kind=Kind.GAUSSIANS, seed=3, streams=order[0], draws=order[1])
    assert taken("twin://", request, 1000) == expected(request, 1000)


@pytest.mark.parametrize("url", ["twin", pytest.param("verilator", marks=pytest.mark.verilator)])
@pytest.mark.parametrize("kind", [Kind.UNIFORMS, Kind.GAUSSIANS])
def test_a_probe_program_shows_the_same_bytes(url: str, kind: Kind,
                                              monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(noise, "PROBE_NODES", 64)       # a small array
    monkeypatch.setattr(noise, "TwinDevice", type(None))
    probe = noise.probe_program
    monkeypatch.setattr(noise, "probe_program", lambda initial: probe(initial, 64))
    monkeypatch.setattr(noise, "_BLOCK", 64 * 3 * 5)
    request = NoiseRequest(kind=kind, seed=2**63 + 5, first=9, streams=3, draws=50)
    assert taken(f"{url}://", request, 3000) == expected(request, 3000)


def test_probe_gaussians_are_neither_rounded_nor_clipped() -> None:
    spec = noise.probe_program(InitialState.GAUSSIAN, 8).spec
    shift = noise._probe_shift(spec)
    assert shift >= 0
    assert GAUSSIAN.hi << shift <= spec.state.hi


def test_the_last_streams_of_a_seed() -> None:
    request = NoiseRequest(kind=Kind.WORDS, first=INDICES - 5, streams=2, draws=3)
    data = b"".join(noise_bytes("twin://", request))
    assert len(data) == request.bytes_hi == 2 * 2 * 3 * 4
    assert data == expected(request, len(data))


def test_bytes_of_a_request() -> None:
    assert NoiseRequest().bytes_hi == 2**32 * 4096 * 44 // 8
    assert NoiseRequest(kind=Kind.GAUSSIANS, streams=2**16, draws=1).bytes_hi == 2 * 2**32


@pytest.mark.parametrize(("change", "message"), [
    ({"first": -1}, r"first stream must be within 0\.\.4294967295, not -1"),
    ({"first": 2**32}, f"not {2**32}"),
    ({"streams": 0}, r"streams at a time must be within 1\.\.65536, not 0"),
    ({"streams": 2**16 + 1}, r"within 1\.\.65536, not 65537"),
    ({"first": 2**32 - 2, "streams": 3}, r"within 1\.\.2, not 3"),
    ({"draws": 0}, r"draws of a stream must be within 1\.\.2\*\*48, a stream's share of the "
                   "period, not 0"),
    ({"draws": DRAWS_HI + 1}, f"not {DRAWS_HI + 1}"),
    ({"draws": 3}, r"must be even to fill whole bytes, not 1 \* 3"),
    ({"kind": Kind.GAUSSIANS, "reverse": True}, "Gaussians have no bit order to reverse"),
])
def test_impossible_request_is_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        NoiseRequest(**change)


def test_seed_out_of_range_is_refused() -> None:
    with pytest.raises(ContractError, match="Seed must be within"):
        NoiseRequest(seed=2**64)


@pytest.mark.parametrize(("url", "change", "message"), [
    ("float://", {}, "float:// has noise of its own, without streams: use twin://"),
    ("pysim://", {}, "pysim:// shows uniforms and gaussians, not draws"),
    ("pysim://", {"kind": Kind.UNIFORMS, "draws": PROBE_NODES + 1},
     f"pysim:// shows at most {PROBE_NODES} draws of a stream, not {PROBE_NODES + 1}"),
])
def test_what_a_device_cannot_show_is_refused(url: str, change: dict[str, Any],
                                              message: str) -> None:
    with pytest.raises(ProgramError, match=message):
        next(noise_bytes(url, NoiseRequest(**change)))


def test_url_is_checked() -> None:
    with pytest.raises(ValueError, match="device URL must start with"):
        next(noise_bytes("nowhere://", NoiseRequest()))

