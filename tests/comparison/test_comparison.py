import json
import sys
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest

import pendula
from altered import AlteredDevice
from pendula import comparison
from pendula.comparison import compare, lattice_val
from pendula.contract import CONTRACT_ID, PHYSICS, ArraySpec, InitialState
from pendula.device import Batch, SampleRequest, open_device
from pendula.errors import MissingExtraError, ProgramError, UrlError
from pendula.metrics import TwoSample
from pendula.program import random_program
from relaxing import relaxing_program


def make_program(physics="quartic", nodes=12, **options):
    spec = ArraySpec(physics=PHYSICS[physics], nodes=nodes, offsets=(-3, -1, 1, 3))
    return random_program(spec, np.random.default_rng(5), segments=2, steps=5, **options)


def test_package_offers_it():
    assert pendula.compare is compare


def test_exact_devices_are_compared_exactly():
    program = make_program()
    result = compare(program, "twin://", "twin://", count=10, seed=3)
    assert (result.mode, result.equal, result.count, result.nodes) == ("exact", True, 10, 12)
    assert result.verdict == ("twin:// and twin:// are equal: every bit of 10 samples x 12 nodes "
                              "agrees.")
    assert (result.program_digest, result.spec_digest, result.contract_id) == (
        program.digest, program.spec.digest, CONTRACT_ID)
    assert result.device.seed == result.against.seed == 3
    assert result.device.times["run"] > 0
    assert result.device.states_val.shape == (10, 12)


@pytest.mark.parametrize("physics", list(PHYSICS))
def test_twin_and_float_have_one_law(physics):
    result = compare(relaxing_program(physics), "twin://", "float://", count=300, seed=4)
    assert result.mode == "statistical"
    assert result.equal, result.verdict
    assert (result.device.seed, result.against.seed) == (4, 5)
    assert isinstance(result.outcome, TwoSample)
    assert len(result.outcome.feature_nodes) == (24 if physics == "kuramoto" else 12)
    assert "do not differ (alpha = 0.01): a shift of one node's mean by 0." in result.verdict


@pytest.mark.parametrize("physics", list(PHYSICS))
def test_changed_program_is_another_law(physics):
    program = relaxing_program(physics)
    with open_device("twin://") as twin:
        altered = AlteredDevice(twin, program=lambda _: relaxing_program(physics, noise_val=0.2))
        result = compare(program, altered, "float://", count=300, seed=4)
    assert not result.equal
    assert result.verdict.startswith("altered+twin:// and float:// differ in ")
    assert result.verdict.endswith(" (alpha = 0.01).")


def test_statistical_mode_draws_independent_samples_from_equal_devices():
    result = compare(make_program(), "twin://", "twin://", count=100, seed=(1 << 64) - 1,
                     mode="statistical")
    assert (result.device.seed, result.against.seed) == ((1 << 64) - 1, 0)
    assert not np.array_equal(result.device.states_val, result.against.states_val)
    assert isinstance(result.outcome, TwoSample)
    assert result.outcome.ks.distance.min() > 0
    assert result.equal


def test_chain_is_compared_by_its_effective_size():
    one_step = np.array([1, 1])
    program = replace(relaxing_program(initial=InitialState.KEEP), steps=one_step)
    result = compare(program, "twin://", "float://", count=800, seed=4)
    assert result.equal, result.verdict
    assert isinstance(result.outcome, TwoSample)
    assert result.outcome.ess_a.max() < 700


def test_progress_counts_every_sample_once_a_device():
    for against in ("twin://", "float://"):
        steps = []
        compare(make_program(), "twin://", against, count=40, seed=3, progress=steps.append)
        assert sum(steps) == 80


def test_dict_is_json_without_samples():
    program = make_program()
    for against in ("twin://", "float://"):
        result = compare(program, "twin://", against, count=40, seed=3)
        plain = json.loads(json.dumps(result.to_dict(), allow_nan=False))
        assert plain["mode"] == result.mode
        assert plain["equal"] is True
        assert plain["verdict"] == result.verdict
        assert plain["device"]["url"] == "twin://"
        assert "states_val" not in plain["device"]
    assert len(plain["outcome"]["ks"]["p_holm"]) == 12
    assert plain["outcome"]["families"][0]["name"] == "distribution functions"


@pytest.mark.parametrize("count", [5, 0])
def test_urls_are_closed_and_open_devices_are_left_open(monkeypatch, count):
    closed = []

    def opened(url):
        device = open_device(url)
        device.close = lambda: closed.append(device)
        return device
    monkeypatch.setattr(comparison, "open_device", opened)
    with open_device("twin://") as twin:
        twin.close = lambda: closed.append(twin)
        with suppress(ProgramError):
            compare(make_program(), twin, "twin://", count=count, seed=3)
        assert len(closed) == 1
        assert twin not in closed


def test_large_arrays_compare_the_covariances_of_coupled_nodes():
    program = make_program(nodes=140)
    result = compare(program, "twin://", "twin://", count=40, seed=3, mode="statistical")
    assert isinstance(result.outcome, TwoSample)
    gaps = {int(j - i) for i, j in result.outcome.covariances.pairs}
    assert gaps == {0, 1, 3}
    variances = [pair for pair in result.outcome.covariances.pairs if pair[0] == pair[1]]
    assert len(variances) == 140


@pytest.mark.parametrize(("arguments", "message"), [
    ({"mode": "exact"}, "mode must be statistical for float://"),
    ({"mode": "both"}, "mode must be one of auto, exact, statistical, not 'both'"),
    ({"count": 31}, "Number of samples must be at least 32 for a statistical comparison, not 31"),
    ({"count": 0}, "at least 32"),
])
def test_bad_arguments_are_refused(arguments, message):
    with pytest.raises(ProgramError, match=message):
        compare(make_program(), "twin://", "float://", **{"count": 50, "seed": 1, **arguments})


def test_scipy_is_needed_for_statistics_alone(monkeypatch):
    for name in [name for name in sys.modules if name.partition(".")[0] == "scipy"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "scipy", None)
    assert compare(make_program(), "twin://", "twin://", count=5, seed=1).equal
    steps = []
    with pytest.raises(MissingExtraError, match="scipy must be installed"):
        compare(make_program(), "twin://", "float://", count=50, seed=1, progress=steps.append)
    assert steps == []


def test_unknown_url_is_refused():
    with pytest.raises(UrlError, match="nowhere://"):
        compare(make_program(), "twin://", "nowhere://", count=50, seed=1)


def batch_of(values):
    return Batch(values=np.array(values), request=SampleRequest(count=len(values), seed=0))


def test_real_states_are_rounded_to_the_lattice():
    program = make_program("quartic")
    unit = 2.0 ** -program.spec.state.f_bits
    values = lattice_val(program, batch_of([[0.4 * unit, 0.5 * unit, -0.5 * unit, 1e9, -1e9]]))
    state = program.spec.state
    assert (values / unit).tolist() == [[0, 1, 0, state.hi, state.lo]]


def test_real_phases_wrap_on_the_lattice():
    program = make_program("kuramoto")
    unit = 2.0 ** -program.spec.state.f_bits
    values = lattice_val(program, batch_of([[1 - 0.4 * unit, -1.0, 1 - 0.6 * unit, 2.5]]))
    assert values[0].tolist() == [-1, -1, 1 - unit, 0.5]


def test_raw_states_are_scaled():
    program = make_program("quartic")
    assert lattice_val(program, batch_of([[1 << program.spec.state.f_bits]])).tolist() == [[1.0]]
