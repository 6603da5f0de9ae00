"""How PostgreSQL is reached: TLS in each mode with real certificates, several hosts, and what the start says."""

import socket
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from moorage.errors import ConfigurationError, DatabaseUnavailable
from moorage.metadata.schema.migration_plan import Wish
from moorage.metadata.schema.migrator import up
from moorage.sql.database_place import PostgresSettings
from moorage.sql.postgres.postgres_check import check_server
from moorage.sql.postgres.postgres_connect import PgAddress, addresses_of
from moorage.sql.postgres.postgres_database import PostgresDatabase
from support.components import need
from support.postgres import Postgres, opened, settings_for
from unit.sql.certificates import Authority
from unit.sql.statements import q

IS_TLS = q("SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
PORT = q("SELECT current_setting('port')::bigint")


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    need("openssl")
    return Authority(tmp_path_factory.mktemp("authority"), "ours")


@pytest.fixture(scope="module")
def secure(authority: Authority) -> Iterator[Postgres]:
    """A server that speaks TLS, lets nobody in without it, and lets ``certified`` in by its certificate."""
    made = authority.certify("127.0.0.1", "IP:127.0.0.1")
    with Postgres(
        settings={"ssl": "on", "ssl_cert_file": "s.crt", "ssl_key_file": "s.key", "ssl_ca_file": "ca.crt"},
        files={
            "s.crt": made.certificate.read_bytes(),
            "s.key": made.key.read_bytes(),
            "ca.crt": authority.certificate.read_bytes(),
        },
        hba=["hostssl all certified 127.0.0.1/32 cert", "hostnossl all all 127.0.0.1/32 reject"],
    ) as server:
        server.psql("CREATE ROLE certified LOGIN")
        yield server


async def is_tls(settings: PostgresSettings) -> bool:
    database = await PostgresDatabase.open(settings)
    try:
        row = await database.first(IS_TLS)
    finally:
        await database.close()
    assert row is not None
    return bool(row[0])


@pytest.mark.parametrize("mode", ["allow", "prefer", "require"])
async def test_tls_is_used_where_the_server_wants_it(secure: Postgres, mode: str) -> None:
    assert await is_tls(settings_for(secure, "postgres", sslmode=mode))


@pytest.mark.parametrize("mode", ["disable", "allow", "prefer"])
async def test_plain_connections_are_made_where_the_server_has_no_tls(postgres: Postgres, mode: str) -> None:
    assert not await is_tls(settings_for(postgres, "postgres", sslmode=mode))


async def test_what_asks_for_tls_takes_nothing_less(postgres: Postgres, authority: Authority) -> None:
    for mode in ("require", "verify-ca", "verify-full"):
        given = settings_for(postgres, "postgres", sslmode=mode, sslrootcert=str(authority.certificate))
        with pytest.raises(DatabaseUnavailable, match="SSL"):
            await is_tls(given)
        with pytest.raises(ConfigurationError, match=r"database\.sslmode: the server does not offer TLS"):
            await check_server(given)


async def test_without_tls_a_server_that_wants_it_refuses(secure: Postgres) -> None:
    with pytest.raises(DatabaseUnavailable, match="pg_hba"):
        await is_tls(settings_for(secure, "postgres", sslmode="disable"))


@pytest.mark.parametrize("mode", ["require", "verify-ca", "verify-full"])
async def test_the_server_is_verified(secure: Postgres, authority: Authority, tmp_path: Path, mode: str) -> None:
    given = settings_for(secure, "postgres", sslmode=mode, sslrootcert=str(authority.certificate))
    assert await is_tls(given)
    stranger = replace(given, sslrootcert=str(Authority(tmp_path, "stranger").certificate))
    with pytest.raises(DatabaseUnavailable, match="certificate verify failed"):
        await is_tls(stranger)
    with pytest.raises(ConfigurationError, match=r"database\.sslmode: TLS fails: .*certificate verify failed"):
        await check_server(stranger)


async def test_only_verify_full_looks_at_the_name(secure: Postgres, authority: Authority) -> None:
    given = settings_for(secure, "postgres", host="localhost", sslrootcert=str(authority.certificate))
    assert await is_tls(replace(given, sslmode="verify-ca"))
    with pytest.raises(DatabaseUnavailable, match="localhost"):
        await is_tls(replace(given, sslmode="verify-full"))


async def test_a_client_certificate_is_shown(secure: Postgres, authority: Authority) -> None:
    mine = authority.certify("certified")
    given = settings_for(secure, "postgres", user="certified", password="", sslmode="require")
    assert await is_tls(replace(given, sslcert=str(mine.certificate), sslkey=str(mine.key)))
    with pytest.raises(DatabaseUnavailable):
        await is_tls(given)


async def test_the_start_names_files_that_cannot_be_read(postgres: Postgres) -> None:
    given = settings_for(postgres, "postgres", sslmode="verify-full", sslrootcert="/nowhere/ca", sslcert="/nowhere/c")
    with pytest.raises(ConfigurationError) as caught:
        await check_server(given)
    assert [str(mistake) for mistake in caught.value.mistakes] == [
        "database.sslcert: /nowhere/c cannot be read: No such file or directory",
        "database.sslrootcert: /nowhere/ca cannot be read: No such file or directory",
    ]


async def test_the_start_says_who_is_not_let_in_and_what_is_not_there(postgres: Postgres) -> None:
    good = settings_for(postgres, "postgres")
    await check_server(good)
    with pytest.raises(ConfigurationError, match=r"database\.user: the server does not let this user in: .*registry"):
        await check_server(replace(good, password="wrong"))
    with pytest.raises(ConfigurationError, match=r"database\.dbname: the server has no such database: .*nowhere"):
        await check_server(replace(good, dbname="nowhere"))
    with pytest.raises(DatabaseUnavailable, match="no connection"):
        await check_server(replace(good, port=1))


async def test_the_start_refuses_an_old_server(postgres: Postgres) -> None:
    with pytest.raises(
        ConfigurationError,
        match=r"database version is lower than the minimal supported version: it is 15\.\d+, 99\.0 is needed",
    ):
        await check_server(settings_for(postgres, "postgres"), minimum_version=99)


async def test_a_standby_is_refused_and_passed_over(postgres: Postgres) -> None:
    with Postgres(standby_of=postgres) as standby:
        alone = settings_for(standby, "postgres")
        with pytest.raises(ConfigurationError, match=r"read-only mode \(in recovery\)"):
            await check_server(alone)
        async with opened(standby, "postgres") as database:
            with pytest.raises(DatabaseUnavailable, match="read-only"):
                await database.ping()
        async with opened(standby, "postgres", is_writable=False) as database:
            assert await database.first(PORT) == (standby.port,)
            with pytest.raises(DatabaseUnavailable, match="read-only"):
                await database.ping()
        both = f"127.0.0.1:{standby.port},127.0.0.1:{postgres.port}"
        await check_server(replace(alone, host=both))
        async with opened(standby, "postgres", host=both) as database:
            await database.ping()
            assert await database.first(PORT) == (postgres.port,)


async def test_a_silent_host_does_not_use_up_the_time_of_the_others(postgres: Postgres) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        hosts = f"127.0.0.1:{silent.getsockname()[1]},127.0.0.1:{postgres.port}"
        async with opened(postgres, "postgres", host=hosts, connect_timeout=timedelta(seconds=0.3)) as database:
            assert await database.first(PORT) == (postgres.port,)


async def test_a_unix_socket_is_a_host(postgres: Postgres) -> None:
    async with opened(postgres, "postgres", host=str(postgres.folder)) as database:
        assert await database.first(PORT) == (postgres.port,)


def test_hosts_may_say_their_port() -> None:
    given = PostgresSettings(host="a, b:1,[::1]:2,[::2],::3,/run/postgresql", port=5)
    assert addresses_of(given) == [
        PgAddress("a", 5),
        PgAddress("b", 1),
        PgAddress("::1", 2),
        PgAddress("::2", 5),
        PgAddress("::3", 5),
        PgAddress("/run/postgresql", 5),
    ]


def test_migrations_go_to_the_primary() -> None:
    given = PostgresSettings(host="pooler", primary="database")
    assert given.of_primary().host == "database"
    assert PostgresSettings(host="only").of_primary().host == "only"


def test_a_password_is_not_shown() -> None:
    assert "secret" not in repr(PostgresSettings(password="secret"))


async def test_a_database_that_cannot_hold_every_character_is_refused(postgres: Postgres) -> None:
    postgres.psql("CREATE DATABASE of_latin ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    postgres.psql("CREATE DATABASE of_bytes ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    with pytest.raises(ConfigurationError, match=r"database\.dbname: the database is encoded in LATIN1, .* 'UTF8'"):
        await check_server(settings_for(postgres, "of_latin"))
    with pytest.raises(ConfigurationError, match="encoded in LATIN1"):
        await up(settings_for(postgres, "of_latin"), Wish())
    await check_server(settings_for(postgres, "of_bytes"))
