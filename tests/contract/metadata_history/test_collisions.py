"""Changes that the database ended, as they and another one waited for each other: they are done again, and once."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence

import pytest

from contract.metadata.pushing import NAME, push, push_blob
from contract.metadata.stores import query
from contract.metadata_history.past import Past, content, digest
from contract.metadata_history.test_undo_between import AT_ONCE, waiting
from moorage.errors import DatabaseContended
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.sql.base import Transaction
from moorage.sql.collisions import REPEATS

pytestmark = AT_ONCE

BLOB = b"a layer"

Change = Callable[[Past, str], Awaitable[None]]


@pytest.mark.parametrize("of_one_request", [False, True], ids=["tags deleted", "an undo"])
async def test_what_waits_for_a_tag_while_another_waits_for_its_repository(
    past: Past, other: Past, *, of_one_request: bool
) -> None:
    await past.push("a", "1")
    await past.push("b", "1", request="push")
    async with other.transaction() as session:
        await session.all(query("SELECT id FROM tags FOR UPDATE"))
        if of_one_request:
            change: asyncio.Task[object] = asyncio.create_task(past.undo("push", by="change"))
        else:
            change = asyncio.create_task(past.history.delete_tags(NAME, [Tag("1")], cause=past.cause("change")))
        await waiting(other, 1)
        # The change came to wait first: after `deadlock_timeout`, a second, it is the one that finds out.
        await session.all(query("SELECT id FROM repositories FOR UPDATE"))
    await change
    assert await past.target("1") == (digest("a") if of_one_request else None)


async def untag(past: Past, request: str) -> None:
    await past.untag("1", request)


async def delete(past: Past, request: str) -> None:
    await past.delete(digest("b"), request)


async def unlink(past: Past, request: str) -> None:
    await past.store.links.unlink(NAME, Digest.of(BLOB), cause=past.cause(request))


async def delete_tags(past: Past, request: str) -> None:
    await past.history.delete_tags(NAME, [Tag("1")], cause=past.cause(request))


async def undo_tag(past: Past, request: str) -> None:
    await past.undo_tag("1", by=request)


async def undo_request(past: Past, request: str) -> None:
    await past.undo("second", by=request)


async def rename(past: Past, request: str) -> None:
    await past.rename(NAME.text, "group/elsewhere", request)


async def push_what_must_be_new(past: Past, request: str) -> None:
    await push(past.store, content("new"), name=NAME, fixed=["2"], cause=past.cause(request))


ACTIONS: Mapping[Change, Sequence[str]] = {
    delete: ["tag_delete", "manifest_delete"],
    delete_tags: ["tag_delete"],
    push_what_must_be_new: ["manifest_create", "tag_create"],
    rename: ["repository_rename"],
    undo_request: ["tag_move", "manifest_delete"],
    undo_tag: ["tag_move"],
    unlink: ["blob_delete"],
    untag: ["tag_delete"],
}
EACH = pytest.mark.parametrize("change", ACTIONS)


@EACH
async def test_what_collides_is_done_again(past: Past, monkeypatch: pytest.MonkeyPatch, change: Change) -> None:
    await prepare(past)
    with colliding(past, monkeypatch, REPEATS):
        await change(past, "change")
    assert await actions(past) == ACTIONS[change]


@EACH
async def test_what_collides_again_and_again_is_told_and_nothing_of_it_is_kept(
    past: Past, monkeypatch: pytest.MonkeyPatch, change: Change
) -> None:
    await prepare(past)
    with colliding(past, monkeypatch, REPEATS + 1), pytest.raises(DatabaseContended):
        await change(past, "change")
    assert await actions(past) == []


async def prepare(past: Past) -> None:
    """Push a tag twice, and a layer that nothing needs."""
    await past.push("a", "1")
    await past.push("b", "1", request="second")
    await push_blob(past.store, BLOB)


async def actions(past: Past) -> list[str]:
    """What the journal has of the change."""
    rows = await past.store.rows("SELECT action FROM journal WHERE request_id = $1 ORDER BY id", "change")
    return [row[0] for row in rows]


@contextlib.contextmanager
def colliding(past: Past, monkeypatch: pytest.MonkeyPatch, times: int) -> Iterator[None]:
    """Let so many transactions end as one of two that wait for each other does."""
    database, waits = past.store.database, iter(range(times))
    begun = database.transaction

    @contextlib.asynccontextmanager
    async def transaction(*, repository: str | None = None) -> AsyncIterator[Transaction]:
        async with begun(repository=repository) as opened:
            yield opened
            if next(waits, None) is not None:
                msg = "deadlock detected"
                raise DatabaseContended(msg)

    with monkeypatch.context() as patched:
        patched.setattr(database, "transaction", transaction)
        yield
    assert next(waits, None) is None
