"""Runner: jobs for the array, and a response for each of its results."""

from amaranth import *
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from pendula.contract.protocol import INDEX_BYTES, Status
from pendula.contract.statistics import RUN_SAMPLES_HI
from pendula_gateware.interfaces import Byte, RegisterValues, job_shape
from pendula_gateware.numeric.delay import registered

__all__ = ["Runner"]

INDEX_BITS = INDEX_BYTES * Byte.width


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
    Latency from `run` to the first job: 2 cycles.
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
    latency = 2

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

    def _send_jobs(self, m: Module, end: Value, more: Signal) -> None:
        """Send jobs of as many samples as there are lanes; clear `more` with the last one."""
        job = self.job.p
        following = Signal(INDEX_BITS)
        m.d.comb += [job.force.eq(self.force), self.job.valid.eq(more),
                     following.eq(job.index + job.more + 1)]
        if self._lanes > 1:
            left = Signal(INDEX_BITS)                   # 0 for all 2**32
            m.d.comb += left.eq(end - job.index)
            with m.If(~(self.alone | self.force)):
                few = (left != 0) & (left < self._lanes)
                m.d.comb += job.more.eq(Mux(few, left, self._lanes) - 1)
        with m.If(self.job.valid & self.job.ready):
            m.d.sync += [job.index.eq(following), more.eq(~self.force & (following != end))]

    def elaborate(self, platform):
        m = Module()
        end = registered(m, self.first + self.count)    # a bit more: beyond the largest index
        more = Signal()                                 # jobs are left to send
        sums_up = self.measure & ~self.force
        unmeasurable = sums_up & (~self.measurable | (self.count > RUN_SAMPLES_HI))
        beyond = end[-1] & end[:-1].any()
        bad = Mux(self.force, self.first >= self._capacity,
                  (self.count == 0) | beyond | (self.segments == 0)
                  | (self.segments > self._capacity) | unmeasurable)
        following = (self.index.p + 1)[:INDEX_BITS]
        self._send_jobs(m, end[:INDEX_BITS], more)
        with m.FSM():
            with m.State("IDLE"):
                m.d.sync += [self.job.p.index.eq(self.first), self.index.p.eq(self.first)]
                with m.If(self.run):
                    m.next = "CHECK"
            with m.State("CHECK"):
                m.d.comb += self.clear.eq(~bad & ~self.force)
                m.d.sync += [more.eq(~bad), self.status.eq(Mux(bad, Status.BAD_VALUE, Status.OK))]
                m.next = "RUN"
                with m.If(bad | sums_up):
                    m.next = "DONE"
            with m.State("RUN"):
                m.d.comb += self.index.valid.eq(1)
                with m.If(self.index.ready):
                    m.d.sync += self.index.p.eq(following)
                    with m.If(self.force | (following == end[:INDEX_BITS])):
                        m.next = "DONE"
            with m.State("DONE"):
                m.d.comb += self.done.eq(~more & ~(sums_up & self.array_busy))
                with m.If(~self.run):
                    m.next = "IDLE"
        return m
