# amaranth: UnusedElaboratable=no
"""Proofs about the link's gateware, and that each of them fails on a planted fault.

Where a block has large constants, some proofs look at the same code with small ones, so that what
happens at their edges is within reach.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaranth import Array, C, Signal, Value
from amaranth.lib.wiring import In, Out, connect
from cobs import cobs as library

from formal.prover import Harness, NotProvenError, inner_registers, planted, prove, streams_of
from pendula.contract import ArraySpec, get_physics
from pendula.contract.protocol import CRC_BYTES, Hello, seal
from pendula_gateware.array.readout import Readout
from pendula_gateware.interfaces import Byte
from pendula_gateware.link import cobs, deframer
from pendula_gateware.link.cobs import Decoder, Encoder
from pendula_gateware.link.controller import Controller
from pendula_gateware.link.deframer import Deframer
from pendula_gateware.link.framer import Framer
from pendula_gateware.link.memory_port import MemoryPort
from pendula_gateware.link.parser import Parser
from pendula_gateware.link.responder import HelloPacket, Responder
from pendula_gateware.link.runner import Batcher, Runner
from pendula_gateware.link.uart import UartReceiver
from pendula_gateware.numeric.buffer import StreamBuffer

SMALL_REQUEST_BYTES = 4
SHORT_CODE = 4              # of a full COBS block
SHORT_RING_BYTES = 16


@pytest.fixture
def short_blocks(monkeypatch):
    """COBS blocks of at most 3 bytes."""
    monkeypatch.setattr(cobs, "FULL_CODE", SHORT_CODE)
    monkeypatch.setattr(cobs, "BUFFER_BYTES", SHORT_RING_BYTES)


@pytest.fixture
def short_requests(monkeypatch):
    """Requests of at most 4 bytes."""
    monkeypatch.setattr(deframer, "MAX_REQUEST_BYTES", SMALL_REQUEST_BYTES)
    monkeypatch.setattr(deframer, "MAX_FRAME_BYTES", SMALL_REQUEST_BYTES + CRC_BYTES)


# Stream rules

def make_spec() -> ArraySpec:
    return ArraySpec(physics=get_physics("quartic"), nodes=3, offsets=(-2, 1), segments=1)


def make_hello() -> Hello:
    return Hello.of(make_spec(), contract_id="0" * 16, build_id="0" * 16, lanes=1)


LASTING: dict[str, Callable[[], Any]] = {
    "buffer": lambda: StreamBuffer(Byte), "COBS decoder": Decoder, "COBS encoder": Encoder,
    "framer": Framer, "deframer": Deframer, "parser": Parser, "responder": Responder,
    "HELLO": lambda: HelloPacket(hello=make_hello()),
    "memory port": lambda: MemoryPort(spec=make_spec()),
    "readout": lambda: Readout(spec=make_spec(), lanes=2),
    "UART receiver": lambda: UartReceiver(clock_hz=8, baud_hz=2)}
BOUNDED: dict[str, Callable[[], Any]] = {
    "batcher": lambda: Batcher(lanes=3), "runner": lambda: Runner(capacity=3),
    "controller": lambda: Controller(spec=make_spec(), hello=make_hello())}
BLOCKS = LASTING | BOUNDED
BOUNDED_CYCLES = 12
INDEPENDENT_CYCLES = 8
INDEPENDENT_UART_CYCLES = 48        # a byte comes in 42


def use_port(harness: Harness, port: Any) -> None:
    """Look only at one request, over and over."""
    harness.still(port.check, port.read, port.memory, port.first, port.rows)
    harness.assume(~(port.check & port.read))


def use_runner(harness: Harness, runner: Any) -> None:
    """Look only at jobs that stay until they are done."""
    harness.still(runner.force, runner.first, runner.count, runner.segments, runner.alone,
                  runner.measure, runner.measurable, whenever=runner.run)
    harness.still(runner.run, whenever=runner.run & ~runner.done)


def use_batcher(harness: Harness, batcher: Any) -> None:
    """Look only at runs that stay until they are done."""
    harness.still(batcher.force, batcher.alone, batcher.first, batcher.end, whenever=batcher.run)
    harness.still(batcher.run, whenever=batcher.run & ~batcher.done)


USES = {MemoryPort.__name__: use_port, Runner.__name__: use_runner,
        Batcher.__name__: use_batcher}


def stream_rules(block: Any) -> Harness:
    harness = Harness(block)
    harness.free_inputs(block)
    harness.rules(block)
    if use := USES.get(type(block).__name__):
        use(harness, block)
    return harness


@pytest.mark.parametrize("name", LASTING)
def test_what_is_offered_stays_until_it_is_taken(tmp_path, name):
    """If it does so at the inputs, it does so at the outputs."""
    prove(stream_rules(LASTING[name]()), tmp_path, 4, induction=True)


@pytest.mark.parametrize("name", BOUNDED)
def test_what_is_offered_stays_for_some_cycles(tmp_path, name):
    prove(stream_rules(BOUNDED[name]()), tmp_path, BOUNDED_CYCLES)


def independence(make: Callable[[], Any]) -> Harness:
    """Two blocks whose inputs agree, but for ready while nothing is offered."""
    first, second = make(), make()
    harness = Harness(first, second)
    apart, parts = Signal(), C(0)
    ports = [(port, getattr(second, name)) for name, port in streams_of(first)
             if first.signature.members[name].flow is Out]
    for port, other in ports:
        harness.check(apart | (port.valid == other.valid))
        harness.free(port.ready, other.ready)
        parts |= port.valid & (port.ready != other.ready)
    names = {name for name, _ in streams_of(first)}
    for (path, member, value), (*_, other) in zip(
            first.signature.flatten(first), second.signature.flatten(second), strict=True):
        if member.flow is In and not (path[-1] == "ready" and path[0] in names):
            harness.free(value, other)
            harness.assume(Value.cast(value) == Value.cast(other))
    harness.m.d.sync += apart.eq(apart | parts)
    if use := USES.get(type(first).__name__):
        use(harness, first)
    return harness


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize("name", BLOCKS)
def test_offers_do_not_wait_for_ready(tmp_path, name):
    """What nobody would take is offered as well: ready matters only where something is offered."""
    cycles = {"UART receiver": INDEPENDENT_UART_CYCLES}
    prove(independence(BLOCKS[name]), tmp_path, cycles.get(name, INDEPENDENT_CYCLES))


@pytest.mark.parametrize(("component", "arguments", "old", "new"), [
    (StreamBuffer, {"shape": Byte}, "self.o.ready | ~self.o.valid", "C(1)"),
    (Decoder, {}, "self.o.valid | self.o.ready)\n", "self.o.valid | C(1))\n"),
    (Encoder, {}, "moves = Signal.like(start), ~self.o.valid | self.o.ready",
     "moves = Signal.like(start), C(1)"),
    (Deframer, {}, "m.If(~self.o.valid | self.o.ready)", "m.If(C(1))"),
    (MemoryPort, {"spec": make_spec()}, 'm.State("SEND"), m.If(ready)', 'm.State("SEND")'),
    (UartReceiver, {"clock_hz": 8, "baud_hz": 2}, "m.If(self.o.ready)", "m.If(C(1))"),
], ids=["buffer", "decoder", "encoder", "deframer", "memory port", "receiver"])
def test_an_offer_that_is_dropped_is_found(tmp_path, component, arguments, old, new):
    with pytest.raises(NotProvenError):
        prove(stream_rules(planted(component, old, new)(**arguments)), tmp_path, 4, induction=True)


@pytest.mark.parametrize(("component", "arguments", "old", "new"), [
    (Batcher, {"lanes": 3}, "m.If(self.job.ready)", "m.If(C(1))"),
    (Runner, {"capacity": 3}, "m.If(self.index.ready)", "m.If(C(1))"),
    (Controller, {"spec": make_spec(), "hello": make_hello()},
     "with m.If(response.ready):\n                    m.d.comb += [self.jitter.draw",
     "with m.If(C(1)):\n                    m.d.comb += [self.jitter.draw"),
], ids=["batcher", "runner", "controller"])
def test_an_offer_that_is_dropped_early_is_found(tmp_path, component, arguments, old, new):
    with pytest.raises(NotProvenError):
        prove(stream_rules(planted(component, old, new)(**arguments)), tmp_path, BOUNDED_CYCLES)


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize(("component", "old", "new", "cycles"), [
    (Parser, "self.tail.valid.eq(self.i.valid)",
     "self.tail.valid.eq(self.i.valid & self.tail.ready)", 12),
    (Framer, "self.i.valid & crc.ready", "self.i.valid & crc.ready & self.o.ready",
     INDEPENDENT_CYCLES),
    (UartReceiver, "m.If(~line | (self.o.valid", "m.If(~line | ~self.o.ready | (self.o.valid",
     INDEPENDENT_UART_CYCLES)])
def test_an_offer_that_waits_is_found(tmp_path, component, old, new, cycles):
    arguments = {"clock_hz": 8, "baud_hz": 2} if component is UartReceiver else {}
    waiting = planted(component, old, new)
    with pytest.raises(NotProvenError):
        prove(independence(lambda: waiting(**arguments)), tmp_path, cycles)


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


def ring_order(encoder: Any, *, invariants: bool = False) -> Harness:
    """The ring is read place by place, and each place is written once before it is read.

    One place, any of them, is watched: `full` from when it is written until it is read, with `byte`
    in it. `shown` and `shown_byte` are what should be offered, from the place `shown_from`.
    """
    inner = encoder.elaborate(None)
    ring, o = inner.submodules.ring, encoder.o
    (write,), (read,) = ring.write_ports, ring.read_ports
    registers = {signal.name: signal for signal in inner_registers(inner, encoder)}
    start, place = registers["start"], registers["place"]
    harness = Harness(inner)
    harness.free_inputs(encoder)
    watched = harness.constant(start.shape())
    following, shown_from = Signal.like(start), Signal.like(start)
    full, byte, shown, shown_byte = Signal(), Signal(Byte), Signal(), Signal(Byte)
    moves = ~o.valid | o.ready
    reads = moves & (read.addr != start)
    read_here = reads & (read.addr == watched)
    written_here = write.en & (write.addr == watched)
    harness.m.d.sync += following.eq(following + reads)
    with harness.m.If(moves):
        harness.m.d.sync += [shown.eq(reads), shown_from.eq(read.addr), shown_byte.eq(byte)]
    with harness.m.If(written_here):
        harness.m.d.sync += [full.eq(1), byte.eq(write.data)]
    with harness.m.Elif(read_here):
        harness.m.d.sync += full.eq(0)
    harness.check(read.addr == following, ~read_here | full, ~written_here | ~full,
                  o.valid == shown, ~(shown & (shown_from == watched)) | (o.p == shown_byte))
    if invariants:
        look = ring.read_port(domain="comb")
        harness.m.d.comb += look.addr.eq(watched)
        used, block, ahead = ((end - begin)[:len(start)] for begin, end in (
            (read.addr, place), (start, place), (read.addr, watched)))
        harness.check(full == ((ahead < used) & (watched != start)), ~full | (look.data == byte),
                      used >= block, block != 0,
                      ~registers["room"] | (used <= cobs.BUFFER_BYTES - 5))
    return harness


@pytest.mark.usefixtures("short_blocks")
def test_the_ring_of_the_encoder_loses_and_repeats_nothing(tmp_path):
    """Whatever comes and is taken when: what is written goes out, once, in order of its places."""
    prove(ring_order(Encoder(), invariants=True), tmp_path, 4, induction=True)


RING_FAULT_CYCLES = 12


@pytest.mark.usefixtures("short_blocks")
@pytest.mark.parametrize(("old", "new"), [
    ("BUFFER_BYTES - 6", "BUFFER_BYTES"), ("Mux(closing, start, place)", "place"),
    ("m.d.sync += start.eq(place)", "m.d.sync += start.eq(place + 1)"),
    ("place.eq(place + (place != start))", "place.eq(place + 1)"),
    ("read.en.eq(moves)", "read.en.eq(1)")])
def test_a_ring_that_loses_or_repeats_is_found(tmp_path, monkeypatch, old, new):
    monkeypatch.setattr(cobs, "BUFFER_BYTES", 8)        # soon full
    with pytest.raises(NotProvenError):
        prove(ring_order(planted(Encoder, old, new)()), tmp_path, RING_FAULT_CYCLES)


def round_trip(encoder: Any, decoder: Any) -> Harness:
    """Bytes of packets come back through encoder and decoder, and so do their ends."""
    harness = Harness(encoder, decoder)
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


ROUND_TRIP_CYCLES = 13


@pytest.mark.usefixtures("short_blocks")
def test_what_is_encoded_is_decoded(tmp_path):
    prove(round_trip(Encoder(), Decoder()), tmp_path, ROUND_TRIP_CYCLES)


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
        prove(round_trip(blocks[Encoder](), blocks[Decoder]()), tmp_path, ROUND_TRIP_CYCLES)


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


# What docs/reference/security.md says

EVER = "any number of cycles, by induction"
CLAIMS = [
    ("what is offered stays, unchanged, until it is taken", ", ".join(LASTING), EVER),
    ("the same", ", ".join(BOUNDED), f"the first {BOUNDED_CYCLES} cycles"),
    ("an offer does not wait for ready", ", ".join(BLOCKS),
     f"the first {INDEPENDENT_CYCLES} cycles; UART receiver: {INDEPENDENT_UART_CYCLES}"),
    ("a buffer holds two in order, loses and repeats none", "buffer", EVER),
    ("every place of the ring is written once, then sent once, in order",
     f"COBS encoder, with a ring of {SHORT_RING_BYTES} bytes", EVER),
    ("what is encoded is decoded, with stalls on both sides",
     f"COBS encoder and decoder, with blocks of {SHORT_CODE - 1} bytes",
     f"the first {ROUND_TRIP_CYCLES} cycles"),
    (f"after any {NOISE_BYTES} bytes and a delimiter, a request arrives in time",
     f"deframer, with requests of {SMALL_REQUEST_BYTES} bytes", "all bytes"),
]


def test_the_document_claims_what_is_proven_here():
    page = (Path(__file__).parents[2] / "docs" / "reference" / "security.md").read_text()
    table = page.split("| claim | blocks | for |\n|---|---|---|\n")[1].split("\n\n")[0]
    assert table.splitlines() == [f"| {' | '.join(claim)} |" for claim in CLAIMS]
