"""Makers of content to push: the same seed gives the same bytes. Only the ``push_…`` functions talk to a registry."""

import hashlib
import json
import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from support.registry_client import RegistryClient

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
OCI_NONDISTRIBUTABLE = "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

ALL_MANIFEST_TYPES = f"{OCI_MANIFEST}, {OCI_INDEX}, {DOCKER_MANIFEST}, {DOCKER_LIST}"
"""What a modern client sends as Accept."""

JSONObject = dict[str, object]


def digest_of(content: bytes, algorithm: str = "sha256") -> str:
    """The digest of *content*."""
    return f"{algorithm}:{hashlib.new(algorithm, content).hexdigest()}"


def missing_digest(seed: str) -> str:
    """A well-formed digest of content that nobody pushed."""
    return digest_of(f"never pushed: {seed}".encode())


@dataclass(frozen=True, slots=True)
class Content:
    """Bytes, and the media type that a descriptor gives them."""

    media_type: str
    body: bytes

    @property
    def digest(self) -> str:
        return digest_of(self.body)

    def descriptor(self, **extra: object) -> JSONObject:
        """The descriptor of this content; *extra* fields are added to it."""
        return {"mediaType": self.media_type, "digest": self.digest, "size": len(self.body), **extra}

    def as_type(self, media_type: str) -> "Content":
        """The same bytes under another media type."""
        return replace(self, media_type=media_type)


Described = Content | JSONObject
"""Content, or a descriptor of it as it shall stand in the document."""

EMPTY = Content(OCI_EMPTY, b"{}")
"""The empty descriptor's content.

Source: image-spec, manifest § Guidance for an Empty Descriptor.
"""


@dataclass(frozen=True, slots=True)
class Image:
    """A manifest and the blobs that it needs."""

    manifest: Content
    blobs: tuple[Content, ...]

    @property
    def digest(self) -> str:
        return self.manifest.digest


def blob(seed: object, size_bytes: int = 1000, media_type: str = OCI_LAYER) -> Content:
    """Bytes that do not compress."""
    return Content(media_type, random.Random(f"blob {seed}").randbytes(size_bytes))


def encode(value: Mapping[str, object], media_type: str) -> Content:
    """A JSON document as a client would send it."""
    return Content(media_type, json.dumps(value).encode())


def config(seed: object, *, architecture: str = "amd64", media_type: str = OCI_CONFIG) -> Content:
    """The configuration of an image."""
    history = [{"comment": f"seed {seed}"}]
    rootfs = {"type": "layers", "diff_ids": [digest_of(str(seed).encode())]}
    return encode({"architecture": architecture, "os": "linux", "history": history, "rootfs": rootfs}, media_type)


def image_manifest(configuration: Content, layers: Sequence[Described], **extra: object) -> Content:
    """An OCI image manifest. *extra* adds fields, or replaces them; None takes one away."""
    value: JSONObject = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": configuration.descriptor(),
        "layers": [descriptor(layer) for layer in layers],
    }
    return encode(_changed(value, extra), OCI_MANIFEST)


def image(seed: object, *, layers: int = 2, architecture: str = "amd64", **extra: object) -> Image:
    """An OCI image of small layers."""
    configuration = config(seed, architecture=architecture)
    blobs = [blob(f"{seed} layer {number}") for number in range(layers)]
    return Image(image_manifest(configuration, blobs, **extra), (configuration, *blobs))


def docker_image(seed: object, *, architecture: str = "amd64") -> Image:
    """A Docker image manifest of version 2, schema 2."""
    configuration = config(seed, architecture=architecture, media_type=DOCKER_CONFIG)
    layer = blob(f"{seed} layer", media_type=DOCKER_LAYER)
    value = {
        "schemaVersion": 2,
        "mediaType": DOCKER_MANIFEST,
        "config": configuration.descriptor(),
        "layers": [layer.descriptor()],
    }
    return Image(encode(value, DOCKER_MANIFEST), (configuration, layer))


def index(children: Iterable[Described], *, media_type: str = OCI_INDEX, **extra: object) -> Content:
    """An OCI image index, or with *media_type* a Docker manifest list; of indexes it is a nested one."""
    value: JSONObject = {
        "schemaVersion": 2,
        "mediaType": media_type,
        "manifests": [descriptor(child) for child in children],
    }
    return encode(_changed(value, extra), media_type)


def build_cache(seed: object) -> Image:
    """A cache as BuildKit exports it: an index that lists layers, and a configuration of a type of its own."""
    layers = [blob(f"{seed} cached {number}") for number in range(2)]
    kept = Content("application/vnd.buildkit.cacheconfig.v0", b'{"layers": [], "records": []}')
    return Image(index([*layers, kept]), (*layers, kept))


def platform_index(children: Mapping[str, Content], *, media_type: str = OCI_INDEX) -> Content:
    """An index of ``linux`` images by architecture."""
    entries = [
        child.descriptor(platform={"os": "linux", "architecture": architecture})
        for architecture, child in children.items()
    ]
    return index(entries, media_type=media_type)


def artifact(seed: object, subject: Described | None, *, artifact_type: str | None, **extra: object) -> Image:
    """An OCI manifest with an empty config that refers to *subject*."""
    layer = blob(f"{seed} artifact", 100, "application/vnd.example.data.v1")
    fields: JSONObject = {"artifactType": artifact_type}
    if subject is not None:
        fields["subject"] = descriptor(subject)
    return Image(image_manifest(EMPTY, [layer], **{**fields, **extra}), (EMPTY, layer))


def padded_manifest(configuration: Content, size_bytes: int) -> Content:
    """An OCI manifest without layers of exactly *size_bytes*."""
    short = image_manifest(configuration, [], padding="")
    padding = "x" * (size_bytes - len(short.body))
    padded = image_manifest(configuration, [], padding=padding)
    assert len(padded.body) == size_bytes
    return padded


def push_blobs(client: RegistryClient, repository: str, blobs: Iterable[Content]) -> None:
    """Push each blob."""
    for content in blobs:
        client.push_blob(repository, content.body, content.digest)


def push_manifest(client: RegistryClient, repository: str, manifest: Content, reference: str | None = None) -> None:
    """Push a manifest whose references are there, under *reference* or its digest."""
    response = client.put_manifest(repository, reference or manifest.digest, manifest.body, manifest.media_type)
    assert response.status == 201, response


def push_image(client: RegistryClient, repository: str, tag: str | None = None, made: Image | None = None) -> Image:
    """Push an image with its blobs under *tag* or its digest; without *made* one that the names seed."""
    pushed = made or image(f"{repository}:{tag}")
    push_blobs(client, repository, pushed.blobs)
    push_manifest(client, repository, pushed.manifest, tag)
    return pushed


def descriptor(described: Described) -> JSONObject:
    return described.descriptor() if isinstance(described, Content) else described


def _changed(value: JSONObject, extra: Mapping[str, object]) -> JSONObject:
    return {name: item for name, item in {**value, **extra}.items() if item is not None}
