"""Workers over one PostgreSQL, in a process of their own: ``python -m support.postgres_jobs CONTROL_YML``.

What each of them took is printed as JSON.
"""

import json
import os
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from moorage.control.configuration import read_control
from moorage.control.current import start_django

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
REPOSITORIES = 30
ROUNDS = 8
WAIT_S = 60.0


def main() -> None:
    """Start Django, and print what two workers did."""
    start_django(read_control(Path(sys.argv[1]), os.environ))
    from django.db import connections  # noqa: PLC0415 - Django has started

    _make_rows()

    def closing(work: Callable[[], Any]) -> Any:  # noqa: ANN401 - of any kind
        try:
            return work()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(2) as two:
        found = {
            "beside_an_open_transaction": _beside_an_open_transaction(two, closing),
            "drained": _drained(two, closing),
            "over_capacity": _over_capacity(two, closing),
        }
    sys.stdout.write(f"{json.dumps(found)}\n")


def _make_rows() -> None:
    from moorage.control.audit.actors import COMMAND_LINE  # noqa: PLC0415 - Django has started
    from moorage.control.images.recording import ensure_repository  # noqa: PLC0415 - as above
    from moorage.control.policies.changes import change_policy  # noqa: PLC0415 - as above
    from support.control_rows import new_project  # noqa: PLC0415 - as above

    for _ in range(REPOSITORIES):
        project = new_project()
        ensure_repository(project, project.full_path, by=COMMAND_LINE)
        change_policy(project, by=COMMAND_LINE, now=NOW, enabled=True)


def _take() -> int | None:
    from moorage.control.images.models import ImageRepository  # noqa: PLC0415 - Django has started

    row = ImageRepository.DELETION.take(
        ImageRepository.objects.select_related("project"), now=NOW, until=NOW + timedelta(hours=1)
    )
    return None if row is None else row.pk


def _beside_an_open_transaction(two: ThreadPoolExecutor, closing: Callable[..., Any]) -> list[int | None]:
    """One takes and has not committed yet; the other has to get the next one, and not to wait."""
    from django.db import transaction  # noqa: PLC0415 - Django has started

    from moorage.control.images.models import ImageRepository  # noqa: PLC0415 - as above

    ImageRepository.objects.update(delete_due_at=NOW, delete_owner="")
    is_taken, is_done = threading.Event(), threading.Event()

    def first() -> int | None:
        with transaction.atomic():
            found = _take()
            is_taken.set()
            is_done.wait(WAIT_S)
            return found

    def second() -> int | None:
        is_taken.wait(WAIT_S)
        try:
            return _take()
        finally:
            is_done.set()

    return [one.result() for one in [two.submit(closing, first), two.submit(closing, second)]]


def _drained(two: ThreadPoolExecutor, closing: Callable[..., Any]) -> list[list[int]]:
    from moorage.control.images.models import ImageRepository  # noqa: PLC0415 - Django has started

    ImageRepository.objects.update(delete_due_at=NOW, delete_owner="")

    def drain() -> list[int]:
        taken: list[int] = []
        while (found := _take()) is not None:
            taken.append(found)
        return taken

    return [one.result() for one in [two.submit(closing, drain), two.submit(closing, drain)]]


def _over_capacity(two: ThreadPoolExecutor, closing: Callable[..., Any]) -> list[int]:
    """Two ask at once for a cleanup where one may go on: how many go on, each time."""
    from moorage.control.images.models import CleanupStatus, ImageRepository  # noqa: PLC0415 - Django has started
    from moorage.control.instance.models import ApplicationSettings  # noqa: PLC0415 - as above
    from moorage.control.policies import jobs  # noqa: PLC0415 - as above

    ImageRepository.objects.update(delete_due_at=None, delete_owner="")
    capacity = {"container_registry_expiration_policies_worker_capacity": 1}
    ApplicationSettings.objects.update_or_create(pk=1, defaults=capacity)
    due = NOW + timedelta(days=2)
    found = []
    for _ in range(ROUNDS):
        ImageRepository.objects.update(
            expiration_policy_cleanup_status=CleanupStatus.UNSCHEDULED, cleanup_due_at=None, cleanup_owner=""
        )
        together = threading.Barrier(2)

        def take(together: threading.Barrier = together) -> bool:
            together.wait(WAIT_S)
            return jobs._take(due) is not None

        for one in [two.submit(closing, take), two.submit(closing, take)]:
            one.result()
        going_on = ImageRepository.objects.filter(expiration_policy_cleanup_status=CleanupStatus.ONGOING)
        found.append(going_on.count())
    return found


if __name__ == "__main__":
    main()
