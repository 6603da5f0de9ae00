"""What an upload's URL carries along: the digest of the bytes so far, signed.

The worker that took the last chunk knows the digest; the one that closes the upload may be another. It comes to it in
the ``Location`` that the client follows, so that nothing has to be read again or written down. A client that makes up
its own URLs loses only that.
"""

import base64
import binascii
import hashlib
import hmac

from moorage.core.uploads import Session
from moorage.errors import DigestInvalid
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

_TAG_BYTES = 16
_LENGTH_LIMIT = 512


class UploadStates:
    """Signs and reads the states of uploads, with the key that all workers and nodes share (``http.secret``)."""

    def __init__(self, secret: bytes) -> None:
        self._key = hashlib.sha256(b"upload state\0" + secret).digest()

    def sign(self, name: RepositoryName, session: Session) -> str:
        """The state of *session* as a query value; empty if nothing is known."""
        if session.digest is None:
            return ""
        content = f"{session.offset_bytes} {session.digest}".encode()
        return base64.urlsafe_b64encode(self._tag(name, session.id, content) + content).rstrip(b"=").decode()

    def read(self, name: RepositoryName, session: str, text: str | None) -> Session | None:
        """What *text* says of the session, if it was signed for it; None if not, or if there is none."""
        if not text or len(text) > _LENGTH_LIMIT or not text.isascii():
            return None
        try:
            raw = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        except binascii.Error:
            return None
        tag, content = raw[:_TAG_BYTES], raw[_TAG_BYTES:]
        if not hmac.compare_digest(tag, self._tag(name, session, content)):
            return None
        offset, _, digest = content.decode("ascii").partition(" ")
        try:
            return Session(session, int(offset), Digest.parse(digest))
        except (ValueError, DigestInvalid):
            return None

    def _tag(self, name: RepositoryName, session: str, content: bytes) -> bytes:
        message = f"{name.text}\0{session}\0".encode() + content
        return hmac.digest(self._key, message, "sha256")[:_TAG_BYTES]
