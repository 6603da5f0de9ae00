"""Observers of one process: they count for metrics, where these are on, and else do nothing."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from moorage.gc.online.review_loop import ReviewObserver
from moorage.notifications.observing import DeliveryObserver
from moorage.server.application import ServerProcess
from moorage.storage.remote.tally import NoTally, StoreTally
from moorage.telemetry import get_log
from moorage.web.application import RequestObserver
from moorage.wiring.observing import Observe

if TYPE_CHECKING:
    from moorage.metrics.pool_metrics import PoolMetrics, ReplicaMetrics

_log = get_log("worker")


def _nothing(*_told: object) -> None:
    return


@dataclass(frozen=True, slots=True, kw_only=True)
class Observers:
    """All of them."""

    reviews: ReviewObserver | None = None
    """Of garbage collection."""
    deliveries: DeliveryObserver | None = None
    """Of events that other servers are told of."""
    requests: RequestObserver | None = None
    storage: Observe | None = None
    store: StoreTally = field(default_factory=NoTally)
    """Of single requests to an object store."""
    uploads: Callable[[int], None] | None = None
    """Told how many bytes a blob has that was pushed."""
    database: Observe | None = None
    damage: Callable[[], None] | None = None
    """Called when a client meets a damaged blob."""
    limits: Callable[[str, str], None] = _nothing
    network: Callable[[str], None] = _nothing
    """Of the delivery network; told why a client was sent past it, or an empty text."""
    redis: Callable[[str], None] = _nothing
    pools: "PoolMetrics | None" = None
    """Of connections, looked at now and then."""
    replicas: "ReplicaMetrics | None" = None
    health: Callable[[str, bool], None] = _nothing


def observers(process: ServerProcess, *, driver: str) -> Observers:
    """Return the observers of a process; *driver*: the name of the storage driver."""
    if process.metrics is None:
        return Observers()
    from moorage.core.metrics import BlobMetrics  # noqa: PLC0415 - as below
    from moorage.gc.online.collection_metrics import CollectionMetrics  # noqa: PLC0415 - a start without metrics need not wait for it
    from moorage.metrics.meters import Meters  # noqa: PLC0415 - as above
    from moorage.metrics.node_metrics import PartMetrics, RequestMetrics, StoreMetrics  # noqa: PLC0415 - as above
    from moorage.metrics.pool_metrics import PoolMetrics, ReplicaMetrics  # noqa: PLC0415 - as above
    from moorage.notifications.metrics import NotificationMetrics  # noqa: PLC0415 - as above
    from moorage.server.metrics import count_in  # noqa: PLC0415 - as above

    try:
        meters = Meters(count_in(process.metrics, process.number))
    except OSError as exc:
        _log.error("there is no room to count in: this process is missing in the metrics", error=str(exc))
        return Observers()
    parts = PartMetrics(meters, driver=driver)
    return Observers(
        reviews=CollectionMetrics(meters),
        deliveries=NotificationMetrics(meters),
        requests=RequestMetrics(meters),
        storage=parts.stored,
        store=StoreMetrics(meters),
        uploads=parts.uploaded,
        database=parts.queried,
        damage=BlobMetrics(meters).met_damage,
        limits=parts.limited,
        network=parts.sent_on,
        redis=parts.redis_failed,
        pools=PoolMetrics(meters),
        replicas=ReplicaMetrics(meters),
        health=lambda name, fails: parts.checked(name, is_failing=fails),
    )
