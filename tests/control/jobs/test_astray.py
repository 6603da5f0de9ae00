"""Rows that a clock which was a year ahead has put off are due again, and others keep their time."""

from datetime import timedelta

from moorage.control.audit.actors import COMMAND_LINE
from moorage.control.images.models import ImageRepository
from moorage.control.images.recording import ensure_repository
from moorage.control.jobs.astray import EVERY_S, AstrayRows
from moorage.control.jobs.loop import Turn
from moorage.control.usage.models import UsagePlace
from support.control_rows import new_project


def test_what_is_due_in_a_year_is_due_now_and_what_is_due_tomorrow_is_not() -> None:
    turn, tomorrow = Turn(), Turn().now + timedelta(days=1)
    project = new_project()
    repository = ensure_repository(project, project.full_path, by=COMMAND_LINE)
    place, _ = UsagePlace.objects.get_or_create(project=project)
    passed_s = 0.0
    worker = AstrayRows(monotonic=lambda: passed_s)

    def set_(year_ahead: timedelta) -> None:
        UsagePlace.objects.filter(pk=place.pk).update(due_at=turn.now + year_ahead, owner="killed meanwhile")
        ImageRepository.objects.filter(pk=repository.pk).update(
            delete_due_at=turn.now + year_ahead, cleanup_due_at=tomorrow
        )

    def is_due() -> tuple[bool, bool]:
        place.refresh_from_db()
        repository.refresh_from_db()
        assert repository.cleanup_due_at == tomorrow
        assert place.due_at is not None
        assert repository.delete_due_at is not None
        return place.due_at <= turn.now, repository.delete_due_at <= turn.now

    set_(timedelta(days=365))
    assert not worker.step(turn), "it never keeps others from their pauses"
    assert is_due() == (True, True)
    taken = UsagePlace.LEASE.take(UsagePlace.objects.filter(pk=place.pk), now=turn.now, until=tomorrow)
    assert taken is not None
    set_(timedelta(days=365))
    worker.step(turn)
    assert is_due() == (False, False), "it is not looked again at each step"
    passed_s += EVERY_S
    worker.step(turn)
    assert is_due() == (True, True)
