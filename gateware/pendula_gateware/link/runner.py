"""Runner: jobs for the array, and a response for each of its results."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out, connect, flipped

from pendula.contract.protocol import INDEX_BYTES, Status
from pendula.contract.statistics import RUN_SAMPLES_HI
from pendula_gateware.interfaces import Byte, RegisterValues, job_shape
from pendula_gateware.numeric.delay import registered

__all__ = ["Batcher", "Runner"]

INDEX_BITS = INDEX_BYTES * Byte.width


class Batcher(wiring.Component):
    """Cut samples into jobs of as many as there are lanes.

    Parameters
    ----------
    lanes : int
        Samples that the array draws side by side.

    Members
    -------
    run : :py:`In(1)`
        Send jobs; stays until `done` has been seen. The inputs below must not change meanwhile.
    force : :py:`In(1)`
        One job, which evaluates forces.
    alone : :py:`In(1)`
        One sample a job.
    first, end : :py:`In(32)`
        First sample, or segment; the sample after the last, modulo 2**32: there is at least one.
    job : :py:`Out(stream.Signature(job_shape(lanes)))`
        Jobs.
    done : :py:`Out(1)`
        All are taken; stays until `run` falls.

    Notes
    -----
    Latency from `run` to the first job, and from one job to the next: `latency` cycles. Every
    subtraction and every comparison has a cycle to itself.
    """

    run: Signal
    force: Signal
    alone: Signal
    first: Signal
    end: Signal
    job: stream.Interface
    done: Signal
    latency = 3

    def __init__(self, *, lanes: int = 1) -> None:
        self._lanes = lanes
        super().__init__({
            "run": In(1), "force": In(1), "alone": In(1), "first": In(INDEX_BITS),
            "end": In(INDEX_BITS), "job": Out(stream.Signature(job_shape(lanes))), "done": Out(1)})

    @property
    def lanes(self) -> int:
        """Samples that the array draws side by side."""
        return self._lanes

    def _size(self, m: Module) -> Value:
        """Return the samples of a job, two cycles after its first one is known."""
        if self._lanes == 1:
            return C(1)
        size = Signal(range(self._lanes + 1))
        difference = (self.end - self.job.p.index)[:INDEX_BITS]
        few, left = registered(m, difference < self._lanes), registered(m, difference[:len(size)])
        m.d.sync += size.eq(Mux(self.force | self.alone, 1, Mux(few, left, self._lanes)))
        return size

    def elaborate(self, platform):
        m = Module()
        job, size = self.job.p, self._size(m)
        m.d.comb += [job.force.eq(self.force), job.more.eq(size - 1)]
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += job.index.eq(self.first)
                with m.If(self.run):
                    m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "SIZE"
                with m.If((job.index == self.end) & ~self.force):
                    m.next = "DONE"
            with m.State("SIZE"):
                m.next = "OFFER"
            with m.State("OFFER"):
                m.d.comb += self.job.valid.eq(1)
                with m.If(self.job.ready):
                    m.d.sync += job.index.eq(job.index + size)
                    m.next = "COMPARE"
                    with m.If(self.force):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(1)
                with m.If(~self.run):
                    m.next = "IDLE"
        return m


class Runner(wiring.Component):
    """Execute RUN and FORCES.

    Parameters
    ----------
    capacity : int
        Time segments that the array can hold.
    lanes : int
        Samples that the array draws side by side.

    Members
    -------
    run : :py:`In(1)`
        Execute; stays until `done` has been seen. The inputs below must not change meanwhile.
    force : :py:`In(1)`
        FORCES rather than RUN.
    first, count : :py:`In(32)`
        First sample and number of samples; for FORCES, `first` is the segment.
    segments : :py:`In(13)`
        Register SEGMENTS.
    alone : :py:`In(1)`
        Samples are drawn one after another, since each starts from the one before.
    measure : :py:`In(1)`
        RUN sums samples up: there are no results, and `done` waits for the array.
    measurable : :py:`In(1)`
        The device can measure what the registers ask for.
    array_busy : :py:`In(1)`
        Whether the array has not finished its jobs.
    job : :py:`Out(stream.Signature(job_shape(lanes)))`
        Jobs of up to `lanes` samples, up to as many ahead of the results as the array takes.
    index : :py:`Out(stream.Signature(32))`
        Index of each sample, in order, for the response that carries its result.
    clear : :py:`Out(1)`
        The counters of the array begin anew.
    done : :py:`Out(1)`
        All jobs and indices are taken; `status` is final.
    status : :py:`Out(Status)`
        OK, or BAD_VALUE if there was nothing to do, no such segment, or it cannot be measured: no
        job was sent then.

    Notes
    -----
    Latency from `run` to the first job: `latency` cycles; an index every two cycles.
    """

    run: Signal
    force: Signal
    first: Signal
    count: Signal
    segments: Signal
    alone: Signal
    measure: Signal
    measurable: Signal
    array_busy: Signal
    job: stream.Interface
    index: stream.Interface
    clear: Signal
    done: Signal
    status: Signal
    latency = 3 + Batcher.latency

    def __init__(self, *, capacity: int, lanes: int = 1) -> None:
        self._capacity, self._lanes = capacity, lanes
        super().__init__({
            "run": In(1), "force": In(1), "first": In(INDEX_BITS), "count": In(INDEX_BITS),
            "segments": In(RegisterValues["segments"].shape),
            "alone": In(1), "measure": In(1), "measurable": In(1), "array_busy": In(1),
            "job": Out(stream.Signature(job_shape(lanes))),
            "index": Out(stream.Signature(INDEX_BITS)),
            "clear": Out(1), "done": Out(1), "status": Out(Status)})

    @property
    def capacity(self) -> int:
        """Time segments that the array can hold."""
        return self._capacity

    @property
    def lanes(self) -> int:
        """Samples that the array draws side by side."""
        return self._lanes

    def elaborate(self, platform):
        m = Module()
        m.submodules.batcher = batcher = Batcher(lanes=self._lanes)
        connect(m, batcher.job, flipped(self.job))
        end = registered(m, self.first + self.count)    # a bit more: beyond the largest index
        sending = Signal()
        sums_up = self.measure & ~self.force
        unmeasurable = sums_up & (~self.measurable | (self.count > RUN_SAMPLES_HI))
        beyond = end[-1] & end[:-1].any()
        bad = registered(m, Mux(self.force, self.first >= self._capacity,
                                (self.count == 0) | beyond | (self.segments == 0)
                                | (self.segments > self._capacity) | unmeasurable))
        m.d.comb += [
            batcher.run.eq(sending), batcher.force.eq(self.force), batcher.alone.eq(self.alone),
            batcher.first.eq(self.first), batcher.end.eq(end[:INDEX_BITS])]
        with m.If(batcher.done):
            m.d.sync += sending.eq(0)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += self.index.p.eq(self.first)
                with m.If(self.run):
                    m.next = "ADD"
            with m.State("ADD"):
                m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += self.clear.eq(~bad & ~self.force)
                m.d.sync += [sending.eq(~bad),
                             self.status.eq(Mux(bad, Status.BAD_VALUE, Status.OK))]
                m.next = "OFFER"
                with m.If(bad | sums_up):
                    m.next = "DONE"
            with m.State("OFFER"):
                m.d.comb += self.index.valid.eq(1)
                with m.If(self.index.ready):
                    m.d.sync += self.index.p.eq(self.index.p + 1)
                    m.next = "COMPARE"
            with m.State("COMPARE"):
                m.next = "OFFER"
                with m.If(self.force | (self.index.p == end[:INDEX_BITS])):
                    m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(~sending & ~(sums_up & self.array_busy))
                with m.If(~self.run):
                    m.next = "IDLE"
        return m
