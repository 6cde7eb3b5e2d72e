"""Small arrays that several tests simulate, so that each is compiled once."""

from pendula.contract import ArraySpec, get_physics

__all__ = ["ARRAYS"]

ARRAYS = {
    "kuramoto": ArraySpec(physics=get_physics("kuramoto"), nodes=8, offsets=(-3, -1, 2),
                          segments=2, table_bits=4),
    "quartic": ArraySpec(physics=get_physics("quartic"), nodes=9, offsets=(-2, -1, 1, 2),
                         segments=2, table_bits=5),
    "ising": ArraySpec(physics=get_physics("ising"), nodes=7, offsets=(-6, 1), segments=2,
                       table_bits=4),
    "narrow": ArraySpec(physics=get_physics("ising"), nodes=2, offsets=(1,), segments=1,
                        state_bits=8, edge_bits=2, code_bits=2, local_code_bits=2, basis_bits=4,
                        gain_bits=4, table_bits=3),
    "wide": ArraySpec(physics=get_physics("kuramoto"), nodes=5, offsets=(-4, -3, -2, -1, 1, 3, 4),
                      segments=3, state_bits=24, edge_bits=10, code_bits=8, local_code_bits=8,
                      basis_bits=12, gain_bits=10, table_bits=6),
}
