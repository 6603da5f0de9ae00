"""What a manifest's payload says is compared with what is noted of it."""

import pytest

from contract.integrity.content import CONFIG, LAYER, MANIFEST, fill
from contract.integrity.registries import Registry
from contract.metadata.pushing import NAME, push
from moorage.integrity.findings import Kind
from moorage.metadata.sql.values import digest_key
from moorage.oci.digests import Digest
from moorage.oci.names import Tag
from moorage.sql.base import Value
from support.images import image, index, missing_digest

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
    assert found.pairs == {(Kind.MANIFEST_INCOMPLETE, str(MANIFEST))}
    assert (found.findings[0].repository, str(LAYER) in found.findings[0].detail) == (NAME.text, True)
    repaired = await registry.check(verifies=False, repairs=True)
    assert repaired.findings[0].repair == "noted"
    assert (await registry.check()).kinds == {}


async def test_a_configuration_that_is_not_noted_is_found_and_noted_again(registry: Registry) -> None:
    await run(registry, "UPDATE manifests SET config_blob_id = NULL WHERE id = ONE", digest_key(MANIFEST), NAME.text)
    found = await registry.check(repairs=True)
    assert found.pairs == {(Kind.MANIFEST_INCOMPLETE, str(MANIFEST))}
    assert str(CONFIG) in found.findings[0].detail
    assert (await registry.check()).kinds == {}


async def test_children_that_are_not_noted_are_found_and_noted_again(registry: Registry) -> None:
    digest = (await registry.store.manifests.find(NAME, Tag("multi"))).digest
    await run(registry, "DELETE FROM manifest_references WHERE parent_id = ONE", digest_key(digest), NAME.text)
    assert (await registry.check(repairs=True)).pairs == {(Kind.MANIFEST_INCOMPLETE, str(digest))}
    assert (await registry.check()).kinds == {}


async def test_what_a_sparse_index_waits_for_is_found_and_noted_again(registry: Registry) -> None:
    await registry.run("DELETE FROM sparse_references WHERE digest <> $1", b"")
    found = await registry.check(repairs=True)
    assert set(found.kinds) == {Kind.MANIFEST_INCOMPLETE}
    assert any(missing_digest("sparse") in finding.detail for finding in found.findings)
    assert (await registry.check()).kinds == {}


async def test_an_unused_manifest_that_no_review_would_find_is_put_into_the_queue(registry: Registry) -> None:
    await push(registry.store, index([image("arm", architecture="arm64").manifest]))
    await registry.run("DELETE FROM gc_manifest_review_queue WHERE event <> $1", "none")
    found = await registry.check(repairs=True)
    assert set(found.kinds) == {Kind.MANIFEST_UNREVIEWED}
    assert found.kinds[Kind.MANIFEST_UNREVIEWED] > 3, "the untagged, the deleted, the index"
    assert (await registry.check()).kinds == {}


async def test_a_damaged_payload_is_found_by_its_digest_and_told(registry: Registry) -> None:
    stored = await registry.store.manifests.find(NAME, MANIFEST)
    payload = stored.payload.replace(b'"schemaVersion": 2', b'"schemaVersion":  2')
    text = "UPDATE manifests SET payload = $3 WHERE id = ONE"
    await run(registry, text, digest_key(MANIFEST), NAME.text, payload)
    assert (await registry.check(verifies=False)).kinds == {}
    found = await registry.check(repairs=True)
    assert found.pairs == {(Kind.MANIFEST_DAMAGED, str(MANIFEST))}
    assert str(Digest.of(payload)) in found.findings[0].detail
    assert found.findings[0].repair == ""


async def test_a_payload_that_cannot_be_read_is_found_without_hashing_and_the_check_goes_on(
    registry: Registry,
) -> None:
    text = "UPDATE manifests SET payload = $3 WHERE id = ONE"
    await run(registry, text, digest_key(MANIFEST), NAME.text, b"\x00\xff{")
    await registry.lose(LAYER)
    found = await registry.check(verifies=False)
    assert found.pairs == {(Kind.MANIFEST_DAMAGED, str(MANIFEST)), (Kind.BYTES_MISSING, str(LAYER))}


async def test_large_payloads_are_read_a_few_at_a_time(registry: Registry) -> None:
    before = (await registry.check()).tally.manifests
    for number in range(5):
        await push(registry.store, image(number, annotations={"large": "x" * (3 << 20)}).manifest, f"large-{number}")
    found = await registry.check()
    assert (found.kinds, found.tally.manifests) == ({}, before + 5)
