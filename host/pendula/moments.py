"""Moments of samples: exact sums, and what follows from them."""

import operator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from pendula.contract.numbers import Interval
from pendula.contract.spec import ArraySpec
from pendula.contract.statistics import (
    BIN_BITS_HI,
    RUN_SAMPLES_HI,
    Kind,
    Measurement,
    bin_of,
    span,
)
from pendula.contract.step import ALL_STEPS
from pendula.errors import ProgramError
from pendula.program import IntArray, check_array

__all__ = ["INDICES", "Moments", "MomentsRequest", "Plan", "Tally", "plan_measurements"]

INDICES = Interval(0, (1 << 32) - 1)
"""Sample indices."""

RealArray = npt.NDArray[np.float64]


def _check_nodes(name: str, value: npt.ArrayLike, columns: tuple[int, ...],
                 spec: ArraySpec) -> IntArray:
    """Return node numbers as an array of shape (n, *columns); no row comes twice."""
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ProgramError(f"{name} must not hold rows of different lengths") from error
    if array.dtype == bool:
        raise ProgramError(f"{name} must hold numbers of nodes, not truth values")
    array = array if array.size else np.zeros((0, *columns), np.int64)
    rows = check_array(name, array, (len(array) if array.ndim else 0, *columns),
                       Interval(0, spec.nodes - 1))
    found, counts = np.unique(rows, axis=0, return_counts=True)
    if len(found) < len(rows):
        raise ProgramError(f"{name} must not hold {found[counts.argmax()].tolist()} twice")
    return rows


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class MomentsRequest:
    """What to measure.

    Parameters
    ----------
    spec : ArraySpec
        Array that is measured.
    count : int
        Samples n that count.
    seed : int
        64-bit seed; sample i depends on (program, seed, i) alone.
    nodes : array of int, shape (V,)
        Nodes to measure, each once. The ends of edges that are missing are added at the end.
    first : int
        Index of the first sample.
    edges : array of int, shape (E, 2)
        Pairs of different nodes to correlate, each once.
    histograms : array of int, shape (H,)
        Nodes whose histograms to count, each once.
    bins : int
        Bins of a histogram, a power of two; each is as wide as the others, and together they cover
        all states.
    thin : int
        Samples that are drawn for each that counts, which is the last of them: samples
        ``first + thin - 1``, ``first + 2 * thin - 1`` and so on.
    stop_step : int
        Steps after which a sample stops; ALL_STEPS runs the whole program.

    Raises
    ------
    ProgramError
        If a number is out of range, or so many samples that a sum might not fit 64 bits.
    """

    spec: ArraySpec
    count: int
    seed: int
    nodes: Any
    first: int = 0
    edges: Any = ()
    histograms: Any = ()
    bins: int = 16
    thin: int = 1
    stop_step: int = ALL_STEPS

    def __post_init__(self) -> None:
        limits = {
            "count": Interval(1, ((1 << 63) - 1) // self.spec.state.lo**2),
            "seed": Interval(0, (1 << 64) - 1),
            "thin": Interval(1, RUN_SAMPLES_HI),
            "stop_step": Interval(0, ALL_STEPS),
        }
        for name, within in limits.items():
            if not within.lo <= getattr(self, name) <= within.hi:
                raise ProgramError(f"{name} must be within {within.lo}..{within.hi}, "
                                   f"not {getattr(self, name)}")
        if self.first < 0 or self.first + self.drawn - 1 > INDICES.hi:
            raise ProgramError(f"Sample indices must be within 0..{INDICES.hi}, "
                               f"not {self.first}..{self.first + self.drawn - 1}")
        if self.bins not in {1 << bits for bits in range(1, BIN_BITS_HI + 1)}:
            raise ProgramError(f"bins must be a power of two within 2..{1 << BIN_BITS_HI}, "
                               f"not {self.bins}")
        edges = _check_nodes("edges", self.edges, (2,), self.spec)
        loops = edges[edges[:, 0] == edges[:, 1]]
        if len(loops):
            raise ProgramError(f"Edge must join two different nodes, not {loops[0].tolist()}")
        nodes = _check_nodes("nodes", self.nodes, (), self.spec)
        ends = np.setdiff1d(edges, nodes)
        histograms = _check_nodes("histograms", self.histograms, (), self.spec)
        for name, array in (("edges", edges), ("nodes", np.concatenate([nodes, ends])),
                            ("histograms", histograms)):
            object.__setattr__(self, name, array)

    @property
    def drawn(self) -> int:
        """Samples that are drawn."""
        return self.count * self.thin

    @property
    def bin_bits(self) -> int:
        """Bits of a bin's number."""
        return self.bins.bit_length() - 1

    @property
    def ends(self) -> IntArray:
        """Places of the ends of all edges in `nodes`, shape (E, 2)."""
        order = np.argsort(self.nodes)
        return order[np.searchsorted(self.nodes, self.edges, sorter=order)]


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Moments:
    """Sums over samples, and the moments that follow from them.

    Sums are int64 and exact, equal on every exact device; float64 from ``float://``. States count
    in raw units, whatever the device; properties that end in `_val` are in units of x. Variances
    and covariances are divided by n.

    Parameters
    ----------
    request : MomentsRequest
        What was asked for, with n, V nodes, E edges, and H histograms.
    totals : array, shape (V,)
        Sums of the states of each node.
    squares : array, shape (V,)
        Sums of the squared states.
    products : array, shape (E,)
        Sums of the products of both states of each edge.
    counts : array of int64, shape (H, bins)
        Histograms.
    saturations : int
        Clipped node updates, of samples that do not count too.
    cycles : int or None
        Clock cycles, where there is a clock.
    """

    request: MomentsRequest
    totals: npt.NDArray[Any]
    squares: npt.NDArray[Any]
    products: npt.NDArray[Any]
    counts: IntArray
    saturations: int = 0
    cycles: int | None = None

    @property
    def unit_val(self) -> float:
        """Value of x that a raw unit stands for."""
        return 2.0**-self.request.spec.state.f_bits

    @property
    def mean_val(self) -> RealArray:
        """Mean of each node, shape (V,)."""
        return self.mean_raw * self.unit_val

    @property
    def mean_raw(self) -> RealArray:
        """Mean of each node in raw units, shape (V,)."""
        return self.totals / self.request.count

    @property
    def variance_val(self) -> RealArray:
        """Variance of each node, shape (V,)."""
        return self.variance_raw * self.unit_val**2

    @property
    def variance_raw(self) -> RealArray:
        """Variance of each node in squared raw units, shape (V,)."""
        return self._central(self.squares, self.totals, self.totals)

    @property
    def covariance_val(self) -> RealArray:
        """Covariance of each edge, shape (E,)."""
        return self.covariance_raw * self.unit_val**2

    @property
    def covariance_raw(self) -> RealArray:
        """Covariance of each edge in squared raw units, shape (E,)."""
        first, second = self.totals[self.request.ends].T
        return self._central(self.products, first, second)

    @property
    def correlation(self) -> RealArray:
        """Correlation of each edge, shape (E,); not a number where an end never changes."""
        variances = self.variance_raw[self.request.ends]
        with np.errstate(invalid="ignore"):
            return self.covariance_raw / np.sqrt(variances.prod(axis=1))

    @property
    def bin_edges_val(self) -> RealArray:
        """Values of x between which the bins lie, shape (bins + 1,)."""
        state = self.request.spec.state
        return np.linspace(state.lo, state.hi + 1, self.request.bins + 1) * self.unit_val

    def _central(self, products: npt.NDArray[Any], first: npt.NDArray[Any],
                 second: npt.NDArray[Any]) -> RealArray:
        """Return mean products about the means; one rounding, since large integers are exact."""
        count = self.request.count
        exact = products.astype(object) * count - first.astype(object) * second.astype(object)
        return np.array(exact / count**2, np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class Plan:
    """The list of measurements that a request needs, and where the sums stand.

    Parameters
    ----------
    measurements : list of Measurement
        In order.
    sums : int
        Number of their sums.
    places : dict of str to array of int
        Places of the sums of each array of :class:`Moments`, by its name.
    """

    measurements: list[Measurement]
    sums: int
    places: dict[str, IntArray]

    def moments(self, request: MomentsRequest, sums: IntArray, saturations: int,
                cycles: int | None) -> Moments:
        """Return the moments that the sums stand for."""
        return Moments(request=request, saturations=saturations, cycles=cycles,
                       **{name: sums[places] for name, places in self.places.items()})


def plan_measurements(request: MomentsRequest) -> Plan:
    """Return how a device measures what is asked for: an edge after the sum of its first end."""
    edges = request.edges
    by_first = np.argsort(edges[:, 0], kind="stable")
    starts = np.searchsorted(edges[by_first, 0], np.arange(request.spec.nodes + 1))
    measurements: list[Measurement] = []
    following: list[int] = []           # edges in the order of their measurements
    for node in request.nodes.tolist():
        own = by_first[starts[node]:starts[node + 1]]
        following += own.tolist()
        measurements += [Measurement(Kind.SUM, node), Measurement(Kind.SQUARE, node),
                         *(Measurement(Kind.PRODUCT, int(edges[edge, 1])) for edge in own)]
    measurements += [Measurement(Kind.HISTOGRAM, int(node))
                     for node in request.histograms]
    kinds = np.array([kind for kind, _ in measurements], np.int64)
    spans = np.array([span(kind, request.bin_bits) for kind, _ in measurements], np.int64)
    bases = np.cumsum(spans) - spans
    places = {name: bases[kinds == kind] for name, kind in (
        ("totals", Kind.SUM), ("squares", Kind.SQUARE), ("products", Kind.PRODUCT))}
    places["products"] = places["products"][np.argsort(np.array(following, np.int64))]
    places["counts"] = bases[kinds == Kind.HISTOGRAM][:, None] + np.arange(request.bins)
    return Plan(measurements, int(spans.sum()), places)


class Tally:
    """Sums over samples that this host has.

    Parameters
    ----------
    request : MomentsRequest
        What to measure.
    """

    def __init__(self, request: MomentsRequest) -> None:
        self._request = request
        self._seen = 0
        self._sums: list[npt.NDArray[Any]] = []

    def add(self, values: npt.NDArray[Any]) -> None:
        """Add samples of all nodes, shape (n, N): raw integers, or real values of x."""
        spec, thin = self._request.spec, self._request.thin
        skipped = -(self._seen + 1) % thin          # before the first that counts
        self._seen += len(values)
        real = values.dtype.kind == "f"
        x = values[skipped::thin]
        x = x * 2.0**spec.state.f_bits if real else x.astype(np.int64)
        own, (first, second) = x[:, self._request.nodes], self._request.edges.T
        sums = [own.sum(axis=0), np.einsum("ij,ij->j", own, own),
                np.einsum("ij,ij->j", x[:, first], x[:, second]), self._count(x)]
        self._sums = sums if not self._sums else [*map(operator.add, self._sums, sums)]

    def _count(self, x: npt.NDArray[Any]) -> IntArray:
        request = self._request
        raw: Any = np.floor(x[:, request.histograms]).astype(np.int64)
        shape = len(request.histograms), request.bins
        places = bin_of(request.spec, request.bin_bits, raw) + np.arange(shape[0]) * request.bins
        return np.bincount(places.ravel(), minlength=shape[0] * shape[1]).reshape(shape)

    def moments(self, saturations: int, cycles: int | None) -> Moments:
        """Return the moments of all samples that were added."""
        totals, squares, products, counts = self._sums
        return Moments(request=self._request, totals=totals, squares=squares, products=products,
                       counts=counts, saturations=saturations, cycles=cycles)
