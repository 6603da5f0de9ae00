"""A push into PostgreSQL: each a statement, as the way to the server costs more than what it does there.

The functions are made by migrations: ``link_blob_v2``, ``link_placed_blob_v2`` and ``put_manifest_v2`` do what
``sqlite_pushes.py`` does in steps.
"""

from collections.abc import Sequence

from moorage.metadata.base import TagThere, moved_since
from moorage.metadata.sql.digest_keys import digest_of
from moorage.metadata.sql.journal_rows import QUERIES
from moorage.metadata.sql.outbox import as_lists
from moorage.metadata.sql.push_writing import ManifestChange, NewLink, PushWriter
from moorage.notifications.events import Notice
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Database, NamedQuery, Row, Value
from moorage.sql.collisions import done_again


class PostgresPushes(PushWriter):
    """One round trip for each push."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def link_blob(self, name: RepositoryName, link: NewLink, *, told: Sequence[Notice]) -> bool:
        watched = () if link.removals is None else (link.removals,)
        query = "link_placed_blob" if watched else "link_blob"
        query, lists = (f"{query}_telling", as_lists(told)) if told else (query, ())
        arguments = (name.text, link.digest, link.size_bytes, link.token, link.at, *watched)
        rows = await self._database.write(QUERIES[query], *arguments, *lists, repository=name.text)
        is_right = rows[0][0]
        if is_right is False:
            await self._database.write(QUERIES["mend_size"], link.digest, link.size_bytes, repository=name.text)
        return is_right is not None

    async def put_manifest(
        self, name: RepositoryName, change: ManifestChange, *, told: Sequence[Notice]
    ) -> Sequence[Digest]:
        query, lists = ("put_manifest_telling", as_lists(told)) if told else ("put_manifest", ())
        cause = (change.cause.request_id, change.cause.actor, change.cause.reason)
        arguments = (name.text, *change.manifest.arguments(), change.tags, change.required, change.at, *cause)
        if change.expected:
            rows = await self._put_expected(name, change, QUERIES[query], *arguments, *lists)
        else:
            rows = await self._database.write(QUERIES[query], *arguments, *lists, repository=name.text)
        return [digest_of(key) for key in rows[0][0]]

    @done_again
    async def _put_expected(
        self, name: RepositoryName, change: ManifestChange, query: NamedQuery, *arguments: Value
    ) -> Sequence[Row]:
        new = sorted(tag for tag, there in change.expected.items() if there is None)
        seen = sorted((tag, there) for tag, there in change.expected.items() if there is not None)
        async with self._database.transaction(repository=name.text) as transaction:
            if seen:  # Held until this push has moved them.
                held = await transaction.all(QUERIES["hold_tags"], name.text, [tag for tag, _ in seen])
                moved = set(seen) - {(row[0], bytes(row[1])) for row in held}
                if moved:
                    raise moved_since(Tag(min(moved)[0]))
            rows = await transaction.all(query, *arguments)
            # Looked at when this push has its turn: a tag that was not there before had no row that could be locked.
            there = await transaction.all(QUERIES["tags_not_made"], name.text, new, change.at) if new else ()
            if there and not rows[0][0]:
                raise TagThere(there[0][0])
        return rows
