"""Registries full of all that is fine, whatever it looks like."""

from contract.integrity.registries import Registry
from contract.metadata.pushing import NAME, NOBODY, OTHER, push, push_blob, push_image, referrer, undeclared
from moorage.oci.digests import Digest
from moorage.oci.names import RepositoryName, Tag
from support.images import OCI_MANIFEST, Image, docker_image, image, index, missing_digest

IMAGE = image("one")
LAYER, *_ = (Digest.parse(blob.digest) for blob in IMAGE.blobs[1:])
CONFIG = Digest.parse(IMAGE.blobs[0].digest)
MANIFEST = Digest.parse(IMAGE.digest)


async def fill(registry: Registry) -> None:
    """Push what clients push, and change it as they do."""
    store = registry.store
    await push_image(store, IMAGE, "1", "latest")
    await push_image(store, IMAGE, "1", name=OTHER)
    children = [image("arm", architecture="arm64"), docker_image("amd")]
    for child in children:
        await push_image(store, child)
    await push(store, index([child.manifest for child in children]), "multi")
    absent = {"mediaType": OCI_MANIFEST, "digest": missing_digest("sparse"), "size": 7}
    await push(store, index([children[0].manifest, absent]), "sparse")
    await push(store, referrer("sbom", MANIFEST))
    await push(store, undeclared("plain", OCI_MANIFEST))
    await push_blob(store, b"not in any image")
    await push_blob(store, b"", algorithm="sha512")
    await push_blob(store, b"512", algorithm="sha512")
    for number in range(3):
        await push_image(store, image(f"moving {number}"), "moving")
    await push_image(store, image("untagged"), "soon-gone")
    await store.manifests.untag(NAME, Tag("soon-gone"), cause=NOBODY)
    deleted = image("deleted")
    await push_image(store, deleted, "deleted")
    await store.manifests.delete(NAME, Digest.parse(deleted.digest), cause=NOBODY)
    unlinked = await push_blob(store, b"pushed and taken out")
    await store.links.unlink(NAME, unlinked, cause=NOBODY)
    await store.links.mount(RepositoryName("mounted"), LAYER, source=NAME)


def digests(made: Image) -> list[Digest]:
    """Those of an image's blobs."""
    return [Digest.parse(blob.digest) for blob in made.blobs]
