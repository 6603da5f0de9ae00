"""A memory of what is in which repository, in Redis: all nodes have it, and what one takes away none has any more.

The keys of blobs are those of Distribution's cache (features RED-001), so that a registry of that kind on the same
Redis and storage finds what was seen here, and this one what was seen there:

- ``repository::<name>::blobs``: a set of digests,
- ``repository::<name>::blobs::<digest>``: a hash with the media type,
- ``blobs::<digest>``: a hash with digest, size and media type.

What this registry believes is a field of its own in the second, which ends by itself: Distribution finds it missing
then and looks again. What Distribution put there is taken over, and ends as well.
"""

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar, cast

from moorage.cache.link_memory import LinkMemory, Mark
from moorage.cache.remembered import Remembered
from moorage.cache.shared_changes import SharedChanges
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.redis.guarded import GuardedRedis, RedisUnavailable
from moorage.redis.redis_client import RedisClient

if TYPE_CHECKING:
    from redis.asyncio.client import Pipeline

AGE = timedelta(seconds=60)
_FIELD = "moorage"
_MARK_AGE_S = 3600
"""Longer than any request to storage takes."""
_UNTOLD = 10_000
"""Changes that a worker goes on wanting to tell of while Redis is away."""
_MEDIA_TYPE = "application/octet-stream"
"""Of every blob, as Distribution writes it."""
_KNOWS_LARGEST = 1 << 63

_BEGIN = """
local mark = redis.pcall('GET', KEYS[2])
if type(mark) ~= 'string' then
  mark = ARGV[1]
  redis.call('SET', KEYS[2], mark)
end
redis.call('EXPIRE', KEYS[2], ARGV[2])
return mark
"""
"""A mark for who asks storage next. It is made where there is none, so that a lost one is never taken for no change."""

_KEEP = """
if redis.pcall('GET', KEYS[2]) ~= ARGV[1] then return 0 end
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
if ARGV[5] ~= '' then redis.call('HSETNX', KEYS[1], 'mediatype', ARGV[5]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return 1
"""

_TAKE = """
redis.call('SET', KEYS[2], ARGV[1], 'EX', ARGV[2])
redis.call('DEL', KEYS[1])
"""

_DESCRIBE = """
if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then redis.call('DEL', KEYS[1]) end
redis.call('HSET', KEYS[1], 'digest', ARGV[1])
if ARGV[2] ~= '' then redis.call('HSET', KEYS[1], 'size', ARGV[2]) end
redis.call('HSETNX', KEYS[1], 'mediatype', ARGV[3])
"""

Value = TypeVar("Value", int, str)
_Key = tuple[RepositoryName, Digest]


class SharedLinks(LinkMemory[Value]):
    """The memory of one kind of thing; subclasses say under which key it is, and how a value is written."""

    media_type = ""
    """Written beside the value where Distribution looks for it."""

    def __init__(self, redis: GuardedRedis, changes: SharedChanges | None = None, *, age: timedelta = AGE) -> None:
        """*changes*: shared by the processes of a node. *age*: how long something is believed at most."""
        self._redis = redis
        self._changes = changes or SharedChanges()
        self._age = age
        self._untold: Remembered[_Key, None] = Remembered(_UNTOLD)

    async def look(self, name: RepositoryName, digest: Digest) -> tuple[Value | None, Mark]:
        """See the interface."""
        if self._changes.is_doubtful and not len(self._untold):
            return None, None
        try:
            async with self._redis.turn() as redis:
                await self._tell(redis)
                return (None, None) if self._changes.is_doubtful else await self._look(redis, name, digest)
        except RedisUnavailable:
            return None, None

    async def keep(self, name: RepositoryName, digest: Digest, value: Value, *, mark: Mark) -> None:
        """See the interface."""
        if mark is None or self._changes.is_doubtful:
            return
        try:
            async with self._redis.turn() as redis:
                await self._keep(redis, (name, digest), value, mark)
        except RedisUnavailable:
            return

    async def forget(self, name: RepositoryName, digest: Digest) -> None:
        """See the interface."""
        await self.take_away(name, digest)

    async def take_away(self, name: RepositoryName, digest: Digest) -> None:
        """See the interface. Redis not answering, this node believes nothing in it until what was there has ended."""
        try:
            async with self._redis.turn() as redis:
                await self._take(redis, name, digest)
        except RedisUnavailable:
            self._changes.doubt(self._age)
            self._untold.put((name, digest), None)

    def entry(self, name: RepositoryName, digest: Digest) -> str:
        """Return the key of what is known of one thing."""
        raise NotImplementedError

    def read(self, told: object) -> Value | None:
        """Return the value that was written; None: it is none."""
        raise NotImplementedError

    async def ask(self, redis: RedisClient, name: RepositoryName, digest: Digest) -> tuple[Value | None, bool]:
        """Return what this registry has written of it, and whether another one has written something."""
        (found,) = await answers(redis, lambda asked: asked.hget(self.entry(name, digest), _FIELD))
        return self.read(found), False

    async def taken_over(self, redis: RedisClient, name: RepositoryName, digest: Digest) -> Value | None:
        """Return what another registry has written of it; None: nothing that counts."""
        del redis, name, digest
        return None

    async def told_others(self, redis: RedisClient, name: RepositoryName, digest: Digest, value: Value | None) -> None:
        """Write what others look for elsewhere; *value* None: it was taken away."""
        del redis, name, digest, value

    async def _look(self, redis: RedisClient, name: RepositoryName, digest: Digest) -> tuple[Value | None, Mark]:
        value, is_of_others = await self.ask(redis, name, digest)
        if value is not None:
            return value, None
        entry, arguments = self.entry(name, digest), (secrets.token_hex(8), str(_MARK_AGE_S))
        mark = cast("Mark", await redis.eval(_BEGIN, 2, entry, mark_of(entry), *arguments))
        if is_of_others:
            value = await self.taken_over(redis, name, digest)
            if value is not None:
                await self._keep(redis, (name, digest), value, mark)
        return value, mark

    async def _keep(self, redis: RedisClient, key: _Key, value: Value, mark: Mark) -> None:
        entry = self.entry(*key)
        said = (cast("bytes", mark), str(int(self._age.total_seconds())), _FIELD, str(value), self.media_type)
        if await redis.eval(_KEEP, 2, entry, mark_of(entry), *said):
            await self.told_others(redis, *key, value)

    async def _take(self, redis: RedisClient, name: RepositoryName, digest: Digest) -> None:
        entry = self.entry(name, digest)
        await redis.eval(_TAKE, 2, entry, mark_of(entry), secrets.token_hex(8), str(_MARK_AGE_S))
        await self.told_others(redis, name, digest, None)

    async def _tell(self, redis: RedisClient) -> None:
        """Make up for what could not be told while Redis was away: entries of others may have no end."""
        for name, digest in self._untold.keys() if len(self._untold) else ():
            await self._take(redis, name, digest)
            self._untold.pop((name, digest))


class SharedBlobLinks(SharedLinks[int]):
    """Blobs of repositories, and their sizes; negative: nobody has asked for the size."""

    media_type = _MEDIA_TYPE

    def entry(self, name: RepositoryName, digest: Digest) -> str:
        """See above."""
        return f"{_members(name)}::{digest}"

    def read(self, told: object) -> int | None:
        """See above."""
        text = told.decode("ascii", "replace") if isinstance(told, bytes) else ""
        if not text.removeprefix("-").isdecimal() or not -1 <= (value := int(text)) < _KNOWS_LARGEST:
            return None
        return value

    async def ask(self, redis: RedisClient, name: RepositoryName, digest: Digest) -> tuple[int | None, bool]:
        """See above: what Distribution 2 has deleted lacks its digest in the other hash, and nothing else."""

        def both(asked: "Pipeline") -> None:
            asked.hmget(self.entry(name, digest), [_FIELD, "mediatype"])
            asked.hget(f"blobs::{digest}", "digest")

        found, described = await answers(redis, both)
        if not isinstance(found, list) or described != str(digest).encode():
            return None, False
        told, media_type = found
        return self.read(told), told is None and media_type is not None

    async def taken_over(self, redis: RedisClient, name: RepositoryName, digest: Digest) -> int | None:
        """See above: it counts where the set has the digest too, and the other hash its size."""

        def both(asked: "Pipeline") -> None:
            asked.sismember(_members(name), str(digest))
            asked.hget(f"blobs::{digest}", "size")

        is_member, told = await answers(redis, both)
        size_bytes = self.read(told)
        return size_bytes if is_member == 1 and size_bytes is not None and size_bytes >= 0 else None

    async def told_others(self, redis: RedisClient, name: RepositoryName, digest: Digest, value: int | None) -> None:
        """See above."""

        def tell(told: "Pipeline") -> None:
            if value is None:
                told.srem(_members(name), str(digest))
                return
            told.sadd(_members(name), str(digest))
            # Without a size, Distribution looks itself.
            size = str(value) if value >= 0 else ""
            told.eval(_DESCRIBE, 1, f"blobs::{digest}", str(digest), size, _MEDIA_TYPE)

        await answers(redis, tell)


class SharedManifestLinks(SharedLinks[str]):
    """Manifests of repositories, and their media types. Distribution remembers none."""

    def entry(self, name: RepositoryName, digest: Digest) -> str:
        """See above."""
        return f"moorage:repository::{name}::manifests::{digest}"

    def read(self, told: object) -> str | None:
        """See above."""
        text = told.decode("ascii", "replace") if isinstance(told, bytes) else ""
        return text if text.isprintable() and "/" in text else None


async def answers(redis: RedisClient, ask: "Callable[[Pipeline], object]") -> Sequence[object]:
    """Return what Redis says to each of several questions; None where the key is of another type.

    Raises:
        REDIS_ERRORS: it does not answer, or with another error.
    """
    async with redis.pipeline(transaction=False) as asked:
        ask(cast("Pipeline", asked))
        found: list[object] = await asked.execute(raise_on_error=False)
    for answer in found:
        if isinstance(answer, Exception) and not str(answer).startswith("WRONGTYPE"):
            raise answer
    return [None if isinstance(answer, Exception) else answer for answer in found]


def mark_of(entry: str) -> str:
    """Return the key that changes when an entry is taken away: in the same slot of a cluster."""
    return f"moorage:{{{entry}}}:taken"


def _members(name: RepositoryName) -> str:
    return f"repository::{name}::blobs"
