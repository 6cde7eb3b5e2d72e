"""Libraries of the optional parts of the installation, imported on first use."""

import importlib
from typing import Any

from pendula.errors import MissingExtraError

__all__ = ["import_extra"]


def import_extra(module: str, extra: str) -> Any:
    """Import `module`, which comes with ``pip install 'pendula[extra]'``.

    Raises
    ------
    MissingExtraError
        If the library is not installed.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        library = module.partition(".")[0]
        if (error.name or "").partition(".")[0] != library:
            raise
        raise MissingExtraError(f"{library} must be installed for this: "
                                f"pip install 'pendula[{extra}]'") from error
