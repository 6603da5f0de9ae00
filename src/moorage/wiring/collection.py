"""Online garbage collection, put together."""

from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from moorage.config import Config
from moorage.gc.online.gc_administration import Collector, GcAdministration
from moorage.gc.online.one_database import OneDatabase
from moorage.gc.online.review_loop import ReviewLoop, ReviewObserver, ReviewPace, mend_reviews, set_review_delay
from moorage.gc.online.review_rounds import BlobCollector, Deadlines, ManifestCollector
from moorage.metadata.explanations import ExplanationStore
from moorage.metadata.queues import RowCountStore
from moorage.metadata.sql.explanations import SqlExplanations
from moorage.metadata.sql.queues import SqlQueues
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews, SqlReviewDelay
from moorage.metadata.sql.rows import SqlRowCounts
from moorage.metadata.sql.storage_marks import SqlStorageMarks
from moorage.metadata.words import Queue
from moorage.sql.base import Database
from moorage.storage.base import StorageDriver
from moorage.telemetry import get_log
from moorage.work.rests import Rests

if TYPE_CHECKING:
    from moorage.metadata.adopting import Adopter
    from moorage.metadata.adoptions import AdoptionLedger

_REST = 3.0
"""After each removal, each statement, each few lines of the log: without rests pulls would wait for a processor."""

_log = get_log("registry.gc")


def agents(
    config: Config,
    database: Database,
    storage: StorageDriver,
    observer: ReviewObserver | None = None,
    *,
    one: OneDatabase,
) -> Sequence[Callable[[], Coroutine[None, None, None]]]:
    """Return what runs for as long as a node lives; nothing where it is switched off or nothing may be written."""
    gc = config.gc
    if config.storage.maintenance.readonly.enabled:
        return ()
    if gc.disabled:
        _log.warning("garbage collection is disabled")
        return (one.run,)
    found: list[Callable[[], Coroutine[None, None, None]]] = [
        one.run,
        partial(set_review_delay, SqlReviewDelay(database), gc.reviewafter, retry=gc.manifests.interval),
        partial(mend_reviews, SqlReviewDelay(database)),
    ]
    # Nothing new can be due earlier than that, so nobody need look more often.
    longest = min(gc.maxbackoff, max(gc.reviewafter, timedelta(0)))

    def pace(interval: timedelta) -> ReviewPace:
        return ReviewPace(
            interval=interval, longest=longest, grows=not gc.noidlebackoff, cooldown=gc.errorcooldownperiod
        )

    if not gc.blobs.disabled:
        blobs = SqlBlobReviews(database)
        agent = ReviewLoop(
            "blob",
            BlobCollector(blobs, storage, deadlines(config), one=one, make_rests=partial(Rests, _REST)),
            blobs.next_at,
            pace(gc.blobs.interval),
            observer=observer,
        )
        found.append(agent.run)
    if not gc.manifests.disabled:
        manifests = SqlManifestReviews(database)
        agent = ReviewLoop(
            "manifest",
            ManifestCollector(manifests, deadlines(config), make_rests=partial(Rests, _REST)),
            manifests.next_at,
            pace(gc.manifests.interval),
            observer=observer,
        )
        found.append(agent.run)
    return found


def collection(
    config: Config,
    database: Database,
    storage: StorageDriver,
    observer: ReviewObserver | None = None,
    *,
    one: OneDatabase,
    adopter: "Adopter | None" = None,
) -> GcAdministration:
    """Make the collection that administrators ask; with collectors of its own, as each claims for itself.

    *adopter*: takes link files over before anything is explained; None: there are none.
    """
    gc, collectors = config.gc, dict[Queue, Collector]()
    if not (gc.disabled or config.storage.maintenance.readonly.enabled):
        if not gc.manifests.disabled:
            collectors["manifest"] = ManifestCollector(SqlManifestReviews(database), deadlines(config))
        if not gc.blobs.disabled:
            collectors["blob"] = BlobCollector(SqlBlobReviews(database), storage, deadlines(config), one=one)
    explanations: ExplanationStore = SqlExplanations(database)
    adoption: AdoptionLedger | None = None
    if adopter is not None:
        from moorage.metadata.adopting_details import AdoptingExplanations  # noqa: PLC0415 - a start that adopts nothing need not wait for it
        from moorage.metadata.sql.adoptions import SqlAdoptionLedger  # noqa: PLC0415 - as above

        adoption = SqlAdoptionLedger(database)
        explanations = AdoptingExplanations(adopter, explanations)
    return GcAdministration(
        queues=SqlQueues(database),
        explanations=explanations,
        collectors=collectors,
        one=one,
        adoption=adoption,
        observer=observer,
    )


def one_database(database: Database, storage: StorageDriver) -> OneDatabase:
    """Return the watch for a second database over *storage*."""
    return OneDatabase(SqlStorageMarks(database), storage)


def row_counts(database: Database) -> RowCountStore:
    """Return the counts of rows for metrics."""
    return SqlRowCounts(database)


def deadlines(config: Config) -> Deadlines:
    """Return how long a step of a round may take."""
    return Deadlines(transaction=config.gc.transactiontimeout, storage=config.gc.blobs.storagetimeout)
