"""How arrays are built: from what, where multipliers and memories are not all alike; how folded
and buffered."""

from dataclasses import dataclass, replace
from typing import Any

__all__ = ["ECP5", "FABRICS", "GENERIC", "GOWIN", "ICE40", "LARGE", "LEAST_SHARED", "UNCHECKED",
           "Fabric"]


UNCHECKED: dict[str, Any] = {"no_rw_check": 1}
"""Attributes of a memory whose reader does not care what it gets from a row that is written in that
cycle; synthesis adds logic for it otherwise."""


LARGE = "large"
"""What the name of a memory in large RAM begins with."""


@dataclass(frozen=True, slots=True)
class Fabric:
    """How parts of an array are built, on a family of FPGAs. It changes no sample.

    Parameters
    ----------
    name : str
        Name of the family.
    recoded : bool
        Whether couplings are added up from recoded digits in look-up tables, so that the DSP blocks
        are left to the gains; otherwise they are plain products, added up in one cycle, which
        simulators run fastest.
    word_bits : int
        Bits of a word of what simulates: a neighbour's functions are packed into the words that
        hold their sums, and plain products are those of all at once. 0 never packs.
    multiplier_bits : int
        Bits of a signed factor of a hardware multiplier; wider products are split. 0 never splits.
    distributed_depth : int
        Rings of fewer words are kept in look-up tables rather than block RAM.
    bank_depth : int
        Memories of more rows are split into banks of this many; 0 never splits.
    large_bits : int
        Memories of more bits are kept in large RAM with one port, which begins with any contents;
        0 where there is none.
    registers : int
        Registers after a block RAM and after a product, which are slow to answer; buffers between
        parts of the link. 0 where cells are scarce, and in simulators, where nothing is slow.
    compact : bool
        Whether logic cells are scarcer than cycles: checksums and first states of noise streams
        take a cycle a bit.
    syntheses : tuple of str
        Commands of Yosys that map gateware to the family's cells, without the name of the top: the
        first that does not fail is used.
    fold : int
        Cycles that a lane takes for a node. What adds one neighbour up serves `fold` of them, one
        after another.
    buffers : int
        Programs that an array holds, 1 or 2: while it runs one, the other may be written.
    names_cells : bool
        Whether gateware names multipliers of the family, for registers that they have themselves
        and Yosys does not use. It can be synthesised then, and not be simulated before.
    """

    name: str
    recoded: bool = True
    word_bits: int = 0
    multiplier_bits: int = 0
    distributed_depth: int = 0
    bank_depth: int = 0
    large_bits: int = 0
    registers: int = 1
    compact: bool = False
    syntheses: tuple[str, ...] = ()
    fold: int = 1
    buffers: int = 1
    names_cells: bool = False

    @property
    def synthesised(self) -> "Fabric":
        """The same for what is synthesised and not simulated before."""
        return replace(self, names_cells=self.name == ECP5.name)

    def banks(self, rows: int) -> list[int]:
        """Return the rows of the banks of a memory; all but the last are alike."""
        depth = self.bank_depth or rows
        return [min(depth, rows - first) for first in range(0, rows, depth)]

    def is_large(self, bits: int) -> bool:
        """Return whether a memory is kept in large RAM; :data:`LARGE` then begins its name."""
        return 0 < self.large_bits < bits

    def ring_attributes(self, depth: int) -> dict[str, Any]:
        """Return what tells synthesis how to keep a ring of `depth` words."""
        style = {"ram_style": "distributed"} if depth < self.distributed_depth else {}
        return UNCHECKED | style


GENERIC = Fabric("generic", recoded=False, word_bits=32, registers=0)
"""Nothing is known: simulators."""

LEAST_SHARED = 8
"""Flip-flops that share an enable of an ECP5: fewer take it as logic. Those of a slice have it in
common, so that few find room near what they are wired to once a die is nearly full."""
# Flip-flops of a tile share a reset, or have none: with 4 % that have one, no tile is left for them
# near their wires. So all synchronous resets become logic.
_SHARED_CONTROLS = (
    "synth_ecp5 -run begin:map_ffs; opt_clean; "
    f"dfflegalize -mince {LEAST_SHARED} -cell $_DFF_?_ 01 -cell $_DFF_?P?_ r "
    "-cell $_DFFE_??_ 01 -cell $_DFFE_?P??_ r -cell $_DLATCH_?_ x; ")
# ABC9 of Yosys 0.70 gives up some designs without a word: ABC maps their look-up tables.
_ABC_ECP5 = (f"{_SHARED_CONTROLS}synth_ecp5 -run map_ffs:map_luts; "
             "techmap -map +/lattice/latches_map.v; abc -dress -lut 4; clean; "
             "synth_ecp5 -run map_cells:")
ECP5 = Fabric("ecp5", multiplier_bits=18, distributed_depth=64, bank_depth=2048,
              syntheses=(f"{_SHARED_CONTROLS}synth_ecp5 -abc9 -run map_ffs:", _ABC_ECP5))

# Yosys 0.70 packs a register between two multipliers into both, and drops copies of the sign bit of
# a registered product: both leave wires without a driver. It packs no register behind a kept wire.
_KEEP_PRODUCTS = "proc; setattr -set keep 1 t:$mul %co1:+[Y] w:* %i; "
# Amaranth's ports answer with the old word where one is read as it is written, and block RAM does
# not. No memory here is read so, or what is read then is not used; Yosys does not see that in the
# attribute once a port has a clock of its own.
_IGNORE_COLLISIONS = "setparam -set COLLISION_X_MASK 1'1 t:$memrd_v2 r:CLK_ENABLE=1 %i; "
# Large RAM has no initial contents, and Amaranth gives zeros to every memory.
_FORGET_CONTENTS = f"delete t:$meminit_v2 r:MEMID=\\\\{LARGE}_* %i; "
_PREPARE_ICE40 = f"{_IGNORE_COLLISIONS}{_FORGET_CONTENTS}{_KEEP_PRODUCTS}"
ICE40 = Fabric("ice40", multiplier_bits=16, large_bits=16_000, registers=0, compact=True,
               syntheses=(f"{_PREPARE_ICE40}synth_ice40 -dsp -spram -abc9 -device u",))

GOWIN = Fabric("gowin", multiplier_bits=18, distributed_depth=64, bank_depth=2048, registers=0,
               compact=True, syntheses=("synth_gowin -family gw1n",))

FABRICS = {fabric.name: fabric for fabric in (GENERIC, ECP5, ICE40, GOWIN)}
"""All fabrics by name."""
