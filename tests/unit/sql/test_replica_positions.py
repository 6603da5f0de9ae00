"""Positions in a real Redis: one server, behind a Sentinel, in a cluster."""

import hashlib
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from moorage.config.sections.redis import RedisConnection
from moorage.errors import DatabaseUnavailable
from moorage.sql.replicas.replica_positions import Position, PositionStore, format_lsn, keys_of, parse_lsn
from support.components import need
from support.ports import free_port
from support.redis import Redis, cluster, watched

LIMIT_S = 30.0


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with Redis() as redis:
        yield redis


@pytest.fixture
async def store(redis: Redis) -> AsyncIterator[PositionStore]:
    store = PositionStore(RedisConnection(enabled=True, addr=redis.address))
    yield store
    await store.close()


async def test_the_key_and_the_value_are_gitlabs(redis: Redis, store: PositionStore, repository: str) -> None:
    await store.raise_to(repository, Position(0x16_B374D848, 3), limit_s=LIMIT_S)
    key = f"registry:db:{{repository:t:{hashlib.sha256(repository.encode()).hexdigest()}}}:lsn"
    assert redis.cli("GET", key) == "16/B374D848"
    assert 3590 < int(redis.cli("TTL", key)) <= 3600


async def test_what_gitlab_recorded_is_understood(redis: Redis, store: PositionStore, repository: str) -> None:
    redis.cli("SET", keys_of(repository)[0], "1/0000002a")
    assert await store.find(repository, limit_s=LIMIT_S) == Position((1 << 32) + 42, 0)


async def test_a_repository_never_written_has_no_position(store: PositionStore, repository: str) -> None:
    assert await store.find(repository, limit_s=LIMIT_S) is None


@pytest.mark.parametrize("low", [0x99, 0xA, 0xFFFFFFFF])
async def test_a_position_only_grows(store: PositionStore, repository: str, low: int) -> None:
    name = f"{repository}/{low}"
    high = Position((9 << 32) + 0x100, 1)
    await store.raise_to(name, high, limit_s=LIMIT_S)
    await store.raise_to(name, Position((8 << 32) + low, 1), limit_s=LIMIT_S)
    assert await store.find(name, limit_s=LIMIT_S) == high
    await store.raise_to(name, Position((16 << 32) + low, 1), limit_s=LIMIT_S)
    assert await store.find(name, limit_s=LIMIT_S) == Position((16 << 32) + low, 1)


async def test_a_new_timeline_is_told_even_if_its_position_is_lower(store: PositionStore, repository: str) -> None:
    await store.raise_to(repository, Position(500, 1), limit_s=LIMIT_S)
    await store.raise_to(repository, Position(400, 2), limit_s=LIMIT_S)
    assert await store.find(repository, limit_s=LIMIT_S) == Position(500, 2)
    await store.raise_to(repository, Position(600, 1), limit_s=LIMIT_S)
    assert await store.find(repository, limit_s=LIMIT_S) == Position(600, 2)


@pytest.mark.parametrize("value", ["", "1", "x/y", "1/2/3", "123456789/0"])
async def test_nonsense_is_no_position(redis: Redis, store: PositionStore, repository: str, value: str) -> None:
    redis.cli("SET", keys_of(repository)[0], value)
    with pytest.raises(DatabaseUnavailable, match="not a position"):
        await store.find(repository, limit_s=LIMIT_S)


async def test_nobody_there_is_an_error_of_ours() -> None:
    store = PositionStore(RedisConnection(enabled=True, addr=f"127.0.0.1:{free_port()}"))
    for attempt in (
        store.find("a", limit_s=LIMIT_S),
        store.raise_to("a", Position(1, 1), limit_s=LIMIT_S),
        store.ping(limit_s=LIMIT_S),
    ):
        with pytest.raises(DatabaseUnavailable, match=r"redis\.loadbalancing"):
            await attempt
    await store.close()


async def test_no_answer_in_time_is_an_error_of_ours(redis: Redis, store: PositionStore) -> None:
    await store.ping(limit_s=LIMIT_S)
    redis.cli("CLIENT", "PAUSE", "300", "ALL")
    with pytest.raises(DatabaseUnavailable):
        await store.find("a", limit_s=0.05)
    redis.cli("CLIENT", "UNPAUSE")
    assert await store.find("a", limit_s=LIMIT_S) is None


async def test_a_server_with_a_password_lets_only_those_in_who_know_it() -> None:
    with Redis(password="open sesame") as redis:
        wrong = PositionStore(RedisConnection(enabled=True, addr=redis.address))
        with pytest.raises(DatabaseUnavailable):
            await wrong.ping(limit_s=LIMIT_S)
        await wrong.close()
        right = PositionStore(RedisConnection(enabled=True, addr=redis.address, password=redis.password, db=3))
        await right.raise_to("a", Position(7, 1), limit_s=LIMIT_S)
        assert redis.cli("-n", "3", "DBSIZE") == "2"
        await right.close()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that is its own authority, with ``tls.key`` beside it."""
    need("openssl")
    path = tmp_path_factory.mktemp("tls") / "tls.crt"
    kind = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    subject = ("-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    made = ("-keyout", str(path.with_suffix(".key")), "-out", str(path))
    subprocess.run(["openssl", "req", "-x509", *kind, *subject, *made], check=True, capture_output=True)
    return path


@pytest.mark.parametrize(
    ("trust", "works"), [({}, False), ({"insecure": True}, True), ({"rootcas": ["it"]}, True)], ids=str
)
async def test_over_tls_only_a_trusted_server_is_told(
    certificate: Path,
    trust: dict[str, object],
    works: bool,  # noqa: FBT001 - a column of the table
) -> None:
    if "rootcas" in trust:
        trust = {"rootcas": [str(certificate)]}
    port, files = (
        free_port(),
        ("--tls-cert-file", str(certificate), "--tls-key-file", str(certificate.with_suffix(".key"))),
    )
    with Redis("--tls-port", str(port), *files, "--tls-auth-clients", "no"):
        settings = {"enabled": True, "addr": f"127.0.0.1:{port}", "tls": {"enabled": True} | trust}
        store = PositionStore(RedisConnection.model_validate(settings))
        if works:
            await store.ping(limit_s=LIMIT_S)
        else:
            with pytest.raises(DatabaseUnavailable, match="certificate"):
                await store.ping(limit_s=LIMIT_S)
        await store.close()


async def test_a_sentinel_is_asked_where_the_server_is() -> None:
    with Redis(password="secret") as redis, watched("main", redis) as sentinel:
        store = PositionStore(
            RedisConnection(enabled=True, addr=sentinel.address, mainname="main", password=redis.password)
        )
        await store.raise_to("a/b", Position(77, 1), limit_s=LIMIT_S)
        assert await store.find("a/b", limit_s=LIMIT_S) == Position(77, 1)
        assert redis.cli("GET", keys_of("a/b")[0]) == "0/4D"
        await store.close()


async def test_a_cluster_keeps_each_repository_where_it_belongs() -> None:
    with cluster() as nodes:
        store = PositionStore(RedisConnection(enabled=True, addr=",".join(node.address for node in nodes[:2])))
        for number in range(20):
            await store.raise_to(f"r{number}", Position(number + 1, 1), limit_s=LIMIT_S)
        found = [await store.find(f"r{number}", limit_s=LIMIT_S) for number in range(20)]
        assert found == [Position(number + 1, 1) for number in range(20)]
        assert all(int(node.cli("DBSIZE")) > 0 for node in nodes)
        await store.close()


@pytest.mark.parametrize("lsn", [0, 1, 0xFFFFFFFF, 1 << 32, 0x16_B374D848, (1 << 64) - 1])
def test_positions_are_written_as_postgresql_does(lsn: int) -> None:
    assert parse_lsn(format_lsn(lsn).encode()) == lsn
