"""Counts of pulls, and the time of the last one; gathered in memory, written in batches."""

from moorage.metadata.base import PullStore
from moorage.metadata.sql.digest_keys import encoded_key
from moorage.metadata.sql.journal_rows import QUERIES, now
from moorage.oci.digests import Digest
from moorage.oci.names import Reference, RepositoryName, Tag
from moorage.sql.base import Database

_LIMIT = 50_000
"""Different pulls between two flushes; more are not counted, as memory must stay bounded."""


class SqlPulls(PullStore):
    """``pull_facts``."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._noted: dict[tuple[str, str, str], int] = {}

    def note(self, name: RepositoryName, reference: Reference, digest: Digest) -> None:
        # Texts only, and no clock: this is on the path of every pull.
        key = (name.text, reference.text if isinstance(reference, Tag) else "", digest.encoded)
        count = self._noted.get(key, 0)
        if count or len(self._noted) < _LIMIT:
            self._noted[key] = count + 1

    async def flush(self) -> None:
        if not self._noted:
            return
        noted, self._noted, at = self._noted, {}, now()
        # Sorted: two processes that write the same rows never wait for each other.
        rows = [(path, tag, encoded_key(encoded), count, at) for (path, tag, encoded), count in sorted(noted.items())]
        is_written = False
        try:
            async with self._database.transaction() as transaction:
                await transaction.run_many(QUERIES["note_pulls"], rows)
                is_written = True
        except BaseException:
            if not is_written:  # Once it is, nobody knows whether it is kept: better one too few than one twice.
                for key, count in noted.items():
                    self._noted[key] = self._noted.get(key, 0) + count
            raise
