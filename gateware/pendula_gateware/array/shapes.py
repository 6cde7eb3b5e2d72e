"""Shapes of what moves through the array."""

from amaranth import *
from amaranth.lib import data

from pendula.contract.memory import Memory, memory_layouts
from pendula.contract.numbers import Interval
from pendula.contract.spec import ArraySpec
from pendula_gateware.fabric import Fabric
from pendula_gateware.interfaces import row_shape

__all__ = ["accumulator_shape", "codes_shape", "edge_shape", "interval_shape", "memory_shape",
           "neighbours_shape", "own_shape", "packs_edges", "phase_shape", "result_shape",
           "shared_shape", "state_shape", "token_shape", "update_shape", "weights_shape"]


def interval_shape(interval: Interval) -> Shape:
    """Return the narrowest signed shape that holds an interval."""
    return signed(interval.signed_bits)


def accumulator_shape(spec: ArraySpec, name: str) -> Shape:
    """Return the shape of one of the spec's accumulators."""
    return interval_shape(spec.accumulators[name])


def state_shape(spec: ArraySpec) -> Shape:
    """Return the shape of x."""
    return signed(spec.state_bits)


def memory_shape(spec: ArraySpec, number: Memory) -> data.StructLayout:
    """Return the shape of a row of a memory."""
    return row_shape(memory_layouts(spec)[number])


def token_shape(spec: ArraySpec) -> data.StructLayout:
    """Return what the sequencer sends a cycle: which node to update, and how.

    Fields: `valid`; `initial` for the pass that sets the initial state; `force` for a pass that
    evaluates and keeps the state; `final` for the pass whose results are read out; `node`;
    `segment`; `row` of the parameter memory.
    """
    layouts = memory_layouts(spec)
    return data.StructLayout({
        "valid": 1, "initial": 1, "force": 1, "final": 1,
        "node": range(spec.nodes), "segment": range(spec.segments),
        "row": range(layouts[Memory.PARAMETER].rows),
    })


def phase_shape(fold: int) -> Shape:
    """Return the shape of a cycle of a node; never of zero bits, which Verilog cannot say."""
    return Shape.cast(range(max(2, fold)))


def own_shape(spec: ArraySpec) -> data.StructLayout:
    """Return what a lane knows of a node itself: its state and its row of the table."""
    return data.StructLayout({"x": state_shape(spec), "row": memory_shape(spec, Memory.TABLE)})


def edge_shape(spec: ArraySpec) -> data.ArrayLayout:
    """Return the shape of the functions u or v of a node."""
    return data.ArrayLayout(signed(spec.edge_bits), spec.physics.rank)


def packs_edges(spec: ArraySpec, fabric: Fabric) -> bool:
    """Return whether the functions v of a neighbour are one number, packed with room for sums."""
    return fabric.word_bits > 0 and not fabric.recoded and spec.physics.rank > 1


def neighbours_shape(spec: ArraySpec, fabric: Fabric) -> data.ArrayLayout:
    """Return the shape of the functions v of the neighbours of a node.

    A packed number is as wide as makes its product with a code fill words.
    """
    if not packs_edges(spec, fabric):
        return data.ArrayLayout(edge_shape(spec), len(spec.offsets))
    partial = accumulator_shape(spec, "partial").width
    highest = max(partial, spec.edge_bits + spec.code_bits)     # of the sum, or of one product
    words = -(-(partial * (spec.physics.rank - 1) + highest) // fabric.word_bits)
    return data.ArrayLayout(signed(words * fabric.word_bits - spec.code_bits), len(spec.offsets))


def weights_shape(spec: ArraySpec) -> data.ArrayLayout:
    """Return the shape of the local codes of a node, each times the gain of its term."""
    return data.ArrayLayout(interval_shape(spec.gain * spec.local_code), len(spec.physics.basis))


def codes_shape(spec: ArraySpec) -> data.ArrayLayout:
    """Return the shape of the coupling codes of a node."""
    return data.ArrayLayout(signed(spec.code_bits), len(spec.offsets))


def shared_shape(spec: ArraySpec) -> data.StructLayout:
    """Return what the drift of a node needs beside the codes; `valid` where there is a token."""
    return data.StructLayout({
        "valid": 1, "weights": weights_shape(spec), "coupling_gain": signed(spec.gain_bits)})


def update_shape(spec: ArraySpec) -> data.StructLayout:
    """Return what the end of a step needs: token, noise gain and node row."""
    return data.StructLayout({
        "token": token_shape(spec), "noise_gain": signed(spec.gain_bits),
        "node": memory_shape(spec, Memory.NODE),
    })


def result_shape(spec: ArraySpec) -> data.StructLayout:
    """Return what leaves a lane a cycle: a node's new state and the force that acted on it."""
    return data.StructLayout({
        "token": token_shape(spec), "visible": 1, "saturated": 1,
        "x": state_shape(spec), "force": accumulator_shape(spec, "drift"),
    })
