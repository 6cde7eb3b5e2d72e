"""Files that appear whole or not at all, and where kept ones are."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["cache_folder", "replacing"]


def cache_folder() -> Path:
    """Return ``$PENDULA_CACHE``, else the user's cache folder."""
    from platformdirs import user_cache_path
    chosen = os.environ.get("PENDULA_CACHE")
    return Path(chosen) if chosen else user_cache_path("pendula", appauthor=False)


@contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Yield a temporary path beside `path`, to be written; it replaces `path` at the end.

    The temporary path has the same suffix, and is gone after an error or an interruption.

    Raises
    ------
    OSError
        If the folder cannot be written to.
    """
    target = Path(path)
    temporary = target.with_name(f".{secrets.token_hex(4)}.{target.name}")
    try:
        yield temporary
        temporary.replace(target)
    finally:
        temporary.unlink(missing_ok=True)
