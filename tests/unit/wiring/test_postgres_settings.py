"""The section ``database``, as the connection to PostgreSQL gets it."""

from datetime import timedelta

import pytest

from moorage.config.sections.database import DatabaseSection
from moorage.sql.database_place import PoolLimits, PostgresSettings, postgres_settings

PASSWORD = "a secret"


def test_what_is_not_given_is_as_the_client_library_of_postgresql_has_it() -> None:
    settings = postgres_settings(DatabaseSection(host="db", dbname="registry"))
    assert settings == PostgresSettings(host="db", dbname="registry", port=5432, sslmode="prefer")
    assert not settings.prepared_statements


def test_every_key_arrives() -> None:
    given = {
        **{name: name for name in ("host", "user", "dbname", "sslcert", "sslkey", "sslrootcert", "primary")},
        "port": 6432,
        "password": PASSWORD,
        "sslmode": "verify-full",
        "preparedstatements": True,
        "connecttimeout": "5s",
        "draintimeout": "7s",
        "pool": {"maxidle": 3, "maxopen": 5, "maxlifetime": "1h", "maxidletime": "2m"},
    }
    assert postgres_settings(DatabaseSection.model_validate(given)) == PostgresSettings(
        host="host",
        port=6432,
        user="user",
        password=PASSWORD,
        dbname="dbname",
        sslmode="verify-full",
        sslcert="sslcert",
        sslkey="sslkey",
        sslrootcert="sslrootcert",
        connect_timeout=timedelta(seconds=5),
        drain_timeout=timedelta(seconds=7),
        prepared_statements=True,
        primary="primary",
        pool=PoolLimits(max_open=5, max_idle=3, max_lifetime=timedelta(hours=1), max_idle_time=timedelta(minutes=2)),
    )


@pytest.mark.parametrize(
    ("pool", "kept"), [({}, None), ({"maxopen": 5}, None), ({"maxidle": 0}, 0), ({"maxidle": -1}, 0)]
)
def test_idle_connections_are_dropped_only_if_that_is_asked_for(pool: dict[str, int], kept: int | None) -> None:
    database = DatabaseSection.model_validate({"host": "db", "dbname": "registry", "pool": pool})
    assert postgres_settings(database).pool.max_idle == kept
