"""A Redis in a configuration, in each of the forms that there are."""

import pytest

from moorage.config.redis_forms import main_redis
from unit.config.reading import mistakes_of, read


@pytest.mark.parametrize(
    ("text", "addr", "mainname", "size"),
    [
        ("addr: 'a:1', pool: {size: 5}", "a:1", "", 5),
        ("addr: 'a:1,b:2', mainname: main", "a:1,b:2", "main", 10),
        ("addr: 'a:1', pool: {maxidle: 16, maxactive: 64, idletimeout: 300s}", "a:1", "", 64),
        ("addrs: ['a:1']", "a:1", "", 10),
        ("addrs: ['a:1', 'b:2'], mastername: main, poolsize: 7", "a:1,b:2", "main", 7),
    ],
)
def test_every_form_is_one_connection(text: str, addr: str, mainname: str, size: int) -> None:
    found = main_redis(read(f"redis: {{{text}}}").config.redis)
    assert found is not None
    assert (found.addr, found.mainname, found.pool.connections, found.tls.enabled) == (addr, mainname, size, False)


def test_a_redis_of_one_use_takes_the_old_name_of_its_connections_too() -> None:
    found = read("redis: {cache: {enabled: true, addr: 'a:1', pool: {maxactive: 7}}}").config.redis.cache
    assert found.pool.connections == 7


def test_distribution_switches_tls_on_by_its_files() -> None:
    found = main_redis(read("redis: {addrs: ['a:1'], tls: {rootcas: [/ca.pem]}}").config.redis)
    assert found is not None
    assert (found.tls.enabled, found.tls.rootcas) == (True, ["/ca.pem"])


def test_without_an_address_there_is_none() -> None:
    assert main_redis(read("redis: {cache: {enabled: true, addr: 'a:1'}}").config.redis) is None


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("addr: 'a:1', addrs: ['b:2']", "redis.addrs"),
        ("addr: 'a:x'", "redis.addr"),
        ("addr: 'a:1,,b:2'", "redis.addr"),
        ("cache: {enabled: true}", "redis.cache.addr"),
        ("ratelimiter: {enabled: true, addr: 'a:b:c'}", "redis.ratelimiter.addr"),
    ],
)
def test_an_address_that_is_none_is_a_mistake(text: str, path: str) -> None:
    assert list(mistakes_of(f"redis: {{{text}}}")) == [path]


@pytest.mark.parametrize("key", ["blobdescriptor", "layerinfo"])
@pytest.mark.parametrize(
    ("more", "mistakes"),
    [
        ("", ["redis.addr"]),
        ("redis: {ratelimiter: {enabled: true, addr: 'a:1'}}", ["redis.addr"]),
        ("redis: {addr: 'a:1'}", []),
        ("redis: {addrs: ['a:1']}", []),
        ("redis: {cache: {enabled: true, addr: 'a:1'}}", []),
        ("database: {enabled: true, sqlite: /db}", []),
    ],
)
def test_a_cache_in_redis_without_a_redis_is_a_mistake(key: str, more: str, mistakes: list[str]) -> None:
    assert list(mistakes_of(f"storage: {{inmemory: , cache: {{{key}: redis}}}}\n{more}")) == mistakes
