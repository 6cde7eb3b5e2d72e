"""Random array specs, programs and states for property tests."""

import numpy as np
from hypothesis import assume
from hypothesis import strategies as st

from pendula.contract import PHYSICS, ArraySpec, InitialState
from pendula.errors import ContractError
from pendula.program import Program, random_program

__all__ = ["offset_lists", "programs", "specs", "states"]


@st.composite
def offset_lists(draw: st.DrawFn, nodes: int) -> tuple[int, ...]:
    """Draw the offsets of a graph of `nodes` nodes."""
    offsets = st.integers(1 - nodes, nodes - 1).filter(bool)
    return tuple(sorted(draw(st.sets(offsets, min_size=1, max_size=6))))


@st.composite
def specs(draw: st.DrawFn, physics: str | None = None, nodes_hi: int = 9) -> ArraySpec:
    """Draw an array spec with formats of any width that the proofs allow."""
    nodes = draw(st.integers(2, nodes_hi))
    state_bits = draw(st.integers(8, 24))
    try:
        return ArraySpec(
            physics=PHYSICS[physics or draw(st.sampled_from(list(PHYSICS)))],
            nodes=nodes, offsets=draw(offset_lists(nodes)), segments=draw(st.integers(1, 4)),
            state_bits=state_bits, edge_bits=draw(st.integers(2, 12)),
            code_bits=draw(st.integers(2, 8)), local_code_bits=draw(st.integers(2, 8)),
            basis_bits=draw(st.integers(4, 18)), gain_bits=draw(st.integers(4, 18)),
            table_bits=draw(st.integers(3, min(7, state_bits))))
    except ContractError:       # some accumulator would need more than 62 bits
        assume(False)
        raise


@st.composite
def programs(draw: st.DrawFn, physics: str | None = None, nodes_hi: int = 9,
             initial: InitialState | None = None) -> Program:
    """Draw a random program of up to three steps in each segment."""
    spec = draw(specs(physics, nodes_hi))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    return random_program(
        spec, rng, segments=draw(st.integers(1, spec.segments)), steps=draw(st.integers(1, 3)),
        initial=draw(st.sampled_from(InitialState)) if initial is None else initial,
        noisy=draw(st.booleans()))


def states(spec: ArraySpec) -> st.SearchStrategy[list[int]]:
    """Raw states of all nodes, extremes included."""
    return st.lists(st.integers(spec.state.lo, spec.state.hi), min_size=spec.nodes,
                    max_size=spec.nodes)
