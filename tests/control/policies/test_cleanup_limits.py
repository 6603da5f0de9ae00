"""Bounds of a cleanup: its time, the list of a registry that is asked for each tag, and the states on the way."""

from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.instance.changes import change_settings
from moorage.control.jobs.loop import Turn
from moorage.control.policies.changes import change_policy
from moorage.control.policies.jobs import PolicyCleanup
from moorage.control.policies.models import CleanupRun
from support.components import need
from support.control_registry import MovedClock, push_tags, registry_at
from support.control_rows import new_project
from support.daemon import Daemon
from support.peer import Peer


@pytest.fixture(scope="module")
def peer(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Peer]:
    need("docker-registry")
    folder = tmp_path_factory.mktemp("peer")
    with Peer(folder, folder / "data") as running:
        yield running


def due_repository(address: str, clock: MovedClock, *tags: str, keep_n: int | None = None) -> ImageRepository:
    project = new_project()
    push_tags(address, project.full_path, *tags)
    found = ensure_repository(project, project.full_path, by=COMMAND_LINE)
    values = {"enabled": True, "name_regex": ".*", "keep_n": keep_n, "older_than": None}
    change_policy(project, by=COMMAND_LINE, now=clock.now - timedelta(days=1), **values)
    return found


def test_a_cleanup_goes_from_unscheduled_through_ongoing_and_unfinished_to_unscheduled(
    shared_daemon: Daemon, clock: MovedClock
) -> None:
    found = due_repository(shared_daemon.address, clock, *(f"v{number}" for number in range(25)))
    change_settings(by=COMMAND_LINE, container_registry_delete_tags_service_timeout=3)
    seen: list[tuple[str, int | None]] = []

    def running_clock() -> datetime:
        """Be a second later each time, and see the record as others do."""
        row = ImageRepository.objects.get(pk=found.pk)
        seen.append((row.expiration_policy_cleanup_status, row.last_cleanup_deleted_tags_count))
        clock.move(seconds=1)
        return clock.now

    with registry_at(shared_daemon.url) as registry:
        PolicyCleanup().step(Turn(clock=running_clock))
        found.refresh_from_db()
        assert found.expiration_policy_cleanup_status == "cleanup_unfinished"
        assert 0 < len(registry.tag_names(found.path)) < 25
        PolicyCleanup().step(clock.turn)
        assert registry.tag_names(found.path) == []
    found.refresh_from_db()
    assert found.expiration_policy_cleanup_status == "cleanup_unscheduled"
    assert list(dict(seen)) == ["cleanup_unscheduled", "cleanup_ongoing", "cleanup_unfinished"]
    late, last = CleanupRun.objects.order_by("-pk")[1], CleanupRun.objects.order_by("-pk")[0]
    assert (late.outcome, late.message) == ("unfinished", "it was not done in time")
    assert (last.outcome, late.deleted_size + last.deleted_size) == ("finished", 25)


def test_another_registry_is_asked_for_so_many_tags_a_run_and_the_newest_stay(peer: Peer, clock: MovedClock) -> None:
    found = due_repository(peer.address, clock, *(f"v{number}" for number in range(6)), keep_n=1)
    change_settings(by=COMMAND_LINE, container_registry_cleanup_tags_service_max_list_size=2)
    with registry_at(peer.url) as registry:
        runs = 0
        while not runs or CleanupRun.objects.latest("pk").outcome == "unfinished":
            assert PolicyCleanup().step(clock.turn)
            runs += 1
        assert len(registry.tag_names(found.path)) == 1
    assert [(run.outcome, run.original_size, run.deleted_size) for run in CleanupRun.objects.order_by("pk")] == [
        ("unfinished", 6, 2),
        ("unfinished", 4, 2),
        ("finished", 2, 1),
    ]
