"""How often, and when last, something was pulled; gathered in memory, written in batches."""

from datetime import datetime

from moorage.metadata.base import Pulls
from moorage.metadata.sql.recording import QUERIES, now
from moorage.metadata.sql.values import digest_key
from moorage.oci.digests import Digest
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.sql.base import Database

_LIMIT = 50_000
"""Different pulls between two flushes; more are not remembered, as memory must stay bounded."""


class SqlPulls(Pulls):
    """``pull_facts``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[tuple[str, str, Digest], tuple[int, datetime]] = {}

    def note(self, name: RepositoryName, reference: Reference, digest: Digest) -> None:
        key = (name.text, reference.text if isinstance(reference, Tag) else "", digest)
        known = self._noted.get(key)
        if known is not None or len(self._noted) < _LIMIT:
            self._noted[key] = ((known[0] if known else 0) + 1, now())

    async def flush(self) -> None:
        if not self._noted:
            return
        noted, self._noted = self._noted, {}
        # Sorted: two processes that write the same rows never wait for each other.
        rows = [
            (path, tag, digest_key(digest), count, last) for (path, tag, digest), (count, last) in sorted(noted.items())
        ]
        try:
            async with self._database.transaction() as session:
                await session.run_many(QUERIES["note_pulls"], rows)
        except BaseException:
            for key, (count, last) in self._noted.items():
                noted[key] = (noted.get(key, (0, last))[0] + count, last)
            self._noted = noted
            raise
