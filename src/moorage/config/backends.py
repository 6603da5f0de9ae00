"""``database``, ``redis`` and ``gc``."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator

from moorage.config.section import Count, Duration, Flag, Secret, Section, SignedDuration, Text, Whole, later, now


class DatabasePool(Section):
    """``database.pool``"""

    maxidle: Whole = now(0, "Idle connections kept; 0: none; left out: as many as are open.")
    maxopen: Count = now(0, "Connections of a worker at most; 0: 10.")
    maxlifetime: Duration = now(timedelta(0), "Age at which a connection is closed; 0: never.")
    maxidletime: Duration = now(timedelta(0), "Idle time after which a connection is closed; 0: never.")


class BackgroundMigrations(Section):
    """``database.backgroundmigrations``"""

    enabled: Flag = now(False, "Whether to run them while serving; it needs no `REGISTRY_FF_BBM` beside it.")
    maxjobretries: Count = now(0, "Tries of a failed job; 0: 5.")
    jobinterval: Duration = now(timedelta(minutes=1), "Pause between jobs.")


class LoadBalancing(Section):
    """``database.loadbalancing``"""

    enabled: Flag = now(False, "Whether reads go to replicas. Needs `redis.loadbalancing`.")
    hosts: list[Text] = now([], "The replicas.")
    nameserver: Text = now("localhost", "DNS server that knows them.")
    port: Whole = now(8600, "Its port.")
    record: Text = now("", "The SRV record; takes precedence over `hosts`.")
    replicacheckinterval: Duration = now(timedelta(minutes=1), "How often their lag is checked.")


class DatabaseMetrics(Section):
    """``database.metrics``"""

    enabled: Flag = now(
        False, "Whether row counts are among the metrics; of each node the same, as each counts for itself."
    )
    interval: Duration = now(timedelta(seconds=10), "How long a count stands before a scrape counts again; 0: 10s.")
    leaseduration: Duration = later(timedelta(seconds=30), "How long one node counts for all.")


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
        "Whether metadata lives in the database: true, false or prefer (unless storage has images as link files). "
        "Lock files in storage keep the two from being mixed unless `REGISTRY_FF_ENFORCE_LOCKFILES` is `false`; "
        "GitLab checks them only where it is `true`.",
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
    preparedstatements: Flag = now(False, "Whether to prepare statements; not behind PgBouncer's transaction pooling.")
    primary: Text = now("", "Host for migrations and imports, past a pooler.")
    pool: DatabasePool = now(DatabasePool, "Connections.")
    backgroundmigrations: BackgroundMigrations = now(BackgroundMigrations, "Large migrations while serving.")
    loadbalancing: LoadBalancing = now(LoadBalancing, "Replicas.")
    metrics: DatabaseMetrics = now(DatabaseMetrics, "Row counts.")


class RedisTLS(Section):
    """``redis.tls``"""

    enabled: Flag = now(False, "Whether to speak TLS.")
    insecure: Flag = now(False, "Whether to trust any certificate.")
    certificate: Text = now("", "Distribution: PEM file of the client's certificate.")
    key: Text = now("", "Distribution: PEM file of its private key.")
    rootcas: list[Text] = now([], "Distribution: PEM files of trusted authorities.")


class RedisPool(Section):
    """``redis.pool``"""

    size: Count = now(10, "Connections at most.")
    maxlifetime: Duration = now(timedelta(0), "Age at which a connection is closed; 0: never.")
    idletimeout: Duration = now(timedelta(0), "Idle time after which a connection is closed; 0: never.")
    maxidle: Count = now(0, "Distribution's old name.")
    maxactive: Count = now(0, "Distribution's old name.")


class RedisConnection(Section):
    """One Redis: ``redis.cache``, ``redis.ratelimiter``, ``redis.loadbalancing``."""

    enabled: Flag = now(False, "Whether it is used.")
    addr: Text = now("", "host:port; several, comma-separated, for Sentinel (with `mainname`) or Cluster.")
    mainname: Text = now("", "Sentinel's name of the main server.")
    sentinelusername: Text = now("", "Sentinel's user.")
    sentinelpassword: Secret = now("", "Sentinel's password.")
    username: Text = now("", "The user.")
    password: Secret = now("", "The user's password.")
    db: Count = now(0, "The database's number.")
    dialtimeout: Duration = now(timedelta(0), "Deadline of connecting.")
    readtimeout: SignedDuration = now(timedelta(0), "Deadline of an answer.")
    writetimeout: SignedDuration = now(timedelta(0), "Deadline of a command.")
    tls: RedisTLS = now(RedisTLS, "TLS.")
    pool: RedisPool = now(RedisPool, "Connections.")


class Redis(RedisConnection):
    """``redis``: the connection for blob descriptors, and those for other uses below it."""

    later_keys = frozenset(RedisConnection.model_fields)

    cache: RedisConnection = later(RedisConnection, "For the repository cache.")
    ratelimiter: RedisConnection = later(RedisConnection, "For rate limits.")
    loadbalancing: RedisConnection = now(RedisConnection, "For following writes.")
    options: dict[str, object] = later({}, "Distribution v3's options.", repr=False)
    addrs: list[Text] = later([], "Distribution's list of addresses.")
    mastername: Text = later("", "Distribution's `mainname`.")
    clientname: Text = later("", "Distribution: this client's name.")
    protocol: Count = later(0, "Distribution: version of the protocol.")
    poolsize: Count = later(0, "Distribution's `pool.size`.")
    poolfifo: Flag = later(False, "Distribution: whether the connection that waited longest is used first.")
    pooltimeout: SignedDuration = later(timedelta(0), "Distribution: how long to wait for a connection.")
    minidleconns: Count = later(0, "Distribution: idle connections at least.")
    maxidleconns: Count = later(0, "Distribution: idle connections at most.")
    maxactiveconns: Count = later(0, "Distribution: connections at most.")
    connmaxidletime: SignedDuration = later(timedelta(0), "Distribution's `pool.idletimeout`.")
    connmaxlifetime: SignedDuration = later(timedelta(0), "Distribution's `pool.maxlifetime`.")
    maxretries: Whole = later(0, "Distribution: tries after the first; -1: none.")
    minretrybackoff: SignedDuration = later(timedelta(0), "Distribution: the shortest pause between tries.")
    maxretrybackoff: SignedDuration = later(timedelta(0), "Distribution: the longest.")
    contexttimeoutenabled: Flag = later(False, "Distribution: whether a request's deadline counts, too.")
    maxredirects: Whole = later(0, "Distribution: redirects followed in a cluster.")
    readonly: Flag = later(False, "Distribution: whether replicas are read.")
    routebylatency: Flag = later(False, "Distribution: whether the nearest replica is read.")
    routerandomly: Flag = later(False, "Distribution: whether any replica is read.")
    disableidentity: Flag = later(False, "Distribution: whether the client does not name its library.")
    identitysuffix: Text = later("", "Distribution: added to the library's name.")
    unstableresp3: Flag = later(False, "Distribution: whether unfinished parts of protocol 3 are used.")


class GCBlobs(Section):
    """``gc.blobs``"""

    disabled: Flag = now(False, "Whether blobs are not collected.")
    interval: Duration = now(timedelta(seconds=5), "Pause after a round of reviews that left nothing waiting.")
    storagetimeout: Duration = now(
        timedelta(seconds=5), "After so long the removal of a round's blobs from storage counts as slow, in the log."
    )


class GCManifests(Section):
    """``gc.manifests``"""

    disabled: Flag = now(False, "Whether manifests are not collected: then those without a tag stay, too.")
    interval: Duration = now(timedelta(seconds=5), "Pause after a round of reviews that left nothing waiting.")


class GC(Section):
    """``gc``: online garbage collection, with a metadata database."""

    disabled: Flag = now(False, "Whether this node does not collect.")
    noidlebackoff: Flag = now(False, "Whether to look as often when there is nothing to do.")
    maxbackoff: Duration = now(timedelta(hours=24), "The longest pause while there is nothing to do.")
    errorcooldownperiod: Duration = now(
        timedelta(0), "For so long after an error, pauses are not made short again when there is work."
    )
    transactiontimeout: Duration = now(timedelta(seconds=10), "Deadline of each step in the database.")
    reviewafter: SignedDuration = now(
        timedelta(hours=24),
        "How long something stays after it was last needed, on all nodes: the time for an undo, and for a slow push; "
        "-1: no delay.",
    )
    blobs: GCBlobs = now(GCBlobs, "Blobs.")
    manifests: GCManifests = now(GCManifests, "Manifests.")
