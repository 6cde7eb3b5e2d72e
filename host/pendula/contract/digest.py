"""Canonical digests: one JSON spelling, one hash."""

import hashlib
import json
from typing import Any

__all__ = ["DIGEST_BYTES", "canonical_json", "digest"]

DIGEST_BYTES = 8   # bytes of a digest that travel in HELLO


def canonical_json(value: Any) -> bytes:
    """Spell `value` as JSON with sorted keys and no spaces, in UTF-8."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=True,
                      allow_nan=False).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of the canonical JSON of `value`, in hexadecimal."""
    return hashlib.sha256(canonical_json(value)).hexdigest()
