"""Work beside requests: it begins with its process, does what is due, and ends with it."""

import asyncio
import threading
import time

import pytest

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.changes import schedule_deletion
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.loop import Turn, run_workers
from moorage.control.protection.rules import Person
from moorage.control.serving.background import work_beside_requests
from support.control_registry import push_tags, registry_at
from support.control_rows import new_project
from support.daemon import Daemon

DEADLINE_S = 60.0


def wait_until_gone(repository: ImageRepository) -> None:
    until = time.monotonic() + DEADLINE_S
    while ImageRepository.objects.filter(pk=repository.pk).exists():
        assert time.monotonic() < until, "the record is still there"
        time.sleep(0.05)


async def worked_until_gone(repository: ImageRepository) -> None:
    """Work beside until the repository's record is gone."""
    async with asyncio.TaskGroup() as tasks:
        working = tasks.create_task(work_beside_requests())
        await asyncio.to_thread(wait_until_gone, repository)
        working.cancel()


@pytest.mark.usefixtures("committed")
def test_what_is_due_is_done_beside_requests(shared_daemon: Daemon) -> None:
    project = new_project()
    found = ensure_repository(project, f"{project.full_path}/web", by=COMMAND_LINE)
    push_tags(shared_daemon.address, found.path, "1", "2")
    with registry_at(shared_daemon.url) as registry:
        schedule_deletion(found, by=COMMAND_LINE, person=Person(50))
        asyncio.run(worked_until_gone(found))
        assert registry.tag_names(found.path) == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("image_deletion")] == []


class Failing:
    name = "failing"
    slots = 1

    def __init__(self) -> None:
        self.steps = 0

    def step(self, turn: Turn) -> bool:
        self.steps += 1
        if self.steps == 1:
            raise ArithmeticError
        turn.stopping.set()
        return False


def test_a_step_that_fails_does_not_end_the_loop() -> None:
    worker = Failing()
    run_workers([worker], Turn(), idle_s=0.001)
    assert worker.steps == 2
