"""``redis``: shared caches."""

from datetime import timedelta

from moorage.config.section import Count, Duration, Flag, Secret, Section, SignedDuration, Text, Whole, now, unused


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
    maxlifetime: Duration = unused(timedelta(0), "Age at which one is closed: a stale one is replaced on use.")
    idletimeout: Duration = unused(timedelta(0), "Idle time after which one is closed: as above.")
    maxidle: Count = unused(0, "Distribution 2: idle connections at most; all stay.")
    maxactive: Count = now(0, "Distribution 2: `size` by its old name.")

    @property
    def connections(self) -> int:
        """The most connections, by whichever name they are given."""
        return self.maxactive or self.size


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
    options: dict[str, object] = unused(
        {}, "Distribution 3: the same keys in another place; write them as they stand here.", repr=False
    )
    addrs: list[Text] = now([], "Distribution's list of addresses.")
    mastername: Text = now("", "Distribution's `mainname`.")
    clientname: Text = unused("", "Distribution: this client's name; Redis is told none.")
    protocol: Count = unused(0, "Distribution: version of the protocol; client and server agree on it by themselves.")
    poolsize: Count = now(0, "Distribution's `pool.size`.")
    poolfifo: Flag = unused(
        False, "Distribution: whether the connection that waited longest is used first; it is the one used last."
    )
    pooltimeout: SignedDuration = unused(
        timedelta(0), "Distribution: how long to wait for a connection; `readtimeout` has both."
    )
    minidleconns: Count = unused(0, "Distribution: idle connections at least; they are made when they are needed.")
    maxidleconns: Count = unused(0, "Distribution: idle connections at most; all stay.")
    maxactiveconns: Count = unused(0, "Distribution: connections at most; `poolsize` says so.")
    connmaxidletime: SignedDuration = unused(
        timedelta(0), "Distribution: age of an idle connection at which it is closed; a stale one is replaced on use."
    )
    connmaxlifetime: SignedDuration = unused(
        timedelta(0), "Distribution: age at which a connection is closed; a stale one is replaced on use."
    )
    maxretries: Whole = unused(
        0,
        "Distribution: tries after the first; there is one, and then the registry goes on without.",
    )
    minretrybackoff: SignedDuration = unused(
        timedelta(0), "Distribution: the shortest pause between tries; there is none."
    )
    maxretrybackoff: SignedDuration = unused(
        timedelta(0), "Distribution: the longest pause between tries; there is none."
    )
    contexttimeoutenabled: Flag = unused(False, "Distribution: whether a request's deadline counts, too; it does.")
    maxredirects: Whole = unused(0, "Distribution: redirects followed in a cluster; as many as the library does.")
    readonly: Flag = unused(False, "Distribution: whether replicas are read; they are not, as they may be behind.")
    routebylatency: Flag = unused(False, "Distribution: whether the nearest replica is read; none is.")
    routerandomly: Flag = unused(False, "Distribution: whether any replica is read; none is.")
    disableidentity: Flag = unused(False, "Distribution: whether the client does not name its library; it does.")
    identitysuffix: Text = unused("", "Distribution: added to the library's name; nothing is.")
    unstableresp3: Flag = unused(False, "Distribution: whether unfinished parts of protocol 3 are used; they are not.")
