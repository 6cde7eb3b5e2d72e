"""Local rules: what they learn from a device that nobody differentiates."""

from dataclasses import replace

import numpy as np
import pytest

from altered import AlteredDevice
from pendula.contract.physics import QUARTIC
from pendula.device import AbstractDevice, open_device
from pendula.errors import DataError
from pendula.metrics import energy_distance, linear_gaussian
from pendula.program import Program
from pendula.training import get_preset
from pendula.training.assembly import make_array
from pendula.training.force_matching import feature_columns, fit_stretch, schedule
from pendula.training.local_rules import LocalRule, _Learner, train_locally
from pendula.training.quantise import round_codes

MIXTURE = get_preset("mixture-2d")
SHORT = replace(MIXTURE, segments=3, steps=4)


def run(program: Program, count: int = 1000) -> np.ndarray:
    with open_device("twin://") as device:
        device.load(program)
        return device.sample(count, seed=5, pixels=True).values / 255


def learnt(rule: LocalRule, device: AbstractDevice, preset=SHORT, seed: int = 1):
    """Return what one rule makes of the first segment, and the closed form's answer to it."""
    spec, graph = make_array(preset, (1, 2))
    states = ((2 * preset.load().train - 1) * preset.white_val).astype(np.float32)
    learner = _Learner(spec, graph, device, rule, states, np.random.default_rng(seed))
    stretch = schedule(preset)[2]
    codes = learner.learn(stretch)
    best = fit_stretch(spec, feature_columns(spec, graph), states, stretch, draws=20, ridge=1e-6,
                       rng=np.random.default_rng(seed))
    return best, codes


def test_force_matching_finds_the_least_squares_force() -> None:
    preset = replace(SHORT, code_bits=8)
    with open_device("twin://") as device:
        best, codes = learnt(LocalRule(updates=300, batch=1000), device, preset)
    spread = best.power - best.loss         # what the best force explains
    assert (best.excess(codes.coefficients) < 0.02 * spread).all()
    assert (best.excess(np.zeros_like(codes.coefficients)) > 0.9 * spread).all()


def test_cd1_finds_it_too_from_moves_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    preset = replace(SHORT, code_bits=8)
    with open_device("float://") as device:
        def no_forces(*_: object, **__: object) -> None:
            raise AssertionError("cd1 must not ask for forces")
        monkeypatch.setattr(device, "forces", no_forces)
        best, codes = learnt(LocalRule(name="cd1", updates=60, batch=50), device, preset)
    spread = best.power - best.loss
    assert (best.excess(codes.coefficients) < 0.5 * spread).all()


def test_what_is_wrong_with_a_device_is_made_up_for() -> None:
    """A device with four times the coupling gain learns codes of a quarter of the size."""
    preset, rule = replace(SHORT, code_bits=8), LocalRule(updates=200, batch=500)
    with open_device("float://") as device:
        _, blind = learnt(rule, device, preset)
        strong = AlteredDevice(device, program=lambda program: replace(
            program, coupling_gain=4 * program.coupling_gain))
        best, aware = learnt(rule, strong, preset)
    spread, couplings = best.power - best.loss, np.array([4, 4, 1, 1, 1])
    assert (best.excess(aware.coefficients * couplings) < 0.05 * spread).all()
    assert (best.excess(blind.coefficients * couplings) > 0.2 * spread).all()


def test_a_whole_program_draws_the_mixture() -> None:
    with open_device("twin://") as device:
        program = train_locally(MIXTURE, device, LocalRule(), seed=3)
    assert program.spec.physics is QUARTIC
    assert program.spec.code_bits == 4
    assert program.provenance["rule"] == "force-matching, online"
    assert program.provenance["device"] == "twin://"
    off = np.abs(program.unrounded["codes"] - program.codes)
    assert 0.25 < off.max() <= 0.501        # to the nearest code, but for float16
    images, drawn = MIXTURE.load(), run(program)
    found = energy_distance(drawn, images.held_out)
    control = energy_distance(linear_gaussian(images.train, 1000, np.random.default_rng(0)),
                              images.held_out)
    assert found.distance + 3 * found.standard_error < control.distance
    upper = int((drawn.sum(axis=1) > 1).sum())
    assert 350 < upper < 650                # both Gaussians, neither forgotten


@pytest.mark.verilator
def test_equal_arguments_give_equal_programs_on_every_exact_device() -> None:
    rule = LocalRule(updates=2, batch=3)
    digests = []
    for url in ("twin://", "twin://", "verilator://"):
        with open_device(url) as device:
            digests += [train_locally(SHORT, device, one, seed=2).digest
                        for one in (rule, replace(rule, name="cd1"))]
    assert digests[:2] == digests[2:4] == digests[4:]
    assert digests[0] != digests[1]


def test_progress_counts_the_segments() -> None:
    done = []
    with open_device("float://") as device:
        train_locally(SHORT, device, LocalRule(updates=1, batch=2), progress=done.append)
    assert done == [1] * (SHORT.segments + 1)


@pytest.mark.parametrize(("change", "text"), [
    ({"name": "cd2"}, "rule must be one of force-matching, cd1, not 'cd2'"),
    ({"updates": 0}, "updates must be positive, not 0"), ({"batch": 0}, "batch must be positive")])
def test_bad_rules_are_named(change, text) -> None:
    with pytest.raises(DataError, match=text):
        LocalRule(**change)


def test_rounding_reaches_every_coefficient() -> None:
    spec, _ = make_array(MIXTURE, (1, 2))
    coefficients = np.random.default_rng(0).normal(0, 0.02, (2, len(spec.offsets) + 3))
    found = round_codes(spec, coefficients)
    units = np.array([found.coupling_gain * spec.coupling_term.unit_val] * len(spec.offsets) + [
        gain * term.unit_val for gain, term in zip(found.local_gains, spec.local_terms)])
    assert (np.abs(found.coefficients - coefficients) <= units / 2 * (1 + 1e-9)).all()
    assert np.abs(found.codes).max() == spec.code.hi
    np.testing.assert_allclose(found.unrounded * units, coefficients)
