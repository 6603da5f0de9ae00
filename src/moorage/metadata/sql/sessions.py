"""The upload sessions that have not ended; short ones are never written down."""

from collections.abc import Sequence
from datetime import datetime

from moorage.metadata.base import SessionStore, UploadSession
from moorage.metadata.sql.journal_rows import QUERIES, now
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, moment

_LIMIT = 50_000


class SqlSessions(SessionStore):
    """``uploads``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[str, tuple[str, datetime]] = {}
        self._forgotten: set[str] = set()

    def note(self, name: RepositoryName, session: str) -> None:
        if len(self._noted) < _LIMIT:
            self._noted[session] = (name.text, now())

    def forget(self, session: str) -> None:
        if self._noted.pop(session, None) is None:
            self._forgotten.add(session)

    async def flush(self) -> None:
        if not self._noted and not self._forgotten:
            return
        noted, self._noted = self._noted, {}
        forgotten, self._forgotten = self._forgotten, set()
        try:
            async with self._database.transaction() as transaction:
                # Sorted: two processes that write the same rows never wait for each other.
                rows = [(session, name, at) for session, (name, at) in sorted(noted.items())]
                await transaction.run_many(QUERIES["note_upload"], rows)
                await transaction.run_many(QUERIES["forget_upload"], [(session,) for session in sorted(forgotten)])
        except BaseException:
            self._noted = noted | self._noted
            self._forgotten |= forgotten
            raise

    async def stale(self, *, before: datetime, limit: int) -> Sequence[UploadSession]:
        rows = await self._database.all(QUERIES["stale_uploads"], before, limit)
        return [UploadSession(RepositoryName(row[1]), row[0], moment(row[2])) for row in rows]
