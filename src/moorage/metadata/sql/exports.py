"""All that a database has, for link files."""

from collections.abc import Collection, Sequence

from moorage.metadata.exports import ExportStore, SizedManifest
from moorage.metadata.sql.digest_keys import PORTION, digest_key, digest_of
from moorage.metadata.sql.import_reads import SqlImportReads
from moorage.metadata.sql.journal_rows import QUERIES as COMMON
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, NamedQuery
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "exports")


class SqlExports(ExportStore):
    """The same queries in both databases; some are those of an import."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._reads = SqlImportReads(database)

    async def page_of_repositories(self, *, after: str, limit: int) -> Sequence[str]:
        return await self._reads.page_of_repositories(after=after, limit=limit)

    async def are_repositories(self, paths: Collection[str]) -> set[str]:
        return await self._names(_QUERIES["are_repositories"], paths)

    async def is_in_catalogue(self, name: RepositoryName) -> bool:
        return await self._database.first(_QUERIES["is_in_catalogue"], name.text) is not None

    async def page_of_blobs(self, name: RepositoryName, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        return await self._reads.page_of_blobs(name, after=after, limit=limit)

    async def page_of_manifests(
        self, name: RepositoryName, *, after: Digest | None, limit: int
    ) -> Sequence[SizedManifest]:
        key = b"" if after is None else digest_key(after)
        rows = await self._database.all(_QUERIES["page_of_manifests"], name.text, key, limit)
        return [SizedManifest(digest_of(row[0]), row[1]) for row in rows]

    async def manifests(self, name: RepositoryName, digests: Collection[Digest]) -> Sequence[StoredManifest]:
        keys = [digest_key(digest) for digest in digests]
        rows = await self._database.all(_QUERIES["manifests"], name.text, keys, heavy=True)
        return [StoredManifest(digest_of(row[0]), row[1], row[2]) for row in rows]

    async def page_of_tags(self, name: RepositoryName, *, after: str, limit: int) -> Sequence[tuple[str, Digest]]:
        rows = await self._database.all(_QUERIES["page_of_tags"], name.text, after, limit)
        return [(row[0], digest_of(row[1])) for row in rows]

    async def linked(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        return await self._reads.linked(name, digests)

    async def known(self, name: RepositoryName, digests: Collection[Digest]) -> set[Digest]:
        keys, found = [digest_key(digest) for digest in digests], set[Digest]()
        for start in range(0, len(keys), PORTION):
            rows = await self._database.all(COMMON["known_manifests"], name.text, keys[start : start + PORTION])
            found |= {digest_of(row[0]) for row in rows}
        return found

    async def tagged(self, name: RepositoryName, tags: Collection[str]) -> set[str]:
        return await self._names(_QUERIES["tagged"], tags, name.text)

    async def _names(self, query: NamedQuery, names: Collection[str], *before: str) -> set[str]:
        wanted, found = list(names), set[str]()
        for start in range(0, len(wanted), PORTION):
            rows = await self._database.all(query, *before, wanted[start : start + PORTION])
            found |= {row[0] for row in rows}
        return found
