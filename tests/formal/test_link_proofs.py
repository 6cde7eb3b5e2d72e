# amaranth: UnusedElaboratable=no
"""Proofs about the link's gateware, and that each of them fails on a planted fault.

Where a block has large constants, some proofs look at the same code with small ones, so that what
happens at their edges is within reach.
"""

from collections.abc import Callable
from typing import Any

import pytest
from amaranth import Array, C, Signal, Value
from amaranth.lib.wiring import In, Out, connect
from cobs import cobs as library

from formal.prover import Harness, NotProvenError, inner_registers, planted, prove, streams_of
from pendula.contract import ArraySpec, get_physics
from pendula.contract.protocol import CRC_BYTES, Hello, seal
from pendula_gateware.interfaces import Byte
from pendula_gateware.link import cobs, deframer
from pendula_gateware.link.cobs import Decoder, Encoder
from pendula_gateware.link.deframer import Deframer
from pendula_gateware.link.framer import Framer
from pendula_gateware.link.parser import Parser
from pendula_gateware.link.responder import HelloPacket, Responder
from pendula_gateware.numeric.buffer import StreamBuffer

SMALL_REQUEST_BYTES = 4


@pytest.fixture
def short_blocks(monkeypatch):
    """COBS blocks of at most 3 bytes."""
    monkeypatch.setattr(cobs, "FULL_CODE", 4)
    monkeypatch.setattr(cobs, "BUFFER_BYTES", 16)


@pytest.fixture
def short_requests(monkeypatch):
    """Requests of at most 4 bytes."""
    monkeypatch.setattr(deframer, "MAX_REQUEST_BYTES", SMALL_REQUEST_BYTES)
    monkeypatch.setattr(deframer, "MAX_FRAME_BYTES", SMALL_REQUEST_BYTES + CRC_BYTES)


# Stream rules, by induction

def make_hello() -> HelloPacket:
    spec = ArraySpec(physics=get_physics("quartic"), nodes=5, offsets=(-2, 1), segments=1)
    return HelloPacket(hello=Hello.of(spec, contract_id="0" * 16, build_id="0" * 16, lanes=1))


BLOCKS: dict[str, Callable[[], Any]] = {
    "buffer": lambda: StreamBuffer(Byte), "decoder": Decoder, "encoder": Encoder,
    "framer": Framer, "deframer": Deframer, "parser": Parser, "responder": Responder,
    "hello": make_hello}


def stream_rules(block: Any) -> Harness:
    harness = Harness(block)
    harness.free_inputs(block)
    harness.rules(block)
    return harness


@pytest.mark.parametrize("name", BLOCKS)
def test_what_is_offered_stays_until_it_is_taken(tmp_path, name):
    """If it does so at the inputs, it does so at the outputs."""
    prove(stream_rules(BLOCKS[name]()), tmp_path, 4, induction=True)


def independence(make: Callable[[], Any]) -> Harness:
    """Two blocks, all of whose inputs agree but for ready, and that up to some cycle."""
    first, second = make(), make()
    harness = Harness(first, second)
    apart, ready_differs = Signal(), C(0)
    outputs = {name for name, _ in streams_of(first)
               if first.signature.members[name].flow is Out}
    for (path, member, value), (*_, other) in zip(
            first.signature.flatten(first), second.signature.flatten(second), strict=True):
        if member.flow is Out and path[0] in outputs and path[-1] == "valid":
            harness.check(apart | (value == other))
        if member.flow is In:
            harness.free(value, other)
            differ = Value.cast(value) != Value.cast(other)
            if path[0] in outputs:
                ready_differs |= differ
            else:
                harness.assume(~differ)
    harness.m.d.sync += apart.eq(apart | ready_differs)
    return harness


@pytest.mark.parametrize("name", ["buffer", "decoder", "encoder", "deframer", "parser",
                                  "responder"])
def test_offers_do_not_wait_for_ready(tmp_path, name):
    """Whether something is offered does not depend on whether it would be taken now."""
    prove(independence(BLOCKS[name]), tmp_path, 8)


@pytest.mark.parametrize(("component", "old", "new"), [
    (lambda: StreamBuffer, "self.o.ready | ~self.o.valid", "C(1)"),
    (lambda: Decoder, "self.o.valid | self.o.ready)\n", "self.o.valid | C(1))\n"),
    (lambda: Encoder, "moves = Signal.like(start), ~self.o.valid | self.o.ready",
     "moves = Signal.like(start), C(1)"),
    (lambda: Deframer, "m.If(~self.o.valid | self.o.ready)", "m.If(C(1))"),
], ids=["buffer", "decoder", "encoder", "deframer"])
def test_an_offer_that_is_dropped_is_found(tmp_path, component, old, new):
    block = component()
    arguments = (Byte,) if block is StreamBuffer else ()
    with pytest.raises(NotProvenError):
        prove(stream_rules(planted(block, old, new)(*arguments)), tmp_path, 4, induction=True)


def test_an_offer_that_waits_is_found(tmp_path):
    waiting = planted(Parser, "self.tail.valid.eq(self.i.valid)",
                      "self.tail.valid.eq(self.i.valid & self.tail.ready)")
    with pytest.raises(NotProvenError):
        prove(independence(waiting), tmp_path, 12)


# Nothing is lost, made up or put out of order

def buffer_order(buffer: Any) -> Harness:
    """Two places; `first` and `second` are what should be in them."""
    inner = buffer.elaborate(None)
    aside, full = sorted(inner_registers(inner, buffer), key=len, reverse=True)
    harness = Harness(inner)
    harness.free_inputs(buffer)
    used, first, second = Signal(2), Signal(Byte), Signal(Byte)
    enters, leaves = buffer.i.valid & buffer.i.ready, buffer.o.valid & buffer.o.ready
    left = used - leaves
    harness.m.d.sync += used.eq(left + enters)
    with harness.m.If(leaves):
        harness.m.d.sync += first.eq(second)
    with harness.m.If(enters & (left == 0)):
        harness.m.d.sync += first.eq(buffer.i.payload)
    with harness.m.Elif(enters):
        harness.m.d.sync += second.eq(buffer.i.payload)
    harness.check(
        buffer.o.valid == (used != 0), buffer.i.ready == (used != 2), used <= 2,
        ~buffer.o.valid | (buffer.o.payload == first), full == (used == 2),
        ~full | (aside == second))
    return harness


def test_a_buffer_holds_two_in_order(tmp_path):
    """At any number of cycles: it offers if it holds, and takes if it holds less than two."""
    prove(buffer_order(StreamBuffer(Byte)), tmp_path, 2, induction=True)


@pytest.mark.parametrize(("old", "new"), [
    ("Mux(full, aside, self.i.payload)", "Mux(full, self.i.payload, aside)"),
    ("full.eq(0)", "full.eq(full)"), ("full | self.i.valid", "self.i.valid")])
def test_a_buffer_that_loses_or_swaps_is_found(tmp_path, old, new):
    with pytest.raises(NotProvenError):
        prove(buffer_order(planted(StreamBuffer, old, new)(Byte)), tmp_path, 6)


def round_trip(encoder: Any, decoder: Any) -> Harness:
    """Bytes of packets come back through encoder and decoder, and so do their ends; no stalls."""
    harness = Harness(encoder, decoder)
    harness.assume(encoder.i.valid, decoder.o.ready)
    connect(harness.m, encoder.o, decoder.i)
    harness.free_inputs(encoder, besides=("o",))
    harness.free_inputs(decoder, besides=("i",))
    index = harness.constant(8)
    item = decoder.o.p
    enters, leaves = encoder.i.valid & encoder.i.ready, decoder.o.valid & decoder.o.ready
    taken = harness.counter(enters)
    given, ends = harness.counter(leaves & ~item.end), harness.counter(leaves & item.end)
    lasts = harness.counter(enters & encoder.i.p.last)
    seen, byte = harness.nth(taken, enters, index, encoder.i.p.data)
    ended, length = harness.nth(lasts, enters & encoder.i.p.last, index, taken + 1)
    data, end = decoder.o.valid & ~item.end, decoder.o.valid & item.end
    harness.check(~(data & (given == index)) | (seen & (item.data == byte)),
                  ~(end & (ends == index)) | (ended & (given == length) & ~item.malformed))
    return harness


DEPTH_CYCLES = 13


@pytest.mark.usefixtures("short_blocks")
def test_what_is_encoded_is_decoded(tmp_path):
    prove(round_trip(Encoder(), Decoder()), tmp_path, DEPTH_CYCLES)


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize(("component", "old", "new"), [
    (Encoder, "code == FULL_CODE - 1", "code == FULL_CODE"),
    (Encoder, "with m.Elif(~empty)", "with m.Else()"),
    (Encoder, "Mux(closing, start, place)", "place"),
    (Decoder, "zero.eq(byte != FULL_CODE)", "zero.eq(1)"),
    (Decoder, "[remaining.eq(0), zero.eq(0)]", "remaining.eq(0)")])
def test_a_wrong_encoder_or_decoder_is_found(tmp_path, component, old, new):
    blocks = {Encoder: Encoder, Decoder: Decoder} | {component: planted(component, old, new)}
    with pytest.raises(NotProvenError):
        prove(round_trip(blocks[Encoder](), blocks[Decoder]()), tmp_path, DEPTH_CYCLES)


# Deframer

GOOD = library.encode(seal(b"\1\1")) + b"\0"
NOISE_BYTES = 10


def noise_then_request(block: Any, cycles: int) -> Harness:
    """Any bytes, a delimiter, a request: it is what comes out last, and it does so in time."""
    harness = Harness(block)
    noise = Array(harness.constant(Byte) for _ in range(NOISE_BYTES))
    script = Array([*noise, *(C(byte, Byte) for byte in b"\0" + GOOD)])
    place, time = Signal(range(len(script) + 1)), Signal(range(cycles + 2))
    moves = block.i.valid & block.i.ready
    harness.m.d.comb += [block.o.ready.eq(1), block.i.valid.eq(place < len(script)),
                         block.i.p.eq(script[place])]
    harness.m.d.sync += [place.eq(place + moves), time.eq(time + (time <= cycles))]
    first, right = Signal(init=1), Signal()
    with harness.m.If(block.o.valid):
        harness.m.d.sync += [first.eq(block.o.p.last), right.eq(
            (first | right) & (block.o.p.data == 1) & (first | block.o.p.last))]
    harness.check((time < cycles) | (right & first))
    return harness


@pytest.mark.usefixtures("short_requests")
def test_a_request_after_any_noise_arrives_in_time(tmp_path):
    """All 256**10 kinds of it: bytes, an end of every frame (1), and the latency."""
    frames = NOISE_BYTES // 2 + 2
    cycles = NOISE_BYTES + 1 + len(GOOD) + frames + 2 * SMALL_REQUEST_BYTES + Deframer.latency
    prove(noise_then_request(Deframer(), cycles), tmp_path, cycles + 2)


@pytest.mark.usefixtures("short_requests")
@pytest.mark.parametrize(("old", "new"), [
    ("[length.eq(0), self.dropped.eq(self.dropped + 1)]", "self.dropped.eq(self.dropped + 1)"),
    ("crc.start.eq(1), read.en.eq(good)", "read.en.eq(good)")])
def test_a_deframer_that_noise_spoils_is_found(tmp_path, old, new):
    with pytest.raises(NotProvenError):
        prove(noise_then_request(planted(Deframer, old, new)(), 40), tmp_path, 42)
