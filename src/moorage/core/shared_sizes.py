"""Sizes of repositories in Redis, so that one measurement is enough for all workers and nodes (``redis.cache``)."""

import hashlib
import json

from moorage.core.sizes import REMEMBERED_S, Precision, Size
from moorage.redis.guarded import GuardedRedis, RedisUnavailable


class SharedSizes:
    """Sizes that others have measured. A Redis that does not answer, or says nonsense, has none."""

    def __init__(self, redis: GuardedRedis) -> None:
        self._redis = redis

    async def find(self, repository: str, *, with_descendants: bool, last_change: int) -> Size | None:
        """Return a size that was measured when the repository was as it is now; None: there is none."""
        try:
            async with self._redis.turn() as redis:
                return _read(await redis.get(key_of(repository, with_descendants=with_descendants)), last_change)
        except RedisUnavailable:
            return None

    async def keep(self, repository: str, size: Size, *, with_descendants: bool, last_change: int) -> None:
        """Tell others of a size."""
        told = json.dumps({"bytes": size.size_bytes, "precision": size.precision.value, "change": last_change})
        try:
            async with self._redis.turn() as redis:
                await redis.set(key_of(repository, with_descendants=with_descendants), told, ex=int(REMEMBERED_S))
        except RedisUnavailable:
            return


def key_of(repository: str, *, with_descendants: bool) -> str:
    """The key of a size. Not GitLab's (features RED-003), whose value does not say what it was measured of."""
    digest = hashlib.sha256(repository.encode()).hexdigest()
    return f"moorage:{{size:{digest}}}:{'all' if with_descendants else 'own'}"


def _read(told: object, last_change: int) -> Size | None:
    """Raises ValueError where it is no JSON, which counts as no answer."""
    found = json.loads(told) if isinstance(told, bytes) else None
    if not isinstance(found, dict) or found.get("change") != last_change:
        return None
    size_bytes, precision = found.get("bytes"), found.get("precision")
    if not isinstance(size_bytes, int) or isinstance(size_bytes, bool) or size_bytes < 0:
        return None
    return Size(size_bytes, Precision(precision))
