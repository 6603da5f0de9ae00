"""``database``, ``redis`` and ``gc``."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import BeforeValidator

from moorage.config.section import Count, Duration, Flag, Secret, Section, SignedDuration, Text, Whole, later


class DatabasePool(Section):
    """``database.pool``"""

    maxidle: Whole = later(0, "Idle connections kept; 0: none.")
    maxopen: Count = later(0, "Connections at most; 0: any number.")
    maxlifetime: Duration = later(timedelta(0), "Age at which a connection is closed; 0: never.")
    maxidletime: Duration = later(timedelta(0), "Idle time after which a connection is closed; 0: never.")


class BackgroundMigrations(Section):
    """``database.backgroundmigrations``"""

    enabled: Flag = later(False, "Whether to run them while serving.")
    maxjobretries: Count = later(0, "Tries of a failed job; 0: 5.")
    jobinterval: Duration = later(timedelta(minutes=1), "Pause between jobs.")


class LoadBalancing(Section):
    """``database.loadbalancing``"""

    enabled: Flag = later(False, "Whether reads go to replicas.")
    hosts: list[Text] = later([], "The replicas.")
    nameserver: Text = later("localhost", "DNS server that knows them.")
    port: Whole = later(8600, "Its port.")
    record: Text = later("", "The SRV record; takes precedence over `hosts`.")
    replicacheckinterval: Duration = later(timedelta(minutes=1), "How often their lag is checked.")


class DatabaseMetrics(Section):
    """``database.metrics``"""

    enabled: Flag = later(False, "Whether row counts become metrics.")
    interval: Duration = later(timedelta(seconds=10), "How often to count.")
    leaseduration: Duration = later(timedelta(seconds=30), "How long one node counts for all.")


def _enabled(value: object) -> object:
    # Also in quotes, as GitLab; 1 is no truth value, though it equals one.
    found = {"true": True, "false": False}.get(value, value) if isinstance(value, str) else value
    if not isinstance(found, bool) and found != "prefer":
        msg = "true, false or prefer is needed"
        raise ValueError(msg)
    return found


class Database(Section):
    """``database``"""

    enabled: Annotated[Literal[False, True, "prefer"], BeforeValidator(_enabled)] = later(
        False, "Whether metadata lives in the database: true, false or prefer."
    )
    host: Text = later("", "PostgreSQL's host.")
    port: Whole = later(0, "Its port.")
    user: Text = later("", "Its user.")
    password: Secret = later("", "The user's password.")
    dbname: Text = later("", "The database.")
    sslmode: Literal["", "disable", "allow", "prefer", "require", "verify-ca", "verify-full"] = later("", "As libpq's.")
    sslcert: Text = later("", "The client's certificate.")
    sslkey: Text = later("", "The client's key.")
    sslrootcert: Text = later("", "The authority's certificate.")
    connecttimeout: Duration = later(timedelta(0), "Deadline of connecting; 0: none.")
    draintimeout: Duration = later(timedelta(0), "Deadline of closing at the end; 0: none.")
    preparedstatements: Flag = later(
        False, "Whether to prepare statements; not behind PgBouncer's transaction pooling."
    )
    primary: Text = later("", "Host for migrations and imports, past a pooler.")
    pool: DatabasePool = later(DatabasePool, "Connections.")
    backgroundmigrations: BackgroundMigrations = later(BackgroundMigrations, "Large migrations while serving.")
    loadbalancing: LoadBalancing = later(LoadBalancing, "Replicas.")
    metrics: DatabaseMetrics = later(DatabaseMetrics, "Row counts.")


class RedisTLS(Section):
    """``redis.tls``"""

    enabled: Flag = later(False, "Whether to speak TLS.")
    insecure: Flag = later(False, "Whether to trust any certificate.")
    certificate: Text = later("", "Distribution: PEM file of the client's certificate.")
    key: Text = later("", "Distribution: PEM file of its private key.")
    rootcas: list[Text] = later([], "Distribution: PEM files of trusted authorities.")


class RedisPool(Section):
    """``redis.pool``"""

    size: Count = later(10, "Connections at most.")
    maxlifetime: Duration = later(timedelta(0), "Age at which a connection is closed; 0: never.")
    idletimeout: Duration = later(timedelta(0), "Idle time after which a connection is closed; 0: never.")
    maxidle: Count = later(0, "Distribution's old name.")
    maxactive: Count = later(0, "Distribution's old name.")


class RedisConnection(Section):
    """One Redis: ``redis.cache``, ``redis.ratelimiter``, ``redis.loadbalancing``."""

    enabled: Flag = later(False, "Whether it is used.")
    addr: Text = later("", "host:port; several, comma-separated, for Sentinel (with `mainname`) or Cluster.")
    mainname: Text = later("", "Sentinel's name of the main server.")
    sentinelusername: Text = later("", "Sentinel's user.")
    sentinelpassword: Secret = later("", "Sentinel's password.")
    username: Text = later("", "The user.")
    password: Secret = later("", "The user's password.")
    db: Count = later(0, "The database's number.")
    dialtimeout: Duration = later(timedelta(0), "Deadline of connecting.")
    readtimeout: SignedDuration = later(timedelta(0), "Deadline of an answer.")
    writetimeout: SignedDuration = later(timedelta(0), "Deadline of a command.")
    tls: RedisTLS = later(RedisTLS, "TLS.")
    pool: RedisPool = later(RedisPool, "Connections.")


class Redis(RedisConnection):
    """``redis``: the connection for blob descriptors, and those for other uses below it."""

    cache: RedisConnection = later(RedisConnection, "For the repository cache.")
    ratelimiter: RedisConnection = later(RedisConnection, "For rate limits.")
    loadbalancing: RedisConnection = later(RedisConnection, "For following writes.")
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

    disabled: Flag = later(False, "Whether blobs are not collected.")
    interval: Duration = later(timedelta(seconds=5), "Pause between reviews.")
    storagetimeout: Duration = later(timedelta(seconds=5), "Deadline of removing one from storage.")


class GCManifests(Section):
    """``gc.manifests``"""

    disabled: Flag = later(False, "Whether manifests are not collected.")
    interval: Duration = later(timedelta(seconds=5), "Pause between reviews.")


class GC(Section):
    """``gc``: online garbage collection."""

    disabled: Flag = later(False, "Whether it is off.")
    noidlebackoff: Flag = later(False, "Whether to look as often when there is nothing to do.")
    maxbackoff: Duration = later(timedelta(hours=24), "The longest pause.")
    errorcooldownperiod: Duration = later(timedelta(0), "How long to go slow after an error.")
    transactiontimeout: Duration = later(timedelta(seconds=10), "Deadline of one review.")
    reviewafter: SignedDuration = later(timedelta(hours=24), "How long something stays before review; -1: not at all.")
    blobs: GCBlobs = later(GCBlobs, "Blobs.")
    manifests: GCManifests = later(GCManifests, "Manifests.")
