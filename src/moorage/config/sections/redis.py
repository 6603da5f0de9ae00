"""``redis``: shared caches."""

from datetime import timedelta

from moorage.config.section import (
    Count,
    Duration,
    Flag,
    Secret,
    Section,
    SignedDuration,
    Text,
    Whole,
    later,
    now,
)


class RedisTLS(Section):
    """``redis.tls``"""

    enabled: Flag = now(False, "Speak TLS.")
    insecure: Flag = now(False, "Trust any certificate.")
    certificate: Text = now("", "Distribution: PEM file of the client's certificate.")
    key: Text = now("", "Distribution: PEM file of its private key.")
    rootcas: list[Text] = now([], "Distribution: PEM files of trusted authorities.")


class RedisPool(Section):
    """``redis.pool``"""

    size: Count = now(10, "Connections at most.")
    maxlifetime: Duration = now(timedelta(0), "Without effect: a connection that has gone stale is replaced on use.")
    idletimeout: Duration = now(timedelta(0), "Without effect, for the same reason.")
    maxidle: Count = now(0, "Distribution 2: without effect.")
    maxactive: Count = now(0, "Distribution 2: `size` by its old name.")


class RedisConnection(Section):
    """One Redis: ``redis.cache``, ``redis.ratelimiter``, ``redis.loadbalancing``."""

    enabled: Flag = now(False, "True: it is used.")
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
    """``redis``: the connection of every use that has none of its own, and those that have below it."""

    cache: RedisConnection = now(RedisConnection, "For sizes of repositories, shared by all nodes.")
    ratelimiter: RedisConnection = now(RedisConnection, "For rate limits, shared by all nodes.")
    loadbalancing: RedisConnection = now(RedisConnection, "For following writes.")
    options: dict[str, object] = later({}, "Distribution v3's options.", repr=False)
    addrs: list[Text] = now([], "Distribution's list of addresses.")
    mastername: Text = now("", "Distribution's `mainname`.")
    clientname: Text = later("", "Distribution: this client's name.")
    protocol: Count = later(0, "Distribution: version of the protocol.")
    poolsize: Count = now(0, "Distribution's `pool.size`.")
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
