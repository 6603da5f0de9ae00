"""Images of link files in a database: as if pushed there, after any interruption; and what is left out."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from contract.metadata.pushing import (
    NAME,
    NOBODY,
    OTHER,
    push,
    push_blob,
    push_image,
    referrer,
    undeclared,
)
from contract.metadata.stores import Store
from contract.moving.movers import Mover, everything, kinds, reviewed
from moorage.errors import DatabaseUnavailable, ManifestReferenced, ManifestUnknown
from moorage.metadata.imports import FoundManifest, FoundTag
from moorage.metadata.sql.imports import SqlImports
from moorage.moving.import_note import ImportNote
from moorage.moving.importing import ImportRefused, Step
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from moorage.sql.base import moment
from moorage.storage import locks, paths
from moorage.storage.locks import Lock
from moorage.storage.presence import Activity, announce
from support.images import DOCKER_SCHEMA1, Content, artifact, docker_image, encode, image, index

PRE, ALL, COMMON = Step


async def push_all_kinds(store: Store) -> None:
    """Everything that a repository can have."""
    amd64, arm64 = image("amd64"), image("arm64", architecture="arm64")
    children = [await push_image(store, made) for made in (amd64, arm64)]
    assert len(children) == 2
    await push(store, index([amd64.manifest, arm64.manifest]), "index", "same")
    await push_image(store, docker_image("docker"), "docker", "Latest", name=OTHER)
    await push_image(store, image("untagged"), name=OTHER)
    signed = artifact("signature", amd64.manifest, artifact_type="a/signature", annotations={"a": "é", "b": "x" * 300})
    await push_image(store, signed)
    await push(store, referrer("sbom"))
    await push_blob(store, b"no manifest names this")
    await push_blob(store, b"nor this", algorithm="sha512")
    await push(store, undeclared("x", "application/vnd.oci.image.manifest.v1+json"), "undeclared")
    await push(store, undeclared("y", "application/vnd.something.else.v1+json"), "else", algorithm="sha512")
    gone = await push_image(store, image("deleted"), "deleted")
    await store.manifests.delete(NAME, gone, cause=NOBODY)


async def test_what_is_taken_over_is_as_if_it_had_been_pushed(mover: Mover) -> None:
    await push_all_kinds(mover.links)
    outcome = await mover.run()
    await push_all_kinds(mover.pushed)
    found = await everything(mover.sql)
    assert found == await everything(mover.pushed)
    assert outcome.left_out.first == []
    assert (outcome.repositories, outcome.tags, outcome.manifests) == (2, len(found["tags"]), len(found["manifests"]))


async def test_small_configurations_are_kept_with_their_manifests(mover: Mover) -> None:
    made = image("a")
    digest = await push_image(mover.links, made, "a")
    await mover.run()
    (row,) = await mover.sql.rows("SELECT config_payload, created_at FROM manifests")
    assert bytes(row[0]) == made.blobs[0].body
    assert (await mover.sql.manifests.find(NAME, Tag("a"))).digest == digest


async def test_tags_keep_the_moment_at_which_their_links_were_written(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a")
    written = (await mover.links.storage.stat(paths.tag_link(NAME, Tag("a")))).modified_at
    await mover.run()
    ((published,), (last,)) = [
        (await mover.sql.rows(text))[0]
        for text in ("SELECT published_at FROM tags", "SELECT last_published_at FROM repositories")
    ]
    assert (moment(published), moment(last)) == (written, written)


async def test_the_first_step_leaves_tags_out_and_the_second_reads_nothing_again(mover: Mover) -> None:
    await push_all_kinds(mover.links)
    first = await mover.run(PRE)
    assert await mover.sql.rows("SELECT 1 FROM tags") == []
    assert not (await locks.read(mover.links.storage)).database
    second = await mover.run(ALL)
    assert first.new_manifests == first.manifests == second.manifests
    assert (second.new_blobs, second.tags) == (0, 6)
    await push_all_kinds(mover.pushed)
    assert await everything(mover.sql) == await everything(mover.pushed)


async def test_a_first_step_that_is_repeated_takes_what_is_new(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a")
    await mover.run(PRE)
    await push_image(mover.links, image("b"), "b")
    outcome = await mover.run(PRE)
    assert (outcome.manifests, outcome.new_manifests, outcome.new_blobs) == (2, 1, 3)


async def test_what_goes_between_the_steps_does_not_come_back(mover: Mover) -> None:
    gone, kept = await push_image(mover.links, image("a"), "a", "moved"), await push_image(mover.links, image("b"), "b")
    loose = await push_blob(mover.links, b"loose")
    await push_image(mover.links, image("c"), "c", name=OTHER)
    await mover.run(PRE)
    await mover.links.manifests.delete(NAME, gone, cause=NOBODY)
    await mover.links.links.unlink(NAME, loose, cause=NOBODY)
    await mover.links.storage.delete(paths.repository(OTHER))
    outcome = await mover.run(ALL)
    assert outcome.removed == 6  # Two manifests, the loose blob, and the three of the repository that is gone.
    assert await mover.tags() == {"b": kept}
    with pytest.raises(ManifestUnknown):
        await mover.sql.manifests.find(NAME, gone)
    assert not await mover.sql.links.has(NAME, loose)
    page = await mover.sql.catalogue.repositories(after="", limit=9)
    assert page.items == [NAME]


class Failing(SqlImports):
    """A database that stops at one of the changes, as a kill of the import does."""

    def __init__(self, mover: Mover, change: int) -> None:
        super().__init__(mover.sql.database)
        self.left = change

    def count(self) -> None:
        self.left -= 1
        if not self.left:
            raise Killed

    async def take_repository(self, name: RepositoryName, *, is_populated: bool) -> None:
        self.count()
        await super().take_repository(name, is_populated=is_populated)

    async def take_tags(self, name: RepositoryName, tags: Sequence[FoundTag]) -> Sequence[FoundTag]:
        left = await super().take_tags(name, tags)
        self.count()
        return left

    async def take_manifests(self, name: RepositoryName, manifests: Sequence[FoundManifest]) -> None:
        self.count()
        await super().take_manifests(name, manifests)
        self.count()


class Killed(Exception):
    """The end of a process, as far as a test can have it inside one."""


async def test_ended_after_any_change_the_same_command_finishes_it(mover: Mover) -> None:
    await push_all_kinds(mover.links)
    await push_all_kinds(mover.pushed)
    kills = 0
    for change in range(1, 20):
        work, _ = mover.work(database=Failing(mover, change))
        try:
            await work.run()
        except Killed:
            kills += 1
            found = await locks.read(mover.links.storage)
            assert (found.filesystem, found.database) == (True, False)  # With the database nobody starts.
        else:
            break
    assert kills > 3
    assert await everything(mover.sql) == await everything(mover.pushed)
    found = await locks.read(mover.links.storage)
    assert (found.filesystem, found.database) == (False, True)


async def test_a_tag_that_moves_after_a_kill_is_where_it_was_moved_to(mover: Mover) -> None:
    await push_image(mover.links, image("a"), "a", "moved", "gone")
    work, _ = mover.work(database=Failing(mover, 4))
    with pytest.raises(Killed):
        await work.run()
    assert set(await mover.tags()) == {"a", "moved", "gone"}
    target = await push_image(mover.links, image("b"), "moved")
    await mover.links.manifests.untag(NAME, Tag("gone"), cause=NOBODY)
    await mover.run()
    assert set(found := await mover.tags()) == {"a", "moved"}
    assert found["moved"] == target


async def test_a_first_step_goes_on_behind_what_it_has_done(mover: Mover) -> None:
    names = [RepositoryName(f"group/{letter}") for letter in "abc"]
    for name in names:
        await push_image(mover.links, image(name.text), "a", name=name)
    await mover.run(PRE)
    note = ImportNote(
        database="a database", pre_import_began_at=datetime.now(UTC).isoformat(), pre_imported_until="group/b"
    )
    await note.write(mover.links.storage)
    mover.done.clear()
    assert (await mover.run(PRE)).skipped_repositories == 2
    assert mover.done == ["group/c"]
    await note.write(mover.links.storage)
    assert (await mover.run(PRE, skip_recent=timedelta(0))).skipped_repositories == 0
    await replace(note, database="another one").write(mover.links.storage)
    assert (await mover.run(PRE)).repositories == 3


class Flaky(SqlImports):
    """A database that is away for a moment in the middle of a repository."""

    failures = 1

    async def take_tags(self, name: RepositoryName, tags: Sequence[FoundTag]) -> Sequence[FoundTag]:
        left = await super().take_tags(name, tags)
        if self.failures:
            self.failures -= 1
            msg = "away for a moment"
            raise DatabaseUnavailable(msg)
        return left


async def test_a_database_that_is_away_for_a_moment_ends_nothing(mover: Mover) -> None:
    await push_all_kinds(mover.links)
    work, teller = mover.work(database=Flaky(mover.sql.database))
    await work.run()
    assert (teller.outcome.repositories, teller.outcome.tags) == (2, 6)


class TestLeftOut:
    """What cannot be taken over is named, and everything else is taken over."""

    async def test_of_everything_that_is_odd_the_rest_is_there(self, mover: Mover) -> None:
        storage = mover.links.storage
        good = await push_image(mover.links, image("good"), "good")
        damaged = await push_image(mover.links, image("damaged"), "damaged")
        await storage.put(paths.blob(damaged), b"other bytes")
        empty = await push_image(mover.links, image("empty"), "empty")
        await storage.put(paths.blob(empty), b"")
        missing = await push_image(mover.links, image("missing"), "missing")
        await storage.delete(paths.blob(missing))
        old = encode({"schemaVersion": 1, "name": "a", "tag": "b", "fsLayers": []}, DOCKER_SCHEMA1)
        schema1 = Digest.of(old.body)
        await storage.put(paths.blob(schema1), old.body)
        await storage.put(paths.revision_link(NAME, schema1), str(schema1).encode())
        await storage.put(paths.tag_link(NAME, Tag("old")), str(schema1).encode())
        await storage.put(paths.tag_link(NAME, Tag("nonsense")), b"nonsense")
        await storage.put(paths.tag_link(NAME, Tag("nowhere")), str(Digest.of(b"nowhere")).encode())
        await storage.put(f"{paths.layers(NAME)}/sha256/abc/link", b"x")
        await storage.put(f"{paths.revisions(NAME)}/md5/abc/link", b"x")
        lost = image("lost")
        layer = Digest.parse(lost.blobs[1].digest)
        whole_but_a_layer = await push_image(mover.links, lost, "lost")
        await storage.delete(paths.blob(layer))
        outcome = await mover.run()
        found = {(kind, path.removeprefix(f"{NAME.text}/")) for kind, path in kinds(outcome)}
        revision = "_manifests/revisions/sha256/{}/link".format
        tag = "_manifests/tags/{}/current/link".format
        assert found == {
            ("blob-missing", f"_layers/sha256/{layer.encoded}/link"),
            ("manifest-damaged", revision(damaged.encoded)),
            ("manifest-damaged", revision(empty.encoded)),
            ("manifest-missing", revision(missing.encoded)),
            ("manifest-of-schema-1", revision(schema1.encoded)),
            ("link-broken", "_layers/sha256/abc"),
            ("link-broken", "_manifests/revisions/md5"),
            ("link-broken", tag("nonsense")),
            *(("tag-dangling", tag(name)) for name in ("damaged", "empty", "missing", "old", "nowhere")),
        }
        assert outcome.left_out.is_whole
        assert await mover.tags() == {"good": good, "lost": whole_but_a_layer}
        assert not await mover.sql.links.has(NAME, layer)  # As before: the manifest is there, and this layer is not.

    async def test_what_today_would_be_refused_is_taken_over_as_it_was_served(self, mover: Mover) -> None:
        child = await push_image(mover.links, image("child"))
        odd = encode({"manifests": [{"digest": str(child)}], "annotations": {"a": 1}}, "")
        await put_by_hand(mover.links, odd, "odd")
        strange = Content("", b'{"schemaVersion": 2, "layers": "none", "config": {"digest": "sha256:x"}}')
        await put_by_hand(mover.links, strange, "strange")
        assert (await mover.run()).left_out.first == []
        for tag, made in (("odd", odd), ("strange", strange)):
            before = await mover.links.manifests.find(NAME, Tag(tag))
            assert await mover.sql.manifests.find(NAME, Tag(tag)) == before
            assert before.payload == made.body
        with pytest.raises(ManifestReferenced):
            await mover.sql.manifests.delete(NAME, child, cause=NOBODY)

    async def test_names_that_no_client_can_ask_for_are_left_out(self, mover: Mover) -> None:
        await push_image(mover.links, image("a"), "a", name=RepositoryName("app (copy)"))
        outcome = await mover.run()
        assert kinds(outcome) == [("name-invalid", "app (copy)")]
        assert outcome.repositories == 0


class TestCommonBlobs:
    """Bytes that nothing refers to are given to garbage collection; the others are not."""

    async def test_bytes_without_use_are_to_be_reviewed(self, mover: Mover) -> None:
        digest = await push_image(mover.links, image("a"), "a")
        linked = await push_blob(mover.links, b"in a repository, and in no manifest")
        loose = Digest.of(b"in no repository")
        await mover.links.storage.put(paths.blob(loose), b"in no repository")
        outcome = await mover.run()
        assert await reviewed(mover.sql) == {linked, loose}
        assert (outcome.common_blobs, outcome.unneeded_blobs) == (6, 2)
        assert await mover.links.storage.exists(paths.blob(digest))  # Of the manifest: link files need it.

    async def test_nothing_is_given_away_while_something_was_left_out(self, mover: Mover) -> None:
        await push_image(mover.links, image("a"), "a")
        await mover.links.storage.put(paths.blob(Digest.of(b"loose")), b"loose")
        await mover.links.storage.put(paths.tag_link(NAME, Tag("nonsense")), b"nonsense")
        outcome = await mover.run()
        assert (outcome.unneeded_blobs, await reviewed(mover.sql)) == (1, set())
        await mover.run(COMMON)
        assert await reviewed(mover.sql) == {Digest.of(b"loose")}


class TestRefusals:
    """What would mix two registries is refused, and nothing is changed."""

    async def test_what_a_database_has_from_elsewhere_is_not_taken_out(self, mover: Mover) -> None:
        there = await push_image(mover.sql, image("there"))
        await push_image(mover.links, image("a"), "a")
        assert (await mover.run()).removed == 0
        assert (await mover.sql.manifests.find(NAME, there)).digest == there

    async def test_a_database_that_has_tags_is_not_imported_into(self, mover: Mover) -> None:
        await push_image(mover.sql, image("there"), "there")
        await push_image(mover.links, image("a"), "a")
        with pytest.raises(ImportRefused, match="cannot import all repositories while the tags table has entries"):
            await mover.run()
        with pytest.raises(ImportRefused, match="you must truncate the table manually before retrying"):
            await mover.run(ALL)
        assert set(await mover.tags()) == {"there"}

    async def test_storage_whose_images_are_in_a_database_is_not_imported_again(self, mover: Mover) -> None:
        await push_image(mover.links, image("a"), "a")
        await mover.run()
        for steps in ((), (PRE,), (ALL,)):
            with pytest.raises(ImportRefused, match="database-in-use lockfile exists"):
                await mover.run(*steps)
        await mover.run(COMMON)

    async def test_a_note_that_was_left_behind_opens_no_database_that_may_have_been_used_since(
        self, mover: Mover
    ) -> None:
        await push_image(mover.links, image("a"), "a")
        await mover.run()
        await ImportNote(database="a database", takes_tags=True).write(mover.links.storage)
        with pytest.raises(ImportRefused, match="database-in-use lockfile exists"):
            await mover.run()
        await locks.write(mover.links.storage, Lock.FILESYSTEM)  # As it is just before the end.
        await mover.run()
        assert not (await locks.read(mover.links.storage)).filesystem

    async def test_a_dry_run_with_the_lock_of_a_database_is_refused(self, mover: Mover) -> None:
        await locks.write(mover.links.storage, Lock.DATABASE)
        with pytest.raises(ImportRefused, match="could not restore lockfiles: database-in-use lockfile exists"):
            await mover.run(ALL, dry_run=True)

    async def test_beside_a_registry_that_takes_pushes_only_the_first_step_runs(self, mover: Mover) -> None:
        await push_image(mover.links, image("a"), "a")
        writer = await announce(mover.links.storage, Activity.WRITING)
        try:
            await mover.run(PRE)
            for steps in ((), (ALL,)):
                with pytest.raises(ImportRefused, match="takes pushes"):
                    await mover.run(*steps)
        finally:
            await writer.close()
        assert await mover.sql.rows("SELECT 1 FROM tags") == []
        assert (await mover.run()).tags == 1


async def test_a_dry_run_finds_what_would_be_left_out_and_writes_nothing(mover: Mover) -> None:
    await push_all_kinds(mover.links)
    await mover.links.storage.put(paths.tag_link(NAME, Tag("nonsense")), b"nonsense")
    before = await everything(mover.sql)
    outcome = await mover.run(dry_run=True)
    assert (outcome.repositories, outcome.tags, outcome.left_out.count) == (2, 6, 1)
    assert await everything(mover.sql) == before
    assert await locks.read(mover.links.storage) == locks.Locks(filesystem=False, database=False)
    assert not await mover.links.storage.exists(paths.IMPORT)


async def put_by_hand(store: Store, content: Content, tag: str) -> None:
    """Write a manifest as a registry with other rules has."""
    digest = Digest.of(content.body)
    await store.storage.put(paths.blob(digest), content.body)
    await store.storage.put(paths.revision_link(NAME, digest), str(digest).encode())
    await store.storage.put(paths.tag_link(NAME, Tag(tag)), str(digest).encode())
