"""The smallest sensible array, for tests that synthesise."""

from pendula.contract.physics import ISING
from pendula.contract.spec import ArraySpec

__all__ = ["SMALL"]

SMALL = ArraySpec(physics=ISING, nodes=16, offsets=(-1, 1), segments=2, state_bits=12, edge_bits=4,
                  basis_bits=8, gain_bits=8, table_bits=6, local_code_bits=4)
