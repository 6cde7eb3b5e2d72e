"""The presets of every learning rule, by name. Imports no library of any rule."""

from pendula.errors import DataError
from pendula.training.ais.presets import AIS_PRESETS, AisPreset
from pendula.training.presets import PRESETS, Preset

__all__ = ["CATALOGUE", "AnyPreset", "find_preset"]

AnyPreset = Preset | AisPreset
"""A preset of any learning rule; its type says which."""

CATALOGUE: dict[str, AnyPreset] = {**PRESETS, **AIS_PRESETS}


def find_preset(name: str) -> AnyPreset:
    """Return the preset called `name`.

    Raises
    ------
    DataError
        If there is none.
    """
    found = CATALOGUE.get(name)
    if found is None:
        raise DataError(f"preset must be one of {', '.join(CATALOGUE)}, not {name!r}")
    return found
