"""Endpoints that are told of events, as the configuration has them; and an address without its secrets."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from urllib.parse import urlsplit, urlunsplit

DEFAULT_RETRIES = 10
LONGEST_PAUSE = timedelta(seconds=60)
"""Between two tries at most. Source: the exponential backoff of GitLab features NOT-004."""
PAUSE_GROWTH = 1.5

_WINDOW_TIMES = 120
_LONGEST_WINDOW = timedelta(minutes=15)


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSettings:
    """One endpoint. What could be a secret is not shown."""

    name: str
    url: str = field(repr=False)
    headers: Sequence[tuple[str, str]] = field(default=(), repr=False)
    timeout: timedelta = timedelta(seconds=1)
    max_retries: int = DEFAULT_RETRIES
    backoff: timedelta = timedelta(seconds=1)
    """The first pause between two tries."""
    keep_trying: timedelta = timedelta(days=3)
    """An event is tried so long while the endpoint is away. Only with a database."""
    queue_limit: int = 3000
    """Without a database: events that wait. With one: pulls that wait."""
    purge_timeout: timedelta = timedelta(seconds=5)
    """Without a database: the time in which the queue is emptied at the end."""


def retries_of(threshold: int, backoff: timedelta) -> int:
    """Return the retries that the old ``threshold`` comes to: as many as fit into a time, and no fewer than it says.

    Source: GitLab ``notifications/endpoint.go``, ``translateBackoffParams``.
    """
    window = min(_WINDOW_TIMES * backoff, _LONGEST_WINDOW)
    pause, elapsed, count = backoff, backoff, 0
    while elapsed <= window and count < max(threshold, 10 * _WINDOW_TIMES):
        count += 1
        pause = min(PAUSE_GROWTH * pause, LONGEST_PAUSE)
        elapsed += pause
    return max(count, threshold)


def shown_url(url: str) -> str:
    """Return an address as it may be shown: without a user, a password, or a query, any of which may be a secret."""
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = "" if parts.port is None else f":{parts.port}"
    except ValueError:
        return "***"
    if ":" in host:
        host = f"[{host}]"
    user = "***@" if parts.username is not None or parts.password is not None else ""
    query = "***" if parts.query else ""
    return urlunsplit((parts.scheme, f"{user}{host}{port}", parts.path, query, ""))


def lease_name(endpoint: str) -> str:
    """Return the name of the lease for deliveries to an endpoint."""
    return f"notifications:{endpoint}"
