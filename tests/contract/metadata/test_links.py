"""Links: which blobs are in which repository."""

import asyncio

import pytest

from contract.metadata.pushing import ABSENT, NAME, NEVER, NOBODY, OTHER, push, push_blob
from contract.metadata.stores import SqlStore, Store, query
from moorage.errors import BlobReferenced, BlobUnknown, ManifestUnknown, NameUnknown
from moorage.metadata.base import Cause, LinkedBlob
from moorage.oci.digests import ALGORITHMS, Algorithm, Digest
from moorage.oci.names import RepositoryName, Tag
from support.images import image

MANY = 3000
"""More than fit into any page or batch; a manifest of 4 MiB names ten times as many."""


class TestLink:
    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    @pytest.mark.parametrize("content", [b"some bytes", b""], ids=["some", "empty"])
    async def test_a_blob_is_in_the_repository_it_was_put_into_and_in_no_other(
        self, content: bytes, algorithm: Algorithm, store: Store
    ) -> None:
        digest = await push_blob(store, content, algorithm=algorithm)
        assert await store.links.has(NAME, digest)
        for name in ("group", "group/app/other", "group/ap", "group/app2", "app"):
            assert not await store.links.has(RepositoryName(name), digest)

    async def test_the_same_bytes_under_another_algorithm_are_another_blob(self, store: Store) -> None:
        await push_blob(store, b"x")
        assert not await store.links.has(NAME, Digest.of(b"x", "sha512"))
        await push_blob(store, b"x", algorithm="sha512")
        await store.links.unlink(NAME, Digest.of(b"x"), cause=NOBODY)
        assert await store.links.has(NAME, Digest.of(b"x", "sha512"))

    async def test_to_put_it_there_again_changes_nothing(self, store: Store) -> None:
        for _ in range(3):
            digest = await push_blob(store, b"x")
            assert await store.links.has(NAME, digest)
        await store.links.unlink(NAME, digest, cause=NOBODY)
        assert not await store.links.has(NAME, digest)

    async def test_the_size_of_what_is_put_there_again_is_the_one_that_counts(self, sql: SqlStore) -> None:
        digest = await push_blob(sql, b"x")
        for wrong in (0, 2, 1 << 40):
            await sql.database.write(query("UPDATE blobs SET size = $1 RETURNING id"), wrong)
            await push_blob(sql, b"x", name=OTHER)
            for name in (NAME, OTHER, None):
                assert await sql.links.find(name, digest) == LinkedBlob(1)

    async def test_what_is_placed_again_unexpected_is_there_again_as_it_is(self, sql: SqlStore) -> None:
        digest = await push_blob(sql, b"x")
        await push_blob(sql, b"x", name=OTHER)
        await sql.links.unlink(NAME, digest, cause=NOBODY)
        await sql.database.write(query("UPDATE blobs SET missing_since = created_at, size = 2 RETURNING id"))
        assert [await sql.links.find(name, digest) for name in (NAME, OTHER)] == [None, None]
        watch = await sql.links.watch()
        assert watch is not None
        assert await sql.links.link(NAME, digest, watch, size_bytes=1)
        assert [await sql.links.find(name, digest) for name in (NAME, OTHER)] == [LinkedBlob(1), LinkedBlob(1)]

    async def test_a_mount_keeps_the_size_that_is_noted(self, sql: SqlStore) -> None:
        digest = await push_blob(sql, b"x")
        assert await sql.links.mount(OTHER, digest, source=NAME)
        assert await sql.links.find(OTHER, digest) == LinkedBlob(1)

    async def test_an_expected_blob_is_nowhere_yet(self, store: Store) -> None:
        await store.links.expect(ABSENT)
        await store.links.expect(ABSENT)
        assert not await store.links.has(NAME, ABSENT)
        assert not await store.links.mount(NAME, ABSENT, source=None)
        assert await store.links.missing(NAME, [ABSENT]) == {ABSENT}

    async def test_blobs_alone_make_no_repository(self, store: Store) -> None:
        await push_blob(store, b"x")
        assert (await store.catalogue.repositories(after="", limit=10)).items == []
        with pytest.raises(NameUnknown):
            await store.catalogue.tags(NAME, after="", limit=None)
        for reference in (Tag("latest"), ABSENT):
            with pytest.raises(NameUnknown):
                await store.manifests.find(NAME, reference)
        with pytest.raises(NameUnknown):
            await store.manifests.untag(NAME, Tag("latest"), cause=NOBODY)
        with pytest.raises(NameUnknown):
            await store.manifests.delete(NAME, ABSENT, cause=NOBODY)

    async def test_many_at_once_into_repositories_that_nobody_knew(self, store: Store, other: Store) -> None:
        names = [RepositoryName(f"new/{n % 3}/{n % 5}") for n in range(30)]
        digest = Digest.of(b"shared")
        views = (store, other)
        await asyncio.gather(*(push_blob(views[n % 2], b"shared", name=name) for n, name in enumerate(names)))
        for name in names:
            assert await store.links.has(name, digest)
            assert await other.links.has(name, digest)


class TestMissing:
    async def test_only_what_is_not_in_this_repository_is_named(self, store: Store) -> None:
        here, elsewhere = await push_blob(store, b"here"), await push_blob(store, b"elsewhere", name=OTHER)
        removed = await push_blob(store, b"removed")
        await store.links.unlink(NAME, removed, cause=NOBODY)
        asked = [here, elsewhere, removed, ABSENT, here, ABSENT]
        assert await store.links.missing(NAME, asked) == {elsewhere, removed, ABSENT}
        assert await store.links.missing(NAME, {here}) == set()
        assert await store.links.missing(NAME, []) == set()

    async def test_in_a_repository_that_is_not_there_all_are(self, store: Store) -> None:
        digest = await push_blob(store, b"x")
        assert await store.links.missing(NEVER, [digest, ABSENT]) == {digest, ABSENT}

    async def test_both_algorithms_can_be_asked_for_at_once(self, store: Store) -> None:
        short, long = await push_blob(store, b"x"), await push_blob(store, b"x", algorithm="sha512")
        absent = Digest.of(b"y", "sha512")
        assert await store.links.missing(NAME, [short, long, absent]) == {absent}

    async def test_a_manifest_is_no_blob(self, store: Store) -> None:
        digest = await push(store, image("m").manifest)
        assert not await store.links.has(NAME, digest)
        assert await store.links.missing(NAME, [digest]) == {digest}

    async def test_any_number_can_be_asked_for(self, store: Store) -> None:
        digest = await push_blob(store, b"x")
        absent = {Digest.of(str(n).encode()) for n in range(MANY)}
        assert await store.links.missing(NAME, [digest, *absent]) == absent


class TestMount:
    async def test_from_a_repository_that_has_it(self, store: Store) -> None:
        digest = await push_blob(store, b"x", name=OTHER)
        assert await store.links.mount(NAME, digest, source=OTHER)
        assert await store.links.has(NAME, digest)
        assert await store.links.missing(NAME, [digest]) == set()

    async def test_from_wherever_it_is(self, store: Store) -> None:
        digest = await push_blob(store, b"x", name=OTHER)
        assert await store.links.mount(NAME, digest, source=None)
        assert await store.links.has(NAME, digest)

    async def test_not_from_a_repository_that_lacks_it(self, store: Store) -> None:
        digest = await push_blob(store, b"x", name=RepositoryName("third"))
        await push_blob(store, b"y", name=OTHER)
        for source in (OTHER, NEVER, NAME):
            assert not await store.links.mount(NAME, digest, source=source)
            assert not await store.links.has(NAME, digest)

    async def test_not_from_a_repository_that_it_was_taken_out_of(self, store: Store) -> None:
        digest = await push_blob(store, b"x", name=OTHER)
        await push_blob(store, b"x", name=RepositoryName("third"))
        await store.links.unlink(OTHER, digest, cause=NOBODY)
        assert not await store.links.mount(NAME, digest, source=OTHER)
        assert not await store.links.has(NAME, digest)
        assert await store.links.mount(NAME, digest, source=None)

    async def test_not_if_nobody_has_it(self, store: Store) -> None:
        assert not await store.links.mount(NAME, ABSENT, source=None)
        assert not await store.links.mount(NAME, ABSENT, source=NEVER)
        assert not await store.links.has(NAME, ABSENT)

    async def test_again_and_onto_itself(self, store: Store) -> None:
        digest = await push_blob(store, b"x")
        assert await store.links.mount(NAME, digest, source=NAME)
        assert await store.links.mount(OTHER, digest, source=NAME)
        assert await store.links.mount(OTHER, digest, source=NAME)
        assert await store.links.has(OTHER, digest)

    async def test_it_stays_when_it_is_taken_out_of_its_source(self, store: Store) -> None:
        digest = await push_blob(store, b"x", name=OTHER)
        assert await store.links.mount(NAME, digest, source=OTHER)
        await store.links.unlink(OTHER, digest, cause=NOBODY)
        assert not await store.links.has(OTHER, digest)
        assert await store.links.has(NAME, digest)
        assert await store.links.missing(NAME, [digest]) == set()

    async def test_it_comes_back_into_a_repository_that_it_was_taken_out_of(self, store: Store) -> None:
        digest = await push_blob(store, b"x")
        assert await store.links.mount(OTHER, digest, source=NAME)
        await store.links.unlink(OTHER, digest, cause=NOBODY)
        assert await store.links.mount(OTHER, digest, source=NAME)
        assert await store.links.has(OTHER, digest)


class TestUnlink:
    async def test_it_is_gone_at_once_and_from_there_only(self, store: Store) -> None:
        digest, kept = await push_blob(store, b"x"), await push_blob(store, b"y")
        await push_blob(store, b"x", name=OTHER)
        await store.links.unlink(NAME, digest, cause=Cause("somebody", "r1", "no longer needed"))
        assert not await store.links.has(NAME, digest)
        assert await store.links.has(OTHER, digest)
        assert await store.links.has(NAME, kept)

    async def test_what_is_not_there_is_unknown(self, store: Store) -> None:
        digest = await push_blob(store, b"x", name=OTHER)
        await push_blob(store, b"y")
        for name in (NAME, NEVER):
            with pytest.raises(BlobUnknown) as raised:
                await store.links.unlink(name, digest, cause=NOBODY)
            assert raised.value.detail == {"digest": str(digest)}
        assert await store.links.has(OTHER, digest)

    async def test_the_second_time_it_is_unknown(self, store: Store) -> None:
        digest = await push_blob(store, b"x")
        await store.links.unlink(NAME, digest, cause=NOBODY)
        with pytest.raises(BlobUnknown):
            await store.links.unlink(NAME, digest, cause=NOBODY)

    async def test_a_push_brings_it_back(self, store: Store) -> None:
        digest = await push_blob(store, b"x")
        for _ in range(2):
            await store.links.unlink(NAME, digest, cause=NOBODY)
            assert await push_blob(store, b"x") == digest
            assert await store.links.has(NAME, digest)
            assert await store.links.missing(NAME, [digest]) == set()

    async def test_of_many_at_once_one_wins(self, store: Store, other: Store) -> None:
        digest = await push_blob(store, b"x")
        tries = [view.links.unlink(NAME, digest, cause=NOBODY) for view in (store, other) * 5]
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert not await store.links.has(NAME, digest)
        assert results.count(None) >= 1
        assert {type(result) for result in results if result is not None} <= {BlobUnknown}

    async def test_a_manifest_that_names_it_is_still_there(self, store: Store) -> None:
        made = image("m")
        blobs = [await push_blob(store, blob.body) for blob in made.blobs]
        digest = await push(store, made.manifest, "v1")
        for blob in blobs:
            if isinstance(store, SqlStore):  # It knows who needs what (ADR 0030).
                with pytest.raises(BlobReferenced):
                    await store.links.unlink(NAME, blob, cause=NOBODY)
            else:
                await store.links.unlink(NAME, blob, cause=NOBODY)
        assert (await store.manifests.find(NAME, Tag("v1"))).digest == digest
        with pytest.raises(ManifestUnknown):
            await store.manifests.find(NAME, blobs[0])
