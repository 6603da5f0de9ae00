"""A repository with a past: pushes, deletes and undoes, each by a request of its own."""

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any

from contract.metadata.pushing import NAME, push, tag_names
from contract.metadata.stores import SqlStore, query
from moorage.errors import Refused
from moorage.metadata.base import Cause
from moorage.metadata.history import Expected, JournalEntry, JournalFilter, Target, UndoOutcome, UndoSteps
from moorage.metadata.sql.digest_keys import digest_key
from moorage.metadata.sql.history import SqlHistory
from moorage.metadata.sql.renames import SqlRenames
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import Transaction
from support.images import Content, artifact

LAST_CHANGE = UndoSteps()


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
    ) -> UndoOutcome:
        return await self.history.undo_request(request, cause=self.cause(by), partial=partial, dry_run=dry_run)

    async def undo_tag(
        self,
        tag: str,
        target: Target = LAST_CHANGE,
        *,
        expected: Expected | None = None,
        dry_run: bool = False,
        by: str | None = None,
    ) -> UndoOutcome:
        cause = self.cause(by)
        return await self.history.undo_tag(NAME, Tag(tag), target, expected=expected, cause=cause, dry_run=dry_run)

    async def target(self, tag: str, at: datetime | None = None) -> Digest | None:
        """What a tag is, or was."""
        return (await self.history.tag(NAME, Tag(tag), at=at)).digest

    async def tags(self, name: RepositoryName = NAME) -> list[str]:
        return await tag_names(self.store, name)

    async def has(self, manifest: Digest) -> bool:
        return await self.store.manifests.has(NAME, manifest)

    async def entries(self, *, limit: int = 1000, before: int | None = None, **wanted: Any) -> list[JournalEntry]:  # noqa: ANN401 - of each field its own
        """Entries of the repository, newest first."""
        found = JournalFilter(**{"repository": NAME, **wanted})
        return (await self.history.entries(found, before=before, limit=limit)).items

    async def changes(self, **wanted: Any) -> list[tuple[str, str, Digest | None, Digest | None]]:  # noqa: ANN401 - as above
        """What was done, oldest first."""
        entries = await self.entries(**wanted)
        return [(entry.action, str(entry.tag or ""), entry.before, entry.after) for entry in reversed(entries)]

    async def collect(self, manifest: Digest) -> None:
        """What garbage collection does to a manifest whose time has come."""
        await self.store.database.write(query("DELETE FROM manifests WHERE digest = $1"), digest_key(manifest))

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        return self.store.database.transaction()

    async def rename(self, before: str, after: str, request: str) -> None:
        names = RepositoryName(before), RepositoryName(after)
        await SqlRenames(self.store.database).rename(*names, limit=10, cause=self.cause(request))


def conflicts_of(refused: Refused) -> list[dict[str, str | None]]:
    """What a refused undo says that stands in its way."""
    found = refused.detail["conflicts"]
    assert isinstance(found, list)
    assert refused.detail["count"] == len(found)
    return found


def content(seed: object) -> Content:
    """A manifest without a subject, one for each seed."""
    return artifact(seed, None, artifact_type="a/thing").manifest


def digest(seed: object) -> Digest:
    return Digest.of(content(seed).body)
