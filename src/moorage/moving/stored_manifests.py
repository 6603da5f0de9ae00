"""Manifests that are stored, read by today's rules, or else leniently: by whatever rules their registry had."""

from moorage.errors import ManifestInvalid
from moorage.oci import mentions
from moorage.oci import stored as lenient
from moorage.oci.manifests import Descriptor, Manifest, ManifestKind, ManifestReference, parse


def manifest_of(content: bytes, media_type: str) -> Manifest:
    """Read a manifest by today's rules, or else without any.

    Raises:
        ManifestInvalid: it is not a JSON object, so nobody knows what it names.
    """
    try:
        return parse(content, media_type)
    except ManifestInvalid:
        named = mentions.mentions(content)
    references = [
        ManifestReference(
            ManifestKind.MANIFEST if digest in named.children else ManifestKind.BLOB,
            Descriptor(media_type="", digest=digest, size_bytes=max(0, named.sizes.get(digest, 0))),
        )
        for digest in dict.fromkeys(named.references)
    ]
    with lenient.reading(content) as value:
        return Manifest(
            media_type=media_type,
            artifact_type=lenient.artifact_type(value),
            annotations=lenient.annotations(value),
            references=tuple(references),
            subject=lenient.descriptor_of(value.get("subject")),
            config=lenient.descriptor_of(value.get("config")),
        )
