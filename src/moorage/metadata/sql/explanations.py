"""Reasons why something stays, or when it goes, from the database. Every read runs beside the event loop."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from moorage.metadata.base import no_repository
from moorage.metadata.explanations import SHOWN_LIMIT, Explanation, ExplanationStore, Holder, LastChange, Scheduled
from moorage.metadata.sql.digest_keys import digest_key, digest_of
from moorage.metadata.sql.reviews import QUERIES as REVIEWS
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql import clock
from moorage.sql.base import Database, NamedQuery, Row, Value, maybe_moment, moment
from moorage.sql.queries import load_queries

_QUERIES = load_queries("moorage.metadata.sql", "explanations")
_ONE_MORE = SHOWN_LIMIT + 1


class SqlExplanations(ExplanationStore):
    """Manifests, tags and blobs of one repository, with the queues and the journal."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def explain(self, name: RepositoryName, digest: Digest) -> Sequence[Explanation]:
        found = await self._all("repository_id", name.text)
        if not found:
            raise no_repository(name)
        place = int(found[0][0])
        key = digest_key(digest)
        delay = timedelta(microseconds=int((await self._all("delay"))[0][0]))
        both = [await self._manifest(place, key, delay), await self._blob(place, key, delay)]
        return [explanation for explanation in both if explanation is not None]

    async def _manifest(self, place: int, key: bytes, delay: timedelta) -> Explanation | None:
        rows = await self._all("manifest", place, key)
        if not rows:
            return None
        identity, size, created_at, deleted_at, subject, *review = rows[0]
        tags = [Tag(row[0]) for row in await self._all("tags", identity, _ONE_MORE)]
        held = [
            *await self._all("parents", identity, _ONE_MORE),
            # Once it is deleted itself, it does not hang on its subject any more.
            *(await self._all("subject", place, subject) if subject is not None and deleted_at is None else ()),
            *await self._all("awaiting", place, key, _ONE_MORE),
        ]
        return Explanation(
            kind="manifest",
            size_bytes=size,
            created_at=moment(created_at),
            deleted_at=maybe_moment(deleted_at),
            is_needed=await self._is_needed(REVIEWS["needed_manifests"], identity),
            tags=tags[:SHOWN_LIMIT],
            holders=await self._holders(held),
            has_more=max(len(tags), len(held)) > SHOWN_LIMIT,
            review=_scheduled(*review),
            changed=await self._last_change(place, key),
            delay=delay,
        )

    async def _blob(self, place: int, key: bytes, delay: timedelta) -> Explanation | None:
        rows = await self._all("blob", place, key)
        if not rows:
            return None
        identity, size, created_at, deleted_at, missing_since, *review = rows[0]
        held = [
            *await self._all("with_layer", identity, place, _ONE_MORE),
            *await self._all("with_config", identity, place, _ONE_MORE),
            *await self._all("awaiting", place, key, _ONE_MORE),
        ]
        now = await clock.now(self._database)
        return Explanation(
            kind="blob",
            size_bytes=size,
            created_at=moment(created_at),
            deleted_at=maybe_moment(deleted_at),
            missing_since=maybe_moment(missing_since),
            is_needed=await self._is_needed(REVIEWS["needed_blobs"], identity),
            holders=await self._holders(held),
            has_more=len(held) > SHOWN_LIMIT,
            is_needed_elsewhere=bool(await self._all("needed_elsewhere", identity, place, key)),
            review=_scheduled(*review, now=now),
            changed=await self._last_change(place, key),
            delay=delay,
        )

    async def _holders(self, rows: Sequence[Row]) -> Sequence[Holder]:
        shown = rows[:SHOWN_LIMIT]
        ids = sorted({row[0] for row in shown})
        needed = {row[0] for row in await self._read(REVIEWS["needed_manifests"], ids)} if ids else set()
        return [
            Holder(
                digest=digest_of(bytes(key)),
                role=role,
                tag=None if tag is None else Tag(tag),
                is_deleted=bool(is_deleted),
                goes_at=None if identity in needed else maybe_moment(due_at),
            )
            for identity, key, role, tag, is_deleted, due_at in shown
        ]

    async def _is_needed(self, query: NamedQuery, identity: int) -> bool:
        return bool(await self._read(query, [identity]))

    async def _last_change(self, place: int, key: bytes) -> LastChange | None:
        rows = await self._all("last_change", place, key)
        if not rows:
            return None
        action, tag, at, actor, request_id = rows[0]
        return LastChange(
            action=action, tag=None if tag is None else Tag(tag), at=moment(at), actor=actor, request_id=request_id
        )

    async def _all(self, query: str, *args: Value) -> Sequence[Row]:
        return await self._read(_QUERIES[query], *args)

    async def _read(self, query: NamedQuery, *args: Value) -> Sequence[Row]:
        return await self._database.all(query, *args, heavy=True)


def _scheduled(  # noqa: PLR0917 - a row's columns, in their order
    event: str | None,
    due_at: datetime | int | None,
    attempts: int | None,
    error: str | None,
    claimed_until: datetime | int | None = None,
    *,
    now: datetime | None = None,
) -> Scheduled | None:
    if event is None or due_at is None:
        return None
    until = maybe_moment(claimed_until)
    return Scheduled(
        event=event,
        due_at=moment(due_at),
        attempts=attempts or 0,
        error=error,
        claimed_until=until if until is not None and now is not None and until > now else None,
    )
