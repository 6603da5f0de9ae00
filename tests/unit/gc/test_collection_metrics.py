"""Metrics of garbage collection: what a round of many counts as, under GitLab's names."""

from collections.abc import Mapping

import pytest
from prometheus_client import CollectorRegistry

from moorage.gc.online.collection_metrics import CollectionMetrics
from moorage.gc.online.reviewed import BlobsReviewed, Removed
from moorage.metadata.reviews import Dropped, ManifestsReviewed
from moorage.metrics.meters import Meters
from moorage.oci.digests import Digest

DIGEST = Digest.of(b"")
KEPT = {"noop": "false", "error": "false", "dangling": "false"}
GONE = {"noop": "false", "error": "false", "dangling": "true"}
FAILED = {"noop": "false", "error": "true", "dangling": "true"}
STORAGE = {"backend": "storage", "artifact": "blob"}
ROWS = {"backend": "database", "artifact": "blob"}
OCTETS = {"media_type": "application/octet-stream"}


def removed(event: str, size_bytes: int) -> Removed:
    return Removed(digest=DIGEST, size_bytes=size_bytes, event=event)


class Counted:
    """Metrics, and what they say."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.metrics = CollectionMetrics(Meters(self.registry))

    def value(self, name: str, labels: Mapping[str, str]) -> float | None:
        return self.registry.get_sample_value(name, dict(labels))

    def runs(self, worker: str, event: str, **labels: str) -> float | None:
        wanted = {"worker": worker, "event": event, **labels}
        count = self.value("registry_gc_runs_total", wanted)
        assert self.value("registry_gc_run_duration_seconds_count", wanted) == count
        return count


@pytest.fixture
def counted() -> Counted:
    return Counted()


def test_each_blob_of_a_round_is_a_run_with_its_event(counted: Counted) -> None:
    found = BlobsReviewed(
        due=5,
        needed=["blob_upload", "blob_upload"],
        removed=[removed("layer_delete", 100), removed("layer_delete", 20)],
        failed=["blob_delete"],
        dropped=3,
        judging_s=0.5,
        removing_s=0.3,
    )
    counted.metrics.ran("blob", found, 2.0)
    assert counted.runs("blob", "blob_upload", **KEPT) == 2
    assert counted.runs("blob", "layer_delete", **GONE) == 2
    assert counted.runs("blob", "blob_delete", **FAILED) == 1
    assert counted.value("registry_gc_deletes_total", STORAGE) == 2
    assert counted.value("registry_gc_deletes_total", ROWS) == 3
    assert counted.value("registry_gc_storage_deleted_bytes_total", OCTETS) == 120
    assert counted.value("registry_gc_postpones_total", {"worker": "blob"}) == 1


def test_the_time_of_a_round_is_shared_among_its_runs(counted: Counted) -> None:
    found = BlobsReviewed(due=4, needed=["blob_upload"] * 3, removed=[removed("blob_upload", 1)], removing_s=0.2)
    counted.metrics.ran("blob", found, 2.0)
    kept = {"worker": "blob", "event": "blob_upload", **KEPT}
    gone = {"worker": "blob", "event": "blob_upload", **GONE}
    assert counted.value("registry_gc_run_duration_seconds_sum", kept) == pytest.approx(1.5)
    assert counted.value("registry_gc_run_duration_seconds_sum", gone) == pytest.approx(0.5)
    removal = {**STORAGE, "error": "false"}
    assert counted.value("registry_gc_delete_duration_seconds_sum", removal) == pytest.approx(0.2)


def test_what_could_not_be_removed_has_its_time_too(counted: Counted) -> None:
    counted.metrics.ran("blob", BlobsReviewed(due=1, failed=["layer_delete"], removing_s=0.4), 1.0)
    failed = {**STORAGE, "error": "true"}
    assert counted.value("registry_gc_delete_duration_seconds_sum", failed) == pytest.approx(0.4)
    assert counted.value("registry_gc_deletes_total", STORAGE) is None


def test_each_manifest_of_a_round_is_a_run(counted: Counted) -> None:
    dropped = Dropped(repository="a", digest=DIGEST, media_type="m", size_bytes=1, event="tag_delete")
    counted.metrics.ran("manifest", ManifestsReviewed(due=2, needed=["manifest_upload"], dropped=[dropped]), 1.0)
    assert counted.runs("manifest", "manifest_upload", **KEPT) == 1
    assert counted.runs("manifest", "tag_delete", **GONE) == 1
    assert counted.value("registry_gc_deletes_total", {"backend": "database", "artifact": "manifest"}) == 1
    assert counted.value("registry_gc_storage_deleted_bytes_total", OCTETS) is None


def test_a_round_with_nothing_due_is_a_run_for_nothing(counted: Counted) -> None:
    counted.metrics.ran("manifest", ManifestsReviewed(), 0.01)
    assert counted.runs("manifest", "", noop="true", error="false", dangling="false") == 1


def test_a_round_that_ended_by_an_error_is_a_run_with_an_error(counted: Counted) -> None:
    counted.metrics.ran("blob", None, 0.01)
    assert counted.runs("blob", "", noop="true", error="true", dangling="false") == 1


def test_what_somebody_else_held_is_no_run(counted: Counted) -> None:
    counted.metrics.ran("blob", BlobsReviewed(due=3), 0.01)
    assert [sample for family in counted.registry.collect() for sample in family.samples] == []


def test_pauses_are_counted_by_worker(counted: Counted) -> None:
    counted.metrics.sleeps("blob", 5.0)
    assert counted.value("registry_gc_sleep_duration_seconds_sum", {"worker": "blob"}) == 5.0
    assert counted.value("registry_gc_sleep_duration_seconds_bucket", {"worker": "blob", "le": "5.0"}) == 1
