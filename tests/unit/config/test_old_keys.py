"""Old names of keys: taken without a word where they do what they did, and with one where they do not."""

import pytest

from unit.config.reading import read

ENDPOINT = "notifications: {endpoints: [{url: 'http://a', %s}]}"
OVERRULED = "without effect beside {}, which is the same by another name; take one of them out"

OLD = "notifications.endpoints[0].threshold: old; write maxretries, the number of tries after the first, in its place"


@pytest.mark.parametrize(
    ("text", "warning"),
    [
        ("loglevel: debug", ""),
        ("loglevel: debug\nlog: {level: debug}", ""),
        ("loglevel: debug\nlog: {level: warn}", f"loglevel: {OVERRULED.format('log.level')}"),
        ("storage: {inmemory: , cache: {layerinfo: inmemory}}", ""),
        (
            "redis: {addr: a}\nstorage: {inmemory: , cache: {layerinfo: inmemory, blobdescriptor: redis}}",
            f"storage.cache.layerinfo: {OVERRULED.format('storage.cache.blobdescriptor')}",
        ),
        ("redis: {addr: a, pool: {maxactive: 5}}", ""),
        (
            "redis: {addr: a, pool: {maxactive: 5, size: 10}}",
            f"redis.pool.size: {OVERRULED.format('redis.pool.maxactive')}",
        ),
        (
            "redis: {addr: a, mainname: a, mastername: b}",
            f"redis.mastername: {OVERRULED.format('redis.mainname')}",
        ),
        (ENDPOINT % "maxretries: 4", ""),
        (ENDPOINT % "threshold: 5, maxretries: 5", ""),
        (ENDPOINT % "threshold: 5, disabled: true", ""),
        (ENDPOINT % "threshold: 5", OLD),
        (
            ENDPOINT % "threshold: 5, maxretries: 4",
            "notifications.endpoints[0].threshold: old, and without effect beside maxretries; take it out",
        ),
    ],
)
def test_an_old_key_is_warned_of_where_it_does_not_do_what_it_did(text: str, warning: str) -> None:
    assert read(text).warnings == ((warning,) if warning else ())
