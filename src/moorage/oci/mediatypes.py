"""The media types that mean something to a registry, and those that can be a manifest's at all.

All others are stored just the same. They are also returned just the same, but for those that a browser could do
something with.
"""

import re
from functools import lru_cache

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_EMPTY = "application/vnd.oci.empty.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_SCHEMA1 = "application/vnd.docker.distribution.manifest.v1+json"
DOCKER_SCHEMA1_SIGNED = "application/vnd.docker.distribution.manifest.v1+prettyjws"

IMAGES = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
"""Manifests with a config and layers."""

INDEXES = frozenset({OCI_INDEX, DOCKER_LIST})
"""Manifests that list other manifests."""

SCHEMA1 = frozenset({DOCKER_SCHEMA1, DOCKER_SCHEMA1_SIGNED})
"""Refused: the format is from before content addressing (Docker 1.9) and no client needs it."""

_KNOWN = IMAGES | INDEXES | SCHEMA1

_LENGTH_LIMIT = 255
"""Source: RFC 6838 § 4.2, 127 characters on both sides of the slash."""

_MANIFEST_TYPE = re.compile(
    r"application/(?:(?:vnd|prs|x)\.[a-z0-9!#$&^_.-]+|[a-z0-9!#$&^_.-]+(?=\+json))(?:\+json)?", re.ASCII | re.IGNORECASE
)
"""Types that may be a vendor's own manifest format: registered to a vendor, or said to be JSON.

Source: RFC 6838 § 3 (trees) and § 4.2.8 (suffixes); RFC 6648 for ``x.``.
"""

_FOREIGN = frozenset(
    {
        "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip",
        "application/vnd.docker.image.rootfs.foreign.diff.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+gzip",
        "application/vnd.oci.image.layer.nondistributable.v1.tar+zstd",
    }
)


_SERVED = re.compile(
    r"application/(?:json|vnd\.[a-z0-9!#$&^_.+-]+|[a-z0-9][a-z0-9!#$&^_.+-]*\+json)(?<![+./-]xml)(?<![+./-]pdf)",
    re.ASCII | re.IGNORECASE,
)
"""JSON, and what a vendor has named; but no XML, which a browser renders whatever its name is."""

UNKNOWN = "application/octet-stream"
REFERENCE_TYPE = "vnd.docker.reference.type"
"""Annotation of what an index lists beside its images, such as attestations. Source: BuildKit."""
_OF_MANIFESTS = ("manifest", "index")
"""In the media types of manifests."""


@lru_cache(maxsize=256)
def served_as(media_type: str) -> str:
    """The type under which a manifest of *media_type* is served: the same, but none that a browser runs or renders.

    Source: ADR 0028.
    """
    return media_type if _SERVED.fullmatch(media_type) else UNKNOWN


def is_nondistributable(media_type: str) -> bool:
    """Return whether layers of this type may stay elsewhere, so that a registry need not have their bytes."""
    return media_type.lower() in _FOREIGN


def canonical(media_type: str) -> str:
    """The media type as this module spells it, if it knows it; else as it is.

    Source: RFC 6838 § 4.2, names are the same in capitals and in small letters.
    """
    small = media_type.lower()
    return small if small in _KNOWN else media_type


def may_be_manifest(media_type: str) -> bool:
    """Return whether a manifest can be of this type. No other type says what was sent: the payload is asked instead.

    Clients send what their HTTP library sets by itself, such as ``text/plain`` or a form's type.
    """
    return media_type in _KNOWN or (
        len(media_type) <= _LENGTH_LIMIT and _MANIFEST_TYPE.fullmatch(media_type) is not None
    )


def is_listed_manifest(media_type: object) -> bool:
    """Return whether what an index lists with this type is a manifest, or may be one as it has no type.

    BuildKit lists the layers of a cache in an index; everything else that is no manifest is a blob as well.
    """
    return not isinstance(media_type, str) or any(word in media_type.lower() for word in _OF_MANIFESTS)


def without_parameters(content_type: str) -> str:
    """The media type of a ``Content-Type`` value, lower-case, its parameters dropped.

    Source: distribution-spec § Pushing Manifests ("The registry SHOULD ignore parameters").
    """
    return content_type.partition(";")[0].strip().lower()
