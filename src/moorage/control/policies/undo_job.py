"""The job that goes on with the undo of a run, when that is more than a request may do."""

from datetime import timedelta

import structlog

from moorage.control.audit.actors import Actor
from moorage.control.images.moving_now import MoveUnderWay
from moorage.control.jobs.loop import Turn
from moorage.control.policies.models import RunUndo
from moorage.control.policies.undoing import UndoneTags, undo_portion
from moorage.control.protection.rules import Person
from moorage.control.registry.registry_errors import RegistryError, RegistryReadOnly
from moorage.errors import Refused

LEASE = timedelta(minutes=5)
"""A portion takes ten seconds, and the last request of it as long as the registry is waited for."""
RETRIES = 5
READ_ONLY_WAIT = timedelta(minutes=10)

_LOG = structlog.get_logger("moorage.control.policies")


class RunUndoing:
    """The worker that goes on with undos."""

    name = "run_undo"
    slots = 1

    def step(self, turn: Turn) -> bool:
        """Do the next portion of the undo that has waited for longest."""
        row = RunUndo.LEASE.take(RunUndo.objects.all(), now=turn.now, until=turn.now + LEASE)
        if row is None:
            return False
        found = UndoneTags(position=row.position)
        by = Actor(name=row.requested_by, credential="run_undo")
        person = Person(row.role, is_admin=row.is_admin)
        try:
            undo_portion(row.run, found, by=by, person=person, may_go_on=lambda: not turn.stopping.is_set())
        except RegistryReadOnly as exc:  # It has been accepted, and waits for the end of the maintenance.
            due_at = turn.now + READ_ONLY_WAIT
            RunUndo.LEASE.settle(row, due_at=due_at, message=str(exc), **_sums(row, found))
        except (RegistryError, MoveUnderWay) as exc:
            self._wait(row, found, turn, str(exc))
        except Refused as exc:
            self._end(row, found, turn, str(exc))
        else:
            if found.left:
                RunUndo.LEASE.settle(row, due_at=turn.now, failures=0, message="", **_sums(row, found))
            else:
                self._end(row, found, turn, "")
        return True

    def _wait(self, row: RunUndo, found: UndoneTags, turn: Turn, reason: str) -> None:
        if row.failures >= RETRIES:
            self._end(row, found, turn, reason)
            return
        due_at = turn.now + timedelta(minutes=1 << row.failures)
        RunUndo.LEASE.settle(row, due_at=due_at, failures=row.failures + 1, message=reason, **_sums(row, found))

    def _end(self, row: RunUndo, found: UndoneTags, turn: Turn, message: str) -> None:
        sums = _sums(row, found)
        RunUndo.LEASE.settle(row, due_at=None, finished_at=turn.now, message=message, **sums)
        _LOG.info("undo of a cleanup ended", run=row.run_id, message=message, left=found.left, **sums)


def _sums(row: RunUndo, found: UndoneTags) -> dict[str, int]:
    done = found.counts
    return {name: count if name == "position" else getattr(row, name) + count for name, count in done.items()}
