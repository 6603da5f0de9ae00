"""Each kind of difference between storage and a database is found, named, repaired, and nothing else is."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from contract.integrity.breaking import WatchedStorage
from contract.integrity.content import CONFIG, IMAGE, LAYER, fill
from contract.integrity.registries import Registry, layout_store_over
from contract.metadata.pushing import NAME, OTHER, push_blob, push_image
from moorage.errors import ReferencesUnknown
from moorage.integrity.findings import FindingKind, Note
from moorage.integrity.linked_elsewhere import LinkedElsewhere
from moorage.metadata.base import Cause
from moorage.metadata.sql.digest_keys import digest_key
from moorage.metadata.sql.integrity import SqlBlobRepairs
from moorage.oci.digests import Digest
from moorage.oci.manifests import StoredManifest, parse
from moorage.storage import paths
from support.images import image

CONTENT = IMAGE.blobs[1].body
FLIPPED = bytes([CONTENT[0] ^ 1]) + CONTENT[1:]


@pytest.fixture(autouse=True)
async def _full(registry: Registry) -> None:
    await fill(registry)


class TestMissingBytes:
    async def test_are_found_in_both_kinds_of_check_and_nothing_is_changed(self, registry: Registry) -> None:
        await registry.lose(LAYER)
        for verifies in (False, True):
            found = await registry.check(verifies=verifies)
            assert found.pairs == {(FindingKind.BYTES_MISSING, str(LAYER))}
            assert found.tally.differences[FindingKind.BYTES_MISSING].size_bytes == len(CONTENT)
        assert await registry.store.links.has(NAME, LAYER)

    async def test_are_marked_by_a_repair_and_come_back_with_a_push(self, registry: Registry) -> None:
        await registry.lose(LAYER)
        found = await registry.check(repairs=True)
        assert found.tally.differences[FindingKind.BYTES_MISSING].repaired == 1
        assert not await registry.store.links.has(NAME, LAYER)
        again = await registry.check(repairs=True)
        assert again.pairs == {(FindingKind.BYTES_MISSING, str(LAYER))}
        assert again.findings[0].detail == "marked as missing: a push brings it back"
        assert again.tally.differences[FindingKind.BYTES_MISSING].repaired == 0
        await push_blob(registry.store, CONTENT)
        assert await registry.store.links.has(NAME, LAYER)
        assert (await registry.check()).kinds == {}

    async def test_that_are_back_without_a_push_are_seen_to_be_right(self, registry: Registry) -> None:
        await registry.lose(LAYER)
        await registry.check(repairs=True)
        await registry.damage(LAYER, CONTENT)  # As from a backup.
        assert (await registry.check(verifies=False)).pairs == {(FindingKind.MARKED_IN_VAIN, str(LAYER))}
        assert (await registry.check(verifies=False, repairs=True)).findings[0].repair == "not marked any more"
        assert await registry.store.links.has(NAME, LAYER)
        assert (await registry.check()).kinds == {}

    async def test_that_come_back_damaged_are_damaged(self, registry: Registry) -> None:
        await registry.lose(LAYER)
        await registry.check(repairs=True)
        await registry.damage(LAYER, FLIPPED)
        assert (await registry.check(verifies=False)).pairs == {(FindingKind.DIGEST_DIFFERS, str(LAYER))}
        await registry.check(verifies=False, repairs=True)
        assert await registry.quarantined(LAYER) == [FLIPPED]
        assert not await registry.store.links.has(NAME, LAYER)


class TestDamagedBytes:
    async def test_are_found_by_reading_them(self, registry: Registry) -> None:
        await registry.damage(LAYER, FLIPPED)
        assert (await registry.check(verifies=False)).kinds == {}
        found = await registry.check()
        assert found.pairs == {(FindingKind.DIGEST_DIFFERS, str(LAYER))}
        assert str(Digest.of(FLIPPED)) in found.findings[0].detail
        assert await registry.quarantined(LAYER) == []

    async def test_of_no_length_are_seen_without_reading_them(self, registry: Registry) -> None:
        await registry.damage(LAYER, b"")
        found = await registry.check(verifies=False)
        assert found.pairs == {(FindingKind.SIZE_DIFFERS, str(LAYER))}

    @pytest.mark.parametrize("content", [FLIPPED, CONTENT[:-1], CONTENT + b"x", b""], ids=["bit", "less", "more", "0"])
    async def test_are_moved_to_quarantine_and_nobody_can_see_the_blob(
        self, content: bytes, registry: Registry
    ) -> None:
        await registry.damage(LAYER, content)
        found = await registry.check(repairs=True)
        kind = FindingKind.DIGEST_DIFFERS if len(content) == len(CONTENT) else FindingKind.SIZE_DIFFERS
        assert found.pairs == {(kind, str(LAYER))}
        assert found.tally.differences[kind].repaired == 1
        assert await registry.quarantined(LAYER) == [content]
        assert not await registry.storage.exists(paths.blob(LAYER))
        links = registry.store.links
        assert not await links.has(NAME, LAYER)
        assert not await links.promise(NAME, LAYER)
        assert await links.missing(NAME, [LAYER, CONFIG]) == {LAYER}
        assert not await links.mount(OTHER, LAYER, source=NAME)
        assert not await links.mount(OTHER, LAYER, source=None)

    async def test_are_no_reason_to_take_a_manifest_that_names_them(self, registry: Registry) -> None:
        await registry.damage(LAYER, FLIPPED)
        await registry.check(repairs=True)
        body = IMAGE.manifest.body
        stored = StoredManifest(Digest.of(body), IMAGE.manifest.media_type, body)
        with pytest.raises(ReferencesUnknown, match="not in the repository") as raised:
            await registry.store.manifests.put(
                NAME, stored, parse(body), tags=[], cause=Cause(), required=[LAYER, CONFIG]
            )
        assert str(LAYER) in str(vars(raised.value))

    async def test_are_healed_by_a_push_and_stay_in_quarantine(self, registry: Registry) -> None:
        await registry.damage(LAYER, FLIPPED)
        await registry.check(repairs=True)
        await push_image(registry.store, IMAGE, "1")
        assert await registry.store.links.has(OTHER, LAYER), "wherever it was"
        assert await registry.storage.get(paths.blob(LAYER)) == CONTENT
        assert (await registry.check()).kinds == {}
        assert await registry.quarantined(LAYER) == [FLIPPED]

    async def test_a_second_damage_of_the_same_blob_is_kept_beside_the_first(self, registry: Registry) -> None:
        for content in (FLIPPED, FLIPPED[::-1]):
            await registry.damage(LAYER, content)
            await registry.check(repairs=True)
            await push_blob(registry.store, CONTENT)
        assert await registry.quarantined(LAYER) == [FLIPPED, FLIPPED[::-1]]

    async def test_in_512_bits_are_found_too(self, registry: Registry) -> None:
        digest = Digest.of(b"512", "sha512")
        await registry.damage(digest, b"513")
        assert (await registry.check(repairs=True)).pairs == {(FindingKind.DIGEST_DIFFERS, str(digest))}
        assert await registry.quarantined(digest) == [b"513"]


class TestSizes:
    async def test_a_size_that_is_wrong_in_the_database_is_corrected_there(self, registry: Registry) -> None:
        await registry.run("UPDATE blobs SET size = size + 5 WHERE digest = $1", digest_key(LAYER))
        found = await registry.check(verifies=False, repairs=True)
        assert found.pairs == {(FindingKind.SIZE_DIFFERS, str(LAYER))}
        assert found.findings[0].repair == "the row was corrected"
        assert await registry.quarantined(LAYER) == []
        assert await registry.store.links.has(NAME, LAYER)
        assert (await registry.check()).kinds == {}


class TestUnknownBytes:
    async def test_are_found_and_left_to_garbage_collection(self, registry: Registry) -> None:
        digest = Digest.of(b"of a power cut")
        await registry.damage(digest, b"of a power cut")
        assert (await registry.check()).pairs == {(FindingKind.BYTES_UNKNOWN, str(digest))}
        found = await registry.check(repairs=True)
        assert found.tally.differences[FindingKind.BYTES_UNKNOWN].repaired == 1
        again = await registry.check()
        assert (again.kinds, again.notes) == ({}, {Note.AWAITING_REVIEW: (1, 14)})
        assert await registry.storage.exists(paths.blob(digest))

    async def test_that_link_files_refer_to_are_another_registrys_and_no_garbage(self, registry: Registry) -> None:
        made = image("pushed to another registry on this storage")
        await push_image(layout_store_over(registry.storage), made, "v1")
        for _ in range(2):
            found = await registry.check(repairs=True)
            assert found.kinds == {FindingKind.BYTES_LINKED: 1 + len(made.blobs)}
            assert found.tally.differences[FindingKind.BYTES_LINKED].repaired == 0

    async def test_that_came_after_links_were_read_are_left_to_the_next_check(
        self, registry: Registry, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Another registry has the bytes in their place before it writes the link."""
        monkeypatch.setattr(LinkedElsewhere, "may_lack", lambda *_: True)
        await registry.damage(Digest.of(b"pushed"), b"pushed")
        (found,) = (await registry.check(repairs=True)).findings
        assert (found.kind, found.repair) == (FindingKind.BYTES_UNKNOWN, "")
        assert "pushing it to another registry right now" in found.detail
        monkeypatch.undo()
        assert (await registry.check(repairs=True)).tally.differences[FindingKind.BYTES_UNKNOWN].repaired == 1

    async def test_that_got_a_link_while_a_check_went_on_are_no_garbage(self, registry: Registry) -> None:
        now, other = [0.0], layout_store_over(registry.storage)
        first, second = image("first"), image("second")
        elsewhere = LinkedElsewhere(registry.storage, clock=lambda: now[0])
        await push_image(other, first, "1")
        assert await elsewhere.has(Digest.parse(first.digest))
        assert elsewhere.may_lack(datetime.now(UTC))
        assert not elsewhere.may_lack(datetime.now(UTC) - timedelta(minutes=1))
        await push_image(other, second, "1")
        assert not await elsewhere.has(Digest.parse(second.digest)), "what was read a moment ago is believed"
        now[0] = 3600.0
        assert await elsewhere.has(Digest.parse(second.digest))
        elsewhere.close()

    async def test_that_somebody_pushes_are_a_blob_from_then_on(self, registry: Registry) -> None:
        await registry.damage(Digest.of(b"x"), b"x")
        await registry.check(repairs=True)
        digest = await push_blob(registry.store, b"x")
        assert await registry.store.links.has(NAME, digest)
        assert (await registry.check()).notes == {}


async def test_unused_blobs_that_no_review_would_find_are_put_into_the_queue(registry: Registry) -> None:
    digest = Digest.of(b"not in any image")
    await registry.run("DELETE FROM gc_blob_review_queue WHERE digest = $1", digest_key(digest))
    assert (await registry.check()).pairs == {(FindingKind.BLOB_UNREVIEWED, str(digest))}
    await registry.check(repairs=True)
    assert (await registry.check()).kinds == {}


async def test_files_that_are_no_blobs_are_named(registry: Registry) -> None:
    strangers = {
        f"{paths.BLOBS}/README",
        f"{paths.BLOBS}/md5",
        f"{paths.BLOBS}/sha256/.DS_Store",
        f"{paths.BLOBS}/sha256/zz",
        f"{paths.BLOBS}/sha256/ab/ab",
        f"{paths.BLOBS}/sha256/{LAYER.encoded[:2]}/{'g' * 64}",
        f"{paths.BLOBS}/sha256/{'00' if LAYER.encoded[:2] != '00' else '01'}/{LAYER.encoded}",
        f"{paths.BLOBS}/sha512/{LAYER.encoded[:2]}",
    }
    for path in strangers:
        await registry.storage.put(path if path.endswith(("README", "_Store")) else f"{path}/data", b"?")
    # A folder of the right name with a file in it that is no folder of a blob.
    inner = {path for path in strangers if not path.endswith(f"sha512/{LAYER.encoded[:2]}")}
    found = await registry.check(repairs=True)
    named = {subject for kind, subject in found.pairs if kind is FindingKind.FOREIGN}
    assert named == inner | {f"{paths.BLOBS}/sha512/{LAYER.encoded[:2]}/data"}
    assert set(found.kinds) == {FindingKind.FOREIGN}
    for path in strangers:
        assert await registry.storage.exists(path), "nobody's files are removed"


class TestUnreadable:
    async def test_a_blob_that_cannot_be_read_is_no_mismatch_and_the_check_goes_on(self, registry: Registry) -> None:
        storage = WatchedStorage(registry.storage)
        storage.broken.add(("open", paths.blob(LAYER)))
        await registry.damage(CONFIG, b"{")
        found = await registry.check(storage=storage, repairs=True)
        assert found.pairs == {(FindingKind.UNREADABLE, str(LAYER)), (FindingKind.SIZE_DIFFERS, str(CONFIG))}
        unreadable = next(finding for finding in found.findings if finding.kind is FindingKind.UNREADABLE)
        assert "EIO" in unreadable.detail
        assert await registry.store.links.has(NAME, LAYER), "it may be the cable"
        assert await registry.quarantined(LAYER) == []

    @pytest.mark.parametrize("call", ["stat", "list"])
    async def test_names_that_cannot_be_read_hide_nothing_else(self, call: str, registry: Registry) -> None:
        storage = WatchedStorage(registry.storage)
        folder = f"{paths.BLOBS}/sha256/{LAYER.encoded[:2]}"
        storage.broken.add((call, paths.blob(LAYER) if call == "stat" else folder))
        found = await registry.check(storage=storage, repairs=True)
        assert found.pairs == {(FindingKind.UNREADABLE, str(LAYER) if call == "stat" else folder)}


async def test_every_difference_goes_into_the_report(registry: Registry, tmp_path: Path) -> None:
    report = tmp_path / "report.jsonl"
    await registry.lose(LAYER)
    await registry.damage(CONFIG, b"{")
    found = await registry.check(report=report)
    assert len(report.read_text().splitlines()) == len(found.findings) == 2
    assert str(LAYER) in report.read_text()
    await registry.check(report=report)
    assert len(report.read_text().splitlines()) == 2, "a new check begins a new report"


class TestClaims:
    async def test_what_is_being_removed_is_left_alone(self, registry: Registry) -> None:
        assert registry.database is not None
        other = SqlBlobRepairs(registry.database)
        assert await other.claim(LAYER)
        await registry.lose(LAYER)
        found = await registry.check(repairs=True)
        assert found.findings[0].detail == "not repaired, as somebody is at work on it"
        assert found.findings[0].repair == ""
        await other.release(LAYER)
        assert (await registry.check(repairs=True)).findings[0].repair

    async def test_a_claim_is_prolonged_by_whoever_has_it_and_refused_to_others(self, registry: Registry) -> None:
        assert registry.database is not None
        one, other = SqlBlobRepairs(registry.database), SqlBlobRepairs(registry.database)
        assert await one.claim(LAYER)
        assert await one.claim(LAYER)
        assert not await other.claim(LAYER)
        assert not await other.mark(LAYER)
        assert not await other.unmark(LAYER)
        assert not await other.resize(LAYER, 1)
        await other.release(LAYER)
        assert not await other.claim(LAYER), "only whoever has it can let go"
        assert await one.mark(LAYER)
        await one.release(LAYER)
        assert await other.claim(LAYER)
        assert not await one.mark(LAYER)
