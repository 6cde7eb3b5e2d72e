"""Statistics on the device: exact sums over the samples of a RUN, in place of the samples.

A RUN with READOUT.MEASURE draws samples and sends none. Of every THIN of them the last counts: the
list of measurements (:class:`Kind`, node) is gone through once, and each adds to its sums, which
were zero when the RUN began. Measurement k has the sums that follow those of measurement k - 1:
one, or ``2**BIN_BITS`` for a histogram.

    SUM         s += x_node                      and notes x_node
    SQUARE      s += x_node**2
    PRODUCT     s += x_node * (what the last SUM before it has noted)
    HISTOGRAM   s[top BIN_BITS bits of x_node - lo] += 1
"""

import enum
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from pendula.contract.spec import ArraySpec

__all__ = ["BIN_BITS_HI", "RUN_SAMPLES_HI", "SUMS_HI", "Kind", "Measurement", "add_sample",
           "bin_of", "default_sums", "measure", "span", "sum_bits"]

SUMS_HI = 1 << 16            # sums of a device
RUN_SAMPLES_HI = 1 << 16     # samples of one RUN that measures, so that no sum overflows
BIN_BITS_HI = 8              # 256 bins


class Kind(enum.IntEnum):
    """What a measurement adds up."""

    SUM = 0          # states
    SQUARE = 1       # squared states
    PRODUCT = 2      # states times those of the last SUM before it
    HISTOGRAM = 3    # samples, by the top bits of the state


class Measurement(NamedTuple):
    """One measurement.

    Parameters
    ----------
    kind : Kind
        What is added up.
    node : int
        Whose state.
    """

    kind: Kind
    node: int


def sum_bits(spec: ArraySpec) -> int:
    """Return the width of a sum: any of :data:`RUN_SAMPLES_HI` products of two states fits."""
    return (spec.state.interval * spec.state.interval).times(RUN_SAMPLES_HI).signed_bits


def default_sums(spec: ArraySpec) -> int:
    """Return the sums that simulators have.

    They are a power of two, with room for mean and variance of all nodes and as much again.
    """
    return min(SUMS_HI, 1 << (4 * spec.nodes - 1).bit_length())


def span(kind: Kind, bin_bits: int) -> int:
    """Return the number of sums of a measurement."""
    return 1 << bin_bits if kind is Kind.HISTOGRAM else 1


def bin_of(spec: ArraySpec, bin_bits: int, x: int) -> int:
    """Return the bin of a state: its offset from the smallest state, the top bits of it."""
    return (x - spec.state.lo) >> (spec.state_bits - bin_bits)


def add_sample(spec: ArraySpec, measurements: Iterable[Measurement], bin_bits: int,
               sums: list[int], x: Sequence[int]) -> None:
    """Add one sample to the sums. What would go beyond the last sum is lost.

    Parameters
    ----------
    measurements : iterable of Measurement
        What is measured, in order.
    bin_bits : int
        Bits of a bin's number.
    sums : list of int
        All sums of the device; changed in place.
    x : sequence of int, shape (N,)
        Final state of the sample.
    """
    base = noted = 0
    for kind, node in measurements:
        if kind is Kind.SUM:
            noted = x[node]
        place = base + (bin_of(spec, bin_bits, x[node]) if kind is Kind.HISTOGRAM else 0)
        if place < len(sums):
            sums[place] += {Kind.SUM: x[node], Kind.SQUARE: x[node] ** 2,
                            Kind.PRODUCT: x[node] * noted, Kind.HISTOGRAM: 1}[kind]
        base += span(kind, bin_bits)


def measure(spec: ArraySpec, measurements: Sequence[Measurement], bin_bits: int, thin: int,
            states: Sequence[Sequence[int]], sums: int) -> list[int]:
    """Return the sums of a RUN.

    Parameters
    ----------
    measurements, bin_bits
        As in :func:`add_sample`.
    thin : int
        Of so many samples the last counts.
    states : sequence of sequence of int, shape (n, N)
        Final states of all samples of the RUN.
    sums : int
        Sums of the device.
    """
    totals = [0] * sums
    for x in states[thin - 1::thin]:
        add_sample(spec, measurements, bin_bits, totals, x)
    return totals
