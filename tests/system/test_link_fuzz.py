"""The compiled gateware under grammar-based attack; longer runs: ``benchmarks/fuzz.py``."""

import pytest

from fuzzing import Attack, Campaign, attacked_spec
from pendula_sim.build import build_library
from pendula_sim.verilator import VerilatorEngine

BYTES = 10_000_000


@pytest.mark.verilator
@pytest.mark.slow
def test_whatever_comes_the_answers_are_those_of_the_contract_and_in_time():
    engine = VerilatorEngine(build_library(attacked_spec("quartic")))
    campaign = Campaign(engine, seed=1)
    while campaign.sent < BYTES:
        campaign.step()
    engine.close()
    assert min(campaign.attacks[attack.name] for attack in Attack) > 300
    assert campaign.answered > BYTES / 20
