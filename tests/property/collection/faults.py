"""Faults that are planted in the collector, and in what it relies on, to see that the simulator finds them."""

import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Final
from unittest.mock import patch

from moorage.core.blob_placing import BlobPlacing
from moorage.gc.online.review_rounds import BlobCollector
from moorage.metadata.reviews import Dropped, Judged, ManifestsReviewed
from moorage.metadata.sql import journal_rows as recording
from moorage.metadata.sql import reviews
from moorage.metadata.sql.digest_keys import digest_of
from moorage.metadata.sql.links import SqlLinks
from moorage.metadata.sql.manifests import SqlManifests
from moorage.metadata.sql.reviews import SqlBlobReviews, SqlManifestReviews
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName
from moorage.sql.base import Database, NamedQuery, Row
from property.collection.habits import WEIGHTS

Change = tuple[str, str]
"""A part of a text, and what stands there instead."""
_REVIEWS: Final[Mapping[str, NamedQuery]] = reviews.QUERIES
_OTHERS: Final[Mapping[str, NamedQuery]] = recording.QUERIES


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One mistake that somebody might make."""

    name: str
    what: str
    on: Sequence[str] = ("sqlite", "postgres")
    queries: Mapping[str, Change] = field(default_factory=dict)
    """Changes in the texts of queries."""
    functions: Mapping[str, Change] = field(default_factory=dict)
    """Changes in functions of PostgreSQL."""
    triggers: Mapping[str, Change | None] = field(default_factory=dict)
    """Changes in triggers of SQLite; None: it is not there."""
    code: Callable[[], AbstractContextManager[object]] = contextlib.nullcontext
    """Changes in our code."""
    weights: Mapping[str, int] = field(default_factory=lambda: WEIGHTS)
    """What clients do, where it takes a rare meeting to find it."""
    passing: float = 0.06
    """The chance, at each step, that time passes."""
    is_met: bool = False
    """Whether it is the one meeting that is played step by step that finds it."""

    @contextlib.asynccontextmanager
    async def planted(self, database: Database) -> AsyncIterator[None]:
        """Make the mistake, here and in *database*, which is not to be used for anything else afterwards."""
        with contextlib.ExitStack() as stack:
            for name, (right, wrong) in self.queries.items():
                texts = _REVIEWS if name in _REVIEWS else _OTHERS
                query = texts[name]
                text = query.sqlite if database.dialect == "sqlite" else query.postgres
                changed = text.replace(right, wrong)
                assert changed != text, (name, text)
                stack.enter_context(patch.dict(texts, {name: NamedQuery(name, changed, changed)}))
            if database.dialect == "postgres":
                for name, (right, wrong) in self.functions.items():
                    await _change_function(database, name, right, wrong)
            else:
                for name, change in self.triggers.items():
                    await _change_trigger(database, name, change)
            stack.enter_context(self.code())
            yield


async def _change_function(database: Database, name: str, right: str, wrong: str) -> None:
    (row,) = await database.all(_query(f"SELECT pg_get_functiondef('{name}'::regproc)"))
    changed = row[0].replace(right, wrong, 1)
    assert changed != row[0], name
    await database.write(_query(changed))


async def _change_trigger(database: Database, name: str, change: Change | None) -> None:
    (row,) = await database.all(_query("SELECT sql FROM sqlite_master WHERE name = ?"), name)
    await database.write(_query(f"DROP TRIGGER {name}"))
    if change is not None:
        changed = row[0].replace(*change)
        assert changed != row[0], name
        await database.write(_query(changed))


def _query(text: str) -> NamedQuery:
    return NamedQuery("fault", text, text)


@contextlib.contextmanager
def _finish_first() -> Iterator[None]:
    judge = SqlBlobReviews.judge

    async def wrong(self: SqlBlobReviews, digests: Collection[Digest]) -> Judged:
        judged = await judge(self, digests)
        await self.finish({digest: size or 0 for digest, size in judged.unneeded})
        return judged

    with patch.object(SqlBlobReviews, "judge", wrong):
        yield


@contextlib.contextmanager
def _bytes_first() -> Iterator[None]:
    finish = SqlBlobReviews.finish
    drop = _REVIEWS["drop_blobs"]
    keep = NamedQuery(
        "keep_blobs", "SELECT id FROM blobs WHERE id = ANY(?1)", "SELECT id FROM blobs WHERE id = ANY($1)"
    )
    text = "DELETE FROM blobs WHERE digest = ANY({}1)"
    by_digest = NamedQuery(drop.name, text.format("?"), text.format("$"))

    async def wrong(self: SqlBlobReviews, removed: Mapping[Digest, int]) -> None:
        await self._database.write(by_digest, reviews._keys(removed))
        await finish(self, removed)

    with (
        patch.dict(_REVIEWS, {"drop_blobs": keep}),
        patch.object(SqlBlobReviews, "finish", wrong),
    ):
        yield


async def _drop_first(self: SqlManifestReviews, *, limit: int) -> ManifestsReviewed:
    """As the right one, with two lines swapped."""
    async with self._database.transaction() as session:
        now = await reviews._now(session)
        due = {row[0]: row[1] for row in await session.all(_REVIEWS["due_manifests"], now, limit)}
        locked = await reviews._ids(session, "lock_manifests", sorted(due))
        needed = await reviews._ids(session, "needed_manifests", sorted(locked))
        await session.all(_REVIEWS["put_off_manifests"], sorted(due.keys() - locked), now + reviews.BUSY_DELAY, 0, None)
        rows: Sequence[Row] = await session.all(_REVIEWS["drop_manifests"], sorted(locked - needed))
        await session.all(_REVIEWS["forget_manifests"], sorted(needed))
    dropped = [
        Dropped(repository=row[4], digest=digest_of(bytes(row[1])), media_type=row[2], size_bytes=row[3], event="")
        for row in rows
    ]
    return ManifestsReviewed(due=len(due), needed=[due[row_id] for row_id in needed], dropped=dropped)


async def _no_trace(_self: BlobPlacing, _name: RepositoryName, _session: str) -> None:
    return


@contextlib.contextmanager
def _no_end_of_claims() -> Iterator[None]:
    remove: Callable[..., Awaitable[object]] = BlobCollector._remove

    async def wrong(self: BlobCollector, digests: Collection[Digest], *, until: float) -> object:
        return await remove(self, digests, until=until + timedelta(days=1000).total_seconds())

    with patch.object(BlobCollector, "_remove", wrong):
        yield


_LATE: Final = {"push_late": 12, "untag": 2, "delete_tags": 4, "delete_manifest": 6}
_SPARSE: Final = {"push_sparse": 10, "push_blob": 12, "untag": 2, "delete_manifest": 1}
_INDEXES: Final = {"push_index": 12, "push_image": 4, "untag": 8, "delete_tags": 8}
_BLOBS: Final = {"push_blob": 10, "mount": 2, "head_blob": 2}
_NO_LAYERS: Final = ("l.blob_id = b.id", "l.blob_id = -b.id")
FAULTS: Final[Sequence[Fault]] = (
    Fault(
        name="judge without a lock",
        what="Blobs are judged without their rows being locked.",
        on=["postgres"],
        queries={"lock_blobs": ("FOR UPDATE SKIP LOCKED", "")},
        is_met=True,
    ),
    Fault(name="layers forgotten", what="Layers do not keep blobs.", queries={"needed_blobs": _NO_LAYERS}),
    Fault(
        name="configurations forgotten",
        what="An image does not keep its configuration.",
        queries={"needed_blobs": ("m.config_blob_id = b.id", "m.config_blob_id = -b.id")},
    ),
    Fault(
        name="sparse blobs forgotten",
        what="A sparse manifest does not keep the blobs that came after it.",
        queries={"needed_blobs": ("s.digest = b.digest", "s.repository_id = -b.id")},
        weights=_SPARSE,
    ),
    Fault(
        name="indexes forgotten",
        what="An index does not keep what it lists.",
        queries={"needed_manifests": ("r.child_id = m.id", "r.child_id = -m.id")},
    ),
    Fault(
        name="subjects forgotten",
        what="A subject does not keep what refers to it.",
        queries={"needed_manifests": ("s.digest = m.subject_digest", "s.id = -m.id")},
    ),
    Fault(
        name="sparse children forgotten",
        what="A sparse index does not keep the manifests that came after it.",
        queries={"needed_manifests": ("s.digest = m.digest", "s.repository_id = -m.id")},
        weights={"push_sparse": 10, "push_late": 4, "push_blob": 4, "untag": 4},
    ),
    Fault(
        name="drop before forget",
        what="Manifests are dropped before the needed ones are forgotten.",
        code=lambda: patch.object(SqlManifestReviews, "review", _drop_first),
    ),
    Fault(
        name="forget whatever happened",
        what="A needed blob leaves the queue although something happened to it since it was claimed.",
        queries={"forget_blobs": (" AND review_after = claimed_until", "")},
    ),
    Fault(
        name="finish before the bytes",
        what="The queue forgets a blob before its bytes are removed.",
        code=_finish_first,
    ),
    Fault(name="bytes before rows", what="The bytes are removed before the rows.", code=_bytes_first),
    Fault(
        name="link without the row",
        what="A push does not look whether what it expected was collected since.",
        functions={
            "link_blob_v2": ("IF NOT FOUND THEN\n        RETURN false;", "IF false THEN\n        RETURN false;")
        },
        code=lambda: patch.dict(
            _OTHERS, {"renew_expected": NamedQuery("renew_expected", "SELECT ?2 WHERE ?1 IS NOT NULL", "")}
        ),
        weights=_BLOBS,
        passing=0.15,
    ),
    Fault(
        name="placed and not asked",
        what="A push does not ask whether anything was removed between its place and its row.",
        on=["sqlite"],
        queries={"note_placed": ("(SELECT number FROM gc_blob_removals) = ?3", "?3 IS NOT NULL")},
        weights=_BLOBS,
        passing=0.15,
    ),
    Fault(
        name="purged without a trace",
        what="An upload that a crash left is purged, and nobody knows the blob that its bytes are.",
        on=["sqlite"],
        code=lambda: patch.object(BlobPlacing, "trace", _no_trace),
        weights=_BLOBS,
    ),
    Fault(
        name="expect during a claim",
        what="A push does not wait for the claim to end.",
        on=["postgres"],
        queries={"expect_blob": ("claimed_until <= now()", "true")},
        weights=_BLOBS,
    ),
    Fault(
        name="expect during a claim (SQLite)",
        what="A push does not wait for the claim to end.",
        on=["sqlite"],
        queries={"expect_blob": ("claimed_until <= now_us()", "true")},
        weights=_BLOBS,
    ),
    Fault(
        name="HEAD of a blob promises nothing",
        what="HEAD of a blob does not put its review off.",
        code=lambda: patch.object(SqlLinks, "promise", SqlLinks.has),
        weights=_LATE,
    ),
    Fault(
        name="HEAD of a manifest promises nothing",
        what="HEAD of a manifest does not put its review off.",
        code=lambda: patch.object(SqlManifests, "promise", SqlManifests.find),
        weights=_INDEXES,
    ),
    Fault(
        name="no delay",
        what="What is uploaded is due at once.",
        functions={"gc_review_after_v1": ("event = wanted", "event = wanted AND wanted <> 'manifest_upload'")},
        triggers={"gc_track_manifest_upload": ("+ value", "+ value * 0")},
    ),
    Fault(
        name="manifests without locks",
        what="A manifest does not hold the rows that it refers to before it looks whether they are there.",
        on=["postgres"],
        functions={"put_manifest_v2": ("WHERE digest = wanted FOR KEY SHARE", "WHERE digest = wanted")},
        is_met=True,
    ),
    Fault(
        name="referrers are not told",
        what="When a subject goes, nobody looks at what refers to it.",
        functions={"gc_track_manifest_v1": ("subject_digest = OLD.digest", "false")},
        triggers={"gc_track_manifest_removal": ("subject_digest = OLD.digest", "false")},
    ),
    Fault(
        name="retags are not told",
        what="When a tag moves, nobody looks at what it pointed to.",
        functions={"gc_track_tag_switch_v1": ("OLD.manifest_id", "-OLD.manifest_id")},
        triggers={"gc_track_tag_switch": None},
    ),
    Fault(
        name="layers are not told",
        what="When a manifest goes, nobody looks at its layers.",
        functions={"gc_track_layer_v1": ("b.id IN", "b.size < 0 AND b.id IN")},
        triggers={"gc_track_layer": None},
    ),
    Fault(
        name="claims without end",
        what="A collector goes on removing when its claim has ended.",
        code=_no_end_of_claims,
        weights=_BLOBS,
    ),
)
