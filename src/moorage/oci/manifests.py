"""Manifests and indexes: what they say, and what they refer to. The bytes themselves are never re-encoded.

The known formats are read strictly; a manifest of any other media type has to be a JSON object and is searched for
the usual fields, so that what it refers to is known to garbage collection too.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import NoReturn, cast

from moorage.errors import DigestInvalid, ManifestInvalid
from moorage.json_nesting import NESTING_LIMIT, NestedTooDeep
from moorage.oci import mediatypes
from moorage.oci.digests import Digest
from moorage.oci.json_documents import VALUES_LIMIT, TooManyValues, let_go, object_of, read_json

SIZE_LIMIT_BYTES = 4 << 20
"""No manifest may be larger, whatever the configuration says.

Source: distribution-spec § Pushing Manifests ("at least 4 megabytes").
"""

JSONObject = Mapping[str, object]

_UNWRITABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A pointer to content.

    Source: image-spec, descriptor.
    """

    media_type: str
    """Empty if the document leaves it out, as docker's libraries do with what is empty."""
    digest: Digest
    size_bytes: int
    """0 if the document leaves it out, for the same reason."""
    artifact_type: str = ""
    annotations: Mapping[str, str] = field(default_factory=dict)
    urls: tuple[str, ...] = ()
    platform: tuple[str, str] | None = None
    """Operating system and architecture, as in ``("linux", "amd64")``; None if the descriptor has none."""

    def to_json(self) -> dict[str, object]:
        """The descriptor as a referrers list shows it."""
        value: dict[str, object] = {
            "mediaType": self.media_type,
            "size": self.size_bytes,
            "digest": str(self.digest),
        }
        if self.artifact_type:
            value["artifactType"] = self.artifact_type
        if self.annotations:
            value["annotations"] = dict(self.annotations)
        return value


class ManifestKind(Enum):
    """Kinds of things that a reference points to."""

    BLOB = auto()
    MANIFEST = auto()
    EITHER = auto()
    """An entry of an index whose media type does not tell: build caches list their layers there."""


@dataclass(frozen=True, slots=True)
class ManifestReference:
    """Content that a manifest needs: it may only be stored where this is."""

    kind: ManifestKind
    descriptor: Descriptor


@dataclass(frozen=True, slots=True)
class Manifest:
    """The facts in a manifest. ``media_type`` is how it was pushed, or what the payload shows if that said nothing."""

    media_type: str
    artifact_type: str
    annotations: Mapping[str, str]
    references: tuple[ManifestReference, ...]
    subject: Descriptor | None
    elsewhere: tuple[Descriptor, ...] = ()
    """Layers that may stay where their ``urls`` point."""
    config: Descriptor | None = None
    """An image's configuration; it is among the references, too, unless it may stay elsewhere."""

    @property
    def children(self) -> Iterator[Descriptor]:
        """The entries of an index."""
        return (ref.descriptor for ref in self.references if ref.kind is not ManifestKind.BLOB)


@dataclass(frozen=True, slots=True)
class StoredManifest:
    """A manifest as it was pushed."""

    digest: Digest
    media_type: str
    payload: bytes


def is_unwritable(text: str) -> bool:
    """Return whether *text* holds what JSON can escape but is no character, or a character that no database takes."""
    return _UNWRITABLE.search(text) is not None


def decode(payload: bytes) -> JSONObject:
    """The JSON object in *payload*.

    Raises:
        ManifestInvalid: it is not JSON, or not an object, has a key twice, too many values, or is nested too deep.
    """
    try:
        value = read_json(
            payload.decode("utf-8"),
            values_limit=VALUES_LIMIT,
            parse_constant=_no_constant,
            object_pairs_hook=_without_twins,
        )
    except TooManyValues:
        msg = f"the manifest has more than {VALUES_LIMIT} values; no manifest is known that needs as many"
        raise ManifestInvalid(msg, limit=VALUES_LIMIT) from None
    except NestedTooDeep as exc:
        msg = f"the manifest cannot be read: {exc}"
        raise ManifestInvalid(msg, limit=NESTING_LIMIT) from None
    except ValueError as exc:
        msg = f"the manifest is not JSON: {exc}"
        raise ManifestInvalid(msg) from None
    if not isinstance(value, dict):
        msg = "a manifest is a JSON object"
        raise ManifestInvalid(msg)
    return cast("JSONObject", value)


def media_type_of(value: JSONObject) -> str | None:
    """The media type that a payload shows: its ``mediaType``, else by its fields; None if it shows none."""
    declared = value.get("mediaType")
    if isinstance(declared, str) and declared:
        return mediatypes.canonical(declared)
    if value.get("schemaVersion") == 1:
        return mediatypes.DOCKER_SCHEMA1
    if "manifests" in value:
        return mediatypes.OCI_INDEX
    if "config" in value and "layers" in value:
        return mediatypes.OCI_MANIFEST
    return None


def parse(payload: bytes, content_type: str = "") -> Manifest:
    """Read a manifest that was pushed as *content_type* (without parameters; empty: the client did not say).

    Raises:
        ManifestInvalid: it is malformed, or contradicts *content_type*, or of Docker's schema 1.
    """
    value = decode(payload)
    try:
        media_type = _media_type(value, content_type)
        if media_type in mediatypes.IMAGES:
            return _image(value, media_type)
        if media_type in mediatypes.INDEXES:
            return _index(value, media_type)
        return _other(value, media_type)
    finally:
        let_go(value, len(payload))


def _media_type(value: JSONObject, content_type: str) -> str:
    shown, declared = media_type_of(value), value.get("mediaType")
    media_type = content_type if mediatypes.may_be_manifest(content_type) else shown
    if media_type is None:
        msg = "the manifest does not say what it is; send its media type as Content-Type"
        raise ManifestInvalid(msg, contentType=content_type[:200])
    if media_type in mediatypes.SCHEMA1 or shown in mediatypes.SCHEMA1:
        msg = "Docker image manifests of schema 1 are not supported; push with Docker 1.10 or newer, or any OCI client"
        raise ManifestInvalid(msg)
    if not mediatypes.may_be_manifest(media_type):
        msg = "no manifest is of that media type; an image manifest is application/vnd.oci.image.manifest.v1+json"
        raise ManifestInvalid(msg, mediaType=media_type[:200])
    if declared not in (None, "") and not (isinstance(declared, str) and declared.lower() == media_type.lower()):
        msg = "the manifest's mediaType is not the Content-Type it was sent with"
        raise ManifestInvalid(msg, mediaType=str(declared)[:200], contentType=media_type)
    return media_type


def _without_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """An object whose names are unique: of two equal ones, one reader takes the first and another the last."""
    count = len(pairs)
    value = object_of(pairs)
    if len(value) != count:
        msg = "an object has a key twice"
        raise ValueError(msg)
    return value


def _no_constant(name: str) -> NoReturn:
    msg = f"{name} is not JSON"
    raise ValueError(msg)


def _image(value: JSONObject, media_type: str) -> Manifest:
    _check_version(value)
    if value.get("manifests"):
        # One document that is an image to one reader and an index to another (CVE-2021-41190).
        msg = "an image manifest has no 'manifests'"
        raise ManifestInvalid(msg)
    config = _descriptor(value.get("config"), "config")
    layers = [_descriptor(item, f"layers[{i}]") for i, item in enumerate(_array(value, "layers"))]
    return Manifest(
        media_type=media_type,
        artifact_type=_text(value, "artifactType") or config.media_type,
        annotations=_annotations(value, "annotations"),
        references=tuple(
            ManifestReference(ManifestKind.BLOB, blob) for blob in (config, *layers) if not _is_elsewhere(blob)
        ),
        subject=_subject(value),
        elsewhere=tuple(layer for layer in layers if _is_elsewhere(layer)),
        config=config,
    )


def _is_elsewhere(blob: Descriptor) -> bool:
    # Without a URL nobody could fetch it from anywhere but here.
    return bool(blob.urls) and mediatypes.is_nondistributable(blob.media_type)


def _index(value: JSONObject, media_type: str) -> Manifest:
    _check_version(value)
    if value.get("layers") or value.get("config"):
        msg = "an image index has no 'layers' and no 'config'"
        raise ManifestInvalid(msg)
    children = [_descriptor(item, f"manifests[{i}]") for i, item in enumerate(_array(value, "manifests"))]
    return Manifest(
        media_type=media_type,
        artifact_type=_text(value, "artifactType"),
        annotations=_annotations(value, "annotations"),
        references=tuple(ManifestReference(_kind_of_child(child), child) for child in children),
        subject=_subject(value),
    )


def _kind_of_child(child: Descriptor) -> ManifestKind:
    known = mediatypes.canonical(child.media_type) in mediatypes.IMAGES | mediatypes.INDEXES
    return ManifestKind.MANIFEST if known else ManifestKind.EITHER


def _other(value: JSONObject, media_type: str) -> Manifest:
    references = []
    for name in ("config", "layers", "blobs", "manifests"):
        items = value.get(name)
        for item in items if isinstance(items, list) else [items]:
            if isinstance(item, dict) and "digest" in item:
                try:
                    references.append(ManifestReference(ManifestKind.EITHER, _descriptor(item, name)))
                except ManifestInvalid:
                    continue  # Not ours to judge: the format is unknown here.
    config = value.get("config")
    config_type = config.get("mediaType") if isinstance(config, dict) else None
    return Manifest(
        media_type=media_type,
        artifact_type=_text(value, "artifactType") or (config_type if isinstance(config_type, str) else ""),
        annotations=_annotations(value, "annotations"),
        references=tuple(references),
        subject=_subject(value),
    )


def _check_version(value: JSONObject) -> None:
    if value.get("schemaVersion") != 2:  # noqa: PLR2004 - the format's own constant
        msg = "schemaVersion must be 2"
        raise ManifestInvalid(msg)


def _subject(value: JSONObject) -> Descriptor | None:
    subject = value.get("subject")
    return None if subject is None else _descriptor(subject, "subject")


def _descriptor(value: object, where: str) -> Descriptor:
    if not isinstance(value, dict):
        msg = f"{where}: a descriptor is a JSON object"
        raise ManifestInvalid(msg)
    media_type, digest, size = value.get("mediaType"), value.get("digest"), value.get("size")
    media_type = "" if media_type is None else media_type
    if not isinstance(media_type, str) or is_unwritable(media_type):
        msg = f"{where}.mediaType: a media type is needed"
        raise ManifestInvalid(msg)
    if not isinstance(digest, str):
        msg = f"{where}.digest: a digest is needed"
        raise ManifestInvalid(msg)
    size = 0 if size is None else size
    if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size < 1 << 63:
        msg = f"{where}.size: a whole number of bytes is needed"
        raise ManifestInvalid(msg)
    try:
        parsed = Digest.parse(digest)
    except DigestInvalid as exc:
        msg = f"{where}.digest: {exc.message}"
        raise ManifestInvalid(msg, **exc.detail) from None
    return Descriptor(
        media_type=media_type,
        digest=parsed,
        size_bytes=size,
        artifact_type=_text(value, "artifactType", where),
        annotations=_annotations(value, f"{where}.annotations"),
        urls=_urls(value, where),
        platform=_platform(value),
    )


def _array(value: JSONObject, name: str) -> Sequence[object]:
    items = value.get(name)
    if items is None:
        return ()  # An image without layers may leave them out; so do some clients with null.
    if not isinstance(items, list):
        msg = f"{name}: a list is needed"
        raise ManifestInvalid(msg)
    return cast("Sequence[object]", items)


def _text(value: JSONObject, name: str, where: str = "") -> str:
    text = value.get(name)
    if text is None:
        return ""
    if not isinstance(text, str) or is_unwritable(text):
        msg = f"{where}{'.' if where else ''}{name}: a string of characters is needed"
        raise ManifestInvalid(msg)
    return text


def _annotations(value: JSONObject, where: str) -> Mapping[str, str]:
    annotations = value.get("annotations")
    if annotations is None:
        return {}
    if not isinstance(annotations, dict) or not all(isinstance(item, str) for item in annotations.values()):
        msg = f"{where}: a JSON object of strings is needed"
        raise ManifestInvalid(msg)
    return dict(annotations)  # A copy: the document is let go.


def _urls(value: JSONObject, where: str) -> tuple[str, ...]:
    urls = value.get("urls")
    if urls is None:
        return ()
    if not isinstance(urls, list) or not all(isinstance(url, str) for url in urls):
        msg = f"{where}.urls: a list of strings is needed"
        raise ManifestInvalid(msg)
    return tuple(urls)


def _platform(value: JSONObject) -> tuple[str, str] | None:
    platform = value.get("platform")
    if not isinstance(platform, dict):
        return None
    return str(platform.get("os", "")), str(platform.get("architecture", ""))
