"""The presets of every learning rule, by name. Imports no library of any rule."""

from collections import ChainMap

from pendula.errors import DataError
from pendula.training.ais.presets import AIS_PRESETS, AisPreset
from pendula.training.presets import PRESETS, Preset
from pendula.training.thermal_presets import THERMAL_PRESETS, ThermalPreset

__all__ = ["CATALOGUE", "AnyPreset", "find_preset"]

AnyPreset = Preset | AisPreset | ThermalPreset
"""A preset of any learning rule; its type says which."""

CATALOGUE: ChainMap[str, AnyPreset] = ChainMap(
    {}, THERMAL_PRESETS, AIS_PRESETS, PRESETS)  # type: ignore[arg-type]


def find_preset(name: str) -> AnyPreset:
    """Return the preset called `name`.

    Raises
    ------
    DataError
        If there is none.
    """
    if name not in CATALOGUE:
        raise DataError(f"preset must be one of {', '.join(CATALOGUE)}, not {name!r}")
    return CATALOGUE[name]
