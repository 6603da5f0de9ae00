"""The tables of GitLab's registry, read over a connection that sees one moment of them.

Source: GitLab ``registry/datastore/migrations/structure.sql``, 4.32. Digests are as ours: a byte for the algorithm,
then the digest itself.
"""

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

from moorage.metadata.gitlab_tables import GitLabBlob, GitLabManifest, GitLabRepository, GitLabTables, GitLabTag
from moorage.metadata.sql.digest_keys import digest_of
from moorage.oci.names import RepositoryName

if TYPE_CHECKING:
    import asyncpg

_PAGE = 500
_MANIFESTS = 100
"""They come with their payloads."""

_COUNT = "SELECT count(*) FROM repositories WHERE deleted_at IS NULL"
_REPOSITORIES = """
    SELECT r.id, r.top_level_namespace_id, r.path, EXISTS (SELECT 1 FROM manifests m
        WHERE m.top_level_namespace_id = r.top_level_namespace_id AND m.repository_id = r.id)
    FROM repositories r WHERE r.id > $1 AND r.deleted_at IS NULL ORDER BY r.id LIMIT $2
"""
_BLOBS = """
    SELECT l.id, l.blob_digest, b.size, l.created_at FROM repository_blobs l JOIN blobs b ON b.digest = l.blob_digest
    WHERE l.top_level_namespace_id = $3 AND l.repository_id = $4 AND l.id > $1 ORDER BY l.id LIMIT $2
"""
_MANIFEST_ROWS = """
    SELECT m.id, m.digest, t.media_type, m.payload, m.configuration_payload, m.created_at
    FROM manifests m JOIN media_types t ON t.id = m.media_type_id
    WHERE m.top_level_namespace_id = $3 AND m.repository_id = $4 AND m.id > $1 ORDER BY m.id LIMIT $2
"""
_TAGS = """
    SELECT t.id, t.name, m.digest, coalesce(t.updated_at, t.created_at) FROM tags t JOIN manifests m
        ON m.top_level_namespace_id = t.top_level_namespace_id AND m.repository_id = t.repository_id
        AND m.id = t.manifest_id
    WHERE t.top_level_namespace_id = $3 AND t.repository_id = $4 AND t.id > $1 ORDER BY t.id LIMIT $2
"""


class SqlGitLabTables(GitLabTables):
    """Pages by id, so that nothing is read twice; partitions by their key."""

    def __init__(self, connection: "asyncpg.Connection") -> None:
        self._connection = connection

    async def count(self) -> int:
        return int(await self._connection.fetchval(_COUNT))

    async def repositories(self) -> AsyncIterator[Sequence[GitLabRepository]]:
        async for rows in self._pages(_REPOSITORIES, _PAGE):
            yield [GitLabRepository(row[0], row[1], RepositoryName(row[2]), row[3]) for row in rows]

    async def blobs(self, repository: GitLabRepository) -> AsyncIterator[Sequence[GitLabBlob]]:
        async for rows in self._pages(_BLOBS, _PAGE, repository.namespace_id, repository.id):
            yield [GitLabBlob(digest_of(bytes(row[1])), row[2], row[3]) for row in rows]

    async def manifests(self, repository: GitLabRepository) -> AsyncIterator[Sequence[GitLabManifest]]:
        async for rows in self._pages(_MANIFEST_ROWS, _MANIFESTS, repository.namespace_id, repository.id):
            yield [GitLabManifest(digest_of(bytes(row[1])), row[2], bytes(row[3]), row[4], row[5]) for row in rows]

    async def tags(self, repository: GitLabRepository) -> AsyncIterator[Sequence[GitLabTag]]:
        async for rows in self._pages(_TAGS, _PAGE, repository.namespace_id, repository.id):
            yield [GitLabTag(row[1], digest_of(bytes(row[2])), row[3]) for row in rows]

    async def _pages(self, query: str, limit: int, *key: int) -> AsyncIterator[Sequence[Any]]:
        after = 0
        while rows := await self._connection.fetch(query, after, limit, *key):
            yield rows
            after = rows[-1][0]
