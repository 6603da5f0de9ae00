"""``database``: metadata in SQLite or PostgreSQL."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from moorage.config.section import Count, Duration, Flag, Secret, Section, Text, Whole, now, unused


class DatabasePool(Section):
    """``database.pool``"""

    maxidle: Whole = now(0, "Idle connections kept; 0: none; left out: as many as are open.")
    maxopen: Count = now(0, "Connections of a worker at most; 0: 10.")
    maxlifetime: Duration = now(timedelta(0), "Age at which a connection is closed; 0: never.")
    maxidletime: Duration = now(timedelta(0), "Idle time after which a connection is closed; 0: never.")


class BackgroundMigrations(Section):
    """``database.backgroundmigrations``"""

    enabled: Flag = now(False, "Run them while serving; it needs no `REGISTRY_FF_BBM` beside it.")
    maxjobretries: Count = now(0, "Tries of a failed job; 0: 5.")
    jobinterval: Duration = now(timedelta(minutes=1), "Pause between jobs.")


class LoadBalancing(Section):
    """``database.loadbalancing``"""

    enabled: Flag = now(False, "True: reads go to replicas. Needs `redis.loadbalancing`.")
    hosts: list[Text] = now([], "The replicas.")
    nameserver: Text = now("localhost", "DNS server that knows them.")
    port: Whole = now(8600, "Its port.")
    record: Text = now("", "The SRV record; takes precedence over `hosts`.")
    replicacheckinterval: Duration = now(timedelta(minutes=1), "How often their lag is checked.")


class DatabaseMetrics(Section):
    """``database.metrics``"""

    enabled: Flag = now(
        False, "True: row counts are among the metrics; of each node the same, as each counts for itself."
    )
    interval: Duration = now(timedelta(seconds=10), "How long a count stands before a scrape counts again; 0: 10s.")
    leaseduration: Duration = unused(
        timedelta(seconds=30), "How long one GitLab node counts for all; here each counts for itself."
    )


def _enabled(value: object) -> object:
    # Also in quotes, as GitLab; 1 is no truth value, though it equals one.
    found = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    if not isinstance(found, bool) and found != "prefer":
        msg = "true, false or prefer is needed"
        raise ValueError(msg)
    return found


def _file_name(value: str) -> str:
    if value.startswith((":", "file:")):
        msg = "the path of a file is needed; every process opens it for itself, so it cannot be in memory"
        raise ValueError(msg)
    return value


class DatabaseSection(Section):
    """``database``"""

    enabled: Annotated[Literal[False, True, "prefer"], BeforeValidator(_enabled)] = now(
        False,
        "Metadata lives in the database: true, false or prefer (unless storage has images as link files). "
        "Lock files in storage keep the two from being mixed unless `REGISTRY_FF_ENFORCE_LOCKFILES` is `false`; "
        "GitLab checks them only where it is `true`.",
    )
    adopt: Flag = now(
        False,
        "True: what storage has as link files is served at once, and taken over while the registry is used. Needs "
        "`enabled: true` and an empty database; does nothing once all is taken over.",
    )
    sqlite: Annotated[Text, AfterValidator(_file_name)] = now("", "Path of an SQLite file instead of PostgreSQL.")
    host: Text = now(
        "", "PostgreSQL's host; several, with commas between them, are tried in turn until one takes writes."
    )
    port: Whole = now(0, "Its port; 0: 5432.")
    user: Text = now("", "Its user.")
    password: Secret = now("", "The user's password.")
    dbname: Text = now("", "The database.")
    sslmode: Literal["", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = now("", "As libpq's.")
    sslcert: Text = now("", "The client's certificate.")
    sslkey: Text = now("", "The client's key.")
    sslrootcert: Text = now("", "The authority's certificate.")
    connecttimeout: Duration = now(timedelta(0), "Deadline of connecting, for each host; 0: 10s.")
    draintimeout: Duration = now(timedelta(0), "Deadline of closing at the end; 0: 10s.")
    preparedstatements: Flag = now(False, "Prepare statements; not behind PgBouncer's transaction pooling.")
    primary: Text = now("", "Host for migrations and imports, past a pooler.")
    pool: DatabasePool = now(DatabasePool, "Connections.")
    backgroundmigrations: BackgroundMigrations = now(BackgroundMigrations, "Large migrations while serving.")
    loadbalancing: LoadBalancing = now(LoadBalancing, "Replicas.")
    metrics: DatabaseMetrics = now(DatabaseMetrics, "Row counts.")
