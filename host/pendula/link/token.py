"""Who may open a served board: a challenge, and an answer that proves the knowledge of a token.

The board sends a line with a random number, the host answers with its HMAC-SHA256 under the token,
and the board with a line of welcome; then frames begin. The token itself never crosses the network.
What follows is neither encrypted nor authenticated.
"""

import hashlib
import hmac
import secrets
from pathlib import Path

from pendula.errors import UrlError

__all__ = ["ANSWER_BYTES", "LINE_BYTES", "WELCOME", "answer", "is_challenge", "is_right",
           "make_challenge", "read_token"]

LEAST_BYTES, MOST_BYTES = 16, 4096      # of a token
NONCE_BYTES = 16
LINE_BYTES = 200                        # of any line of the handshake, at most
WELCOME = b"pendula: welcome\n"

_CHALLENGE = b"pendula: a token is needed; answer "


def read_token(path: Path) -> bytes:
    """Return the token in a file, without blanks around it.

    Raises
    ------
    UrlError
        If the file cannot be read, or the token is too short or too long.
    """
    try:
        with path.open("rb") as file:
            token = file.read(MOST_BYTES + 1).strip()
    except OSError as error:
        raise UrlError(f"token file {path} cannot be read: {error.strerror or error}") from error
    if not LEAST_BYTES <= len(token) <= MOST_BYTES:
        raise UrlError(f"token in {path} must have {LEAST_BYTES} to {MOST_BYTES} bytes, not "
                       f"{len(token)}: make one with 'openssl rand -hex 32'")
    return token


def make_challenge() -> bytes:
    """Return a line that no host was ever sent."""
    return _CHALLENGE + secrets.token_hex(NONCE_BYTES).encode() + b"\n"


def is_challenge(line: bytes) -> bool:
    """Return whether a line asks for an answer."""
    return line.startswith(_CHALLENGE) and line.endswith(b"\n")


def answer(token: bytes, challenge: bytes) -> bytes:
    """Return the line that answers a challenge."""
    return hmac.new(token, challenge, hashlib.sha256).hexdigest().encode() + b"\n"


ANSWER_BYTES = len(answer(b"", b""))


def is_right(token: bytes, challenge: bytes, found: bytes) -> bool:
    """Return whether a line answers a challenge; how long it takes tells nothing."""
    return hmac.compare_digest(answer(token, challenge), found)
