"""The sparse version of Whitelam's system as a preset: graph, learning, program."""

from dataclasses import replace

import numpy as np
import pytest

from pendula.contract import InitialState
from pendula.training import thermal_training
from pendula.training.catalogue import find_preset
from pendula.training.thermal_presets import THERMAL_PRESETS
from pendula.training.thermal_training import learn_thermal, thermal_graph, train_thermal

SMALL = replace(THERMAL_PRESETS["whitelam-3"], side=8, links=12, reach=2, cycles=2, digits=2,
                steps=50)


@pytest.fixture(autouse=True)
def _patterns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give two patterns of 8x8 pixels in place of MNIST's."""
    images = np.random.default_rng(0).choice([-1.0, 1.0], (2, 64))
    monkeypatch.setattr(thermal_training, "first_patterns", lambda *_: images)


def test_the_graph_has_as_many_links_as_asked_for() -> None:
    graph = thermal_graph(THERMAL_PRESETS["whitelam-3"])
    assert (graph.nodes, len(graph.offsets)) == (1568, 120)
    assert sorted(-offset for offset in graph.offsets) == list(graph.offsets)
    across = sum(offset % 2 for offset in graph.offsets) / 120
    assert across == 0.75


def test_a_program_comes_of_it() -> None:
    losses: list[float] = []
    program = train_thermal(SMALL, seed=3, progress=losses.append)
    assert len(losses) == 4
    assert program.initial is InitialState.ZERO
    assert program.steps.tolist() == [50, 50]
    assert not program.codes[0].any()
    assert np.abs(program.codes[1]).max() == 7
    assert program.visible.sum() == 64
    assert program.image_shape == (8, 8)
    assert program.provenance["preset"]["links"] == 12
    assert program.digest == train_thermal(SMALL, seed=3).digest
    assert program.digest != train_thermal(SMALL, seed=4).digest


def test_no_bond_joins_visible_nodes() -> None:
    bonds = learn_thermal(SMALL, None, 0).bonds
    assert not bonds[::2, ::2].any()
    assert bonds[::2, 1::2].any()
    assert bonds[1::2, 1::2].any()


def test_presets_are_found_by_name() -> None:
    assert find_preset("whitelam-3") is THERMAL_PRESETS["whitelam-3"]
