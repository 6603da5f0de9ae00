"""What a manifest's payload says is compared with what is noted of it."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import pytest

from contract.integrity.content import CONFIG, IMAGE, LAYER, MANIFEST, fill
from contract.integrity.registries import Registry
from contract.metadata.pushing import NAME, OTHER, push, push_blob
from contract.metadata.stores import query
from moorage.integrity.findings import FindingKind
from moorage.integrity.manifests import ManifestCheck
from moorage.integrity.progress import CheckProgress, new_state
from moorage.metadata.integrity import ManifestRecord, ManifestRecordStore
from moorage.metadata.sql.digest_keys import digest_key
from moorage.metadata.sql.integrity import SqlManifestRecords
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.sql.base import Value
from support.images import OCI_NONDISTRIBUTABLE, blob, config, image, image_manifest, index, missing_digest

ONE = "(SELECT id FROM manifests WHERE digest = $1 AND repository_id = (SELECT id FROM repositories WHERE path = $2))"


async def run(registry: Registry, text: str, *args: Value) -> None:
    """Run a statement in which ``ONE`` is the id of the manifest with the digest $1 in the repository $2."""
    await registry.run(text.replace("ONE", ONE), *args)


@pytest.fixture(autouse=True)
async def _full(registry: Registry) -> None:
    await fill(registry)


async def test_a_layer_that_is_not_noted_is_found_and_noted_again(registry: Registry) -> None:
    await run(registry, "DELETE FROM layers WHERE manifest_id = ONE", digest_key(MANIFEST), NAME.text)
    found = await registry.check(verifies=False)
    assert found.pairs == {(FindingKind.MANIFEST_INCOMPLETE, str(MANIFEST))}
    assert (found.findings[0].repository, str(LAYER) in found.findings[0].detail) == (NAME.text, True)
    repaired = await registry.check(verifies=False, repairs=True)
    assert repaired.findings[0].repair == "noted"
    assert (await registry.check()).kinds == {}


async def test_a_configuration_that_is_not_noted_is_found_and_noted_again(registry: Registry) -> None:
    await run(registry, "UPDATE manifests SET config_blob_id = NULL WHERE id = ONE", digest_key(MANIFEST), NAME.text)
    found = await registry.check(repairs=True)
    assert found.pairs == {(FindingKind.MANIFEST_INCOMPLETE, str(MANIFEST))}
    assert str(CONFIG) in found.findings[0].detail
    assert (await registry.check()).kinds == {}


async def test_children_that_are_not_noted_are_found_and_noted_again(registry: Registry) -> None:
    digest = (await registry.store.manifests.find(NAME, Tag("multi"))).digest
    await run(registry, "DELETE FROM manifest_references WHERE parent_id = ONE", digest_key(digest), NAME.text)
    assert (await registry.check(repairs=True)).pairs == {(FindingKind.MANIFEST_INCOMPLETE, str(digest))}
    assert (await registry.check()).kinds == {}


async def test_what_a_sparse_index_waits_for_is_found_and_noted_again(registry: Registry) -> None:
    await registry.run("DELETE FROM sparse_references WHERE digest <> $1", b"")
    found = await registry.check(repairs=True)
    assert set(found.kinds) == {FindingKind.MANIFEST_INCOMPLETE}
    assert any(missing_digest("sparse") in finding.detail for finding in found.findings)
    assert (await registry.check()).kinds == {}


async def test_what_an_index_waits_for_is_noted_though_it_is_a_blob_of_somebody_else(registry: Registry) -> None:
    child = image("both").manifest
    await push_blob(registry.store, child.body, name=OTHER)
    await push(registry.store, index([child]), "waiting")
    await registry.run("DELETE FROM sparse_references WHERE digest = $1", digest_key(Digest.parse(child.digest)))
    assert set((await registry.check(repairs=True)).kinds) == {FindingKind.MANIFEST_INCOMPLETE}
    assert (await registry.check()).kinds == {}


async def test_a_layer_that_may_stay_elsewhere_and_is_here_is_noted_again(registry: Registry) -> None:
    foreign = blob("windows", media_type=OCI_NONDISTRIBUTABLE)
    await push_blob(registry.store, foreign.body)
    digest = await push(registry.store, image_manifest(config("a"), [foreign]), "windows")
    await run(registry, "DELETE FROM layers WHERE manifest_id = ONE", digest_key(digest), NAME.text)
    assert (await registry.check(repairs=True)).pairs == {(FindingKind.MANIFEST_INCOMPLETE, str(digest))}
    assert (await registry.check()).kinds == {}


async def test_an_unused_manifest_that_no_review_would_find_is_put_into_the_queue(registry: Registry) -> None:
    await push(registry.store, index([image("arm", architecture="arm64").manifest]))
    await registry.run("DELETE FROM gc_manifest_review_queue WHERE event <> $1", "none")
    found = await registry.check(repairs=True)
    assert set(found.kinds) == {FindingKind.MANIFEST_UNREVIEWED}
    assert found.kinds[FindingKind.MANIFEST_UNREVIEWED] > 3, "the untagged, the deleted, the index"
    assert (await registry.check()).kinds == {}


async def test_a_damaged_payload_is_found_by_its_digest_and_told(registry: Registry) -> None:
    stored = await registry.store.manifests.find(NAME, MANIFEST)
    payload = stored.payload.replace(b'"schemaVersion": 2', b'"schemaVersion":  2')
    text = "UPDATE manifests SET payload = $3 WHERE id = ONE"
    await run(registry, text, digest_key(MANIFEST), NAME.text, payload)
    assert (await registry.check(verifies=False)).kinds == {}
    found = await registry.check(repairs=True)
    assert found.pairs == {(FindingKind.MANIFEST_DAMAGED, str(MANIFEST))}
    assert str(Digest.of(payload)) in found.findings[0].detail
    assert found.findings[0].repair == ""


async def test_a_push_of_a_manifest_heals_a_damaged_payload(registry: Registry) -> None:
    text = "UPDATE manifests SET payload = $3 WHERE id = ONE"
    await run(registry, text, digest_key(MANIFEST), NAME.text, b"\x00\xff{")
    assert (await registry.check()).pairs == {(FindingKind.MANIFEST_DAMAGED, str(MANIFEST))}
    await push(registry.store, IMAGE.manifest)
    assert (await registry.check()).kinds == {}
    assert (await registry.store.manifests.find(NAME, MANIFEST)).payload == IMAGE.manifest.body


async def test_a_payload_that_cannot_be_read_is_found_without_hashing_and_the_check_goes_on(
    registry: Registry,
) -> None:
    text = "UPDATE manifests SET payload = $3 WHERE id = ONE"
    await run(registry, text, digest_key(MANIFEST), NAME.text, b"\x00\xff{")
    await registry.lose(LAYER)
    found = await registry.check(verifies=False)
    assert found.pairs == {(FindingKind.MANIFEST_DAMAGED, str(MANIFEST)), (FindingKind.BYTES_MISSING, str(LAYER))}


async def test_large_payloads_are_read_a_few_at_a_time(registry: Registry) -> None:
    before = (await registry.check()).tally.manifests
    for number in range(5):
        await push(registry.store, image(number, annotations={"large": "x" * (3 << 20)}).manifest, f"large-{number}")
    found = await registry.check()
    assert (found.kinds, found.tally.manifests) == ({}, before + 5)


class Collected(ManifestRecordStore):
    """A database in which a manifest is collected and pushed again, under the same id, before it is looked at again."""

    def __init__(self, inner: ManifestRecordStore, collect: Callable[[], Awaitable[None]]) -> None:
        self._inner = inner
        self._steps = [_nothing, collect]

    async def page(self, *, after: int, limit: int, limit_bytes: int) -> Sequence[ManifestRecord]:
        return await self._inner.page(after=after, limit=limit, limit_bytes=limit_bytes)

    async def page_of_digests(self, *, after: int, limit: int) -> Sequence[tuple[int, Digest]]:
        return await self._inner.page_of_digests(after=after, limit=limit)

    async def look(self, ids: Collection[int]) -> Mapping[int, ManifestRecord]:
        if self._steps:
            await self._steps.pop(0)()
        return await self._inner.look(ids)

    async def relations(self, ids: Collection[int]) -> Mapping[int, Collection[Digest]]:
        # As if between its removal and the push.
        del ids
        return {}


async def _nothing() -> None:
    return


async def test_a_manifest_that_is_collected_and_pushed_again_between_two_looks_is_no_difference(
    registry: Registry,
) -> None:
    assert registry.database is not None
    rows = [row[0] for row in await registry.database.all(query("SELECT id FROM manifests"))]

    async def collect() -> None:
        text = "UPDATE manifests SET created_at = (SELECT min(created_at) FROM blobs) WHERE id <> $1"
        await registry.run(text, 0)

    records = Collected(SqlManifestRecords(registry.database), collect)
    check = ManifestCheck(records, None, verifies=True)
    progress = CheckProgress(registry.storage, new_state(store="x", verifies=True))
    await check.run(progress, "")
    assert progress.tally.manifests == len(rows)
    assert progress.tally.differences == {}
