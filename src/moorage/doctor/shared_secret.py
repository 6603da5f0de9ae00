"""The secret that all nodes must have in common, and fingerprints: what is compared without being shown."""

import hashlib
from functools import lru_cache

from moorage.config import Config
from moorage.doctor.diagnosis import Report

CHECK = "secret"
_SHORT = 16
_BYTES = 8


@lru_cache(maxsize=64)
def fingerprint(text: str, *, is_secret: bool = True) -> str:
    """Return what two nodes compare to know that they have the same; slow for a secret, so that nobody tries words."""
    data = text.encode()
    if is_secret:
        found = hashlib.scrypt(data, salt=b"moorage doctor", n=1 << 14, r=8, p=1, dklen=_BYTES).hex()
    else:
        found = hashlib.sha256(data).hexdigest()[: 2 * _BYTES]
    return "-".join(found[start : start + 4] for start in range(0, len(found), 4))


def check_secret(config: Config, report: Report) -> None:
    """Look at ``http.secret``."""
    secret = config.http.secret
    if not secret:
        said = "http.secret is not set: each start draws one of its own, so an upload goes on nowhere else"
        report.warn(CHECK, said, "of several nodes, give all the same, such as that of: openssl rand -hex 32")
    elif len(secret) < _SHORT:
        said = f"http.secret has only {len(secret)} characters; its fingerprint is {fingerprint(secret)}"
        report.warn(CHECK, said, "give all nodes a longer one, such as that of: openssl rand -hex 32")
    else:
        report.good(CHECK, f"its fingerprint is {fingerprint(secret)}, on all nodes the same if the secret is")
