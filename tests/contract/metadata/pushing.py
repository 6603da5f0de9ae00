"""Pushes as the services make them, straight into a store."""

import json
from collections.abc import Mapping, Sequence

from contract.metadata.stores import Store
from moorage.metadata.base import Cause
from moorage.oci.digests import Algorithm, Digest
from moorage.oci.manifests import Descriptor, StoredManifest, parse
from moorage.oci.names import RepositoryName, Tag
from moorage.storage import paths
from support.images import Content, Image, artifact, encode

NAME = RepositoryName("group/app")
OTHER = RepositoryName("group/app/other")
NEVER = RepositoryName("never/seen")
ABSENT = Digest.of(b"never pushed")
SUBJECT = Digest.of(b"a subject that need not be here")
NOBODY = Cause()


def tags_of(*names: str) -> list[Tag]:
    return [Tag.parse(name) for name in names]


async def push_blob(
    store: Store, content: bytes, *, name: RepositoryName = NAME, algorithm: Algorithm = "sha256"
) -> Digest:
    """Put a blob's bytes into storage, then the blob into a repository."""
    digest = Digest.of(content, algorithm)
    expectation = await store.links.expect(digest)
    await store.storage.put(paths.blob(digest), content)
    assert await store.links.link(name, digest, expectation, size_bytes=len(content))
    return digest


async def push(
    store: Store,
    content: Content,
    *tags: str,
    name: RepositoryName = NAME,
    algorithm: Algorithm = "sha256",
    cause: Cause = NOBODY,
    fixed: Sequence[str] = (),
    seen: Mapping[str, Digest] | None = None,
) -> Digest:
    """Put a manifest, whether or not there is what it refers to, as rules that allow sparse ones do.

    *fixed*: tags that must not be there. *seen*: what tags have to point to.
    """
    manifest = parse(content.body, content.media_type)
    stored = StoredManifest(Digest.of(content.body, algorithm), manifest.media_type, content.body)
    expected: dict[Tag, Digest | None] = {Tag.parse(tag): None for tag in fixed}
    expected |= {Tag.parse(tag): digest for tag, digest in (seen or {}).items()}
    wanted = [*tags_of(*tags), *expected]
    await store.manifests.put(name, stored, manifest, tags=wanted, cause=cause, expected=expected)
    return stored.digest


async def push_image(store: Store, image: Image, *tags: str, name: RepositoryName = NAME) -> Digest:
    """Push an image with its blobs."""
    for blob in image.blobs:
        await push_blob(store, blob.body, name=name)
    return await push(store, image.manifest, *tags, name=name)


def referrer(seed: object, subject: Digest = SUBJECT, *, artifact_type: str = "a/sbom", **extra: object) -> Content:
    """A manifest that refers to *subject*."""
    described: dict[str, object] = {"mediaType": "application/vnd.oci.image.manifest.v1+json"}
    described |= {"digest": str(subject), "size": 1}
    return artifact(seed, described, artifact_type=artifact_type, **extra).manifest


def undeclared(seed: str, media_type: str) -> Content:
    """An image manifest whose payload does not say its media type, to be pushed as *media_type*."""
    empty = {"mediaType": "application/vnd.oci.empty.v1+json", "digest": str(Digest.of(b"{}")), "size": 2}
    return encode({"schemaVersion": 2, "config": empty, "layers": [], "annotations": {"seed": seed}}, media_type)


async def tag_names(store: Store, name: RepositoryName = NAME) -> list[str]:
    """All tags of a repository."""
    page = await store.catalogue.tags(name, after="", limit=None)
    assert not page.more
    return [tag.text for tag in page.items]


async def referring(
    store: Store, subject: Digest = SUBJECT, *, artifact_type: str | None = None, limit: int = 1000
) -> list[list[Descriptor]]:
    """Every page of the referrers of *subject*."""
    pages: list[list[Descriptor]] = []
    after = ""
    while True:
        page = await store.manifests.referrers(NAME, subject, artifact_type=artifact_type, after=after, limit=limit)
        pages.append(page.items)
        if not page.more:
            return pages
        after = str(page.items[-1].digest)


def digests_on(pages: Sequence[Sequence[Descriptor]]) -> list[Digest]:
    return [descriptor.digest for page in pages for descriptor in page]


def json_bytes(descriptors: Sequence[Descriptor]) -> int:
    """How long a list of descriptors is as JSON."""
    return len(json.dumps([descriptor.to_json() for descriptor in descriptors]))
