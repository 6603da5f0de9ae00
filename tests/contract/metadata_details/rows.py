"""Fills a database with rows, in plain SQL: no store stands between a test and what it says is there."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from contract.metadata.stores import query
from moorage.metadata.sql.digest_keys import digest_key
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.sql.base import Database, Value

START = datetime(2024, 2, 3, 4, 5, 6, 789_123, tzinfo=UTC)
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"


def at(seconds: float) -> datetime:
    """A moment."""
    return START + timedelta(seconds=seconds)


def digest(seed: str) -> Digest:
    """The digest of what *seed* stands for."""
    return Digest.of(seed.encode())


class Rows:
    """Adds rows, and gives their ids back."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self._repositories: dict[int, str] = {}

    async def repository(self, path: str, **columns: Value) -> int:
        """A repository, in its namespace; created at :data:`START`."""
        namespace = path.partition("/")[0]
        await self._run(
            "INSERT INTO top_level_namespaces (name, created_at) VALUES ($1, $2) ON CONFLICT DO NOTHING",
            namespace,
            START,
        )
        identity = await self._insert(
            "repositories",
            path=path,
            created_at=START,
            top_level_namespace_id=await self._one("SELECT id FROM top_level_namespaces WHERE name = $1", namespace),
            **columns,
        )
        self._repositories[identity] = path
        return identity

    async def blob(self, seed: str, size: int) -> int:
        return await self._insert("blobs", digest=digest_key(digest(seed)), size=size, created_at=START)

    async def link(self, repository: int, blob: int, *, deleted_at: datetime | None = None) -> None:
        await self._run(
            "INSERT INTO repository_blobs (repository_id, blob_id, created_at, deleted_at) VALUES ($1, $2, $3, $4)",
            repository,
            blob,
            START,
            deleted_at,
        )

    async def manifest(
        self,
        repository: int,
        seed: str,
        *,
        layers: Sequence[int] = (),
        children: Sequence[int] = (),
        media_type: str = mediatypes.OCI_MANIFEST,
        **columns: Value,
    ) -> int:
        """A manifest with layers, or an index with children."""
        values: dict[str, Value] = {"artifact_type": "", "payload": b"{}", "size": 2, "total_size": 2}
        identity = await self._insert(
            "manifests",
            repository_id=repository,
            digest=digest_key(digest(seed)),
            media_type=media_type,
            created_at=START,
            **values | columns,
        )
        for layer in layers:
            await self._run("INSERT INTO layers (manifest_id, blob_id) VALUES ($1, $2)", identity, layer)
        for child in children:
            await self._run("INSERT INTO manifest_references (parent_id, child_id) VALUES ($1, $2)", identity, child)
        return identity

    async def index(self, repository: int, seed: str, *children: int, **columns: Value) -> int:
        manifest: Any = self.manifest  # Its other columns are of any type.
        return int(await manifest(repository, seed, children=children, media_type=mediatypes.OCI_INDEX, **columns))

    async def tag(
        self, repository: int, name: str, manifest: int, *, created: float = 0, updated: float | None = None
    ) -> None:
        """A tag, created and moved so many seconds after :data:`START`."""
        await self._insert(
            "tags",
            repository_id=repository,
            name=name,
            manifest_id=manifest,
            created_at=at(created),
            updated_at=None if updated is None else at(updated),
            published_at=at(created if updated is None else max(created, updated)),
        )

    async def journal(self, repository: int, action: str = "tag_create") -> None:
        """A change that was noted."""
        values: dict[str, Value] = {"at": START, "request_id": "", "actor": "", "reason": "", "action": action}
        await self._insert(
            "journal", repository_id=repository, repository=self._repositories[repository], tag="a", **values
        )

    async def delete_manifest(self, identity: int) -> None:
        await self._run("UPDATE manifests SET deleted_at = $2 WHERE id = $1", identity, at(1))

    async def paths(self) -> dict[int, str]:
        """The path of every repository."""
        return dict(await self.all("SELECT id, path FROM repositories"))

    async def all(self, text: str, *args: Value) -> list[tuple[Any, ...]]:
        """What a query in portable SQL gives."""
        return [tuple(row) for row in await self.database.all(query(text), *args)]

    async def _one(self, text: str, *args: Value) -> int:
        ((found,),) = await self.all(text, *args)
        return int(found)

    async def _insert(self, table: str, **columns: Value) -> int:
        places = ", ".join(f"${number}" for number in range(1, len(columns) + 1))
        text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places}) RETURNING id"  # noqa: S608 - names of ours
        ((identity,),) = await self.database.write(query(text), *columns.values())
        return int(identity)

    async def _run(self, text: str, *args: Value) -> None:
        await self.database.write(query(text), *args)
