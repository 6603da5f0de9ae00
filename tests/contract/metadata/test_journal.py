"""The journal: one row for each change, written with it, with what was before, what is now, who did it and why."""

import asyncio
import contextlib
import random
from datetime import UTC, datetime, timedelta

import pytest

from contract.metadata.journal import assert_chains, journal_of
from contract.metadata.pushing import ABSENT, NAME, NEVER, NOBODY, OTHER, push, push_blob, push_image, referrer
from contract.metadata.stores import SqlStore
from moorage.errors import BlobUnknown, ManifestUnknown, NameUnknown, Refused
from moorage.metadata.base import Cause
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.sql.base import moment
from support.images import Content, image

A, B = image("a").manifest, image("b").manifest
DIGEST_A, DIGEST_B = Digest.of(A.body), Digest.of(B.body)
WHY = Cause("somebody", "request-1", "a reason, naïve ☃")


async def changes(store: SqlStore) -> list[tuple[str, str | None, Digest | None, Digest | None]]:
    """What was done, in order."""
    return [entry.change for entry in await journal_of(store)]


class TestWhatIsWritten:
    async def test_a_push(self, sql: SqlStore) -> None:
        await push(sql, A, "v1", "v2", cause=WHY)
        first, *tags = await journal_of(sql)
        assert first.change == ("manifest_create", None, None, DIGEST_A)
        assert {entry.change for entry in tags} == {
            ("tag_create", "v1", None, DIGEST_A),
            ("tag_create", "v2", None, DIGEST_A),
        }
        assert len(tags) == 2
        assert {(entry.repository, entry.cause) for entry in (first, *tags)} == {(NAME.text, WHY)}
        ids = {entry.repository_id for entry in (first, *tags)}
        assert ids == {row[0] for row in await sql.rows("SELECT id FROM repositories WHERE path = $1", NAME.text)}

    async def test_a_move_and_a_move_back(self, sql: SqlStore) -> None:
        await push(sql, A, "v1")
        await push(sql, B, "v1")
        await push(sql, A, "v1")
        assert await changes(sql) == [
            ("manifest_create", None, None, DIGEST_A),
            ("tag_create", "v1", None, DIGEST_A),
            ("manifest_create", None, None, DIGEST_B),
            ("tag_move", "v1", DIGEST_A, DIGEST_B),
            ("tag_move", "v1", DIGEST_B, DIGEST_A),
        ]

    async def test_a_push_that_changes_nothing_writes_nothing(self, sql: SqlStore) -> None:
        await push(sql, A, "v1")
        before = await changes(sql)
        await push(sql, A, "v1")
        await push(sql, A)
        assert await changes(sql) == before

    async def test_a_tag_that_was_removed_is_created_again(self, sql: SqlStore) -> None:
        await push(sql, A, "v1")
        await sql.manifests.untag(NAME, Tag("v1"), cause=WHY)
        await push(sql, B, "v1")
        assert (await changes(sql))[2:] == [
            ("tag_delete", "v1", DIGEST_A, None),
            ("manifest_create", None, None, DIGEST_B),
            ("tag_create", "v1", None, DIGEST_B),
        ]
        assert (await journal_of(sql))[2].cause == WHY

    async def test_a_deletion_with_its_tags_and_the_way_back(self, sql: SqlStore) -> None:
        await push(sql, A, "v1", "v2")
        await push(sql, B, "kept")
        await sql.manifests.delete(NAME, DIGEST_A, cause=WHY)
        removed = (await journal_of(sql))[5:]
        assert {entry.change for entry in removed} == {
            ("tag_delete", "v1", DIGEST_A, None),
            ("tag_delete", "v2", DIGEST_A, None),
            ("manifest_delete", None, DIGEST_A, None),
        }
        assert len(removed) == 3
        assert {entry.cause for entry in removed} == {WHY}
        await push(sql, A, "v1")
        assert (await changes(sql))[8:] == [
            ("manifest_restore", None, None, DIGEST_A),
            ("tag_create", "v1", None, DIGEST_A),
        ]

    @pytest.mark.parametrize("mounts", [False, True], ids=["pushed", "mounted"])
    async def test_a_blob_taken_out_and_its_return(self, sql: SqlStore, *, mounts: bool) -> None:
        digest = await push_blob(sql, b"x")
        await push_blob(sql, b"x", name=OTHER)
        assert await journal_of(sql) == []
        await sql.links.unlink(NAME, digest, cause=WHY)
        if mounts:
            assert await sql.links.mount(NAME, digest, source=OTHER)
        else:
            await push_blob(sql, b"x")
        out, *back = await journal_of(sql)
        assert out.change == ("blob_delete", None, digest, None)
        assert (out.repository, out.cause) == (NAME.text, WHY)
        assert [entry.change for entry in back] in ([], [("blob_restore", None, None, digest)])

    async def test_the_time_is_now(self, sql: SqlStore) -> None:
        await push(sql, A, "v1")
        times = [moment(at) for (at,) in await sql.rows("SELECT at FROM journal")]
        assert all(abs(datetime.now(UTC) - at) < timedelta(minutes=1) for at in times)

    async def test_sha512_and_other_repositories_are_told_apart(self, sql: SqlStore) -> None:
        long = await push(sql, A, "v1", algorithm="sha512")
        await push(sql, A, "v1", name=OTHER)
        found = [(entry.repository, entry.target) for entry in await journal_of(sql) if entry.tag]
        assert found == [(NAME.text, long), (OTHER.text, DIGEST_A)]

    @pytest.mark.parametrize("text", ["", "☃", "\0", "\ud800", "x" * 10_000, "'; --"])
    async def test_no_cause_is_too_strange(self, text: str, sql: SqlStore) -> None:
        """Actors come from tokens, request ids from headers, reasons from whoever asks for a deletion."""
        digest = await push(sql, A, "v1", cause=Cause(text, text, text))
        await sql.manifests.untag(NAME, Tag("v1"), cause=Cause(text, text, text))
        blob = await push_blob(sql, b"x")
        await sql.links.unlink(NAME, blob, cause=Cause(text, text, text))
        await sql.manifests.delete(NAME, digest, cause=Cause(text, text, text))
        actions = [entry.action for entry in await journal_of(sql)]
        assert actions == ["manifest_create", "tag_create", "tag_delete", "blob_delete", "manifest_delete"]


class TestWhatIsNotWritten:
    async def test_what_was_refused(self, sql: SqlStore) -> None:
        await push(sql, A, "v1")
        before = await changes(sql)
        for name in (NAME, NEVER):
            with pytest.raises((ManifestUnknown, NameUnknown)):
                await sql.manifests.delete(name, ABSENT, cause=WHY)
            with pytest.raises((ManifestUnknown, NameUnknown)):
                await sql.manifests.untag(name, Tag("v2"), cause=WHY)
            with pytest.raises(BlobUnknown):
                await sql.links.unlink(name, ABSENT, cause=WHY)
        assert await changes(sql) == before

    async def test_blobs_and_mounts(self, sql: SqlStore) -> None:
        digest = await push_blob(sql, b"x")
        assert await sql.links.mount(OTHER, digest, source=NAME)
        assert await sql.links.mount(OTHER, digest, source=None)
        assert await changes(sql) == []


class TestChains:
    async def test_pushes_and_removals_from_two_nodes_make_one_line(self, sql: SqlStore, other_sql: SqlStore) -> None:
        await asyncio.gather(*(act((sql, other_sql)[n % 2], random.Random(n), 12) for n in range(6)))
        await assert_chains(sql)
        assert len(await journal_of(sql)) > 20

    async def test_a_race_for_one_tag_has_one_winner_at_a_time(self, sql: SqlStore, other_sql: SqlStore) -> None:
        contents = [image(n).manifest for n in range(24)]
        await asyncio.gather(*(push((sql, other_sql)[n % 2], made, "v1") for n, made in enumerate(contents)))
        moves = [entry for entry in await journal_of(sql) if entry.tag == "v1"]
        assert len(moves) == len(contents)
        assert {entry.target for entry in moves} == {Digest.of(made.body) for made in contents}
        await assert_chains(sql)

    async def test_a_cancelled_push_leaves_all_of_its_rows_or_none(self, sql: SqlStore) -> None:
        for turns in range(1, 12):
            made = image(turns).manifest
            task = asyncio.ensure_future(push(sql, made, "v1", "v2"))
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
            await push(sql, image("between").manifest)  # What was begun is ended by now, one way or the other.
            rows = [entry for entry in await journal_of(sql) if entry.target == Digest.of(made.body)]
            assert len(rows) in (0, 3), f"{turns}: {rows}"
            assert await sql.manifests.has(NAME, Digest.of(made.body)) is bool(rows)
        await assert_chains(sql)


async def act(store: SqlStore, source: random.Random, steps: int) -> None:
    """Pushes and removals by chance, of few things, so that they meet those of others."""
    contents: list[Content] = [A, B, referrer("c")]
    for _ in range(steps):
        content, tag = source.choice(contents), f"t{source.randrange(3)}"
        name = source.choice([NAME, OTHER])
        with contextlib.suppress(Refused):
            match source.randrange(5):
                case 0:
                    await store.manifests.untag(name, Tag(tag), cause=NOBODY)
                case 1:
                    await store.manifests.delete(name, Digest.of(content.body), cause=NOBODY)
                case 2:
                    await push_image(store, image("image"), tag, name=name)
                case _:
                    await push(store, content, tag, name=name)
