"""Metrics of connections to the database, its replicas and each Redis: what holds now, looked up now and then.

Every process that uses them looks by itself; together they are the node's. Imported where metrics are on.

Source: GitLab features MET-023, MET-029, MET-032; the names of the last are those of GitLab's LabKit.
"""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from prometheus_client import Gauge

from moorage.metrics.meters import Meters

_QUICK = (0.0005, 0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1)
_LAGS = (0.01, 0.1, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300)
_DATABASE = ("db_name", "host_type", "host_addr")


class ConnectionCounts(NamedTuple):
    """Connections of one pool now, and what has come of it so far."""

    most: int
    total: int
    idle: int
    waits: int = 0
    waited_s: float = 0.0


class PoolMetrics:
    """Notes what pools of connections are like."""

    def __init__(self, meters: Meters) -> None:
        def pool(name: str, text: str) -> Gauge:
            return meters.gauge(f"go_sql_dbstats_connections_{name}", text, _DATABASE)

        def redis(name: str, text: str) -> Gauge:
            return meters.gauge(f"registry_redis_pool_stats_{name}", text, ("instance",))

        self._most = pool("max_open", "Connections to the database that may be open.")
        self._open = pool("open", "Connections to the database that are open.")
        self._used = pool("in_use", "Connections to the database that are in use.")
        self._idle = pool("idle", "Connections to the database that nobody uses.")
        self._waits = meters.counter(
            "go_sql_dbstats_connections_waits", "How often somebody had to wait for a connection.", _DATABASE
        )
        self._waited = meters.counter(
            "go_sql_dbstats_connections_wait_seconds",
            "How long everybody has waited for connections, together.",
            _DATABASE,
        )
        self._redis_total = redis("total_conns", "Connections to a Redis.")
        self._redis_idle = redis("idle_conns", "Connections to a Redis that nobody uses.")
        self._redis_most = redis("max_conns", "Connections to a Redis that may be open.")
        self._redis_uses = {
            use: meters.counter(f"registry_redis_pool_stats_{name}", text, ("instance",))
            for use, name, text in (
                ("hit", "hits", "How often a connection to a Redis was there when it was wanted."),
                ("miss", "misses", "How often none was there."),
                ("timeout", "timeouts", "How often a connection or an answer took too long."),
            )
        }
        self._seen: dict[tuple[str, ...], float] = {}

    def database(self, labels: Mapping[str, str], counts: ConnectionCounts) -> None:
        """Note the connections to one server of the database."""
        place = tuple(labels[name] for name in _DATABASE)
        self._most.labels(*place).set(counts.most)
        self._open.labels(*place).set(counts.total)
        self._idle.labels(*place).set(counts.idle)
        self._used.labels(*place).set(counts.total - counts.idle)
        self._waits.labels(*place).inc(self._more(("waits", *place), counts.waits))
        self._waited.labels(*place).inc(self._more(("waited", *place), counts.waited_s))

    def redis(self, instance: str, counts: ConnectionCounts, uses: Mapping[str, int]) -> None:
        """Note the connections to one Redis."""
        self._redis_total.labels(instance).set(counts.total)
        self._redis_idle.labels(instance).set(counts.idle)
        self._redis_most.labels(instance).set(counts.most)
        for use, counter in self._redis_uses.items():
            counter.labels(instance).inc(self._more((use, instance), uses.get(use, 0)))

    def _more(self, what: tuple[str, ...], now: float) -> float:
        before = self._seen.get(what, 0.0)
        self._seen[what] = max(now, before)
        return max(0.0, now - before)


class ReplicaMetrics:
    """Notes what replicas are like, and where reads go."""

    def __init__(self, meters: Meters) -> None:
        self._size = meters.gauge("registry_database_lb_pool_size", "Replicas that reads may go to.", over="livemax")
        self._status = meters.gauge(
            "registry_database_lb_pool_status",
            "State of each replica: 1 at the one that it is in.",
            ("replica", "status"),
            over="livemax",
        )
        self._lag_bytes = meters.gauge(
            "registry_database_lb_lag_bytes", "Bytes of the log that a replica is behind.", ("replica",), over="livemax"
        )
        self._lag_seconds = meters.histogram(
            "registry_database_lb_lag_seconds",
            "Seconds that a replica is behind, at each comparison.",
            ("replica",),
            buckets=_LAGS,
        )
        self._lookups = meters.histogram(
            "registry_database_lb_lookup_seconds",
            "How long it took to look replicas up.",
            ("lookup_type", "error"),
            buckets=_QUICK,
        )
        self._positions = meters.histogram(
            "registry_database_lb_lsn_cache_operation_duration_seconds",
            "How long it took to note or to look up the position of a write.",
            ("operation", "error"),
            buckets=_QUICK,
        )
        self._counters = {
            name: meters.counter(f"registry_database_lb_{name}", text, labels)
            for name, text, labels in (
                ("targets", "Reads, by where they went.", ("target_type", "fallback", "reason")),
                ("pool_events", "What befell replicas.", ("event", "reason")),
                ("lsn_cache_hits", "Questions for the position of a write.", ("result",)),
            )
        }
        self._seen: dict[tuple[str, ...], int] = {}
        self._states: set[tuple[str, str]] = set()

    def states(self, found: Mapping[str, str]) -> None:
        """Note the state of each replica, by its address."""
        self._size.set(sum(state == "online" for state in found.values()))
        now = set(found.items())
        for place in self._states - now:
            self._status.labels(*place).set(0)
        for place in now:
            self._status.labels(*place).set(1)
        self._states |= now

    def lag(self, replica: str, seconds: float, lag_bytes: int) -> None:
        """Note how far a replica is behind."""
        self._lag_bytes.labels(replica).set(lag_bytes)
        self._lag_seconds.labels(replica).observe(seconds)

    def looked_up(self, kind: str, duration_s: float, *, failed: bool) -> None:
        """Note a question for the addresses of replicas."""
        self._lookups.labels(kind, str(failed).lower()).observe(duration_s)

    def positioned(self, operation: str, duration_s: float, *, failed: bool) -> None:
        """Note that the position of a write was set or asked for."""
        self._positions.labels(operation, str(failed).lower()).observe(duration_s)

    def counted(self, name: str, so_far: Iterable[tuple[tuple[str, ...], int]]) -> None:
        """Note how often each thing has come about so far, with its labels."""
        for labels, count in so_far:
            more = count - self._seen.get((name, *labels), 0)
            if more > 0:
                self._seen[name, *labels] = count
                self._counters[name].labels(*labels).inc(more)
