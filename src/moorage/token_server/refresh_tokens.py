"""Refresh tokens: let a client get tokens without the password, for as long as the password stays the same.

They are signed with a secret of the token server and not with its key pair, so that no registry can take one for a
token. Nothing is kept of them.
"""

import base64
import binascii
import hashlib
import hmac
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

_MARK = "moorage-refresh-1"
_LENGTH_LIMIT = 4096


class RefreshInvalid(Exception):
    """A refresh token that is not taken; the text says why and is safe to show."""


class _Said(BaseModel):
    model_config = ConfigDict(strict=True, extra="forbid")

    user: str
    service: str
    password: str
    """Fingerprint of the password's hash, so that another password ends the token."""
    ends_at: float


@dataclass(frozen=True, slots=True)
class RefreshTokens:
    """Makes and reads them."""

    secret: bytes
    service: str

    def make(self, user: str, hashed: str, ends_at: float) -> str:
        """A refresh token of a user whose password has the hash *hashed*; *ends_at* is in seconds since 1970."""
        said = _Said(user=user, service=self.service, password=self._fingerprint(user, hashed), ends_at=ends_at)
        body = _encoded(said.model_dump_json().encode())
        return f"{_MARK}.{body}.{_encoded(self._mac(body))}"

    def user_of(self, token: str) -> str:
        """The user who a token says it is of, for the log; to be believed only after :meth:`check`.

        Raises:
            RefreshInvalid: it was not made here.
        """
        return self._read(token).user

    def check(self, token: str, hashed: str | None, now: float) -> None:
        """See whether a token is good at *now*; *hashed* is its user's now, None if there is no such user any more.

        Raises:
            RefreshInvalid: it is not.
        """
        said = self._read(token)
        if said.service != self.service:
            msg = "the refresh token is for another service"
            raise RefreshInvalid(msg)
        if now > said.ends_at:
            msg = "the refresh token has ended; log in again"
            raise RefreshInvalid(msg)
        if hashed is None or not hmac.compare_digest(said.password, self._fingerprint(said.user, hashed)):
            msg = "the password was changed since; log in again"
            raise RefreshInvalid(msg)

    def _read(self, token: str) -> _Said:
        mark, _, rest = token.partition(".")
        body, _, mac = rest.partition(".")
        try:
            is_ours = (
                mark == _MARK
                and len(token) <= _LENGTH_LIMIT
                and token.isascii()
                and hmac.compare_digest(_decoded(mac), self._mac(body))
            )
            if is_ours:
                return _Said.model_validate_json(_decoded(body))
        except (ValueError, binascii.Error, ValidationError):
            pass
        msg = "the refresh token is none of this server, or of keys that were given up; log in again"
        raise RefreshInvalid(msg)

    def _fingerprint(self, user: str, hashed: str) -> str:
        return hmac.digest(self.secret, f"password\0{user}\0{hashed}".encode(), hashlib.sha256).hex()[:32]

    def _mac(self, body: str) -> bytes:
        return hmac.digest(self.secret, f"{_MARK}\0{body}".encode(), hashlib.sha256)


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _decoded(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
