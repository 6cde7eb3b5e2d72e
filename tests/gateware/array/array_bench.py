"""cocotb test of the array with its lane, run by ``test_array_cocotb.py``."""

from random import Random

import cocotb
import numpy as np
from amaranth.lib import data
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge

from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.memory import Memory
from pendula.contract.protocol import state_bytes
from pendula.contract.registers import Readout
from pendula.contract.step import ALL_STEPS, run_sample
from pendula.images import node_image, program_images
from pendula.program import Program, random_program
from pendula_gateware.interfaces import RegisterValues

SEED = 0x0123456789ABCDEF
INDICES = range(40, 52)
JOB_INDEX_SHIFT = 1         # Job: force at bit 0, then the index


def build_program() -> Program:
    """Return the program that the design is built for and the test runs."""
    spec = ArraySpec(physics=PHYSICS["kuramoto"], nodes=40, offsets=(-7, -6, -1, 1, 6, 7),
                     segments=3, table_bits=6)
    return random_program(spec, np.random.default_rng(8), segments=3, steps=4,
                          initial=InitialState.UNIFORM)


async def load(dut, program: Program) -> None:
    nodes = program.spec.nodes
    images = program_images(program)
    images[Memory.NODE] = node_image(program.spec, np.zeros(nodes, np.int64),
                                     np.zeros(nodes, bool), program.visible)
    for number, image in images.items():
        for row, content in enumerate(image):
            dut.bus_memory.value, dut.bus_row.value, dut.bus_write.value = int(number), row, 1
            dut.bus_write_data.value = int.from_bytes(content.tobytes(), "little")
            await FallingEdge(dut.clk)
    dut.bus_write.value = 0
    registers: data.Const = RegisterValues.const({
        "seed_lo": SEED & 0xFFFFFFFF, "seed_hi": SEED >> 32, "initial": program.initial,
        "segments": program.segments, "stop_step": ALL_STEPS, "readout": Readout.ALL})
    dut.registers.value = registers.as_bits()


async def send_jobs(dut, rng: Random) -> None:
    for index in INDICES:
        while rng.random() < 0.9:
            await FallingEdge(dut.clk)
        dut.job_payload.value, dut.job_valid.value = index << JOB_INDEX_SHIFT, 1
        while not int(dut.job_ready.value):
            await FallingEdge(dut.clk)
        await FallingEdge(dut.clk)
        dut.job_valid.value = 0


async def receive(dut, rng: Random) -> list[bytes]:
    """Return a packet a job; stalls change between short and longer than a whole sample."""
    packets = []
    for _ in INDICES:
        content, last, stall = bytearray(), False, rng.choice((0.0, 0.5, 0.95))
        while not last:
            ready = rng.random() >= stall
            dut.o_ready.value = int(ready)
            await FallingEdge(dut.clk) if not ready else None
            if ready and int(dut.o_valid.value):
                payload = int(dut.o_payload.value)
                content.append(payload & 0xFF)
                last = bool(payload >> 8)
            if ready:
                await FallingEdge(dut.clk)
        dut.o_ready.value = 0
        packets.append(bytes(content))
    return packets


@cocotb.test(timeout_time=2, timeout_unit="ms")
async def samples_equal_the_contract_under_stalls(dut):
    program = build_program()
    rng = Random(cocotb.RANDOM_SEED)
    dut.rst.value = 0
    for port in (dut.job_valid, dut.o_ready, dut.bus_write, dut.clear):
        port.value = 0
    Clock(dut.clk, 10, "ns").start()
    await FallingEdge(dut.clk)
    await load(dut, program)
    cocotb.start_soon(send_jobs(dut, Random(rng.random())))
    packets = await receive(dut, rng)
    width = state_bytes(program.spec)
    for index, packet in zip(INDICES, packets, strict=True):
        states = [int.from_bytes(packet[k:k + width], "little", signed=True)
                  for k in range(0, len(packet), width)]
        assert states == run_sample(program, SEED, index).x, index
