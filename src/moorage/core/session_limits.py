"""Limit of the upload sessions that a client may have open in a repository, counted without a list of them.

With the key, a worker reads from a session's id whose it is and when it began. So any worker, after any restart,
counts those of a client by the names in the repository's folder of uploads. Nothing is written for it.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from moorage.cache.remembered import Remembered
from moorage.errors import PathUnknown, TooManyRequests
from moorage.oci.names import RepositoryName
from moorage.storage import paths
from moorage.storage.base import StorageDriver

LIMIT = 2000
"""A hundred builds at once, each with twenty layers on their way."""

COUNTED = timedelta(hours=1)
"""A session that began longer ago is not counted: its client has given it up, and purging removes it."""

_MARK_DIGITS = 10
_MINUTE_BITS = 20
_REMEMBERED = 4096
_SHARE = 16
"""Storage is asked again when a worker has given out so small a part of what was free: a list of thousands is dear."""

_RETRY = timedelta(seconds=60)
_KEY_LENGTH = 256


class SessionLimits:
    """Names new sessions, and refuses them to clients that have too many."""

    def __init__(
        self,
        storage: StorageDriver,
        key: bytes,
        *,
        limit: int = LIMIT,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """*key* is the same in all workers; *limit* 0: any number."""
        self._storage = storage
        self._key = hashlib.sha256(b"upload client\0" + key).digest()
        self._limit = limit
        self._now = now
        self._clients: Remembered[str, _Client] = Remembered(_REMEMBERED, is_kept_by_use=True)

    async def name_new(self, name: RepositoryName, client: str) -> str:
        """The id of a session that *client* is about to open.

        Raises:
            TooManyRequests: it has as many open as it may have.
        """
        found = self._client(name, client)
        if self._limit:
            await self._take(name, found)
        return _id(found.mark, self._minute())

    def _client(self, name: RepositoryName, text: str) -> "_Client":
        key = f"{name.text}\0{text}"
        if len(key) > _KEY_LENGTH:  # What is remembered must not grow with what a token says.
            key = self._mark(name, text)
        found = self._clients.get(key)
        if found is None:
            found = _Client(self._mark(name, text))
            self._clients.put(key, found)
        return found

    async def _take(self, name: RepositoryName, client: "_Client") -> None:
        looks = client.looks
        async with client.lock:  # One look at a time, however many requests a client sends.
            if not client.left:
                # A look that began after this request had come is as good as one of its own.
                if client.looks == looks or not client.is_full:
                    client.looks += 1
                    free = self._limit - await self._count(name, client.mark)
                    client.is_full = free <= 0
                    client.left = 0 if client.is_full else max(1, free // _SHARE)
                if client.is_full:
                    raise self._refusal()
            client.left -= 1

    async def _count(self, name: RepositoryName, mark: str) -> int:
        """Count the sessions of *mark* that are recent enough; at most as many as the limit are looked at."""
        first = (self._minute() - int(COUNTED.total_seconds()) // 60) % (1 << _MINUTE_BITS)
        try:
            entries = await self._storage.list(paths.uploads(name), after=_beginning(mark, first), limit=self._limit)
        except PathUnknown:
            return 0
        whose = _beginning(mark, 0)[: _MARK_DIGITS + 1]
        return sum(entry.name.startswith(whose) for entry in entries)

    def _mark(self, name: RepositoryName, client: str) -> str:
        return hmac.digest(self._key, f"{name.text}\0{client}".encode(), "sha256").hex()[:_MARK_DIGITS]

    def _minute(self) -> int:
        return int(self._now().timestamp()) // 60 % (1 << _MINUTE_BITS)

    def _refusal(self) -> TooManyRequests:
        msg = (
            f"{self._limit} uploads to this repository that this client began within an hour are not finished, and "
            "that is the limit (http.limits.uploadsessions): finish or cancel some, or try again later"
        )
        return TooManyRequests(msg, retry_after=_RETRY)


def began_by(session: str, now: datetime) -> datetime | None:
    """Return the end of the minute in which a session began, as its id tells; None if the id is none of ours.

    The minutes begin anew every two years: of those that it may be it is the last before *now*.
    """
    try:
        minute = int(session[11:13] + session[15:18], 16) if session[14:15] == "8" else None
    except ValueError:  # Anything may have been put into the folder.
        minute = None
    if minute is None:
        return None
    at = int(now.timestamp()) // 60
    passed = (at - minute) % (1 << _MINUTE_BITS)
    return datetime.fromtimestamp((at - passed + 1) * 60, UTC)


class _Client:
    """A worker's memory of one client in one repository."""

    def __init__(self, mark: str) -> None:
        self.mark = mark
        self.lock = asyncio.Lock()
        self.left = 0
        """Sessions that the client may open before storage is asked again."""
        self.looks = 0
        self.is_full = False
        """True if the last look found nothing free."""


def _id(mark: str, minute: int) -> str:
    """An id whose order among those of its client is that of their beginnings, with 62 bits that nobody can guess.

    Source: RFC 9562 § 5.8 (version 8: what the bits say is ours).
    """
    chosen = secrets.token_bytes(8)
    return f"{_beginning(mark, minute)}-{0x80 | chosen[0] & 0x3F:02x}{chosen[1]:02x}-{chosen[2:].hex()}"


def _beginning(mark: str, minute: int) -> str:
    """Return the beginning of a client's ids of a minute: its mark, and the minute around the version."""
    return f"{mark[:8]}-{mark[8:]}{minute >> 12:02x}-8{minute & 0xFFF:03x}"
