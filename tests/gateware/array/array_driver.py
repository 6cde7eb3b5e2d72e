"""Drives an Array in Amaranth's simulator, as the link would."""

from typing import Any

import numpy as np

from pendula.contract.memory import Memory
from pendula.contract.step import ALL_STEPS
from pendula.images import node_image, program_images
from pendula.program import Program


async def write_memory(ctx: Any, bus: Any, number: Memory, image: np.ndarray) -> None:
    """Write an image from row 0 up."""
    ctx.set(bus.memory, number)
    ctx.set(bus.write, 1)
    for row, content in enumerate(image):
        ctx.set(bus.row, row)
        ctx.set(bus.write_data, int.from_bytes(content.tobytes(), "little"))
        await ctx.tick()
    ctx.set(bus.write, 0)


async def load(ctx: Any, array: Any, program: Program, uploaded: np.ndarray | None = None,
               clamped: np.ndarray | None = None) -> None:
    """Write every memory and the registers of a program."""
    nodes = program.spec.nodes
    uploaded = np.zeros(nodes, np.int64) if uploaded is None else uploaded
    clamped = np.zeros(nodes, bool) if clamped is None else clamped
    images = program_images(program)
    images[Memory.NODE] = node_image(program.spec, uploaded, clamped, program.visible)
    for number, image in images.items():
        await write_memory(ctx, array.bus, number, image)
    set_registers(ctx, array, initial=program.initial, initial_gain=program.initial_gain,
                  segments=program.segments, pixel_gain=program.pixel_gain,
                  pixel_offset=program.pixel_offset, stop_step=ALL_STEPS)


def set_registers(ctx: Any, array: Any, **values: int) -> None:
    """Set registers by lower-case name."""
    for name, value in values.items():
        ctx.set(array.registers[name], value)


def set_run(ctx: Any, array: Any, seed: int, stop_step: int = ALL_STEPS,
            readout: int = 0) -> None:
    """Set what changes from run to run."""
    set_registers(ctx, array, seed_lo=seed & 0xFFFFFFFF, seed_hi=seed >> 32, stop_step=stop_step,
                  readout=readout)


def decode(content: bytes, width: int) -> list[int]:
    """Return the signed little-endian integers of `width` bytes that a packet holds."""
    return [int.from_bytes(content[k:k + width], "little", signed=True)
            for k in range(0, len(content), width)]
