"""cocotb's part of engines.py: replay bytes into the device, in a process of its own."""

import json
import time
from pathlib import Path

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly


@cocotb.test()
async def replay(dut):
    data, sent, cycles, output = Path("input.bin").read_bytes(), 0, 0, bytearray()
    dut.o_ready.value = 1
    Clock(dut.clk, 2, "step").start(start_high=False)
    start = time.process_time()
    while True:
        pending = sent < len(data)
        dut.i_valid.value = pending
        if pending:
            dut.i_payload.value = data[sent]
        await ReadOnly()
        if dut.o_valid.value:
            output.append(int(dut.o_payload.value))
        if not pending and not dut.busy.value:
            break
        sent += pending and bool(dut.i_ready.value)
        await FallingEdge(dut.clk)
        cycles += 1
    seconds = time.process_time() - start
    Path("result.json").write_text(json.dumps(
        {"cycles": cycles, "seconds": seconds, "output": output.hex()}))
