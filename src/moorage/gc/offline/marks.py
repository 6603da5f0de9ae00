"""An offline collection's knowledge: which digests are alive, which manifests go, which blobs go.

It is in a temporary SQLite file that has no name and is gone with the process, so memory does not grow with the
registry: the file does, by some 50 bytes for each digest, where ``SQLITE_TMPDIR`` or ``TMPDIR`` says. Nothing of it has
to survive: an interrupted collection begins anew.
"""

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName

_PAGE = 1000
_CACHE_KIB = 16 << 10
_SHA256_BYTES = 32

_TABLES = """
CREATE TABLE repositories (id INTEGER PRIMARY KEY, name BLOB NOT NULL);
CREATE TABLE marks (digest BLOB PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE revisions (repository INTEGER, digest BLOB, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE TABLE roots (repository INTEGER, digest BLOB, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE TABLE edges (
    repository INTEGER, source BLOB, target BLOB, PRIMARY KEY (repository, source, target)
) WITHOUT ROWID;
CREATE TABLE doomed (repository INTEGER, digest BLOB, PRIMARY KEY (repository, digest)) WITHOUT ROWID;
CREATE TABLE dead (digest BLOB PRIMARY KEY, size_bytes INTEGER NOT NULL) WITHOUT ROWID;
"""

_REACH = """
WITH RECURSIVE alive (digest) AS (
    SELECT digest FROM roots WHERE repository = :repository
    UNION
    SELECT edges.target FROM alive JOIN edges ON edges.repository = :repository AND edges.source = alive.digest
)
"""
_DOOM = f"""
INSERT INTO doomed {_REACH}
SELECT :repository, digest FROM revisions WHERE repository = :repository AND digest NOT IN (SELECT digest FROM alive)
"""  # noqa: S608 - constants
_MARK_REACHED = f"INSERT OR IGNORE INTO marks {_REACH} SELECT digest FROM alive"  # noqa: S608 - constants


@dataclass(frozen=True, slots=True)
class Repository:
    """A repository of this run."""

    id: int
    name: RepositoryName


@dataclass(frozen=True, slots=True)
class DeadBlob:
    """A blob that goes."""

    digest: Digest
    size_bytes: int


class Marks:
    """The notes of one collection. All of it is quick enough for the event loop of a command."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None)
        self._db.execute("PRAGMA synchronous = OFF")
        self._db.execute("PRAGMA journal_mode = OFF")
        self._db.execute("PRAGMA temp_store = FILE")
        self._db.execute(f"PRAGMA cache_size = -{_CACHE_KIB}")
        self._db.executescript(_TABLES)
        # Never to be committed: every commit would write to the file what the cache may keep.
        self._db.execute("BEGIN")

    def close(self) -> None:
        """Forget everything."""
        self._db.close()

    def add_repository(self, name: RepositoryName) -> None:
        """Note a repository to be looked at."""
        self._db.execute("INSERT INTO repositories (name) VALUES (?)", (os.fsencode(name.text),))

    def repositories(self) -> Iterator[Repository]:
        """All of them, in the order in which they were noted."""
        last = 0
        query = "SELECT id, name FROM repositories WHERE id > ? ORDER BY id LIMIT ?"
        while rows := self._db.execute(query, (last, _PAGE)).fetchall():
            for last, name in rows:
                yield Repository(last, RepositoryName(os.fsdecode(name)))

    def count_repositories(self) -> int:
        """Count the repositories that were noted."""
        return self._count("SELECT count(*) FROM repositories")

    def mark(self, digests: Iterable[Digest]) -> None:
        """Note that blobs, or the payloads of manifests, are alive."""
        self._db.executemany("INSERT OR IGNORE INTO marks VALUES (?)", [(_key(digest),) for digest in digests])

    def count_marks(self) -> int:
        """Count the digests that are alive; not all of them have to be in storage."""
        return self._count("SELECT count(*) FROM marks")

    def unmarked(self, digests: Iterable[Digest]) -> list[Digest]:
        """Those of *digests*, a thousand at most, that nobody marked, in their order."""
        left = {_key(digest): digest for digest in digests}
        query = f"SELECT digest FROM marks WHERE digest IN ({','.join('?' * len(left))})"  # noqa: S608 - question marks
        for (key,) in self._db.execute(query, list(left)):
            del left[key]
        return list(left.values())

    def add_manifests(self, repository: Repository, digests: Iterable[Digest]) -> None:
        """Note manifests that go unless they are reached from a root."""
        rows = [(repository.id, _key(digest)) for digest in digests]
        self._db.executemany("INSERT OR IGNORE INTO revisions VALUES (?, ?)", rows)

    def add_roots(self, repository: Repository, digests: Iterable[Digest]) -> None:
        """Note manifests that stay whatever refers to them."""
        rows = [(repository.id, _key(digest)) for digest in digests]
        self._db.executemany("INSERT OR IGNORE INTO roots VALUES (?, ?)", rows)

    def keep_all(self, repository: Repository) -> None:
        """Keep every manifest of a repository that was noted."""
        query = "INSERT OR IGNORE INTO roots SELECT repository, digest FROM revisions WHERE repository = ?"
        self._db.execute(query, (repository.id,))

    def add_edges(self, repository: Repository, edges: Iterable[tuple[Digest, Digest]]) -> None:
        """Note that the second of each pair stays if the first one does."""
        rows = [(repository.id, _key(source), _key(target)) for source, target in edges]
        self._db.executemany("INSERT OR IGNORE INTO edges VALUES (?, ?, ?)", rows)

    def settle(self, repository: Repository) -> int:
        """Mark what is reached from the roots; the other manifests are doomed: returns how many those are."""
        where = {"repository": repository.id}
        self._db.execute(_MARK_REACHED, where)
        count = self._db.execute(_DOOM, where).rowcount
        for table in ("revisions", "roots", "edges"):
            self._db.execute(f"DELETE FROM {table} WHERE repository = :repository", where)  # noqa: S608 - constants
        return count

    def doomed(self, repository: Repository) -> Iterator[Sequence[Digest]]:
        """The manifests of a repository that go, page by page."""
        last = b""
        query = "SELECT digest FROM doomed WHERE repository = ? AND digest > ? ORDER BY digest LIMIT ?"
        while rows := self._db.execute(query, (repository.id, last, _PAGE)).fetchall():
            last = rows[-1][0]
            yield [_digest(key) for (key,) in rows]

    def has_doomed(self, repository: Repository) -> bool:
        """Return whether any manifest of a repository goes."""
        query = "SELECT 1 FROM doomed WHERE repository = ? LIMIT 1"
        return self._db.execute(query, (repository.id,)).fetchone() is not None

    def is_doomed(self, repository: Repository, digest: Digest) -> bool:
        """Return whether a manifest goes."""
        query = "SELECT 1 FROM doomed WHERE repository = ? AND digest = ?"
        return self._db.execute(query, (repository.id, _key(digest))).fetchone() is not None

    def add_dead(self, blobs: Iterable[DeadBlob]) -> None:
        """Note blobs that go."""
        rows = [(_key(blob.digest), blob.size_bytes) for blob in blobs]
        self._db.executemany("INSERT OR REPLACE INTO dead VALUES (?, ?)", rows)

    def dead(self, *, at_a_time: int) -> Iterator[Sequence[DeadBlob]]:
        """The blobs that go, page by page."""
        last = b""
        query = "SELECT digest, size_bytes FROM dead WHERE digest > ? ORDER BY digest LIMIT ?"
        while rows := self._db.execute(query, (last, at_a_time)).fetchall():
            last = rows[-1][0]
            yield [DeadBlob(_digest(key), size_bytes) for key, size_bytes in rows]

    def _count(self, query: str) -> int:
        (count,) = self._db.execute(query).fetchone()
        return int(count)


def _key(digest: Digest) -> bytes:
    """The bytes of a digest: the two algorithms differ in their number."""
    return bytes.fromhex(digest.encoded)


def _digest(key: bytes) -> Digest:
    return Digest("sha256" if len(key) == _SHA256_BYTES else "sha512", key.hex())
