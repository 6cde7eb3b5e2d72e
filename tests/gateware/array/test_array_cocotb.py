"""The array under cocotb and Verilator, with random stalls on both sides."""

import pytest

from cocotb_runner import run_cocotb
from gateware.array.array_bench import build_program
from pendula_gateware.array.array import OscillatorArray


@pytest.mark.cocotb
@pytest.mark.verilator
def test_lane(tmp_path):
    run_cocotb(OscillatorArray(spec=build_program().spec), "gateware.array.array_bench", tmp_path,
               seed=20261122)
