"""Does an array fit a board, in how many lanes, and if not, what would."""

from dataclasses import dataclass, replace
from typing import Any

from pendula.contract.protocol import LANES_HI
from pendula.contract.spec import ArraySpec
from pendula.errors import FitError
from pendula_boards.board import Board
from pendula_boards.build import Say, measure
from pendula_boards.catalogue import BOARDS
from pendula_boards.design import Design
from pendula_boards.placement import Usage

__all__ = ["Demand", "Fit", "fit", "most_lanes", "require"]


@dataclass(frozen=True, slots=True)
class Demand:
    """What an array needs of each resource: so much, and as much again for each further lane.

    Parameters
    ----------
    one, two : Usage
        Of one and two lanes, from synthesis.
    """

    one: Usage
    two: Usage

    def of(self, lanes: int) -> dict[str, int]:
        """Return what so many lanes need."""
        return {name: used + (lanes - 1) * (self.two[name][0] - used)
                for name, (used, _) in self.one.items()}

    def fullest(self, lanes: int, board: Board) -> str:
        """Return the resource that so many lanes fill most, as a fraction of what may be used."""
        room = usable(board)
        return max((name for name in room if room[name]),
                   key=lambda name: self.of(lanes)[name] / room[name])

    def lanes(self, board: Board) -> int:
        """Return the most lanes that fit; 0 where one does not."""
        room = usable(board)
        return max((lanes for lanes in range(1, LANES_HI + 1)
                    if all(used <= room[name] for name, used in self.of(lanes).items())),
                   default=0)


@dataclass(frozen=True, slots=True)
class Fit:
    """How an array fits a board.

    Parameters
    ----------
    design : Design
        The array in as many lanes as fit; in one where none does.
    demand : Demand
        What it needs.
    lanes : int
        The most lanes that fit.
    limit : str
        The resource that one lane more has too little of.
    """

    design: Design
    demand: Demand
    lanes: int
    limit: str

    def describe(self) -> dict[str, Any]:
        """Return it as plain data."""
        board = self.design.board
        used = self.demand.of(self.design.lanes)
        return {"board": board.name, "part": board.part.name, "lanes": self.lanes,
                "fold": self.design.fold, "buffers": self.design.buffers, "limit": self.limit,
                "clock_hz": self.design.clock_hz,
                "baud_hz": self.design.baud_hz,
                "ceilings": dict(board.part.flow.ceilings),
                "resources": {name: {"used": used[name], "available": count}
                              for name, count in board.part.capacity.items()}}

    @property
    def excess(self) -> dict[str, int]:
        """By how much one lane exceeds what may be used, by resource."""
        room = usable(self.design.board)
        return {name: used - room[name] for name, used in self.demand.of(1).items()
                if used > room[name]}


def usable(board: Board) -> dict[str, int]:
    """Return how much of each resource a design may use, below its flow's ceiling."""
    ceilings = board.part.flow.ceilings
    return {name: int(count * ceilings.get(name, 1))
            for name, count in board.part.capacity.items()}


def fit(one: Design, say: Say) -> Fit:
    """Work out how many lanes of a design with one lane fit its board.

    One and two lanes are synthesised; further ones are taken to need as much as the second.

    Raises
    ------
    BuildError
        If a tool fails.
    """
    board = one.board
    say(f"Synthesising one and two lanes for {board.title}")
    demand = Demand(*measure([one, replace(one, lanes=2)]))
    lanes = demand.lanes(board)
    return Fit(replace(one, lanes=max(lanes, 1)), demand, lanes,
               demand.fullest(lanes + 1, board))


def most_lanes(one: Design, say: Say) -> int:
    """Return the most lanes of a design with one lane that fit, as :func:`fit` finds them.

    Raises
    ------
    FitError
        If not even one does.
    """
    found = fit(one, say)
    require(found, say)
    return found.lanes


def require(found: Fit, say: Say) -> None:
    """Refuse an array that does not fit; say by how much, and what would.

    Boards of the same fabric are compared by what was synthesised; how many neighbours or segments
    would fit is interpolated between the array and one with half of them. The array is synthesised
    with the most folds as well.

    Raises
    ------
    FitError
        If it does not fit.
    """
    if found.lanes:
        return
    board, spec = found.design.board, found.design.spec
    room = usable(board)
    needs = [f"{found.demand.of(1)[name]} {name} where {room[name]} may be used"
             for name in found.excess]
    fitting = [other.name for other in BOARDS.values() if other.part.fabric == board.part.fabric
               and found.demand.lanes(other)]
    advice = [f"it fits {', '.join(fitting)}"] if fitting else []
    say("Synthesising more folds, half the neighbours and half the segments")
    advice += [*_folds(found, spec), *_reductions(found, spec)]
    raise FitError(f"array must fit {board.title}, not need {', '.join(needs)}; "
                   + ("; ".join(advice)
                      or "more folds, fewer neighbours or segments alone would not do"))


def _folds(found: Fit, spec: ArraySpec) -> list[str]:
    """Return whether the most folds would do, where the array has fewer."""
    most, room = len(spec.offsets), usable(found.design.board)
    if found.design.fold == most:
        return []
    usage, = measure([replace(found.design, fold=most)])
    fits = all(used <= room[name] for name, (used, _) in usage.items())
    return [f"--fold {most} would fit, and fewer folds may"] if fits else []


def _reductions(found: Fit, spec: ArraySpec) -> list[str]:
    """Return what could be reduced, each by itself."""
    halves = [(len(spec.offsets), "neighbours", replace(
        spec, offsets=tuple(sorted(sorted(spec.offsets, key=abs)[:len(spec.offsets) // 2])))),
        (spec.segments, "segments", replace(spec, segments=spec.segments // 2))]
    halves = [half for half in halves if half[0] > 1]
    usages = measure([replace(found.design, spec=half,
                              fold=min(found.design.fold, len(half.offsets)))
                      for _, _, half in halves])
    counts = [(name, _largest(found, whole, usage))
              for (whole, name, _), usage in zip(halves, usages)]
    return [f"about {count} {name} would fit" for name, count in counts if count]


def _largest(found: Fit, whole: int, half: Usage) -> int:
    """Return the largest number, below `whole`, at which every resource suffices; 0 for none."""
    room = usable(found.design.board)
    slopes = {name: (used - half[name][0]) / (whole - whole // 2)
              for name, used in found.demand.of(1).items()}
    return max((count for count in range(1, whole)
                if all(used - slopes[name] * (whole - count) <= room[name]
                       for name, used in found.demand.of(1).items())), default=0)

