"""The end of a step: noise, the one rounding, the overflow rule, clamps and initial states."""

from amaranth import *
from amaranth.lib import data
from amaranth.lib.wiring import In, Out

from pendula.contract import noise, step
from pendula.contract.numbers import Overflow
from pendula.contract.spec import ArraySpec
from pendula.contract.step import InitialState
from pendula_gateware.array.part import ArrayPart
from pendula_gateware.array.shapes import (
    accumulator_shape,
    interval_shape,
    result_shape,
    state_shape,
    update_shape,
)
from pendula_gateware.fabric import GENERIC, Fabric
from pendula_gateware.interfaces import RegisterValues
from pendula_gateware.numeric.delay import delayed
from pendula_gateware.numeric.multiply import product

__all__ = ["Integrator", "Reducer"]


class Reducer(ArrayPart):
    """Add up state, drift and noise, round half up once, and apply the overflow rule.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    x : :py:`In(state)`
        State.
    drift : :py:`In(drift)`
        Drift.
    bare : :py:`In(1)`
        For `force`: there is neither noise nor a rounding constant.
    gain : :py:`In(signed(gain_bits))`
        Noise gain.
    xi : :py:`In(signed(GAUSSIAN_BITS))`
        Gaussian.
    o : :py:`Out(state)`
        Next state.
    saturated : :py:`Out(1)`
        Whether the overflow rule clipped it.
    force : :py:`Out(drift)`
        Drift, where the state is 0 and `bare` is set.

    Notes
    -----
    Latency `latency` cycles, throughput 1 node a cycle.
    """

    x: Signal
    drift: Signal
    bare: Signal
    gain: Signal
    xi: Signal
    o: Signal
    saturated: Signal
    force: Signal

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._fabric, self._stages = fabric, fabric.registers
        super().__init__({
            "x": In(state_shape(spec)), "drift": In(accumulator_shape(spec, "drift")),
            "bare": In(1), "gain": In(signed(spec.gain_bits)),
            "xi": In(signed(noise.GAUSSIAN_BITS)),
            "o": Out(state_shape(spec)), "saturated": Out(1),
            "force": Out(accumulator_shape(spec, "drift")),
        }, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles: choice of the factors, noise product, sum, overflow rule."""
        return 2 * self._stages + 2

    def model(self, x: int, drift: int, gain: int, xi: int) -> tuple[int, bool]:
        """Compute the next state, and whether it saturated."""
        return step.integrate(self._spec, x, drift, gain, xi)

    def elaborate(self, platform):
        m = Module()
        spec, f_bits, state = self._spec, self._spec.drift_f_bits, self._spec.state
        noise_term = Signal(interval_shape(spec.gain * noise.GAUSSIAN))
        total = Signal(accumulator_shape(spec, "total"), reset_less=True)
        half = (1 << f_bits) >> 1
        x, drift, bare = (delayed(m, value, 2 * self._stages)
                          for value in (self.x, self.drift, self.bare))
        gain = Mux(self.bare, 0, self.gain).as_signed()
        m.d.comb += noise_term.eq(product(m, "noise", gain, self.xi, self._fabric, behind=1))
        m.d.sync += total.eq((x << f_bits) + drift + Mux(bare, 0, half)
                             + (noise_term << spec.align_bits(spec.noise_term)))
        rounded = total >> f_bits
        m.d.sync += [self.o.eq(rounded), self.saturated.eq(0), self.force.eq(total)]
        if state.overflow is Overflow.SATURATE:
            with m.If(rounded > state.hi):
                m.d.sync += [self.o.eq(state.hi), self.saturated.eq(1)]
            with m.If(rounded < state.lo):
                m.d.sync += [self.o.eq(state.lo), self.saturated.eq(1)]
        return m


class Integrator(ArrayPart):
    """Choose what becomes of a node: a step, an initial state, or nothing where it is held.

    Parameters
    ----------
    spec : ArraySpec
        Array.
    fabric : Fabric
        What it is built for.

    Members
    -------
    registers : :py:`In(RegisterValues)`
        Kind and gain of the initial state.
    update : :py:`In(update_shape(spec))`
        Token, noise gain and node row.
    x : :py:`In(state)`
        State of the node.
    drift : :py:`In(drift)`
        Drift of the node.
    word : :py:`In(32)`
        Uniform word of this node and step.
    xi : :py:`In(signed(GAUSSIAN_BITS))`
        Gaussian of the same draw.
    o : :py:`Out(result_shape(spec))`
        New state and force; `saturated` counts only where the update took effect.

    Notes
    -----
    Latency `latency` cycles, throughput 1 node a cycle.
    """

    registers: data.View
    update: data.View
    x: Signal
    drift: Signal
    word: Signal
    xi: Signal
    o: data.View

    def __init__(self, *, spec: ArraySpec, fabric: Fabric = GENERIC) -> None:
        self._reducer = Reducer(spec=spec, fabric=fabric)
        super().__init__({
            "registers": In(RegisterValues), "update": In(update_shape(spec)),
            "x": In(state_shape(spec)), "drift": In(accumulator_shape(spec, "drift")),
            "word": In(noise.WORD_BITS), "xi": In(signed(noise.GAUSSIAN_BITS)),
            "o": Out(result_shape(spec)),
        }, spec=spec)

    @property
    def latency(self) -> int:
        """Cycles: the sum and its rule, the choice."""
        return self._reducer.latency + 1

    def elaborate(self, platform):
        m = Module()
        m.submodules.reducer = reducer = self._reducer
        initial, force = self.update.token.initial, self.update.token.force
        m.d.comb += [
            reducer.x.eq(Mux(initial | force, 0, self.x)), reducer.bare.eq(force & ~initial),
            reducer.drift.eq(Mux(initial, 0, self.drift)),
            reducer.gain.eq(Mux(initial, self.registers.initial_gain,
                                self.update.noise_gain)),
            reducer.xi.eq(self.xi),
        ]
        # What a node becomes unless it takes a step or a Gaussian initial state.
        held, steps = Signal(state_shape(self._spec)), Signal()
        gaussian = self.registers.initial == InitialState.GAUSSIAN
        keeps = self.update.node.clamped | force
        m.d.comb += [held.eq(self.x), steps.eq(~keeps & (~initial | gaussian))]
        with m.If(initial):
            with m.Switch(self.registers.initial):
                with m.Case(InitialState.ZERO):
                    m.d.comb += held.eq(0)
                with m.Case(InitialState.UNIFORM):
                    m.d.comb += held.eq(self.word[-self._spec.state_bits:] ^ self._spec.state.lo)
                with m.Case(InitialState.UPLOADED):
                    m.d.comb += held.eq(self.update.node.uploaded)
            with m.If(keeps):
                m.d.comb += held.eq(self.update.node.uploaded)
        late = reducer.latency
        m.d.sync += [
            self.o.token.eq(delayed(m, self.update.token, late)),
            self.o.visible.eq(delayed(m, self.update.node.visible, late)),
            self.o.force.eq(reducer.force),
            self.o.x.eq(Mux(delayed(m, steps, late), reducer.o, delayed(m, held, late))),
            self.o.saturated.eq(delayed(m, self.update.token.valid & steps, late)
                                & reducer.saturated),
        ]
        return m
