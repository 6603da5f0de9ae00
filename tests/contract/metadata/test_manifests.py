"""Manifests: what was pushed is found as it was pushed, until it is deleted."""

import asyncio

import pytest

from contract.metadata.pushing import (
    ABSENT,
    NAME,
    NEVER,
    NOBODY,
    OTHER,
    push,
    push_blob,
    push_image,
    referrer,
    tag_names,
    undeclared,
)
from contract.metadata.stores import SqlStore, Store
from moorage.errors import ManifestInvalid, ManifestUnknown, NameUnknown, TagChanged
from moorage.metadata.base import Cause, TagThere
from moorage.oci import mediatypes
from moorage.oci.digests import ALGORITHMS, Algorithm, Digest
from moorage.oci.manifests import SIZE_LIMIT_BYTES, parse
from moorage.oci.names import Reference, RepositoryName, Tag
from support.images import (
    DOCKER_LIST,
    Content,
    config,
    docker_image,
    encode,
    image,
    image_manifest,
    index,
    padded_manifest,
)

V1, V2 = Tag("v1"), Tag("v2")

FORMATS = {
    "oci image": image("a").manifest,
    "docker image": docker_image("a").manifest,
    "oci index": index([image("a").manifest, image("b").manifest]),
    "docker list": index([docker_image("a").manifest], media_type=DOCKER_LIST),
    "empty index": index([]),
    "index of layers": index([image("a").blobs[1], image("a").blobs[2]]),
    "nested index": index([index([image("a").manifest])]),
    "referrer": referrer("a"),
    "layer named twice": image_manifest(config("a"), [image("a").blobs[1]] * 3),
    "config is a layer too": image_manifest(config("a"), [config("a")]),
    "something else": encode({"anything": ["goes", 1.5, None]}, "application/vnd.example.thing+json"),
    "odd spacing": Content(mediatypes.OCI_INDEX, b' \r\n{ "schemaVersion" : 2 ,\t"manifests":[ ] } \n'),
    "as large as can be": padded_manifest(config("a"), SIZE_LIMIT_BYTES),
    "many layers": image_manifest(config("a"), [config(n) for n in range(500)]),
}


class TestPutAndFind:
    @pytest.mark.parametrize("content", FORMATS.values(), ids=FORMATS)
    async def test_it_comes_back_byte_for_byte(self, content: Content, store: Store) -> None:
        digest = await push(store, content, "v1")
        for reference in (digest, V1):
            found = await store.manifests.find(NAME, reference)
            assert (found.digest, found.media_type, found.payload) == (digest, content.media_type, content.body)
        assert await store.manifests.has(NAME, digest)

    @pytest.mark.parametrize("algorithm", ALGORITHMS)
    async def test_it_has_the_digest_it_was_pushed_under(self, algorithm: Algorithm, store: Store) -> None:
        content = image("a").manifest
        digest = await push(store, content, "v1", algorithm=algorithm)
        assert digest.algorithm == algorithm
        assert (await store.manifests.find(NAME, V1)).digest == digest
        (elsewise,) = set(ALGORITHMS) - {algorithm}
        with pytest.raises(ManifestUnknown):
            await store.manifests.find(NAME, Digest.of(content.body, elsewise))

    async def test_both_digests_of_one_payload_are_two_manifests(self, store: Store) -> None:
        content = image("a").manifest
        short = await push(store, content, "v1")
        long = await push(store, content, "v2", algorithm="sha512")
        await store.manifests.delete(NAME, short, cause=NOBODY)
        assert await tag_names(store) == ["v2"]
        assert (await store.manifests.find(NAME, long)).payload == content.body

    async def test_without_tags_it_is_found_by_its_digest_alone(self, store: Store) -> None:
        digest = await push(store, image("a").manifest)
        assert (await store.manifests.find(NAME, digest)).digest == digest
        assert await tag_names(store) == []

    async def test_all_tags_of_one_push_point_to_it(self, store: Store) -> None:
        names = [f"t{n:02}" for n in range(20)]
        digest = await push(store, image("a").manifest, *names)
        assert await tag_names(store) == names
        assert {(await store.manifests.find(NAME, Tag(name))).digest for name in names} == {digest}

    async def test_a_tag_moves_and_what_it_left_stays(self, store: Store) -> None:
        first = await push(store, image("a").manifest, "v1", "v2")
        second = await push(store, image("b").manifest, "v1")
        assert (await store.manifests.find(NAME, V1)).digest == second
        assert (await store.manifests.find(NAME, V2)).digest == first
        assert await store.manifests.has(NAME, first)
        await push(store, image("a").manifest, "v1")
        assert (await store.manifests.find(NAME, V1)).digest == first

    async def test_to_push_it_again_changes_nothing(self, store: Store) -> None:
        content = referrer("a")
        for _ in range(3):
            digest = await push_image(store, image("s"), "v1")
            assert await push(store, content, "r") == content_digest(content)
            assert await tag_names(store) == ["r", "v1"]
            assert (await store.manifests.find(NAME, V1)).digest == digest

    async def test_to_push_it_again_with_fewer_tags_takes_none_away(self, store: Store) -> None:
        await push(store, image("a").manifest, "v1", "v2")
        await push(store, image("a").manifest, "v3")
        await push(store, image("a").manifest)
        assert await tag_names(store) == ["v1", "v2", "v3"]

    async def test_tags_differ_by_case_and_punctuation(self, store: Store) -> None:
        names = ["A", "A.", "A_", "a", "a-", "a.", "a_", "_a"]
        made = {name: await push(store, image(name).manifest, name) for name in names}
        for name, digest in made.items():
            assert (await store.manifests.find(NAME, Tag(name))).digest == digest
        assert await tag_names(store) == sorted(names)

    async def test_the_longest_names_are_taken(self, store: Store) -> None:
        name, tag = RepositoryName.parse("a" * 127 + "/" + "b" * 127), "T" * 128
        digest = await push_image(store, image("a"), tag, name=name)
        assert (await store.manifests.find(name, Tag(tag))).digest == digest
        assert (await store.catalogue.repositories(after="", limit=1)).items == [name]

    async def test_a_repository_has_its_own_manifests_and_tags(self, store: Store) -> None:
        here, there = await push(store, image("a").manifest, "v1"), await push(store, image("b").manifest, name=OTHER)
        for name, digest in ((NAME, there), (OTHER, here)):
            assert not await store.manifests.has(name, digest)
            with pytest.raises(ManifestUnknown):
                await store.manifests.find(name, digest)
        with pytest.raises(ManifestUnknown):
            await store.manifests.find(OTHER, V1)

    async def test_a_payload_that_does_not_say_what_it_is_comes_back_as_it_was_last_pushed(self, store: Store) -> None:
        as_docker, as_oci = undeclared("a", mediatypes.DOCKER_MANIFEST), undeclared("a", mediatypes.OCI_MANIFEST)
        digest = await push(store, as_docker)
        await push(store, as_oci, name=OTHER)
        assert (await store.manifests.find(NAME, digest)).media_type == mediatypes.DOCKER_MANIFEST
        assert (await store.manifests.find(OTHER, digest)).media_type == mediatypes.OCI_MANIFEST
        await push(store, as_oci)
        assert (await store.manifests.find(NAME, digest)).media_type == mediatypes.OCI_MANIFEST

    async def test_a_blob_is_no_manifest(self, store: Store) -> None:
        await push(store, image("a").manifest)
        digest = await push_blob(store, image("b").manifest.body)
        assert not await store.manifests.has(NAME, digest)
        with pytest.raises(ManifestUnknown):
            await store.manifests.find(NAME, digest)
        assert await store.manifests.missing(NAME, [digest]) == {digest}

    @pytest.mark.parametrize("text", ["a\0b", "\ud800", "snow ☃ 🐳", "'; DROP TABLE tags; --", "x" * 100_000, " \n"])
    async def test_no_text_in_a_manifest_is_too_strange(self, text: str, store: Store) -> None:
        """What the parser lets through, every store keeps."""
        content = referrer("a", artifact_type=text, annotations={text: text, "": ""})
        odd = encode({"config": {"mediaType": text}, "layers": 5, "subject": None}, "application/x")
        try:
            parse(content.body, content.media_type)
            parse(odd.body, odd.media_type)
        except ManifestInvalid:
            return
        for made in (content, odd):
            digest = await push(store, made, "v1")
            assert (await store.manifests.find(NAME, V1)).payload == made.body
            assert await store.manifests.has(NAME, digest)


class TestMissing:
    async def test_only_what_is_not_in_this_repository_is_named(self, store: Store) -> None:
        here, there = await push(store, image("a").manifest), await push(store, image("b").manifest, name=OTHER)
        gone = await push(store, image("c").manifest)
        await store.manifests.delete(NAME, gone, cause=NOBODY)
        assert await store.manifests.missing(NAME, [here, there, gone, ABSENT, here]) == {there, gone, ABSENT}
        assert await store.manifests.missing(NAME, {here}) == set()
        assert await store.manifests.missing(NAME, []) == set()

    async def test_in_a_repository_that_is_not_there_all_are(self, store: Store) -> None:
        digest = await push(store, image("a").manifest)
        assert await store.manifests.missing(NEVER, [digest, ABSENT]) == {digest, ABSENT}
        assert not await store.manifests.has(NEVER, digest)

    async def test_any_number_can_be_asked_for(self, store: Store) -> None:
        digest = await push(store, image("a").manifest)
        absent = {Digest.of(str(n).encode()) for n in range(3000)}
        assert await store.manifests.missing(NAME, [digest, *absent]) == absent


class TestUnknown:
    @pytest.mark.parametrize("reference", [V1, ABSENT, Digest.of(b"never", "sha512")], ids=["tag", "sha256", "sha512"])
    async def test_it_is_said_whether_the_repository_or_the_manifest_is(
        self, reference: Reference, store: Store
    ) -> None:
        with pytest.raises(NameUnknown) as nowhere:
            await store.manifests.find(NEVER, reference)
        assert nowhere.value.detail == {"name": "never/seen"}
        assert nowhere.value.message == "repository name not known to registry"  # As GitLab and Distribution say it.
        await push(store, image("a").manifest, "other")
        with pytest.raises(ManifestUnknown) as unknown:
            await store.manifests.find(NAME, reference)
        kind = "tag" if isinstance(reference, Tag) else "digest"
        assert unknown.value.detail == {"name": NAME.text, kind: str(reference)}

    async def test_so_it_is_where_something_is_removed(self, store: Store) -> None:
        await push(store, image("a").manifest, "other")
        for name, kind in ((NEVER, NameUnknown), (NAME, ManifestUnknown)):
            with pytest.raises(kind):
                await store.manifests.delete(name, ABSENT, cause=NOBODY)
            with pytest.raises(kind):
                await store.manifests.untag(name, V1, cause=NOBODY)
        assert await tag_names(store) == ["other"]

    async def test_a_namespace_is_no_repository(self, store: Store) -> None:
        await push(store, image("a").manifest, "v1", name=OTHER)
        for name in (RepositoryName("group"), NAME):
            with pytest.raises(NameUnknown):
                await store.manifests.find(name, V1)


class TestDelete:
    async def test_it_takes_its_tags_with_it_and_no_others(self, store: Store) -> None:
        first = await push(store, image("a").manifest, "a", "b", "c")
        second = await push(store, image("b").manifest, "b", "d")
        await push(store, image("a").manifest, "a", name=OTHER)
        await store.manifests.delete(NAME, first, cause=Cause("somebody", "r1", "too old"))
        assert await tag_names(store) == ["b", "d"]
        assert (await store.manifests.find(NAME, Tag("b"))).digest == second
        assert (await store.manifests.find(OTHER, Tag("a"))).digest == first
        for reference in (first, Tag("a"), Tag("c")):
            with pytest.raises(ManifestUnknown):
                await store.manifests.find(NAME, reference)
        assert not await store.manifests.has(NAME, first)

    async def test_a_hundred_tags_go_at_once(self, store: Store) -> None:
        digest = await push(store, image("a").manifest, *(f"t{n}" for n in range(100)))
        await push(store, image("b").manifest, "kept")
        await store.manifests.delete(NAME, digest, cause=NOBODY)
        assert await tag_names(store) == ["kept"]

    async def test_the_second_time_it_is_unknown_and_the_repository_is_not(self, store: Store) -> None:
        digest = await push(store, image("a").manifest, "v1")
        await store.manifests.delete(NAME, digest, cause=NOBODY)
        with pytest.raises(ManifestUnknown):
            await store.manifests.delete(NAME, digest, cause=NOBODY)
        assert await tag_names(store) == []
        assert (await store.catalogue.repositories(after="", limit=10)).items == [NAME]

    async def test_a_push_brings_it_back_without_the_tags_it_had(self, store: Store) -> None:
        content = referrer("a")
        digest = await push(store, content, "old")
        for _ in range(2):
            await store.manifests.delete(NAME, digest, cause=NOBODY)
            assert await push(store, content, "new") == digest
            assert (await store.manifests.find(NAME, digest)).payload == content.body
            assert await store.manifests.missing(NAME, [digest]) == set()
            assert await tag_names(store) == ["new"]

    async def test_an_index_goes_without_its_children(self, store: Store) -> None:
        children = [image("a"), image("b")]
        digests = [await push_image(store, child) for child in children]
        whole = await push(store, index([child.manifest for child in children]), "v1")
        await store.manifests.delete(NAME, whole, cause=NOBODY)
        assert [await store.manifests.has(NAME, digest) for digest in digests] == [True, True]

    async def test_blobs_stay(self, store: Store) -> None:
        made = image("a")
        digest = await push_image(store, made)
        await store.manifests.delete(NAME, digest, cause=NOBODY)
        assert await store.links.missing(NAME, [Digest.parse(blob.digest) for blob in made.blobs]) == set()

    async def test_of_many_at_once_one_wins(self, store: Store, other: Store) -> None:
        digest = await push(store, image("a").manifest, "v1", "v2")
        tries = [view.manifests.delete(NAME, digest, cause=NOBODY) for view in (store, other) * 5]
        results = await asyncio.gather(*tries, return_exceptions=True)
        assert results.count(None) >= 1
        assert {type(result) for result in results if result is not None} <= {ManifestUnknown}
        assert await tag_names(store) == []


class TestFixedTags:
    @pytest.mark.parametrize("name", [NAME, NEVER])
    async def test_of_many_pushes_at_once_one_makes_the_tag(
        self, store: Store, other: Store, name: RepositoryName
    ) -> None:
        await push(store, referrer("before"), "other")
        views = (store, other) * 5
        tries = [push(view, referrer(n), f"{n}", fixed=["v2", "v1"], name=name) for n, view in enumerate(views)]
        results = await asyncio.gather(*tries, return_exceptions=True)
        (made,) = [result for result in results if isinstance(result, Digest)]
        assert [type(result) for result in results if result != made] == [TagThere] * 9
        assert await tag_names(store, name) == sorted(
            ["v1", "v2", str(results.index(made))] + ["other"] * (name == NAME)
        )
        assert (await store.manifests.find(name, V1)).digest == made

    async def test_a_push_beside_that_may_move_the_tag_is_never_written_over(self, store: Store, other: Store) -> None:
        free = await push(store, referrer("free"))
        for tag in map(str, range(20)):
            tries = push(other, referrer("fixed"), fixed=[tag]), push(store, referrer("free"), tag)
            await asyncio.gather(*tries, return_exceptions=True)
            assert (await store.manifests.find(NAME, Tag(tag))).digest == free

    async def test_a_tag_that_is_there_is_not_pointed_even_to_what_it_points_to(self, store: Store) -> None:
        await push(store, referrer("a"), fixed=["v1"])
        for before in ("a", "v2"):  # One is made before the other is found.
            with pytest.raises(TagThere, match="v1"):
                await push(store, referrer("a"), "v3", fixed=[before, "v1"])
        assert await tag_names(store) == ["v1"]
        await push(store, referrer("b"), "v1", fixed=["v2"])
        assert await tag_names(store) == ["v1", "v2"]


class TestSeenTags:
    async def test_a_tag_is_moved_only_from_where_it_was_seen(self, store: Store, other: Store) -> None:
        first = await push(store, referrer("a"), "v1")
        second = await push(other, referrer("b"), seen={"v1": first})
        for was in (first, ABSENT):
            with pytest.raises(TagChanged, match="v1"):
                await push(store, referrer("c"), "v2", seen={"v1": was})
        assert (await store.manifests.find(NAME, V1)).digest == second
        assert await tag_names(store) == ["v1"]
        assert await push(store, referrer("b"), seen={"v1": second}) == second

    async def test_a_tag_that_is_away_is_not_made(self, store: Store) -> None:
        first = await push(store, referrer("a"), "v1", "v2")
        await store.manifests.untag(NAME, V1, cause=NOBODY)
        with pytest.raises(TagChanged, match="v1"):
            await push(store, referrer("b"), seen={"v2": first, "v1": first})
        with pytest.raises(TagChanged, match="v1"):
            await push(store, referrer("b"), seen={"v1": first}, name=NEVER)
        assert await tag_names(store) == ["v2"]
        assert (await store.manifests.find(NAME, Tag("v2"))).digest == first

    async def test_of_many_pushes_at_once_one_moves_the_tag(self, sql: SqlStore, other_sql: SqlStore) -> None:
        """Link files are looked at, and then written: docs/adr/0190."""
        for turn in range(10):
            first = await push(sql, referrer("first"), f"{turn}", "other")
            tries = [
                push(view, referrer(f"{turn} {n}"), seen={f"{turn}": first, "other": first})
                for n, view in enumerate((sql, other_sql) * 4)
            ]
            results = await asyncio.gather(*tries, return_exceptions=True)
            (made,) = [result for result in results if isinstance(result, Digest)]
            assert [type(result) for result in results if result != made] == [TagChanged] * 7
            for tag in (f"{turn}", "other"):
                assert (await sql.manifests.find(NAME, Tag(tag))).digest == made


class TestUntag:
    async def test_a_tag_that_points_elsewhere_than_was_seen_stays(self, store: Store) -> None:
        first = await push(store, image("a").manifest, "v1")
        second = await push(store, image("b").manifest, "v1")
        with pytest.raises(TagChanged, match="elsewhere"):
            await store.manifests.untag(NAME, V1, cause=NOBODY, seen=first)
        assert (await store.manifests.find(NAME, V1)).digest == second
        await store.manifests.untag(NAME, V1, cause=NOBODY, seen=second)
        assert await tag_names(store) == []
        with pytest.raises(ManifestUnknown):
            await store.manifests.untag(NAME, V1, cause=NOBODY, seen=second)

    async def test_the_manifest_and_its_other_tags_stay(self, store: Store) -> None:
        digest = await push(store, image("a").manifest, "v1", "v2", "V1")
        await push(store, image("a").manifest, "v1", name=OTHER)
        await store.manifests.untag(NAME, V1, cause=Cause("somebody", "r1", "a mistake"))
        assert await tag_names(store) == ["V1", "v2"]
        assert await tag_names(store, OTHER) == ["v1"]
        assert await store.manifests.has(NAME, digest)
        with pytest.raises(ManifestUnknown, match="no such tag"):
            await store.manifests.find(NAME, V1)

    async def test_the_second_time_it_is_unknown(self, store: Store) -> None:
        digest = await push(store, image("a").manifest, "v1")
        await store.manifests.untag(NAME, V1, cause=NOBODY)
        with pytest.raises(ManifestUnknown, match="no such tag"):
            await store.manifests.untag(NAME, V1, cause=NOBODY)
        assert await store.manifests.has(NAME, digest)

    async def test_it_can_be_pushed_again(self, store: Store) -> None:
        digest = await push(store, image("a").manifest, "v1")
        await store.manifests.untag(NAME, V1, cause=NOBODY)
        await push(store, image("a").manifest, "v1")
        assert (await store.manifests.find(NAME, V1)).digest == digest


def content_digest(content: Content) -> Digest:
    return Digest.parse(content.digest)
