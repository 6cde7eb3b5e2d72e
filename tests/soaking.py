"""Random arrays and programs, on the compiled gateware and on the twin."""

from typing import Any

import numpy as np

import pendula
from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.contract.memory import BUFFERS_HI
from pendula.errors import ContractError
from pendula.program import random_program
from pendula_sim.design import Options, design_id

__all__ = ["soak"]

NODES_HI = 256
DEGREE_HI = 12
LANES_HI = 4
FOLD_HI = 4
STEPS_HI = 256
PROGRAMS = 4
SAMPLES_HI = 20_000         # of a program: beyond, the time goes to the host
CHAIN_HI = 100              # of a chain, whose samples the twin draws one by one
PIPELINE_CYCLES = 64        # a pass over few nodes takes about as long
FABRICS = ("generic", "ecp5", "ice40")


def log_uniform(rng: np.random.Generator, lo: int, hi: int) -> int:
    """Draw an integer within lo..hi, small ones as often as large ones."""
    return int(np.exp(rng.uniform(np.log(lo), np.log(hi + 1))))


def random_spec(rng: np.random.Generator) -> ArraySpec:
    """Draw an array; formats that the contract refuses are drawn again."""
    while True:
        nodes = log_uniform(rng, 2, NODES_HI)
        offsets = rng.choice([k for k in range(1 - nodes, nodes) if k],
                             int(rng.integers(1, min(DEGREE_HI, 2 * nodes - 2) + 1)),
                             replace=False)
        try:
            return ArraySpec(
                physics=PHYSICS[str(rng.choice([*PHYSICS]))], nodes=nodes,
                offsets=tuple(sorted(map(int, offsets))), segments=int(rng.integers(1, 5)),
                state_bits=int(rng.integers(10, 23)), edge_bits=int(rng.integers(3, 11)),
                code_bits=int(rng.integers(2, 7)), local_code_bits=int(rng.integers(2, 9)),
                basis_bits=int(rng.integers(6, 18)), gain_bits=int(rng.integers(6, 18)),
                table_bits=int(rng.integers(3, 9)))
        except ContractError:
            continue


def soak(number: int, cycles: int) -> dict[str, Any]:
    """Compare one array for about so many cycles of its gateware, and return what was compared.

    Raises
    ------
    AssertionError
        If a bit differs.
    """
    rng = np.random.default_rng([6, number])
    spec = random_spec(rng)
    fold = int(rng.integers(1, min(FOLD_HI, len(spec.offsets)) + 1))
    lanes = int(rng.integers(1, LANES_HI + 1))
    options = Options(lanes=lanes, fold=fold, fabric=FABRICS[int(rng.integers(len(FABRICS)))],
                      buffers=int(np.random.default_rng([7, number]).integers(1, BUFFERS_HI + 1)))
    url = (f"verilator://?lanes={lanes}&fold={fold}&fabric={options.fabric}"
           f"&buffers={options.buffers}")
    done = samples = saturations = 0
    with pendula.open(url) as device, pendula.open("twin://") as twin:
        for k in range(PROGRAMS):
            program = random_program(
                spec, rng, segments=int(rng.integers(1, spec.segments + 1)),
                steps=log_uniform(rng, 1, STEPS_HI), noisy=k > 0,
                initial=InitialState(int(rng.choice([*InitialState]))))
            job_cycles = fold * max(spec.nodes, PIPELINE_CYCLES) * program.total_steps
            most = CHAIN_HI if program.initial is InitialState.KEEP else SAMPLES_HI
            count = min(max(2, lanes * cycles // (PROGRAMS * job_cycles)), most)
            states = rng.integers(spec.state.lo, spec.state.hi + 1, (2, spec.nodes))
            seed, held = int(rng.integers(1 << 63)), rng.random(spec.nodes) < 0.2
            found = []
            for one in (device, twin):
                one.load(program)
                one.set_nodes(states[0], held)
                forces = one.forces(states, segment=program.segments - 1)
                batch = one.sample(count, seed=seed, hidden=True)
                moments = one.moments(9, seed=seed, thin=2, first=count)
                found.append((forces.tolist(), batch.values.tobytes(), batch.saturations,
                              moments.totals.tolist(), moments.squares.tolist()))
            assert found[0] == found[1], f"round {number}, program {k}, {url}, {spec}"
            done += count * spec.nodes * program.total_steps
            samples += count
            saturations += found[0][2]
    return {"design": design_id(spec, options)[:16], "url": url, "physics": spec.physics.name,
            "nodes": spec.nodes, "degree": len(spec.offsets), "updates": done, "samples": samples,
            "saturations": saturations}
