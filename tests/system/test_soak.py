"""Random arrays on the compiled gateware and the twin; longer runs: ``benchmarks/soak.py``."""

import pytest

from soaking import soak


@pytest.mark.verilator
@pytest.mark.slow
@pytest.mark.parametrize("number", range(1))
def test_a_random_array_equals_the_twin_in_every_bit(number):
    found = soak(number, 2_000_000)
    assert found["updates"] >= 500_000
