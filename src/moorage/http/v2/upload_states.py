"""The digest of an upload's bytes so far, signed: the upload's URL carries it along.

The worker that took the last chunk knows the digest; the one that closes the upload may be another. The client carries
the digest from one to the other, in the ``Location`` that it follows, so that nothing has to be read again or written
down. A client that makes up its own URLs only makes the registry read once more; so does one that comes to a node with
another ``http.secret``, and then the log says so.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Callable

from moorage.core.upload_endings import UploadState
from moorage.errors import DigestInvalid
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.telemetry import get_log

NOTHING_KNOWN = "-"
"""A state without content. Scripts add ``&digest=…`` to any ``Location``, as each of Distribution's has a query."""

_TAG_BYTES = 16
_MARK_BYTES = 8
_QUIET_S = 60.0

_log = get_log("uploads")

_LENGTH_LIMIT = 512


class UploadStates:
    """Signs and reads the states of uploads.

    *secret* is that of this start of this node, the same in all its workers: a state vouches for bytes that a power cut
    may take. *shared* is ``http.secret``: by it a state is marked, to tell another node from one with another secret.
    """

    def __init__(self, secret: bytes, *, shared: str = "", monotonic: Callable[[], float] = time.monotonic) -> None:
        self._key = hashlib.sha256(b"upload state\0" + secret).digest()
        self._mark_key = hashlib.sha256(b"upload mark\0" + (shared.encode() or secret)).digest()
        self._is_shared = bool(shared)
        self._monotonic = monotonic
        self._quiet_until = 0.0

    def sign(self, name: RepositoryName, session: UploadState) -> str:
        """The state of *session* as a query value; ``NOTHING_KNOWN`` if its digest is not known."""
        if session.digest is None:
            return NOTHING_KNOWN
        content = f"{session.offset_bytes} {session.digest}".encode()
        signed = self._mark(name, session.id) + content
        return base64.urlsafe_b64encode(self._tag(name, session.id, signed) + signed).rstrip(b"=").decode()

    def read(self, name: RepositoryName, session: str, text: str | None) -> UploadState | None:
        """Read what *text* says of the session, if it was signed for it; None if not, or if it says nothing."""
        if not text or text == NOTHING_KNOWN or len(text) > _LENGTH_LIMIT or not text.isascii():
            return None
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except binascii.Error:
            return None
        tag, signed = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(name, session, signed)):
            if len(signed) > _MARK_BYTES and not hmac.compare_digest(signed[:_MARK_BYTES], self._mark(name, session)):
                self._tell_of_another_secret()
            return None
        offset, _, digest = signed[_MARK_BYTES:].decode("ascii").partition(" ")
        try:
            return UploadState(session, int(offset), Digest.parse(digest))
        except (ValueError, DigestInvalid):
            return None

    def _tell_of_another_secret(self) -> None:
        """Warn in the log, at most once a minute: anybody may send anything."""
        now = self._monotonic()
        if now < self._quiet_until:
            return
        self._quiet_until = now + _QUIET_S
        advice = (
            "all nodes need the same http.secret"
            if self._is_shared
            else "http.secret is not set: set it, to the same on all nodes, so that a restart does not change it either"
        )
        _log.warning(f"an upload came from a node with another secret, so that its bytes are read once more; {advice}")

    def _mark(self, name: RepositoryName, session: str) -> bytes:
        return hmac.digest(self._mark_key, f"{name.text}\0{session}".encode(), "sha256")[:_MARK_BYTES]

    def _tag(self, name: RepositoryName, session: str, signed: bytes) -> bytes:
        message = f"{name.text}\0{session}\0".encode() + signed
        return hmac.digest(self._key, message, "sha256")[:_TAG_BYTES]
