"""Small systems whose laws are known: what devices draw is tested against them.

Each is read from a :class:`pendula.Program`, so that the reference has the parameters that the
integers stand for. Functions of the state are exact here; what tables cost, docs/guide/verify.md
measures. SciPy is needed: ``pip install 'pendula[report]'``.
"""

from pendula.references.laws import Law, PlaneLaw, euler_law, euler_plane_law, gibbs_law
from pendula.references.linear import LinearNetwork
from pendula.references.phases import Phase, phase_difference, pinned_phase
from pendula.references.programs import autonomous_program, neighbour_matrix
from pendula.references.wells import CoupledWells, QuarticWell

__all__ = [
    "CoupledWells", "Law", "LinearNetwork", "Phase", "PlaneLaw", "QuarticWell",
    "autonomous_program", "euler_law", "euler_plane_law", "gibbs_law", "neighbour_matrix",
    "phase_difference", "pinned_phase",
]
