"""Stream drivers, receivers and a rule checker for simulations of Amaranth components.

All of them take a seeded ``random.Random`` and the probability of a stall in each cycle.
"""

from collections.abc import Callable, Coroutine, Iterable
from random import Random
from typing import Any

from amaranth.hdl import ClockDomain, Module
from amaranth.lib import stream, wiring
from amaranth.sim import Simulator

__all__ = ["Testbench", "get", "get_packet", "put", "put_packet", "simulate"]

Testbench = Callable[[Any], Coroutine[Any, Any, None]]

CLOCK_PERIOD_S = 1e-6


def _stalls(rng: Random | None, stall: float) -> bool:
    return rng is not None and rng.random() < stall


async def put(ctx: Any, port: Any, payloads: Iterable[Any], rng: Random | None = None,
              stall: float = 0.0) -> None:
    """Send `payloads` into an input stream, and return once the last one is taken."""
    for payload in payloads:
        while _stalls(rng, stall):
            await ctx.tick()
        ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        while not (await ctx.tick().sample(port.ready))[2]:
            pass
        ctx.set(port.valid, 0)


async def _get_one(ctx: Any, port: Any, rng: Random | None, stall: float) -> Any:
    while _stalls(rng, stall):
        await ctx.tick()
    if _stalls(rng, stall):    # a source must not wait for ready: let it go first
        while not ctx.get(port.valid):
            await ctx.tick()
    ctx.set(port.ready, 1)
    while True:
        _, _, valid, payload = await ctx.tick().sample(port.valid, port.payload)
        if valid:
            ctx.set(port.ready, 0)
            return payload


async def get(ctx: Any, port: Any, count: int, rng: Random | None = None,
              stall: float = 0.0) -> list[Any]:
    """Receive `count` payloads from an output stream."""
    return [await _get_one(ctx, port, rng, stall) for _ in range(count)]


async def put_packet(ctx: Any, port: Any, content: bytes, rng: Random | None = None,
                     stall: float = 0.0) -> None:
    """Send one packet of at least one byte into an input PacketStream."""
    last = len(content) - 1
    payloads = ({"data": byte, "last": k == last} for k, byte in enumerate(content))
    await put(ctx, port, payloads, rng, stall)


async def get_packet(ctx: Any, port: Any, rng: Random | None = None, stall: float = 0.0) -> bytes:
    """Receive one packet from an output PacketStream."""
    content = bytearray()
    while True:
        payload = await _get_one(ctx, port, rng, stall)
        content.append(payload.data)
        if payload.last:
            return bytes(content)


def _checker(name: str, port: Any) -> Testbench:
    async def check(ctx: Any) -> None:
        waiting = None
        while True:
            sample = ctx.tick().sample(port.valid, port.ready, port.payload)
            _, _, valid, ready, payload = await sample
            if waiting is not None:
                assert valid, f"stream {name} dropped valid before its payload was taken"
                assert payload == waiting, f"stream {name} changed a payload that was not taken"
            waiting = payload if valid and not ready else None
    return check


def _watchdog(timeout_cycles: int) -> Testbench:
    async def watch(ctx: Any) -> None:
        for _ in range(timeout_cycles):
            await ctx.tick()
        raise TimeoutError(f"simulation did not end within {timeout_cycles} cycles")
    return watch


def simulate(component: wiring.Component, *testbenches: Testbench,
             checks: Iterable[Testbench] = (), timeout_cycles: int = 100_000) -> None:
    """Run the testbenches to their end.

    Every output stream of the component is checked against the stream rules meanwhile, and the
    endless testbenches `checks` run in the background.

    Raises
    ------
    TimeoutError
        If a testbench is still running after `timeout_cycles`.
    """
    top: Any = Module()
    top.domains.sync = ClockDomain("sync")      # the component may be without a register
    top.submodules.dut = component
    simulator = Simulator(top)
    simulator.add_clock(CLOCK_PERIOD_S)
    for testbench in testbenches:
        simulator.add_testbench(testbench)
    for name, member in component.signature.members.items():
        if (member.flow is wiring.Out and member.is_signature
                and isinstance(member.signature, stream.Signature)):
            simulator.add_testbench(_checker(name, getattr(component, name)), background=True)
    for testbench in (*checks, _watchdog(timeout_cycles)):
        simulator.add_testbench(testbench, background=True)
    simulator.run()
