"""Metrics of online garbage collection, under GitLab's names. Imported where metrics are on, and nowhere else.

GitLab counts by the thing reviewed, and reviews one at a time. Here a round reviews many: it counts as so many runs,
and each of them as an equal part of its time, so that numbers, sums and averages mean the same. See ADR 0023.

Source: GitLab features MET-015 to MET-021.
"""

from collections.abc import Iterator

from moorage.gc.online.review_loop import ReviewObserver
from moorage.gc.online.reviewed import BlobsReviewed, Round
from moorage.metadata.words import Queue
from moorage.metrics.meters import Meters

_MEDIA_TYPE = "application/octet-stream"
"""The media type of every blob, as in GitLab's registry: which layer a blob is, only manifests know."""
_DURATIONS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)
_SLEEPS = (0.5, 1, 5, 15, 30, 60, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200, 86400)
_RUN_LABELS = ("worker", "noop", "error", "dangling", "event")

_Labels = tuple[str, str, str, str]
"""noop, error, dangling and event of a run."""


class CollectionMetrics(ReviewObserver):
    """Counts what it is told."""

    def __init__(self, meters: Meters) -> None:
        self._runs = meters.counter(
            "registry_gc_runs", "Reviews of garbage collection; noop: there was none due.", _RUN_LABELS
        )
        self._run_seconds = meters.histogram(
            "registry_gc_run_duration_seconds",
            "How long a review took: an equal part of its round.",
            _RUN_LABELS,
            buckets=_DURATIONS,
        )
        self._deletes = meters.counter(
            "registry_gc_deletes",
            "What garbage collection removed: bytes from storage, rows from the database.",
            ("backend", "artifact"),
        )
        self._delete_seconds = meters.histogram(
            "registry_gc_delete_duration_seconds",
            "How long a removal took: an equal part of what the removals of its round took.",
            ("backend", "artifact", "error"),
            buckets=_DURATIONS,
        )
        self._deleted_bytes = meters.counter(
            "registry_gc_storage_deleted_bytes", "Bytes that garbage collection removed from storage.", ("media_type",)
        )
        self._postpones = meters.counter(
            "registry_gc_postpones", "Reviews that are put off because they failed.", ("worker",)
        )
        self._sleep_seconds = meters.histogram(
            "registry_gc_sleep_duration_seconds", "Pauses between rounds of reviews.", ("worker",), buckets=_SLEEPS
        )

    def ran(self, worker: Queue, found: Round | None, duration_s: float) -> None:
        """Count a round."""
        runs = list(_runs(found))
        for labels in runs:
            self._runs.labels(worker, *labels).inc()
            self._run_seconds.labels(worker, *labels).observe(duration_s / len(runs))
        if found is None:
            return
        if isinstance(found, BlobsReviewed):
            self._blobs(found)
        else:
            self._deleted("database", "manifest", len(found.dropped), duration_s / max(len(runs), 1))

    def sleeps(self, worker: Queue, duration_s: float) -> None:
        """Count a pause."""
        self._sleep_seconds.labels(worker).observe(duration_s)

    def _blobs(self, found: BlobsReviewed) -> None:
        judged = len(found.needed) + len(found.removed) + len(found.failed)
        tried = len(found.removed) + len(found.failed)
        self._deleted("database", "blob", found.dropped, found.judging_s / max(judged, 1))
        self._deleted("storage", "blob", len(found.removed), found.removing_s / max(tried, 1))
        for _ in found.failed:
            self._delete_seconds.labels("storage", "blob", "true").observe(found.removing_s / tried)
        if found.failed:
            self._postpones.labels("blob").inc(len(found.failed))
        if found.removed:
            self._deleted_bytes.labels(_MEDIA_TYPE).inc(found.removed_bytes)

    def _deleted(self, backend: str, artifact: str, count: int, each_s: float) -> None:
        if count:
            self._deletes.labels(backend, artifact).inc(count)
        for _ in range(count):
            self._delete_seconds.labels(backend, artifact, "false").observe(each_s)


def _runs(found: Round | None) -> Iterator[_Labels]:
    """One for each that was reviewed to an end; one without an event for a round that came to nothing."""
    if found is None:
        yield "true", "true", "false", ""
        return
    if not found.due:
        yield "true", "false", "false", ""
        return
    for event in found.needed:
        yield "false", "false", "false", event
    if isinstance(found, BlobsReviewed):
        for blob in found.removed:
            yield "false", "false", "true", blob.event
        for event in found.failed:
            yield "false", "true", "true", event
    else:
        for manifest in found.dropped:
            yield "false", "false", "true", manifest.event
