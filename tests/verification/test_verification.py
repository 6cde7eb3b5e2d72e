"""The ladder finds a fault at the rung where it was planted, and nothing where there is none."""

import json
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from altered import AlteredDevice, bump
from pendula import verification
from pendula.contract import InitialState
from pendula.device import open_device
from pendula.errors import LinkDownError, MissingExtraError, ProgramError
from pendula.verification import RUNGS, Kind, build_ladder, verify
from reference_systems import louder, well
from relaxing import relaxing_program
from rounding import unrounded

COUNT = 200
LAWS = ["tables", "noise", "states", "integers"]
LADDER = build_ladder(real=True)
URLS = {rung.name: rung.url for rung in LADDER}


@pytest.fixture
def plant(monkeypatch):
    """Return a function that alters the device at a URL."""
    def alter(url, **alterations):
        def open_altered(opened):
            device = open_device(opened)
            return AlteredDevice(device, **alterations) if opened == url else device
        monkeypatch.setattr(verification, "open_device", open_altered)
    return alter


def run(program, *rungs, **options):
    return verify(program, count=COUNT, seed=1, rungs=rungs, **options)


def shift_of(result):
    assert result.shift
    return result.shift


@pytest.mark.parametrize("physics", ["quartic", "kuramoto", "ising"])
def test_sound_ladder(physics):
    program = unrounded(relaxing_program(physics), 0.3)
    found = run(program, "half-steps", "steps", "parameters", *LAWS, device="twin://")
    agrees = {result.rung.name: result.agrees for result in found.results}
    assert found.different is None
    assert all(agrees[name] for name in ["parameters", *LAWS, "device"])
    assert found.verdict == "All rungs agree that must, of 8 that were run."
    shares = {result.rung.name: result.share or 0.0 for result in found.results}
    assert sum(shares.values()) == pytest.approx(1)
    assert shares["steps"] > 0.5         # a step halves the distance from zero: far from small
    steps = shift_of(found.results[1])
    assert steps.found
    assert found.total
    assert found.total.energy > 0.5 * steps.energy


def test_half_of_the_error_of_a_step_is_left_in_a_half():
    found = run(well(-0.1, -0.1, 0, 0.2, 40), "half-steps", "steps")
    halves, wholes = (shift_of(result).spread for result in found.results)
    assert wholes / halves == pytest.approx(2, abs=0.6)


def test_one_code_changed_in_the_twin_shows_at_the_integers(plant):
    plant("twin://", program=bump("codes", 1, 5, 2))
    found = run(relaxing_program(), *LAWS)
    assert found.different
    assert found.different.rung.name == "integers"
    assert found.different.finding.startswith("force differs first at segment 1, node 5:")
    assert found.verdict.startswith("The ladder breaks at integers: force differs first")
    assert [result.agrees for result in found.results] == [True, True, True, False]


def test_wrong_table_shows_at_the_tables():
    program = relaxing_program()
    flat = np.where(program.tables["v0"] > 10, 10, program.tables["v0"])
    stronger = replace(program, coupling_gain=program.coupling_gain * 3)
    assert run(stronger, *LAWS).different is None
    found = run(replace(stronger, tables={**program.tables, "v0": flat}), *LAWS)
    assert [result.agrees for result in found.results] == [False, True, True, True]
    assert "laws differ in" in found.results[0].finding


def test_wrong_noise_shows_at_the_noise(plant):
    plant(URLS["noise"], program=lambda program: louder(program, 1.4))
    found = run(relaxing_program(), *LAWS)
    assert found.different
    assert found.different.rung.name == "noise"
    assert found.results[0].agrees


def test_too_few_bits_of_the_state_show_at_the_states():
    program = relaxing_program()
    spec = replace(program.spec, state_bits=8, table_bits=8)
    coarse = replace(program, spec=spec, tables={})
    scale = [old.unit_val / new.unit_val for old, new in (
        (program.spec.noise_term, spec.noise_term),
        (program.spec.local_terms[0], spec.local_terms[0]))]
    gains = np.rint(program.noise_gain * scale[0] * 0.03).astype(np.int64)
    coarse = replace(coarse, noise_gain=gains,
                     local_gains=np.rint(program.local_gains * scale[1]).astype(np.int64))
    found = run(coarse, "noise", "states", "integers")
    assert [result.agrees for result in found.results] == [True, False, True]


def flip(batch):
    values = batch.values.copy()
    if len(values) > 7:
        values[7, 3] ^= 1
    return replace(batch, values=values)


def test_flipped_bit_of_a_device_is_named():
    def open_flipping(url):
        device = open_device(url)
        flipping[0] += 1
        return AlteredDevice(device, batch=flip) if flipping[0] == 1 else device
    flipping = [0]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(verification, "open_device", open_flipping)
        found = run(relaxing_program(), device="twin://")
    assert found.different
    assert found.different.rung.name == "device"
    assert found.different.finding.startswith("state differs first at sample 7, node 3:")


def longer_program():
    """Return a program of five segments, of which slow devices run the first and the last."""
    program = relaxing_program()
    return replace(program, spec=replace(program.spec, segments=5), steps=np.arange(1, 6), **{
        name: np.concatenate([getattr(program, name)] * 3)[:5] for name in (
            "codes", "local_codes", "coupling_gain", "local_gains", "noise_gain")})


@pytest.mark.parametrize(("rung", "step"), [
    ("integers", None), ("pysim", 2), ("verilator", 11), ("netlist", 5), ("device", 11)])
def test_a_wrong_code_is_named_on_every_exact_rung(monkeypatch, rung, step):
    """In place of hardware stands a twin, one of whose codes in the last segment is off."""
    opened = []

    def open_wrong(url):
        opened.append(url)
        wrong = rung == "integers" or len(opened) == 1      # compared with a sound twin
        device = open_device(url if url.startswith("float") else "twin://")
        return AlteredDevice(device, program=bump("codes", -1, 5, 2)) if (
            wrong and device.exact) else device

    monkeypatch.setattr(verification, "open_device", open_wrong)
    found = run(longer_program(), *([] if rung == "device" else [rung]),
                device="serial://x" if rung == "device" else "")
    assert found.different
    assert found.different.rung.name == rung
    where = "segment 4, node 5:" if step is None else f"step {step}, segment 4, node 5:"
    assert where in found.different.finding
    assert found.different.exact
    assert found.different.exact.differences[0].segment == 4


@pytest.mark.verilator
def test_a_wrong_code_in_gateware_is_named(plant):
    plant("verilator://", program=bump("codes", 0, 6, 1))
    found = run(well(0.1, -0.1, 0, 0.2236, 80), "verilator")
    assert found.different
    assert found.different.finding.startswith("state differs first at sample 0, step ")
    assert "segment 0, node 6:" in found.different.finding


@pytest.mark.verilator
def test_gateware_is_the_twin():
    found = run(well(0.1, -0.1, 0, 0.2236, 80), "verilator")
    assert found.results[0].agrees
    assert "integers equal, in 200 samples of the whole program" in found.results[0].finding


@pytest.mark.parametrize("error", [MissingExtraError, LinkDownError])
def test_what_cannot_run_is_listed_and_is_no_pass(monkeypatch, error):
    def refuse(url):
        if url == "pysim://":
            raise error("no such tool")
        return open_device(url)
    monkeypatch.setattr(verification, "open_device", refuse)
    found = run(relaxing_program(), "integers", "pysim")
    assert found.results[1].agrees is None
    assert found.results[1].finding == "no such tool"
    assert found.verdict == (
        "All rungs agree that must, of 1 that were run; could not run: pysim, "
        "so that no gateware was compared.")
    assert [result.rung.name for result in found.missing] == ["pysim"]


def test_slow_devices_run_the_ends_of_a_program():
    program = unrounded(relaxing_program())
    for rung in LADDER:
        if rung.segments:
            short = verification._shortened(program, verification._ends(program, rung))
            assert short.total_steps == 2
            assert np.array_equal(short.codes, program.codes)
    longer = unrounded(longer_program())
    pysim = next(rung for rung in LADDER if rung.name == "pysim")
    short = verification._shortened(longer, verification._ends(longer, pysim))
    assert np.array_equal(short.noise_gain, longer.noise_gain[[0, 4]])


# Codes

def test_codes_that_change_the_law_cost_and_break_nothing():
    program = relaxing_program()
    off = np.zeros_like(program.local_codes)
    off[:, :, 0] = 60                   # the real node relaxes more slowly
    held = unrounded(program, 0)
    held = replace(held, unrounded={**held.unrounded, "local_codes": program.local_codes + off})
    found = run(held, "steps", "parameters", *LAWS)
    assert found.different is None
    assert [result.agrees for result in found.results[1:]] == [False, True, True, True, True]
    parameters = found.results[1]
    assert parameters.finding.startswith("laws differ in ")
    assert shift_of(parameters).spread < -0.1          # the codes hold it tighter
    assert parameters.share is not None
    assert parameters.share > 0.1


def test_codes_that_lost_nothing_add_nothing():
    found = run(unrounded(relaxing_program(), 0), "parameters").results[0]
    assert found.agrees
    assert shift_of(found).apart_sd == 0
    assert "couplings are off by 0 codes" in found.finding


def test_steps_and_parameters_meet_where_laws_are_added_up():
    rungs = [rung for rung in LADDER if rung.kind is not Kind.BITS]
    for before, after in pairwise(rungs):
        assert after.against == before.url
    assert "parameters=real" in rungs[1].url
    assert "parameters=real" not in rungs[2].url


def test_files_of_codes_alone_leave_the_rung_out():
    found = run(relaxing_program(), "steps", "parameters", "tables")
    assert [result.agrees for result in found.results] == [True, None, True]
    assert "train the model again" in found.results[1].finding
    assert [result.rung.name for result in found.missing] == ["parameters"]
    assert found.verdict.endswith("of 2 that were run; not in the file: parameters.")


def test_result_is_plain_data():
    data = json.loads(json.dumps(run(relaxing_program(), "states", "integers").to_dict()))
    assert [item["rung"]["name"] for item in data["results"]] == ["states", "integers"]
    assert data["results"][1]["exact"]["checks"][0]["field"] == "force"
    assert data["results"][0]["law"]["different"] is False
    assert data["results"][0]["shift"]["energy"] is not None


def test_kinds():
    costs = [rung.name for rung in LADDER if rung.kind is Kind.COST]
    assert costs == ["half-steps", "steps", "parameters"]
    assert [rung.name for rung in build_ladder(real=False)] == [*RUNGS]


@pytest.mark.parametrize(("options", "message"), [
    ({"rungs": ["nothing"]}, "rung must be one of half-steps, steps, .*, not 'nothing'"),
    ({"rungs": ["integers", "device"]}, "rung 'device' needs a device"),
    ({"count": 5}, "at least 32, not 5"),
    ({"rungs": [], "device": "float://"}, "bits can be the twin's, not float://"),
    ({"program": relaxing_program(initial=InitialState.KEEP)}, "not keep states"),
])
def test_arguments_are_checked(options, message):
    arguments = {"program": relaxing_program(), "count": 50, "seed": 0} | options
    with pytest.raises(ProgramError, match=message):
        verify(**arguments)
