"""Metrics of requests, storage, database, Redis, rate limits and health. Imported where metrics are on, nowhere else.

Labels have few values, whatever strangers send: routes are those of the tables, and an odd method is ``other``.

Source: GitLab features MET-001, MET-002, MET-005, MET-007, MET-008, MET-009, MET-022.
"""

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 60)
"""Source: GitLab's ``routeMetricsMiddleware``."""
_SIZES = tuple(1024.0 * 4**step for step in range(12))
"""1 KiB to 4 GiB: every second of GitLab's buckets."""
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_OK = 200
_PARTIAL = 206
_TEMPORARY = 307


class RequestMetrics:
    """Counts requests."""

    def __init__(self, registry: CollectorRegistry) -> None:
        labels = ("code", "method", "route")
        self._total = Counter("registry_http_requests", "Requests answered.", labels, registry=registry)
        self._seconds = Histogram(
            "registry_http_request_duration_seconds",
            "How long requests took, from their head to the end of the answer.",
            labels,
            buckets=_DURATIONS,
            registry=registry,
        )
        self._in_flight = Gauge(
            "registry_http_in_flight_requests",
            "Requests that are being answered now.",
            registry=registry,
            multiprocess_mode="livesum",
        )
        self._received = Histogram(
            "registry_http_request_size_bytes",
            "Sizes of requests' bodies, where they are said beforehand.",
            ("method", "route"),
            buckets=_SIZES,
            registry=registry,
        )
        self._sent = Histogram(
            "registry_http_response_size_bytes",
            "Sizes of answers' bodies.",
            ("method", "route"),
            buckets=_SIZES,
            registry=registry,
        )
        self._downloads = Histogram(
            "registry_storage_blob_download_bytes",
            "Bytes of blobs that were sent from here; of those that storage sends (redirect) it is 0.",
            ("redirect",),
            buckets=_SIZES,
            registry=registry,
        )

    def begins(self) -> None:
        """A request has come in."""
        self._in_flight.inc()

    def ends(self) -> None:
        """It is over, whatever came of it."""
        self._in_flight.dec()

    def answered(
        self, *, method: str, route: str, status: int, duration_s: float, received_bytes: int, sent_bytes: int
    ) -> None:
        """A request was answered; *route*: the path of its endpoint, empty if it has none."""
        method = method if method in _METHODS else "other"
        route = route.replace("<", "{").replace(">", "}") or "none"
        self._total.labels(str(status), method, route).inc()
        self._seconds.labels(str(status), method, route).observe(duration_s)
        if received_bytes:
            self._received.labels(method, route).observe(received_bytes)
        self._sent.labels(method, route).observe(0 if method == "HEAD" else sent_bytes)
        if method == "GET" and "/blobs/{digest}" in route and status in (_OK, _PARTIAL, _TEMPORARY):
            is_redirect = status == _TEMPORARY
            self._downloads.labels(str(is_redirect).lower()).observe(0 if is_redirect else sent_bytes)


class StoreMetrics:
    """Counts requests to an object store; see :class:`~moorage.storage.remote.tally.StoreTally`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._requests = Counter(
            "registry_storage_requests",
            "Requests to the object store, by the vendor's name of the request; all attempts are one.",
            ("request",),
            registry=registry,
        )
        self._again = Counter(
            "registry_storage_storage_backend_retries",
            "Attempts after the first of a request to the object store.",
            ("retry_type",),
            registry=registry,
        )
        self._throttled = Counter(
            "registry_storage_rate_limit",
            "Requests that the object store found too many, or that waited for our own limit.",
            registry=registry,
        )

    def answered(self, kind: str, seconds: float) -> None:
        """See the protocol."""
        del seconds  # registry_storage_action_seconds has those of whole calls.
        self._requests.labels(kind).inc()

    def tried_again(self, kind: str) -> None:
        """See the protocol."""
        del kind
        self._again.labels("custom").inc()  # GitLab's word for attempts that are not the vendor's library's.

    def throttled(self, kind: str) -> None:
        """See the protocol."""
        del kind
        self._throttled.inc()


class PartMetrics:
    """Counts what the parts below the requests do."""

    def __init__(self, registry: CollectorRegistry, *, driver: str = "") -> None:
        """*driver*: the storage driver's name."""
        self._driver = driver
        self._storage = Histogram(
            "registry_storage_action_seconds",
            "How long calls to storage took.",
            ("driver", "action"),
            buckets=_DURATIONS,
            registry=registry,
        )
        self._queries = Counter("registry_database_queries", "Queries to the database.", ("name",), registry=registry)
        self._query_seconds = Histogram(
            "registry_database_query_duration_seconds",
            "How long queries to the database took; whole transactions are named transaction.",
            ("name",),
            buckets=_DURATIONS,
            registry=registry,
        )
        self._limited = Counter(
            "registry_rate_limiter_requests",
            "Requests by what a limiter said: allowed, warned, held, exceeded or blocked.",
            ("limiter", "result"),
            registry=registry,
        )
        self._network = Counter(
            "registry_storage_cdn_redirects",
            "Blobs for which clients were sent to the delivery network, or past it (bypass) as they are near.",
            ("backend", "bypass", "bypass_reason"),
            registry=registry,
        )
        self._redis = Counter(
            "registry_redis_failures",
            "How often a Redis did not answer, not in time, or with an error.",
            ("instance",),
            registry=registry,
        )
        self._health = Gauge(
            "registry_health_check_failing",
            "Workers that a health check has taken out of service.",
            ("check",),
            registry=registry,
            multiprocess_mode="livesum",
        )

    def stored(self, action: str, duration_s: float) -> None:
        """Count a call to storage."""
        self._storage.labels(self._driver, action).observe(duration_s)

    def queried(self, name: str, duration_s: float) -> None:
        """Count a query to the database."""
        self._queries.labels(name).inc()
        self._query_seconds.labels(name).observe(duration_s)

    def limited(self, limiter: str, result: str) -> None:
        """Count what a limiter said."""
        self._limited.labels(limiter, result).inc()

    def sent_on(self, bypass_reason: str) -> None:
        """Count a client sent to the delivery network; with a reason past it, to the storage itself."""
        backend = self._driver if bypass_reason else "cdn"
        self._network.labels(backend, str(bool(bypass_reason)).lower(), bypass_reason).inc()

    def redis_failed(self, instance: str) -> None:
        """Count a failure of a Redis."""
        self._redis.labels(instance).inc()

    def checked(self, check: str, *, is_failing: bool) -> None:
        """Note what a health check has found."""
        self._health.labels(check).set(int(is_failing))
