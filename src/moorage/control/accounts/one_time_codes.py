"""Codes that change every half minute, and recovery codes. No I/O.

Source: RFC 6238 (time-based one-time passwords), with what every authenticator has: SHA-1, six digits, 30 seconds.
"""

import base64
import hashlib
import re
import secrets
from collections.abc import Sequence

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.twofactor.totp import TOTP

STEP_S = 30
DIGITS = 6
RECOVERY_CODES = 10

_KEY_BYTES = 20
_RECOVERY_BYTES = 10
_CODE = re.compile(rf"[0-9]{{{DIGITS}}}")


def new_totp_key() -> bytes:
    """Make a key for an authenticator."""
    return secrets.token_bytes(_KEY_BYTES)


def text_of_key(key: bytes) -> str:
    """Return a key as people type it."""
    return base64.b32encode(key).decode()


def address_of_key(key: bytes, *, site: str, username: str) -> str:
    """Return the ``otpauth`` address that authenticators read from a picture."""
    return _totp(key).get_provisioning_uri(username, site)


def step_of_code(key: bytes, code: str, now_s: float, *, after: int = 0) -> int | None:
    """Return the step that *code* is of: this one or one beside it, as clocks differ; None: it is none's.

    A step that is not after *after* is not taken, so that nobody uses a code again that they saw.
    """
    text = re.sub(r"\s", "", code)
    if _CODE.fullmatch(text) is None:
        return None
    now, found = int(now_s // STEP_S), None
    for step in (now - 1, now, now + 1):  # All three, so that time does not tell which it was.
        is_right = secrets.compare_digest(_totp(key).generate(step * STEP_S).decode(), text)
        if is_right and step > after:
            found = step
    return found


def new_recovery_codes() -> Sequence[str]:
    """Make the codes that open an account once each, such as ``k4mz-7xqa-p2wd-l5hv``."""
    return [
        _grouped(base64.b32encode(secrets.token_bytes(_RECOVERY_BYTES)).decode().lower()) for _ in range(RECOVERY_CODES)
    ]


def digest_of_recovery(code: str) -> str:
    """Return what is kept of a recovery code; spaces, hyphens and case do not matter."""
    text = re.sub(r"[\s-]", "", code).lower()
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _grouped(text: str) -> str:
    return "-".join(text[start : start + 4] for start in range(0, len(text), 4))


def _totp(key: bytes) -> TOTP:
    return TOTP(key, DIGITS, SHA1(), STEP_S)  # noqa: S303 - as RFC 6238 and every authenticator have it
