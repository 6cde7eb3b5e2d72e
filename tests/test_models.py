"""The shipped models load by name and run as they were trained."""

import numpy as np
import pytest

from pendula import modelfile
from pendula.contract.digest import canonical_json
from pendula.device import open_device
from pendula.training.catalogue import find_preset

NAMES = ["ais-digits", "ais-fashion28", "ais-mnist01-12", "ais-mnist28", "digits", "mnist01-12",
         "whitelam-3"]


def test_names():
    assert sorted(modelfile.shipped_models()) == NAMES


@pytest.mark.parametrize("name", NAMES)
def test_model_runs(name):
    program = modelfile.load(name)
    assert program.spec.code_bits == 4
    with open_device("twin://") as device:
        device.load(program)
        batch = device.sample(64, seed=1, pixels=True)
    assert batch.values.shape == (64, int(program.visible.sum()))
    assert batch.values.std(axis=0).max() > 64      # images, not a constant


@pytest.mark.parametrize("name", NAMES)
def test_model_holds_what_its_codes_were_rounded_from(name):
    program = modelfile.load(name)
    edges = np.array(program.graph.mask)
    held, codes = program.unrounded["codes"][:, edges], program.codes[:, edges]
    inside = (held != 0) & (np.abs(held) < 7)
    off = (held - codes)[inside]
    assert 0.25 < np.sqrt((off ** 2).mean()) < 0.45     # plain rounding: 0.29
    assert np.abs(program.unrounded["noise_gain"] - program.noise_gain).max() <= 0.5


@pytest.mark.parametrize("name", NAMES)
def test_model_is_what_its_preset_trains(name):
    learned, preset = modelfile.load(name).provenance["preset"], find_preset(name)
    assert canonical_json({field: getattr(preset, field) for field in learned}) == \
        canonical_json(learned)
