"""Notifications, put together: who hears of what, and what delivers it."""

import socket
import uuid
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from moorage.config import Config
from moorage.config.sections.notifications import NotificationEndpoint
from moorage.metadata.sql.outbox import SqlOutbox
from moorage.notifications.administration import NotificationAdministration
from moorage.notifications.delivery import OutboxDelivery
from moorage.notifications.endpoints import DEFAULT_RETRIES, EndpointSettings, retries_of
from moorage.notifications.events import Audience, Listener
from moorage.notifications.memory_queue import MemoryDelivery
from moorage.notifications.observing import DeliveryObserver
from moorage.notifications.outbox import Outbox
from moorage.notifications.pulls import PullNotices
from moorage.sql.base import Database
from moorage.sql.leases import Leases
from moorage.telemetry import get_log

_DEFAULT_TIMEOUT = _DEFAULT_BACKOFF = timedelta(seconds=1)
_DEFAULT_PURGE = timedelta(seconds=5)
_DEFAULT_FANOUT = timedelta(seconds=15)
_DEFAULT_QUEUE = 3000

_log = get_log("notifications")


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifying:
    """The parts of notifications in one process."""

    audience: Audience | None = None
    """None: nobody hears."""
    flushes: Sequence[Callable[[], Awaitable[None]]] = ()
    chores: Sequence[Callable[[], Coroutine[None, None, None]]] = ()
    pending: Callable[[], Awaitable[Mapping[str, int]]] | None = None
    """Counts what waits for each endpoint, for metrics."""
    at_work: Callable[[], AbstractAsyncContextManager[None]] | None = None
    """The work of every process while it serves; None: there is none."""


def notifying(config: Config, database: Database | None, observer: DeliveryObserver | None = None) -> Notifying:
    """Make what tells of changes and pulls; nothing where no endpoint is configured."""
    endpoints = endpoint_settings(config)
    if not endpoints:
        return Notifying()
    if database is None:
        memory = MemoryDelivery(
            endpoints, fanout_timeout=config.notifications.fanouttimeout or _DEFAULT_FANOUT, observer=observer
        )
        audience = _audience(config, memory.tell, has_database=False)
        return Notifying(audience=audience, at_work=memory.at_work)
    outbox, leases, holder = SqlOutbox(database), Leases(database), uuid.uuid4().hex
    limits = {settings.name: settings.queue_limit for settings in endpoints}
    pulls = PullNotices(outbox, limits=limits, observer=observer)
    if config.storage.maintenance.readonly.enabled:  # Nothing is written: not even what was sent could be forgotten.
        return Notifying()
    chores = [OutboxDelivery(settings, outbox, leases, holder=holder, observer=observer).run for settings in endpoints]
    return Notifying(
        audience=_audience(config, pulls.tell, has_database=True),
        flushes=(pulls.flush,),
        chores=chores,
        pending=partial(_pending, outbox, [settings.name for settings in endpoints]),
    )


async def _pending(outbox: Outbox, names: Sequence[str]) -> Mapping[str, int]:
    return {**dict.fromkeys(names, 0), **{queue.endpoint: queue.waiting for queue in await outbox.queues()}}


def administration(config: Config, database: Database) -> NotificationAdministration:
    """Make what administrators ask."""
    return NotificationAdministration(SqlOutbox(database), Leases(database), endpoint_settings(config))


def endpoint_settings(config: Config) -> Sequence[EndpointSettings]:
    """Return the endpoints that are on."""
    return [_settings(endpoint) for endpoint in config.notifications.endpoints if not endpoint.disabled]


def finish_time(config: Config) -> timedelta:
    """Return how long the queues in memory may be emptied at the end, at most; zero without endpoints."""
    longest = max((settings.purge_timeout for settings in endpoint_settings(config)), default=timedelta(0))
    return min(longest, config.notifications.fanouttimeout or _DEFAULT_FANOUT)


def _settings(endpoint: NotificationEndpoint) -> EndpointSettings:
    backoff = endpoint.backoff or _DEFAULT_BACKOFF
    return EndpointSettings(
        name=endpoint.known_as,
        url=endpoint.url,
        headers=tuple((name, value) for name, values in endpoint.headers.items() for value in values),
        timeout=endpoint.timeout or _DEFAULT_TIMEOUT,
        max_retries=_retries(endpoint, backoff),
        backoff=backoff,
        keep_trying=endpoint.keeptrying,
        queue_limit=endpoint.queuesizelimit or _DEFAULT_QUEUE,
        purge_timeout=endpoint.queuepurgetimeout or _DEFAULT_PURGE,
    )


def _retries(endpoint: NotificationEndpoint, backoff: timedelta) -> int:
    if endpoint.maxretries and "maxretries" in endpoint.model_fields_set:
        return endpoint.maxretries
    if not endpoint.threshold:
        return DEFAULT_RETRIES
    retries = retries_of(endpoint.threshold, backoff)
    _log.info("threshold comes to retries", endpoint=endpoint.known_as, maxretries=retries)
    return retries


def _audience(config: Config, tell: Callable[..., None], *, has_database: bool) -> Audience:
    listeners = [
        Listener(
            name=endpoint.known_as,
            ignored_media_types=frozenset((*endpoint.ignore.mediatypes, *endpoint.ignoredmediatypes)),
            ignored_actions=frozenset(endpoint.ignore.actions),
            hears_refusals=endpoint.refusals,
        )
        for endpoint in config.notifications.endpoints
        if not endpoint.disabled
    ]
    return Audience(
        listeners=tuple(listeners),
        source={"addr": _node(config), "instanceID": str(uuid.uuid4())},
        includes_references=config.notifications.events.includereferences,
        hears_blob_pulls=not has_database,
        storage=config.storage.name,
        tell=tell,
    )


def _node(config: Config) -> str:
    """Source: ``configureEvents`` in GitLab ``handlers/app.go``."""
    _, colon, port = config.http.addr.rpartition(":")
    return f"{socket.gethostname()}:{port}" if colon and port.isdigit() else socket.gethostname()
