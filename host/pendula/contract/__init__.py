"""The contract: formats, graph, step, noise, memories, registers and link, in one place.

Standard library only. Gateware, twin, host and documentation are built from it; nothing here
depends on them. :data:`CONTRACT_ID` names this version of it, and :data:`ARITHMETIC_ID` what of it
decides on samples.
"""

from dataclasses import asdict
from itertools import islice
from types import SimpleNamespace
from typing import Any

from pendula.contract import jitter, noise, protocol, registers, statistics, step
from pendula.contract.digest import digest
from pendula.contract.gaussian import GAUSSIAN_LAW
from pendula.contract.graph import OffsetGraph, cells, grid
from pendula.contract.memory import BUFFERS_HI, Memory, memory_layouts, memory_number
from pendula.contract.numbers import Interval, NumberFormat, Overflow
from pendula.contract.physics import FUNCTIONS, PHYSICS, Physics, get_physics
from pendula.contract.spec import ArraySpec, Term
from pendula.contract.step import InitialState
from pendula.contract.tables import build_tables

__all__ = [
    "ARITHMETIC_ID", "CONTRACT_ID", "PHYSICS", "ArraySpec", "InitialState", "Interval", "Memory",
    "NumberFormat", "OffsetGraph", "Overflow", "Physics", "Term", "build_tables", "cells",
    "describe_arithmetic", "describe_contract", "get_physics", "grid", "memory_layouts",
]


def _sample(spec: ArraySpec) -> list[int]:
    """Return a short sample and its pixels; a digest of them covers the meaning of the step."""
    basis = len(spec.physics.basis)
    program: Any = SimpleNamespace(
        spec=spec, codes=[[[3, -5]] * spec.nodes], local_codes=[[[77] * basis] * spec.nodes],
        steps=[4], coupling_gain=[spec.gain.hi], local_gains=[[spec.gain.hi // 8] * basis],
        noise_gain=[spec.gain.hi // 4], tables=build_tables(spec),
        initial=InitialState.GAUSSIAN, initial_gain=spec.gain.hi)
    run = step.run_sample(program, seed=1, index=2)
    seen = (*run.x, spec.state.lo, spec.state.hi)
    return [*run.x, run.saturations, *(step.pixel(spec, 1 << 9, 1 << 14, x) for x in seen)]


def _example(physics: Physics) -> ArraySpec:
    return ArraySpec(physics=physics, nodes=4, offsets=(-1, 2), segments=1, table_bits=3)


def _describe_layouts(physics: Physics) -> dict[str, object]:
    return {memory.name: [asdict(field) for field in layout.fields]
            for memory, layout in memory_layouts(_example(physics)).items()}


def _describe_physics(physics: Physics) -> dict[str, object]:
    spec = _example(physics)
    scales = {name: str(FUNCTIONS[name].reach) for name in (*physics.u, *physics.v, *physics.basis)
              if name in FUNCTIONS}
    gains = {term.name: term.gain_f_bits
             for term in (spec.coupling_term, *spec.local_terms, spec.noise_term)}
    return {"code": physics.code, "u": physics.u, "v": physics.v, "basis": physics.basis,
            "state": str(spec.state), "scales": scales, "gains": gains,
            "sample": _sample(spec)}


def _describe_statistics() -> dict[str, object]:
    """Describe the statistics; sums of two samples that count cover their meaning."""
    spec = ArraySpec(physics=PHYSICS["quartic"], nodes=4, offsets=(1,), segments=1)
    chosen = [statistics.Measurement(kind, node) for node in range(spec.nodes)
              for kind in statistics.Kind]
    states = [[spec.state.lo + 7 * k, spec.state.hi, k, -1] for k in range(4)]
    return {
        "kinds": {kind.name: kind.value for kind in statistics.Kind},
        "run_samples": statistics.RUN_SAMPLES_HI,
        "bin_bits": statistics.BIN_BITS_HI,
        "sums": statistics.measure(spec, chosen, 3, 2, states, 40),
    }


def describe_arithmetic() -> dict[str, object]:
    """Return, as plain data, all that decides which samples a program has."""
    return {
        "initial": {state.name: state.value for state in InitialState},
        "noise": {
            "rounds": noise.CHASKEY_ROUNDS,
            "tag": noise.SEED_TAG,
            "first_draws": [next(noise.NoiseStream(seed, 1)) for seed in (0, 1)],
            "alias": [[row.threshold, row.alias] for row in GAUSSIAN_LAW.table],
        },
        "physics": {name: _describe_physics(physics) for name, physics in PHYSICS.items()},
    }


def describe_contract() -> dict[str, object]:
    """Return, as plain data, all that two sides must agree on."""
    return {
        **describe_arithmetic(),
        "protocol": {
            "version": protocol.VERSION,
            "max_request_bytes": protocol.MAX_REQUEST_BYTES,
            "opcodes": {op.name: [op.value, protocol.ARGUMENTS[op],
                                  protocol.RESPONSE_BODY.get(op, protocol.Hello.FORMAT)]
                        for op in protocol.Opcode},
            "statuses": {status.name: status.value for status in protocol.Status},
        },
        "memories": {memory.name: memory.value for memory in Memory},
        "buffers": {memory.name: [memory_number(memory, buffer) for buffer in range(BUFFERS_HI)]
                    for memory in Memory},
        "layouts": {name: _describe_layouts(physics) for name, physics in PHYSICS.items()},
        "registers": [[r.name.name, r.name.value, r.access, r.width, r.signed, r.reset]
                      for r in registers.REGISTERS],
        "readout": {flag.name: flag.value for flag in registers.Readout},
        "jitter": {
            "commands": {command.name: command.value for command in registers.JitterCommand},
            "status": {flag.name: flag.value for flag in registers.JitterStatus},
            "raw_bits": jitter.RAW_BITS,
            "window_bits": jitter.WINDOW_BITS,
            "cutoffs": [jitter.REPETITION_CUTOFF, jitter.PROPORTION_CUTOFF],
            "seed": jitter.condition([*islice(jitter.model_bits(), 2 * jitter.BLOCK_BITS)]),
        },
        "statistics": _describe_statistics(),
    }


ARITHMETIC_ID = digest(describe_arithmetic())
CONTRACT_ID = digest(describe_contract())
