"""Controller: requests in, responses out, and the array in between."""

from amaranth import *
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from pendula.contract.memory import BUFFER_BIT, BUFFERED
from pendula.contract.protocol import Hello, Opcode, Status
from pendula.contract.registers import (
    REGISTER_BITS,
    JitterCommand,
    Readout,
    RegisterName,
    get_register,
)
from pendula.contract.spec import ArraySpec
from pendula.contract.statistics import BIN_BITS_HI, RUN_SAMPLES_HI
from pendula.contract.step import InitialState
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import (
    JitterPort,
    JitterPortInterface,
    MemoryBus,
    MemoryBusInterface,
    Packet,
    PacketStream,
    RegisterValues,
    job_shape,
)
from pendula_gateware.link.memory_port import MemoryPort
from pendula_gateware.link.parser import Parser
from pendula_gateware.link.registers import Registers
from pendula_gateware.link.responder import HelloPacket, Responder
from pendula_gateware.link.runner import Runner
from pendula_gateware.link.shapes import Tail, unpack
from pendula_gateware.numeric.buffer import StreamBuffer, pass_on

__all__ = ["Controller"]

_COMMAND_BITS = get_register(RegisterName.JITTER_COMMAND).width


class Controller(wiring.Component):
    """Execute requests one after another, each once the array and the jitter seeder are idle.

    Where the fabric has two buffers, requests for memories of the buffer that the array does not
    use are executed while it runs.

    Parameters
    ----------
    spec : ArraySpec
        Array that is controlled.
    hello : Hello
        Who the device is.
    fabric : Fabric
        What it is built for.

    Members
    -------
    i : :py:`In(PacketStream)`
        Requests, at least a header each.
    o : :py:`Out(PacketStream)`
        Responses.
    registers : :py:`Out(RegisterValues)`
        Writable registers.
    bus : :py:`Out(MemoryBus(spec))`
        Memories of the array.
    job : :py:`Out(stream.Signature(job_shape(lanes)))`
        What the array does.
    result : :py:`In(PacketStream)`
        What came of each sample or force, in order.
    clear : :py:`Out(1)`
        The counters of the array begin anew.
    array_busy : :py:`In(1)`
        Whether the array has not finished its jobs.
    jitter : :py:`Out(JitterPort())`
        Jitter seeder; nothing is connected where there is none.
    saturations, cycles, measured, frames_dropped : :py:`In(32)`
        Read-only registers.
    busy : :py:`Out(1)`
        Whether a request that has arrived is not yet answered; two cycles longer.
    """

    i: stream.Interface
    o: stream.Interface
    registers: data.View
    bus: MemoryBusInterface
    job: stream.Interface
    result: stream.Interface
    clear: Signal
    array_busy: Signal
    jitter: JitterPortInterface
    saturations: Signal
    cycles: Signal
    measured: Signal
    frames_dropped: Signal
    busy: Signal

    def __init__(self, *, spec: ArraySpec, hello: Hello, fabric: Fabric = GENERIC) -> None:
        self._spec, self._hello, self._fabric = spec, hello, fabric
        counter = In(REGISTER_BITS)
        super().__init__({
            "i": In(PacketStream), "o": Out(PacketStream),
            "registers": Out(RegisterValues), "bus": Out(MemoryBus(spec)),
            "job": Out(stream.Signature(job_shape(hello.lanes))), "result": In(PacketStream),
            "clear": Out(1), "array_busy": In(1), "saturations": counter, "cycles": counter,
            "measured": counter, "frames_dropped": counter, "busy": Out(1),
            "jitter": Out(JitterPort())})

    @property
    def spec(self) -> ArraySpec:
        """Array that is controlled."""
        return self._spec

    @property
    def hello(self) -> Hello:
        """Who the device is."""
        return self._hello

    def elaborate(self, platform):
        m = Module()
        m.submodules.parser = parser = Parser()
        m.submodules.registers = registers = Registers()
        m.submodules.memory_port = port = MemoryPort(
            spec=self._spec, sums=self._hello.sums, fabric=self._fabric)
        m.submodules.runner = runner = Runner(
            capacity=self._spec.segments, lanes=self._hello.lanes)
        m.submodules.hello = hello = HelloPacket(hello=self._hello)
        m.submodules.responder = responder = Responder()
        running = Signal()
        connect(m, flipped(self.i), parser.i)
        pass_on(m, "tail", parser.tail, port.tail, fabric=self._fabric)
        connect(m, port.bus, flipped(self.bus))
        connect(m, runner.job, flipped(self.job))
        connect(m, hello.o, responder.hello)
        connect(m, flipped(self.result), responder.result)
        m.submodules.rows = rows = StreamBuffer(Packet)
        connect(m, port.o, rows.i)
        connect(m, rows.o, responder.rows)
        connect(m, responder.o, flipped(self.o))
        m.d.comb += [
            self.registers.eq(registers.values), self.clear.eq(runner.clear),
            registers.saturations.eq(self.saturations), registers.cycles.eq(self.cycles),
            registers.frames_dropped.eq(self.frames_dropped), registers.measured.eq(self.measured),
            registers.jitter_status.eq(self.jitter.status),
            registers.jitter_bits.eq(self.jitter.bits), hello.jitter_seed.eq(self.jitter.seed),
            self.busy.eq(parser.busy | self.jitter.busy | running),
        ]
        self._distribute(m, parser.request.p, registers, port, runner, running)
        self._serve(m, parser.request, registers, port, runner, responder.i, running)
        return m

    @property
    def _overlaps(self) -> bool:
        """Whether requests may follow a run before it ends."""
        return self._fabric.buffers > 1

    def _held(self, m, value, running):
        """Return a value of a request; if others may follow a run, as it was when that began."""
        if not self._overlaps:
            return value
        held = Signal.like(value)
        with m.If(~running):
            m.d.sync += held.eq(value)
        return held

    def _early(self, request, port, registers):
        """Return whether a request need not wait for the array: it is for the other buffer."""
        if not self._overlaps:
            return C(0)
        opcodes = Opcode.WRITE_MEMORY, Opcode.CHECKSUM, Opcode.READ_MEMORY
        return (request.valid & ~request.p.bad_length & request.p.opcode.matches(*opcodes)
                & port.memory[:BUFFER_BIT].matches(*BUFFERED)
                & (port.memory[BUFFER_BIT] != registers.values.buffer))

    def _due(self, m, response):
        """Return whether to answer with a result: once there is one, if others could go first."""
        if not self._overlaps:
            return C(1)
        offered = Signal()
        m.d.sync += offered.eq(response.valid & ~response.ready)
        return self.result.valid | offered

    def _distribute(self, m, request, registers, port, runner, running):
        """Wire arguments; where two opcodes share a wire, the shorter arguments lead the longer."""
        address, value = unpack(Opcode.WRITE_REGISTER, request.arguments)
        memory, first_row, rows = unpack(Opcode.CHECKSUM, request.arguments)
        first, count = unpack(Opcode.RUN, request.arguments)
        m.d.comb += [
            registers.address.eq(address), registers.write_data.eq(value),
            port.memory.eq(memory), port.first.eq(first_row), port.rows.eq(rows),
            runner.run.eq(running), runner.first.eq(self._held(m, first, running)),
            runner.count.eq(self._held(m, count, running)),
            runner.segments.eq(registers.values.segments),
            runner.alone.eq(registers.values.initial == InitialState.KEEP),
            runner.measure.eq((registers.values.readout & Readout.MEASURE).any()),
            runner.measurable.eq(self._measurable(registers.values)),
            runner.array_busy.eq(self.array_busy),
        ]
        force = Signal()
        m.d.sync += [       # a cycle later, which is before either runs
            port.check.eq(request.opcode == Opcode.CHECKSUM),
            port.read.eq(request.opcode == Opcode.READ_MEMORY),
            force.eq(request.opcode == Opcode.FORCES),
        ]
        m.d.comb += runner.force.eq(self._held(m, force, running))

    def _measurable(self, values: data.View) -> Value:
        """Return whether there are sums, and a list, bins and thinning as they may be."""
        if not self._hello.sums:
            return C(0)
        return ((values.measurements <= self._hello.sums) & (values.bin_bits <= BIN_BITS_HI)
                & (values.thin != 0) & (values.thin <= RUN_SAMPLES_HI))

    def _serve(self, m, request, registers, port, runner, response, running):
        """Take a request, have it executed, and answer it.

        A run takes its request with its last answer; where there are two buffers, at once.
        """
        status, command = Signal(Status), Signal(_COMMAND_BITS)
        sequence, due = self._held(m, request.p.sequence, running), self._due(m, response)
        m.d.comb += [response.p.sequence.eq(request.p.sequence), response.p.status.eq(status),
                     response.p.value.eq(registers.read_data)]
        with m.FSM() as fsm:
            with (m.State("WAIT"),
                  m.If(request.valid & ~self.array_busy & ~self.jitter.busy)):
                m.next = "DISPATCH"         # a cycle later, when the register has been read
            with m.State("DISPATCH"):
                self._dispatch(m, request.p, registers, status, command, running)
            with m.State("ANSWER"):
                m.d.comb += [
                    response.valid.eq(1),
                    response.p.has_value.eq((status == Status.OK)
                                            & (request.p.opcode == Opcode.READ_REGISTER)),
                    response.p.tail.eq(Mux((status == Status.OK)
                                           & (request.p.opcode == Opcode.HELLO),
                                           Tail.HELLO, Tail.NONE))]
                with m.If(response.ready):
                    m.d.comb += [self.jitter.draw.eq(command == JitterCommand.DRAW),
                                 self.jitter.gather.eq(command == JitterCommand.GATHER)]
                    m.next = "END"
            with m.State("END"):        # of its own, so that no path leads on to the parser
                m.d.comb += request.ready.eq(1)
                m.next = "WAIT"
                if self._overlaps:
                    with m.If(running):
                        m.next = "ARRAY"
            self._serve_memory(m, port, response)
            self._serve_array(m, sequence, runner, response, running, due,
                              self._early(request, port, registers))
        m.d.comb += registers.en.eq(fsm.ongoing("WAIT"))

    def _serve_memory(self, m, port, response):
        """Answer what the memory port has done, and let it send rows."""
        good = port.status == Status.OK
        with m.State("MEMORY"):
            m.d.comb += [
                port.run.eq(1), response.valid.eq(port.done), response.p.status.eq(port.status),
                response.p.has_value.eq(port.check & good), response.p.value.eq(port.crc),
                response.p.tail.eq(Mux(port.read & good, Tail.ROWS, Tail.NONE))]
            with m.If(response.ready):
                m.next = "END"

    def _serve_array(self, m, sequence, runner, response, running, due, early):
        """Answer with each result of the array, and how it ended; let early requests between."""
        with m.State("ARRAY"):
            m.d.comb += response.p.sequence.eq(sequence)
            with m.If(early & (~response.valid | response.ready)):
                m.next = "DISPATCH"
            with m.If(runner.done):
                m.d.comb += [response.valid.eq(1), response.p.status.eq(runner.status)]
                with m.If(response.ready):
                    m.d.sync += running.eq(0)
                    m.next = "WAIT" if self._overlaps else "END"
            with m.Else():
                m.d.comb += [
                    response.valid.eq(runner.index.valid & due),
                    response.p.status.eq(Status.DATA),
                    response.p.has_value.eq(1), response.p.value.eq(runner.index.p),
                    response.p.tail.eq(Tail.RESULT), runner.index.ready.eq(response.ready)]

    def _dispatch(self, m, request, registers, status, command, running):
        """Prepare an answer, or leave it to the memory port or the runner."""
        m.d.sync += [status.eq(Status.OK), command.eq(0)]
        m.next = "ANSWER"
        with m.If(request.bad_length):
            m.d.sync += status.eq(Status.BAD_LENGTH)
        with m.Else(), m.Switch(request.opcode):
            with m.Case(Opcode.HELLO):
                pass
            with m.Case(Opcode.READ_REGISTER):
                m.d.sync += status.eq(Mux(registers.known, Status.OK, Status.BAD_ADDRESS))
            with m.Case(Opcode.WRITE_REGISTER):
                m.d.comb += registers.write.eq(1)
                m.d.sync += status.eq(Mux(registers.writable, Status.OK, Status.BAD_ADDRESS))
                with m.If(registers.address == RegisterName.JITTER_COMMAND):
                    m.d.sync += command.eq(registers.write_data)
            with m.Case(Opcode.WRITE_MEMORY, Opcode.CHECKSUM, Opcode.READ_MEMORY):
                m.next = "MEMORY"
            with m.Case(Opcode.RUN, Opcode.FORCES):
                m.d.sync += running.eq(1)
                m.next = "END" if self._overlaps else "ARRAY"
            with m.Default():
                m.d.sync += status.eq(Status.BAD_OPCODE)
