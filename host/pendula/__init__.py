"""Pendula: generative models of coupled oscillators, from training to hardware.

Examples
--------
>>> import pendula
>>> with pendula.open("twin://") as dev:
...     dev.load(pendula.load("digits"))
...     batch = dev.sample(100, seed=7, pixels=True)
"""

import importlib
from typing import Any

__version__ = "0.1.0"

# Imported on first use, so that the contract alone needs nothing but the standard library.
_LAZY = {
    "AbstractDevice": ("pendula.device", "AbstractDevice"),
    "ArraySpec": ("pendula.contract", "ArraySpec"),
    "Batch": ("pendula.device", "Batch"),
    "Program": ("pendula.program", "Program"),
    "compare": ("pendula.comparison", "compare"),
    "load": ("pendula.modelfile", "load"),
    "open": ("pendula.device", "open_device"),
    "save": ("pendula.modelfile", "save"),
    "train": ("pendula.training", "train"),
}


def __dir__() -> list[str]:
    return sorted([*globals(), *_LAZY])


def __getattr__(name: str) -> Any:
    if name not in _LAZY:
        raise AttributeError(f"module 'pendula' has no attribute {name!r}")
    module, attribute = _LAZY[name]
    return getattr(importlib.import_module(module), attribute)
