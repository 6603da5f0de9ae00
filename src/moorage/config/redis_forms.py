"""The main Redis of a configuration in one form, whichever of the three it was written in.

GitLab's is ``addr`` with commas and ``mainname``; Distribution 2 has ``addr`` and ``pool`` with other names;
Distribution 3 has ``addrs``, ``mastername`` and the names of its library.
"""

from collections.abc import Iterator

from moorage.config.sections.redis import Redis, RedisConnection
from moorage.errors import Mistake


def main_redis(section: Redis) -> RedisConnection | None:
    """Return the connection of the section ``redis`` itself; None: it has no address."""
    addr = section.addr or ",".join(section.addrs)
    if not addr:
        return None
    tls = section.tls
    if not tls.enabled and (tls.certificate or tls.key or tls.rootcas):
        tls = tls.model_copy(update={"enabled": True})  # Distribution has no switch.
    size = section.poolsize or section.pool.connections
    given = {name: getattr(section, name) for name in RedisConnection.model_fields}
    given |= {
        "enabled": True,
        "addr": addr,
        "mainname": section.mainname or section.mastername,
        "tls": tls,
        "pool": section.pool.model_copy(update={"size": size, "maxactive": 0}),
    }
    return RedisConnection.model_construct(**given)


def redis_mistakes(section: Redis) -> Iterator[Mistake]:
    """Yield what is wrong with any Redis of a configuration."""
    if section.addr and section.addrs:
        yield Mistake("redis.addrs", "is there beside redis.addr; take one of them out")
    for path, found in (
        ("redis.cache", section.cache),
        ("redis.ratelimiter", section.ratelimiter),
        ("redis.loadbalancing", section.loadbalancing),
    ):
        if found.enabled and path != "redis.loadbalancing" and not found.addr:
            yield Mistake(f"{path}.addr", f"is needed with {path}.enabled")
        yield from _address_mistakes(f"{path}.addr", found.addr.split(",") if found.enabled and found.addr else [])
    yield from _address_mistakes("redis.addr", section.addr.split(",") if section.addr else [])
    yield from _address_mistakes("redis.addrs", section.addrs)


def _address_mistakes(path: str, addresses: list[str]) -> Iterator[Mistake]:
    for address in addresses:
        _, colon, port = address.strip().rpartition(":")
        if not address.strip() or (colon and not port.endswith("]") and not port.isdecimal()):
            yield Mistake(path, f"{address[:60]!r} is no address; write host:port, several with commas")
            return
