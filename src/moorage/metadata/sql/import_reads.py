"""Questions of an import, to a database."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence

from moorage.metadata.imports import ImportReads
from moorage.metadata.sql.digest_keys import PORTION, digest_key, digest_of, portions
from moorage.metadata.sql.journal_rows import QUERIES as COMMON
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, NamedQuery, Row
from moorage.sql.queries import load_queries

QUERIES = load_queries("moorage.metadata.sql", "imports")

_LAST = b"\xff"
"""Comes after every key of a digest."""
_COUNTED = ("repositories", "tags", "manifests", "blobs", "repository_blobs", "layers", "manifest_references")


class SqlImportReads(ImportReads):
    """The same queries in both databases."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def has_tags(self) -> bool:
        return await self._database.first(QUERIES["has_tags"]) is not None

    async def has_content(self, name: RepositoryName) -> bool:
        return await self._database.first(QUERIES["has_content"], name.text) is not None

    async def blobs(self, digests: Collection[Digest]) -> Mapping[Digest, int]:
        found: dict[Digest, int] = {}
        async for part in portions([digest_key(digest) for digest in digests]):
            rows = await self._database.all(QUERIES["sizes_of_blobs"], part)
            found |= {digest_of(row[0]): row[1] for row in rows}
        return found

    async def linked(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        return await self._among(COMMON["known_blobs"], digests, name.text)

    async def manifests(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        return await self._among(QUERIES["whole_manifests"], digests, name.text)

    async def needed(self, digests: Collection[Digest]) -> set[Digest]:
        needed = await self._among(QUERIES["needed_blobs"], digests)
        return needed | await self._among(QUERIES["queued_blobs"], digests)

    async def tags_between(self, name: RepositoryName, after: str, last: str | None) -> Sequence[str]:
        if last is None:
            rows = await self._database.all(QUERIES["tags_after"], name.text, after)
        else:
            rows = await self._database.all(QUERIES["tags_between"], name.text, after, last)
        return [row[0] for row in rows]

    async def manifests_between(self, name: RepositoryName, after: Digest | None, last: Digest | None) -> set[Digest]:
        bounds = (b"" if after is None else digest_key(after), _LAST if last is None else digest_key(last))
        rows = await self._database.all(QUERIES["manifests_between"], name.text, *bounds)
        return {digest_of(row[0]) for row in rows}

    async def page_of_blobs(self, name: RepositoryName, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        rows = await self._database.all(QUERIES["page_of_blobs"], name.text, after, limit)
        return [(row[0], digest_of(row[1])) for row in rows]

    async def page_of_repositories(self, *, after: str, limit: int) -> Sequence[str]:
        return [row[0] for row in await self._database.all(QUERIES["page_of_repositories"], after, limit)]

    async def page_of_digests(self, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        rows = await self._database.all(QUERIES["page_of_digests"], after, limit)
        return [(row[0], digest_of(row[1])) for row in rows]

    async def row_counts(self) -> Mapping[str, int]:
        row = await self._database.first(QUERIES["row_counts"])
        return dict(zip(_COUNTED, row or (0,) * len(_COUNTED), strict=True))

    async def _among(self, query: NamedQuery, digests: Collection[Digest], *before: str) -> set[Digest]:
        found: set[Digest] = set()
        async for rows in self._portions(query, digests, before):
            found |= {digest_of(row[0]) for row in rows}
        return found

    async def _portions(
        self, query: NamedQuery, digests: Collection[Digest], before: Sequence[str]
    ) -> AsyncIterator[Sequence[Row]]:
        keys = [digest_key(digest) for digest in digests]
        for start in range(0, len(keys), PORTION):
            yield await self._database.all(query, *before, keys[start : start + PORTION])
