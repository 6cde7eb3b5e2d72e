"""Seeds from jitter on whole devices: what HELLO says, what the twin makes of them, what fails."""

from itertools import islice

import numpy as np
import pytest

import pendula
from arrays import ARRAYS
from pendula.contract import ArraySpec, jitter
from pendula.contract.registers import REGISTER_BITS, JitterCommand, RegisterName
from pendula.device import AbstractDevice
from pendula.errors import JitterError
from pendula.link.link_device import LinkDevice
from pendula.program import Program, random_program
from pendula_gateware.noise.jitter import ModelSource
from pendula_gateware.top import Top
from pendula_sim.pysim import PysimDevice, PysimEngine

SPEC = ARRAYS["narrow"]
SIMULATORS = ["pysim://", pytest.param("verilator://", marks=pytest.mark.verilator)]


def program() -> Program:
    return random_program(SPEC, np.random.default_rng(1), segments=1, steps=2)


def open_loaded(url: str) -> AbstractDevice:
    device = pendula.open(url)
    device.load(program())
    return device


@pytest.mark.parametrize("url", SIMULATORS)
def test_bits_and_seeds_are_those_of_the_contract(url):
    raw_bits = jitter.model_bits()
    with open_loaded(f"{url}?jitter=model") as device:
        assert (device.info()["jitter_rings"], device.info()["jitter_seed"]) == (1, 0)
        words = [*islice(raw_bits, 3 * REGISTER_BITS)]
        gathered = device.jitter_bits(2 * REGISTER_BITS + 7)
        assert gathered.dtype == np.uint8
        assert gathered.tolist() == words[:2 * REGISTER_BITS + 7]
        seeds = []
        for _ in range(2):
            _, expected = jitter.draw_seed([*islice(raw_bits, jitter.RAW_BITS)])
            seeds.append(device.draw_seed())
            assert seeds[-1] == expected == device.info()["jitter_seed"]
        assert device.jitter_bits(32).tolist() == [*islice(raw_bits, REGISTER_BITS)]
        assert device.info()["jitter_seed"] == seeds[-1]
        assert len({0, *seeds}) == 3


@pytest.mark.parametrize("url", SIMULATORS)
def test_a_drawn_seed_is_offered_and_nothing_else(url):
    """A draw changes no sample; given as a seed, the twin and a device without seeder repeat it."""
    with open_loaded(f"{url}?jitter=model") as device:
        before = device.sample(4, seed=5, hidden=True).values
        seed = device.draw_seed()
        assert isinstance(device, LinkDevice)
        registers = [device.client.read_register(name)
                     for name in (RegisterName.SEED_LO, RegisterName.SEED_HI)]
        assert registers == [5, 0]
        assert np.array_equal(device.sample(4, seed=5, hidden=True).values, before)
        drawn = device.sample(4, seed=seed, hidden=True)
        assert not np.array_equal(drawn.values, before)
    for other in ("twin://", url):
        with open_loaded(other) as device:
            again = device.sample(4, seed=seed, hidden=True)
        assert np.array_equal(again.values, drawn.values)
        assert again.saturations == drawn.saturations


@pytest.mark.parametrize("url", ["float://", "twin://", *SIMULATORS])
def test_a_device_without_a_seeder_refuses(url):
    with open_loaded(url) as device:
        message = f"must have a jitter seeder, and {url} has none: give a seed, or open a device"
        with pytest.raises(JitterError, match=message):
            device.draw_seed()
        with pytest.raises(JitterError, match=message):
            device.jitter_bits(32)
        assert device.info().get("jitter_rings", 0) == 0


class BiasedDevice(PysimDevice):
    """A device whose raw bits are ones too often."""

    ones = 0.9

    def _start(self, spec: ArraySpec) -> PysimEngine:
        return PysimEngine(Top(spec=spec, build_id="00" * 8, jitter=ModelSource(ones=self.ones)))


@pytest.mark.parametrize(("ones", "tests"), [(0.82, "fail PROPORTION"),
                                             (1.0, r"fail REPETITION\|PROPORTION")])
def test_a_failed_health_test_gives_no_seed(ones, tests):
    with BiasedDevice("pysim://biased") as device:
        device.ones = ones
        device.load(program())
        for _ in range(2):
            with pytest.raises(JitterError, match=f"not {tests}, so there is no seed: give one"):
                device.draw_seed()
            assert device.info()["jitter_seed"] == 0
        assert device.jitter_bits(64).mean() > 0.5
        device.sample(1, seed=1)


def test_a_seed_vanishes_when_a_later_draw_fails():
    """At this bias some draws fail and some do not."""
    raw_bits = jitter.model_bits(0.78)
    outcomes = [jitter.draw_seed([*islice(raw_bits, jitter.RAW_BITS)])[1] for _ in range(8)]
    assert 0 in outcomes[1:]
    assert any(outcomes)
    with BiasedDevice("pysim://biased") as device:
        device.ones = 0.78
        device.load(program())
        for seed in outcomes:
            if seed:
                assert device.draw_seed() == seed
            else:
                with pytest.raises(JitterError):
                    device.draw_seed()
            assert device.info()["jitter_seed"] == seed


def test_a_draw_that_is_under_way_holds_up_what_follows():
    """Status and HELLO asked for at once tell of the draw's end, not of its middle."""
    with open_loaded("pysim://?jitter=model") as device:
        assert isinstance(device, LinkDevice)
        client = device.client
        for _ in range(3):
            client.write_register(RegisterName.JITTER_COMMAND, JitterCommand.DRAW)
            assert client.hello().jitter_seed != 0
