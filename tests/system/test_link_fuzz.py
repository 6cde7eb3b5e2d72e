"""The compiled gateware under attack, by grammar and guided; longer: ``benchmarks/fuzz.py``."""

import pytest

from fuzzing import Attack, Campaign, attacked_spec
from guided import GuidedCampaign
from pendula.contract import PHYSICS
from pendula_sim.build import build_library
from pendula_sim.coverage import CoverageEngine
from pendula_sim.verilator import VerilatorEngine

BYTES = 9_500_000          # by grammar, over all physics
GUIDED_BYTES = 500_000


@pytest.mark.verilator
@pytest.mark.slow
@pytest.mark.parametrize(("seed", "physics"), [*enumerate(PHYSICS)])
def test_whatever_comes_the_answers_are_those_of_the_contract_and_in_time(seed, physics):
    engine = VerilatorEngine(build_library(attacked_spec(physics)))
    campaign = Campaign(engine, seed, physics)
    while campaign.sent < BYTES / len(PHYSICS):
        campaign.step()
    engine.close()
    assert min(campaign.attacks[attack.name] for attack in Attack) > 100
    assert campaign.answered > campaign.sent / 20


@pytest.mark.verilator
def test_attacks_that_coverage_guides_find_nothing_either():
    engine = CoverageEngine(attacked_spec("quartic"))
    branches = engine.branches()
    assert len({*branches}) == len(engine.counts)
    campaign = GuidedCampaign(engine, seed=1)
    before = int(campaign.reached.sum())
    while campaign.sent < GUIDED_BYTES:
        campaign.step()
    assert before < campaign.reached.sum() < len(branches)
    missed = {branch.kind for branch, taken in zip(branches, campaign.reached, strict=True)
              if not taken and branch.component == "top.flat.inner.deframer.decoder"}
    assert missed == {"if"}     # those that Yosys writes and nothing can take
    assert len(campaign.corpus) > 50
    engine.close()
