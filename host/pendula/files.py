"""Files that appear whole or not at all, and where kept ones are."""

import glob
import os
import secrets
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

__all__ = ["cache_folder", "naming", "replacing"]

_TOKEN_BYTES = 4
_STALE_S = 3600.0       # nothing is written that long without a byte


def cache_folder() -> Path:
    """Return ``$PENDULA_CACHE``, else the user's cache folder."""
    from platformdirs import user_cache_path
    chosen = os.environ.get("PENDULA_CACHE")
    return Path(chosen) if chosen else user_cache_path("pendula", appauthor=False)


@contextmanager
def naming(path: str | os.PathLike[str]) -> Iterator[None]:
    """Name `path` in an error of the system that names no file, such as that of a full disk."""
    try:
        yield
    except OSError as error:
        error.filename = error.filename or os.fspath(path)
        raise


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, to be written; it replaces `path` at the end.

    The temporary path has the same suffix, and is gone after an error or an interruption; what a
    process that was killed left an hour ago or more is deleted. The file is on the disk before it
    gets its name, so that a power cut leaves the old one or the new one.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    target = Path(path)
    temporary = target.with_name(f".{secrets.token_hex(_TOKEN_BYTES)}.{target.name}")
    try:
        with naming(target):
            yield temporary
            with temporary.open("rb+") as file:
                os.fsync(file.fileno())
            temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
    _sweep(target)


def _sweep(target: Path) -> None:
    """Delete what killed processes left of a file."""
    token = "[0-9a-f]" * (2 * _TOKEN_BYTES)
    for left in target.parent.glob(f".{token}.{glob.escape(target.name)}"):
        with suppress(OSError):             # another process may have been faster
            if time.time() - left.stat().st_mtime > _STALE_S:
                left.unlink()
