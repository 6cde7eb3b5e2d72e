"""Which simulation a simulated device runs."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from pendula.contract import CONTRACT_ID, ArraySpec, get_physics
from pendula.device import AbstractDevice, open_device
from pendula.errors import UrlError
from pendula.link.link_device import LinkDevice
from pendula.program import random_program
from pendula_sim.design import DEFAULT_SPEC, Options, design_id

SPEC = ArraySpec(physics=get_physics("ising"), nodes=2, offsets=(1,), segments=2, table_bits=3)


@pytest.fixture
def device() -> Iterator[AbstractDevice]:
    with open_device("pysim://") as device:
        yield device


def load(device: AbstractDevice, spec: ArraySpec) -> object:
    """Load a program for an array and return the client of its simulation."""
    device.load(random_program(spec, np.random.default_rng(0), segments=1, steps=1))
    assert isinstance(device, LinkDevice)
    return device.client


def test_a_program_that_fits_runs_on_the_same_simulation(device):
    client = load(device, SPEC)
    assert load(device, SPEC) is client
    assert load(device, replace(SPEC, segments=1)) is client
    assert device.info()["segments"] == 2


@pytest.mark.parametrize("change", [{"segments": 3}, {"nodes": 3}, {"gain_bits": 12}])
def test_another_array_gets_a_simulation_of_its_own(device, change):
    client = load(device, SPEC)
    assert load(device, replace(SPEC, **change)) is not client
    assert device.program.spec == replace(SPEC, **change)


@pytest.mark.parametrize("url", ["pysim://", "verilator://"])
def test_a_jitter_seeder_is_a_model_or_none(url):
    with pytest.raises(UrlError, match="jitter of a simulated device must be model, not 'ecp5'"):
        open_device(f"{url}?jitter=ecp5")


@pytest.mark.parametrize("lanes", ["0", "65", "-1", "two", "", "1.0"])
def test_lanes_are_within_their_bound(lanes):
    with pytest.raises(UrlError, match=rf"lanes of a simulated device must be within 1\.\.64, "
                                       rf"not '{lanes}'"):
        open_device(f"verilator://?lanes={lanes}")


@pytest.mark.parametrize("fold", ["0", "-1", "two", "", "1.0"])
def test_folds_are_numbers(fold):
    with pytest.raises(UrlError, match=f"fold of a simulated device must be 1 or more, "
                                       f"not '{fold}'"):
        open_device(f"verilator://?fold={fold}")


def test_folds_are_at_most_the_neighbours():
    with open_device("pysim://?fold=2") as device, pytest.raises(
            UrlError, match=r"fold of pysim://\?fold=2 must be within 1\.\.1, as the array has so "
                            r"many neighbours, not 2"):
        load(device, SPEC)


def test_a_fold_makes_another_build():
    with open_device("pysim://?fold=2") as device:
        build_id = device.info()["build_id"]
    assert build_id == design_id(DEFAULT_SPEC, Options(fold=2))[:16]
    assert build_id != design_id(DEFAULT_SPEC)[:16]


def test_lanes_are_reported():
    with open_device("pysim://?lanes=3") as device:
        info = device.info()
    assert info["lanes"] == 3
    assert info["build_id"] == design_id(DEFAULT_SPEC, Options(lanes=3))[:16]


def test_a_jitter_seeder_makes_another_build():
    with open_device("pysim://?jitter=model") as device:
        info = device.info()
    assert info["jitter_rings"] == 1
    assert info["build_id"] == design_id(DEFAULT_SPEC, Options(jitter=True))[:16]
    assert info["build_id"] != design_id(DEFAULT_SPEC)[:16]


def test_a_fabric_makes_another_build():
    with open_device("pysim://?fabric=ecp5") as device:
        build_id = device.info()["build_id"]
    assert build_id == design_id(DEFAULT_SPEC, Options(fabric="ecp5"))[:16]
    assert build_id != design_id(DEFAULT_SPEC)[:16]


@pytest.mark.parametrize(("url", "message"), [
    ("pysim://?fabric=ice", "generic, ecp5, ice40, gowin, not 'ice'"),
    ("verilator://?fabric=", "generic, ecp5, ice40, gowin, not ''"),
    ("netlist://gowin", "ecp5, ice40, not 'gowin'"),
    ("netlist:///ecp5", "ecp5, ice40, not ''")])
def test_a_device_has_its_fabrics(url, message):
    with pytest.raises(UrlError, match=f"must be one of {message}$"):
        open_device(url)


def test_info_without_a_program_describes_the_default_array(device):
    info = device.info()
    assert info["nodes"] == DEFAULT_SPEC.nodes
    assert info["spec_id"] == DEFAULT_SPEC.digest[:16]
    assert info["build_id"] == design_id(DEFAULT_SPEC)[:16]
    assert info["contract_id"] == CONTRACT_ID[:16]
    assert device.times.build > 0


def test_info_with_a_program_describes_its_array(device):
    load(device, SPEC)
    assert device.info()["spec_id"] == SPEC.digest[:16]
