"""Fills a metadata database, and docker-registry's folder, with many repositories and tags, quicker than pushes could.

Plain rows in the columns of the first migration, the same in every run: digests are those of short texts, and only the
rows are there, not the bytes of any blob. What the triggers would add (work for garbage collection) is left out on
PostgreSQL, where it would take longer than all the rest.
"""

import asyncio
import contextlib
import datetime as dt
import hashlib
import itertools
import os
import sqlite3
import time
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

FIRST_ID = 1_000_000
"""Ids begin here, so that rows that are there already are in nobody's way."""
MEDIA_TYPE = "application/vnd.oci.image.manifest.v1+json"
CONFIG_TYPE = "application/vnd.oci.image.config.v1+json"
LAYER_TYPE = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG_BYTES = 1500
LAYER_BYTES = 3_000_000

_START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
_START_US = int(_START.timestamp()) * 1_000_000
_STEP_US = 61_000_003
_COPY_ROWS = 20_000
_CONFIG = b'{"architecture":"amd64","os":"linux","config":{},"rootfs":{"type":"layers","diff_ids":[]}}'

Row = tuple[Any, ...]
TABLES: dict[str, tuple[str, ...]] = {
    "top_level_namespaces": ("id", "name", "created_at"),
    "repositories": (
        "id", "top_level_namespace_id", "path", "created_at", "populated_at", "last_published_at",
    ),
    "blobs": ("id", "digest", "size", "created_at"),
    "repository_blobs": ("repository_id", "blob_id", "created_at"),
    "manifests": (
        "id", "repository_id", "digest", "media_type", "artifact_type", "payload", "size", "total_size",
        "config_blob_id", "config_media_type", "config_payload", "created_at",
    ),
    "layers": ("manifest_id", "blob_id"),
    "tags": ("id", "repository_id", "name", "manifest_id", "created_at", "published_at"),
}  # fmt: skip
"""In the order in which foreign keys want them."""
_MORE_TABLES: dict[str, tuple[str, ...]] = {
    "gc_blob_review_queue": ("digest", "review_after", "event", "created_at"),
}
_COLUMNS = TABLES | _MORE_TABLES
_MOMENTS = ("_at", "_after")
_DEAD_MARK = b"dead blob "
# Those that were just pushed wait too; they are not due.
_WAITING = "SELECT count(*) FROM gc_blob_review_queue WHERE event = 'layer_delete'"
_DUE = (
    "UPDATE gc_manifest_review_queue SET review_after = {moment}"
    " WHERE manifest_id IN (SELECT id FROM manifests WHERE deleted_at IS NOT NULL)"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """A repository to fill: one manifest a tag, each with layers of its own and some of a shared pool."""

    path: str
    tags: int
    own_layers: int = 1
    shared_layers: int = 0
    pool: int = 0
    """How many layers the manifests share, each taking ``shared_layers`` of them."""

    @property
    def blobs(self) -> int:
        """How many blobs the repository has: each manifest has a configuration and layers of its own."""
        return self.pool + self.tags * (1 + self.own_layers)

    def names(self) -> list[str]:
        """The tags, as they were pushed one after the other: not in the order of their names."""
        return [tag_name(number) for number in range(self.tags)]

    def distinct_layer_bytes(self) -> int:
        """What a size of the repository has to come to."""
        used = min(self.pool, self.tags * self.shared_layers)
        return (used + self.tags * self.own_layers) * LAYER_BYTES


@dataclass(frozen=True, slots=True)
class _Placed:
    """A repository with the ids of its first rows."""

    images: Images
    id: int
    namespace: int
    first_blob: int
    first_manifest: int


def tag_name(number: int) -> str:
    """The name of the tag pushed as *number*."""
    return f"{hashlib.sha256(str(number).encode()).hexdigest()[:12]}-{number}"


def published_at(number: int) -> dt.datetime:
    """When the tag pushed as *number* was."""
    return _datetime(_moment(number))


class Sink(ABC):
    """Where rows go."""

    @abstractmethod
    def fill(self, tables: Iterable[tuple[str, Iterator[Row]]]) -> None:
        """Add rows to each table in turn, and leave the database as one that has been at rest for a while."""

    @abstractmethod
    def waiting_blobs(self) -> int:
        """How many blobs wait for garbage collection."""

    @abstractmethod
    def make_manifests_due(self) -> int:
        """Let garbage collection look at once at the manifests that were deleted; how many those are."""


class SqliteSink(Sink):
    """A SQLite file with the schema; a daemon may have it open."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def fill(self, tables: Iterable[tuple[str, Iterator[Row]]]) -> None:  # noqa: D102 - see the base
        connection = sqlite3.connect(self._path, isolation_level=None, timeout=60)
        try:
            connection.execute("PRAGMA synchronous = off")
            # Rows of an index come in no order: a cache that is too small would write each page many times.
            connection.execute("PRAGMA cache_size = -4000000")
            connection.execute("BEGIN IMMEDIATE")
            for table, rows in tables:
                columns = _COLUMNS[table]
                places = ", ".join("?" * len(columns))
                text = f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({places})"  # noqa: S608 - our own names
                connection.executemany(text, rows)
            connection.execute("COMMIT")
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
        # What is not on the disk yet would be paid for by the first checkpoint of who comes next.
        with self._path.open("rb") as file:
            os.fsync(file.fileno())

    def waiting_blobs(self) -> int:  # noqa: D102 - see the base
        with contextlib.closing(sqlite3.connect(self._path, timeout=60)) as connection:
            return int(connection.execute(_WAITING).fetchone()[0])

    def make_manifests_due(self) -> int:  # noqa: D102 - see the base
        with contextlib.closing(sqlite3.connect(self._path, isolation_level=None, timeout=60)) as connection:
            return connection.execute(_DUE.format(moment=_START_US)).rowcount


class PostgresSink(Sink):
    """A PostgreSQL database with the schema, by COPY. The role has to be a superuser."""

    def __init__(self, url: str) -> None:
        self._url = url

    def fill(self, tables: Iterable[tuple[str, Iterator[Row]]]) -> None:  # noqa: D102 - see the base
        asyncio.run(self._fill(tables))

    async def _fill(self, tables: Iterable[tuple[str, Iterator[Row]]]) -> None:
        # Rows are consistent by construction: neither triggers nor foreign keys are asked.
        settings = {"session_replication_role": "replica"}
        connection = await asyncpg.connect(self._url, command_timeout=600, server_settings=settings)
        try:
            for table, rows in tables:
                columns = _COLUMNS[table]
                moments = [place for place, column in enumerate(columns) if column.endswith(_MOMENTS)]
                converted = (_with_moments(row, moments) for row in rows)
                while records := list(itertools.islice(converted, _COPY_ROWS)):
                    await connection.copy_records_to_table(table, records=records, columns=columns)
                if columns[0] == "id":
                    text = f"SELECT setval(pg_get_serial_sequence('{table}', 'id'), max(id)) FROM {table}"  # noqa: S608
                    await connection.fetchval(text)
            await connection.execute("VACUUM (ANALYZE)")
        finally:
            await connection.close()

    def waiting_blobs(self) -> int:  # noqa: D102 - see the base
        return asyncio.run(self._waiting())

    async def _waiting(self) -> int:
        connection = await asyncpg.connect(self._url, command_timeout=600)
        try:
            return int(await connection.fetchval(_WAITING))
        finally:
            await connection.close()

    def make_manifests_due(self) -> int:  # noqa: D102 - see the base
        return asyncio.run(self._make_due())

    async def _make_due(self) -> int:
        connection = await asyncpg.connect(self._url, command_timeout=600)
        try:
            said = await connection.execute(_DUE.format(moment=f"'{_START.isoformat()}'"))
            return int(said.rpartition(" ")[2])
        finally:
            await connection.close()


def seed(sink: Sink, repositories: Sequence[Images]) -> float:
    """Fill *sink* and return how many seconds that took."""
    began = time.monotonic()
    placed = _place(repositories)
    rows = {
        "top_level_namespaces": _namespaces(placed),
        "repositories": _repositories(placed),
        "blobs": _blobs(placed),
        "repository_blobs": _links(placed),
        "manifests": _manifests(placed),
        "layers": _layers(placed),
        "tags": _tags(placed),
    }
    sink.fill((table, rows[table]) for table in TABLES)
    return time.monotonic() - began


def seed_dead_blobs(sink: Sink, root: Path, count: int, size_bytes: int, *, first_id: int = FIRST_ID) -> float:
    """Write blobs that nothing needs, as files below *root* and as rows that are due; return the seconds it took.

    *first_id*: of the rows; those that are there already have others.
    """
    began = time.monotonic()
    blobs = f"{root}/docker/registry/v2/blobs/sha256"
    digests = []
    for number in range(count):
        content = (_DEAD_MARK + str(number).encode()).ljust(size_bytes, b".")
        digest = hashlib.sha256(content).hexdigest()
        folder = f"{blobs}/{digest[:2]}/{digest}"
        os.makedirs(folder)  # noqa: PTH103 - as below
        with open(f"{folder}/data", "wb") as file:  # noqa: PTH123 - pathlib takes as long as the kernel
            file.write(content)
        digests.append(digest)
    place = Images(path="dead/blobs", tags=0)
    sink.fill(
        [
            ("top_level_namespaces", iter([(first_id, "dead", _START_US)])),
            ("repositories", iter([(first_id, first_id, place.path, _START_US, _START_US, _START_US)])),
            ("blobs", ((first_id + n, _key(digest), size_bytes, _START_US) for n, digest in enumerate(digests))),
            ("repository_blobs", ((first_id, first_id + number, _START_US) for number in range(count))),
            (
                "gc_blob_review_queue",
                ((_key(digest), _moment(n), "layer_delete", _START_US) for n, digest in enumerate(sorted(digests))),
            ),
        ]
    )
    os.sync()
    return time.monotonic() - began


def dead_blob_files(root: Path) -> Iterator[Path]:
    """Those of :func:`seed_dead_blobs` that are still there."""
    for path in root.glob("docker/registry/v2/blobs/sha256/*/*/data"):
        with path.open("rb") as file:
            if file.read(len(_DEAD_MARK)) == _DEAD_MARK:
                yield path


def write_tag_folders(root: Path, images: Images) -> float:
    """Write a repository's tags in Distribution's layout under *root*; return how many seconds that took.

    The first tag has its folder, with its link to a manifest; the others are links to that folder. A list of tags
    reads the names only, and a hundred thousand folders would take a minute to make and remove.
    """
    began = time.monotonic()
    manifests = root / "docker/registry/v2/repositories" / images.path / "_manifests"
    first, *others = images.names()
    current = manifests / "tags" / first / "current"
    current.mkdir(parents=True)
    (current / "link").write_text(f"sha256:{hashlib.sha256(images.path.encode()).hexdigest()}")
    folder = f"{manifests}/tags"
    for name in others:
        os.symlink(first, f"{folder}/{name}")  # noqa: PTH211 - pathlib takes as long as the kernel
    return time.monotonic() - began


def _place(repositories: Sequence[Images]) -> list[_Placed]:
    placed = []
    namespaces: dict[str, int] = {}
    blob = manifest = FIRST_ID
    for number, images in enumerate(repositories):
        namespace = namespaces.setdefault(images.path.partition("/")[0], FIRST_ID + len(namespaces))
        placed.append(_Placed(images, FIRST_ID + number, namespace, blob, manifest))
        blob += images.blobs
        manifest += images.tags
    return placed


def _namespaces(placed: Sequence[_Placed]) -> Iterator[Row]:
    names = {place.namespace: place.images.path.partition("/")[0] for place in placed}
    return ((number, name, _START_US) for number, name in names.items())


def _repositories(placed: Sequence[_Placed]) -> Iterator[Row]:
    for place in placed:
        published = _moment(place.images.tags)
        yield place.id, place.namespace, place.images.path, _START_US, _START_US, published


def _blobs(placed: Sequence[_Placed]) -> Iterator[Row]:
    for place in placed:
        images = place.images
        for number in range(images.blobs):
            blob = place.first_blob + number
            is_config = number >= images.pool and (number - images.pool) % (1 + images.own_layers) == 0
            yield blob, _key(_blob_digest(blob)), CONFIG_BYTES if is_config else LAYER_BYTES, _START_US


def _links(placed: Sequence[_Placed]) -> Iterator[Row]:
    for place in placed:
        for number in range(place.images.blobs):
            yield place.id, place.first_blob + number, _START_US


def _manifests(placed: Sequence[_Placed]) -> Iterator[Row]:
    for place in placed:
        layers = place.images.own_layers + place.images.shared_layers
        total = CONFIG_BYTES + layers * LAYER_BYTES
        for number in range(place.images.tags):
            config, blobs = _blobs_of(place, number)
            payload = _payload(config, blobs)
            digest = hashlib.sha256(payload).digest()
            yield (
                place.first_manifest + number, place.id, b"\x01" + digest, MEDIA_TYPE, CONFIG_TYPE, payload,
                len(payload), total, config, CONFIG_TYPE, _CONFIG, _moment(number),
            )  # fmt: skip


def _layers(placed: Sequence[_Placed]) -> Iterator[Row]:
    for place in placed:
        for number in range(place.images.tags):
            manifest = place.first_manifest + number
            for blob in _blobs_of(place, number)[1]:
                yield manifest, blob


def _tags(placed: Sequence[_Placed]) -> Iterator[Row]:
    for place in placed:
        for number in range(place.images.tags):
            manifest, at = place.first_manifest + number, _moment(number)
            yield manifest, place.id, tag_name(number), manifest, at, at


def _blobs_of(place: _Placed, number: int) -> tuple[int, list[int]]:
    """The blob of the configuration, and those of the layers."""
    images = place.images
    config = place.first_blob + images.pool + number * (1 + images.own_layers)
    shared = (place.first_blob + (number + turn) % images.pool for turn in range(images.shared_layers))
    return config, [*shared, *range(config + 1, config + 1 + images.own_layers)]


def _payload(config: int, layers: Sequence[int]) -> bytes:
    named = ",".join(
        f'{{"mediaType":"{LAYER_TYPE}","digest":"sha256:{_blob_digest(blob)}","size":{LAYER_BYTES}}}' for blob in layers
    )
    configuration = f'{{"mediaType":"{CONFIG_TYPE}","digest":"sha256:{_blob_digest(config)}","size":{CONFIG_BYTES}}}'
    text = f'{{"schemaVersion":2,"mediaType":"{MEDIA_TYPE}","config":{configuration},"layers":[{named}]}}'
    return text.encode()


def _blob_digest(blob: int) -> str:
    return hashlib.sha256(blob.to_bytes(8, "big")).hexdigest()


def _key(digest: str) -> bytes:
    return b"\x01" + bytes.fromhex(digest)


def _moment(number: int) -> int:
    return _START_US + number * _STEP_US


def _with_moments(row: Row, places: Sequence[int]) -> Row:
    changed = list(row)
    for place in places:
        changed[place] = _datetime(row[place])
    return tuple(changed)


def _datetime(moment: int) -> dt.datetime:
    return _START + dt.timedelta(microseconds=moment - _START_US)
