"""Notice of a second database over one storage: each takes for garbage what only the other one knows.

They are copies of one another, so both pass for the one that the storage belongs to. But what a database notes after
the copy, the other one does not have: each sets a new mark in storage at every start and every five minutes, and
remembers its own. A mark in storage that a database does not know is another one's. Why so: ADR 0180.
"""

import secrets
from collections.abc import Mapping
from datetime import timedelta
from typing import Final

from moorage.errors import BackendError
from moorage.metadata.storage_marks import StorageMarks
from moorage.storage import paths
from moorage.storage.base import StorageDriver
from moorage.storage.json_notes import read_note, write_note
from moorage.telemetry import get_log
from moorage.work.loop import WORKED, Loop, LoopPace, RoundOutcome, RoundResult

EVERY: Final = timedelta(minutes=5)
_DUE: Final = EVERY * 0.8
"""One of several nodes sets the mark; whoever looks a moment early must not leave it to the next time."""
_AGAIN_S: Final = 5.0
"""After the first look: of two that start at the same moment, the one that was overwritten sees the other's mark."""
HELD: Final = EVERY * 3
"""For so long after another's mark nothing is removed: a second database that still serves has set one again."""
TWO_DATABASES: Final = (
    "another copy of this database serves the same storage, or did so within the last 15 minutes: nothing is removed, "
    "as each would remove what only the other one knows"
)
NEXT_STEP: Final = (
    "stop the registry that has the wrong one; if there is none, as after a restore of the database, this ends by "
    "itself in 15 minutes"
)

_log = get_log("registry.gc")


class OneDatabase:
    """The watch over one storage of one database; all of its nodes share what they find."""

    def __init__(self, marks: StorageMarks, storage: StorageDriver) -> None:
        self._marks = marks
        self._storage = storage
        self._has_begun = False
        self._has_told = False

    async def run(self) -> None:
        """Look and set marks for as long as the task lives."""

        async def look() -> RoundResult:
            starts = not self._has_begun
            await self.look(starts=starts)
            self._has_begun = True
            return RoundResult(RoundOutcome.WORKED, pause_s=_AGAIN_S) if starts else WORKED

        def say(exc: Exception) -> None:
            _log.error("whether another database serves this storage is not known", error=str(exc))

        await Loop(look, LoopPace(interval=EVERY), failures=(BackendError,), on_failure=say).run()

    async def look(self, *, starts: bool = False) -> None:
        """Look for another's mark, and set one: if it is time, at a start, and where there is another's.

        Raises:
            BackendError: storage or the database did not answer.
        """
        has_other = await self._has_other()
        # Remembered first: once the mark in storage is ours, nothing else there tells of the other one.
        if has_other:
            await self._hold()
        is_alone = not (has_other or await self._marks.is_held())
        await self._set_mark(every=timedelta(0) if starts or has_other else _DUE)
        if is_alone and self._has_told:
            _log.info("this database is alone with its storage again; garbage is collected")
        self._has_told = not is_alone

    async def is_alone(self) -> bool:
        """Return whether bytes may be removed: no other database has set a mark lately.

        Raises:
            BackendError: storage or the database did not answer.
        """
        if not await self._has_other():
            return not await self._marks.is_held()
        if await self._hold():
            # The other one may have overwritten ours without having seen it, and goes on removing until it sees one.
            await self._set_mark(every=timedelta(0))
        return False

    async def has_company(self) -> bool:
        """Return whether another database has set a mark lately; nothing is remembered of it.

        Raises:
            BackendError: storage or the database did not answer.
        """
        return await self._has_other() or await self._marks.is_held()

    async def _has_other(self) -> bool:
        found = await read_note(self._storage, paths.MARK, _mark_of, unreadable="?")
        return found is not None and found not in await self._marks.known()

    async def _hold(self) -> bool:
        """Have nothing removed for a while; True: that is new."""
        is_new = await self._marks.hold(HELD)
        if is_new:
            _log.error("garbage collection is held", error=TWO_DATABASES, next_step=NEXT_STEP)
        return is_new

    async def _set_mark(self, *, every: timedelta) -> None:
        mark = secrets.token_hex(8)
        if await self._marks.add(mark, every=every):
            await write_note(self._storage, paths.MARK, {"mark": mark})


def _mark_of(note: Mapping[str, object]) -> str:
    return str(note["mark"])
