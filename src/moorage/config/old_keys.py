"""Old names of keys: what is said of those that are old, and of those that a newer name beside them overrules.

An old name that does what it did is taken without a word.
"""

from collections.abc import Iterator, Mapping

from moorage.config.root import Config
from moorage.config.sections.notifications import NotificationEndpoint


def old_key_warnings(config: Config) -> Iterator[str]:
    """Yield a warning for each old key that has no effect, or that means something else than its number says."""
    redis = config.redis
    yield from _overruled({"log.level": config.log.level, "loglevel": config.loglevel})
    cache = config.storage.cache
    yield from _overruled(
        {"storage.cache.blobdescriptor": cache.blobdescriptor, "storage.cache.layerinfo": cache.layerinfo}
    )
    yield from _overruled({"redis.mainname": redis.mainname, "redis.mastername": redis.mastername})
    sizes = {"redis.poolsize": redis.poolsize, "redis.pool.maxactive": redis.pool.maxactive}
    if "size" in redis.pool.model_fields_set:
        sizes["redis.pool.size"] = redis.pool.size
    yield from _overruled(sizes)
    for place, endpoint in enumerate(config.notifications.endpoints):
        if not endpoint.disabled:
            yield from _threshold(f"notifications.endpoints[{place}]", endpoint)


def _overruled(values: Mapping[str, object]) -> Iterator[str]:
    """Warnings for all names of one thing but the first that is given, if they say something else."""
    given = {name: value for name, value in values.items() if value}
    for name in list(given)[1:]:
        first = next(iter(given))
        if given[name] != given[first]:
            yield f"{name}: without effect beside {first}, which is the same by another name; take one of them out"


def _threshold(path: str, endpoint: NotificationEndpoint) -> Iterator[str]:
    retries = endpoint.maxretries if "maxretries" in endpoint.model_fields_set else 0
    if endpoint.threshold and not retries:
        yield f"{path}.threshold: old; write maxretries, the number of tries after the first, in its place"
    elif endpoint.threshold and endpoint.threshold != retries:  # GitLab's package writes both alike.
        yield f"{path}.threshold: old, and without effect beside maxretries; take it out"
