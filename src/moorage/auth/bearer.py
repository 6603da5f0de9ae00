"""``auth.token``: requests with tokens that an issuer signed, such as GitLab."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256

from moorage.auth.access import Access, Grant
from moorage.auth.guards import REQUIRED, Caller, Guard, bearer_challenge, unauthorized, warned
from moorage.auth.keys import TrustedKeys
from moorage.auth.tokens import InvalidToken, Verified, Verifier
from moorage.cache.remembered import Remembered
from moorage.errors import Unauthorized
from moorage.telemetry import get_log

LIMIT_BYTES = 8 << 20
"""Memory for the verified tokens that a worker remembers, about: some 3,000 of GitLab's."""

_REMEMBERED_LENGTH = 4096
"""Longer ones are verified each time: few of them would take the room of all others."""

_HEADERS = 128
"""Headers whose digest need not be computed again: who has one token sends it with one request after the other."""

_log = get_log("auth")


@dataclass(frozen=True, slots=True, kw_only=True)
class Realm:
    """The place where clients are told to get a token."""

    url: str
    path: str = ""
    """Not empty: on the host that the client has asked, at this path."""

    def of(self, caller: Caller) -> str:
        """The URL for one client.

        Source: GitLab features TOK-011; Distribution's ``autoredirectpath``.
        """
        host = caller.headers.get("Host")
        if not self.path or not host:
            return self.url
        scheme = caller.headers.get("X-Forwarded-Proto", "").partition(",")[0].strip().lower()
        return f"{scheme if scheme in ('http', 'https') else 'https'}://{host}{self.path}"


class TokenGuard(Guard):
    """Lets in who has a token, to what the token allows."""

    def __init__(
        self,
        verifier: Verifier,
        keys: Callable[[], TrustedKeys],
        realm: Realm,
        *,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """*keys* gives those of now: the same object for as long as they are the same."""
        self._verifier = verifier
        self._keys = keys
        self._realm = realm
        self._now = now
        # By the clock that is never put back, so that nothing is remembered for longer than it was good for.
        self._remembered: Remembered[bytes, Verified] = Remembered(
            LIMIT_BYTES, size_of=_size_bytes, monotonic=monotonic
        )
        self._digest = lru_cache(maxsize=_HEADERS)(_digest_of)

    async def check(self, caller: Caller, wanted: Sequence[Access], *, optional: Sequence[Access] = ()) -> Grant:
        header, keys = caller.headers.get("Authorization"), self._keys()
        if header is None:
            raise self._refusal(caller, REQUIRED, [*wanted, *optional])
        found = self._remembered.get(self._digest(header)) if _can_be_known(header) else None
        if found is None or not self._is_good(found, keys):
            found = self._verified(caller, header, keys, [*wanted, *optional])
        if not found.grant.allows(wanted):
            raise self._insufficient(caller, found.grant, wanted, optional)
        return found.grant

    def require(self, caller: Caller, grant: Grant, wanted: Sequence[Access]) -> None:
        if not grant.allows(wanted):
            raise self._insufficient(caller, grant, wanted, ())

    def _is_good(self, found: Verified, keys: TrustedKeys) -> bool:
        """Return whether it would be found good again. The clock of the day may have been put back, or forward."""
        return found.keys is keys and found.begins_at <= self._now() <= found.ends_at

    def _verified(self, caller: Caller, header: str, keys: TrustedKeys, wanted: Sequence[Access]) -> Verified:
        is_kept = _can_be_known(header)
        if is_kept:
            self._remembered.pop(self._digest(header))
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            msg = "authentication required: send Authorization: Bearer and a token"
            raise self._refusal(caller, msg, wanted)
        now = self._now()
        try:
            found = self._verifier.verify(token.strip(), keys, now=now)
        except InvalidToken as exc:
            _log.info("token refused", correlation_id=caller.id, reason=str(exc))
            raise self._refusal(caller, str(exc), wanted, error="invalid_token") from None
        if is_kept:
            self._remembered.put(self._digest(header), found, age_s=found.ends_at - now)
        return found

    def _insufficient(
        self, caller: Caller, grant: Grant, wanted: Sequence[Access], optional: Sequence[Access]
    ) -> Unauthorized:
        lacking = ", ".join(f"{access.action} on {access.kind} {access.name}" for access in grant.lacks(wanted))
        msg = f"the token does not allow {lacking}" + (f"; not granted: {grant.denied}" if grant.denied else "")
        refusal = self._refusal(caller, msg, [*wanted, *optional], error="insufficient_scope")
        if grant.denied:
            # Another token would say the same: unlike the challenge, which clients follow, this is for people.
            refusal.challenge = warned(refusal.challenge, f"not granted: {grant.denied}")
        return refusal

    def _refusal(self, caller: Caller, message: str, wanted: Sequence[Access], *, error: str = "") -> Unauthorized:
        realm, service = self._realm.of(caller), self._verifier.service
        challenge = bearer_challenge(realm, service, wanted, error=error, description=message)
        return unauthorized(message, challenge, wanted)


def _can_be_known(header: str) -> bool:
    """Return whether a header may be that of a token which was verified before; a password is kept nowhere."""
    return header.startswith("Bearer ") and len(header) <= _REMEMBERED_LENGTH


def _digest_of(header: str) -> bytes:
    """The digest of the whole header, as good as the whole token and shorter: nobody gets a grant by a part of one."""
    return sha256(header.encode("utf-8", "surrogatepass")).digest()


def _size_bytes(found: Verified) -> int:
    return found.size_bytes
