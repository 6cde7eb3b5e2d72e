"""Random arrays on the compiled gateware and the twin; longer runs: ``benchmarks/soak.py``."""

import pytest

from soaking import soak

CYCLES = 2_000_000


@pytest.mark.verilator
@pytest.mark.slow
@pytest.mark.parametrize(("number", "physics", "options"), [
    (18, "quartic", "lanes=3&fold=4&fabric=generic&buffers=2"),
    (28, "ising", "lanes=2&fold=4&fabric=ecp5&buffers=1"),
    (37, "kuramoto", "lanes=1&fold=3&fabric=ice40&buffers=2")])
def test_a_random_array_equals_the_twin_in_every_bit(number, physics, options):
    found = soak(number, CYCLES)
    assert (found["physics"], found["url"]) == (physics, f"verilator://?{options}")
    assert found["updates"] >= 20_000
