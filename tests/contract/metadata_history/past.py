"""A repository with a past: pushes, deletes and undoes, each by a request of its own."""

from contextlib import AbstractAsyncContextManager
from datetime import UTC, datetime
from typing import Any

from contract.metadata.pushing import NAME, push, tag_names
from contract.metadata.stores import SqlStore, query
from moorage.metadata.base import Cause
from moorage.metadata.history import Entry, Expected, Filter, Outcome, Steps, Target
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.values import digest_key
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Session
from support.images import Content, artifact

LAST_CHANGE = Steps()


class Past:
    """One process's view of a store and of its history."""

    def __init__(self, store: SqlStore) -> None:
        self.store = store
        self.history = SqlHistory(store.database)
        self._count = 0

    def cause(self, request: str | None = None) -> Cause:
        """A request by somebody; a new one, unless it is named."""
        self._count += 1
        return Cause("ada", request or f"request-{id(self)}-{self._count}", "")

    async def push(self, seed: object, *tags: str, request: str | None = None, name: RepositoryName = NAME) -> Digest:
        """Push a manifest that *seed* stands for."""
        return await push(self.store, content(seed), *tags, name=name, cause=self.cause(request))

    async def delete(self, manifest: Digest, request: str | None = None) -> None:
        await self.store.manifests.delete(NAME, manifest, cause=self.cause(request))

    async def untag(self, tag: str, request: str | None = None) -> None:
        await self.store.manifests.untag(NAME, Tag(tag), cause=self.cause(request))

    async def undo(
        self, request: str, *, by: str | None = None, partial: bool = False, dry_run: bool = False
    ) -> Outcome:
        return await self.history.undo_request(request, cause=self.cause(by), partial=partial, dry_run=dry_run)

    async def undo_tag(
        self,
        tag: str,
        target: Target = LAST_CHANGE,
        *,
        expected: Expected | None = None,
        dry_run: bool = False,
        by: str | None = None,
    ) -> Outcome:
        cause = self.cause(by)
        return await self.history.undo_tag(NAME, Tag(tag), target, expected=expected, cause=cause, dry_run=dry_run)

    async def target(self, tag: str, at: datetime | None = None) -> Digest | None:
        """What a tag is, or was."""
        return (await self.history.tag(NAME, Tag(tag), at=at)).digest

    async def tags(self, name: RepositoryName = NAME) -> list[str]:
        return await tag_names(self.store, name)

    async def has(self, manifest: Digest) -> bool:
        return await self.store.manifests.has(NAME, manifest)

    async def entries(self, *, limit: int = 1000, before: int | None = None, **wanted: Any) -> list[Entry]:  # noqa: ANN401 - of each field its own
        """Entries of the repository, newest first."""
        found = Filter(**{"repository": NAME, **wanted})
        return (await self.history.entries(found, before=before, limit=limit)).items

    async def changes(self, **wanted: object) -> list[tuple[str, str | None, Digest | None, Digest | None]]:
        """What was done, oldest first."""
        entries = await self.entries(**wanted)
        return [(entry.action, entry.tag and entry.tag.text, entry.before, entry.after) for entry in entries][::-1]

    async def collect(self, manifest: Digest) -> None:
        """What garbage collection does to a manifest whose time has come."""
        await self.store.database.write(query("DELETE FROM manifests WHERE digest = $1"), digest_key(manifest))

    def transaction(self) -> AbstractAsyncContextManager[Session]:
        return self.store.database.transaction()

    async def rename(self, before: str, after: str, request: str) -> None:
        """What a rename does."""
        async with self.transaction() as session:
            row = await session.first(query("SELECT id FROM repositories WHERE path = $1"), before)
            assert row is not None
            await session.all(query("UPDATE repositories SET path = $2 WHERE id = $1"), row[0], after)
            entry = query(
                "INSERT INTO journal (at, request_id, actor, reason, action, repository_id, repository, detail) "
                "VALUES ($1, $2, '', '', 'repository_rename', $3, $4, $5)"
            )
            detail = f'{{"from": "{before}", "to": "{after}"}}'
            await session.all(entry, datetime.now(UTC), request, row[0], before, detail)


def content(seed: object) -> Content:
    """A manifest without a subject, one for each seed."""
    return artifact(seed, None, artifact_type="a/thing").manifest


def digest(seed: object) -> Digest:
    return Digest.of(content(seed).body)
