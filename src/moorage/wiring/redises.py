"""Each Redis that a configuration names. Its package is loaded only where there is one."""

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from moorage.config import Config
from moorage.config.redis_forms import main_redis
from moorage.config.sections.redis import RedisConnection
from moorage.core.sizes import SizeMemory
from moorage.health.questions import Ask

if TYPE_CHECKING:
    from moorage.redis.guarded import GuardedRedis


class Redises:
    """Clients of one process, by what they are for. They connect when they are first used."""

    def __init__(self, config: Config, *, observe: Callable[[str], None]) -> None:
        """*observe*: is told the section of each failure."""
        main, redis = main_redis(config.redis), config.redis
        self._main = None if main is None else _client("redis", main, observe)
        own = {"cache": redis.cache, "ratelimiter": redis.ratelimiter}
        if config.health.redis.enabled:
            own["loadbalancing"] = redis.loadbalancing  # Else replicas have a client of their own.
        self._own = {name: _client(f"redis.{name}", found, observe) for name, found in own.items() if found.enabled}

    @property
    def all(self) -> Mapping[str, Ask]:
        """Questions that each answers if it is well, by its section."""
        return {client.name: client.ping for client in self.clients()}

    @property
    def limiting(self) -> "GuardedRedis | None":
        """The one of rate limits."""
        return self._own.get("ratelimiter", self._main)

    @property
    def links(self) -> "GuardedRedis | None":
        """The one of ``storage.cache``: ``redis`` itself, as Distribution has it, else that of ``redis.cache``."""
        return self._main or self._own.get("cache")

    def sizes(self) -> SizeMemory | None:
        """Return the sizes that all nodes share; None: there are none."""
        client = self._own.get("cache", self._main)
        if client is None:
            return None
        from moorage.core.shared_sizes import SharedSizes  # noqa: PLC0415 - as above

        return SharedSizes(client)

    async def close(self) -> None:
        """Let go of every connection."""
        for client in self.clients():
            await client.close()

    def clients(self) -> "Sequence[GuardedRedis]":
        """Return all of them."""
        return (*self._own.values(), *(() if self._main is None else (self._main,)))


def _client(name: str, settings: RedisConnection, observe: Callable[[str], None]) -> "GuardedRedis":
    from moorage.redis.guarded import GuardedRedis  # noqa: PLC0415 - who has no Redis need not wait for it

    return GuardedRedis(settings, name=name, observe=observe)
