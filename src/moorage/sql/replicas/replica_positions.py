"""Position of a repository's last write in PostgreSQL's log, kept in Redis where every node sees it.

The key and its value are GitLab's, so that its registry understands ours beside it, and the other way round.
"""

import asyncio
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple, cast

from moorage.config.sections.redis import RedisConnection
from moorage.errors import DatabaseUnavailable
from moorage.redis.redis_client import REDIS_ERRORS, answer_deadline_s, close_redis, open_redis

KEPT = timedelta(hours=1)
"""Time that a position stays in Redis. Source: features MDB-044."""

_DEFAULT_CONNECTIONS = 10
_LSN = re.compile(rb"([0-9A-Fa-f]{1,8})/([0-9A-Fa-f]{1,8})")

_NUMBER = re.compile(rb"[0-9]{1,10}")

_RAISE = """
local function parts(lsn)
    local high, low = string.match(lsn, '^(%x+)/(%x+)$')
    return tonumber(high or '0', 16), tonumber(low or '0', 16)
end
local high, low = parts(ARGV[1])
local old_high, old_low = parts(redis.call('GET', KEYS[1]) or '0/0')
if high > old_high or (high == old_high and low > old_low) then
    redis.call('SET', KEYS[1], ARGV[1], 'EX', ARGV[3])
end
if tonumber(ARGV[2]) >= tonumber(redis.call('GET', KEYS[2]) or '0') then
    redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[3])
end
return 1
"""


class PositionLate(DatabaseUnavailable):
    """Redis is slow, or gone."""


class Position(NamedTuple):
    """A place in PostgreSQL's log."""

    lsn: int
    """In bytes since the beginning."""

    timeline: int
    """The history that it belongs to: each promotion of a standby begins a new one. 0: not known."""


class PositionStore:
    """The last position of each repository, in Redis."""

    def __init__(self, settings: RedisConnection) -> None:
        """Make the client of ``redis.loadbalancing``. It connects when it is first used."""
        connections = settings.pool.connections or _DEFAULT_CONNECTIONS
        self._client = open_redis(settings, connections=connections)
        self._answer_s = answer_deadline_s(settings)
        # The library's pools raise when they are used up; a moment's wait is better.
        self._turns = asyncio.Semaphore(connections)

    async def find(self, repository: str, *, limit_s: float) -> Position | None:
        """Return where *repository* was last written; None if that is longer ago than :data:`KEPT`.

        Raises:
            PositionLate: Redis did not answer within *limit_s* seconds.
            DatabaseUnavailable: it takes no connection, or answered nonsense.
        """
        lsn_key, timeline_key = keys_of(repository)
        async with self._turn(limit_s):
            lsn, timeline = cast("list[bytes | None]", await self._client.mget([lsn_key, timeline_key]))
        if lsn is None:
            return None
        return Position(parse_lsn(lsn), int(timeline or b"0") if _NUMBER.fullmatch(timeline or b"") else 0)

    async def raise_to(self, repository: str, position: Position, *, limit_s: float) -> None:
        """Note that *repository* was written at *position*. What is there and higher stays.

        Raises:
            DatabaseUnavailable: Redis did not answer within *limit_s* seconds. It may have been noted.
        """
        lsn_key, timeline_key = keys_of(repository)
        kept_s = str(int(KEPT.total_seconds()))
        async with self._turn(limit_s):
            await self._client.eval(
                _RAISE, 2, lsn_key, timeline_key, format_lsn(position.lsn), str(position.timeline), kept_s
            )

    async def ping(self, *, limit_s: float) -> None:
        """Ask whether Redis answers.

        Raises:
            DatabaseUnavailable: it does not, within *limit_s* seconds.
        """
        async with self._turn(limit_s):
            await self._client.mget(keys_of("ping"))

    async def close(self) -> None:
        """Let go of every connection."""
        await close_redis(self._client)

    @asynccontextmanager
    async def _turn(self, limit_s: float) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(min(limit_s, self._answer_s)), self._turns:
                yield
        except TimeoutError as exc:
            msg = f"redis.loadbalancing: no answer within {limit_s} s"
            raise PositionLate(msg) from exc
        except REDIS_ERRORS as exc:
            msg = f"redis.loadbalancing: {str(exc) or type(exc).__name__}"
            raise DatabaseUnavailable(msg) from exc


def keys_of(repository: str) -> tuple[str, str]:
    """The keys of a repository's position and of its timeline; both in one slot of a cluster.

    Source: features RED-004; the timeline is ours.
    """
    namespace = repository.partition("/")[0]
    stem = f"registry:db:{{repository:{namespace}:{hashlib.sha256(repository.encode()).hexdigest()}}}"
    return f"{stem}:lsn", f"{stem}:timeline"


def parse_lsn(text: bytes) -> int:
    """PostgreSQL's ``X/Y`` as a number of bytes.

    Raises:
        DatabaseUnavailable: it is nothing of the sort, so nothing can be said about the repository.
    """
    found = _LSN.fullmatch(text)
    if found is None:
        msg = f"redis.loadbalancing: not a position: {text[:40]!r}"
        raise DatabaseUnavailable(msg)
    return (int(found[1], 16) << 32) + int(found[2], 16)


def format_lsn(lsn: int) -> str:
    """A number of bytes as PostgreSQL writes it."""
    return f"{lsn >> 32:X}/{lsn & 0xFFFFFFFF:X}"
