"""Metrics of requests, storage, database, Redis, rate limits and health. Imported where metrics are on, nowhere else.

Labels have few values, whatever strangers send: routes are those of the tables, and an odd method is ``other``.

Source: GitLab features MET-001, MET-002, MET-005, MET-006, MET-007, MET-008, MET-009, MET-022.
"""

from moorage.metrics.meters import Meters

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

    def __init__(self, meters: Meters) -> None:
        labels = ("code", "method", "route")
        self._total = meters.counter("registry_http_requests", "Requests answered.", labels)
        self._seconds = meters.histogram(
            "registry_http_request_duration_seconds",
            "How long requests took, from their head to the end of the answer.",
            labels,
            buckets=_DURATIONS,
        )
        self._in_flight = meters.gauge("registry_http_in_flight_requests", "Requests that are being answered now.")
        self._received = meters.histogram(
            "registry_http_request_size_bytes",
            "Sizes of requests' bodies, where they are said beforehand.",
            ("method", "route"),
            buckets=_SIZES,
        )
        self._sent = meters.histogram(
            "registry_http_response_size_bytes", "Sizes of answers' bodies.", ("method", "route"), buckets=_SIZES
        )
        self._downloads = meters.histogram(
            "registry_storage_blob_download_bytes",
            "Bytes of blobs that were sent from here; of those that storage sends (redirect) it is 0.",
            ("redirect",),
            buckets=_SIZES,
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

    def __init__(self, meters: Meters) -> None:
        self._requests = meters.counter(
            "registry_storage_requests",
            "Requests to the object store, by the vendor's name of the request; all attempts are one.",
            ("request",),
        )
        self._again = meters.counter(
            "registry_storage_storage_backend_retries",
            "Attempts after the first of a request to the object store.",
            ("retry_type",),
        )
        self._throttled = meters.counter(
            "registry_storage_rate_limit",
            "Requests that the object store found too many, or that waited for our own limit.",
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

    def __init__(self, meters: Meters, *, driver: str = "") -> None:
        """*driver*: the storage driver's name."""
        self._driver = driver
        self._storage = meters.histogram(
            "registry_storage_action_seconds",
            "How long calls to storage took.",
            ("driver", "action"),
            buckets=_DURATIONS,
        )
        self._uploads = meters.histogram(
            "registry_storage_blob_upload_bytes",
            "Bytes of blobs that were pushed; those that were mounted are not among them.",
            buckets=_SIZES,
        )
        self._queries = meters.counter("registry_database_queries", "Queries to the database.", ("name",))
        self._query_seconds = meters.histogram(
            "registry_database_query_duration_seconds",
            "How long queries to the database took; whole transactions are named transaction.",
            ("name",),
            buckets=_DURATIONS,
        )
        self._limited = meters.counter(
            "registry_rate_limiter_requests",
            "Requests by what a limiter said: allowed, warned, held, exceeded or blocked.",
            ("limiter", "result"),
        )
        self._network = meters.counter(
            "registry_storage_cdn_redirects",
            "Blobs for which clients were sent to the delivery network, or past it (bypass) as they are near.",
            ("backend", "bypass", "bypass_reason"),
        )
        self._redis = meters.counter(
            "registry_redis_failures", "How often a Redis did not answer, not in time, or with an error.", ("instance",)
        )
        self._health = meters.gauge(
            "registry_health_check_failing", "Workers that a health check has taken out of service.", ("check",)
        )

    def stored(self, action: str, duration_s: float) -> None:
        """Count a call to storage."""
        self._storage.labels(self._driver, action).observe(duration_s)

    def uploaded(self, size_bytes: int) -> None:
        """Count a blob that was pushed."""
        self._uploads.observe(size_bytes)

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
