"""Kinds of objects in storage, told by their paths: what each is to a copy, and what it must say."""

import re
from dataclasses import dataclass
from enum import Enum

from moorage.oci.digests import DIGEST_PATTERN, Digest, digest_or_none
from moorage.storage import paths

_HEX = DIGEST_PATTERN.replace(":", "/")
_BLOB = re.compile(rf"{paths.BLOBS}/(?P<algorithm>sha256|sha512)/(?P<start>[a-f0-9]{{2}})/(?P<hex>[a-f0-9]+)/data")
_LAYER = re.compile(rf"(?P<folder>{paths.REPOSITORIES}/.+)/_layers/(?P<digest>{_HEX})/link")
_REVISION = re.compile(rf"(?P<folder>{paths.REPOSITORIES}/.+)/_manifests/revisions/(?P<digest>{_HEX})/link")
_INDEX = re.compile(rf"(?P<folder>{paths.REPOSITORIES}/.+)/_manifests/tags/[^/]+/index/(?P<digest>{_HEX})/link")
_TAG = re.compile(rf"(?P<folder>{paths.REPOSITORIES}/.+)/_manifests/tags/[^/]+/current/link")


class ObjectKind(Enum):
    """Kinds of objects; the value is what they are called in counts."""

    BLOB = "blobs"
    LAYER = "layer links"
    REVISION = "manifest links"
    INDEX = "tag history"
    TAG = "tags"
    OTHER = "other"
    """Notes of a repository beside its links: a Content-Type, a referrer, a mark that keeps it."""
    FOREIGN = "foreign"
    """An object that no registry has put there: it is not copied."""


COPIED = tuple(kind for kind in ObjectKind if kind is not ObjectKind.FOREIGN)


@dataclass(frozen=True, slots=True)
class CopiedObject:
    """An object, with what its path says of it."""

    path: str
    size_bytes: int
    kind: ObjectKind
    digest: Digest | None = None
    """The digest of a blob, and the one that a link has to hold; None: only its content tells."""
    folder: str = ""
    """The folder of the repository that a link is in."""

    @property
    def is_link(self) -> bool:
        """True if it holds a digest and nothing else."""
        return self.kind in _LINKS

    @property
    def is_empty_link(self) -> bool:
        """True if it is a link that says nothing, as some tools leave them behind."""
        return self.is_link and self.size_bytes == 0


_LINKS = frozenset({ObjectKind.LAYER, ObjectKind.REVISION, ObjectKind.INDEX, ObjectKind.TAG})
_BY_DIGEST = ((_LAYER, ObjectKind.LAYER), (_REVISION, ObjectKind.REVISION), (_INDEX, ObjectKind.INDEX))


def object_at(path: str, size_bytes: int) -> CopiedObject:
    """Tell what the object at *path* is."""
    if path.startswith(f"{paths.BLOBS}/"):
        return _blob(path, size_bytes)
    found = _TAG.fullmatch(path)
    if found is not None:
        return CopiedObject(path, size_bytes, ObjectKind.TAG, folder=found["folder"])
    for pattern, kind in _BY_DIGEST:
        found = pattern.fullmatch(path)
        if found is not None:
            digest = digest_or_none(found["digest"].replace("/", ":", 1))
            return CopiedObject(path, size_bytes, kind, digest, found["folder"])
    is_ours = path.startswith(f"{paths.REPOSITORIES}/") and ("/_manifests/" in path or "/_layers/" in path)
    return CopiedObject(path, size_bytes, ObjectKind.OTHER if is_ours else ObjectKind.FOREIGN)


def _blob(path: str, size_bytes: int) -> CopiedObject:
    found = _BLOB.fullmatch(path)
    digest = None if found is None else digest_or_none(f"{found['algorithm']}:{found['hex']}")
    if digest is None or paths.blob(digest) != path:
        return CopiedObject(path, size_bytes, ObjectKind.FOREIGN)
    return CopiedObject(path, size_bytes, ObjectKind.BLOB, digest)
